//! A service that can only fail is told within seconds, and one that works never is.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::primitives::DateTime;
use aws_sdk_ecs::types::{Container, Deployment, DeploymentRolloutState, HealthStatus, Task, TaskStopCode};
use tokio::time::{Duration, Instant};

use super::super::explain;
use super::world::{DEFINITION, Moment, SERVICE, STACK, START, Said, World};
use super::*;
use crate::stack::cause::Cause;
use crate::status::Ending;

const AT_WORK: Said = ("Service", "AWS::ECS::Service", SERVICE, "UPDATE_IN_PROGRESS", "");
const OLD: &str = "ecs-svc/1";
const NEW: &str = "ecs-svc/2";

fn deployment(id: &str, created: i64, failed: i32) -> Deployment {
    Deployment::builder()
        .id(id)
        .task_definition(DEFINITION)
        .created_at(DateTime::from_secs(START + created))
        .failed_tasks(failed)
        .rollout_state(DeploymentRolloutState::InProgress)
        .build()
}

fn stopped(id: &str, by: &str, code: TaskStopCode, reason: &str, exit: i32) -> Task {
    Task::builder()
        .task_arn(format!("arn:aws:ecs:eu-central-1:111122223333:task/cluster/{id}"))
        .task_definition_arn(DEFINITION)
        .started_by(by)
        .created_at(DateTime::from_secs(START + 2))
        .started_at(DateTime::from_secs(START + 2))
        .stopped_at(DateTime::from_secs(START + 3))
        .stop_code(code)
        .stopped_reason(reason)
        .containers(Container::builder().name("api").exit_code(exit).build())
        .build()
}

fn crashed(id: &str) -> Task {
    stopped(id, NEW, TaskStopCode::EssentialContainerExited, "Essential container in task exited", 3)
}

fn running(id: &str, health: HealthStatus) -> Task {
    let task = crashed(id).task_arn.unwrap();
    Task::builder().task_arn(task).started_by(NEW).last_status("RUNNING").health_status(health).build()
}

/// The service is being updated, with these tasks, for as long as anyone looks.
fn update(deployments: Vec<Deployment>, stopped: Vec<Task>, running: Vec<Task>) -> Vec<Moment> {
    let begin = Moment { status: "UPDATE_IN_PROGRESS", events: vec![AT_WORK], ..Moment::default() };
    let work = Moment { deployments, stopped, running, events: Vec::new(), ..begin.clone() };
    vec![begin, work]
}

/// As [`update`], and then well.
fn done(deployments: Vec<Deployment>, stopped: Vec<Task>, running: Vec<Task>) -> World {
    let mut moments = update(deployments, stopped, running);
    let work = moments.pop().unwrap();
    let end = Moment { status: "UPDATE_COMPLETE", ..Moment::default() };
    moments.extend(std::iter::repeat_n(work, 20));
    World::of([moments, vec![end]].concat())
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_told_within_seconds_with_exit_code_and_log() {
    let tasks = vec![crashed("a1"), crashed("b2")];
    let log = BTreeMap::from([("api/api/b2", vec!["cannot bind to port 80", "giving up"])]);
    let moments = update(vec![deployment(OLD, -9000, 0), deployment(NEW, 1, 0)], tasks, Vec::new());
    let world = World { log, ..World::of(moments) };
    let started = Instant::now();
    let Watched::Hopeless { cause, .. } = watched(&world).await else { panic!("it was waited for") };
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(
        cause.reason,
        "2 new tasks failed; Essential container in task exited; container api ended with exit code 3"
    );
    assert_eq!(cause.log, ["cannot bind to port 80", "giving up"]);
    let failure = cause.onto(plain(), Some(&template()));
    assert_eq!(failure.place.unwrap().line, 7);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_cannot_be_pulled_and_a_failed_rollout_are_hopeless() {
    let reason = "CannotPullContainerError: manifest unknown";
    let tasks = ["a1", "b2"].map(|id| stopped(id, NEW, TaskStopCode::TaskFailedToStart, reason, 0)).to_vec();
    let world = World::of(update(vec![deployment(NEW, 1, 0)], tasks, Vec::new()));
    assert!(matches!(watched(&world).await, Watched::Hopeless { cause, .. } if cause.reason.contains(reason)));

    let mut given_up = deployment(NEW, 1, 0);
    given_up.rollout_state = Some(DeploymentRolloutState::Failed);
    given_up.rollout_state_reason = Some("ECS deployment circuit breaker: tasks failed to start.".to_owned());
    let world = World::of(update(vec![given_up], Vec::new(), Vec::new()));
    assert!(
        matches!(watched(&world).await, Watched::Hopeless { cause, .. } if cause.reason.contains("circuit breaker"))
    );
}

#[tokio::test(start_paused = true)]
async fn tasks_that_ecs_counts_as_failed_are_enough() {
    let world = World::of(update(vec![deployment(NEW, 1, 2)], Vec::new(), Vec::new()));
    assert!(matches!(watched(&world).await, Watched::Hopeless { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_healthy_roll_is_never_called_hopeless() {
    let scaled_in = "Scaling activity initiated by (deployment ecs-svc/2)";
    let old = |id| stopped(id, OLD, TaskStopCode::ServiceSchedulerInitiated, scaled_in, 143);
    let tasks = vec![old("a1"), old("b2"), old("c3")];
    let healthy = vec![running("d4", HealthStatus::Healthy)];
    let world = done(vec![deployment(OLD, -9000, 5), deployment(NEW, 1, 0)], tasks, healthy);
    let Watched::Ended(followed) = watched(&world).await else { panic!("it was given up") };
    assert_eq!((followed.ending, followed.evidence.len()), (Ending::Done, 0));
}

#[tokio::test(start_paused = true)]
async fn crashes_of_an_earlier_deployment_do_not_count() {
    let old = |id| stopped(id, OLD, TaskStopCode::EssentialContainerExited, "Essential container in task exited", 1);
    let world = done(vec![deployment(OLD, -9000, 7), deployment(NEW, 1, 0)], vec![old("a1"), old("b2")], Vec::new());
    assert!(matches!(watched(&world).await, Watched::Ended(_)));
    // Nor before the new one has begun.
    let world = done(vec![deployment(OLD, -9000, 7)], vec![old("a1"), old("b2")], Vec::new());
    assert!(matches!(watched(&world).await, Watched::Ended(_)));
}

#[tokio::test(start_paused = true)]
async fn one_failure_and_those_before_a_task_that_works_are_chance() {
    let world = done(vec![deployment(NEW, 1, 1)], vec![crashed("a1")], Vec::new());
    assert!(matches!(watched(&world).await, Watched::Ended(_)));
    let works = vec![running("c3", HealthStatus::Healthy)];
    let world = done(vec![deployment(NEW, 1, 0)], vec![crashed("a1"), crashed("b2")], works);
    assert!(matches!(watched(&world).await, Watched::Ended(_)));
}

#[tokio::test(start_paused = true)]
async fn tasks_that_have_only_just_started_are_given_time_but_do_not_hide_a_crash_loop() {
    let young = vec![running("e5", HealthStatus::from("UNKNOWN"))];
    let two = vec![crashed("a1"), crashed("b2")];
    let world = done(vec![deployment(NEW, 1, 0)], two.clone(), young.clone());
    assert!(matches!(watched(&world).await, Watched::Ended(_)));
    let four = [two, vec![crashed("c3"), crashed("d4")]].concat();
    let world = World::of(update(vec![deployment(NEW, 1, 0)], four, young));
    assert!(matches!(watched(&world).await, Watched::Hopeless { .. }));
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_is_explained_by_what_made_it_hopeless() {
    let mut moments = update(vec![deployment(NEW, 1, 0)], vec![crashed("a1"), crashed("b2")], Vec::new());
    moments[1].status = "UPDATE_ROLLBACK_COMPLETE";
    moments[1].events = vec![("Service", "AWS::ECS::Service", SERVICE, "UPDATE_FAILED", "Resource update cancelled")];
    let world = World::of(moments);
    let ui = Ui::silent();
    let mut followed = to_end(&world.clients(), watch(false), &ui.phase("stack")).await.unwrap();
    let reason = "2 new tasks failed".to_owned();
    followed.evidence = vec![Cause { logical_id: "Service".to_owned(), reason, ..Cause::default() }];
    let failure = explain(&world.clients(), &environment(), None, STACK, &followed, plain()).await;
    assert_eq!(failure.reason.as_deref(), Some("2 new tasks failed"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_crashes_after_its_stack_is_done_is_noticed_too() {
    let mut moments = update(vec![deployment(NEW, 1, 0)], vec![crashed("a1"), crashed("b2")], Vec::new());
    moments[1].status = "UPDATE_COMPLETE";
    let world = World::of(moments.split_off(1));
    let clients = world.clients();
    let stack = stack::describe(&clients.cloudformation, STACK).await.unwrap().unwrap();
    let cause = stack::crash::crash(&clients, &stack, &|_| {}).await;
    assert!(cause.reason.contains("exit code 3"), "{}", cause.reason);
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_ask_ecs_is_told_once_and_the_stack_decides() {
    let tasks = vec![crashed("a1"), crashed("b2")];
    let denied = BTreeSet::from(["DescribeServices"]);
    let world = World { denied, ..done(vec![deployment(NEW, 1, 0)], tasks, Vec::new()) };
    let Watched::Ended(followed) = watched(&world).await else { panic!("it was given up") };
    assert_eq!(followed.ending, Ending::Done);
    let asked = world.asked.lock().unwrap().iter().filter(|call| **call == "DescribeServices").count();
    assert_eq!(asked, 1, "a denied call is not repeated");
}

#[tokio::test(start_paused = true)]
async fn what_a_rollback_removes_is_kept_from_before() {
    let tasks = vec![crashed("a1"), crashed("b2")];
    let mut moments = done(vec![deployment(NEW, 1, 0)], tasks, Vec::new()).moments;
    moments.pop();
    let reason = "Resource handler returned message: Error occurred during operation 'ECS Deployment Circuit Breaker'";
    let gone: Said = ("Service", "AWS::ECS::Service", SERVICE, "UPDATE_FAILED", reason);
    moments.push(Moment { status: "UPDATE_ROLLBACK_COMPLETE", events: vec![gone], ..Moment::default() });
    let log = BTreeMap::from([("api/api/b2", vec!["cannot bind to port 80"])]);
    let (_, failure) = explained(&World { log, ..World::of(moments) }).await;
    assert_eq!(failure.log, ["cannot bind to port 80"]);
    let told = failure.reason.unwrap();
    assert!(told.starts_with(reason) && told.contains("exit code 3"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn where_the_service_cannot_be_read_its_task_definition_tells_new_tasks_from_old() {
    let broken = BTreeSet::from(["DescribeServices", "DescribeTaskDefinition"]);
    let log = BTreeMap::from([("api/api/b2", vec!["giving up"]), ("api/api/other", vec!["fine"])]);
    let story = |definition: &'static str| {
        let mut moments = update(Vec::new(), vec![crashed("a1"), crashed("b2")], Vec::new());
        moments[0].events.insert(0, ("TaskDefinition", "AWS::ECS::TaskDefinition", definition, "CREATE_COMPLETE", ""));
        moments.push(Moment { status: "UPDATE_COMPLETE", ..Moment::default() });
        let work = moments[1].clone();
        moments.splice(1..1, std::iter::repeat_n(work, 9));
        World { broken: broken.clone(), log: log.clone(), ..World::of(moments) }
    };
    let Watched::Hopeless { cause, .. } = watched(&story(DEFINITION)).await else { panic!("it was waited for") };
    assert_eq!(cause.log, ["giving up"]);
    // These are the tasks of the release before.
    assert!(matches!(watched(&story("arn:…/api:8")).await, Watched::Ended(_)));
}

#[tokio::test(start_paused = true)]
async fn what_ecs_takes_back_by_itself_is_told_in_its_own_words() {
    let failed = ("Service", "AWS::ECS::Service", SERVICE, "UPDATE_FAILED", "the deployment was rolled back");
    let begin = Moment { status: "UPDATE_IN_PROGRESS", events: vec![AT_WORK], ..Moment::default() };
    let end = Moment { status: "UPDATE_ROLLBACK_COMPLETE", events: vec![failed], ..Moment::default() };
    let taken_back = Some(("Service deployment rolled back because an alarm went off", "rest-api-5xx"));
    let world = World { taken_back, ..World::of(vec![begin, end]) };
    let (_, failure) = explained(&world).await;
    let reason = failure.reason.unwrap();
    let expected = "the deployment was rolled back; ECS took the deployment back: Service deployment rolled back because \
                    an alarm went off; alarms went off: rest-api-5xx";
    assert_eq!(reason, expected);
}
