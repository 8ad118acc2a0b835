//! Systems Manager's parameters with their versions.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// One version of a parameter.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) value: String,
    /// When it was written, in seconds since 1970.
    pub(crate) written: f64,
    /// The key of a `SecureString`; any other is a `String`.
    pub(crate) key: Option<String>,
}

impl Version {
    /// Written now.
    pub(crate) fn of(value: &str, key: Option<&str>) -> Self {
        let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        Self { value: value.to_owned(), written, key: key.map(str::to_owned) }
    }
}

/// The key that encrypts where none is named.
pub(crate) const OWN_KEY: &str = "alias/aws/ssm";

/// All versions of each parameter.
pub(crate) type Journal = BTreeMap<String, Vec<Version>>;

/// The answer to `action`, or an error's code.
pub(super) fn answer(journal: &mut Journal, action: &str, input: &Value) -> Result<Value, &'static str> {
    let name = || input["Name"].as_str().unwrap().to_owned();
    let is_value = action.starts_with("GetParameter") && input.to_string().contains("\"/secrets/");
    assert!(!is_value, "{action} reads a secret: {input}");
    match action {
        "GetParameters" => {
            let names = input["Names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
            let found: Vec<Value> = names.filter_map(|name| newest(journal, name)).collect();
            Ok(json!({"Parameters": found, "InvalidParameters": []}))
        }
        "GetParameter" => {
            let name = name();
            let found = match name.split_once(':') {
                Some((name, number)) => {
                    let number: usize = number.parse().unwrap();
                    journal.get(name).filter(|all| number <= all.len()).map(|all| version(name, all, number - 1))
                }
                None => newest(journal, &name),
            };
            found.map(|found| json!({"Parameter": found})).ok_or("ParameterNotFound")
        }
        "GetParametersByPath" => {
            let path = format!("{}/", input["Path"].as_str().unwrap());
            let deep = input["Recursive"] == true;
            let below = |name: &&String| name.strip_prefix(&path).is_some_and(|rest| deep || !rest.contains('/'));
            let found: Vec<Value> = journal.keys().filter(below).filter_map(|name| newest(journal, name)).collect();
            Ok(json!({"Parameters": found}))
        }
        "GetParameterHistory" => {
            let versions = journal.get(&name()).ok_or("ParameterNotFound")?;
            let all: Vec<Value> = (0..versions.len()).map(|at| version(&name(), versions, at)).collect();
            Ok(json!({"Parameters": all}))
        }
        "DescribeParameters" => {
            let filter = &input["ParameterFilters"][0];
            let value = filter["Values"][0].as_str().unwrap();
            let is_wanted = |name: &str| match filter["Key"].as_str().unwrap() {
                "Name" => name == value,
                _ => name.strip_prefix(value).is_some_and(|rest| rest.rfind('/') == Some(0)),
            };
            // One a page, as AWS may do it.
            let wanted: Vec<&String> = journal.keys().filter(|name| is_wanted(name)).collect();
            let at: usize = input["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let page: Vec<Value> = wanted.get(at).map(|name| described(name, &journal[*name])).into_iter().collect();
            let next = (at + 1 < wanted.len()).then(|| (at + 1).to_string());
            Ok(json!({"Parameters": page, "NextToken": next}))
        }
        "PutParameter" => {
            let versions = journal.entry(name()).or_default();
            if !versions.is_empty() && input["Overwrite"] != true {
                return Err("ParameterAlreadyExists");
            }
            let key = (input["Type"] == "SecureString").then(|| input["KeyId"].as_str().unwrap_or(OWN_KEY));
            versions.push(Version::of(input["Value"].as_str().unwrap(), key));
            Ok(json!({"Version": versions.len(), "Tier": "Standard"}))
        }
        "DeleteParameter" => journal.remove(&name()).map(|_| json!({})).ok_or("ParameterNotFound"),
        "DeleteParameters" => {
            for name in input["Names"].as_array().unwrap() {
                journal.remove(name.as_str().unwrap());
            }
            Ok(json!({}))
        }
        _ => Err("InvalidAction"),
    }
}

fn newest(journal: &Journal, name: &str) -> Option<Value> {
    let versions = journal.get(name)?;
    Some(version(name, versions, versions.len() - 1))
}

fn described(name: &str, versions: &[Version]) -> Value {
    let mut described = version(name, versions, versions.len() - 1);
    described.as_object_mut().unwrap().remove("Value");
    let key = versions.last().unwrap().key.clone();
    described["Type"] = key.as_ref().map_or("String", |_| "SecureString").into();
    described["KeyId"] = json!(key);
    described
}

fn version(name: &str, versions: &[Version], at: usize) -> Value {
    let Version { value, written, .. } = &versions[at];
    json!({"Name": name, "Type": "String", "Value": value, "Version": at + 1, "LastModifiedDate": written})
}
