use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;

const NOW: i64 = 1_793_000_000;

fn pipeline(repository: &Repository) -> Pipeline<'_> {
    let (id, owner_id, workflow) = (Some(70), Some(7), None);
    let (environment, plan_environment, branch) = ("production", "production-plan", "main");
    Pipeline { repository, id, owner_id, environment, plan_environment, branch, workflow }
}

fn repository() -> Repository {
    "Octo/shop-api".parse().unwrap()
}

/// The claims of a job's token, with some changed; null removes one.
fn claims(changed: Value) -> Claims {
    let mut claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": "repo:Octo/shop-api:environment:production",
        "repository": "Octo/shop-api",
        "repository_id": "70",
        "repository_owner_id": "7",
        "environment": "production",
        "job_workflow_ref": "Octo/shop-api/.github/workflows/release.yml@refs/heads/main",
        "exp": NOW + 300,
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    token(&claims)
}

fn token(claims: &Value) -> Claims {
    Claims::read(&format!("e30.{}.c2lnbmF0dXJl\n", URL_SAFE_NO_PAD.encode(claims.to_string()))).unwrap()
}

/// The claims that do not satisfy the release role, with the fix.
fn misfits(trust: &Trust, changed: Value) -> Vec<(&'static str, String)> {
    misfits_of(trust, Level::Release, changed)
}

fn misfits_of(trust: &Trust, level: Level, changed: Value) -> Vec<(&'static str, String)> {
    let TokenCheck { shared, roles } = trust.check(&claims(changed), NOW, "live");
    let misfit = |finding: ClaimCheck| (!finding.fits).then(|| (finding.claim, finding.fix.expect("a fix")));
    let of_role = roles.into_iter().filter(|(of, _)| *of == level).flat_map(|(_, findings)| findings);
    shared.into_iter().chain(of_role).filter_map(misfit).collect()
}

#[test]
fn both_forms_of_the_subject_fit_if_the_ids_are_known() {
    let repository = repository();
    let numbered = "repo:Octo@7/shop-api@70:environment:production";
    let both = Trust::of(&pipeline(&repository));
    let old = Trust::of(&Pipeline { owner_id: None, ..pipeline(&repository) });
    for (trust, sub, fits) in [
        (&both, "repo:Octo/shop-api:environment:production", true),
        (&both, numbered, true),
        (&old, "repo:Octo/shop-api:environment:production", true),
        (&old, numbered, false),
        // No similar subjects.
        (&both, "repo:Octo@7/shop-api@71:environment:production", false),
        (&both, "repo:Octo@8/shop-api@70:environment:production", false),
        (&both, "repo:Octo/shop-api:environment:production2", false),
        (&both, "repo:Octo/shop-api2:environment:production", false),
        (&both, "repo:Octo/shop-api:environment:*", false),
        (&both, "", false),
    ] {
        assert_eq!(misfits(trust, json!({"sub": sub})).is_empty(), fits, "{sub:?}");
    }
}

#[test]
fn every_claim_that_does_not_fit_has_a_fix() {
    let repository = repository();
    let workflow = Some("Octo/shop-api/.github/workflows/release.yml@refs/heads/main");
    let trust = Trust::of(&Pipeline { workflow, ..pipeline(&repository) });
    assert_eq!(misfits(&trust, json!({})), []);
    for (changed, claim, fix) in [
        (json!({"iss": "https://gitlab.com"}), "iss", "inside a job of GitHub Actions"),
        (json!({"aud": "https://github.com/Octo"}), "aud", "with the audience sts.amazonaws.com"),
        (json!({"aud": null}), "aud", "sts.amazonaws.com"),
        (json!({"sub": "repo:octo/shop-api:environment:production"}), "sub", "upper and lower case count"),
        (json!({"sub": "repo:Octo/shop-api:ref:refs/heads/main"}), "sub", "add `environment: production` to it"),
        (json!({"sub": "repo:Octo/shop-api:pull_request"}), "sub", "runs in no GitHub environment"),
        (json!({"sub": "repo:Octo/other:environment:production"}), "sub", "if this pipeline is to release"),
        (json!({"repository_id": "71"}), "repository_id", "--github-id 71"),
        (json!({"environment": "staging"}), "environment", "--github-environment staging"),
        (
            json!({"job_workflow_ref": "Octo/shop-api/.github/workflows/ci.yml@refs/heads/x"}),
            "job_workflow_ref",
            "--github-environment production --github-workflow ci.yml@refs/heads/x",
        ),
        (json!({"exp": NOW}), "exp", "request a new token"),
        (json!({"exp": null}), "exp", "request a new token"),
    ] {
        let misfits = misfits(&trust, changed.clone());
        let [(found, said)] = misfits.as_slice() else { panic!("{changed}: {misfits:?}") };
        assert_eq!(*found, claim, "{changed}");
        assert!(said.contains(fix), "{changed}: {said}");
    }
    // A list of audiences is enough if AWS is among them.
    assert_eq!(misfits(&trust, json!({"aud": ["somebody", "sts.amazonaws.com"]})), []);
}

#[test]
fn each_role_is_assumed_by_its_own_jobs_only() {
    let repository = repository();
    let workflow = Some("Octo/shop-api/.github/workflows/release.yml@refs/heads/main");
    let trust = Trust::of(&Pipeline { workflow, ..pipeline(&repository) });
    let jobs = [
        (json!({"sub": "repo:Octo/shop-api:pull_request", "environment": null}), Some(Level::Read)),
        (json!({"sub": "repo:Octo@7/shop-api@70:pull_request", "environment": null}), Some(Level::Read)),
        (json!({"sub": "repo:Octo/shop-api:ref:refs/heads/main", "environment": null}), Some(Level::Read)),
        (
            json!({"sub": "repo:Octo/shop-api:environment:production-plan", "environment": "production-plan"}),
            Some(Level::Plan),
        ),
        (json!({}), Some(Level::Release)),
        (json!({"sub": "repo:Octo/shop-api:ref:refs/heads/main2", "environment": null}), None),
        (json!({"sub": "repo:Octo/shop-api:ref:refs/tags/main", "environment": null}), None),
        (json!({"sub": "repo:Octo/other:pull_request", "environment": null}), None),
        (json!({"sub": "repo:Octo/shop-api:environment:staging", "environment": "staging"}), None),
        (json!({"exp": NOW}), None),
    ];
    for (changed, expected) in jobs {
        let findings = trust.check(&claims(changed.clone()), NOW, "live");
        for level in [Level::Read, Level::Plan, Level::Release] {
            assert_eq!(findings.may(level), expected == Some(level), "{changed} and {}", level.name());
        }
    }
    // A pull request has its own workflow; only one workflow plans and releases.
    let other = json!({"sub": "repo:Octo/shop-api:pull_request", "environment": null, "job_workflow_ref": "x"});
    assert_eq!(misfits_of(&trust, Level::Read, other), []);
    let other = json!({
        "sub": "repo:Octo/shop-api:environment:production-plan", "environment": "production-plan",
        "job_workflow_ref": "Octo/shop-api/.github/workflows/ci.yml@refs/heads/x",
    });
    let found = misfits_of(&trust, Level::Plan, other);
    assert!(found[0].1.contains("--plan-environment production-plan --github-workflow ci.yml@"), "{found:?}");
}

#[test]
fn who_may_look_is_told_how() {
    let repository = repository();
    let trust = Trust::of(&pipeline(&repository));
    for (sub, said) in [
        ("repo:Octo/shop-api:ref:refs/heads/trunk", "--default-branch trunk"),
        ("repo:Octo/shop-api:environment:production", "for jobs in no GitHub environment"),
        ("repo:octo/shop-api:pull_request", "upper and lower case count"),
    ] {
        let found = misfits_of(&trust, Level::Read, json!({"sub": sub}));
        let [("sub", fix)] = found.as_slice() else { panic!("{sub}: {found:?}") };
        assert!(fix.contains(said), "{sub}: {fix}");
    }
    assert_eq!((trust.repository(), trust.environment(Level::Read)), (Some("Octo/shop-api"), None));
    assert_eq!(trust.environment(Level::Plan), Some("production-plan"));
}

#[test]
fn claims_that_are_not_required_are_not_compared() {
    let parameters = [("Subjects", "repo:a/b:environment:c,repo:a@1/b@2:environment:c"), ("RepositoryId", "")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let trust = Trust::deployed(&parameters).unwrap();
    let changed = json!({"sub": "repo:a@1/b@2:environment:c", "repository_id": null, "environment": null});
    assert_eq!(misfits(&trust, changed), []);
    assert_eq!(Trust::deployed(&BTreeMap::new()), None);
}

#[test]
fn deployed_parameters_give_the_same_trust() {
    let repository = repository();
    let workflow = Some("Octo/shop-api/.github/workflows/release.yml@refs/heads/main");
    let trust = Trust::of(&Pipeline { workflow, ..pipeline(&repository) });
    let parameters = trust.parameters().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(Trust::deployed(&parameters), Some(trust));
}

#[test]
fn a_token_is_read_bare_and_from_githubs_response_and_never_shown() {
    let bare = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"sub":"a?>"}"#));
    for text in [bare.clone(), json!({"count": 1, "value": bare}).to_string()] {
        assert_eq!(Claims::read(&text).unwrap().text("sub"), "a?>");
    }
    for (text, why) in [
        ("", "three parts"),
        ("geheim", "three parts"),
        ("a.geheim!.c", "not base64"),
        ("a.Z2VoZWlt.c", "no JSON object"),
    ] {
        let error = Claims::read(text).unwrap_err();
        assert!(error.contains(why) && !error.contains("geheim"), "{error}");
    }
}

#[test]
fn a_repository_is_its_owner_and_name() {
    assert_eq!(repository(), Repository { owner: "Octo".to_owned(), name: "shop-api".to_owned() });
    for wrong in ["", "octo", "octo/", "/shop", "a/b/c", "a/*", "a,b/c", "https://github.com/a/b"] {
        assert!(wrong.parse::<Repository>().is_err(), "{wrong}");
    }
}
