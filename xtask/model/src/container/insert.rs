//! Additions become part of a template's text: lines are added, and every other line stays as it is.

use serde_json::{Value, json};

use super::{Additions, PERMISSIONS_POLICY, SECRETS_POLICY, Secret, grants, read, text};
use crate::template::{ContainerPlace, Definition, Template, place};

/// ECS takes 64 KiB for a task definition; the rest of it needs some
/// (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html>).
const LONGEST_LISTS: usize = 56 * 1024;
/// The longest user data in bytes before its encoding, less what the values of names in it may add
/// (<https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/user-data.html>).
const LONGEST_USER_DATA: usize = 16 * 1024 - 512;

/// Why additions cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct NotRenderable {
    /// The settings below the environment's section, such as `env.NAME`.
    pub setting: String,
    pub reason: String,
    pub hint: String,
}

/// The template with the additions.
///
/// # Errors
/// As for [`Template::with_container`].
pub(super) fn insert(template: &Template, additions: &Additions) -> Result<Template, NotRenderable> {
    let Some(place) = &template.container else {
        let reason = format!("{} does not say where its container is", template.path);
        return Err(refuse(
            "env, secrets and permissions",
            reason,
            "add Metadata.Release.Container, as infra/README.md shows",
        ));
    };
    let own = read::names(&template.document.root, &place.definition);
    let names = [("env", additions.env.keys().collect::<Vec<_>>()), ("secrets", additions.secrets.keys().collect())];
    for (table, name) in names.iter().flat_map(|(table, names)| names.iter().map(move |name| (table, name))) {
        if own.contains(*name) {
            let reason = format!("{} sets it itself", template.path);
            let hint = "remove it from deploy.toml; perhaps a parameter of the template has its value";
            return Err(refuse(&format!("{table}.{name}"), reason, hint));
        }
    }
    let mut body = template.body.clone();
    match &place.definition {
        Definition::Task { logical_id, container } => {
            let index = read::container_index(&template.document.root, logical_id, container);
            let index = index.ok_or_else(|| {
                let reason = format!("{logical_id} of {} has no container {container}", template.path);
                refuse("env and secrets", reason, "correct Metadata.Release.Container of the template")
            })?;
            let list = ["Resources", logical_id, "Properties", "ContainerDefinitions", &index.to_string()];
            add_to_task(&mut body, template, &list, additions)?;
        }
        Definition::UserData { .. } if !additions.permissions.is_empty() => {
            let reason =
                format!("the container of {} reaches no credentials of its machine, on purpose", template.path);
            return Err(refuse(
                "permissions",
                reason,
                "release it to tasks: infra/api-backend-fargate.yaml gives them a role",
            ));
        }
        Definition::UserData { logical_id, variable } => {
            add_to_user_data(&mut body, template, logical_id, variable, additions)?
        }
    }
    let ContainerPlace { execution_role, task_role, .. } = place;
    let policies = [
        (execution_role, ("secrets", SECRETS_POLICY), grants::reading(&additions.secrets)),
        (task_role, ("permissions", PERMISSIONS_POLICY), additions.permissions.clone()),
    ];
    for (role, (setting, name), statements) in policies.iter().filter(|(_, _, statements)| !statements.is_empty()) {
        let document = json!({"Version": "2012-10-17", "Statement": statements});
        let policy = json!({"PolicyName": name, "PolicyDocument": document});
        add(&mut body, &["Resources", role, "Properties", "Policies"], &[policy])
            .map_err(|reason| not_in_block_style(template, setting, &reason))?;
    }
    let rendered = Template::read(&template.path, body)
        .map_err(|error| refuse("env, secrets and permissions", format!("with them, {error}"), "shorten them"))?;
    Ok(Template { file: template.file.clone(), ..rendered })
}

fn refuse(setting: &str, reason: String, hint: &str) -> NotRenderable {
    NotRenderable { setting: setting.to_owned(), reason, hint: hint.to_owned() }
}

pub(super) fn not_in_block_style(template: &Template, setting: &str, reason: &str) -> NotRenderable {
    let hint =
        "write it as the templates in infra/ have it: a line for the key, and below it a line or more for each item";
    refuse(setting, format!("{}: {reason}", template.path), hint)
}

/// `container` is the path of its definition.
fn add_to_task(
    body: &mut String,
    template: &Template,
    container: &[&str],
    additions: &Additions,
) -> Result<(), NotRenderable> {
    let variable = |(name, value): (&&str, &String)| json!({"Name": name, "Value": value});
    let env: Vec<Value> = additions.variables().iter().map(variable).collect();
    let secret = |(name, secret): (&String, &Secret)| json!({"Name": name, "ValueFrom": secret.reference.to_string()});
    let secrets: Vec<Value> = additions.secrets.iter().map(secret).collect();
    let size: usize = env.iter().chain(&secrets).map(|one| one.to_string().len()).sum();
    if size > LONGEST_LISTS {
        let reason = format!("together they have {size} bytes, and a task definition has room for {LONGEST_LISTS}");
        return Err(refuse(
            "env and secrets",
            reason,
            "keep large values in a file of the image, or let the service read them itself",
        ));
    }
    let environment = [container, &["Environment"]].concat();
    let of_secrets = [container, &["Secrets"]].concat();
    let failed = |setting: &'static str| move |reason: String| not_in_block_style(template, setting, &reason);
    if !env.is_empty() {
        add(body, &environment, &env).map_err(failed("env"))?;
    }
    if !secrets.is_empty() {
        if value_at(&template.document.root, &of_secrets).is_none() {
            add_key(body, &environment, "Secrets").map_err(failed("secrets"))?;
        }
        add(body, &of_secrets, &secrets).map_err(failed("secrets"))?;
    }
    Ok(())
}

fn add_to_user_data(
    body: &mut String,
    template: &Template,
    logical_id: &str,
    variable: &str,
    additions: &Additions,
) -> Result<(), NotRenderable> {
    let path = read::user_data(logical_id);
    let sub = value_at(&template.document.root, &path).and_then(Value::as_array);
    let all = "env, secrets and before_release";
    let (Some([Value::String(script), values]), Some(line)) =
        (sub.map(Vec::as_slice), place::line(body, &[&path[..], &["1", variable]].concat()))
    else {
        let reason = format!("the user data of {logical_id} is no Fn::Sub with a variable {variable}");
        return Err(not_in_block_style(template, all, &reason));
    };
    let lines = lines(additions);
    let size = script.len() + values.to_string().len() + lines.len();
    if size > LONGEST_USER_DATA {
        let reason = format!("with them the user data has about {size} bytes, and EC2 takes {LONGEST_USER_DATA}");
        return Err(refuse(all, reason, "keep large values in a file of the image, or in secrets"));
    }
    let mut text: Vec<String> = body.lines().map(str::to_owned).collect();
    let empty = format!("{variable}: ''");
    match text.get_mut(line - 1).filter(|line| line.trim() == empty) {
        Some(line) => *line = line.replace("''", &text::yaml(&Value::from(lines))),
        None => return Err(not_in_block_style(template, all, &format!("line {line} is not `{empty}`"))),
    }
    *body = text.join("\n") + "\n";
    Ok(())
}

/// An object for each addition, one a line.
fn lines(additions: &Additions) -> String {
    let mut lines: Vec<Value> =
        additions.variables().iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    let secret = |(name, secret): (&String, &Secret)| json!({"name": name, "from": secret.reference.to_string()});
    lines.extend(additions.secrets.iter().map(secret));
    if !additions.before.is_empty() {
        lines.push(json!({"before": additions.before}));
    }
    lines.iter().map(text::json).collect::<Vec<_>>().join("\n")
}

/// Adds items to the list at `path`, before those that it has.
///
/// # Errors
/// Why the text has no place for them.
pub(super) fn add(body: &mut String, path: &[&str], items: &[Value]) -> Result<(), String> {
    let shown = path.join(".");
    let key = place::line(body, path).ok_or_else(|| format!("there is no {shown}"))?;
    let mut text: Vec<String> = body.lines().map(str::to_owned).collect();
    let column = indent(&text[key - 1]);
    if text[key - 1].trim().strip_suffix(':') != path.last().copied() {
        return Err(format!("{shown} is not on a line of its own"));
    }
    let is_content = |line: &&String| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let next = text[key..].iter().find(is_content);
    let indent = match next {
        Some(item) if item.trim_start().starts_with("- ") && indent(item) >= column => indent(item),
        // A key that was added, whose list has nothing yet.
        Some(other) if indent(other) > column => {
            return Err(format!("{shown} is no list with a line or more for each item"));
        }
        _ => column + 2,
    };
    let line = |item: &Value| format!("{:indent$}- {}", "", text::yaml(item));
    text.splice(key..key, items.iter().map(line));
    *body = text.join("\n") + "\n";
    Ok(())
}

/// Adds an empty list before the key that `beside` leads to.
fn add_key(body: &mut String, beside: &[&str], name: &str) -> Result<(), String> {
    let shown = beside.join(".");
    let key = beside.last().copied().unwrap_or_default();
    let at = place::line(body, beside).ok_or_else(|| format!("there is no {shown}"))?;
    let mut text: Vec<String> = body.lines().map(str::to_owned).collect();
    if text[at - 1].trim() != format!("{key}:") {
        return Err(format!("{shown} is not on a line of its own"));
    }
    let indent = indent(&text[at - 1]);
    text.insert(at - 1, format!("{:indent$}{name}:", ""));
    *body = text.join("\n") + "\n";
    Ok(())
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

fn value_at<'a>(root: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(root, |value, step| match step.parse::<usize>() {
        Ok(index) if value.is_array() => value.get(index),
        _ => value.get(step),
    })
}
