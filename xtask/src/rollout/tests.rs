//! Every state and failure of a stack that no emulator reaches, on modelled answers.

mod gate;
mod model;
mod recovery;

use anyhow::Result;

use super::*;
use crate::cli::{Color, Conduct, Global, Proof};
use crate::delivery::{self, Delivery};
use crate::report::{Change, Report};
use crate::ui::Terminal;
use model::{EMPTY_MESSAGES, Model, Scene};

/// A whole delivery against the model, but for the proof; nobody can be asked anything.
async fn roll(model: &Model, protected: bool) -> Result<Report> {
    deliver(model, protected, false, &Conduct::default()).await
}

async fn deliver(model: &Model, protected: bool, yes: bool, conduct: &Conduct) -> Result<Report> {
    carry_out(model, protected, yes, conduct, false).await
}

async fn carry_out(model: &Model, protected: bool, yes: bool, conduct: &Conduct, planned: bool) -> Result<Report> {
    let proof = Proof { smoke_url: None, no_smoke: true, registry: None };
    prove(model.scene(protected).await, yes, conduct, planned, &proof).await
}

async fn prove(scene: Scene, yes: bool, conduct: &Conduct, planned: bool, proof: &Proof) -> Result<Report> {
    let global = Global { json: false, quiet: true, yes, color: Color::Never, verbose: false };
    let ui = Ui::new(global, Terminal { stdin: false, stderr: false, stdout: false, no_color: true, job: false });
    let wanted = Wanted {
        environment: &scene.environment,
        image: format!("example.com/rest-api@sha256:{}", "a".repeat(64)).parse().unwrap(),
        template: scene.ready.template.clone(),
        origin: Origin::Settings(&scene.context.deployment.service),
    };
    let delivery = Delivery {
        context: &scene.context,
        ready: &scene.ready,
        wanted,
        proof,
        conduct,
        doing: "release".to_owned(),
        commit: None,
        back_to: None,
        keep_failed: false,
        planned,
        ui: &ui,
    };
    delivery::deliver(&delivery).await?;
    Ok(scene.context.into_report())
}

async fn failure(model: &Model) -> Failure {
    match roll(model, false).await {
        Ok(report) => panic!("it succeeded: {:?}", report.change),
        Err(error) => Failure::of(&error),
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_stack_is_created_with_rollback_said_aloud() {
    let model = Model::new(&[None, Some("CREATE_IN_PROGRESS"), Some("CREATE_COMPLETE")]);
    let report = roll(&model, false).await.unwrap();
    assert_eq!((report.change, report.release), (Some(Change::Create), Some(1)));
    assert_eq!(report.outputs.unwrap()["ApiGatewayURL"], "https://api.example.com/production");
    assert_eq!(model.calls(), ["CreateChangeSet CREATE", "ExecuteChangeSet disable_rollback=Some(false)"]);
}

#[tokio::test(start_paused = true)]
async fn a_stack_in_review_is_created() {
    let model = Model::new(&[Some("REVIEW_IN_PROGRESS"), Some("CREATE_COMPLETE")]);
    assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::Create));
    assert_eq!(model.calls()[0], "CreateChangeSet CREATE");
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_has_template_and_parameters_is_left_alone() {
    let model = Model { current: true, ..Model::new(&[Some("UPDATE_COMPLETE")]) };
    assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::None));
    assert!(model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn both_messages_of_an_empty_change_set_are_success_and_leave_none_behind() {
    for message in EMPTY_MESSAGES {
        let model = Model { change_set_reason: Some(message), ..Model::new(&[Some("UPDATE_COMPLETE")]) };
        assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::None));
        assert_eq!(model.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_set_says_why_and_is_deleted() {
    let reason = "Parameters: [Zone] must have values";
    let model = Model { change_set_reason: Some(reason), ..Model::new(&[Some("UPDATE_COMPLETE")]) };
    let failure = failure(&model).await;
    assert_eq!((failure.exit, failure.reason.as_deref()), (Exit::Failed, Some(reason)));
    assert_eq!(model.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_rolls_back_names_the_first_real_cause() {
    let model = Model {
        events: &[
            ("Queue", "CREATE_FAILED", Some("Resource creation cancelled")),
            ("EC2Instance", "CREATE_FAILED", Some("Received 1 FAILURE signal(s)")),
            ("Stack", "UPDATE_ROLLBACK_IN_PROGRESS", Some("The following resource(s) failed")),
        ],
        ..Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_IN_PROGRESS"), Some("UPDATE_ROLLBACK_COMPLETE")])
    };
    let failure = failure(&model).await;
    assert_eq!((failure.exit, failure.kind), (Exit::RolledBack, "rolled-back"));
    assert_eq!(failure.resource.as_deref(), Some("EC2Instance (AWS::Test::Thing)"));
    assert_eq!(failure.reason.as_deref(), Some("Received 1 FAILURE signal(s)"));
}

#[tokio::test(start_paused = true)]
async fn rolling_back_to_nothing_is_a_failure_that_names_the_way_out() {
    let model = Model::new(&[None, Some("ROLLBACK_IN_PROGRESS"), Some("ROLLBACK_COMPLETE")]);
    let failure = failure(&model).await;
    assert_eq!(failure.exit, Exit::RolledBack);
    assert!(failure.message.contains("could not be created"), "{failure}");
    assert!(failure.hint.unwrap().contains("repeat the command with --yes"));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_fails_needs_a_human() {
    let model = Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_ROLLBACK_FAILED")]);
    assert_eq!(failure(&model).await.exit, Exit::NeedsHuman);
}

#[tokio::test(start_paused = true)]
async fn states_that_take_no_release_are_refused_before_anything_is_asked() {
    for (status, way_out) in [
        ("ROLLBACK_COMPLETE", "--yes"),
        ("DELETE_FAILED", "cargo xtask destroy dev"),
        ("CREATE_FAILED", "--yes"),
        ("UPDATE_FAILED", "cargo xtask recover dev"),
        ("UPDATE_ROLLBACK_FAILED", "--skip LOGICAL_ID"),
    ] {
        let model = Model::new(&[Some(status)]);
        let failure = failure(&model).await;
        assert_eq!(failure.exit, Exit::NeedsHuman, "{status}");
        assert!(failure.hint.unwrap().contains(way_out), "{status}");
        assert!(model.calls().is_empty(), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_followed_to_its_end_first() {
    let model = Model::new(&[
        Some("UPDATE_IN_PROGRESS"),
        Some("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"),
        Some("UPDATE_COMPLETE"),
        Some("UPDATE_COMPLETE"),
        Some("UPDATE_IN_PROGRESS"),
        Some("UPDATE_COMPLETE"),
    ]);
    assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::Update));
    assert_eq!(model.calls().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_comes_as_an_error_of_the_call_is_a_rollback_all_the_same() {
    let model = Model {
        execute_error: Some(("ValidationError", "the stack is UPDATE_ROLLBACK_COMPLETE: no such subnet")),
        ..Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_ROLLBACK_COMPLETE")])
    };
    let failure = failure(&model).await;
    assert_eq!(failure.exit, Exit::RolledBack);
    assert!(failure.reason.unwrap().contains("no such subnet"));
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_the_execution_is_looked_up() {
    let model = Model {
        execute_error: Some(("InternalFailure", "connection closed")),
        ..Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_IN_PROGRESS"), Some("UPDATE_COMPLETE")])
    };
    assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::Update));
}

#[tokio::test(start_paused = true)]
async fn a_denied_execution_is_not_taken_for_an_older_rollback() {
    let model = Model {
        execute_error: Some(("AccessDenied", "not for you")),
        ..Model::new(&[Some("UPDATE_ROLLBACK_COMPLETE")])
    };
    let failure = failure(&model).await;
    assert_eq!((failure.exit, failure.kind), (Exit::Failed, "aws"));
}

#[tokio::test(start_paused = true)]
async fn another_releases_deployment_is_not_taken_for_ours() {
    let model = Model {
        taken: true,
        execute_error: Some(("InvalidChangeSetStatus", "the change set is OBSOLETE")),
        ..Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_IN_PROGRESS"), Some("UPDATE_COMPLETE")])
    };
    let failure = failure(&model).await;
    assert_eq!((failure.exit, failure.kind), (Exit::NeedsHuman, "superseded"));
}

#[tokio::test(start_paused = true)]
async fn a_look_that_comes_too_early_is_not_the_end() {
    // An event of the same look may be younger than the state.
    for events in [&[][..], &[("Stack", "UPDATE_IN_PROGRESS", Some("User Initiated"))]] {
        let model = Model {
            events,
            ..Model::new(&[
                Some("UPDATE_ROLLBACK_COMPLETE"),
                Some("UPDATE_ROLLBACK_COMPLETE"),
                Some("UPDATE_IN_PROGRESS"),
                Some("UPDATE_COMPLETE"),
            ])
        };
        assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::Update));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_finished_work_is_success() {
    let model = Model {
        execute_error: Some(("InternalFailure", "connection closed")),
        events: &[("Stack", "UPDATE_COMPLETE", None)],
        ..Model::new(&[Some("UPDATE_COMPLETE")])
    };
    assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::Update));
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_someone_deletes_meanwhile_is_gone() {
    let model = Model::new(&[Some("UPDATE_COMPLETE"), Some("DELETE_IN_PROGRESS"), Some("DELETE_COMPLETE")]);
    let failure = failure(&model).await;
    assert_eq!((failure.exit, failure.kind), (Exit::NeedsHuman, "gone"));
}

#[tokio::test(start_paused = true)]
async fn events_that_cannot_be_read_decide_nothing() {
    let model = Model { events_denied: true, ..Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_COMPLETE")]) };
    assert_eq!(roll(&model, false).await.unwrap().change, Some(Change::Update));
}

#[tokio::test(start_paused = true)]
async fn a_protected_stack_is_not_changed_unasked() {
    let model = Model::new(&[Some("UPDATE_COMPLETE")]);
    let Err(error) = roll(&model, true).await else { panic!("it was changed") };
    assert_eq!(Failure::of(&error).kind, "confirmation");
    assert_eq!(model.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);

    let model = Model::new(&[Some("UPDATE_COMPLETE"), Some("UPDATE_COMPLETE")]);
    let report = deliver(&model, true, true, &Conduct::default()).await.unwrap();
    assert_eq!(report.change, Some(Change::Update));
}
