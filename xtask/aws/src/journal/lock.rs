//! Who may change a stack: one holder at a time, seen by all, and never for ever.
//!
//! Made by a call that fails where there is one already. The holder renews it every half minute; a lock that has been
//! silent for two minutes may be taken over, at once where its process is known to be gone.
//!
//! A command may be dropped at any await. So every lock is on a list before its first call, each call that writes comes
//! to its end in a task of its own, and `main` gives back what is still on the list.

mod parameter;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use config::deployment::Environment;
use futures_util::future::join_all;
use tokio::task::AbortHandle;
use tokio::time::Instant;

pub use self::parameter::{Held, Holder, current, remove};
use crate::error;
use model::outcome::{Exit, Failure, FailureKind};
use model::progress::{Progress, Reporter};

/// How often the holder renews it.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a silent lock counts.
pub const LIFETIME: Duration = Duration::from_secs(120);
/// Pause between two looks of somebody who waits, and before a call that failed is made again.
const PAUSE: Duration = Duration::from_secs(5);
/// What was written just now need not be seen at once.
const GRACE: Duration = Duration::from_secs(1);
/// How long giving it back may take; after that it ends by itself.
const FAREWELL: Duration = Duration::from_secs(10);

/// The locks that this process holds, or may hold because a call that takes one has not been answered.
#[derive(Debug, Default)]
pub struct Locks {
    held: Mutex<Vec<Arc<Lock>>>,
    /// Those that could not be given back, in words.
    left: Mutex<Vec<String>>,
}

/// A lock that is ours until it is given back.
#[derive(Debug)]
pub struct Lock {
    client: Client,
    stack: String,
    environment: String,
    holder: Holder,
    /// One call at a time writes the parameter, so that giving it back never overtakes a call that writes it.
    writing: Arc<tokio::sync::Mutex<()>>,
    heartbeat: Mutex<Option<AbortHandle>>,
}

impl Locks {
    /// Takes the lock of `environment`, or waits for it when told to.
    ///
    /// # Errors
    /// Somebody else holds it, with who and since when; or what AWS says.
    pub async fn take(
        &self,
        client: &Client,
        environment: &Environment,
        holder: Holder,
        wait: bool,
        report: Reporter<'_>,
    ) -> Result<Arc<Lock>> {
        let lock = Arc::new(Lock {
            client: client.clone(),
            stack: environment.stack.clone(),
            environment: environment.name.clone(),
            holder,
            writing: Arc::default(),
            heartbeat: Mutex::default(),
        });
        // Before the first call: its answer may never be seen.
        locked(&self.held).push(Arc::clone(&lock));
        match lock.acquire(environment, wait, report).await {
            Ok(()) => {
                let heartbeat = tokio::spawn(Arc::clone(&lock).keep()).abort_handle();
                *locked(&lock.heartbeat) = Some(heartbeat);
                Ok(lock)
            }
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.kind == REFUSED || error::is_refusal(&failure) {
                    self.forget(&lock);
                }
                Err(error)
            }
        }
    }

    /// Gives a lock back. One that cannot be given back ends by itself, and is told among [`Locks::left`].
    pub async fn give_back(&self, lock: &Arc<Lock>) {
        let removed = tokio::spawn(Arc::clone(lock).remove());
        let reason = match tokio::time::timeout(FAREWELL, removed).await {
            Ok(Ok(Ok(()))) => None,
            Ok(Ok(Err(error))) => {
                let failure = Failure::of(&error);
                Some(format!("{failure}: {}", failure.reason.as_deref().unwrap_or_default()))
            }
            Ok(Err(_)) | Err(_) => Some("AWS does not answer".to_owned()),
        };
        locked(&self.left).extend(reason.map(|reason| lock.left_behind(&reason)));
        self.forget(lock);
    }

    /// Gives back what is still held.
    pub async fn give_all_back(&self) {
        let held = locked(&self.held).clone();
        join_all(held.iter().map(|lock| self.give_back(lock))).await;
    }

    /// What could not be given back, or not yet, in words.
    pub fn left(&self) -> Vec<String> {
        let held = locked(&self.held);
        let held = held.iter().map(|lock| lock.left_behind("there was no time to remove it"));
        locked(&self.left).iter().cloned().chain(held).collect()
    }

    fn forget(&self, lock: &Arc<Lock>) {
        locked(&self.held).retain(|other| !Arc::ptr_eq(other, lock));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no holder panics")
}

/// The kind of the failure of somebody who finds the environment locked.
const REFUSED: FailureKind = FailureKind::Locked;

/// What somebody is told who does not wait.
pub fn refusal(environment: &Environment, held: &Held) -> Failure {
    Failure::new(Exit::Failed, REFUSED, "somebody else is changing the environment")
        .resource(format!("stack {}", environment.stack))
        .reason(format!("{}, last heard of {} s ago", held.holder, held.age().as_secs()))
        .hint(format!(
            "repeat the command with --wait; a dead holder's lock ends by itself after two minutes, and cargo xtask \
             unlock {} takes it away",
            environment.name
        ))
}

impl Lock {
    async fn acquire(self: &Arc<Self>, environment: &Environment, wait: bool, report: Reporter<'_>) -> Result<()> {
        let mut told = false;
        loop {
            if self.write(None).await? {
                return Ok(());
            }
            let Some(held) = current(&self.client, &self.stack).await? else { continue };
            if held.holder.is(&self.holder) {
                // The answer to our own call was lost.
                return Ok(());
            }
            if self.may_be_taken(&held, report).await? {
                if self.write(Some(held.clone())).await? {
                    report(Progress::Line(&format!("the lock of {} is taken over: it is dead", held.holder)));
                    return Ok(());
                }
                continue;
            }
            if !wait {
                return Err(refusal(environment, &held).into());
            }
            if !told {
                report(Progress::Line(&format!("waiting for {}", held.holder)));
                told = true;
            }
            report(Progress::Doing(&format!("the environment lock: {}", held.holder)));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the holder is dead: its process is gone from this machine, or it has been silent for too long. As clocks
    /// differ, one that seems silent is watched for another heartbeat.
    async fn may_be_taken(&self, held: &Held, report: Reporter<'_>) -> Result<bool> {
        if held.holder.is_gone() {
            return Ok(true);
        }
        if held.age() < LIFETIME {
            return Ok(false);
        }
        let silent = held.age().as_secs();
        report(Progress::Line(&format!("{} has been silent for {silent} s: making sure that it is dead", held.holder)));
        tokio::time::sleep(HEARTBEAT + PAUSE).await;
        Ok(current(&self.client, &self.stack).await?.is_some_and(|now| now.version == held.version))
    }

    /// Writes the parameter, over what was seen or where there is none. Says whether it is ours then.
    ///
    /// The call comes to its end even if this future is dropped.
    async fn write(self: &Arc<Self>, over: Option<Held>) -> Result<bool> {
        let writing = Arc::clone(&self.writing).lock_owned().await;
        let lock = Arc::clone(self);
        let written = tokio::spawn(async move {
            let Self { client, stack, holder, .. } = &*lock;
            let written = match over {
                Some(seen) => parameter::overwrite_parameter(client, stack, holder, &seen).await,
                None => parameter::create_parameter(client, stack, holder).await,
            };
            drop(writing);
            written
        });
        written.await.context("the call was not waited for")?
    }

    /// Makes sure that it is still ours, right before what must not be done twice. Where AWS does not answer it is asked
    /// again, for as long as nobody may take the lock over.
    ///
    /// # Errors
    /// Somebody has taken it over meanwhile, or it cannot be found out.
    pub async fn check(&self, report: Reporter<'_>) -> Result<()> {
        let deadline = Instant::now() + LIFETIME;
        loop {
            let error = match self.seen().await {
                Ok(Some(held)) if held.holder.is(&self.holder) => return Ok(()),
                Ok(found) => return Err(self.lost(found.as_ref()).into()),
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            if Instant::now() > deadline || (error::is_refusal(&failure) && !error::is_throttled(&failure)) {
                return Err(error);
            }
            report(Progress::Doing(&format!("checking the environment lock: {failure}, trying again")));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Who holds it, after it was taken; one that seems to be gone is looked for once more.
    async fn seen(&self) -> Result<Option<Held>> {
        match current(&self.client, &self.stack).await? {
            None => {
                tokio::time::sleep(GRACE).await;
                current(&self.client, &self.stack).await
            }
            found => Ok(found),
        }
    }

    fn lost(&self, found: Option<&Held>) -> Failure {
        let now =
            found.map_or_else(|| "there is none any more".to_owned(), |held| format!("now it is {}", held.holder));
        Failure::new(Exit::Failed, REFUSED, "the environment's lock was taken away")
            .resource(format!("stack {}", self.stack))
            .reason(format!("this command was silent for too long, or somebody unlocked the environment; {now}"))
            .hint(format!("cargo xtask status {} shows who holds it; then repeat the command", self.environment))
    }

    /// Says again and again that the holder lives, until somebody else has the lock. Where AWS does not answer it goes
    /// on: the lock stays ours until somebody else takes it.
    async fn keep(self: Arc<Self>) {
        let mut pause = HEARTBEAT;
        loop {
            tokio::time::sleep(pause).await;
            let _writing = self.writing.lock().await;
            pause = match self.renew().await {
                Ok(true) => HEARTBEAT,
                Ok(false) => return,
                Err(_) => PAUSE,
            };
        }
    }

    async fn renew(&self) -> Result<bool> {
        match self.seen().await? {
            Some(held) if held.holder.is(&self.holder) => {
                parameter::overwrite_parameter(&self.client, &self.stack, &self.holder, &held).await
            }
            _ => Ok(false),
        }
    }

    /// Removes it, unless it is somebody else's by now.
    async fn remove(self: Arc<Self>) -> Result<()> {
        // Whatever call is under way comes to its end first; the heartbeat waits here, or sleeps.
        let _writing = self.writing.lock().await;
        if let Some(heartbeat) = locked(&self.heartbeat).take() {
            heartbeat.abort();
        }
        match self.seen().await? {
            Some(held) if held.holder.is(&self.holder) => parameter::delete_parameter(&self.client, &self.stack).await,
            _ => Ok(()),
        }
    }

    fn left_behind(&self, reason: &str) -> String {
        format!(
            "the lock of {} is left behind ({reason}); it ends by itself after two minutes, and cargo xtask unlock {} \
             takes it away",
            self.stack, self.environment
        )
    }
}

#[cfg(test)]
mod tests;
