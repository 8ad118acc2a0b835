//! A CloudFormation template as one JSON value, short forms (`!Ref`) written out (`{"Ref": …}`).
//!
//! It refuses a tag that it does not know rather than to read past it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use saphyr::{LoadableYamlNode, ScalarOwned, YamlOwned};
use serde_json::{Map, Value};

pub(crate) fn load(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    read(&text).with_context(|| format!("in {}", path.display()))
}

pub(crate) fn read(text: &str) -> Result<Value> {
    let mut documents = YamlOwned::load_from_str(text).context("it is no YAML")?;
    match (documents.pop(), documents.pop()) {
        (Some(document), None) => written_out(document),
        _ => bail!("it must hold exactly one document"),
    }
}

/// Where the templates are: `model` includes this file too.
pub(crate) fn directory() -> PathBuf {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("infra"));
    above.find(|folder| folder.join("bootstrap.yaml").is_file()).expect("the templates are above")
}

fn written_out(node: YamlOwned) -> Result<Value> {
    Ok(match node {
        YamlOwned::Value(scalar) => match scalar {
            ScalarOwned::Null => Value::Null,
            ScalarOwned::Boolean(value) => value.into(),
            ScalarOwned::Integer(value) => value.into(),
            ScalarOwned::FloatingPoint(value) => value.into_inner().into(),
            ScalarOwned::String(value) => value.into(),
        },
        YamlOwned::Sequence(items) => items.into_iter().map(written_out).collect::<Result<Vec<_>>>()?.into(),
        YamlOwned::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = key.as_str().with_context(|| format!("a key is no text: {key:?}"))?.to_owned();
                object.insert(key, written_out(value)?);
            }
            object.into()
        }
        YamlOwned::Tagged(tag, node) => {
            let argument = written_out(*node)?;
            match tag.suffix.as_str() {
                "Ref" | "Condition" => single(&tag.suffix, argument),
                "GetAtt" => single("Fn::GetAtt", attribute(argument)?),
                "And" | "Base64" | "Cidr" | "Equals" | "FindInMap" | "GetAZs" | "If" | "ImportValue" | "Join"
                | "Not" | "Or" | "Select" | "Split" | "Sub" => single(&format!("Fn::{}", tag.suffix), argument),
                other => bail!("unknown tag !{other}"),
            }
        }
        other => bail!("not understood: {other:?}"),
    })
}

/// `!GetAtt A.B` is `[A, B]`; the attribute itself may have dots.
fn attribute(argument: Value) -> Result<Value> {
    match argument {
        Value::String(text) => {
            let (resource, name) =
                text.split_once('.').with_context(|| format!("!GetAtt {text} names no attribute"))?;
            Ok(Value::from(vec![resource, name]))
        }
        list => Ok(list),
    }
}

fn single(key: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(key.to_owned(), value)]))
}
