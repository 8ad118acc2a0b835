//! Who may change a stack: one holder at a time, seen by all, and never for ever.
//!
//! Made by a call that fails where there is one already. The holder says every half minute that it lives; a lock that has
//! been silent for two minutes may be taken over, at once where its process is known to be gone.

mod holder;

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;
use config::deployment::Environment;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(crate) use self::holder::{Held, Holder, run_url};
use super::lock_name;
use crate::aws::failure;
use crate::outcome::{Exit, Failure};
use crate::ui::Phase;

/// How often the holder says that it lives.
const BEAT: Duration = Duration::from_secs(30);
/// How long it need not be asked again whose it is.
const FRESH: Duration = Duration::from_secs(20);
/// How long a silent lock counts.
pub(crate) const LIFETIME: Duration = Duration::from_secs(120);
/// How long taking over waits for others that do the same.
const SETTLE: Duration = Duration::from_secs(2);
/// Pause between two looks of somebody who waits.
const PAUSE: Duration = Duration::from_secs(5);
/// How long giving it back may take; after that it ends by itself.
const FAREWELL: Duration = Duration::from_secs(10);

/// A lock that is ours until it is given back.
pub(crate) struct Lock {
    client: Client,
    stack: String,
    holder: Holder,
    beat: JoinHandle<()>,
    /// When it was last known to be ours; the sender is gone when it is lost.
    known: watch::Receiver<Known>,
}

/// When a lock was last known to be ours, by both clocks: one of them stands still while the machine sleeps.
#[derive(Debug, Clone, Copy)]
struct Known {
    at: Instant,
    wall: SystemTime,
    sure: bool,
}

impl Known {
    fn now(sure: bool) -> Self {
        Self { at: Instant::now(), wall: SystemTime::now(), sure }
    }

    /// Whether it need not be asked again.
    fn is_fresh(&self) -> bool {
        self.sure && self.at.elapsed() < FRESH && self.wall.elapsed().is_ok_and(|elapsed| elapsed < FRESH)
    }
}

/// Takes the lock of `stack`, or waits for it when told to.
///
/// # Errors
/// Somebody else holds it, with who and since when; or what AWS says.
pub(crate) async fn take(
    client: &Client,
    environment: &Environment,
    holder: Holder,
    wait: bool,
    phase: &Phase<'_>,
) -> Result<Lock> {
    let stack = &environment.stack;
    let mut told = false;
    loop {
        if put(client, stack, &holder, false).await?.is_some() {
            return Ok(Lock::hold(client, stack, holder, true));
        }
        let Some(held) = look(client, stack).await? else { continue };
        if held.holder.is(&holder) {
            // The answer to our own writing was lost, or nobody has written after us.
            return Ok(Lock::hold(client, stack, holder, false));
        }
        if may_be_taken(client, stack, &held, phase).await? {
            put(client, stack, &holder, true).await?;
            // Others may take it over at this moment: whoever has written last has it, and is known after a pause.
            tokio::time::sleep(SETTLE).await;
            if look(client, stack).await?.is_some_and(|now| now.holder.is(&holder)) {
                phase.line(&format!("the lock of {} is taken over: it is dead", held.holder));
                return Ok(Lock::hold(client, stack, holder, false));
            }
            continue;
        }
        if !wait {
            return Err(refusal(environment, &held).into());
        }
        if !told {
            phase.line(&format!("waiting for {}", held.holder));
            told = true;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Whether the holder is dead: its process is gone from this machine, or it has been silent for too long. As clocks
/// differ, one that seems silent is watched for another beat.
async fn may_be_taken(client: &Client, stack: &str, held: &Held, phase: &Phase<'_>) -> Result<bool> {
    if held.holder.is_gone() {
        return Ok(true);
    }
    if held.age() < LIFETIME {
        return Ok(false);
    }
    phase.line(&format!("{} has been silent for {} s: making sure that it is dead", held.holder, held.age().as_secs()));
    tokio::time::sleep(BEAT + PAUSE).await;
    Ok(look(client, stack).await?.is_some_and(|now| now.version == held.version))
}

/// What somebody is told who does not wait.
pub(crate) fn refusal(environment: &Environment, held: &Held) -> Failure {
    Failure::new(Exit::Failed, "locked", "somebody else is changing the environment")
        .resource(format!("stack {}", environment.stack))
        .reason(format!("{}, last heard of {} s ago", held.holder, held.age().as_secs()))
        .hint(format!(
            "repeat the command with --wait; a dead holder's lock ends by itself after two minutes, and cargo xtask \
             unlock {} takes it away",
            environment.name
        ))
}

impl Lock {
    /// `sure`: nobody else can have it. Otherwise it is asked again before it counts.
    fn hold(client: &Client, stack: &str, holder: Holder, sure: bool) -> Self {
        let (sender, known) = watch::channel(Known::now(sure));
        let beat = tokio::spawn(beat(client.clone(), stack.to_owned(), holder.clone(), sender));
        Self { client: client.clone(), stack: stack.to_owned(), holder, beat, known }
    }

    /// Makes sure that it is still ours, right before what must not be done twice.
    ///
    /// # Errors
    /// Somebody has taken it over meanwhile.
    pub(crate) async fn check(&self) -> Result<()> {
        let fresh = self.known.borrow().is_fresh();
        if !self.is_lost() && (fresh || self.is_ours().await?) {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, "locked", "the environment's lock was taken away")
            .resource(format!("stack {}", self.stack))
            .reason("this command was silent for too long, or somebody unlocked the environment")
            .hint("cargo xtask status shows who holds it now; then repeat the command")
            .into())
    }

    fn is_lost(&self) -> bool {
        self.known.has_changed().is_err()
    }

    async fn is_ours(&self) -> Result<bool> {
        Ok(look(&self.client, &self.stack).await?.is_some_and(|held| held.holder.is(&self.holder)))
    }

    /// Gives it back. Where that cannot be done it ends by itself; the warning is returned.
    pub(crate) async fn give_back(self) -> Option<String> {
        if self.is_lost() {
            return None;
        }
        let fresh = self.known.borrow().is_fresh();
        self.beat.abort();
        let remove = async {
            // Not somebody else's, who may have taken it over.
            if fresh || self.is_ours().await? { drop_lock(&self.client, &self.stack).await } else { Ok(()) }
        };
        let given = tokio::time::timeout(FAREWELL, remove).await;
        let reason = match given {
            Ok(Ok(())) => return None,
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                format!("{failure}: {}", failure.reason.as_deref().unwrap_or_default())
            }
            Err(_) => "AWS does not answer".to_owned(),
        };
        Some(format!("the lock of {} is left behind ({reason}); it ends by itself after two minutes", self.stack))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.beat.abort();
    }
}

/// Says again and again that the holder lives, until somebody else has the lock.
async fn beat(client: Client, stack: String, holder: Holder, known: watch::Sender<Known>) {
    loop {
        tokio::time::sleep(BEAT).await;
        match look(&client, &stack).await {
            Ok(Some(held)) if held.holder.is(&holder) => {
                if put(&client, &stack, &holder, true).await.is_ok() {
                    known.send_replace(Known::now(true));
                }
            }
            Ok(_) => return,
            Err(_) => {}
        }
        // Whoever cannot be heard must take itself for dead before others do.
        if known.borrow().at.elapsed() + BEAT > LIFETIME {
            return;
        }
    }
}

/// Writes the lock and returns its version; `None` where there is one already.
async fn put(client: &Client, stack: &str, holder: &Holder, overwrite: bool) -> Result<Option<i64>> {
    let name = lock_name(stack);
    let value = serde_json::to_string(holder).context("a holder can be written as JSON")?;
    let call = client.put_parameter().name(&name).r#type(ParameterType::String).overwrite(overwrite).value(value);
    match call.send().await {
        Ok(answer) => Ok(Some(answer.version())),
        Err(error) if error.code() == Some("ParameterAlreadyExists") => Ok(None),
        Err(error) => Err(failure("ssm:PutParameter", &name, &error).into()),
    }
}

/// Who holds the lock.
///
/// # Errors
/// What AWS says.
pub(crate) async fn look(client: &Client, stack: &str) -> Result<Option<Held>> {
    let name = lock_name(stack);
    match client.get_parameter().name(&name).send().await {
        Ok(answer) => Ok(answer.parameter().map(Held::read)),
        Err(error) if error.code() == Some("ParameterNotFound") => Ok(None),
        Err(error) => Err(failure("ssm:GetParameter", &name, &error).into()),
    }
}

/// Removes a dead holder's lock, unless somebody has it by now.
///
/// # Errors
/// What AWS says.
pub(crate) async fn sweep(client: &Client, stack: &str, dead: &Held) -> Result<()> {
    let same = |now: &Held| now.holder.is(&dead.holder) && now.version == dead.version;
    if look(client, stack).await?.is_some_and(|now| same(&now)) { drop_lock(client, stack).await } else { Ok(()) }
}

/// Removes the lock, whoever holds it; one that is gone is fine.
///
/// # Errors
/// What AWS says.
pub(crate) async fn drop_lock(client: &Client, stack: &str) -> Result<()> {
    let name = lock_name(stack);
    match client.delete_parameter().name(&name).send().await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some("ParameterNotFound") => Ok(()),
        Err(error) => Err(failure("ssm:DeleteParameter", &name, &error).into()),
    }
}

#[cfg(test)]
mod tests;
