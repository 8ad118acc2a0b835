//! `bootstrap`, in an account that has nothing yet, all of it, or resources of others.
use std::collections::BTreeMap;
use std::fs;

use insta::assert_snapshot;

use crate::fakes::{Fakes, REPOSITORY, World};
use crate::sandbox::Sandbox;
use crate::sources::root;

pub(super) const GITHUB: [&str; 6] = ["--github", "octo/shop", "--github-id", "70", "--owner-id", "7"];

/// An account whose stack, once there is one, has the outputs of the template.
pub(super) fn account() -> World {
    let roles = "arn:aws:iam::111122223333:role/xtask";
    let outputs = [
        ("DeployRoleArn", format!("{roles}/deploy")),
        ("ExecutionRoleArn", format!("{roles}/execution")),
        ("PlanRoleArn", format!("{roles}/plan")),
        ("ReadRoleArn", format!("{roles}/read")),
        ("PermissionsBoundaryArn", "arn:aws:iam::111122223333:policy/xtask/boundary".to_owned()),
        ("RepositoryUri", REPOSITORY.to_owned()),
    ];
    World { outputs: outputs.map(|(name, value)| (name.to_owned(), value)).into(), ..World::default() }
}

pub(super) fn sandbox(fakes: &Fakes) -> Sandbox {
    let sandbox = fakes.sandbox();
    sandbox.write("infra/bootstrap.yaml", &fs::read_to_string(root().join("infra/bootstrap.yaml")).unwrap());
    sandbox
}

pub(super) fn bootstrap(sandbox: &Sandbox, arguments: &[&str]) -> String {
    sandbox.run(&[&["bootstrap", "dev"], arguments].concat()).snapshot()
}

#[test]
fn the_first_time_and_the_second() {
    let fakes = Fakes::start(account());
    let sandbox = sandbox(&fakes);
    let all = [&GITHUB[..], &["--api-gateway-logs"]].concat();
    assert_snapshot!(bootstrap(&sandbox, &[&all[..], &["--dry-run"]].concat()), @r"
    exit 0
    --- stdout
    create stack rest-api-dev-bootstrap of infra/bootstrap.yaml
    repository rest-api: made by this stack
    identity provider token.actions.githubusercontent.com: made by this stack
    logging of API Gateway: made by this stack
    read role for repo:octo/shop:pull_request and repo:octo@7/shop@70:pull_request and repo:octo/shop:ref:refs/heads/main and repo:octo@7/shop@70:ref:refs/heads/main
    plan role for repo:octo/shop:environment:dev-plan and repo:octo@7/shop@70:environment:dev-plan
    deploy role for repo:octo/shop:environment:dev and repo:octo@7/shop@70:environment:dev
    execution role and permissions boundary for stack rest-api-dev
    ");
    assert_eq!(fakes.world().changes, 0, "a dry run changes nothing");
    assert!(!fakes.world().asked.iter().any(|action| action.contains("ChangeSet")));
    assert_snapshot!(bootstrap(&sandbox, &[&all[..], &["--yes"]].concat()), @r#"
    exit 0
    --- stdout
    deploy.toml:
    [environments.dev]
    account = "111122223333"
    execution_role = "arn:aws:iam::111122223333:role/xtask/execution"

    [environments.dev.parameters]
    PermissionsBoundary = "arn:aws:iam::111122223333:policy/xtask/boundary"

    the pipeline:
    gh api --method PUT repos/octo/shop/environments/dev-plan
    gh api --method PUT repos/octo/shop/environments/dev
    gh variable set AWS_READ_ROLE_ARN_DEV --repo octo/shop --body arn:aws:iam::111122223333:role/xtask/read
    gh variable set AWS_ROLE_ARN --repo octo/shop --env dev --body arn:aws:iam::111122223333:role/xtask/deploy
    gh variable set AWS_ROLE_ARN --repo octo/shop --env dev-plan --body arn:aws:iam::111122223333:role/xtask/plan
    --- stderr
      stack     ...
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
                CREATE_COMPLETE              rest-api-dev (AWS::CloudFormation::Stack)
    ok stack     rest-api-dev created ([time])
    "#);
    let made = fakes.world().parameters.clone();
    for (name, value) in [
        ("CreateApiGatewayLogging", "true"),
        ("CreateOidcProvider", "true"),
        ("CreateRepository", "true"),
        ("EnvironmentStack", "rest-api-dev"),
        ("RepositoryId", "70"),
        ("RolePrefix", "rest-api-dev-"),
        ("PlanEnvironment", "dev-plan"),
        ("PlanSubjects", "repo:octo/shop:environment:dev-plan,repo:octo@7/shop@70:environment:dev-plan"),
        ("Subjects", "repo:octo/shop:environment:dev,repo:octo@7/shop@70:environment:dev"),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    // Now the account has all of it, made by this stack.
    {
        let mut world = fakes.world();
        (world.provider, world.logging_role) = (true, Some("arn:aws:iam::111122223333:role/logging"));
        world.repository = Some(BTreeMap::new());
    }
    let again = sandbox.run(&["bootstrap", "dev", "--yes", "--json"]);
    again.json();
    assert_snapshot!(again.snapshot(), @r#"
    exit 0
    --- stdout
    {"ok":true,"environment":"dev","stack":"rest-api-dev-bootstrap","change":"none","outputs":{"ApiGatewayURL":"http://127.0.0.1:[port]/live","DeployRoleArn":"arn:aws:iam::111122223333:role/xtask/deploy","ExecutionRoleArn":"arn:aws:iam::111122223333:role/xtask/execution","PermissionsBoundaryArn":"arn:aws:iam::111122223333:policy/xtask/boundary","PlanRoleArn":"arn:aws:iam::111122223333:role/xtask/plan","ReadRoleArn":"arn:aws:iam::111122223333:role/xtask/read","RepositoryUri":"111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api"},"variables":{"AWS_READ_ROLE_ARN_DEV":"arn:aws:iam::111122223333:role/xtask/read","AWS_ROLE_ARN":"arn:aws:iam::111122223333:role/xtask/deploy"},"phases":[{"name":"preflight","seconds":0,"skipped":false},{"name":"stack","seconds":0,"skipped":true}],"seconds":0}
    --- stderr
      stack     ...
    -- stack     rest-api-dev is already current ([time])
    "#);
    let world = fakes.world();
    assert_eq!((world.changes, &world.parameters), (1, &made));
}

#[test]
fn existing_resources_of_the_account_are_left_alone() {
    let logging_role = Some("arn:aws:iam::111122223333:role/logging");
    let fakes = Fakes::start(World { provider: true, repository: Some(BTreeMap::new()), logging_role, ..account() });
    let sandbox = sandbox(&fakes);
    let of_github = ["--github", "octo/shop", "--github-environment", "live", "--plan-environment", "review"];
    let arguments = [&of_github[..], &["--default-branch", "trunk/1", "--api-gateway-logs", "--yes"]].concat();
    assert_snapshot!(bootstrap(&sandbox, &arguments), @r#"
    exit 0
    --- stdout
    deploy.toml:
    [environments.dev]
    account = "111122223333"
    execution_role = "arn:aws:iam::111122223333:role/xtask/execution"

    [environments.dev.parameters]
    PermissionsBoundary = "arn:aws:iam::111122223333:policy/xtask/boundary"

    the pipeline:
    gh api --method PUT repos/octo/shop/environments/review
    gh api --method PUT repos/octo/shop/environments/live
    gh variable set AWS_READ_ROLE_ARN_DEV --repo octo/shop --body arn:aws:iam::111122223333:role/xtask/read
    gh variable set AWS_ROLE_ARN --repo octo/shop --env live --body arn:aws:iam::111122223333:role/xtask/deploy
    gh variable set AWS_ROLE_ARN --repo octo/shop --env review --body arn:aws:iam::111122223333:role/xtask/plan
    --- stderr
      stack     ...
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
                CREATE_COMPLETE              rest-api-dev (AWS::CloudFormation::Stack)
    ok stack     rest-api-dev created ([time])
    warning: only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: add --github-id and --owner-id, or see with --check-token
    API Gateway logs with arn:aws:iam::111122223333:role/logging already
    "#);
    let made = fakes.world().parameters.clone();
    for name in ["CreateApiGatewayLogging", "CreateOidcProvider", "CreateRepository"] {
        assert_eq!(made[name], "false", "{name}");
    }
    assert_eq!(made["ReadSubjects"], "repo:octo/shop:pull_request,repo:octo/shop:ref:refs/heads/trunk/1");
    assert_eq!(made["PlanSubjects"], "repo:octo/shop:environment:review");
}

#[test]
fn bootstrap_stops_where_a_call_is_denied() {
    let fakes = Fakes::start(World { denied: Some("GetOpenIDConnectProvider"), ..account() });
    let sandbox = sandbox(&fakes);
    assert_snapshot!(bootstrap(&sandbox, &["--yes"]), @r"
    exit 1
    --- stderr
      preflight ...
    !! preflight not finished ([time])
    error: iam:GetOpenIDConnectProvider failed
      resource: arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com
      reason: AccessDenied: releaser is not authorized to perform it
      next: allow iam:GetOpenIDConnectProvider for this role or user
    ");
    fakes.world().denied = Some("CreateChangeSet");
    assert_snapshot!(bootstrap(&sandbox, &["--yes"]), @r"
    exit 1
    --- stderr
      stack     ...
    !! stack     not finished ([time])
    error: cloudformation:CreateChangeSet failed
      resource: stack rest-api-dev-bootstrap
      reason: AccessDenied: releaser is not authorized to perform it
      next: allow cloudformation:CreateChangeSet for this role or user
    ");
    assert_snapshot!(bootstrap(&sandbox, &[]), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: Change stack rest-api-dev-bootstrap in eu-central-1, which says who may release to dev and what that may do?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
    assert_snapshot!(bootstrap(&sandbox, &["--github", "octo", "--yes"]), @r"
    exit 2
    --- stderr
    error: invalid value 'octo' for '--github <OWNER/REPO>': a repository is OWNER/REPO

    For more information, try '--help'.
    ");
    assert_eq!(fakes.world().changes, 0);
}

#[test]
fn a_failure_speaks_of_its_own_stack() {
    let fakes = Fakes::start(World { ending: crate::fakes::Ending::RolledBack, ..account() });
    let sandbox = sandbox(&fakes);
    let failed = bootstrap(&sandbox, &["--yes"]);
    assert_snapshot!(failed, @r"
    exit 4
    --- stderr
      stack     ...
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_FAILED                Gateway (AWS::ApiGateway::RestApi)  the account has too many gateways
                ROLLBACK_COMPLETE            rest-api-dev (AWS::CloudFormation::Stack)
    !! stack     not finished ([time])
    error: stack rest-api-dev-bootstrap could not be created; what had been created is gone (ROLLBACK_COMPLETE)
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1
      next: fix the cause, then repeat cargo xtask bootstrap dev; aws cloudformation describe-stack-events --region eu-central-1 --stack-name rest-api-dev-bootstrap shows the whole of it
    ");
    assert!(!failed.contains("destroy") && !failed.contains("cargo xtask release"), "{failed}");
}
