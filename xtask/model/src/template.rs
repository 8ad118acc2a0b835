//! A CloudFormation template: its size, parameters, outputs and metadata for releases.

mod document;
pub mod evaluate;
mod expansion;
pub mod fargate;
mod local_files;
pub(crate) mod place;
mod release;
mod shifting;
pub mod value;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use config::deployment::Environment;
use serde_json::Value;

use crate::outcome::Place;
pub use document::{Document, RepeatedKey};
pub use expansion::Expansion;
pub use release::{Before, ContainerPlace, Definition, Gate, Redeploy, Weights};
pub use shifting::{Shifting, shifting, unwatchable};
use value::{entries, text};

/// What CloudFormation shows instead of a `NoEcho` parameter's value.
pub const HIDDEN: &str = "****";
/// The longest template that goes with a call, in bytes
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>).
pub const MAX_IN_CALL: usize = 51_200;
/// The longest that CloudFormation reads from a bucket: its page of limits says 1 MB, its error message this number.
const MAX_IN_BUCKET: usize = 1_000_000;

/// A template that can be deployed by this tool.
#[derive(Debug, Clone)]
pub struct Template {
    /// Relative to `deploy.toml`.
    pub path: String,
    /// What is deployed: the file's text, with what was added to it.
    pub body: String,
    /// The file's text, in which its places are.
    pub file: String,
    /// What the text says.
    pub document: Document,
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
    /// `Release.Weights` of its metadata: which parameter has the weights of the rules that AWS shifts.
    pub weights: Option<Weights>,
    /// `Release.Container` of its metadata: where variables, secrets and permissions are added.
    pub container: Option<ContainerPlace>,
    /// `Release.Before` of its metadata: which parameter leaves out the service.
    pub before: Option<Before>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTemplate {
    #[error("{path} is {reason}")]
    Syntax { path: String, reason: String },
    /// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/resources-section-structure.html>
    #[error("{path} declares no resource; CloudFormation demands at least one")]
    NoResources { path: String },
    #[error("{path} is empty")]
    Empty { path: String },
    #[error("{path} names files of this machine, and CloudFormation reads templates and code from S3 only: {files}")]
    LocalFiles { path: String, files: String, has_sam: bool },
    #[error("{path} has {size} bytes; CloudFormation accepts at most {MAX_IN_BUCKET}")]
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
    #[error(
        "{path} has a Release.Weights in its metadata that is not {{Parameter: NAME, Rules: [NAME, ...], Values: {{VALUE: \
         TARGETGROUP, ...}}}}"
    )]
    Weights { path: String },
    #[error(
        "{path} has a Release.Container in its metadata that is not {{ExecutionRole: NAME, TaskRole: NAME}} with \
         {{TaskDefinition: NAME, Name: CONTAINER}} or {{LaunchTemplate: NAME, Variable: NAME}}"
    )]
    Container { path: String },
    #[error("{path} has a Release.Before in its metadata that is not {{Parameter: NAME, Values: [WITH, WITHOUT]}}")]
    Before { path: String },
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
    /// Text that CloudFormation would not accept, as far as that shows without it.
    pub fn read(path: &str, body: String) -> Result<Self, InvalidTemplate> {
        let path = path.to_owned();
        if body.len() > MAX_IN_BUCKET {
            return Err(InvalidTemplate::TooLarge { path, size: body.len() });
        }
        let document =
            Document::read(&body).map_err(|reason| InvalidTemplate::Syntax { path: path.clone(), reason })?;
        let root = &document.root;
        let transforms = |section: &str| root.get(section).is_some();
        if root.is_null() {
            return Err(InvalidTemplate::Empty { path });
        }
        if entries(&root["Resources"]).next().is_none() && !["Transform", "Fn::Transform"].into_iter().any(transforms) {
            return Err(InvalidTemplate::NoResources { path });
        }
        if let Some(files) = local_files(&body, &document) {
            let has_sam = document.expansion.names().any(|name| name.starts_with("AWS::Serverless"));
            return Err(InvalidTemplate::LocalFiles { path, files, has_sam });
        }
        let parameters = entries(&root["Parameters"]);
        let parameters = parameters.map(|(name, definition)| (name.clone(), text(&definition["Default"]))).collect();
        let outputs = entries(&root["Outputs"]).map(|(name, _)| name.clone()).collect();
        let resolved = ["{{resolve:ssm", "AWS::SSM::Parameter::Value<"].iter().any(|text| body.contains(text));
        let is_dynamic = resolved || document.expansion.names().next().is_some();
        let (keep_old_minutes, gate) = (release::keep_old_minutes(&path, root)?, release::read_gate(&path, root)?);
        let (redeploy, weights) = (release::read_redeploy(&path, root)?, release::read_weights(&path, root)?);
        let (container, before) = (release::read_container(&path, root)?, release::read_before(&path, root)?);
        let secret = secret(&root["Parameters"]);
        Ok(Self {
            path,
            file: body.clone(),
            body,
            document,
            parameters,
            secret,
            outputs,
            is_dynamic,
            keep_old_minutes,
            gate,
            redeploy,
            weights,
            container,
            before,
        })
    }

    /// Whether it is short enough to go with a call; otherwise CloudFormation reads it from a bucket.
    pub fn fits_in_call(&self) -> bool {
        self.body.len() <= MAX_IN_CALL
    }

    /// Whether this may be its text as CloudFormation returns it: the space around it does not count, and each character that
    /// is not ASCII comes back as a question mark
    /// (<https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/1220>).
    pub fn has_text(&self, returned: &str) -> bool {
        let mangled = |c: char| if c.is_ascii() { c } else { '?' };
        returned.trim().chars().map(mangled).eq(self.body.trim().chars().map(mangled))
    }

    pub fn declares(&self, parameter: &str) -> bool {
        self.parameters.contains_key(parameter)
    }

    /// Where a resource is declared.
    pub fn place(&self, logical_id: &str) -> Option<Place> {
        let line = place::line(&self.file, &["Resources", logical_id])?;
        Some(Place { file: self.path.clone(), line })
    }

    /// Where a property is, by a path such as `/Resources/Queue/Properties/Name/0`; or its nearest parent in the text.
    pub fn place_of(&self, path: &str) -> Option<Place> {
        let steps: Vec<&str> = path.split('/').filter(|step| !step.is_empty()).collect();
        let line = place::line(&self.file, &steps).filter(|_| steps.len() > 1)?;
        Some(Place { file: self.path.clone(), line })
    }
}

fn secret(parameters: &Value) -> BTreeSet<String> {
    let is_secret =
        |definition: &Value| text(&definition["NoEcho"]).is_some_and(|flag| flag.eq_ignore_ascii_case("true"));
    let secret = entries(parameters).filter(|(_, definition)| is_secret(definition));
    secret.map(|(name, _)| name.clone()).collect()
}

/// The local files that a template names, as text: what names them, and where.
fn local_files(body: &str, document: &Document) -> Option<String> {
    let shown = |found: local_files::LocalFile| {
        let steps: Vec<&str> = found.path.iter().map(String::as_str).collect();
        let line = place::line(body, &steps).map(|line| format!(" (line {line})")).unwrap_or_default();
        let shown = steps.strip_prefix(&["Resources"]).unwrap_or(&steps);
        format!("{} {}{line}", shown.join("."), found.file)
    };
    let found: Vec<String> = local_files::find(document).into_iter().map(shown).collect();
    (!found.is_empty()).then(|| found.join(", "))
}

/// The resources that outlive their stack, by their `DeletionPolicy`
/// (<https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-deletionpolicy.html>). Text
/// that is no template has none.
pub fn retained(body: &str) -> BTreeSet<String> {
    let root = Document::read(body).map(|document| document.root).unwrap_or_default();
    let stays = |resource: &Value| {
        let policy = resource["DeletionPolicy"].as_str();
        policy.is_some_and(|policy| policy.starts_with("Retain") || policy == "Snapshot")
    };
    let resources = entries(&root["Resources"]).filter(|(_, resource)| stays(resource));
    resources.map(|(name, _)| name.clone()).collect()
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
    fn a_template_above_the_limit_of_a_call_is_read() {
        let of = |size: usize| {
            let text = format!("{GOOD}#{}", "x".repeat(size - GOOD.len() - 1));
            Template::read("t.yaml", text).unwrap()
        };
        assert!(of(MAX_IN_CALL).fits_in_call() && !of(MAX_IN_CALL + 1).fits_in_call());
        assert!(!of(MAX_IN_BUCKET).fits_in_call());
        // The limit is one of bytes.
        let wide = format!("{GOOD}#{}", "ä".repeat(MAX_IN_CALL / 2));
        assert!(!Template::read("t.yaml", wide).unwrap().fits_in_call());
    }

    #[test]
    fn a_text_is_recognized_as_cloudformation_returns_it() {
        let template = Template::read("t.yaml", format!("{GOOD}# Größe – 🚀\n")).unwrap();
        assert!(template.has_text(&template.body));
        assert!(template.has_text(&format!("{}# Gr??e ? ?", GOOD.trim_start())));
        assert!(!template.has_text(&format!("{GOOD}# Gr??e ? ??")));
    }

    #[test]
    fn templates_that_cannot_be_released_are_refused() {
        let environment = environment("");
        let read = |text: String| Template::read("t.yaml", text)?.for_image(&environment);
        let parse = |text: String| read(text).unwrap_err().to_string();
        assert!(parse(GOOD.replace("ContainerURI", "Image")).contains("no parameter ContainerURI"));
        assert!(parse(GOOD.replace("ApiGatewayURL", "Url")).contains("no output ApiGatewayURL"));
        assert!(parse("a: [".to_owned()).contains("t.yaml is not YAML"));
        assert!(parse(format!("{GOOD}#{}", "x".repeat(MAX_IN_BUCKET))).contains("at most 1000000"));
        assert!(parse(String::new()).ends_with("is empty"));
        assert!(parse("# nothing\n".to_owned()).ends_with("is empty"));
        assert!(parse("Parameters: {}\n".to_owned()).ends_with("at least one"));
        assert!(Template::read("t.yaml", "Transform: Mine\n".to_owned()).is_ok(), "a macro may add resources");
    }

    #[test]
    fn local_files_are_named_with_their_lines() {
        let body =
            "Resources:\n  Net:\n    Type: AWS::CloudFormation::Stack\n    Properties:\n      TemplateURL: net.yaml\n";
        assert_eq!(
            Template::read("t.yaml", body.to_owned()).unwrap_err().to_string(),
            "t.yaml names files of this machine, and CloudFormation reads templates and code from S3 only: \
             Net.Properties.TemplateURL net.yaml (line 5)"
        );
    }

    #[test]
    fn what_a_template_of_version_1_1_says_is_read_so() {
        let odd = GOOD.replace("Default: 8080", "Default: 010, NoEcho: Yes");
        let template = Template::read("t.yaml", odd).unwrap();
        assert_eq!(template.parameters["ContainerPort"].as_deref(), Some("8"));
        assert!(template.secret.contains("ContainerPort"));
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
