//! IAM's simulator, which says yes to everything but what a test has it refuse.

use std::collections::BTreeMap;

use serde_json::Value;

use super::World;

/// The results of what a form asks about.
pub(super) fn simulation(world: &World, form: &BTreeMap<String, String>) -> String {
    let asked = form.iter().filter(|(name, _)| name.starts_with("ActionNames.member."));
    let result = |(_, action): (&String, &String)| {
        let decision = if world.refused.contains(&action.as_str()) { "implicitDeny" } else { "allowed" };
        format!(
            "<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName>\
             <EvalDecision>{decision}</EvalDecision></member>"
        )
    };
    format!("<EvaluationResults>{}</EvaluationResults>", asked.map(result).collect::<String>())
}

/// A policy's document, as IAM gives it.
pub(super) fn encoded(document: &Value) -> String {
    document.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect()
}
