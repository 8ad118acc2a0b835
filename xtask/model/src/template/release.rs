//! A template's `Metadata.Release`, which is for this tool.

use std::collections::BTreeMap;

use serde_json::Value;

use super::InvalidTemplate;

/// How a waiting deployment is verified, before users see the new version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// Logical id of the service.
    pub service: String,
    /// Logical id of the secret whose value routes to the new tasks.
    pub secret: String,
    /// The request header that carries it.
    pub header: String,
    /// Logical ids of the listener rules whose weights AWS changes during a deployment.
    pub rules: Vec<String>,
}

/// Which parameter redeploys the API, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redeploy {
    pub parameter: String,
    /// The two values that it alternates between.
    pub values: [String; 2],
    /// Parameters that define the API.
    pub when: Vec<String>,
}

/// Which parameter decides whether there is a service, for a command that runs before its first task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Before {
    pub parameter: String,
    /// Its value with the service, and the one without.
    pub values: [String; 2],
}

/// Which parameter has the weights of the listener rules that AWS shifts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weights {
    pub parameter: String,
    /// Logical ids of the listener rules; the first one shows which weights they have.
    pub rules: Vec<String>,
    /// Logical id of the target group that has all the weight, by the parameter's value.
    pub values: BTreeMap<String, String>,
}

/// Where a template has its container, to which variables, secrets and permissions are added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerPlace {
    pub definition: Definition,
    /// Logical id of the role that starts the container, and reads its secrets for it.
    pub execution_role: String,
    /// Logical id of the role that the service has.
    pub task_role: String,
}

/// What defines a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Definition {
    /// A container of an ECS task definition.
    Task { logical_id: String, container: String },
    /// The user data of an EC2 launch template: a variable of its `Fn::Sub` gets a JSON object for each addition, one a
    /// line.
    UserData { logical_id: String, variable: String },
}

/// `KeepOldMinutes`: how long an update keeps replaced resources.
///
/// # Errors
/// A time that CloudFormation does not accept.
pub(super) fn keep_old_minutes(path: &str, root: &Value) -> Result<i32, InvalidTemplate> {
    release(root)["KeepOldMinutes"]
        .as_i64()
        .map_or(Ok(0), |minutes| i32::try_from(minutes).ok().filter(|m| (0..=180).contains(m)).ok_or(minutes))
        .map_err(|minutes| InvalidTemplate::KeepOldMinutes { path: path.to_owned(), minutes })
}

/// `Proof`, if the template has it.
///
/// # Errors
/// A missing part, or an invalid header name.
pub(super) fn read_gate(path: &str, root: &Value) -> Result<Option<Gate>, InvalidTemplate> {
    let Some(proof) = release(root).get("Proof") else { return Ok(None) };
    let invalid = |reason: String| InvalidTemplate::Proof { path: path.to_owned(), reason };
    let part = |name: &str| proof[name].as_str().map(str::to_owned).ok_or_else(|| invalid(format!("it has no {name}")));
    let rules = texts(proof, "Rules").unwrap_or_default();
    let gate = Gate { service: part("Service")?, secret: part("Secret")?, header: part("Header")?, rules };
    if !is_token(&gate.header) {
        return Err(invalid(format!("{:?} is no name of a header", gate.header)));
    }
    Ok(Some(gate))
}

/// `Redeploy`, if the template has it.
///
/// # Errors
/// A missing part.
pub(super) fn read_redeploy(path: &str, root: &Value) -> Result<Option<Redeploy>, InvalidTemplate> {
    let Some(node) = release(root).get("Redeploy") else { return Ok(None) };
    let read = || {
        let parameter = node["Parameter"].as_str()?.to_owned();
        Some(Redeploy { parameter, values: texts(node, "Values")?.try_into().ok()?, when: texts(node, "When")? })
    };
    read().map(Some).ok_or_else(|| InvalidTemplate::Redeploy { path: path.to_owned() })
}

/// `Before`, if the template has it.
///
/// # Errors
/// A missing part.
pub(super) fn read_before(path: &str, root: &Value) -> Result<Option<Before>, InvalidTemplate> {
    let Some(node) = release(root).get("Before") else { return Ok(None) };
    let read = || {
        let parameter = node["Parameter"].as_str()?.to_owned();
        Some(Before { parameter, values: texts(node, "Values")?.try_into().ok()? })
    };
    read().map(Some).ok_or_else(|| InvalidTemplate::Before { path: path.to_owned() })
}

/// `Weights`, if the template has it.
///
/// # Errors
/// A missing part.
pub(super) fn read_weights(path: &str, root: &Value) -> Result<Option<Weights>, InvalidTemplate> {
    let Some(node) = release(root).get("Weights") else { return Ok(None) };
    let read = || {
        let parameter = node["Parameter"].as_str()?.to_owned();
        let rules = texts(node, "Rules").filter(|rules| !rules.is_empty())?;
        let pair = |(value, group): (&String, &Value)| Some((value.clone(), group.as_str()?.to_owned()));
        let values = node["Values"].as_object()?.iter().map(pair).collect::<Option<_>>()?;
        Some(Weights { parameter, rules, values })
    };
    read().map(Some).ok_or_else(|| InvalidTemplate::Weights { path: path.to_owned() })
}

/// `Container`, if the template has it.
///
/// # Errors
/// A missing part.
pub(super) fn read_container(path: &str, root: &Value) -> Result<Option<ContainerPlace>, InvalidTemplate> {
    let Some(node) = release(root).get("Container") else { return Ok(None) };
    let part = |name: &str| node[name].as_str().map(str::to_owned);
    let read = || {
        let definition = match (part("TaskDefinition"), part("LaunchTemplate")) {
            (Some(logical_id), None) => Definition::Task { logical_id, container: part("Name")? },
            (None, Some(logical_id)) => Definition::UserData { logical_id, variable: part("Variable")? },
            _ => return None,
        };
        Some(ContainerPlace { definition, execution_role: part("ExecutionRole")?, task_role: part("TaskRole")? })
    };
    read().map(Some).ok_or_else(|| InvalidTemplate::Container { path: path.to_owned() })
}

/// Whether a text is a header's name (a token of RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn texts(node: &Value, key: &str) -> Option<Vec<String>> {
    node[key].as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn release(root: &Value) -> &Value {
    &root["Metadata"]["Release"]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::Template;

    const REST: &str = "\nParameters: {ContainerURI: {Type: String}}\nResources: {It: {Type: A::B}}\nOutputs: \
                        {ApiGatewayURL: {Value: x}}\n";

    fn parse(release: &str) -> Result<Template, String> {
        let body = format!("Metadata: {{Release: {release}}}{REST}");
        Template::read("t.yaml", body).map_err(|error| error.to_string())
    }

    #[test]
    fn a_template_sets_how_long_replaced_resources_stay() {
        assert_eq!(parse("{}").unwrap().keep_old_minutes, 0);
        assert_eq!(parse("{KeepOldMinutes: 2}").unwrap().keep_old_minutes, 2);
        assert!(parse("{KeepOldMinutes: 181}").unwrap_err().contains("0 to 180"));
    }

    #[test]
    fn a_template_sets_which_parameter_has_the_weights_of_its_rules() {
        let text = "{Weights: {Parameter: Live, Rules: [One, Two], Values: {MAIN: Group, OTHER: OtherGroup}}}";
        let weights = parse(text).unwrap().weights.unwrap();
        assert_eq!(
            (weights.parameter.as_str(), weights.rules.as_slice()),
            ("Live", &["One".to_owned(), "Two".to_owned()][..])
        );
        assert_eq!((weights.values["MAIN"].as_str(), weights.values["OTHER"].as_str()), ("Group", "OtherGroup"));
        assert_eq!(parse("{}").unwrap().weights, None);
        for bad in
            ["{Parameter: P, Rules: [A]}", "{Parameter: P, Rules: [], Values: {A: B}}", "{Rules: [A], Values: {A: B}}"]
        {
            assert!(parse(&format!("{{Weights: {bad}}}")).unwrap_err().contains("Release.Weights"), "{bad}");
        }
    }

    #[test]
    fn a_template_says_which_parameter_leaves_out_the_service() {
        let before = parse("{Before: {Parameter: Serves, Values: ['yes', 'no']}}").unwrap().before.unwrap();
        assert_eq!((before.parameter.as_str(), before.values), ("Serves", ["yes", "no"].map(str::to_owned)));
        assert_eq!(parse("{}").unwrap().before, None);
        for bad in ["{Parameter: Serves}", "{Parameter: Serves, Values: ['yes']}", "{Values: ['yes', 'no']}"] {
            assert!(parse(&format!("{{Before: {bad}}}")).unwrap_err().contains("Release.Before"), "{bad}");
        }
    }

    #[test]
    fn a_template_says_where_its_container_is() {
        let roles = "ExecutionRole: Start, TaskRole: Run";
        let task = format!("{{Container: {{TaskDefinition: Task, Name: api, {roles}}}}}");
        let place = parse(&task).unwrap().container.unwrap();
        assert_eq!((place.execution_role.as_str(), place.task_role.as_str()), ("Start", "Run"));
        assert_eq!(place.definition, Definition::Task { logical_id: "Task".to_owned(), container: "api".to_owned() });
        let machine = format!("{{Container: {{LaunchTemplate: Machine, Variable: Added, {roles}}}}}");
        assert_eq!(
            parse(&machine).unwrap().container.unwrap().definition,
            Definition::UserData { logical_id: "Machine".to_owned(), variable: "Added".to_owned() }
        );
        assert_eq!(parse("{}").unwrap().container, None);
        for bad in ["TaskDefinition: A, LaunchTemplate: B, Name: C, Variable: D", "TaskDefinition: A", "Name: A"] {
            let error = parse(&format!("{{Container: {{{bad}, {roles}}}}}")).unwrap_err();
            assert!(error.contains("Release.Container"), "{bad}");
        }
    }

    #[test]
    fn a_template_sets_how_a_version_is_verified_before_users_see_it() {
        let gate =
            parse("{Proof: {Service: Service, Secret: Key, Header: X-Proof, Rules: [Rule]}}").unwrap().gate.unwrap();
        assert_eq!([gate.service, gate.secret, gate.header], ["Service", "Key", "X-Proof"]);
        assert_eq!(gate.rules, ["Rule"]);
        assert_eq!(parse("{}").unwrap().gate, None);
        assert!(parse("{Proof: {Service: Service, Header: X}}").unwrap_err().contains("it has no Secret"));
        assert!(parse("{Redeploy: {Parameter: P, Values: [A], When: []}}").unwrap_err().contains("Release.Redeploy"));
        assert!(parse("{Proof: {Service: S, Secret: K, Header: 'a b'}}").unwrap_err().contains("no name of a header"));
    }
}
