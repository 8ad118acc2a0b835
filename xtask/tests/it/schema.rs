//! `docs/result.schema.json`: what `--json` prints is valid by it. Crate `model` tests that it is the schema of the types.

use std::fs;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::sources::root;

const PATH: &str = "docs/result.schema.json";

/// Words by which a description names the unit of a number.
const UNITS: [&str; 5] = ["seconds", "bytes", "number", "percent", "us dollars"];

fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(&fs::read_to_string(root().join(PATH)).unwrap()).unwrap())
}

/// Checks the one object of a command.
pub(crate) fn check(object: &Value) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| jsonschema::draft202012::new(schema()).unwrap());
    must_be_valid(validator, object);
}

/// Checks one line of many against the definition of this name.
pub(crate) fn check_line(definition: &str, line: &Value) {
    let schema = json!({"$ref": format!("#/$defs/{definition}"), "$defs": schema()["$defs"]});
    must_be_valid(&jsonschema::draft202012::new(&schema).unwrap(), line);
}

fn must_be_valid(validator: &Validator, value: &Value) {
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "against {PATH}:\n{}\n{value}", errors.join("\n"));
}

#[test]
fn the_schema_is_valid() {
    jsonschema::draft202012::meta::validate(schema()).unwrap();
    assert_eq!(schema()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn an_invalid_object_is_refused() {
    let good = json!({"format": 1, "ok": true, "seconds": 0.5, "change": "none"});
    check(&good);
    for (key, value) in [
        ("seconds", json!("0.5")),
        ("change", json!("delete")),
        ("size", json!(-1)),
        ("digest", json!("latest")),
        ("surprise", json!(1)),
        ("error", json!({"kind": "aws", "message": "it failed"})),
        ("ok", json!(false)),
        ("format", json!(2)),
        ("stack", Value::Null),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        let found = std::panic::catch_unwind(|| check(&bad)).is_err();
        assert!(found, "{bad} is accepted");
    }
}

#[test]
fn every_key_is_described_and_every_number_has_its_unit() {
    let mut seen = 0;
    let mut places = vec![schema()];
    while let Some(place) = places.pop() {
        for (name, property) in place["properties"].as_object().into_iter().flatten() {
            seen += 1;
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.ends_with(['.', '…']), "{name} is not described: {description:?}");
            if ["number", "integer"].map(Value::from).contains(&property["type"]) {
                let lower = description.to_lowercase();
                assert!(UNITS.iter().any(|unit| lower.contains(unit)), "{name} has no unit: {description:?}");
            }
            assert_ne!(property["type"], "null");
        }
        places.extend(place["$defs"].as_object().into_iter().flat_map(|map| map.values()));
    }
    assert!(seen > 30, "only {seen} keys were seen");
}
