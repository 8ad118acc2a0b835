//! A service that can only fail is reported within seconds, and one that works never is.

use super::*;
use crate::fakes::evidence::{Evidence, GROUP};
use crate::fakes::faults::{Fault, Kind};
use crate::fakes::service::{ARN, DEFINITION, Deployment, NEW, OLD, Service, Stopped};
use crate::fakes::timeline::{End, ResourceEvent};

const SERVICE: &str = "AWS::ECS::Service";
const BEGUN: ResourceEvent = (0, "Service", SERVICE, ARN, "UPDATE_IN_PROGRESS", "");
const LOG_GROUP: (&str, &str, &str, &str) = ("LogGroup", "AWS::Logs::LogGroup", GROUP, "UPDATE_COMPLETE");

/// A service that is updated for `seconds`.
fn service(said: &[ResourceEvent], service: Service, end: End, seconds: u64) -> World {
    let said = [&[BEGUN], said].concat();
    let (step, resources) = (Duration::from_secs(seconds), vec![LOG_GROUP]);
    let timeline = Timeline { said, step, end, resources, ..stack("UPDATE_COMPLETE") };
    let log = [("api/api/b2", vec!["cannot bind to port 80", "giving up"]), ("api/api/other", vec!["fine"])].into();
    World { service: Some(service), evidence: Evidence { log, ..Evidence::default() }, ..world(timeline) }
}

fn crashed(ids: &[&'static str]) -> Vec<Stopped> {
    ids.iter().map(|id| Stopped::crashed(id)).collect()
}

fn old(id: &'static str) -> Stopped {
    Stopped { by: OLD, ..Stopped::crashed(id) }
}

/// The error of an update that is given up while the service still works.
fn is_given_up(service: World) -> Value {
    let after = deploy_json(service);
    let error = after.error();
    assert_eq!(after.ended.code, 4, "{}", after.words());
    assert!(after.calls().contains(&"CancelUpdateStack".to_owned()), "it was waited for: {}", after.words());
    assert_eq!(error["resource"], "Service (AWS::ECS::Service)");
    error
}

/// What ends an update that was given up says nothing of its cause.
const CANCELLED: ResourceEvent = (1, "Service", SERVICE, ARN, "UPDATE_FAILED", "Resource update cancelled");

pub(super) fn a_crash_loop_is_reported_within_seconds_with_exit_code_and_log() {
    let deployments = vec![Deployment::of(OLD), Deployment::of(NEW)];
    let state = Service { deployments, stopped: crashed(&["a1", "b2"]), ..Service::default() };
    let error = is_given_up(service(&[CANCELLED], state, End::RolledBack, 9));
    let reason = "2 new tasks failed; Essential container in task exited; container api ended with exit code 3";
    assert_eq!(error["reason"], reason);
    assert_eq!(error["log"], serde_json::json!(["cannot bind to port 80", "giving up"]));
    assert_eq!(error["place"], serde_json::json!({"file": "infra/backend.yaml", "line": 9}));
}

pub(super) fn a_deployment_that_can_only_fail_is_given_up() {
    let pull = "CannotPullContainerError: manifest unknown";
    let unpulled = |id| Stopped { code: "TaskFailedToStart", reason: pull, exit: 0, ..Stopped::crashed(id) };
    let given_up = Some("ECS deployment circuit breaker: tasks failed to start.");
    let of = |deployment| Service { deployments: vec![deployment], ..Service::default() };
    let cases = [
        (pull, Service { stopped: vec![unpulled("a1"), unpulled("b2")], ..Service::default() }),
        ("circuit breaker", of(Deployment { given_up, ..Deployment::of(NEW) })),
        // Tasks that ECS counts are enough.
        ("2 new tasks failed", of(Deployment { failed: 2, ..Deployment::of(NEW) })),
        // One that has only just started does not hide a crash loop.
        (
            "4 new tasks failed",
            Service {
                stopped: crashed(&["a1", "b2", "c3", "d4"]),
                running: vec![("e5", "UNKNOWN")],
                ..Service::default()
            },
        ),
    ];
    side_by_side(&cases, |(reason, state)| {
        let error = is_given_up(service(&[CANCELLED], state.clone(), End::RolledBack, 9));
        assert!(error["reason"].as_str().unwrap().contains(reason), "{reason}: {error}");
    });
}

/// Follows an update that ends well, whatever its tasks look like on the way.
fn goes_on(name: &str, world: World) -> After {
    let after = deploy_json(world);
    assert_eq!(after.ended.code, 0, "{name}: {}", after.words());
    assert!(!after.calls().contains(&"CancelUpdateStack".to_owned()), "{name}: {}", after.words());
    after
}

/// Whether ECS has answered for the service.
fn was_reported(after: &After) -> bool {
    after.fakes.world().asked.contains(&"ecs:DescribeServices".to_owned())
}

pub(super) fn a_healthy_roll_is_never_called_hopeless() {
    let reason = "Scaling activity initiated by (deployment ecs-svc/2)";
    let scaled_in = |id| Stopped { code: "ServiceSchedulerInitiated", reason, exit: 143, ..old(id) };
    let deployments = vec![Deployment { failed: 5, ..Deployment::of(OLD) }, Deployment::of(NEW)];
    let stopped = ["a1", "b2", "c3"].map(scaled_in).to_vec();
    let state = Service { deployments, stopped, running: vec![("d4", "HEALTHY")], ..Service::default() };
    let after = goes_on("a healthy roll", service(&[], state, End::Done, 5));
    assert!(was_reported(&after) && !after.words().contains("stopped"), "{}", after.words());
}

pub(super) fn a_deployment_that_may_still_succeed_is_not_given_up() {
    let before = Deployment { failed: 7, ..Deployment::of(OLD) };
    let cases = [
        (
            "crashes of an earlier deployment",
            Service {
                deployments: vec![before.clone(), Deployment::of(NEW)],
                stopped: vec![old("a1"), old("b2")],
                ..Service::default()
            },
        ),
        (
            "crashes before the new one has begun",
            Service { deployments: vec![before], stopped: vec![old("a1"), old("b2")], ..Service::default() },
        ),
        (
            "one failure is chance",
            Service {
                deployments: vec![Deployment { failed: 1, ..Deployment::of(NEW) }],
                stopped: crashed(&["a1"]),
                ..Service::default()
            },
        ),
        (
            "failures before a task that works",
            Service { stopped: crashed(&["a1", "b2"]), running: vec![("c3", "HEALTHY")], ..Service::default() },
        ),
        (
            "a task that has only just started",
            Service { stopped: crashed(&["a1", "b2"]), running: vec![("e5", "UNKNOWN")], ..Service::default() },
        ),
    ];
    side_by_side(&cases, |(name, state)| {
        let after = goes_on(name, service(&[], state.clone(), End::Done, 5));
        assert!(was_reported(&after), "{name}: {}", after.words());
    });
}

pub(super) fn without_permission_for_ecs_one_note_is_shown_and_the_stack_decides() {
    let state = Service { stopped: crashed(&["a1", "b2"]), ..Service::default() };
    let denied = Fault { times: 1, ..Fault::of(Kind::Denied, "DescribeServices") };
    let after = goes_on("denied", World { faults: vec![denied], ..service(&[], state, End::Done, 9) });
    assert_eq!(after.words().matches("the tasks of Service cannot be watched").count(), 1, "{}", after.words());
    assert!(!was_reported(&after), "a denied call is not repeated");
}

/// An emulator's answers cannot be read: new tasks are recognised by the template's task definition.
pub(super) fn without_the_service_new_tasks_are_recognised_by_their_task_definition() {
    side_by_side(&[true, false], |is_new| {
        let definition =
            if *is_new { DEFINITION } else { "arn:aws:ecs:eu-central-1:111122223333:task-definition/rest-api:8" };
        let task = (0, "Task", "AWS::ECS::TaskDefinition", definition, "CREATE_COMPLETE", "");
        let stopped = crashed(&["a1", "b2"]);
        let state = Service { is_unreadable: true, stopped, ..Service::default() };
        if *is_new {
            let error = is_given_up(service(&[task, CANCELLED], state, End::RolledBack, 9));
            assert_eq!(error["log"], serde_json::json!(["cannot bind to port 80", "giving up"]));
        } else {
            // These are the tasks of the release before.
            let after = goes_on("old tasks", service(&[task], state, End::Done, 5));
            assert_eq!(after.words().matches("cannot be read").count(), 1, "{}", after.words());
        }
    });
}

#[test]
fn status_says_how_many_tasks_run() {
    for (is_unreadable, tasks) in [(false, "2 of 3 running"), (true, "2 running; how many are wanted is not known")] {
        let running = vec![("t1", "HEALTHY"), ("t2", "HEALTHY")];
        let resources = vec![("Service", SERVICE, ARN, "UPDATE_COMPLETE")];
        let timeline = Timeline { resources, ..stack("UPDATE_COMPLETE") };
        let state = Service { running, is_unreadable, ..Service::default() };
        let after = run(World { service: Some(state), ..world(timeline) }, &["status", "dev"]);
        assert!(after.ended.stdout.contains(&format!("\ntasks        {tasks}\n")), "{}", after.ended.stdout);
    }
}

/// Cancelled with `--yes` or followed to its end without: what the rollback removes is kept from before.
pub(super) fn an_update_that_can_only_fail_is_cancelled_only_with_yes() {
    let state = Service { stopped: crashed(&["a1", "b2"]), is_removed: true, ..Service::default() };
    side_by_side(&[true, false], |yes| {
        let reason = "Error occurred during operation 'ECS Deployment Circuit Breaker'";
        let failed = (1, "Service", SERVICE, ARN, "UPDATE_FAILED", reason);
        let world = service(&[failed], state.clone(), End::RolledBack, 9);
        let arguments = if *yes { &DEPLOY[..] } else { &DEPLOY[..5] };
        let after = run(world, &[arguments, &["--json"]].concat());
        assert_eq!(after.ended.code, 4, "{}", after.words());
        let cancelled = after.calls().iter().any(|call| call == "CancelUpdateStack");
        assert_eq!(cancelled, *yes, "{}", after.words());
        let error = after.error();
        let state = error["reason"].as_str().unwrap();
        assert!(state.starts_with(reason) && state.contains("ended with exit code 3"), "{state}");
        assert_eq!(error["log"], serde_json::json!(["cannot bind to port 80", "giving up"]), "{error}");
    });
}

#[test]
fn a_service_that_crashes_after_its_stack_is_done_is_noticed_too() {
    let resources = vec![LOG_GROUP, ("Service", SERVICE, ARN, "UPDATE_COMPLETE")];
    let timeline = Timeline { resources, ..Timeline::of("UPDATE_COMPLETE", &image(DIGEST), TEMPLATE) };
    let state = Service { stopped: crashed(&["a1", "b2"]), ..Service::default() };
    let arguments = ["deploy", "dev", "--image", IMAGE, "--yes", "--json"];
    let after = run(World { service: Some(state), ..world(timeline) }, &arguments);
    let error = after.error();
    assert_eq!((after.ended.code, &error["kind"]), (5, &"not-answering".into()), "{}", after.words());
    assert!(error["reason"].as_str().unwrap().contains("exit code 3"), "{error}");
}

#[test]
fn a_rollback_by_ecs_is_reported_in_its_own_words() {
    let failed = (1, "Service", SERVICE, ARN, "UPDATE_FAILED", "the deployment was rolled back");
    let taken_back = Some(("Service deployment rolled back because an alarm went off", "rest-api-5xx"));
    let state = Service { taken_back, ..Service::default() };
    let after = deploy_json(service(&[failed], state, End::RolledBack, 1));
    let expected = "the deployment was rolled back; ECS rolled the deployment back: Service deployment rolled back \
                    because an alarm went off; alarms went off: rest-api-5xx";
    assert_eq!(after.error()["reason"], expected, "{}", after.words());
}
