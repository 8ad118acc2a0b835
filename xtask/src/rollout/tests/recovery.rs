//! What becomes of stacks that others leave dead, of precious resources, and of what is remembered.

use super::*;

/// peers: dead stacks.
#[tokio::test(start_paused = true)]
async fn a_dead_stack_is_deleted_and_created_again_in_the_same_run() {
    for status in ["ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED", "CREATE_FAILED"] {
        let model = Model::new(&[
            Some(status),
            Some("DELETE_IN_PROGRESS"),
            Some("DELETE_COMPLETE"),
            Some("CREATE_IN_PROGRESS"),
            Some("CREATE_COMPLETE"),
        ]);
        let report = deliver(&model, false, true, &Conduct::default()).await.unwrap();
        assert_eq!(report.change, Some(Change::Create), "{status}");
        assert_eq!(model.calls()[..2], ["DeleteStack", "CreateChangeSet CREATE"], "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn why_the_earlier_attempt_failed_is_told_before_a_dead_stack_is_given_up() {
    let events = &[
        ("Queue", "CREATE_FAILED", Some("Resource creation cancelled")),
        ("Gateway", "CREATE_FAILED", Some("the account has too many gateways")),
        ("Stack", "ROLLBACK_COMPLETE", None),
    ];
    let model = Model { dead: true, events, ..Model::new(&[Some("ROLLBACK_COMPLETE")]) };
    let failure = failure(&model).await;
    assert_eq!((failure.exit, failure.kind), (Exit::NeedsHuman, "stack-state"));
    assert_eq!(failure.reason.as_deref(), Some("the account has too many gateways"));
    assert!(model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_dead_stack_with_a_retained_resource_is_never_deleted() {
    let model = Model { retained: &["UserPool"], ..Model::new(&[Some("ROLLBACK_COMPLETE")]) };
    let failure = Failure::of(&deliver(&model, false, true, &Conduct::default()).await.err().unwrap());
    assert_eq!(failure.exit, Exit::NeedsHuman);
    assert!(failure.reason.unwrap().contains("UserPool would stay behind"));
    assert!(model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_operation_under_way_is_refused_when_so_told() {
    let model = Model::new(&[Some("UPDATE_IN_PROGRESS")]);
    let conduct = Conduct { no_follow: true, ..Conduct::default() };
    let failure = Failure::of(&deliver(&model, false, true, &conduct).await.err().unwrap());
    assert_eq!((failure.exit, failure.kind), (Exit::Failed, "in-progress"));
    assert!(model.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_replaced_user_pool_stops_a_release_unless_it_is_allowed_by_name() {
    let story = [Some("UPDATE_COMPLETE"), Some("UPDATE_IN_PROGRESS"), Some("UPDATE_COMPLETE")];
    let model = Model { changes: &[("AWS::Cognito::UserPool", "True")], ..Model::new(&story) };
    let refused = failure(&model).await;
    assert_eq!((refused.exit, refused.kind), (Exit::Failed, "guard"));
    assert_eq!(model.calls(), ["CreateChangeSet UPDATE", "DeleteChangeSet"]);

    let model = Model { changes: &[("AWS::Cognito::UserPool", "True")], ..Model::new(&story) };
    let conduct = Conduct { allow: vec!["Thing".to_owned()], ..Conduct::default() };
    assert_eq!(deliver(&model, false, false, &conduct).await.unwrap().change, Some(Change::Update));
}

#[tokio::test(start_paused = true)]
async fn each_release_is_recorded_once_and_the_lock_given_back() {
    let model = Model::new(&[None, Some("CREATE_IN_PROGRESS"), Some("CREATE_COMPLETE")]);
    assert_eq!(roll(&model, false).await.unwrap().release, Some(1));
    let left = |model: &Model| model.journal.lock().unwrap().keys().cloned().collect::<Vec<_>>();
    let names = left(&model);
    assert!(names[0].starts_with("/xtask/rest-api-dev/inputs/") && names[0].ends_with("-end"), "{names:?}");
    assert_eq!(names[1..], ["/xtask/rest-api-dev/releases"]);
    // The same again changes and records nothing.
    let again = Model { current: true, ..model.clone() };
    let report = roll(&again, false).await.unwrap();
    assert_eq!((report.change, report.release), (Some(Change::None), None));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_was_killed_after_the_stack_changed_is_recorded_by_the_next_run() {
    let model = Model { current: true, ..Model::new(&[Some("UPDATE_COMPLETE")]) };
    let report = roll(&model, false).await.unwrap();
    assert_eq!((report.change, report.release), (Some(Change::None), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_release_that_is_rolled_back_is_recorded_with_its_cause() {
    let events = &[("EC2Instance", "CREATE_FAILED", Some("Received 1 FAILURE signal(s)"))];
    let story = [Some("UPDATE_COMPLETE"), Some("UPDATE_IN_PROGRESS"), Some("UPDATE_ROLLBACK_COMPLETE")];
    let model = Model { events, ..Model::new(&story) };
    assert_eq!(failure(&model).await.exit, Exit::RolledBack);
    let journal = model.journal.lock().unwrap();
    let record = &journal["/xtask/rest-api-dev/releases"][0];
    assert!(record.contains("rolled-back") && record.contains("Received 1 FAILURE signal(s)"), "{record}");
    assert!(!journal.contains_key("/xtask/rest-api-dev/lock"));
}

const CRASHING: &[(&str, &str, Option<&str>)] =
    &[("Service", "UPDATE_IN_PROGRESS", None), ("Stack", "UPDATE_ROLLBACK_IN_PROGRESS", Some("User Initiated"))];

fn crashing(end: &'static str) -> Model {
    let story = ["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", end].map(Some);
    Model { events: CRASHING, ..Model::new(&story) }
}

#[tokio::test(start_paused = true)]
async fn an_update_that_can_only_fail_is_cancelled_with_yes() {
    let model = crashing("UPDATE_ROLLBACK_COMPLETE");
    let failure = Failure::of(&deliver(&model, false, true, &Conduct::default()).await.err().unwrap());
    assert_eq!((failure.exit, failure.kind), (Exit::RolledBack, "rolled-back"));
    assert_eq!(failure.resource.as_deref(), Some("Service (AWS::ECS::Service)"));
    assert!(failure.reason.unwrap().contains("circuit breaker"));
    assert_eq!(model.calls()[2..], ["CancelUpdateStack"]);
}

#[tokio::test(start_paused = true)]
async fn an_update_that_can_only_fail_is_not_cancelled_unasked() {
    let model = crashing("UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(failure(&model).await.exit, Exit::RolledBack);
    assert!(!model.calls().iter().any(|call| call == "CancelUpdateStack"), "{:?}", model.calls());
}

/// The stack, and the rest of what a command on it needs.
async fn stuck(model: &Model) -> (model::Scene, Stack, Ui) {
    let scene = model.scene(false).await;
    let stack = scene.ready.seen.stack.clone().unwrap();
    (scene, stack, Ui::silent())
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_got_stuck_goes_on_without_what_is_given_up_by_name() {
    let story = ["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"].map(Some);
    let model = Model::new(&story);
    let (scene, stack, ui) = stuck(&model).await;
    let skip = ["Queue".to_owned()];
    let status = recover(&scene.ready.clients, &scene.environment, &stack, false, &skip, &ui).await.unwrap();
    assert_eq!(status, "UPDATE_ROLLBACK_COMPLETE");
    assert_eq!(model.calls(), ["ContinueUpdateRollback [\"Queue\"]"]);
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_halted_half_way_is_rolled_back() {
    let model =
        Model::new(&[Some("UPDATE_FAILED"), Some("UPDATE_ROLLBACK_IN_PROGRESS"), Some("UPDATE_ROLLBACK_COMPLETE")]);
    let (scene, stack, ui) = stuck(&model).await;
    let status = recover(&scene.ready.clients, &scene.environment, &stack, true, &[], &ui).await.unwrap();
    assert_eq!((status.as_str(), model.calls()), ("UPDATE_ROLLBACK_COMPLETE", vec!["RollbackStack".to_owned()]));
}

#[tokio::test(start_paused = true)]
async fn a_rollback_that_sticks_again_needs_a_human() {
    let story = ["UPDATE_ROLLBACK_FAILED", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"].map(Some);
    let (scene, stack, ui) = stuck(&Model::new(&story)).await;
    let error = recover(&scene.ready.clients, &scene.environment, &stack, false, &[], &ui).await.unwrap_err();
    let failure = Failure::of(&error);
    assert_eq!(failure.exit, Exit::NeedsHuman);
    assert!(failure.hint.unwrap().contains("--skip LOGICAL_ID"));
}

#[tokio::test(start_paused = true)]
async fn what_is_under_way_is_cancelled_or_deleted() {
    for (story, call, end) in [
        (
            ["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"],
            "CancelUpdateStack",
            "UPDATE_ROLLBACK_COMPLETE",
        ),
        (["CREATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"], "DeleteStack", "DELETE_COMPLETE"),
    ] {
        let model = Model::new(&story.map(Some));
        let (scene, stack, ui) = stuck(&model).await;
        let status = turn_back(&scene.ready.clients, &scene.environment, &stack, &ui).await.unwrap();
        assert_eq!((status.as_str(), model.calls()), (end, vec![call.to_owned()]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_plan_whose_execution_was_rolled_back_is_not_replaced_by_another_change() {
    let model = Model::new(&[Some("UPDATE_IN_PROGRESS"), Some("UPDATE_ROLLBACK_COMPLETE")]);
    let ended = carry_out(&model, false, true, &Conduct::default(), true).await;
    assert_eq!(Failure::of(&ended.err().unwrap()).kind, "moved");
    assert!(model.calls().is_empty(), "{:?}", model.calls());
}
