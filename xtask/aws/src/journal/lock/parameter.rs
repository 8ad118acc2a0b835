//! The parameter that is the lock. Systems Manager cannot compare before it writes or deletes; whatever can be is
//! compared beforehand, and the version that it answers is compared afterwards.

use anyhow::{Context as _, Result};
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;

use super::holder::{Held, Holder};
use crate::error::{failure, is_missing};
use crate::journal::lock_name;

/// Who holds the lock.
///
/// # Errors
/// What AWS says.
pub async fn look(client: &Client, stack: &str) -> Result<Option<Held>> {
    read(client, &lock_name(stack)).await
}

/// `name` may end in a version.
async fn read(client: &Client, name: &str) -> Result<Option<Held>> {
    let answer = client.get_parameter().name(name).send().await;
    match answer.map_err(|error| failure("ssm:GetParameter", name, &error)) {
        Ok(answer) => Ok(answer.parameter().map(Held::read)),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// Removes the lock that was seen, and no other. `None` where nobody holds it then, or who does.
///
/// The holder of one that was `beating` may have renewed it since.
///
/// # Errors
/// What AWS says.
pub async fn remove(client: &Client, stack: &str, seen: &Held, beating: bool) -> Result<Option<Held>> {
    let same =
        |now: &Held| now.holder.is(&seen.holder) && (now.version == seen.version || (beating && now.holder.is_known()));
    match look(client, stack).await? {
        Some(now) if same(&now) => delete(client, stack).await.map(|()| None),
        other => Ok(other),
    }
}

/// Deletes the lock, whoever holds it; one that is gone is fine.
pub(super) async fn delete(client: &Client, stack: &str) -> Result<()> {
    let name = lock_name(stack);
    let answer = client.delete_parameter().name(&name).send().await;
    match answer.map_err(|error| failure("ssm:DeleteParameter", &name, &error)) {
        Err(failure) if !is_missing(&failure) => Err(failure.into()),
        _ => Ok(()),
    }
}

/// Makes the lock; says whether there was none.
pub(super) async fn create(client: &Client, stack: &str, holder: &Holder) -> Result<bool> {
    Ok(put(client, stack, &text(holder)?, false).await?.is_some())
}

/// Writes over the lock that was seen, and says whether it is ours then. Where somebody else has written since, what they
/// wrote is put back.
pub(super) async fn overwrite(client: &Client, stack: &str, holder: &Holder, seen: &Held) -> Result<bool> {
    let name = lock_name(stack);
    let written = put(client, stack, &text(holder)?, true).await?.with_context(|| format!("{name} has no version"))?;
    if written == 1 {
        // Somebody has removed it, so there was nothing to write over.
        return delete(client, stack).await.map(|()| false);
    }
    // Versions begin anew where a parameter is made anew, so that the number alone does not tell.
    match read(client, &format!("{name}:{}", written - 1)).await? {
        Some(before) if before.holder.is(&seen.holder) && before.version == seen.version => Ok(true),
        // The answer to a call of ours was lost, and it was made again.
        Some(before) if before.holder.is(holder) => Ok(true),
        Some(theirs) => {
            put(client, stack, &theirs.value, true).await?;
            Ok(false)
        }
        // An emulator that keeps no versions.
        None => Ok(written == seen.version + 1),
    }
}

fn text(holder: &Holder) -> Result<String> {
    serde_json::to_string(holder).context("a holder can be written as JSON")
}

/// Writes the parameter and returns its version; `None` where there is one already.
async fn put(client: &Client, stack: &str, value: &str, overwrite: bool) -> Result<Option<i64>> {
    let name = lock_name(stack);
    let call = client.put_parameter().name(&name).r#type(ParameterType::String).overwrite(overwrite).value(value);
    match call.send().await {
        Ok(answer) => Ok(Some(answer.version())),
        Err(error) if error.code() == Some("ParameterAlreadyExists") => Ok(None),
        Err(error) => Err(failure("ssm:PutParameter", &name, &error).into()),
    }
}
