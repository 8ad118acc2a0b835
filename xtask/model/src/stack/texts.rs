//! What CloudFormation says only in words, without a code, a status or a type of its own.
//!
//! Every decision that depends on the wording of a CloudFormation message is in this file; the rest branches on types.

/// Whether a call failed because the stack, or the drift detection, does not exist: the code is only `ValidationError`.
pub fn is_missing(code: Option<&str>, message: Option<&str>) -> bool {
    code == Some("ValidationError") && message.is_some_and(|text| text.contains("does not exist"))
}

/// Whether a list was refused because no stack imports the export.
pub fn is_not_imported(code: Option<&str>, message: Option<&str>) -> bool {
    code == Some("ValidationError") && message.is_some_and(|text| text.contains("is not imported by any stack"))
}

/// Whether a deletion was refused because of termination protection.
pub fn is_protected(message: Option<&str>) -> bool {
    message.is_some_and(|text| text.contains("TerminationProtection"))
}

/// Whether a change set failed because there is nothing to change; CloudFormation has two texts for it.
pub fn is_unchanged(reason: &str) -> bool {
    reason.contains("didn't contain changes") || reason.contains("No updates are to be performed")
}

/// Whether a change set was refused by early validation, whose events say more.
pub fn is_early_validation(reason: &str) -> bool {
    reason.to_lowercase().contains("validation")
}

/// Whether a refused execution names the stack's status as the reason.
pub fn names_status(reason: &str, status: &str) -> bool {
    !status.is_empty() && reason.contains(status)
}

/// Whether a resource stopped because another one failed: "Resource creation cancelled" and similar. Any other text with
/// "cancelled" in it may well be the cause.
pub(super) fn is_cancelled(reason: &str) -> bool {
    let mut words = reason.split_whitespace().map(str::to_lowercase);
    words.next().as_deref() == Some("resource") && words.nth(1).is_some_and(|word| word.starts_with("cancelled"))
}

/// Whether a stack only lists the resources that failed.
pub(super) fn is_summary(reason: &str) -> bool {
    reason.starts_with("The following resource(s) failed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloudformations_texts_are_recognized() {
        let missing = Some("Stack with id rest-api does not exist");
        assert!(is_missing(Some("ValidationError"), missing));
        assert!(!is_missing(Some("AccessDenied"), missing));
        assert!(!is_missing(Some("ValidationError"), Some("Parameters: [Size] must have values")));
        let unused = Some("Export 'network-VpcId' is not imported by any stack.");
        assert!(is_not_imported(Some("ValidationError"), unused) && !is_not_imported(Some("AccessDenied"), unused));
        assert!(!is_not_imported(Some("ValidationError"), missing));
        let protected = "Stack [rest-api] cannot be deleted while TerminationProtection is enabled";
        assert!(is_protected(Some(protected)) && !is_protected(missing) && !is_protected(None));
        for unchanged in [
            "The submitted information didn't contain changes. Submit different information to create a change set.",
            "No updates are to be performed.",
        ] {
            assert!(is_unchanged(unchanged) && !is_early_validation(unchanged), "{unchanged}");
        }
        assert!(is_early_validation(
            "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation]"
        ));
        assert!(!is_unchanged("Requires capabilities : [CAPABILITY_NAMED_IAM]"));
        let refused = "InvalidChangeSetStatus: the stack is in ROLLBACK_COMPLETE state and can not be updated";
        assert!(names_status(refused, "ROLLBACK_COMPLETE") && !names_status(refused, "CREATE_COMPLETE"));
        assert!(is_cancelled("Resource creation cancelled") && is_cancelled("Resource update Cancelled"));
        assert!(!is_cancelled("Request cancelled by the service"));
        assert!(is_summary("The following resource(s) failed to create: [Service]. ") && !is_summary("Alarm breached"));
    }
}
