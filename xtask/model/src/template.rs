//! A CloudFormation template: its size, parameters, outputs and metadata for releases.

pub mod evaluate;
mod place;
mod release;

use std::collections::{BTreeMap, BTreeSet};

use config::deployment::Environment;
use saphyr::{LoadableYamlNode, Scalar, Yaml};

use crate::outcome::Place;
pub use release::{Gate, Redeploy};

/// What CloudFormation shows instead of a `NoEcho` parameter's value.
pub const HIDDEN: &str = "****";
/// Limit of `TemplateBody` in bytes
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
const MAX_BODY: usize = 51_200;

/// A template that can be deployed by this tool.
#[derive(Debug, Clone)]
pub struct Template {
    /// Relative to `deploy.toml`.
    pub path: String,
    pub body: String,
    /// Declared parameters with their defaults.
    pub parameters: BTreeMap<String, Option<String>>,
    /// Parameters that CloudFormation does not show (`NoEcho`).
    pub secret: BTreeSet<String>,
    /// Names of the declared outputs.
    pub outputs: BTreeSet<String>,
    /// Whether AWS resolves some values at each update (SSM parameters, dynamic references, macros), so that equal text
    /// can still change something.
    pub is_dynamic: bool,
    /// `Release.KeepOldMinutes` of its metadata: how long an update keeps replaced resources.
    pub keep_old_minutes: i32,
    /// `Release.Proof` of its metadata: how a deployment that waits for its verification is verified.
    pub gate: Option<Gate>,
    /// `Release.Redeploy` of its metadata: which parameter redeploys the API.
    pub redeploy: Option<Redeploy>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    #[error("{path} is not YAML: {reason}")]
    Syntax { path: String, reason: String },
    #[error("{path} has {size} bytes; CloudFormation accepts at most {MAX_BODY} in a call")]
    TooLarge { path: String, size: usize },
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackConfiguration.html>
    #[error("{path} has Release.KeepOldMinutes {minutes} in its metadata; CloudFormation accepts 0 to 180")]
    KeepOldMinutes { path: String, minutes: i64 },
    #[error("{path} has a Release.Proof in its metadata that cannot be used: {reason}")]
    Proof { path: String, reason: String },
    #[error(
        "{path} has a Release.Redeploy in its metadata that is not {{Parameter: NAME, Values: [A, B], When: [NAME, ...]}}"
    )]
    Redeploy { path: String },
    #[error("{path} has no parameter {name}, which receives the image")]
    NoImageParameter { path: String, name: String },
    #[error("{path} has no output {name}, at which the release is verified")]
    NoUrl { path: String, name: String },
}

impl Template {
    /// The template, if it can serve an environment's image.
    ///
    /// # Errors
    /// It has no parameter for the image, or no output with the endpoint, of the names that the environment gives.
    pub fn for_image(self, environment: &Environment) -> Result<Self, InvalidTemplate> {
        let Environment { image_parameter, url_output, .. } = environment;
        if !self.runs_image(environment) {
            return Err(InvalidTemplate::NoImageParameter { path: self.path, name: image_parameter.clone() });
        }
        if !self.outputs.contains(url_output) {
            return Err(InvalidTemplate::NoUrl { path: self.path, name: url_output.clone() });
        }
        Ok(self)
    }

    /// Whether an environment's image is among its parameters.
    pub fn runs_image(&self, environment: &Environment) -> bool {
        self.declares(&environment.image_parameter)
    }

    /// Reads any template's text.
    ///
    /// # Errors
    /// Text that is not YAML or is too large.
    pub fn read(path: &str, body: String) -> Result<Self, InvalidTemplate> {
        let path = path.to_owned();
        if body.len() > MAX_BODY {
            return Err(InvalidTemplate::TooLarge { path, size: body.len() });
        }
        let documents = Yaml::load_from_str(&body)
            .map_err(|error| InvalidTemplate::Syntax { path: path.clone(), reason: error.to_string() })?;
        let root = documents.first();
        let section = |name| root.and_then(|root| root.as_mapping_get(name));
        let parameters: BTreeMap<_, _> = section("Parameters").map(declared_parameters).unwrap_or_default();
        let secret = section("Parameters").map(secret).unwrap_or_default();
        let outputs = section("Outputs").and_then(Yaml::as_mapping).into_iter().flatten();
        let outputs: BTreeSet<_> = outputs.filter_map(|(name, _)| Some(name.as_str()?.to_owned())).collect();
        let resolved = ["{{resolve:ssm", "AWS::SSM::Parameter::Value<"].iter().any(|text| body.contains(text));
        let is_dynamic = resolved || section("Transform").is_some();
        let metadata = section("Metadata");
        let (keep_old_minutes, gate) =
            (release::keep_old_minutes(&path, metadata)?, release::read_gate(&path, metadata)?);
        let redeploy = release::read_redeploy(&path, metadata)?;
        Ok(Self { path, body, parameters, secret, outputs, is_dynamic, keep_old_minutes, gate, redeploy })
    }

    pub fn declares(&self, parameter: &str) -> bool {
        self.parameters.contains_key(parameter)
    }

    /// Where a resource is declared.
    pub fn place(&self, logical_id: &str) -> Option<Place> {
        let line = place::line(&self.body, &["Resources", logical_id])?;
        Some(Place { file: self.path.clone(), line })
    }

    /// Where a property is, by a path such as `/Resources/Queue/Properties/Name/0`; or its nearest parent in the text.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        let line = place::line(&self.body, &steps).filter(|_| steps.len() > 1)?;
        Some(Place { file: self.path.clone(), line })
    }
}

fn secret(section: &Yaml<'_>) -> BTreeSet<String> {
    let is_secret = |definition: &Yaml<'_>| {
        let flag = definition.as_mapping_get("NoEcho").and_then(scalar);
        flag.is_some_and(|flag| flag.eq_ignore_ascii_case("true"))
    };
    let entries = section.as_mapping().into_iter().flatten();
    entries
        .filter(|(_, definition)| is_secret(definition))
        .filter_map(|(name, _)| Some(name.as_str()?.to_owned()))
        .collect()
}

/// The resources that outlive their stack, by their `DeletionPolicy`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html>). Text
/// that is no YAML has none.
pub fn retained(body: &str) -> BTreeSet<String> {
    let documents = Yaml::load_from_str(body).unwrap_or_default();
    let resources = documents.first().and_then(|root| root.as_mapping_get("Resources")?.as_mapping());
    let stays = |resource: &Yaml<'_>| {
        let policy = resource.as_mapping_get("DeletionPolicy").and_then(Yaml::as_str);
        policy.is_some_and(|policy| policy.starts_with("Retain") || policy == "Snapshot")
    };
    let resources = resources.into_iter().flatten().filter(|(_, resource)| stays(resource));
    resources.filter_map(|(name, _)| Some(name.as_str()?.to_owned())).collect()
}

fn declared_parameters(section: &Yaml<'_>) -> BTreeMap<String, Option<String>> {
    let entries = section.as_mapping().into_iter().flatten();
    let default = |definition: &Yaml<'_>| definition.as_mapping_get("Default").and_then(scalar);
    entries.filter_map(|(name, definition)| Some((name.as_str()?.to_owned(), default(definition)))).collect()
}

/// A scalar as CloudFormation reads a parameter's default: as text.
fn scalar(value: &Yaml<'_>) -> Option<String> {
    match value {
        Yaml::Value(Scalar::String(text)) => Some(text.to_string()),
        Yaml::Value(Scalar::Integer(number)) => Some(number.to_string()),
        Yaml::Value(Scalar::Boolean(flag)) => Some(flag.to_string()),
        Yaml::Value(Scalar::FloatingPoint(number)) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, Default: 8080}
  Architecture:
    Type: String
    Default: x86_64
Resources:
  Thing:
    Properties:
      Name: !Sub '${AWS::StackName}-x'
      Pick: !If [Yes, !Ref A, !GetAtt B.C]
Outputs:
  ApiGatewayURL:
    Value: !Sub 'https://x'
";

    #[test]
    fn parameters_have_their_defaults() {
        let template = Template::read("infra/t.yaml", GOOD.to_owned()).unwrap();
        assert_eq!(template.parameters["ContainerURI"], None);
        assert_eq!(template.parameters["ContainerPort"].as_deref(), Some("8080"));
        assert_eq!(template.parameters["Architecture"].as_deref(), Some("x86_64"));
        assert!(template.outputs.contains("ApiGatewayURL") && !template.is_dynamic);
        let dynamic = GOOD.replace("Type: Number", "Type: AWS::SSM::Parameter::Value<String>");
        assert!(Template::read("t.yaml", dynamic).unwrap().is_dynamic);
    }

    #[test]
    fn templates_that_cannot_be_released_are_refused() {
        let environment = environment("");
        let read = |text: String| Template::read("t.yaml", text)?.for_image(&environment);
        let parse = |text: String| read(text).unwrap_err().to_string();
        assert!(parse(GOOD.replace("ContainerURI", "Image")).contains("no parameter ContainerURI"));
        assert!(parse(GOOD.replace("ApiGatewayURL", "Url")).contains("no output ApiGatewayURL"));
        assert!(parse("a: [".to_owned()).contains("t.yaml is not YAML"));
        assert!(parse(format!("{GOOD}#{}", "x".repeat(MAX_BODY))).contains("at most 51200"));
        assert!(parse(String::new()).contains("no parameter"));
    }

    fn environment(settings: &str) -> Environment {
        let text = format!(
            "[service]\nname = \"api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
             \"t\"\n{settings}"
        );
        config::deployment::Deployment::parse("deploy.toml", &text).unwrap().environments["dev"].clone()
    }

    #[test]
    fn the_image_and_the_endpoint_have_the_names_of_the_environment() {
        let own = environment("image_parameter = \"ImageUri\"\nurl_output = \"Url\"");
        let text = GOOD.replace("ContainerURI", "ImageUri").replace("ApiGatewayURL", "Url");
        let template = Template::read("t.yaml", text).unwrap();
        assert!(template.runs_image(&own) && !template.runs_image(&environment("")));
        assert_eq!(template.for_image(&own).unwrap().path, "t.yaml");
        let refused = |settings: &str| {
            let template = Template::read("t.yaml", GOOD.to_owned()).unwrap();
            template.for_image(&environment(settings)).unwrap_err().to_string()
        };
        assert!(refused("image_parameter = \"ImageUri\"").contains("no parameter ImageUri"));
        assert!(refused("url_output = \"Url\"").contains("no output Url"));
    }
}
