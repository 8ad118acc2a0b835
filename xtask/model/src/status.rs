//! What may be done to a stack in each of its states.
//!
//! The table follows CloudFormation's list of stack status codes
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>). It answers; it does not
//! act.

/// What a release does with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There is none yet, or only a change set waits to create it.
    Create,
    Update,
    /// Something is under way: follow it, then ask again.
    Wait,
    /// Only deleting is possible: delete it, then create it again.
    Recreate,
    /// Nothing can be deployed into it.
    Refuse(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It stopped in the middle with rollback disabled.
    Halted,
    /// Going back failed; resources need attention first.
    RollbackFailed,
    /// A state this tool does not know.
    Unknown,
}

/// What to do with a stack in `status`; `None` is a stack that does not exist.
pub fn answer(status: Option<&str>) -> Answer {
    let Some(status) = status else { return Answer::Create };
    match status {
        "REVIEW_IN_PROGRESS" | "DELETE_COMPLETE" => Answer::Create,
        "CREATE_COMPLETE"
        | "UPDATE_COMPLETE"
        | "UPDATE_ROLLBACK_COMPLETE"
        | "IMPORT_COMPLETE"
        | "IMPORT_ROLLBACK_COMPLETE" => Answer::Update,
        "ROLLBACK_COMPLETE" | "ROLLBACK_FAILED" | "DELETE_FAILED" | "CREATE_FAILED" => Answer::Recreate,
        "UPDATE_FAILED" => Answer::Refuse(Refusal::Halted),
        "UPDATE_ROLLBACK_FAILED" | "IMPORT_ROLLBACK_FAILED" => Answer::Refuse(Refusal::RollbackFailed),
        other if other.ends_with("_IN_PROGRESS") => Answer::Wait,
        _ => Answer::Refuse(Refusal::Unknown),
    }
}

impl Refusal {
    /// The command that gets the stack out of this state.
    pub fn hint(self, stack: &str, environment: &str, region: &str) -> String {
        match self {
            Self::Halted => format!("cargo xtask recover {environment}"),
            Self::RollbackFailed => format!(
                "mend what stopped the rollback, then cargo xtask recover {environment}; what cannot be brought back is \
                 given up with --skip LOGICAL_ID"
            ),
            Self::Unknown => format!("aws cloudformation describe-stacks --stack-name {stack} --region {region}"),
        }
    }
}

/// How an operation that has come to rest ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// The stack is back where it was.
    RolledBack,
    /// Nothing is left of a first attempt; the stack can only be deleted.
    RolledBackToNothing,
    /// Neither new nor old: someone must look.
    Stuck,
}

/// How an operation ended that left the stack in `status`; `None` while it still goes on.
///
/// Cleaning up (`*_CLEANUP_IN_PROGRESS`) counts as going on: until it is over, old resources still serve and no other
/// update may start.
pub fn ending(status: &str) -> Option<Ending> {
    Some(match status {
        "CREATE_COMPLETE" | "UPDATE_COMPLETE" | "DELETE_COMPLETE" | "IMPORT_COMPLETE" => Ending::Done,
        "UPDATE_ROLLBACK_COMPLETE" | "IMPORT_ROLLBACK_COMPLETE" => Ending::RolledBack,
        "ROLLBACK_COMPLETE" => Ending::RolledBackToNothing,
        other if other.ends_with("_IN_PROGRESS") => return None,
        _ => Ending::Stuck,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_that_trap_others_are_answered() {
        assert_eq!(answer(None), Answer::Create);
        assert_eq!(answer(Some("REVIEW_IN_PROGRESS")), Answer::Create);
        assert_eq!(answer(Some("UPDATE_ROLLBACK_COMPLETE")), Answer::Update);
        assert_eq!(answer(Some("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")), Answer::Wait);
        assert_eq!(answer(Some("ROLLBACK_COMPLETE")), Answer::Recreate);
        assert_eq!(answer(Some("UPDATE_ROLLBACK_FAILED")), Answer::Refuse(Refusal::RollbackFailed));
        assert_eq!(answer(Some("SOMETHING_NEW")), Answer::Refuse(Refusal::Unknown));
        assert_eq!(ending("ROLLBACK_COMPLETE"), Some(Ending::RolledBackToNothing));
        assert_eq!(ending("ROLLBACK_FAILED"), Some(Ending::Stuck));
    }

    #[test]
    fn each_refusal_names_a_command() {
        for refusal in [Refusal::Halted, Refusal::RollbackFailed, Refusal::Unknown] {
            let hint = refusal.hint("s", "dev", "eu-central-1");
            assert!(hint.contains("cargo xtask") || hint.contains("aws cloudformation"), "{hint}");
        }
    }
}
