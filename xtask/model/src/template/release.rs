//! A template's `Metadata.Release`, which is for this tool.

use saphyr::Yaml;

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

/// `KeepOldMinutes`: how long an update keeps replaced resources.
///
/// # Errors
/// A time that CloudFormation does not accept.
pub(super) fn keep_old_minutes(path: &str, metadata: Option<&Yaml<'_>>) -> Result<i32, InvalidTemplate> {
    release(metadata)
        .and_then(|release| release.as_mapping_get("KeepOldMinutes")?.as_integer())
        .map_or(Ok(0), |minutes| i32::try_from(minutes).ok().filter(|m| (0..=180).contains(m)).ok_or(minutes))
        .map_err(|minutes| InvalidTemplate::KeepOldMinutes { path: path.to_owned(), minutes })
}

/// `Proof`, if the template has it.
///
/// # Errors
/// A missing part, or an invalid header name.
pub(super) fn read_gate(path: &str, metadata: Option<&Yaml<'_>>) -> Result<Option<Gate>, InvalidTemplate> {
    let Some(proof) = release(metadata).and_then(|release| release.as_mapping_get("Proof")) else { return Ok(None) };
    let invalid = |reason: String| InvalidTemplate::Proof { path: path.to_owned(), reason };
    let part = |name: &str| {
        let value = proof.as_mapping_get(name).and_then(Yaml::as_str);
        value.map(str::to_owned).ok_or_else(|| invalid(format!("it has no {name}")))
    };
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
pub(super) fn read_redeploy(path: &str, metadata: Option<&Yaml<'_>>) -> Result<Option<Redeploy>, InvalidTemplate> {
    let Some(node) = release(metadata).and_then(|release| release.as_mapping_get("Redeploy")) else { return Ok(None) };
    let read = || {
        let parameter = node.as_mapping_get("Parameter")?.as_str()?.to_owned();
        Some(Redeploy { parameter, values: texts(node, "Values")?.try_into().ok()?, when: texts(node, "When")? })
    };
    read().map(Some).ok_or_else(|| InvalidTemplate::Redeploy { path: path.to_owned() })
}

/// Whether a text is a header's name (a token of RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn texts(node: &Yaml<'_>, key: &str) -> Option<Vec<String>> {
    node.as_mapping_get(key)?.as_sequence()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn release<'a>(metadata: Option<&'a Yaml<'a>>) -> Option<&'a Yaml<'a>> {
    metadata?.as_mapping_get("Release")
}

#[cfg(test)]
mod tests {
    use crate::template::Template;

    const REST: &str = "\nParameters: {ContainerURI: {Type: String}}\nOutputs: {ApiGatewayURL: {Value: x}}\n";

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
