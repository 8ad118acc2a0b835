use aws_sdk_cloudformation::operation::continue_update_rollback::ContinueUpdateRollbackOutput;
use aws_sdk_cloudformation::operation::delete_stack::DeleteStackOutput;
use aws_sdk_cloudformation::operation::rollback_stack::RollbackStackOutput;
use aws_sdk_cloudformation::types::StackStatus;
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use model::status::{Answer, Refusal, answer, ending};

use super::*;

const ROLE: &str = "arn:aws:iam::111122223333:role/xtask/execution";

/// A stack keeps the role that it was last given; whoever may only use one has to name it each time.
#[tokio::test]
async fn every_operation_that_takes_a_role_is_given_it() {
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

#[test]
fn every_state_that_the_sdk_knows_has_an_answer_and_an_end() {
    for status in StackStatus::values() {
        assert_ne!(answer(Some(status)), Answer::Refuse(Refusal::Unknown), "{status}");
        let moving = status.ends_with("_IN_PROGRESS");
        assert_eq!(ending(status).is_none(), moving, "{status}");
    }
}
