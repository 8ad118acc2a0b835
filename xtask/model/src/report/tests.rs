//! `docs/result.schema.json` is the schema of [`Report`].

use std::path::Path;

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use serde_json::{Value, json};

use super::*;

/// Set to anything, this variable makes the test write the file.
const BLESS: &str = "BLESS_SCHEMA";

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/result.schema.json");
    let schema = schema();
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, format!("{schema:#}\n")).unwrap();
    }
    let published: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(published, schema, "{BLESS}=1 writes it");
}

fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize().with_transform(RecursiveTransform(strict));
    let mut schema = Value::from(settings.into_generator().into_root_schema_for::<Report>());
    schema["$id"] = "urn:xtask:result".into();
    schema["if"] = json!({ "properties": { "ok": { "const": true } } });
    schema["then"] = json!({ "properties": { "error": false } });
    schema["else"] = json!({ "required": ["error"] });
    schema
}

/// No key is null or unknown, descriptions are one line, and no number has a format that only Rust knows.
fn strict(schema: &mut Schema) {
    let is_null = |schema: &Value| schema["type"] == "null";
    if let Some(Value::Array(mut schemas)) = schema.remove("anyOf") {
        schemas.retain(|schema| !is_null(schema));
        let [Value::Object(only)] = schemas.as_slice() else { panic!("not an option: {schemas:?}") };
        schema.ensure_object().extend(only.clone());
    }
    if let Some(Value::Array(types)) = schema.get("type") {
        let only = types.iter().find(|name| **name != "null").unwrap().clone();
        schema.insert("type".to_owned(), only);
    }
    if schema.get("properties").is_some() {
        schema.insert("additionalProperties".to_owned(), false.into());
    }
    if ["number", "integer"].iter().any(|name| schema.get("type").is_some_and(|is| is == name)) {
        schema.remove("format");
    }
    if let Some(description) = schema.get_mut("description") {
        *description = description.as_str().unwrap().replace('\n', " ").into();
    }
}
