//! A fake of Systems Manager with one parameter, and several holders.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context as TaskContext, Poll, Waker};
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
use model::progress::unread;

/// The parameter's versions, and how long ago it was written.
#[derive(Default)]
struct Parameters {
    versions: Vec<String>,
    age: Duration,
    /// Whether Systems Manager does not answer.
    is_down: bool,
    /// What another holder writes right before the next overwriting call, after deleting the parameter or not.
    rival: Option<(bool, String)>,
}

type Stored = Arc<Mutex<Parameters>>;

fn client(stored: &Stored) -> Client {
    let down = || ErrorMetadata::builder().code("InternalServerError").build();
    let store = Arc::clone(stored);
    let put = mock!(Client::put_parameter).then_compute_response(move |input| {
        let mut store = store.lock().unwrap();
        if store.is_down {
            return MockResponse::Error(PutParameterError::generic(down()));
        }
        if let Some((deleted, value)) = store.rival.take_if(|_| input.overwrite() == Some(true)) {
            if deleted {
                store.versions.clear();
            }
            store.versions.push(value);
        }
        if !store.versions.is_empty() && input.overwrite() != Some(true) {
            let error = ErrorMetadata::builder().code("ParameterAlreadyExists").build();
            return MockResponse::Error(PutParameterError::generic(error));
        }
        store.versions.push(input.value().unwrap().to_owned());
        store.age = Duration::ZERO;
        MockResponse::Output(PutParameterOutput::builder().version(store.version()).build())
    });
    let store = Arc::clone(stored);
    let get = mock!(Client::get_parameter).then_compute_response(move |input| {
        let store = store.lock().unwrap();
        if store.is_down {
            return MockResponse::Error(GetParameterError::generic(down()));
        }
        let version = input.name().unwrap().split_once(':').map(|(_, version)| version.parse().unwrap());
        let version = version.unwrap_or(store.versions.len());
        match version.checked_sub(1).and_then(|at| store.versions.get(at)) {
            Some(value) => {
                let modified = DateTime::from(SystemTime::now() - store.age);
                let parameter = Parameter::builder().version(i64::try_from(version).unwrap()).value(value);
                let parameter = parameter.last_modified_date(modified).build();
                MockResponse::Output(GetParameterOutput::builder().parameter(parameter).build())
            }
            None => {
                let error = ErrorMetadata::builder().code("ParameterNotFound").build();
                MockResponse::Error(GetParameterError::generic(error))
            }
        }
    });
    let store = Arc::clone(stored);
    let delete = mock!(Client::delete_parameter).then_compute_output(move |_| {
        store.lock().unwrap().versions.clear();
        DeleteParameterOutput::builder().build()
    });
    mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&put, &get, &delete])
}

impl Parameters {
    fn version(&self) -> i64 {
        i64::try_from(self.versions.len()).unwrap()
    }

    /// The id of the holder, if there is one.
    fn held_by(&self) -> Option<String> {
        let holder: Holder = serde_json::from_str(self.versions.last()?).unwrap();
        Some(holder.id().to_owned())
    }
}

fn environment() -> Environment {
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"rest-api-dev\"\n\
                template = \"t.yaml\"\n";
    config::deployment::Deployment::parse("deploy.toml", text).unwrap().environments["dev"].clone()
}

fn holder(id: &str) -> Holder {
    Holder::this_run(id, "arn:aws:iam::111122223333:user/releaser", "release", Some("0123456789abcdef"), None)
}

async fn try_take(locks: &Locks, stored: &Stored, id: &str, wait: bool) -> Result<Arc<Lock>> {
    locks.take(&client(stored), &environment(), holder(id), wait, &unread).await
}

async fn check(lock: &Lock) -> Result<()> {
    lock.check(&unread).await
}

fn value(id: &str) -> String {
    serde_json::to_string(&holder(id)).unwrap()
}

/// A holder on another machine, whose last heartbeat was `age` ago.
fn other(age: Duration) -> Stored {
    let value = value("other").replace("\"machine\":\"", "\"machine\":\"far away ");
    Arc::new(Mutex::new(Parameters { versions: vec![value; 3], age, ..Parameters::default() }))
}

#[tokio::test(start_paused = true)]
async fn the_second_command_sees_the_holder_and_stops() {
    let stored = other(Duration::from_secs(40));
    let failure = Failure::of(&try_take(&Locks::default(), &stored, "me", false).await.err().unwrap());
    assert_eq!((failure.exit, failure.kind), (Exit::Failed, FailureKind::Locked));
    let reason = failure.reason.unwrap();
    for part in ["release of arn:aws:iam::111122223333:user/releaser", "commit 0123456789ab", "since 20", "40 s ago"] {
        assert!(reason.contains(part), "{reason}");
    }
    assert!(failure.hint.unwrap().contains("--wait"));
}

#[tokio::test(start_paused = true)]
async fn a_waiting_command_gets_the_lock_when_it_is_given_back() {
    let (stored, locks) = (Stored::default(), Locks::default());
    let first = try_take(&locks, &stored, "first", false).await.unwrap();
    let waiting = tokio::spawn({
        let stored = Arc::clone(&stored);
        async move { try_take(&Locks::default(), &stored, "second", true).await.map(|lock| lock.holder.id().to_owned()) }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!waiting.is_finished());
    locks.give_back(&first).await;
    assert_eq!((waiting.await.unwrap().unwrap().as_str(), locks.left().len()), ("second", 0));
}

#[tokio::test(start_paused = true)]
async fn a_dead_holders_lock_expires() {
    let stored = other(LIFETIME + Duration::from_secs(1));
    let lock = try_take(&Locks::default(), &stored, "me", false).await.unwrap();
    check(&lock).await.unwrap();
    assert_eq!(stored.lock().unwrap().version(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_only_seems_dead_keeps_the_lock() {
    let stored = other(LIFETIME * 2);
    let alive = Arc::clone(&stored);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        // Its clock, or ours, is wrong; but it is alive.
        let again = alive.lock().unwrap().versions[0].clone();
        alive.lock().unwrap().versions.push(again);
    });
    let failure = Failure::of(&try_take(&Locks::default(), &stored, "me", false).await.err().unwrap());
    assert_eq!(failure.kind, FailureKind::Locked);
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_process_that_was_killed_on_this_machine_does_not_block_the_next_run() {
    let mine = serde_json::to_value(holder("killed")).unwrap();
    let mut ended = mine.as_object().unwrap().clone();
    ended.insert("process".to_owned(), u32::MAX.into());
    let stored = Stored::default();
    stored.lock().unwrap().versions.push(serde_json::Value::Object(ended).to_string());
    try_take(&Locks::default(), &stored, "me", false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_holder_sends_heartbeats_and_notices_the_loss() {
    let (stored, locks) = (Stored::default(), Locks::default());
    let lock = try_take(&locks, &stored, "me", false).await.unwrap();
    tokio::time::sleep(Duration::from_secs(95)).await;
    assert_eq!(stored.lock().unwrap().version(), 4, "three heartbeats");
    check(&lock).await.unwrap();
    stored.lock().unwrap().versions.push(value("thief"));
    tokio::time::sleep(Duration::from_secs(40)).await;
    let failure = Failure::of(&check(&lock).await.unwrap_err());
    assert!(failure.kind == FailureKind::Locked && failure.reason.unwrap().contains("now it is release of"));
    // The lock of another holder stays.
    locks.give_back(&lock).await;
    assert_eq!(stored.lock().unwrap().held_by().as_deref(), Some("thief"));
    assert_eq!(locks.left(), <[&str; 0]>::default());
}

/// Field case A5: within the first seconds, too.
#[tokio::test(start_paused = true)]
async fn a_lock_that_was_lost_at_once_is_not_ours() {
    let (stored, locks) = (Stored::default(), Locks::default());
    let lock = try_take(&locks, &stored, "me", false).await.unwrap();
    stored.lock().unwrap().versions = vec![value("thief")];
    assert_eq!(Failure::of(&check(&lock).await.unwrap_err()).kind, FailureKind::Locked);
    locks.give_back(&lock).await;
    assert_eq!(stored.lock().unwrap().held_by().as_deref(), Some("thief"));
}

/// Field case A4: Systems Manager does not answer for longer than a lock is valid.
#[tokio::test(start_paused = true)]
async fn a_holder_without_heartbeat_keeps_its_lock_until_it_is_taken_over() {
    let (stored, locks) = (Stored::default(), Locks::default());
    let lock = try_take(&locks, &stored, "me", false).await.unwrap();
    stored.lock().unwrap().is_down = true;
    tokio::time::sleep(Duration::from_secs(200)).await;
    let back = Arc::clone(&stored);
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(90)).await;
        back.lock().unwrap().is_down = false;
    });
    check(&lock).await.unwrap();
    let before = stored.lock().unwrap().version();
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(stored.lock().unwrap().version() >= before + 2, "it is renewed again");
    // A check that fails is reported as such.
    stored.lock().unwrap().is_down = true;
    assert_eq!(Failure::of(&check(&lock).await.unwrap_err()).message, "ssm:GetParameter failed");
    locks.give_back(&lock).await;
    assert!(locks.left()[0].contains("cargo xtask unlock dev"));
}

#[tokio::test(start_paused = true)]
async fn of_two_that_take_over_the_first_has_it() {
    let (stored, locks) = (other(LIFETIME * 2), Locks::default());
    stored.lock().unwrap().rival = Some((false, value("faster")));
    let failure = Failure::of(&try_take(&locks, &stored, "me", false).await.err().unwrap());
    assert_eq!(failure.kind, FailureKind::Locked);
    assert_eq!(stored.lock().unwrap().held_by().as_deref(), Some("faster"), "what we wrote over it is undone");
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_does_not_take_a_lock_away() {
    let (stored, locks) = (Stored::default(), Locks::default());
    let lock = try_take(&locks, &stored, "me", false).await.unwrap();
    // Someone unlocks it between the holder's read and write, and another holder takes it.
    stored.lock().unwrap().rival = Some((true, value("next")));
    tokio::time::sleep(Duration::from_secs(40)).await;
    assert_eq!(stored.lock().unwrap().held_by().as_deref(), Some("next"));
    assert_eq!(Failure::of(&check(&lock).await.unwrap_err()).kind, FailureKind::Locked);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_the_first_attempt_is_not_another_holder() {
    let stored = Stored::default();
    stored.lock().unwrap().versions.push(value("me"));
    try_take(&Locks::default(), &stored, "me", false).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn only_the_lock_that_was_read_is_deleted() {
    let stored = other(Duration::from_secs(10));
    let client = client(&stored);
    let seen = current(&client, "rest-api-dev").await.unwrap().unwrap();
    let again = stored.lock().unwrap().versions[0].clone();
    stored.lock().unwrap().versions.push(again);
    // A holder that seemed dead is alive.
    assert!(remove(&client, "rest-api-dev", &seen, false).await.unwrap().is_some());
    stored.lock().unwrap().versions.push(value("next"));
    assert!(remove(&client, "rest-api-dev", &seen, true).await.unwrap().is_some());
    assert_eq!(stored.lock().unwrap().held_by().as_deref(), Some("next"));
    stored.lock().unwrap().versions.pop();
    assert!(remove(&client, "rest-api-dev", &seen, true).await.unwrap().is_none());
    assert_eq!(stored.lock().unwrap().held_by(), None);
}

/// Field case A3: whenever the command is dropped, `main` gives back what it may have taken.
#[tokio::test(start_paused = true)]
async fn a_command_that_is_dropped_at_any_await_leaves_no_lock() {
    let mut ended = 0;
    for polls in 0.. {
        let (stored, locks) = (Stored::default(), Locks::default());
        let whole = async {
            let lock = try_take(&locks, &stored, "me", false).await.unwrap();
            check(&lock).await.unwrap();
            locks.give_back(&lock).await;
        };
        ended += u32::from(polled(whole, polls).await);
        locks.give_all_back().await;
        assert_eq!(stored.lock().unwrap().held_by(), None, "dropped after {polls} polls");
        assert_eq!(locks.left(), <[&str; 0]>::default());
        // A heartbeat that goes on would write again.
        tokio::time::sleep(HEARTBEAT * 2).await;
        assert_eq!(stored.lock().unwrap().held_by(), None, "dropped after {polls} polls");
        if ended > 1 {
            assert!(polls > 2, "{polls}");
            break;
        }
    }
}

/// Polls a future so many times and drops it; returns whether it ended. Other tasks run in between.
async fn polled(future: impl Future<Output = ()>, times: usize) -> bool {
    let mut future = std::pin::pin!(future);
    for _ in 0..times {
        if future.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) == Poll::Ready(()) {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}
