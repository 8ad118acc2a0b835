//! The finished tool beside a fake CloudFormation in real time: delays, lost responses, refusals and every state of a stack.
//!
//! Most of the time is spent waiting, so the cases of a test run side by side.
#![cfg(target_os = "linux")]

mod blue_green;
mod causes;
mod change_sets;
mod crashes;
mod credentials;
mod delays;
mod drift;
mod lost_answers;
mod recoveries;
mod rollouts;
mod services;
mod states;

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fakes::timeline::Timeline;
use crate::fakes::{DIGEST, Fakes, OTHER_DIGEST, REPOSITORY, World};
use crate::sandbox::{Ended, Sandbox};

const TEMPLATE: &str = "\
Parameters:
  ContainerURI: {Type: String}
Resources:
  Gateway: {Type: AWS::ApiGateway::RestApi}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: a b
  Service: {Type: AWS::ECS::Service}
Outputs:
  ApiGatewayURL: {Value: !Sub 'https://${Gateway}.example'}
";
const DEPLOY: [&str; 6] = ["deploy", "dev", "--image", IMAGE, "--no-smoke", "--yes"];
const IMAGE: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api:v1";

fn image(digest: &str) -> String {
    format!("{REPOSITORY}@{digest}")
}

/// A stack in this state that runs the other image.
fn stack(status: &str) -> Timeline {
    Timeline::of(status, &image(OTHER_DIGEST), TEMPLATE)
}

/// Both images are in the registry: `v1` is the one to deploy.
fn world(timeline: Timeline) -> World {
    let tags = [("v1", DIGEST), ("v2", OTHER_DIGEST)];
    let repository = Some(tags.map(|(tag, digest)| (tag.to_owned(), digest.to_owned())).into());
    World { timeline: Some(timeline), repository, ..World::default() }
}

fn start(world: World) -> (Fakes, Sandbox) {
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    sandbox.write("infra/backend.yaml", TEMPLATE);
    (fakes, sandbox)
}

/// The result of a run.
struct After {
    ended: Ended,
    fakes: Fakes,
}

impl After {
    /// The true state of the stack.
    fn truth(&self) -> String {
        self.fakes.world().timeline.as_ref().unwrap().truth()
    }

    /// Calls that change the stack, in order.
    fn calls(&self) -> Vec<String> {
        self.fakes.world().timeline.as_ref().unwrap().calls.clone()
    }

    fn error(&self) -> Value {
        self.ended.json()["error"].clone()
    }

    /// Everything that the tool said.
    fn words(&self) -> String {
        format!("{}\n{}", self.ended.stdout, self.ended.stderr)
    }
}

/// Runs the tool beside `world`; no lock is left behind.
fn run(world: World, arguments: &[&str]) -> After {
    let (fakes, sandbox) = start(world);
    let ended = end(&sandbox, sandbox.start(arguments), 300);
    let locks: Vec<String> = fakes.world().journal.keys().filter(|name| name.ends_with("/lock")).cloned().collect();
    let faulty = !fakes.world().faults.is_empty();
    assert!(locks.is_empty() || faulty, "{locks:?} after {arguments:?}: {}", ended.stderr);
    After { ended, fakes }
}

fn deploy(world: World) -> After {
    run(world, &DEPLOY)
}

/// As [`deploy`], with the result as an object.
fn deploy_json(world: World) -> After {
    run(world, &[&DEPLOY[..], &["--json"]].concat())
}

/// Most of their time is spent waiting.
#[test]
fn slow_cases_run_in_parallel() {
    let cases: &[fn()] = &[
        delays::a_deployment_ends_as_its_stack_however_late_the_answers_are,
        delays::so_does_every_other_operation,
        delays::a_rollback_to_an_earlier_release_is_followed_too,
        lost_answers::a_proxys_answer_is_no_refusal,
        lost_answers::half_a_minute_of_throttling_delays_and_decides_nothing,
        lost_answers::a_change_set_whose_response_is_lost_is_found,
        lost_answers::an_answer_to_a_waiting_deployment_is_repeated_until_it_arrives,
        lost_answers::a_connection_that_is_cut_is_taken_up_with_the_same_token,
        services::tasks_that_cannot_be_placed_are_reported_in_ecs_words_within_seconds_and_at_the_end,
        crashes::a_crash_loop_is_reported_within_seconds_with_exit_code_and_log,
        crashes::a_deployment_that_can_only_fail_is_given_up,
        crashes::a_healthy_roll_is_never_called_hopeless,
        crashes::a_deployment_that_may_still_succeed_is_not_given_up,
        crashes::without_permission_for_ecs_one_note_is_shown_and_the_stack_decides,
        crashes::without_the_service_new_tasks_are_recognised_by_their_task_definition,
        crashes::an_update_that_can_only_fail_is_cancelled_only_with_yes,
        change_sets::a_change_set_that_is_not_shown_at_first_is_waited_for,
        change_sets::one_that_stays_pending_is_said_and_can_be_interrupted,
        blue_green::an_answer_that_is_refused_leaves_the_end_to_the_stack_and_is_given_once,
        blue_green::a_run_that_finds_another_release_waiting_leaves_it_alone,
    ];
    side_by_side(cases, |case| case());
}

/// Waits for the end, which must come.
fn end(sandbox: &Sandbox, mut tool: Child, seconds: u64) -> Ended {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while tool.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            tool.kill().unwrap();
            let output = tool.wait_with_output().unwrap();
            panic!("no end within {seconds} s: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    sandbox.end(tool)
}

/// Runs all cases side by side, a few of them at a time in the part that needs the processor.
fn side_by_side<T: Send + Sync>(cases: &[T], case: impl Fn(&T) + Sync) {
    std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .enumerate()
            .map(|(number, it)| {
                let case = &case;
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(150) * u32::try_from(number).unwrap());
                    case(it);
                })
            })
            .collect();
        let failed = threads.into_iter().map(|thread| thread.join()).filter(Result::is_err).count();
        assert_eq!(failed, 0, "cases that failed: see above");
    });
}
