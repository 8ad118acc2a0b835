//! A deployment that waits for its proof: what it is told, and what the user is. No emulator has such a pause.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use wiremock::matchers::{header, header_exists, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::model::Waiting;
use super::*;

const SECRET: &str = "JyV9nobodyGuessesThis";
const EXECUTED: &str = "ExecuteChangeSet disable_rollback=Some(false)";
const TEMPLATE: &str = "
Metadata: {Release: {Proof: {Service: Service, Secret: ProofSecret, Header: X-Release-Proof}}}
Parameters: {ContainerURI: {Type: String}}
Outputs: {ApiGatewayURL: {Value: x}}
";

/// A service at work in a stack that is updated and comes to this end.
fn model(end: &'static str, waiting: Waiting) -> Model {
    let statuses = ["UPDATE_COMPLETE", "UPDATE_IN_PROGRESS", end].map(Some);
    Model {
        events: &[("Service", "UPDATE_IN_PROGRESS", None)],
        retained: &["ProofSecret"],
        template: TEMPLATE,
        waiting: Some(waiting),
        ..Model::new(&statuses)
    }
}

/// A pause that ends in half an hour.
fn patient() -> Waiting {
    Waiting { expires: now() + 1800, refusal: None }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

async fn run(model: &Model, server: Option<&MockServer>, conduct: &Conduct) -> Result<Report, Failure> {
    let mut scene = model.scene(false).await;
    let uri = server.map_or("http://127.0.0.1:1".to_owned(), MockServer::uri);
    scene.ready.clients = scene.ready.clients.with_signed_at(&uri);
    let smoke_url = server.map(MockServer::uri);
    let proof = Proof { no_smoke: smoke_url.is_none(), smoke_url, registry: None };
    prove(scene, false, conduct, false, &proof).await.map_err(|error| Failure::of(&error))
}

/// AWS with the secret, and a service whose new tasks say they run `new` to whoever knows it, as to all others in the end.
async fn serving(new: &str) -> MockServer {
    let server = MockServer::start().await;
    let version = |digest: &str| ResponseTemplate::new(200).set_body_json(json!({"digest": digest}));
    let secret = ResponseTemplate::new(200).set_body_json(json!({"SecretString": SECRET}));
    Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue")).respond_with(secret).mount(&server).await;
    let to_us = Mock::given(path("/version")).and(header("x-release-proof", SECRET));
    to_us.respond_with(version(new)).mount(&server).await;
    let closed = ResponseTemplate::new(403);
    Mock::given(header_exists("x-release-proof")).and(path("/closed")).respond_with(closed).mount(&server).await;
    Mock::given(path("/version")).respond_with(version("sha256:old")).up_to_n_times(1).mount(&server).await;
    Mock::given(path("/version")).respond_with(version(new)).mount(&server).await;
    Mock::given(path("/")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    server
}

fn wanted() -> String {
    format!("sha256:{}", "a".repeat(64))
}

#[tokio::test]
async fn what_is_proved_goes_on() {
    let model = model("UPDATE_COMPLETE", patient());
    let server = serving(&wanted()).await;
    let report = run(&model, Some(&server), &Conduct::default()).await.unwrap();
    assert_eq!(model.calls(), ["CreateChangeSet UPDATE", EXECUTED, "CONTINUE hook-1"]);
    assert_eq!(report.smoke.unwrap().served_digest, Some(wanted()), "it is proved to users too");
    let asked = server.received_requests().await.unwrap();
    let with = asked.iter().filter(|request| request.headers.contains_key("x-release-proof")).count();
    assert_eq!(with, 10, "five rounds of two questions knew the secret");
}

#[tokio::test]
async fn another_digest_goes_back_and_is_told() {
    // The pause has little time left, so the patience is short.
    let waiting = Waiting { expires: now() + 22, ..patient() };
    let model = model("UPDATE_ROLLBACK_COMPLETE", waiting);
    let server = serving("sha256:another").await;
    let failure = run(&model, Some(&server), &Conduct::default()).await.unwrap_err();
    assert_eq!(model.calls(), ["CreateChangeSet UPDATE", EXECUTED, "ROLLBACK hook-1"]);
    assert_eq!((failure.exit, failure.kind), (Exit::RolledBack, "rolled-back"));
    let reason = format!("the new tasks answer sha256:another, {} was deployed", wanted());
    assert_eq!(failure.reason, Some(reason));
    assert!(
        failure.message.starts_with("the new tasks do not run the image that was deployed; stack rest-api-dev"),
        "{failure}"
    );
    assert!(failure.message.contains("the previous release runs"), "{failure}");
    assert!(!format!("{failure:?}").contains(SECRET));
}

#[tokio::test]
async fn what_does_not_answer_goes_back_and_what_it_says_is_told_without_the_secret() {
    let model = model("UPDATE_ROLLBACK_COMPLETE", Waiting { expires: now() + 21, ..patient() });
    let server = MockServer::start().await;
    let secret = ResponseTemplate::new(200).set_body_json(json!({"SecretString": SECRET}));
    Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue")).respond_with(secret).mount(&server).await;
    // A service that shows what it was sent.
    let echo = |request: &wiremock::Request| {
        ResponseTemplate::new(500).set_body_string(format!("{:?}", request.headers.get("x-release-proof")))
    };
    Mock::given(path("/")).respond_with(echo).mount(&server).await;
    let failure = run(&model, Some(&server), &Conduct::default()).await.unwrap_err();
    assert_eq!(model.calls()[2], "ROLLBACK hook-1");
    let reason = failure.reason.as_deref().unwrap();
    assert!(reason.contains("500") && reason.contains("***"), "{reason}");
    assert!(!format!("{failure:?}").contains(SECRET));
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_goes_back_at_once_and_is_told() {
    let model = model("UPDATE_ROLLBACK_COMPLETE", patient());
    let server = MockServer::start().await;
    let denied = json!({"__type": "AccessDeniedException", "message": "not for you"});
    Mock::given(path("/")).respond_with(ResponseTemplate::new(400).set_body_json(denied)).mount(&server).await;
    let failure = run(&model, Some(&server), &Conduct::default()).await.unwrap_err();
    assert_eq!(model.calls()[2], "ROLLBACK hook-1");
    assert!(failure.message.starts_with("secretsmanager:GetSecretValue failed; stack"), "{failure}");
    assert_eq!(failure.resource.as_deref(), Some("secret ProofSecret"));
}

#[tokio::test(start_paused = true)]
async fn without_a_smoke_test_it_goes_on_unproved() {
    let model = model("UPDATE_COMPLETE", patient());
    run(&model, None, &Conduct::default()).await.unwrap();
    assert_eq!(model.calls()[2], "CONTINUE hook-1");
}

#[tokio::test(start_paused = true)]
async fn a_first_deployment_goes_on_since_it_has_no_users() {
    let waiting = Some(patient());
    let events = &[("Service", "CREATE_IN_PROGRESS", None)];
    let statuses = [None, Some("CREATE_IN_PROGRESS"), Some("CREATE_COMPLETE")];
    let model = Model { events, waiting, template: TEMPLATE, ..Model::new(&statuses) };
    run(&model, None, &Conduct::default()).await.unwrap();
    assert_eq!(model.calls(), ["CreateChangeSet CREATE", EXECUTED, "CONTINUE hook-1"]);
}

#[tokio::test(start_paused = true)]
async fn on_the_way_back_it_goes_on_for_that_was_proved_before() {
    let back = "UPDATE_ROLLBACK_IN_PROGRESS";
    let statuses = ["UPDATE_COMPLETE", back, "UPDATE_ROLLBACK_COMPLETE"].map(Some);
    let model = Model { statuses: Model::new(&statuses).statuses, ..model("", patient()) };
    let failure = run(&model, None, &Conduct::default()).await.unwrap_err();
    assert_eq!((failure.exit, model.calls()[2].as_str()), (Exit::RolledBack, "CONTINUE hook-1"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_refused_leaves_the_end_to_the_stack() {
    let denied = Some(("AccessDeniedException", "not for you"));
    let taken = Some(("InvalidParameterException", "the hook is not awaiting action"));
    for (refusal, end, exit) in
        [(denied, "UPDATE_ROLLBACK_COMPLETE", Some(Exit::RolledBack)), (taken, "UPDATE_COMPLETE", None)]
    {
        let model = model(end, Waiting { refusal, ..patient() });
        let ended = run(&model, None, &Conduct::default()).await;
        assert_eq!(ended.as_ref().err().map(|failure| failure.exit), exit);
        assert_eq!(model.calls().iter().filter(|call| call.starts_with("CONTINUE")).count(), 1, "it is said once");
        if let Err(failure) = ended {
            let told = failure.notes.iter().any(|note| note.contains("ecs:ContinueServiceDeployment failed"));
            assert!(told, "{:?}", failure.notes);
        }
    }
}

#[tokio::test]
async fn a_run_that_finds_its_own_release_waiting_takes_it_up() {
    let model = Model { current: true, dead: true, ..model("UPDATE_COMPLETE", patient()) };
    *model.statuses.lock().unwrap() = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"].map(Some).into();
    let server = serving(&wanted()).await;
    run(&model, Some(&server), &Conduct::default()).await.unwrap();
    assert_eq!(model.calls(), ["CONTINUE hook-1"], "nothing is executed again");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_finds_another_release_waiting_leaves_it_alone() {
    let model = Model { dead: true, ..model("UPDATE_COMPLETE", patient()) };
    *model.statuses.lock().unwrap() = ["UPDATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"].map(Some).into();
    run(&model, None, &Conduct::default()).await.unwrap();
    assert_eq!(model.calls(), ["CreateChangeSet UPDATE", EXECUTED]);
}
