//! Tasks that run one command: a definition of their own, made from a service's, and what ECS accepts of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::template::{Definition, Template};

/// The most characters of a task's overrides
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_TaskOverride.html>).
pub const LONGEST_OVERRIDES: usize = 8192;
/// The most characters of what says who started a task.
const LONGEST_STARTER: usize = 128;
/// The variable by which a container knows its image.
const IMAGE_DIGEST: &str = "IMAGE_DIGEST";
/// What only ECS says of a definition.
const OF_ECS: [&str; 8] = [
    "compatibilities",
    "deregisteredAt",
    "registeredAt",
    "registeredBy",
    "requiresAttributes",
    "revision",
    "status",
    "taskDefinitionArn",
];
/// What a container has for those that call it.
const OF_SERVERS: [&str; 3] = ["healthCheck", "portMappings", "restartPolicy"];

/// The command of a release whose tool runs it; elsewhere the machine itself does, as its template says.
pub fn command<'a>(template: &Template, command: &'a [String]) -> Option<&'a [String]> {
    let place = template.container.as_ref()?;
    (matches!(place.definition, Definition::Task { .. }) && !command.is_empty()).then_some(command)
}

/// What a plan says of it.
pub fn step(template: &Template, words: &[String]) -> Option<String> {
    let words = command(template, words)?;
    Some(format!("run `{}` with the new image before a new task serves", words.join(" ")))
}

/// What a definition's container becomes.
#[derive(Debug, Default)]
pub struct Changes<'a> {
    /// The image by digest, `HOST/REPOSITORY@sha256:HEX`.
    pub image: &'a str,
    pub command: &'a [String],
    /// Variables and secrets besides those that the template itself sets; `None` leaves all as they are.
    pub additions: Option<Additions>,
}

/// What a text gives its container.
#[derive(Debug, Default)]
pub struct Additions {
    /// Names that keep the value that the definition has.
    pub kept: BTreeSet<String>,
    pub env: BTreeMap<String, String>,
    pub secrets: BTreeMap<String, String>,
}

/// A definition of `family`, made from the one that ECS has described.
pub fn copy(described: &Value, family: &str, container: &str, changes: &Changes<'_>) -> Value {
    let mut copy = without_nothing(described);
    if let Some(map) = copy.as_object_mut() {
        map.retain(|key, _| !OF_ECS.contains(&key.as_str()));
        map.insert("family".to_owned(), json!(family));
        map.insert("tags".to_owned(), json!([{"key": "managed-by", "value": "xtask"}]));
    }
    let containers = copy["containerDefinitions"].as_array_mut().into_iter().flatten();
    for definition in containers.filter(|one| one["name"] == container).filter_map(Value::as_object_mut) {
        OF_SERVERS.iter().for_each(|key| drop(definition.remove(*key)));
        definition.insert("image".to_owned(), json!(changes.image));
        definition.insert("command".to_owned(), json!(changes.command));
        let mut env = pairs(definition, "environment", "value");
        if let Some(additions) = &changes.additions {
            let mut secrets = pairs(definition, "secrets", "valueFrom");
            env.retain(|name, _| additions.kept.contains(name));
            secrets.retain(|name, _| additions.kept.contains(name));
            env.extend(additions.env.clone());
            secrets.extend(additions.secrets.clone());
            definition.insert("secrets".to_owned(), list(secrets, "valueFrom"));
        }
        if let (Some(digest), Some((_, new))) = (env.get_mut(IMAGE_DIGEST), changes.image.split_once('@')) {
            new.clone_into(digest);
        }
        definition.insert("environment".to_owned(), list(env, "value"));
    }
    copy
}

/// The log group of a definition's container, and the prefix of its streams.
pub fn log<'a>(definition: &'a Value, container: &str) -> Option<(&'a str, &'a str)> {
    let containers = definition["containerDefinitions"].as_array()?;
    let options = &containers.iter().find(|one| one["name"] == container)?["logConfiguration"]["options"];
    Some((options["awslogs-group"].as_str()?, options["awslogs-stream-prefix"].as_str()?))
}

/// Who started a task, in the characters that ECS takes: this tool, what for, and the caller's name.
pub fn starter(doing: &str, caller: &str) -> String {
    let name = caller.splitn(6, ':').last().unwrap_or_default();
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_/".contains(c) { c } else { '-' };
    format!("xtask/{doing}/{name}").chars().map(allowed).take(LONGEST_STARTER).collect()
}

/// How many characters the command takes of a task's overrides.
pub fn overrides(container: &str, command: &[String]) -> usize {
    json!({"containerOverrides": [{"name": container, "command": command}]}).to_string().chars().count()
}

/// The value without the keys that say nothing, which emulators return and `RegisterTaskDefinition` refuses.
fn without_nothing(value: &Value) -> Value {
    let says_nothing = |value: &Value| value.is_null() || value == "";
    match value {
        // A variable may well be empty.
        Value::Object(map) if map.contains_key("value") => value.clone(),
        Value::Object(map) => map
            .iter()
            .filter(|(_, value)| !says_nothing(value))
            .map(|(key, value)| (key.clone(), without_nothing(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(without_nothing).collect(),
        scalar => scalar.clone(),
    }
}

fn pairs(definition: &Map<String, Value>, list: &str, value: &str) -> BTreeMap<String, String> {
    let items = definition.get(list).and_then(Value::as_array).into_iter().flatten();
    // An emulator may have numbers where a template had them.
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    items.filter_map(|item| Some((item["name"].as_str()?.to_owned(), text(&item[value])))).collect()
}

fn list(pairs: BTreeMap<String, String>, value: &str) -> Value {
    pairs.into_iter().map(|(name, text)| json!({"name": name, value: text})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: &str = "registry.example/api@sha256:2222";

    fn described() -> Value {
        json!({
            "taskDefinitionArn": "arn:api:7", "family": "api", "revision": 7, "status": "ACTIVE", "registeredAt": 1.5,
            "registeredBy": "me", "requiresAttributes": [], "compatibilities": ["FARGATE"], "pidMode": "", "ipcMode": null,
            "networkMode": "awsvpc", "cpu": "256", "executionRoleArn": "arn:start", "taskRoleArn": "arn:run",
            "somethingNew": {"a": 1},
            "containerDefinitions": [
                {
                    "name": "api", "image": "registry.example/api@sha256:1111", "essential": true,
                    "portMappings": [{"containerPort": 80}], "healthCheck": {"command": ["CMD", "x"]},
                    "environment": [
                        {"name": "API_PORT", "value": "80"}, {"name": "GONE", "value": "x"}, {"name": "EMPTY", "value": ""},
                        {"name": "IMAGE_DIGEST", "value": "sha256:1111"},
                    ],
                    "secrets": [{"name": "OLD", "valueFrom": "/old"}, {"name": "OWN", "valueFrom": "/own"}],
                    "logConfiguration": {"options": {"awslogs-group": "group", "awslogs-stream-prefix": "app"}},
                },
                {"name": "sidecar", "image": "registry.example/sidecar:1", "portMappings": [{"containerPort": 81}]},
            ],
        })
    }

    #[test]
    fn a_copy_has_everything_but_what_ecs_adds_and_what_servers_need() {
        let command = ["/api".to_owned(), "migrate".to_owned()];
        let changes = Changes { image: NEW, command: &command, additions: None };
        let copied = copy(&described(), "api-run", "api", &changes);
        let keys: BTreeSet<&str> = copied.as_object().unwrap().keys().map(String::as_str).collect();
        let kept = ["containerDefinitions", "cpu", "executionRoleArn", "family", "networkMode", "somethingNew", "tags"];
        assert_eq!(keys, [&kept[..], &["taskRoleArn"]].concat().into_iter().collect());
        assert_eq!(copied["family"], "api-run");
        let container = &copied["containerDefinitions"][0];
        assert_eq!((&container["image"], &container["command"]), (&json!(NEW), &json!(command)));
        assert!(container.get("portMappings").is_none() && container.get("healthCheck").is_none());
        let env = json!([
            {"name": "API_PORT", "value": "80"}, {"name": "EMPTY", "value": ""}, {"name": "GONE", "value": "x"},
            {"name": "IMAGE_DIGEST", "value": "sha256:2222"},
        ]);
        assert_eq!(container["environment"], env);
        assert_eq!(container["secrets"], described()["containerDefinitions"][0]["secrets"]);
        assert_eq!(copied["containerDefinitions"][1], described()["containerDefinitions"][1]);
    }

    #[test]
    fn variables_and_secrets_are_those_of_the_new_text() {
        let pair = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let additions = Additions {
            kept: ["API_PORT", "IMAGE_DIGEST", "OWN"].map(str::to_owned).into(),
            env: pair("ADDED", "1"),
            secrets: pair("NEW", "/new"),
        };
        let changes = Changes { image: NEW, command: &[], additions: Some(additions) };
        let copied = copy(&described(), "api-run", "api", &changes);
        let container = &copied["containerDefinitions"][0];
        let env = json!([
            {"name": "ADDED", "value": "1"}, {"name": "API_PORT", "value": "80"},
            {"name": "IMAGE_DIGEST", "value": "sha256:2222"},
        ]);
        assert_eq!(container["environment"], env);
        let secrets = json!([{"name": "NEW", "valueFrom": "/new"}, {"name": "OWN", "valueFrom": "/own"}]);
        assert_eq!(container["secrets"], secrets);
    }

    #[test]
    fn a_container_says_where_it_logs() {
        assert_eq!(log(&described(), "api"), Some(("group", "app")));
        assert_eq!(log(&described(), "sidecar"), None);
    }

    #[test]
    fn a_task_says_who_started_it_in_the_characters_of_ecs() {
        assert_eq!(starter("run", "arn:aws:iam::111122223333:user/me@x.example"), "xtask/run/user/me-x-example");
        assert_eq!(starter("run", &format!("arn:aws:sts::1:assumed-role/a/{}", "x".repeat(200))).len(), 128);
    }

    #[test]
    fn a_command_counts_as_ecs_counts_it() {
        assert_eq!(overrides("api", &["/api".to_owned(), "größe".to_owned()]), 66);
    }
}
