//! `docs/result.schema.json`: what `--json` prints keeps to it, and it promises nothing that the tool cannot say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::sources::{self, Source, root};

const PATH: &str = "docs/result.schema.json";

/// Units that a number's description must name.
const UNITS: [&str; 5] = ["seconds", "bytes", "number", "percent", "us dollars"];

fn schema() -> &'static Value {
    static SCHEMA: OnceLock<Value> = OnceLock::new();
    SCHEMA.get_or_init(|| serde_json::from_str(&fs::read_to_string(root().join(PATH)).unwrap()).unwrap())
}

/// Checks the one object of a command.
pub(crate) fn check(object: &Value) {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    let validator = VALIDATOR.get_or_init(|| jsonschema::draft202012::new(schema()).unwrap());
    keeps_to(validator, object);
}

/// Checks one line of many, which is a part of the schema by this name.
pub(crate) fn check_line(part: &str, line: &Value) {
    let schema = json!({"$ref": format!("#/$defs/{part}"), "$defs": schema()["$defs"]});
    keeps_to(&jsonschema::draft202012::new(&schema).unwrap(), line);
}

fn keeps_to(validator: &Validator, value: &Value) {
    let errors: Vec<String> = validator.iter_errors(value).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(errors.is_empty(), "against {PATH}:\n{}\n{value}", errors.join("\n"));
}

#[test]
fn the_schema_is_one() {
    jsonschema::draft202012::meta::validate(schema()).unwrap();
    assert_eq!(schema()["$schema"], "https://json-schema.org/draft/2020-12/schema");
}

#[test]
fn violations_of_the_schema_are_found() {
    let good = json!({"ok": true, "seconds": 0.5, "change": "none"});
    check(&good);
    for (key, value) in [
        ("seconds", json!("0.5")),
        ("change", json!("delete")),
        ("size", json!(-1)),
        ("digest", json!("latest")),
        ("surprise", json!(1)),
        ("error", json!({"kind": "aws", "message": "it failed"})),
        ("ok", json!(false)),
        ("stack", Value::Null),
    ] {
        let mut bad = good.clone();
        bad[key] = value;
        let found = std::panic::catch_unwind(|| check(&bad)).is_err();
        assert!(found, "{bad} is taken for good");
    }
}

#[test]
fn schema_and_types_have_the_same_keys() {
    let types = types();
    let parts = schema()["$defs"].as_object().unwrap().iter().filter(|(_, part)| part["properties"].is_object());
    let parts = parts.map(|(name, part)| (name.as_str(), part)).chain([("report", schema())]);
    for (name, described) in parts {
        let fields = types.get(name).unwrap_or_else(|| panic!("{PATH}: {name} is no type of the tool"));
        let keys = |value: &Value| value.as_object().map(|map| map.keys().cloned().collect()).unwrap_or_default();
        let properties: BTreeSet<String> = keys(&described["properties"]);
        let names: BTreeSet<String> = fields.keys().cloned().collect();
        assert_eq!(properties, names, "left: {PATH}, {name}; right: the type");
        assert_eq!(described["additionalProperties"], false, "{name}");
        let always = fields.iter().filter(|(_, always)| **always).map(|(name, _)| name.clone());
        let required = described["required"].as_array().unwrap().iter();
        let required: BTreeSet<String> = required.map(|name| name.as_str().unwrap().to_owned()).collect();
        assert_eq!(required, always.collect(), "required: {PATH}, {name}; right: the type");
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

/// Fields of one type, and whether they are always there.
type Fields = BTreeMap<String, bool>;

/// Fields of the tool's types by name, in the schema's spelling. Enums are none of these: the validation of real results
/// checks their words.
fn types() -> BTreeMap<String, Fields> {
    let mut types = BTreeMap::new();
    let mut flattened = Vec::new();
    for Source { path, text } in sources::all().iter().filter(|source| source.is_production()) {
        for part in text.split("#[derive(").skip(1).filter(|_| path.starts_with("xtask/")) {
            let derived = part.split(')').next().unwrap_or_default();
            let item = part.split("struct ").nth(1).filter(|_| derived.contains("Serialize"));
            let Some((name, body)) = item.and_then(|item| item.split_once(" {")) else { continue };
            let (fields, inner) = fields(body.split("\n}").next().unwrap());
            flattened.extend(inner.map(|inner| (snake(name), inner)));
            types.insert(snake(name), fields);
        }
    }
    for (outer, inner) in flattened {
        let fields = types.remove(&inner).unwrap_or_else(|| panic!("there is no type {inner}"));
        types.get_mut(&outer).unwrap().extend(fields);
    }
    types
}

/// The fields of a type's body, and the type whose fields are shown as its own.
fn fields(body: &str) -> (Fields, Option<String>) {
    let (mut fields, mut flattened, mut attributes) = (BTreeMap::new(), None, String::new());
    for line in body.lines().map(str::trim) {
        if line.starts_with("#[") {
            attributes.push_str(line);
            continue;
        }
        let field = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ").split_once(": ");
        if let Some((name, kind)) = field.filter(|_| !line.starts_with("//")) {
            if attributes.contains("serde(flatten)") {
                flattened = Some(snake(kind.trim_end_matches(',')));
            } else if !attributes.contains("serde(skip)") {
                let renamed = attributes.split("rename = \"").nth(1).and_then(|rest| rest.split('"').next());
                fields.insert(renamed.unwrap_or(name).to_owned(), !attributes.contains("skip_serializing_if"));
            }
            attributes.clear();
        }
    }
    (fields, flattened)
}

/// `PhaseRecord` as `phase_record`.
fn snake(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
