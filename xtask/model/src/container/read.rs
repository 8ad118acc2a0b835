//! What a template's text gives its container.

use std::collections::{BTreeMap, BTreeSet};

use config::deployment::SECRET_VERSIONS;
use serde_json::Value;

use super::PERMISSIONS_POLICY;
use crate::template::{ContainerPlace, Definition, Template};

/// A container's variables and secrets, as far as they are literal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    pub env: BTreeMap<String, String>,
    /// Where each secret's value is.
    pub secrets: BTreeMap<String, String>,
    /// Which version of each secret it was deployed with.
    pub versions: BTreeMap<String, String>,
    /// The statements of the service's own, as JSON text.
    pub permissions: Vec<String>,
}

/// Reads the container of a text that this tool deployed or would deploy. One that has none has nothing.
pub fn read(body: &str) -> Container {
    let Ok(template) = Template::read("", body.to_owned()) else { return Container::default() };
    let Some(place) = &template.container else { return Container::default() };
    let root = &template.document.root;
    let mut container = match &place.definition {
        Definition::Task { logical_id, container } => of_task(root, logical_id, container),
        Definition::UserData { logical_id, variable } => of_user_data(root, logical_id, variable),
    };
    let versions = container.env.remove(SECRET_VERSIONS).unwrap_or_default();
    let versions = versions.split(' ').filter_map(|pair| pair.split_once('='));
    container.versions = versions.map(|(name, version)| (name.to_owned(), version.to_owned())).collect();
    container.permissions = permissions(root, place);
    container
}

fn of_task(root: &Value, logical_id: &str, container: &str) -> Container {
    let Some(index) = container_index(root, logical_id, container) else { return Container::default() };
    let definition = &root["Resources"][logical_id]["Properties"]["ContainerDefinitions"][index];
    let pairs = |list: &str, value: &str| {
        let items = definition[list].as_array().into_iter().flatten();
        let pair = |item: &Value| Some((item["Name"].as_str()?.to_owned(), item[value].as_str()?.to_owned()));
        items.filter_map(pair).collect()
    };
    Container { env: pairs("Environment", "Value"), secrets: pairs("Secrets", "ValueFrom"), ..Container::default() }
}

fn of_user_data(root: &Value, logical_id: &str, variable: &str) -> Container {
    let sub = user_data(logical_id).iter().fold(root, |value, step| &value[step]);
    let mut container = Container::default();
    for line in sub[1][variable].as_str().unwrap_or_default().lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let Some(name) = line["name"].as_str().map(str::to_owned) else { continue };
        match (line["value"].as_str(), line["from"].as_str()) {
            (Some(value), _) => drop(container.env.insert(name, value.to_owned())),
            (None, Some(from)) => drop(container.secrets.insert(name, from.to_owned())),
            (None, None) => {}
        }
    }
    container
}

fn permissions(root: &Value, place: &ContainerPlace) -> Vec<String> {
    let policies = root["Resources"][&place.task_role]["Properties"]["Policies"].as_array();
    let own = policies.into_iter().flatten().filter(|policy| policy["PolicyName"] == PERMISSIONS_POLICY);
    let statements = own.filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array()).flatten();
    statements.map(super::text::flow).collect()
}

/// Where a launch template's user data is.
pub(super) fn user_data(logical_id: &str) -> [&str; 7] {
    ["Resources", logical_id, "Properties", "LaunchTemplateData", "UserData", "Fn::Base64", "Fn::Sub"]
}

/// Which of a task definition's containers has this name.
pub(super) fn container_index(root: &Value, logical_id: &str, container: &str) -> Option<usize> {
    let list = root["Resources"][logical_id]["Properties"]["ContainerDefinitions"].as_array()?;
    list.iter().position(|one| one["Name"] == container)
}

/// The names of the variables and secrets that a template's file gives its container, before anything is added.
pub fn own_names(template: &Template) -> BTreeSet<String> {
    let Ok(file) = Template::read("", template.file.clone()) else { return BTreeSet::new() };
    file.container.map(|place| names(&file.document.root, &place.definition)).unwrap_or_default()
}

/// The names of the variables that a template's own text sets, also where a condition decides. User data is a program: what
/// it sets is its own `--env NAME=`.
pub(super) fn names(root: &Value, definition: &Definition) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    match definition {
        Definition::Task { logical_id, container } => {
            if let Some(index) = container_index(root, logical_id, container) {
                let definition = &root["Resources"][logical_id]["Properties"]["ContainerDefinitions"][index];
                collect(&definition["Environment"], &mut names);
                collect(&definition["Secrets"], &mut names);
            }
        }
        Definition::UserData { logical_id, .. } => {
            let sub = user_data(logical_id).iter().fold(root, |value, step| &value[step]).to_string();
            let set = sub.split("--env '").skip(1).filter_map(|rest| rest.split_once('=')).map(|(name, _)| name);
            names.extend(set.map(str::to_owned));
        }
    }
    names
}

fn collect(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, names)),
        Value::Object(map) => match map.get("Name").and_then(Value::as_str) {
            Some(name) => drop(names.insert(name.to_owned())),
            None => map.values().for_each(|value| collect(value, names)),
        },
        _ => {}
    }
}
