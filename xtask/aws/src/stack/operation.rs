//! The calls that begin an operation of a stack, and whether AWS has accepted them.
//!
//! Only AWS's own refusal proves that nothing began: a proxy's answer, a cut connection or a timeout proves nothing.

use std::time::Duration;

use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::Builder;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use tokio::time::Instant;

use crate::error;
use machine::http::jitter;
use machine::interrupt::Interrupt;
use model::outcome::Failure;
use model::stack::{Stack, texts};

/// Attempts whose answers may be lost. All carry the same token, so that a repetition does not begin a second operation.
const ATTEMPTS: u32 = 4;
/// How long a throttled call is repeated.
const THROTTLED: Duration = Duration::from_secs(60);
/// The first pause between two attempts, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// An operation that AWS has not confirmed.
#[derive(Debug)]
pub struct NotBegun {
    pub failure: Failure,
    /// Whether it may have begun nevertheless: an answer was lost.
    pub in_doubt: bool,
}

impl From<NotBegun> for anyhow::Error {
    fn from(not_begun: NotBegun) -> Self {
        not_begun.failure.into()
    }
}

/// Begins the deletion of a stack, with `role` as the execution role if there is one.
pub async fn delete(client: &Client, stack: &Stack, role: Option<&str>, token: &str) -> Result<(), NotBegun> {
    begin(None, async || {
        let call = client.delete_stack().stack_name(&stack.id).client_request_token(token);
        let call = call.set_role_arn(role.map(str::to_owned)).customize().config_override(single_attempt());
        let answer = call.send().await;
        answer.map_err(|error| {
            let failure = stack_failure(stack, "cloudformation:DeleteStack", &error);
            // It may have been enabled since the preflight.
            if texts::is_protected(error.message()) { failure.hint(unprotect(&stack.name, None)) } else { failure }
        })?;
        Ok(())
    })
    .await
}

/// The command that disables termination protection.
pub fn unprotect(stack: &str, region: Option<&str>) -> String {
    let region = region.map(|region| format!(" --region {region}")).unwrap_or_default();
    format!(
        "aws cloudformation update-termination-protection --no-enable-termination-protection --stack-name \
         {stack}{region}"
    )
}

fn stack_failure<E>(stack: &Stack, action: &str, error: &SdkError<E, HttpResponse>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    error::failure(action, &format!("stack {}", stack.name), error)
}

/// Cancels the update in progress: the stack rolls back.
pub async fn cancel_update(client: &Client, stack: &Stack, token: &str) -> Result<(), NotBegun> {
    begin(None, async || {
        let call = client.cancel_update_stack().stack_name(&stack.id).client_request_token(token);
        let answer = call.customize().config_override(single_attempt()).send().await;
        answer.map(drop).map_err(|error| stack_failure(stack, "cloudformation:CancelUpdateStack", &error))
    })
    .await
}

/// Rolls back a stack that stopped with rollback disabled.
pub async fn rollback(client: &Client, stack: &Stack, role: Option<&str>, token: &str) -> Result<(), NotBegun> {
    begin(None, async || {
        let call = client.rollback_stack().stack_name(&stack.id).client_request_token(token);
        let call = call.set_role_arn(role.map(str::to_owned)).customize().config_override(single_attempt());
        call.send().await.map(drop).map_err(|error| stack_failure(stack, "cloudformation:RollbackStack", &error))
    })
    .await
}

/// Continues a failed rollback; the resources in `skip` count as rolled back as they are.
pub async fn continue_rollback(
    client: &Client,
    stack: &Stack,
    role: Option<&str>,
    skip: &[String],
    token: &str,
) -> Result<(), NotBegun> {
    begin(None, async || {
        let call = client.continue_update_rollback().stack_name(&stack.id).client_request_token(token);
        let call = call.set_role_arn(role.map(str::to_owned));
        let call = call.set_resources_to_skip((!skip.is_empty()).then(|| skip.to_vec()));
        let answer = call.customize().config_override(single_attempt()).send().await;
        answer.map(drop).map_err(|error| stack_failure(stack, "cloudformation:ContinueUpdateRollback", &error))
    })
    .await
}

/// Disables the SDK's retries: [`begin`] must know whether the answer to an earlier attempt was lost.
pub(super) fn single_attempt() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}

/// Repeats a call until AWS has accepted or refused it. An interruption ends the pauses.
pub(super) async fn begin(
    interrupt: Option<&Interrupt>,
    attempt: impl AsyncFn() -> Result<(), Failure>,
) -> Result<(), NotBegun> {
    let deadline = Instant::now() + THROTTLED;
    let (mut lost, mut pause) = (0, PAUSE.0);
    loop {
        let Err(failure) = attempt().await else { return Ok(()) };
        let is_refused = error::is_refusal(&failure);
        lost += u32::from(!is_refused);
        let again =
            if is_refused { error::is_throttled(&failure) && Instant::now() < deadline } else { lost < ATTEMPTS };
        if !again {
            return Err(NotBegun { failure, in_doubt: lost > 0 });
        }
        let wait = async {
            tokio::time::sleep(pause / 2 + jitter(pause / 2)).await;
            Ok(())
        };
        let stopped = match interrupt {
            Some(interrupt) => interrupt.or(wait).await,
            None => wait.await,
        };
        if let Err(error) = stopped {
            return Err(NotBegun { failure: Failure::of(&error), in_doubt: lost > 0 });
        }
        pause = (pause * 2).min(PAUSE.1);
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudformation::operation::continue_update_rollback::ContinueUpdateRollbackOutput;
    use aws_sdk_cloudformation::operation::delete_stack::DeleteStackOutput;
    use aws_sdk_cloudformation::operation::rollback_stack::RollbackStackOutput;
    use aws_smithy_mocks::{RuleMode, mock, mock_client};

    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/xtask/execution";

    /// A stack keeps its last role; a caller who may only pass a role has to name it each time.
    #[tokio::test]
    async fn every_operation_with_a_role_names_it() {
        for role in [None, Some(ROLE)] {
            let deleted = mock!(Client::delete_stack)
                .match_requests(move |request| request.role_arn() == role)
                .then_output(|| DeleteStackOutput::builder().build());
            let back = mock!(Client::rollback_stack)
                .match_requests(move |request| request.role_arn() == role)
                .then_output(|| RollbackStackOutput::builder().build());
            let on = mock!(Client::continue_update_rollback)
                .match_requests(move |request| request.role_arn() == role)
                .then_output(|| ContinueUpdateRollbackOutput::builder().build());
            let client = mock_client!(aws_sdk_cloudformation, RuleMode::MatchAny, [&deleted, &back, &on]);
            let stack = Stack { id: "arn:stack".to_owned(), ..Stack::default() };
            delete(&client, &stack, role, "t").await.unwrap();
            rollback(&client, &stack, role, "t").await.unwrap();
            continue_rollback(&client, &stack, role, &[], "t").await.unwrap();
        }
    }
}
