//! `bootstrap --check-token`: which roles a token may take, before it is tried.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use insta::assert_snapshot;
use serde_json::json;

use super::bootstrap::{GITHUB, account, bootstrap, sandbox};
use crate::fakes::Fakes;

/// A token of the pipeline that [`GITHUB`] names, with another environment where one is given.
fn token(environment: &str, end: i64) -> String {
    let claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": format!("repo:octo@7/shop@70:environment:{environment}"),
        "repository": "octo/shop",
        "repository_id": "70",
        "repository_owner_id": "7",
        "environment": environment,
        "exp": end,
    });
    format!("e30.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

#[test]
fn check_token_compares_a_token_with_the_trust_policy() {
    let fakes = Fakes::start(account());
    let sandbox = sandbox(&fakes);
    let far = 4_102_444_800;
    sandbox.write("good", &token("dev", far));
    sandbox.write("other", &token("staging", far));
    sandbox.write("plan", &token("dev-plan", far));
    sandbox.write("none", "geheim");
    let good = [&GITHUB[..], &["--check-token", "good"]].concat();
    let fits = bootstrap(&sandbox, &good);
    assert_snapshot!(fits, @r"
    exit 0
    --- stdout
    ok iss           https://token.actions.githubusercontent.com
    ok aud           sts.amazonaws.com
    ok repository_id 70
    ok exp           [now]
    !! read          sub: expected repo:octo/shop:pull_request or repo:octo@7/shop@70:pull_request or repo:octo/shop:ref:refs/heads/main or repo:octo@7/shop@70:ref:refs/heads/main; found repo:octo@7/shop@70:environment:dev
    !! plan          sub: expected repo:octo/shop:environment:dev-plan or repo:octo@7/shop@70:environment:dev-plan; found repo:octo@7/shop@70:environment:dev; environment: expected dev-plan; found dev
    ok release       repo:octo@7/shop@70:environment:dev, dev
    --- stderr
    warning: the token's signature is not checked; only AWS can verify that GitHub issued it
    ");
    // One that may plan is as good.
    let plans = bootstrap(&sandbox, &[&GITHUB[..], &["--check-token", "plan"]].concat());
    assert!(plans.starts_with("exit 0") && plans.contains("ok plan ") && plans.contains("!! release "), "{plans}");
    assert_snapshot!(bootstrap(&sandbox, &["--check-token", "good"]), @r"
    exit 3
    --- stderr
    error: there is no trust to compare the token with
      resource: stack rest-api-dev-pipeline
      reason: it does not exist, or trusts no pipeline
      next: cargo xtask bootstrap dev --github OWNER/REPO, with or without --check-token
    ");
    assert_snapshot!(bootstrap(&sandbox, &["--check-token", "none"]), @r"
    exit 2
    --- stderr
    error: the token cannot be read
      resource: none
      reason: a token has three parts with dots between them
    ");
    bootstrap(&sandbox, &[&GITHUB[..], &["--yes"]].concat());
    let asked = fakes.world().asked.len();
    let ended = sandbox.run(&["bootstrap", "dev", "--check-token", "other", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 3
    --- stdout
    {"format":1,"ok":false,"environment":"dev","stack":"rest-api-dev-bootstrap","checks":[{"name":"iss","ok":true,"detail":"https://token.actions.githubusercontent.com"},{"name":"aud","ok":true,"detail":"sts.amazonaws.com"},{"name":"repository_id","ok":true,"detail":"70"},{"name":"exp","ok":true,"detail":"[now]"},{"name":"read","ok":false,"detail":"sub: expected repo:octo/shop:pull_request or repo:octo@7/shop@70:pull_request or repo:octo/shop:ref:refs/heads/main or repo:octo@7/shop@70:ref:refs/heads/main; found repo:octo@7/shop@70:environment:staging","hint":"this role is for jobs in no GitHub environment: of pull requests and of one branch"},{"name":"plan","ok":false,"detail":"sub: expected repo:octo/shop:environment:dev-plan or repo:octo@7/shop@70:environment:dev-plan; found repo:octo@7/shop@70:environment:staging; environment: expected dev-plan; found staging","hint":"if this pipeline is to plan: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --plan-environment staging"},{"name":"release","ok":false,"detail":"sub: expected repo:octo/shop:environment:dev or repo:octo@7/shop@70:environment:dev; found repo:octo@7/shop@70:environment:staging; environment: expected dev; found staging","hint":"if this pipeline is to release: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --github-environment staging"}],"seconds":0,"error":{"kind":"preflight","message":"3 things are missing","reason":"- the claim sub does not match the read role\n  reason: expected repo:octo/shop:pull_request or repo:octo@7/shop@70:pull_request or repo:octo/shop:ref:refs/heads/main or repo:octo@7/shop@70:ref:refs/heads/main; found repo:octo@7/shop@70:environment:staging\n  next: this role is for jobs in no GitHub environment: of pull requests and of one branch\n- the claim sub does not match the plan role\n  reason: expected repo:octo/shop:environment:dev-plan or repo:octo@7/shop@70:environment:dev-plan; found repo:octo@7/shop@70:environment:staging\n  next: if this pipeline is to plan: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --plan-environment staging\n- the claim sub does not match the release role\n  reason: expected repo:octo/shop:environment:dev or repo:octo@7/shop@70:environment:dev; found repo:octo@7/shop@70:environment:staging\n  next: if this pipeline is to release: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --github-environment staging","problems":[{"kind":"trust","message":"the claim sub does not match the read role","reason":"expected repo:octo/shop:pull_request or repo:octo@7/shop@70:pull_request or repo:octo/shop:ref:refs/heads/main or repo:octo@7/shop@70:ref:refs/heads/main; found repo:octo@7/shop@70:environment:staging","hint":"this role is for jobs in no GitHub environment: of pull requests and of one branch"},{"kind":"trust","message":"the claim sub does not match the plan role","reason":"expected repo:octo/shop:environment:dev-plan or repo:octo@7/shop@70:environment:dev-plan; found repo:octo@7/shop@70:environment:staging","hint":"if this pipeline is to plan: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --plan-environment staging"},{"kind":"trust","message":"the claim sub does not match the release role","reason":"expected repo:octo/shop:environment:dev or repo:octo@7/shop@70:environment:dev; found repo:octo@7/shop@70:environment:staging","hint":"if this pipeline is to release: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --github-environment staging"}]}}
    --- stderr
    warning: the token's signature is not checked; only AWS can verify that GitHub issued it
    error: 3 things are missing
      reason: - the claim sub does not match the read role
          reason: expected repo:octo/shop:pull_request or repo:octo@7/shop@70:pull_request or repo:octo/shop:ref:refs/heads/main or repo:octo@7/shop@70:ref:refs/heads/main; found repo:octo@7/shop@70:environment:staging
          next: this role is for jobs in no GitHub environment: of pull requests and of one branch
        - the claim sub does not match the plan role
          reason: expected repo:octo/shop:environment:dev-plan or repo:octo@7/shop@70:environment:dev-plan; found repo:octo@7/shop@70:environment:staging
          next: if this pipeline is to plan: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --plan-environment staging
        - the claim sub does not match the release role
          reason: expected repo:octo/shop:environment:dev or repo:octo@7/shop@70:environment:dev; found repo:octo@7/shop@70:environment:staging
          next: if this pipeline is to release: cargo xtask bootstrap dev --github octo/shop --github-id 70 --owner-id 7 --github-environment staging
    "#);
    let later = fakes.world().asked[asked..].to_vec();
    assert_eq!(later, ["sts:GetCallerIdentity", "cloudformation:DescribeStacks"], "nothing is changed");
    for end in [&fits, &ended.whole()] {
        assert!(!end.contains("e30.") && !end.contains("geheim"), "the token is never shown");
    }
}
