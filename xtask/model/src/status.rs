//! What can be done with a stack in each of its states.
//!
//! The table follows CloudFormation's list of stack status codes
//! (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/view-stack-events.html>). It decides; it does not
//! act.

/// What a release does with a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// There is none yet, or only a change set that would create it.
    Create,
    Update,
    /// An operation is running: follow it, then decide again.
    Wait,
    /// Only deleting is possible: delete it, then create it again.
    Recreate,
    /// Nothing can be deployed to it.
    Refuse(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It stopped halfway with rollback disabled.
    Halted,
    /// The rollback failed; its cause must be fixed first.
    RollbackFailed,
    /// A state that this tool does not know.
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
                "fix what stopped the rollback, then cargo xtask recover {environment}; --skip LOGICAL_ID leaves out a \
                 resource that cannot be rolled back"
            ),
            Self::Unknown => format!("aws cloudformation describe-stacks --stack-name {stack} --region {region}"),
        }
    }
}

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Done,
    /// The stack is in its earlier state again.
    RolledBack,
    /// A failed creation: the stack can only be deleted.
    RolledBackToNothing,
    /// Neither new nor old: a person must decide.
    Stuck,
}

/// How the operation ended that left the stack in `status`; `None` while it is running.
///
/// Cleanup (`*_CLEANUP_IN_PROGRESS`) counts as running: until its end, old resources still serve and no other update
/// can start.
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
    fn difficult_states_have_an_action() {
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
