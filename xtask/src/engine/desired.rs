//! The desired state of a stack: template, image and parameters, computed once for the stack as it was observed.

use std::collections::BTreeMap;

use config::deployment::{Environment, Service};
use model::parameters::{self, Value};
use model::reference::ImageReference;
use model::stack::Stack;
use model::template::Template;

use super::observe::base;

/// What a stack is to become.
pub(crate) struct Desired<'a> {
    pub(crate) environment: &'a Environment,
    /// By digest; `None` where the template runs no image.
    pub(crate) image: Option<ImageReference>,
    pub(crate) template: Template,
    source: ParameterSource<'a>,
    /// Everything that is sent, for the stack of the last [`Desired::observe`].
    parameters: BTreeMap<String, Value>,
}

/// Where the parameters come from.
pub(crate) enum ParameterSource<'a> {
    /// deploy.toml, with what follows from `[service]` where an image runs.
    Settings(&'a Service),
    /// An earlier release.
    Recorded(BTreeMap<String, Value>),
    /// A command that computes them, given the stack that would be updated.
    Computed(&'a (dyn Fn(Option<&Stack>) -> BTreeMap<String, Value> + Sync)),
}

impl<'a> Desired<'a> {
    /// What is desired of the stack as it was observed; `None` for one that does not exist.
    pub(crate) fn new(
        environment: &'a Environment,
        image: Option<ImageReference>,
        template: Template,
        source: ParameterSource<'a>,
        stack: Option<&Stack>,
    ) -> Self {
        let mut desired = Self { environment, image, template, source, parameters: BTreeMap::new() };
        desired.observe(stack);
        desired
    }

    /// Computes the parameters again, for a stack that has changed since.
    pub(crate) fn observe(&mut self, stack: Option<&Stack>) {
        let existing = base(stack);
        let names = || existing.map(Stack::parameter_names).unwrap_or_default();
        let mut values = match (&self.source, &self.image) {
            (ParameterSource::Settings(service), Some(image)) => {
                parameters::parameters(&self.template, service, self.environment, image, &names())
            }
            (ParameterSource::Settings(_), None) => {
                let mut values = parameters::kept(&self.template, &names());
                values.extend(parameters::given(self.environment));
                values
            }
            (ParameterSource::Recorded(values), _) => {
                let mut values = values.clone();
                // A value that was never shown cannot be had from a stack that is gone.
                values.retain(|name, value| match (value, existing) {
                    (Value::Is(_), _) => true,
                    (Value::Previous, existing) => existing.is_some_and(|stack| stack.parameters.contains_key(name)),
                });
                let name = &self.environment.image_parameter;
                values.extend(self.image.iter().map(|image| (name.clone(), Value::Is(image.to_string()))));
                values
            }
            (ParameterSource::Computed(compute), _) => compute(existing),
        };
        if self.image.is_some() {
            parameters::redeploy(&self.template, existing.map(|stack| &stack.parameters), &mut values);
            parameters::serve(&self.template, &mut values);
        }
        parameters::keep_weights(&self.template, existing.map(|stack| &stack.parameters), &mut values);
        self.parameters = values;
    }

    /// Everything that is sent.
    pub(crate) fn parameters(&self) -> &BTreeMap<String, Value> {
        &self.parameters
    }

    /// Whether a stack has every value that would be sent.
    pub(crate) fn has_parameters(&self, stack: &Stack) -> bool {
        self.parameters.iter().all(|(name, value)| match value {
            Value::Is(value) => stack.parameters.get(name) == Some(value),
            Value::Previous => true,
        })
    }
}

/// Parameters as they will be; what is not sent has the template's default.
pub(crate) fn effective(sent: &BTreeMap<String, Value>, before: Option<&Stack>) -> BTreeMap<String, String> {
    let value = |(name, value): (&String, &Value)| match value {
        Value::Is(value) => Some((name.clone(), value.clone())),
        Value::Previous => before?.parameters.get(name).map(|value| (name.clone(), value.clone())),
    };
    sent.iter().filter_map(value).collect()
}
