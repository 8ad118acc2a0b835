//! A Systems Manager of one parameter, and those who want it.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ErrorMetadata;
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterOutput;
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::operation::put_parameter::{PutParameterError, PutParameterOutput};
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};

use super::*;
use crate::ui::Ui;

/// Version, value, and how long ago it was written.
type Stored = Arc<Mutex<Option<(i64, String, Duration)>>>;

fn client(stored: &Stored) -> Client {
    let store = Arc::clone(stored);
    let put = mock!(Client::put_parameter).then_compute_response(move |input| {
        let mut store = store.lock().unwrap();
        if store.is_some() && input.overwrite() != Some(true) {
            let error = ErrorMetadata::builder().code("ParameterAlreadyExists").build();
            return MockResponse::Error(PutParameterError::generic(error));
        }
        let version = store.as_ref().map_or(1, |(version, ..)| version + 1);
        *store = Some((version, input.value().unwrap().to_owned(), Duration::ZERO));
        MockResponse::Output(PutParameterOutput::builder().version(version).build())
    });
    let store = Arc::clone(stored);
    let get = mock!(Client::get_parameter).then_compute_response(move |_| match &*store.lock().unwrap() {
        Some((version, value, age)) => {
            let modified = DateTime::from(SystemTime::now() - *age);
            let parameter = Parameter::builder().version(*version).value(value).last_modified_date(modified).build();
            MockResponse::Output(GetParameterOutput::builder().parameter(parameter).build())
        }
        None => {
            let error = ErrorMetadata::builder().code("ParameterNotFound").build();
            MockResponse::Error(GetParameterError::generic(error))
        }
    });
    let store = Arc::clone(stored);
    let delete = mock!(Client::delete_parameter).then_compute_output(move |_| {
        *store.lock().unwrap() = None;
        DeleteParameterOutput::builder().build()
    });
    mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&put, &get, &delete])
}

fn environment() -> Environment {
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\n\
                template = \"t.yaml\"\n";
    config::deployment::Deployment::parse("deploy.toml", text).unwrap().environments["dev"].clone()
}

fn holder(id: &str) -> Holder {
    Holder::this_run(id, "arn:aws:iam::111122223333:user/releaser", "release", Some("0123456789abcdef"), None)
}

async fn try_take(stored: &Stored, id: &str, wait: bool) -> Result<Lock> {
    let ui = Ui::silent();
    let phase = ui.phase("lock");
    take(&client(stored), &environment(), holder(id), wait, &phase).await
}

/// Somebody on another machine, who was last heard of `age` ago.
fn other(age: Duration) -> Stored {
    let value = serde_json::to_string(&holder("other")).unwrap().replace("\"machine\":\"", "\"machine\":\"far away ");
    Arc::new(Mutex::new(Some((3, value, age))))
}

#[tokio::test(start_paused = true)]
async fn the_second_sees_who_holds_the_environment_and_stops() {
    let stored = other(Duration::from_secs(40));
    let failure = Failure::of(&try_take(&stored, "me", false).await.err().unwrap());
    assert_eq!((failure.exit, failure.kind), (Exit::Failed, "locked"));
    let reason = failure.reason.unwrap();
    for part in ["release of arn:aws:iam::111122223333:user/releaser", "commit 0123456789ab", "since 20", "40 s ago"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert!(failure.hint.unwrap().contains("--wait"));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_gets_it_when_it_is_given_back() {
    let stored = Stored::default();
    let first = try_take(&stored, "first", false).await.unwrap();
    let waiting = tokio::spawn({
        let stored = Arc::clone(&stored);
        async move { try_take(&stored, "second", true).await.map(|lock| lock.holder.id().to_owned()) }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!waiting.is_finished());
    assert_eq!(first.give_back().await, None);
    assert_eq!(waiting.await.unwrap().unwrap(), "second");
}

#[tokio::test(start_paused = true)]
async fn a_dead_holders_lock_expires() {
    let stored = other(LIFETIME + Duration::from_secs(1));
    let lock = try_take(&stored, "me", false).await.unwrap();
    lock.check().await.unwrap();
    assert_eq!(stored.lock().unwrap().as_ref().unwrap().0, 4);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_only_seems_dead_keeps_it() {
    let stored = other(LIFETIME * 2);
    let beating = Arc::clone(&stored);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Its clock, or ours, is wrong; but it lives.
        beating.lock().unwrap().as_mut().unwrap().0 += 1;
    });
    let failure = Failure::of(&try_take(&stored, "me", false).await.err().unwrap());
    assert_eq!(failure.kind, "locked");
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_process_that_was_killed_on_this_machine_does_not_block_the_next_run() {
    let mine = serde_json::to_value(holder("killed")).unwrap();
    let mut gone = mine.as_object().unwrap().clone();
    gone.insert("process".to_owned(), u32::MAX.into());
    let stored = Arc::new(Mutex::new(Some((1, serde_json::Value::Object(gone).to_string(), Duration::ZERO))));
    try_take(&stored, "me", false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_holder_keeps_it_alive_and_notices_its_loss() {
    let stored = Stored::default();
    let lock = try_take(&stored, "me", false).await.unwrap();
    tokio::time::sleep(Duration::from_secs(95)).await;
    assert_eq!(stored.lock().unwrap().as_ref().unwrap().0, 4, "three beats");
    lock.check().await.unwrap();
    let value = serde_json::to_string(&holder("thief")).unwrap();
    *stored.lock().unwrap() = Some((9, value, Duration::ZERO));
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(Failure::of(&lock.check().await.unwrap_err()).kind, "locked");
    // What is somebody else's stays.
    assert_eq!(lock.give_back().await, None);
    assert!(stored.lock().unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_the_first_try_is_not_somebody_else() {
    let value = serde_json::to_string(&holder("me")).unwrap();
    let stored = Arc::new(Mutex::new(Some((1, value, Duration::ZERO))));
    try_take(&stored, "me", false).await.unwrap();
}
