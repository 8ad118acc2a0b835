//! Systems Manager's parameters with their versions.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// One version of a parameter: its value, and when it was written, in seconds since 1970.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) value: String,
    pub(crate) written: f64,
}

/// All versions of each parameter.
pub(crate) type Journal = BTreeMap<String, Vec<Version>>;

/// The answer to `action`, or an error's code.
pub(super) fn answer(journal: &mut Journal, action: &str, input: &Value) -> Result<Value, &'static str> {
    let name = || input["Name"].as_str().unwrap().to_owned();
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
        "PutParameter" => {
            let versions = journal.entry(name()).or_default();
            if !versions.is_empty() && input["Overwrite"] != true {
                return Err("ParameterAlreadyExists");
            }
            let written = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
            versions.push(Version { value: input["Value"].as_str().unwrap().to_owned(), written });
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

fn version(name: &str, versions: &[Version], at: usize) -> Value {
    let Version { value, written } = &versions[at];
    json!({"Name": name, "Type": "String", "Value": value, "Version": at + 1, "LastModifiedDate": written})
}
