//! `bootstrap`, in an account that has nothing yet, all of it, or resources of others.
use std::collections::BTreeMap;
use std::fs;

use insta::assert_snapshot;

use crate::fakes::{Fakes, REPOSITORY, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};
use crate::sources::root;

pub(super) const GITHUB: [&str; 6] = ["--github", "octo/shop", "--github-id", "70", "--owner-id", "7"];

/// The stack of the pipeline's roles.
pub(super) const PIPELINE: &str = "rest-api-dev-pipeline";

/// An account whose two stacks, once there are any, have the outputs of the templates.
pub(crate) fn account() -> World {
    let outputs = |outputs: &[(&str, &str)]| {
        outputs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let roles = World {
        name: Some(PIPELINE),
        no_url: true,
        outputs: outputs(&[
            ("DeployRoleArn", "arn:aws:iam::111122223333:role/xtask/deploy"),
            ("PlanRoleArn", "arn:aws:iam::111122223333:role/xtask/plan"),
            ("ReadRoleArn", "arn:aws:iam::111122223333:role/xtask/read"),
        ]),
        ..World::default()
    };
    World {
        no_url: true,
        outputs: outputs(&[
            ("ExecutionRoleArn", "arn:aws:iam::111122223333:role/xtask/execution"),
            ("PermissionsBoundaryArn", "arn:aws:iam::111122223333:policy/xtask/boundary"),
            ("RepositoryUri", REPOSITORY),
        ]),
        others: [(PIPELINE, roles)].into(),
        ..World::default()
    }
}

pub(super) fn sandbox(fakes: &Fakes) -> Sandbox {
    let sandbox = fakes.sandbox();
    for name in ["infra/bootstrap.yaml", "infra/pipeline.yaml"] {
        sandbox.write(name, &fs::read_to_string(root().join(name)).unwrap());
    }
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
    bucket for templates of more than 51,200 bytes: made by this stack
    logging of API Gateway: made by this stack
    execution role and permissions boundary for stack rest-api-dev
    create stack rest-api-dev-pipeline of infra/pipeline.yaml
    identity provider token.actions.githubusercontent.com: made by this stack
    read role for repo:octo/shop:pull_request and repo:octo@7/shop@70:pull_request and repo:octo/shop:ref:refs/heads/main and repo:octo@7/shop@70:ref:refs/heads/main
    plan role for repo:octo/shop:environment:dev-plan and repo:octo@7/shop@70:environment:dev-plan
    deploy role for repo:octo/shop:environment:dev and repo:octo@7/shop@70:environment:dev
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
    gh api --method PUT repos/octo/shop/environments/dev-plan -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
    gh api --method POST repos/octo/shop/environments/dev-plan/deployment-branch-policies -f type=branch -f 'name=main'
    gh api --method PUT repos/octo/shop/environments/dev -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
    gh api --method POST repos/octo/shop/environments/dev/deployment-branch-policies -f type=branch -f 'name=main'
    gh variable set AWS_READ_ROLE_ARN_DEV --repo octo/shop --body arn:aws:iam::111122223333:role/xtask/read
    gh variable set AWS_ROLE_ARN --repo octo/shop --env dev --body arn:aws:iam::111122223333:role/xtask/deploy
    gh variable set AWS_ROLE_ARN --repo octo/shop --env dev-plan --body arn:aws:iam::111122223333:role/xtask/plan
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev created ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev-pipeline created ([time])
    "#);
    let made = fakes.world().parameters.clone();
    for (name, value) in [
        ("CreateApiGatewayLogging", "true"),
        ("CreateRepository", "true"),
        ("CreateTemplatesBucket", "true"),
        ("EnvironmentStack", "rest-api-dev"),
        ("RolePrefix", "rest-api-dev-"),
    ] {
        assert_eq!(made[name], value, "{name}");
    }
    let trusted = fakes.world().others[PIPELINE].parameters.clone();
    for (name, value) in [
        ("CreateOidcProvider", "true"),
        ("EnvironmentStack", "rest-api-dev"),
        ("ExecutionRoleArn", "arn:aws:iam::111122223333:role/xtask/execution"),
        ("RepositoryId", "70"),
        ("ReadStackArns", "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-dev/*"),
        ("StackArns", "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-dev/*"),
        ("PlanEnvironment", "dev-plan"),
        ("PlanSubjects", "repo:octo/shop:environment:dev-plan,repo:octo@7/shop@70:environment:dev-plan"),
        ("Subjects", "repo:octo/shop:environment:dev,repo:octo@7/shop@70:environment:dev"),
    ] {
        assert_eq!(trusted[name], value, "{name}");
    }
    // Now the account has all of it, made by this stack.
    {
        let mut world = fakes.world();
        (world.provider, world.logging_role) = (true, Some("arn:aws:iam::111122223333:role/logging"));
        (world.repository, world.bucket) = (Some(BTreeMap::new()), Some(BTreeMap::new()));
    }
    let again = sandbox.run(&["bootstrap", "dev", "--yes", "--json"]);
    again.json();
    assert_snapshot!(again.snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"environment":"dev","stack":"rest-api-dev-bootstrap","change":"none","outputs":{"DeployRoleArn":"arn:aws:iam::111122223333:role/xtask/deploy","ExecutionRoleArn":"arn:aws:iam::111122223333:role/xtask/execution","PermissionsBoundaryArn":"arn:aws:iam::111122223333:policy/xtask/boundary","PlanRoleArn":"arn:aws:iam::111122223333:role/xtask/plan","ReadRoleArn":"arn:aws:iam::111122223333:role/xtask/read","RepositoryUri":"111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api"},"variables":{"AWS_READ_ROLE_ARN_DEV":"arn:aws:iam::111122223333:role/xtask/read","AWS_ROLE_ARN":"arn:aws:iam::111122223333:role/xtask/deploy"},"phases":[{"name":"preflight","seconds":0,"skipped":false},{"name":"stack","seconds":0,"skipped":true},{"name":"stack","seconds":0,"skipped":true}],"seconds":0}
    --- stderr
    -- stack     rest-api-dev-bootstrap is already current ([time])
    -- stack     rest-api-dev-pipeline is already current ([time])
    "#);
    let world = fakes.world();
    assert_eq!((world.changes, &world.parameters), (1, &made));
    assert_eq!((world.others[PIPELINE].changes, &world.others[PIPELINE].parameters), (1, &trusted));
}

#[test]
fn existing_resources_of_the_account_are_left_alone() {
    let logging_role = Some("arn:aws:iam::111122223333:role/logging");
    let (repository, bucket) = (Some(BTreeMap::new()), Some(BTreeMap::new()));
    let fakes = Fakes::start(World { provider: true, repository, bucket, logging_role, ..account() });
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
    gh api --method PUT repos/octo/shop/environments/review -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
    gh api --method POST repos/octo/shop/environments/review/deployment-branch-policies -f type=branch -f 'name=trunk/1'
    gh api --method PUT repos/octo/shop/environments/live -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
    gh api --method POST repos/octo/shop/environments/live/deployment-branch-policies -f type=branch -f 'name=trunk/1'
    gh variable set AWS_READ_ROLE_ARN_DEV --repo octo/shop --body arn:aws:iam::111122223333:role/xtask/read
    gh variable set AWS_ROLE_ARN --repo octo/shop --env live --body arn:aws:iam::111122223333:role/xtask/deploy
    gh variable set AWS_ROLE_ARN --repo octo/shop --env review --body arn:aws:iam::111122223333:role/xtask/plan
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev created ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev-pipeline created ([time])
    warning: only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: add --github-id and --owner-id, or see with --check-token
    API Gateway logs with arn:aws:iam::111122223333:role/logging already
    "#);
    let made = fakes.world().parameters.clone();
    for name in ["CreateApiGatewayLogging", "CreateRepository", "CreateTemplatesBucket"] {
        assert_eq!(made[name], "false", "{name}");
    }
    let trusted = fakes.world().others[PIPELINE].parameters.clone();
    assert_eq!(trusted["CreateOidcProvider"], "false");
    assert_eq!(trusted["ReadSubjects"], "repo:octo/shop:pull_request,repo:octo/shop:ref:refs/heads/trunk/1");
    assert_eq!(trusted["PlanSubjects"], "repo:octo/shop:environment:review");
}

/// A need agrees to be changed by the role that deploy.toml gives it; one without is only read.
#[test]
fn a_pipeline_changes_only_the_needs_that_share_its_role() {
    let fakes = Fakes::start(account());
    let sandbox = sandbox(&fakes);
    sandbox.write("infra/network.yaml", "Resources: {Vpc: {Type: AWS::EC2::VPC}}");
    let role = "execution_role = \"arn:aws:iam::111122223333:role/xtask/execution\"\n";
    let need = |name: &str, role: &str| {
        let place = "region = \"eu-central-1\"\ntemplate = \"infra/network.yaml\"";
        format!("[environments.{name}]\n{place}\nstack = \"{name}\"\n{role}")
    };
    let own = format!("{role}needs = [\"network\", \"shared\"]\nstack = \"rest-api-dev\"");
    let text = DEPLOY_TOML.replace("stack = \"rest-api-dev\"", &own) + &need("network", role) + &need("shared", "");
    sandbox.write("deploy.toml", &text);
    assert_eq!(sandbox.run(&[&["bootstrap", "dev", "--yes"], &GITHUB[..]].concat()).code, 0);
    let arn = |stack: &str| format!("arn:aws:cloudformation:eu-central-1:111122223333:stack/{stack}/*");
    let parameters = fakes.world().others[PIPELINE].parameters.clone();
    assert_eq!(parameters["StackArns"], [arn("rest-api-dev"), arn("network")].join(","));
    assert_eq!(parameters["ReadStackArns"], [arn("rest-api-dev"), arn("network"), arn("shared")].join(","));
}

/// CloudFormation takes a bucket that was deleted by other means for created, so it leaves the stack before it is created
/// again. Its removal, which the guard refuses elsewhere, needs no option.
#[test]
fn a_deleted_bucket_and_repository_are_created_again_by_the_second_run() {
    let fakes = Fakes::start(account());
    let sandbox = sandbox(&fakes);
    let exists = |exists: bool| {
        let mut world = fakes.world();
        world.provider = true;
        (world.repository, world.bucket) = (exists.then(BTreeMap::new), exists.then(BTreeMap::new));
    };
    let created = || {
        let world = fakes.world();
        ["CreateRepository", "CreateTemplatesBucket"].map(|name| world.parameters[name].clone())
    };
    assert_eq!(sandbox.run(&["bootstrap", "dev", "--yes"]).code, 0);
    assert_eq!(created(), ["true", "true"]);
    exists(true);
    assert_eq!(sandbox.run(&["bootstrap", "dev", "--yes"]).code, 0);
    assert_eq!(created(), ["true", "true"]);
    exists(false);
    let first = sandbox.run(&["bootstrap", "dev", "--yes"]);
    let warnings: Vec<&str> = first.stderr.lines().filter(|line| line.starts_with("warning:")).collect();
    let warning = |what: &str| {
        format!(
            "warning: stack rest-api-dev-bootstrap created {what}, which no longer exists. This run takes it out of the \
             stack and deletes nothing; run the command again to create it"
        )
    };
    assert_eq!(
        (first.code, warnings),
        (0, vec![&*warning("the image repository"), &*warning("the bucket for templates")])
    );
    assert_eq!(created(), ["false", "false"]);
    let second = sandbox.run(&["bootstrap", "dev", "--yes"]);
    assert_eq!((second.code, second.stderr.contains("warning")), (0, false), "{}", second.stderr);
    assert_eq!((created(), fakes.world().changes), (["true", "true"].map(str::to_owned), 3));
}

#[test]
fn bootstrap_stops_where_a_call_is_denied() {
    let fakes = Fakes::start(World { denied: Some("GetOpenIDConnectProvider"), ..account() });
    let sandbox = sandbox(&fakes);
    assert_snapshot!(bootstrap(&sandbox, &[&GITHUB[..], &["--yes"]].concat()), @r"
    exit 1
    --- stderr
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
    !! stack     not finished ([time])
    error: cloudformation:CreateChangeSet failed
      resource: stack rest-api-dev-bootstrap
      reason: AccessDenied: releaser is not authorized to perform it
      next: allow cloudformation:CreateChangeSet for this role or user
    ");
    assert_snapshot!(bootstrap(&sandbox, &[]), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: Change stack rest-api-dev-bootstrap in eu-central-1, which says what CloudFormation and the roles of dev may do?
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
fn without_github_there_is_one_stack_and_nothing_of_github_is_needed() {
    let fakes = Fakes::start(account());
    let sandbox = fakes.sandbox();
    sandbox.write("infra/bootstrap.yaml", &fs::read_to_string(root().join("infra/bootstrap.yaml")).unwrap());
    assert_snapshot!(bootstrap(&sandbox, &["--yes"]), @r#"
    exit 0
    --- stdout
    deploy.toml:
    [environments.dev]
    account = "111122223333"
    execution_role = "arn:aws:iam::111122223333:role/xtask/execution"

    [environments.dev.parameters]
    PermissionsBoundary = "arn:aws:iam::111122223333:policy/xtask/boundary"
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev created ([time])
    "#);
    let world = fakes.world();
    assert_eq!((world.changes, world.others[PIPELINE].changes), (1, 0));
    assert!(!world.asked.iter().any(|action| action == "iam:GetOpenIDConnectProvider"), "{:?}", world.asked);
}

/// Earlier versions had the pipeline's roles in the stack of `bootstrap`: they move in two runs, between which both work.
#[test]
fn the_roles_of_an_earlier_version_move_before_they_are_removed() {
    let old = BTreeMap::from([
        ("CreateOidcProvider", "true"),
        ("CreateRepository", "true"),
        ("EnvironmentStack", "rest-api-dev"),
        ("GitHubEnvironment", "dev"),
        ("Subjects", "repo:octo/shop:environment:dev"),
    ]);
    let old: BTreeMap<String, String> = old.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let fakes = Fakes::start(World {
        stack: "CREATE_COMPLETE".to_owned(),
        template: "Resources: {DeployRole: {Type: AWS::IAM::Role}}".to_owned(),
        parameters: old.clone(),
        provider: true,
        repository: Some(BTreeMap::new()),
        ..account()
    });
    let sandbox = sandbox(&fakes);
    assert_snapshot!(bootstrap(&sandbox, &["--yes"]), @r#"
    exit 0
    --- stdout
    deploy.toml:
    [environments.dev]
    account = "111122223333"
    execution_role = "arn:aws:iam::111122223333:role/xtask/execution"

    [environments.dev.parameters]
    PermissionsBoundary = "arn:aws:iam::111122223333:policy/xtask/boundary"

    the pipeline:
    gh api --method PUT repos/octo/shop/environments/dev -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
    gh api --method POST repos/octo/shop/environments/dev/deployment-branch-policies -f type=branch -f 'name=main'
    gh variable set AWS_READ_ROLE_ARN_DEV --repo octo/shop --body arn:aws:iam::111122223333:role/xtask/read
    gh variable set AWS_ROLE_ARN --repo octo/shop --env dev --body arn:aws:iam::111122223333:role/xtask/deploy
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev-pipeline created ([time])
    warning: only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: add --github-id and --owner-id, or see with --check-token
    warning: stack rest-api-dev-bootstrap still has the roles that the pipeline takes now, and was not changed. Set the variables first, then repeat the command: it removes those roles
    "#);
    {
        let world = fakes.world();
        assert_eq!((world.changes, &world.parameters), (0, &old), "the stack with the roles is as it was");
        let moved = &world.others[PIPELINE].parameters;
        assert_eq!(
            (moved["Subjects"].as_str(), moved["GitHubEnvironment"].as_str()),
            (old["Subjects"].as_str(), "dev")
        );
        // The provider stays in the account, and belongs to neither.
        assert_eq!(moved["CreateOidcProvider"], "false");
    }
    assert_snapshot!(bootstrap(&sandbox, &["--yes"]), @r#"
    exit 0
    --- stdout
    deploy.toml:
    [environments.dev]
    account = "111122223333"
    execution_role = "arn:aws:iam::111122223333:role/xtask/execution"

    [environments.dev.parameters]
    PermissionsBoundary = "arn:aws:iam::111122223333:policy/xtask/boundary"

    the pipeline:
    gh api --method PUT repos/octo/shop/environments/dev -F 'deployment_branch_policy[protected_branches]=false' -F 'deployment_branch_policy[custom_branch_policies]=true'
    gh api --method POST repos/octo/shop/environments/dev/deployment-branch-policies -f type=branch -f 'name=main'
    gh variable set AWS_READ_ROLE_ARN_DEV --repo octo/shop --body arn:aws:iam::111122223333:role/xtask/read
    gh variable set AWS_ROLE_ARN --repo octo/shop --env dev --body arn:aws:iam::111122223333:role/xtask/deploy
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                UPDATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev updated ([time])
    -- stack     rest-api-dev-pipeline is already current ([time])
    warning: only the older form of sub is trusted; repositories made or renamed since July 2026 have the other: add --github-id and --owner-id, or see with --check-token
    "#);
    let world = fakes.world();
    assert_eq!((world.changes, world.others[PIPELINE].changes), (1, 1));
    assert!(!world.parameters.contains_key("Subjects"), "{:?}", world.parameters);
    assert_eq!(world.others[PIPELINE].parameters["Subjects"], old["Subjects"]);
}

#[test]
fn a_failure_of_the_second_stack_says_that_the_first_was_changed() {
    let mut world = account();
    world.others.get_mut(PIPELINE).unwrap().ending = crate::fakes::Ending::RolledBack;
    let fakes = Fakes::start(world);
    let sandbox = sandbox(&fakes);
    assert_snapshot!(bootstrap(&sandbox, &[&GITHUB[..], &["--yes"]].concat()), @r"
    exit 4
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev created ([time])
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_FAILED                Gateway (AWS::ApiGateway::RestApi)  the account has too many gateways
    !! stack     not finished ([time])
    error: stack rest-api-dev-pipeline could not be created; what had been created is gone (ROLLBACK_COMPLETE)
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev-pipeline%2F1
      note: stack rest-api-dev-bootstrap was changed before
      next: fix the cause, then repeat cargo xtask bootstrap dev; aws cloudformation describe-stack-events --region eu-central-1 --stack-name rest-api-dev-pipeline shows the whole of it
    ");
}

#[test]
fn a_failure_speaks_of_its_own_stack() {
    let fakes = Fakes::start(World { ending: crate::fakes::Ending::RolledBack, ..account() });
    let sandbox = sandbox(&fakes);
    let failed = bootstrap(&sandbox, &["--yes"]);
    assert_snapshot!(failed, @r"
    exit 4
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                CREATE_FAILED                Gateway (AWS::ApiGateway::RestApi)  the account has too many gateways
    !! stack     not finished ([time])
    error: stack rest-api-dev-bootstrap could not be created; what had been created is gone (ROLLBACK_COMPLETE)
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1
      next: fix the cause, then repeat cargo xtask bootstrap dev; aws cloudformation describe-stack-events --region eu-central-1 --stack-name rest-api-dev-bootstrap shows the whole of it
    ");
    assert!(!failed.contains("destroy") && !failed.contains("cargo xtask release"), "{failed}");
}

#[test]
fn the_boundary_gets_what_deploy_toml_gives_the_service() {
    let fakes = Fakes::start(account());
    let sandbox = sandbox(&fakes);
    let statements = r#"[{"Effect": "Allow", "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"}]"#;
    sandbox.write("infra/permissions.json", statements);
    // An output of a stack that need not be there yet is no obstacle.
    let own = "stack = \"rest-api-dev\"\npermissions = \"infra/permissions.json\"\nneeds = [\"database\"]\nsecrets = { A = \
               \"/secrets/rest-api-dev/A\", B = \"/shared/B\", C = \"{database.SecretArn}:password::\" }";
    let database =
        "[environments.database]\nregion = \"eu-central-1\"\nstack = \"database\"\ntemplate = \"infra/d.yaml\"\n";
    sandbox.write("deploy.toml", &(DEPLOY_TOML.replace("stack = \"rest-api-dev\"", own) + database));
    let ended = sandbox.run(&["bootstrap", "dev", "--yes", "--service-action", "s3:Get*"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let made = fakes.world().parameters.clone();
    assert_eq!(made["ServiceActions"], "s3:Get*,s3:PutObject");
    assert_eq!(made["SecretArns"], "arn:aws:ssm:eu-central-1:111122223333:parameter/shared/B");
    sandbox.write("infra/permissions.json", "[{\"Action\": \"s3:*\"}]");
    let refused = sandbox.run(&["bootstrap", "dev", "--yes"]);
    assert!(
        refused.code == 3 && refused.stderr.contains("the service's permissions cannot be used"),
        "{}",
        refused.stderr
    );
}
