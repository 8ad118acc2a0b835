//! The platform and the stack's parameters, from settings, arguments and template.
//!
//! Pure: no I/O and no client.

mod redeploy;
mod refusals;
mod watch;
mod weights;

use std::collections::{BTreeMap, BTreeSet};

use config::deployment::{Environment, Service};

use crate::reference::ImageReference;
use crate::template::Template;

pub use redeploy::redeploy;
pub use refusals::{RefusedValue, refusals};
pub use watch::{Watch, watch};
pub use weights::keep_weights;

/// The template's parameter for the image's processor architecture.
const ARCHITECTURE: &str = "Architecture";
/// Parameters that follow from `[service]`, each with the key there.
const OF_SERVICE: [(&str, &str); 3] =
    [("ContainerPort", "port"), ("HealthPath", "health_path"), ("RepositoryName", "name")];

/// A platform that the service is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    Amd64,
    Arm64,
}

impl Platform {
    /// OCI's name (<https://github.com/opencontainers/image-spec/blob/main/image-index.md>).
    pub fn oci(self) -> &'static str {
        match self {
            Self::Amd64 => "linux/amd64",
            Self::Arm64 => "linux/arm64",
        }
    }

    /// Rust's target triple.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The platform of this machine's processor, if the service is built for it.
    pub fn host() -> Option<Self> {
        Self::from_architecture(std::env::consts::ARCH)
    }

    /// Whether this machine's cargo can link for the platform without a cross toolchain.
    pub fn is_host(self) -> bool {
        cfg!(target_os = "linux") && Self::host() == Some(self)
    }

    pub fn from_oci(text: &str) -> Option<Self> {
        Self::from_architecture(text.strip_prefix("linux/")?)
    }

    /// From AWS's, Docker's or Rust's name.
    fn from_architecture(text: &str) -> Option<Self> {
        match text {
            "x86_64" | "X86_64" | "amd64" => Some(Self::Amd64),
            "arm64" | "ARM64" | "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }
}

/// The platform an environment runs: its `Architecture` parameter, else the template's default, else this machine's.
///
/// # Errors
/// The architecture, if the service is not built for it.
pub fn platform(environment: &Environment, template: &Template) -> Result<Platform, String> {
    let declared = template.parameters.get(ARCHITECTURE).cloned().flatten();
    match environment.parameters.get(ARCHITECTURE).cloned().or(declared) {
        Some(name) => Platform::from_architecture(&name).ok_or(name),
        None => Platform::host().ok_or_else(|| std::env::consts::ARCH.to_owned()),
    }
}

/// A stack parameter to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Is(String),
    /// The stack's value is kept (`UsePreviousValue`).
    Previous,
}

/// The parameters of a deployment, by name.
///
/// Values of deploy.toml take precedence over those from `[service]`; the others keep their previous values on an
/// update, so that a value that was set by hand is not reset to the template's default.
pub fn parameters(
    template: &Template,
    service: &Service,
    environment: &Environment,
    image: &ImageReference,
    previous: &BTreeSet<String>,
) -> BTreeMap<String, Value> {
    let derived = [service.port.to_string(), service.health_path.clone(), image.repository.clone()];
    let mut values = kept(template, previous);
    for ((name, _), value) in OF_SERVICE.into_iter().zip(derived) {
        if template.declares(name) {
            values.insert(name.to_owned(), Value::Is(value));
        }
    }
    // The image is built for this architecture, whatever the stack had before.
    if let Some(Some(architecture)) = template.parameters.get(ARCHITECTURE) {
        values.insert(ARCHITECTURE.to_owned(), Value::Is(architecture.clone()));
    }
    values.extend(given(environment));
    values.insert(environment.image_parameter.clone(), Value::Is(image.to_string()));
    values
}

/// What will be sent, as far as it is known before there is an image.
pub fn foreseen(
    template: &Template,
    service: &Service,
    environment: &Environment,
    previous: &BTreeSet<String>,
) -> BTreeMap<String, Value> {
    let mut values = kept(template, previous);
    if template.runs_image(environment) {
        let image = ImageReference::tagged("localhost", &service.name, "any");
        values = parameters(template, service, environment, &image, previous);
        values.remove(&environment.image_parameter);
    } else {
        values.extend(given(environment));
    }
    values
}

/// The future value of a parameter: from deploy.toml, from the stack, or the template's default.
pub fn value(
    environment: &Environment,
    template: &Template,
    previous: Option<&BTreeMap<String, String>>,
    name: &str,
) -> Option<String> {
    let default = template.parameters.get(name)?;
    let given = environment.parameters.get(name).or_else(|| previous?.get(name));
    given.or(default.as_ref()).cloned()
}

/// The parameters that the stack has already, with their previous values.
pub fn kept(template: &Template, previous: &BTreeSet<String>) -> BTreeMap<String, Value> {
    previous.iter().filter(|name| template.declares(name)).map(|name| (name.clone(), Value::Previous)).collect()
}

/// The parameters of deploy.toml.
pub fn given(environment: &Environment) -> impl Iterator<Item = (String, Value)> {
    environment.parameters.iter().map(|(name, value)| (name.clone(), Value::Is(value.clone())))
}

/// Parameters of deploy.toml that the template does not declare, or that only the tool sets.
pub fn misplaced_parameters(template: &Template, environment: &Environment) -> Vec<String> {
    let own = |name: &&String| {
        **name == environment.image_parameter
            || template.redeploy.as_ref().is_some_and(|redeploy| redeploy.parameter == **name)
            || template.weights.as_ref().is_some_and(|weights| weights.parameter == **name)
            || template.before.as_ref().is_some_and(|before| before.parameter == **name)
    };
    environment.parameters.keys().filter(|name| own(name) || !template.declares(name)).cloned().collect()
}

/// Sets the parameter that decides whether there is a service: a release ends with one.
pub fn serve(template: &Template, values: &mut BTreeMap<String, Value>) {
    if let Some(before) = &template.before {
        values.insert(before.parameter.clone(), Value::Is(before.values[0].clone()));
    }
}

/// The key of deploy.toml that sets a parameter, if one does.
pub fn setting(environment: &Environment, name: &str) -> Option<String> {
    if environment.parameters.contains_key(name) {
        return Some(format!("environments.{}.parameters.{name}", environment.section()));
    }
    let (_, key) = OF_SERVICE.iter().find(|(parameter, _)| *parameter == name)?;
    Some(format!("service.{key}"))
}

/// Parameters with neither a default nor a value.
pub fn missing_parameters(template: &Template, service: &Service, environment: &Environment) -> Vec<String> {
    let mut given = foreseen(template, service, environment, &BTreeSet::new());
    given.insert(environment.image_parameter.clone(), Value::Previous);
    without_value(template, &given)
}

/// Parameters without a default that are not among `values`.
pub fn without_value(template: &Template, values: &BTreeMap<String, Value>) -> Vec<String> {
    let without_default = template.parameters.iter().filter(|(_, default)| default.is_none());
    without_default.map(|(name, _)| name.clone()).filter(|name| !values.contains_key(name)).collect()
}

/// Puts stack outputs into a URL that names them as `{OutputKey}`.
///
/// # Errors
/// The first name that is no output.
pub fn fill_outputs(pattern: &str, outputs: &BTreeMap<String, String>) -> Result<String, String> {
    let mut url = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, tail) = after.split_once('}').ok_or_else(|| after.to_owned())?;
        url.push_str(before);
        url.push_str(outputs.get(name).ok_or_else(|| name.to_owned())?);
        rest = tail;
    }
    Ok(url + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  ContainerURI: {Type: String}
  ContainerPort: {Type: Number, Default: 1}
  Architecture: {Type: String, Default: arm64}
  Zone: {Type: String}
  Kept: {Type: String, Default: a}
Resources: {It: {Type: A::B}}
Outputs: {ApiGatewayURL: {Value: x}}
";

    fn environment(parameters: &str) -> (Service, Environment, Template) {
        let text = format!(
            "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
             \"t\"\n[environments.dev.parameters]\n{parameters}"
        );
        let deployment = config::deployment::Deployment::parse("deploy.toml", &text).unwrap();
        let template = Template::read("t", TEMPLATE.to_owned()).unwrap();
        (deployment.service, deployment.environments["dev"].clone(), template)
    }

    #[test]
    fn parameters_come_from_image_settings_file_and_stack_in_this_order() {
        let (service, dev, template) = environment("Zone = \"a\"");
        let image: ImageReference = "example.com/rest-api:v1".parse().unwrap();
        let previous = ["Architecture", "Zone", "Kept", "Gone", "ContainerURI"].map(String::from).into();
        let values = parameters(&template, &service, &dev, &image, &previous);
        let is = |text: &str| Value::Is(text.to_owned());
        let expected = [
            ("Architecture", is("arm64")),
            ("ContainerPort", is("8080")),
            ("ContainerURI", is("example.com/rest-api:v1")),
            ("Kept", Value::Previous),
            ("Zone", is("a")),
        ];
        assert_eq!(values, expected.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn parameters_that_cannot_be_right_are_named() {
        let (service, dev, template) = environment("ContainerURI = \"x\"\nTypo = 1");
        assert_eq!(misplaced_parameters(&template, &dev), ["ContainerURI", "Typo"]);
        assert_eq!(missing_parameters(&template, &service, &dev), ["Zone"]);
    }

    #[test]
    fn the_setting_of_a_value_is_found() {
        let (_, dev, _) = environment("Zone = \"a\"");
        assert_eq!(setting(&dev, "Zone").as_deref(), Some("environments.dev.parameters.Zone"));
        assert_eq!(setting(&dev, "ContainerPort").as_deref(), Some("service.port"));
        assert_eq!(setting(&dev, "Kept"), None);
    }

    #[test]
    fn the_platform_follows_the_environment_then_the_template() {
        let (_, dev, template) = environment("");
        assert_eq!(platform(&dev, &template), Ok(Platform::Arm64));
        let (_, dev, template) = environment("Architecture = \"x86_64\"");
        assert_eq!(platform(&dev, &template), Ok(Platform::Amd64));
        let (_, dev, template) = environment("Architecture = \"riscv\"");
        assert_eq!(platform(&dev, &template), Err("riscv".to_owned()));
    }

    #[test]
    fn outputs_fill_a_url() {
        let outputs = BTreeMap::from([("Name".to_owned(), "lb".to_owned())]);
        assert_eq!(fill_outputs("http://h/{Name}/x", &outputs), Ok("http://h/lb/x".to_owned()));
        assert_eq!(fill_outputs("http://h/x", &outputs), Ok("http://h/x".to_owned()));
        assert_eq!(fill_outputs("http://h/{Other}", &outputs), Err("Other".to_owned()));
        assert_eq!(fill_outputs("http://h/{Name", &outputs), Err("Name".to_owned()));
    }
}
