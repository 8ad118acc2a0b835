//! What CloudFormation makes of a property: parameters, conditions and intrinsic functions resolved.
//!
//! Whatever is not known, a function, a name or a missing value, is an error; nothing is guessed.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A stack as far as a template's properties can see it.
pub(crate) struct Stack {
    pub(crate) template: Value,
    /// What the parameters are given; the others keep their defaults.
    pub(crate) parameters: BTreeMap<String, String>,
    /// Pseudo parameters and what `Ref` answers for a resource.
    pub(crate) names: BTreeMap<String, String>,
    /// Variables of `Fn::Sub` that the test sets otherwise: ports, which this machine may have in use.
    pub(crate) variables: BTreeMap<String, String>,
}

impl Stack {
    /// The instance's user data, as the instance gets it.
    pub(crate) fn user_data(&self) -> Result<String> {
        let path = "/Resources/EC2LaunchTemplate/Properties/LaunchTemplateData/UserData/Fn::Base64";
        // Encoded here and decoded on the instance, so that the plain text is what arrives.
        self.text(self.template.pointer(path).with_context(|| format!("the template has no {path}"))?)
    }

    fn text(&self, value: &Value) -> Result<String> {
        match self.resolve(value)? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            other => bail!("expected text, found {other}"),
        }
    }

    fn resolve(&self, value: &Value) -> Result<Value> {
        let Value::Object(object) = value else { return Ok(value.clone()) };
        let mut entries = object.iter();
        let (Some((function, argument)), None) = (entries.next(), entries.next()) else {
            bail!("expected a function, found {value}")
        };
        self.call(function, argument).with_context(|| format!("in {function}"))
    }

    fn call(&self, function: &str, argument: &Value) -> Result<Value> {
        let list = || argument.as_array().map(Vec::as_slice).context("needs a list");
        match (function, argument) {
            ("Ref", Value::String(name)) => self.reference(name).map(Value::from),
            ("Fn::Sub", Value::String(text)) => self.substitute(text, &Value::Null).map(Value::from),
            ("Fn::Sub", _) => match list()? {
                [Value::String(text), variables] => self.substitute(text, variables).map(Value::from),
                _ => bail!("needs a text and its variables"),
            },
            ("Fn::If", _) => match list()? {
                [Value::String(condition), yes, no] => self.resolve(if self.holds(condition)? { yes } else { no }),
                _ => bail!("needs a condition and two values"),
            },
            ("Fn::Select", _) => match list()? {
                [index, from] => {
                    let index: usize = self.text(index)?.parse().context("the index is no number")?;
                    let from = self.resolve(from)?;
                    from.get(index).cloned().with_context(|| format!("{from} has no element {index}"))
                }
                _ => bail!("needs an index and a list"),
            },
            ("Fn::Split", _) => match list()? {
                [Value::String(separator), text] => {
                    Ok(self.text(text)?.split(separator.as_str()).map(Value::from).collect())
                }
                _ => bail!("needs a separator and a text"),
            },
            _ => bail!("not understood: {argument}"),
        }
    }

    fn substitute(&self, text: &str, variables: &Value) -> Result<String> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').context("a ${ is not closed")?;
            result.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str(&format!("${{{literal}}}"));
            } else if let Some(value) = variables.get(name) {
                // Evaluated even when the test sets it: what CloudFormation would refuse must not pass.
                let value = self.text(value).with_context(|| format!("for ${{{name}}}"))?;
                result.push_str(self.variables.get(name).unwrap_or(&value));
            } else {
                result.push_str(&self.reference(name)?);
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn reference(&self, name: &str) -> Result<String> {
        if let Some(given) = self.names.get(name).or_else(|| self.parameters.get(name)) {
            return Ok(given.clone());
        }
        let parameter = &self.template["Parameters"][name];
        if parameter.is_null() {
            bail!("neither a parameter nor a name that the test gives: {name}");
        }
        match parameter.get("Default") {
            Some(default) => self.text(default),
            None => bail!("the parameter {name} has no default and was not given"),
        }
    }

    fn holds(&self, name: &str) -> Result<bool> {
        let condition =
            self.template.pointer(&format!("/Conditions/{name}")).with_context(|| format!("no condition {name}"))?;
        self.is_true(condition).with_context(|| format!("in the condition {name}"))
    }

    fn is_true(&self, condition: &Value) -> Result<bool> {
        if let Some([left, right]) = condition["Fn::Equals"].as_array().map(Vec::as_slice) {
            Ok(self.text(left)? == self.text(right)?)
        } else if let Some([inner]) = condition["Fn::Not"].as_array().map(Vec::as_slice) {
            Ok(!self.is_true(inner)?)
        } else {
            bail!("not understood: {condition}")
        }
    }
}
