//! Grants of the next text, added to the deployed one: a task that runs before a release needs them before the release.

use serde_json::{Value, json};

use super::insert::{self, NotRenderable, add};
use super::{PERMISSIONS_POLICY, SECRETS_POLICY};
use crate::template::Template;

/// What the names of the policies end with where they come ahead of their text.
const AHEAD: &str = "-next";

/// The deployed text with what `next` allows the roles besides; `None` where they may do all of it.
///
/// # Errors
/// A deployed text that has no place for it.
pub fn grant_ahead(deployed: &Template, next: &Template) -> Result<Option<Template>, NotRenderable> {
    let (Some(place), Some(next_place)) = (&deployed.container, &next.container) else { return Ok(None) };
    let mut body = deployed.body.clone();
    let mut is_changed = false;
    for (name, role, next_role) in [
        (SECRETS_POLICY, &place.execution_role, &next_place.execution_role),
        (PERMISSIONS_POLICY, &place.task_role, &next_place.task_role),
    ] {
        let wanted = statements(next, next_role, &[name]);
        let ahead = format!("{name}{AHEAD}");
        let has = statements(deployed, role, &[name, &ahead]);
        if wanted.iter().all(|statement| has.contains(statement)) {
            continue;
        }
        is_changed = true;
        let mark = format!("\"PolicyName\": \"{ahead}\"");
        body = body.lines().filter(|line| !line.contains(&mark)).map(|line| format!("{line}\n")).collect();
        let document = json!({"Version": "2012-10-17", "Statement": wanted});
        let policy = json!({"PolicyName": ahead, "PolicyDocument": document});
        add(&mut body, &["Resources", role, "Properties", "Policies"], &[policy])
            .map_err(|reason| insert::not_in_block_style(deployed, name, &reason))?;
    }
    if !is_changed {
        return Ok(None);
    }
    let text = Template::read(&deployed.path, body);
    text.map(Some).map_err(|error| insert::not_in_block_style(deployed, "secrets and permissions", &error.to_string()))
}

/// The statements of a role's policies of these names.
fn statements(template: &Template, role: &str, names: &[&str]) -> Vec<Value> {
    let policies = template.document.root["Resources"][role]["Properties"]["Policies"].as_array();
    let named = policies.into_iter().flatten().filter(|policy| names.iter().any(|name| policy["PolicyName"] == **name));
    named.filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array()).flatten().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A template whose roles have these policies.
    fn template(policies: &[(&str, &str)]) -> Template {
        let role = |name: &str| {
            let own = policies.iter().filter(|(policy, _)| policy.contains(name));
            let line = |(policy, resource): &(&str, &str)| {
                format!(
                    "        - {{\"PolicyDocument\": {{\"Statement\": [{{\"Action\": \"a:B\", \"Effect\": \"Allow\", \
                     \"Resource\": \"{resource}\"}}], \"Version\": \"2012-10-17\"}}, \"PolicyName\": \"{policy}\"}}\n"
                )
            };
            own.map(line).collect::<String>()
        };
        let text = format!(
            "Metadata:\n  Release:\n    Container: {{TaskDefinition: Task, Name: api, ExecutionRole: Start, TaskRole: Run}}\n\
             Resources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n  Start:\n    Type: AWS::IAM::Role\n    Properties:\n\
             \x20     Policies:\n        - PolicyName: start\n{}  Run:\n    Type: AWS::IAM::Role\n    Properties:\n\
             \x20     Policies:\n        - PolicyName: run\n{}",
            role("secrets"),
            role("permissions")
        );
        Template::read("t.yaml", text).unwrap()
    }

    #[test]
    fn what_the_deployed_text_does_not_allow_comes_ahead_of_the_next_one() {
        let deployed = template(&[("deploy-secrets", "one")]);
        let next = template(&[("deploy-secrets", "two"), ("deploy-permissions", "three")]);
        let ahead = grant_ahead(&deployed, &next).unwrap().unwrap();
        let resources = |template: &Template, role: &str, name: &str| -> Vec<String> {
            let found = statements(template, role, &[name]);
            found.iter().map(|one| one["Resource"].as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(resources(&ahead, "Start", "deploy-secrets"), ["one"], "the running version keeps what it has");
        assert_eq!(resources(&ahead, "Start", "deploy-secrets-next"), ["two"]);
        assert_eq!(resources(&ahead, "Run", "deploy-permissions-next"), ["three"]);
        // A run that was cut short has deployed it, and another release follows.
        assert!(grant_ahead(&ahead, &next).unwrap().is_none());
        let other = template(&[("deploy-secrets", "four")]);
        let again = grant_ahead(&ahead, &other).unwrap().unwrap();
        assert_eq!(resources(&again, "Start", "deploy-secrets-next"), ["four"]);
    }

    #[test]
    fn fewer_grants_and_the_same_ones_need_nothing_ahead() {
        let deployed = template(&[("deploy-secrets", "one"), ("deploy-permissions", "two")]);
        for next in [deployed.clone(), template(&[("deploy-secrets", "one")]), template(&[])] {
            assert!(grant_ahead(&deployed, &next).unwrap().is_none());
        }
    }

    #[test]
    fn a_deployed_text_without_a_place_is_refused() {
        let mut deployed = template(&[]);
        deployed.body = deployed.body.replace("      Policies:\n        - PolicyName: start\n", "      Policies: []\n");
        let refused = grant_ahead(&deployed, &template(&[("deploy-secrets", "one")])).unwrap_err();
        assert!(refused.reason.contains("Policies"), "{refused}");
    }
}
