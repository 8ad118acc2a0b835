//! The environment lock: one holder may change a stack, visible to everyone, and it expires.
//!
//! It is created by a call that fails if it exists. The holder sends a heartbeat every half minute; a lock without one for
//! two minutes may be taken over, at once if its process is known to have ended.
//!
//! A command may be dropped at any await. So every lock is on a list before its first call, each writing call runs to its
//! end in a task of its own, and `main` gives back what is still on the list.

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

/// The interval of heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// How long a lock is valid after its last heartbeat.
pub const LIFETIME: Duration = Duration::from_secs(120);
/// The pause between two polls while waiting, and before a failed call is repeated.
const PAUSE: Duration = Duration::from_secs(5);
/// How long a new parameter may be invisible.
const GRACE: Duration = Duration::from_secs(1);
/// How long giving it back may take; after that it expires.
const GIVE_BACK_TIMEOUT: Duration = Duration::from_secs(10);

/// The locks that this process holds, or may hold because the call that takes one has not been answered.
#[derive(Debug, Default)]
pub struct Locks {
    held: Mutex<Vec<Arc<Lock>>>,
    /// Messages about locks that could not be given back.
    left: Mutex<Vec<String>>,
}

/// A lock that this process holds until it is given back.
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
    /// Takes the lock of `environment`; with `wait`, waits for it.
    ///
    /// # Errors
    /// Another holder, with who and since when.
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
        // Before the first call: its answer may be lost.
        locked(&self.held).push(Arc::clone(&lock));
        match lock.acquire(environment, wait, report).await {
            Ok(()) => {
                let heartbeat = tokio::spawn(Arc::clone(&lock).send_heartbeats()).abort_handle();
                *locked(&lock.heartbeat) = Some(heartbeat);
                Ok(lock)
            }
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.kind == FailureKind::Locked || error::is_refusal(&failure) {
                    self.forget(&lock);
                }
                Err(error)
            }
        }
    }

    /// Gives a lock back. One that cannot be given back expires, and is listed by [`Locks::left`].
    pub async fn give_back(&self, lock: &Arc<Lock>) {
        let removed = tokio::spawn(Arc::clone(lock).remove());
        let reason = match tokio::time::timeout(GIVE_BACK_TIMEOUT, removed).await {
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

    /// Gives back all locks that are still held.
    pub async fn give_all_back(&self) {
        let held = locked(&self.held).clone();
        join_all(held.iter().map(|lock| self.give_back(lock))).await;
    }

    /// Messages about locks that could not be given back, or not yet.
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

/// The failure of a command that does not wait for the lock.
pub fn refusal(environment: &Environment, held: &Held) -> Failure {
    Failure::new(Exit::Failed, FailureKind::Locked, "the environment is locked by another command")
        .resource(format!("stack {}", environment.stack))
        .reason(format!("{}, last heartbeat {} s ago", held.holder, held.age().as_secs()))
        .hint(format!(
            "repeat the command with --wait; the lock of a dead holder expires after two minutes, and cargo xtask \
             unlock {} removes it",
            environment.name
        ))
}

impl Lock {
    async fn acquire(self: &Arc<Self>, environment: &Environment, wait: bool, report: Reporter<'_>) -> Result<()> {
        let mut reported = false;
        loop {
            if self.write(None).await? {
                return Ok(());
            }
            let Some(held) = current(&self.client, &self.stack).await? else { continue };
            if held.holder.is(&self.holder) {
                // The answer to our own call was lost.
                return Ok(());
            }
            if self.is_dead(&held, report).await? {
                if self.write(Some(held.clone())).await? {
                    report(Progress::Line(&format!("took over the lock of a dead holder: {}", held.holder)));
                    return Ok(());
                }
                continue;
            }
            if !wait {
                return Err(refusal(environment, &held).into());
            }
            if !reported {
                report(Progress::Line(&format!("waiting for {}", held.holder)));
                reported = true;
            }
            report(Progress::Doing(&format!("the environment lock: {}", held.holder)));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether the holder is dead: its process on this machine has ended, or its heartbeat is overdue. As clocks differ, an
    /// overdue one gets the time of another heartbeat.
    async fn is_dead(&self, held: &Held, report: Reporter<'_>) -> Result<bool> {
        if held.holder.has_ended() {
            return Ok(true);
        }
        if held.age() < LIFETIME {
            return Ok(false);
        }
        let seconds = held.age().as_secs();
        report(Progress::Line(&format!(
            "no heartbeat for {seconds} s, checking whether the holder is dead: {}",
            held.holder
        )));
        tokio::time::sleep(HEARTBEAT + PAUSE).await;
        Ok(current(&self.client, &self.stack).await?.is_some_and(|now| now.version == held.version))
    }

    /// Writes the parameter, over the lock that was read or as a new one. Returns whether the lock is ours then.
    ///
    /// The call runs to its end even if this future is dropped.
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
        written.await.context("the call was aborted")?
    }

    /// Checks that the lock is still ours, right before a step that must not happen twice. If AWS does not answer, the check
    /// is repeated for as long as no one may take the lock over.
    ///
    /// # Errors
    /// The lock was taken over, or that cannot be checked.
    pub async fn check(&self, report: Reporter<'_>) -> Result<()> {
        let deadline = Instant::now() + LIFETIME;
        loop {
            let error = match self.current_holder().await {
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

    /// The holder after the lock was taken; a missing lock is read once more.
    async fn current_holder(&self) -> Result<Option<Held>> {
        match current(&self.client, &self.stack).await? {
            None => {
                tokio::time::sleep(GRACE).await;
                current(&self.client, &self.stack).await
            }
            found => Ok(found),
        }
    }

    fn lost(&self, found: Option<&Held>) -> Failure {
        let now = found.map_or_else(|| "now there is none".to_owned(), |held| format!("now it is {}", held.holder));
        Failure::new(Exit::Failed, FailureKind::Locked, "the environment lock was lost")
            .resource(format!("stack {}", self.stack))
            .reason(format!("its heartbeat was overdue, or someone unlocked the environment; {now}"))
            .hint(format!("cargo xtask status {} shows who holds it; then repeat the command", self.environment))
    }

    /// Sends heartbeats until another holder has the lock. It continues if AWS does not answer: the lock is ours until it
    /// is taken over.
    async fn send_heartbeats(self: Arc<Self>) {
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
        match self.current_holder().await? {
            Some(held) if held.holder.is(&self.holder) => {
                parameter::overwrite_parameter(&self.client, &self.stack, &self.holder, &held).await
            }
            _ => Ok(false),
        }
    }

    /// Deletes it, unless another holder has it by now.
    async fn remove(self: Arc<Self>) -> Result<()> {
        // A call in progress ends first; the heartbeat waits here, or sleeps.
        let _writing = self.writing.lock().await;
        if let Some(heartbeat) = locked(&self.heartbeat).take() {
            heartbeat.abort();
        }
        match self.current_holder().await? {
            Some(held) if held.holder.is(&self.holder) => parameter::delete_parameter(&self.client, &self.stack).await,
            _ => Ok(()),
        }
    }

    fn left_behind(&self, reason: &str) -> String {
        format!(
            "the lock of {} is left behind ({reason}); it expires after two minutes, and cargo xtask unlock {} \
             removes it",
            self.stack, self.environment
        )
    }
}

#[cfg(test)]
mod tests;
