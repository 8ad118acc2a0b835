//! IAM's simulator, which says yes to everything but what a test has it refuse.

use std::collections::BTreeMap;

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
