//! What CloudFormation makes of a value: parameters, conditions and intrinsic functions resolved.
//!
//! What only a created resource has, such as its address, stays a function. Whatever else is not known, a function,
//! a name or a missing value, is an error; nothing is guessed.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

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
    /// A value that has to come to text.
    pub(crate) fn text(&self, value: &Value) -> Result<String> {
        plain(&self.resolve(value)?.context("expected text, found AWS::NoValue")?)
    }

    /// The value with its functions worked out; `None` for `AWS::NoValue`.
    pub(crate) fn resolve(&self, value: &Value) -> Result<Option<Value>> {
        match value {
            Value::Object(object) => match (function(value), object) {
                (Some((name, argument)), _) => self.call(name, argument).with_context(|| format!("in {name}")),
                (None, object) => {
                    let mut whole = Map::new();
                    for (key, value) in object {
                        if let Some(value) = self.resolve(value).with_context(|| format!("in {key}"))? {
                            whole.insert(key.clone(), value);
                        }
                    }
                    Ok(Some(Value::Object(whole)))
                }
            },
            Value::Array(items) => {
                let items = items.iter().filter_map(|item| self.resolve(item).transpose());
                Ok(Some(Value::Array(items.collect::<Result<_>>()?)))
            }
            scalar => Ok(Some(scalar.clone())),
        }
    }

    /// Whether the condition of that name holds.
    pub(crate) fn holds(&self, name: &str) -> Result<bool> {
        let condition =
            self.template.pointer(&format!("/Conditions/{name}")).with_context(|| format!("no condition {name}"))?;
        self.is_true(condition).with_context(|| format!("in the condition {name}"))
    }

    fn call(&self, function: &str, argument: &Value) -> Result<Option<Value>> {
        match (function, argument) {
            ("Ref", Value::String(name)) if name == "AWS::NoValue" => return Ok(None),
            ("Ref", Value::String(name)) => return self.reference(name).map(Some),
            ("Fn::Sub", Value::String(text)) => return self.substitute(text, &Map::new()).map(Some),
            ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(text), Value::Object(variables)] => return self.substitute(text, variables).map(Some),
                _ => bail!("needs a text and its variables"),
            },
            ("Fn::If", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(condition), yes, no] => {
                    return self.resolve(if self.holds(condition)? { yes } else { no });
                }
                _ => bail!("needs a condition and two values"),
            },
            _ => {}
        }
        let argument = self.resolve(argument)?.context("needs a value")?;
        let list = || argument.as_array().map(Vec::as_slice).context("needs a list");
        let known = match function {
            "Fn::GetAtt" | "Fn::Base64" | "Fn::ImportValue" => None,
            "Fn::FindInMap" => match list()? {
                [map, first, second] => {
                    let path = format!("/Mappings/{}/{}/{}", plain(map)?, plain(first)?, plain(second)?);
                    Some(self.template.pointer(&path).with_context(|| format!("no {path}"))?.clone())
                }
                _ => bail!("needs a map and two keys"),
            },
            "Fn::Select" => match list()? {
                [index, Value::Array(from)] => {
                    let index: usize = plain(index)?.parse().context("the index is no number")?;
                    Some(from.get(index).with_context(|| format!("{from:?} has no element {index}"))?.clone())
                }
                [_, from] if is_open(from) => None,
                _ => bail!("needs an index and a list"),
            },
            "Fn::Split" => match list()? {
                [Value::String(separator), Value::String(text)] => {
                    Some(text.split(separator.as_str()).map(Value::from).collect())
                }
                [_, from] if is_open(from) => None,
                _ => bail!("needs a separator and a text"),
            },
            "Fn::Join" => match list()? {
                [Value::String(separator), Value::Array(items)] if !items.iter().any(is_open) => {
                    Some(items.iter().map(plain).collect::<Result<Vec<_>>>()?.join(separator).into())
                }
                [_, items] if is_open(items) || items.as_array().is_some_and(|items| items.iter().any(is_open)) => None,
                _ => bail!("needs a separator and a list"),
            },
            "Fn::GetAZs" => {
                let region = Some(plain(&argument)?).filter(|region| !region.is_empty());
                let region = region.map_or_else(|| self.reference("AWS::Region").and_then(|own| plain(&own)), Ok)?;
                Some(["a", "b", "c"].iter().map(|zone| format!("{region}{zone}")).collect())
            }
            "Fn::Cidr" => match list()? {
                [network, count, bits] => {
                    Some(subnets(&plain(network)?, plain(count)?.parse()?, plain(bits)?.parse()?)?)
                }
                _ => bail!("needs a network, a number and the bits of each"),
            },
            _ => bail!("not understood: {argument}"),
        };
        Ok(Some(known.unwrap_or_else(|| json!({ function: argument }))))
    }

    /// What is left to know stays in the text as `${Resource.Attribute}`.
    fn substitute(&self, text: &str, own: &Map<String, Value>) -> Result<Value> {
        let (mut whole, mut left) = (String::with_capacity(text.len()), Map::new());
        let (mut is_whole, mut rest) = (true, text);
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').context("a ${ is not closed")?;
            whole.push_str(before);
            let known = match (name.strip_prefix('!'), own.get(name)) {
                (Some(literal), _) => Some(Value::from(format!("${{{literal}}}"))),
                // Evaluated even when the test sets it: what CloudFormation would refuse must not pass.
                (None, Some(value)) => {
                    Some(self.resolve(value).with_context(|| format!("for ${{{name}}}"))?.context("AWS::NoValue")?)
                }
                (None, None) if name.contains('.') => None,
                (None, None) => Some(self.reference(name)?),
            };
            match known {
                Some(value) if !is_open(&value) => {
                    let value = plain(&value).with_context(|| format!("for ${{{name}}}"))?;
                    whole.push_str(self.variables.get(name).unwrap_or(&value));
                }
                open => {
                    is_whole = false;
                    whole.push_str(&format!("${{{name}}}"));
                    left.extend(open.filter(|_| own.contains_key(name)).map(|value| (name.to_owned(), value)));
                }
            }
            rest = after;
        }
        whole.push_str(rest);
        Ok(match (is_whole, left.is_empty()) {
            (true, _) => whole.into(),
            (false, true) => json!({"Fn::Sub": whole}),
            (false, false) => json!({"Fn::Sub": [whole, left]}),
        })
    }

    /// What a name stands for; a resource's stays a reference.
    fn reference(&self, name: &str) -> Result<Value> {
        let parameter = &self.template["Parameters"][name];
        let given = self.names.get(name).or_else(|| self.parameters.get(name)).cloned();
        let value = match given.or_else(|| parameter.get("Default").and_then(|default| plain(default).ok())) {
            Some(value) => value,
            None if self.template["Resources"].get(name).is_some() => return Ok(json!({"Ref": name})),
            None if parameter.is_null() => bail!("neither parameter, resource, nor a name that the test gives: {name}"),
            None => bail!("the parameter {name} has no default and was not given"),
        };
        let kind = parameter["Type"].as_str().unwrap_or_default();
        let is_list = kind == "CommaDelimitedList" || kind.starts_with("List<");
        Ok(if is_list { value.split(',').map(str::trim).collect() } else { value.into() })
    }

    /// A condition, or a part of one.
    pub(crate) fn is_true(&self, condition: &Value) -> Result<bool> {
        let (name, argument) = function(condition).with_context(|| format!("no function: {condition}"))?;
        let all =
            || argument.as_array().into_iter().flatten().map(|part| self.is_true(part)).collect::<Result<Vec<_>>>();
        match (name, argument) {
            ("Condition", Value::String(name)) => self.holds(name),
            ("Fn::Equals", Value::Array(sides)) if sides.len() == 2 => {
                Ok(self.text(&sides[0])? == self.text(&sides[1])?)
            }
            ("Fn::Contains", Value::Array(sides)) if sides.len() == 2 => {
                let value = self.text(&sides[1])?;
                let list = self.resolve(&sides[0])?.context("AWS::NoValue")?;
                let items = list.as_array().context("needs a list")?.iter().map(plain).collect::<Result<Vec<_>>>()?;
                Ok(items.contains(&value))
            }
            ("Fn::Not", Value::Array(parts)) if parts.len() == 1 => Ok(!all()?[0]),
            ("Fn::And", _) => Ok(all()?.into_iter().all(|holds| holds)),
            ("Fn::Or", _) => Ok(all()?.into_iter().any(|holds| holds)),
            _ => bail!("not understood: {condition}"),
        }
    }
}

/// A value that is a function: its name and its argument.
pub(crate) fn function(value: &Value) -> Option<(&str, &Value)> {
    let (name, argument) = value.as_object().filter(|object| object.len() == 1)?.iter().next()?;
    let is_function = name.starts_with("Fn::") || name == "Ref" || (name == "Condition" && argument.is_string());
    is_function.then_some((name, argument))
}

/// Whether only AWS knows the value.
fn is_open(value: &Value) -> bool {
    function(value).is_some()
}

/// A scalar as CloudFormation compares it: as text.
fn plain(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(flag) => Ok(flag.to_string()),
        other => bail!("expected text, found {other}"),
    }
}

/// The first `count` parts of a network, each with `bits` for its hosts.
fn subnets(network: &str, count: u32, bits: u32) -> Result<Value> {
    let (address, prefix) = network.split_once('/').with_context(|| format!("no network: {network}"))?;
    let (address, prefix): (Ipv4Addr, u32) = (address.parse()?, prefix.parse()?);
    ensure!(
        bits + prefix <= 32 && count <= 1 << (32 - prefix - bits),
        "{count} parts of {bits} bits: {network} is full"
    );
    let part = |number: u32| format!("{}/{}", Ipv4Addr::from(u32::from(address) + (number << bits)), 32 - bits);
    Ok((0..count).map(part).collect())
}
