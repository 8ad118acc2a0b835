//! Instances of an environment, and what reading and planning commands call at AWS.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;

use insta::assert_snapshot;

use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};
use crate::sources::root;

/// Settings with `preview`, of which there are many.
fn settings() -> String {
    format!(
        "{DEPLOY_TOML}\n[environments.preview]\nregion = \"eu-central-1\"\nstack = \"rest-api-preview\"\ntemplate = \
         \"infra/backend.yaml\"\ninstances = true\n"
    )
}

fn sandbox(fakes: &Fakes) -> Sandbox {
    let sandbox = fakes.sandbox();
    sandbox.write("deploy.toml", &settings());
    sandbox
}

#[test]
fn an_instance_has_a_stack_and_a_memory_of_its_own() {
    let fakes = Fakes::start(World { name: Some("rest-api-preview-pr-12"), ..World::default() });
    let sandbox = sandbox(&fakes);
    let status = sandbox.run(&["status", "preview/pr-12", "--json"]).json();
    assert_eq!((&status["environment"], &status["stack"]), (&"preview/pr-12".into(), &"rest-api-preview-pr-12".into()));
    let released = sandbox.run(&["release", "preview/pr-12", "--json"]).json();
    assert_eq!((&released["change"], &released["release"]), (&"create".into(), &1.into()), "{released}");
    let remembered: Vec<String> = fakes.world().journal.keys().cloned().collect();
    assert!(!remembered.is_empty());
    assert!(remembered.iter().all(|name| name.starts_with("/xtask/rest-api-preview-pr-12/")), "{remembered:?}");
    // A plan knows which one it is for.
    assert_eq!(sandbox.run(&["plan", "preview/pr-12", "--out", "plan.json"]).code, 0);
    let applied = sandbox.run(&["apply", "plan.json", "--json"]).json();
    let (environment, change) = (&applied["environment"], &applied["change"]);
    assert_eq!((environment, change), (&"preview/pr-12".into(), &"none".into()), "{applied}");
}

#[test]
fn an_instance_is_named_exactly_where_there_are_many() {
    let sandbox = Sandbox::new();
    sandbox.write("deploy.toml", &settings());
    assert_snapshot!(sandbox.run(&["release", "preview"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: "preview" is no environment
      resource: environments.preview in deploy.toml
      reason: there are many of it, each with a stack of its own
      next: say which, for example preview/pr-12
    "#);
    assert_snapshot!(sandbox.run(&["release", "dev/pr-12"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: "dev/pr-12" is no environment
      resource: environments.dev in deploy.toml
      reason: there is one of it
      next: use dev, or add instances = true to [environments.dev]
    "#);
    assert_snapshot!(sandbox.run(&["release", "preview/PR_12"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: "preview/PR_12" is no environment
      resource: environments.preview in deploy.toml
      reason: an instance is preview/ and 1 to 20 lower-case letters, digits and -
      next: name it after what it is for, for example preview/pr-12
    "#);
    assert_snapshot!(sandbox.run(&["release", "other/pr-12"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: there is no environment "other"
      resource: deploy.toml
      reason: it has dev, preview, production
      next: add [environments.other] or use one of these
    "#);
    assert_snapshot!(sandbox.run(&["bootstrap", "preview/pr-12", "--dry-run"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: there is no environment "preview/pr-12"
      resource: deploy.toml
      reason: it has dev, preview, production
      next: use preview: this is for all of its instances
    "#);
    let text = settings().replace("rest-api-production", "rest-api-preview-live");
    sandbox.write("deploy.toml", &text);
    assert_snapshot!(sandbox.run(&["iam-policy", "preview"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: deploy.toml cannot be used
      reason: deploy.toml: environments.production.stack is "rest-api-preview-live"; allowed: a stack that no instance of preview can be, whose stacks are rest-api-preview-*
      next: fix deploy.toml
    "#);
}

#[test]
fn bootstrap_and_policy_cover_all_instances() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes);
    sandbox.write("infra/bootstrap.yaml", &std::fs::read_to_string(root().join("infra/bootstrap.yaml")).unwrap());
    assert_snapshot!(sandbox.run(&["bootstrap", "preview", "--dry-run"]).snapshot(), @r"
    exit 0
    --- stdout
    create stack bootstrap-rest-api-preview of infra/bootstrap.yaml
    repository rest-api: made by this stack
    bucket for templates of more than 51,200 bytes: made by this stack
    logging of API Gateway: as it is
    execution role and permissions boundary for stacks rest-api-preview-*
    ");
    for (name, stack) in [("preview", "rest-api-preview-*"), ("preview/pr-12", "rest-api-preview-pr-12")] {
        let policy = sandbox.run(&["iam-policy", name, "--json"]).json().to_string();
        assert!(policy.contains(&format!(":stack/{stack}/*")), "{name}: {policy}");
        assert!(policy.contains(&format!(":parameter/xtask/{stack}/*")), "{name}: {policy}");
        assert_eq!(policy.matches("rest-api-preview-").count(), policy.matches(stack).count(), "{name}: {policy}");
    }
}

/// A stack that is complete.
fn there(name: &'static str) -> (&'static str, World) {
    (name, World { name: Some(name), stack: "UPDATE_COMPLETE".to_owned(), ..World::default() })
}

#[test]
fn only_instances_of_pull_requests_that_no_longer_ask_for_them_are_swept() {
    let names = [
        "rest-api-preview-pr-7",
        "rest-api-preview-pr-8",
        "rest-api-preview-pr-9",
        "rest-api-preview-pr-10",
        "rest-api-preview-pr-7-bootstrap",
        "rest-api-preview-own",
        "rest-api-production",
    ];
    let fakes = Fakes::start(World { others: names.map(there).into(), ..World::default() });
    let github = crate::fakes::serve(|request: &wiremock::Request| {
        let answer = |state: &str, label: &str| {
            let body = serde_json::json!({"state": state, "labels": [{"name": "documentation"}, {"name": label}]});
            wiremock::ResponseTemplate::new(200).set_body_json(body)
        };
        match request.url.path() {
            "/repos/octo/shop/pulls/7" => answer("closed", "preview"),
            "/repos/octo/shop/pulls/8" => answer("open", "preview"),
            "/repos/octo/shop/pulls/9" => answer("open", "wip"),
            _ => wiremock::ResponseTemplate::new(404),
        }
    });
    let sandbox = sandbox(&fakes)
        .with("GITHUB_API_URL", &github.uri())
        .with("GITHUB_REPOSITORY", "octo/shop")
        .with("GITHUB_TOKEN", "ghs_secret");
    let planned = sandbox.run(&["sweep", "preview", "--dry-run"]);
    assert_eq!(planned.stdout, "would remove stack rest-api-preview-pr-7\nwould remove stack rest-api-preview-pr-9\n");
    let ended = sandbox.run(&["sweep", "preview", "--yes", "--json"]);
    // That there is no such pull request is no reason to remove something.
    let warning = "warning: stack rest-api-preview-pr-10 is kept";
    assert!(ended.code == 1 && ended.stderr.contains(warning), "{}", ended.stderr);
    assert_eq!(ended.json()["removed"], serde_json::json!(["preview/pr-7", "preview/pr-9"]));
    let world = fakes.world();
    let left: Vec<&str> =
        world.others.iter().filter(|(_, other)| !other.stack.is_empty()).map(|(name, _)| *name).collect();
    assert_eq!(left.len(), 5, "{left:?}");
    drop(world);
    let refused = sandbox.run(&["sweep", "dev"]);
    assert!(refused.code == 2 && refused.stderr.contains("there is one of it"), "{}", refused.stderr);
}

#[test]
fn images_are_not_removed_while_their_use_is_unknown() {
    let fakes = Fakes::start(World { repository: Some([].into()), ..World::default() });
    let sandbox = sandbox(&fakes);
    assert_snapshot!(sandbox.run(&["prune", "dev", "--yes"]).snapshot(), @r"
    exit 1
    --- stderr
    error: the images that the environments need cannot be determined
      resource: environment preview
      reason: it has many instances, stacks rest-api-preview-*, and there is no list of them
      next: remove its instances, then leave it out of deploy.toml while the images are removed
    ");
    let kept = sandbox.run(&["destroy", "dev", "--images", "--yes", "--json"]).json();
    assert_eq!(kept["error"]["kind"], "instances", "{kept}");
    assert!(fakes.world().repository.is_some());
}

/// The actions that `iam-policy --for` prints.
fn allowed(sandbox: &Sandbox, level: &str) -> BTreeSet<String> {
    let policy = sandbox.run(&["iam-policy", "dev", "--for", level, "--json"]).json();
    let statements = policy["policy"]["Statement"].as_array().unwrap();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().unwrap());
    actions.map(|action| action.as_str().unwrap().to_owned()).collect()
}

#[test]
fn reading_and_planning_commands_need_only_their_permissions() {
    let fakes = Fakes::start(World::default());
    let sandbox = sandbox(&fakes);
    assert_eq!(sandbox.run(&["release", "dev"]).code, 0);
    sandbox.write("deploy.toml", &settings().replace("name = \"rest-api\"\n", "name = \"rest-api\"\nport = 9090\n"));
    for (level, command) in [
        ("read", &["status", "dev"][..]),
        ("read", &["events", "dev"]),
        ("read", &["diff", "dev"]),
        ("read", &["drift", "dev"]),
        ("release", &["doctor", "dev"]),
        ("plan", &["plan", "dev", "--out", "plan.json"]),
    ] {
        fakes.world().asked.clear();
        assert_eq!(sandbox.run(command).code, 0, "{command:?}");
        let asked: BTreeSet<String> = fakes.world().asked.iter().filter(|call| !call.contains('/')).cloned().collect();
        assert!(asked.len() > 2, "{command:?} asks {asked:?}");
        let beyond: Vec<String> = asked.difference(&allowed(&sandbox, level)).cloned().collect();
        assert!(beyond.is_empty(), "{command:?} asks what --for {level} has not: {beyond:?}");
    }
    let plan: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sandbox.path().join("plan.json")).unwrap()).unwrap();
    assert_eq!(plan["change"], "update", "the plan had something to propose");
}
