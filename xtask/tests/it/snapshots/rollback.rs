//! `status`, `rollback`, `plan`, `apply`, `unlock` and the rest of what makes a release reversible.
#![cfg(target_os = "linux")]

use insta::assert_snapshot;

use crate::fakes::ssm::Version;
use crate::fakes::{DIGEST, Fakes, OTHER_DIGEST, REPOSITORY, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

/// Two releases of one image, which differ in a parameter.
fn released_twice(fakes: &Fakes) -> Sandbox {
    let sandbox = fakes.sandbox();
    assert_eq!(sandbox.run(&["release"]).code, 0);
    sandbox.write("deploy.toml", &DEPLOY_TOML.replace("name = \"rest-api\"\n", "name = \"rest-api\"\nport = 9090\n"));
    let second = sandbox.run(&["release", "--json"]).json();
    assert_eq!((&second["change"], &second["release"]), (&"update".into(), &2.into()), "{second}");
    sandbox
}

fn port(fakes: &Fakes) -> String {
    fakes.world().parameters["ContainerPort"].clone()
}

#[test]
fn one_goes_back_to_the_release_before_and_not_to_nothing() {
    let fakes = Fakes::start(World::default());
    let sandbox = released_twice(&fakes);
    assert_snapshot!(sandbox.run(&["status"]).snapshot(), @r"
    exit 0
    --- stdout
    environment  dev
    stack        rest-api-dev
    state        UPDATE_COMPLETE, [age] ago (2026-01-02T03:04:07Z)
    image        sha256:5891b5b522d5, commit 0123456789ab
    url          http://127.0.0.1:[port]/live
    release      2, [age] ago ([now]), succeeded, by user/releaser
    changed      parameters ContainerPort (compared with release 1)
    go back      cargo xtask rollback dev 1

    releases, newest first:
    runs    2  [now]  succeeded    5891b5b522d5, commit 0123456789ab
    back    1  [now]  succeeded    5891b5b522d5, commit 0123456789ab
    ");
    let dry = sandbox.run(&["rollback", "--dry-run"]);
    assert_eq!((dry.code, port(&fakes).as_str()), (0, "9090"));
    // What the work tree expects by now, an earlier release need not say.
    let expecting = |content: &str| {
        let settings = std::fs::read_to_string(sandbox.path().join("deploy.toml")).unwrap();
        let line = settings.lines().find(|line| line.starts_with("smoke_contains")).unwrap();
        sandbox.write("deploy.toml", &settings.replace(line, &format!("smoke_contains = '{content}'")));
    };
    expecting("Welcome, World!");
    assert_snapshot!(sandbox.run(&["rollback"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live
    --- stderr
    go back to release 1 of [now]: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
                [earlier times]
                UPDATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    ok stack     rest-api-dev updated ([time])
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    assert_eq!(port(&fakes), "8080");
    expecting("Hello, World!");
    assert_snapshot!(sandbox.run(&["rollback"]).snapshot(), @r"
    exit 1
    --- stderr
    error: there is no such release to go back to
      resource: stack rest-api-dev
      reason: no good release came before the one that runs
      next: cargo xtask status dev shows the releases one can go back to
    ");
    let status = sandbox.run(&["status", "--json"]).json();
    let numbers: Vec<(i64, bool)> = status["releases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|release| (release["number"].as_i64().unwrap(), release["running"] == true))
        .collect();
    assert_eq!(numbers, [(3, true), (2, false), (1, false)]);
    // By name one goes anywhere, also forward.
    assert_eq!(sandbox.run(&["rollback", "dev", "2"]).code, 0);
    assert_eq!(port(&fakes), "9090");
    assert_snapshot!(sandbox.run(&["rollback", "dev", "9"]).snapshot(), @r"
    exit 1
    --- stderr
    error: there is no such release to go back to
      resource: stack rest-api-dev
      reason: release 9 is not remembered
      next: cargo xtask status dev shows the releases one can go back to
    ");
}

#[test]
fn a_rollback_builds_and_pushes_nothing() {
    let fakes = Fakes::start(World::default());
    let sandbox = released_twice(&fakes);
    sandbox.remove("bin/cargo");
    fakes.world().asked.clear();
    assert_eq!(sandbox.run(&["rollback"]).code, 0);
    let asked = fakes.world().asked.clone();
    assert!(asked.iter().all(|call| !call.contains('/') && call != "ecr:GetAuthorizationToken"), "{asked:?}");
}

#[test]
fn a_plan_is_applied_exactly_or_refused() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["plan", "dev", "--out", "plan.json"]).snapshot(), @r"
    exit 0
    --- stdout
    plan.json
    --- stderr
                Add    Gateway (AWS::ApiGateway::RestApi)
                no change of the fixed monthly cost (about 0 USD)
    ok plan      1 change ([time])
    ");
    assert!(fakes.world().stack.is_empty(), "a plan changes no stack");
    let planned: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(sandbox.path().join("plan.json")).unwrap()).unwrap();
    assert_eq!((&planned["change"], &planned["changes"][0]["action"]), (&"create".into(), &"Add".into()));
    let applied = sandbox.run(&["apply", "plan.json", "--json"]).json();
    assert_eq!((&applied["change"], &applied["release"]), (&"create".into(), &1.into()));
    assert_eq!(applied["smoke"]["served_digest"], applied["digest"]);
    // Again, as after an interruption, it is found done.
    let again = sandbox.run(&["apply", "plan.json", "--json"]).json();
    assert_eq!((&again["change"], fakes.world().changes), (&"none".into(), 1), "{again}");
    // Where another deployment came first, it says so.
    sandbox.write("deploy.toml", &DEPLOY_TOML.replace("name = \"rest-api\"\n", "name = \"rest-api\"\nport = 9090\n"));
    assert_eq!(sandbox.run(&["plan", "dev", "--out", "later.json"]).code, 0);
    assert_eq!(sandbox.run(&["deploy", "dev", "--image", &format!("{REPOSITORY}@{OTHER_DIGEST}")]).code, 0);
    assert_snapshot!(sandbox.run(&["apply", "later.json"]).snapshot(), @r"
    exit 1
    --- stderr
    error: the plan does not hold any more; nothing was changed
      resource: stack rest-api-dev
      reason: image that runs: 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 when planned, 111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317 now
        change set arn:aws:cloudformation:eu-central-1:111122223333:changeSet/x/1: it cannot be executed any more, it is EXECUTE_COMPLETE
      next: cargo xtask plan dev --out FILE, and review that
    ");
    assert_eq!(fakes.world().changes, 2);
}

#[test]
fn a_plan_beside_a_template_that_moved_is_refused() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_eq!(sandbox.run(&["plan", "dev", "--out", "plan.json"]).code, 0);
    let template = std::fs::read_to_string(sandbox.path().join("infra/backend.yaml")).unwrap();
    sandbox.write("infra/backend.yaml", &(template + "# later\n"));
    let refused = sandbox.run(&["apply", "plan.json", "--json"]).json();
    assert_eq!(refused["error"]["kind"], "moved");
    assert!(refused["error"]["reason"].as_str().unwrap().contains("content of infra/backend.yaml"), "{refused}");
    assert_eq!(fakes.world().changes, 0);
}

#[test]
fn who_holds_the_environment_is_seen_and_can_be_overruled() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    let holder = r#"{"id":"1","by":"arn:aws:iam::111122223333:user/other","doing":"release","commit":"fedcba98765432100000",
        "run":"https://github.com/o/r/actions/runs/1","since":"2026-01-02T03:04:05Z","machine":"far away","process":1}"#;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    let lock = Version { value: holder.to_owned(), written: now, key: None };
    fakes.world().journal.insert("/xtask/rest-api-dev/lock".to_owned(), vec![lock]);
    let refused = sandbox.run(&["release", "--json"]).json();
    assert_eq!(refused["error"]["kind"], "locked");
    let reason = refused["error"]["reason"].as_str().unwrap();
    for part in ["user/other", "commit fedcba987654", "actions/runs/1", "since 2026-01-02T03:04:05Z"] {
        assert!(reason.contains(part), "{reason}");
    }
    // Nothing was built or changed for it.
    assert!(fakes.world().asked.iter().all(|call| !call.contains("push") && !call.contains("ChangeSet")));
    assert!(sandbox.run(&["status"]).stdout.contains("locked by"));
    assert_eq!(sandbox.run(&["destroy", "dev", "--yes"]).code, 1);
    assert_eq!(sandbox.run(&["unlock"]).code, 3, "nobody is there to be asked");
    assert_eq!(sandbox.run(&["unlock", "--yes"]).code, 0);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    assert!(!fakes.world().journal.contains_key("/xtask/rest-api-dev/lock"), "it is given back");
}

#[test]
fn there_is_nothing_to_cancel_recover_or_unlock_where_nothing_is_wrong() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_eq!(sandbox.run(&["release"]).code, 0);
    assert_snapshot!(sandbox.run(&["cancel", "--yes"]).snapshot(), @r"
    exit 1
    --- stderr
    error: no operation in progress can be cancelled
      resource: stack rest-api-dev
      next: cargo xtask status dev
    ");
    assert_snapshot!(sandbox.run(&["recover", "--yes"]).snapshot(), @r"
    exit 1
    --- stderr
    error: the stack needs no recovery
      resource: stack rest-api-dev
      reason: it is CREATE_COMPLETE
      next: cargo xtask release dev
    ");
    assert_snapshot!(sandbox.run(&["unlock", "--yes"]).snapshot(), @r"
    exit 0
    --- stdout
    the environment is not locked
    ");
}

#[test]
fn credentials_that_end_before_the_release_would_are_refused() {
    let fakes = Fakes::start(World::default());
    let soon = time::OffsetDateTime::now_utc() + time::Duration::seconds(30);
    let soon = soon.format(&time::format_description::well_known::Rfc3339).unwrap();
    let sandbox = fakes.sandbox().with("AWS_CREDENTIAL_EXPIRATION", &soon).with("AWS_SESSION_TOKEN", "token");
    let refused = sandbox.run(&["release", "--json"]);
    assert_eq!((refused.code, &refused.json()["error"]["kind"]), (3, &"preflight".into()), "{}", refused.stderr);
    assert!(refused.stderr.contains("end before the release would"), "{}", refused.stderr);
}

#[test]
fn images_that_run_or_that_one_can_go_back_to_are_never_removed() {
    let fakes = Fakes::start(World::default());
    let sandbox = released_twice(&fakes);
    fakes.world().old_images = [DIGEST, OTHER_DIGEST].map(str::to_owned).into();
    let dry = sandbox.run(&["prune", "--dry-run"]);
    assert_eq!((dry.code, fakes.world().old_images.len()), (0, 2));
    assert_snapshot!(sandbox.run(&["prune", "--yes"]).snapshot(), @r"
    exit 0
    --- stdout
    removed 1 of the images of rest-api, 1.0 MB
    --- stderr
    ok look      2 images, 1 of them needed or recent ([time])
       image rest-api@sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317
    ok lock      2 environments ([time])
    ok remove    1 image ([time])
    ");
    assert_eq!(fakes.world().old_images, [DIGEST]);
    assert_eq!(sandbox.run(&["rollback"]).code, 0, "its template and parameters are there too");
}
