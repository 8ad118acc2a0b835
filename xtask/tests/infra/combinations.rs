//! The matrix: with which parameters every template is rendered, and what exists then.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{pairs, template};

/// Names of parameters, and of `AWS::Region`, with their values.
pub(crate) type Parameters = BTreeMap<String, String>;

/// Parameters, each with the values of which it must have one.
pub(crate) type Demands = Vec<(String, Vec<String>)>;

/// What `infra/tests/matrix.yaml` says of one template.
pub(crate) struct Matrix {
    /// The template's file in `infra/`.
    pub(crate) file: String,
    pub(crate) combinations: Vec<Combination>,
    /// When what is not always there exists: alternatives, each the values that parameters must have.
    pub(crate) exists: BTreeMap<String, Vec<Demands>>,
}

/// One way to use a template.
pub(crate) struct Combination {
    pub(crate) name: String,
    /// What is given, also where it is the default.
    pub(crate) parameters: Parameters,
}

/// Every template's part of the matrix.
pub(crate) fn all() -> Result<Vec<Matrix>> {
    let whole = template::load(&template::directory().join("tests/matrix.yaml"))?;
    let parts = whole.as_object().context("the matrix has no templates")?.iter();
    parts.map(|(file, part)| matrix(file, part).with_context(|| format!("in the matrix of {file}"))).collect()
}

fn matrix(file: &str, part: &Value) -> Result<Matrix> {
    for key in part.as_object().context("no keys")?.keys() {
        let known = ["always", "combinations", "pairs", "exists"];
        ensure!(known.contains(&key.as_str()), "unknown key {key}");
    }
    let always = parameters(&part["always"])?;
    let mut combinations = Vec::new();
    for (name, given) in part["combinations"].as_object().context("no combinations")? {
        combinations.push(Combination { name: name.clone(), parameters: parameters(given)? });
    }
    let lists = part["pairs"].as_array().into_iter().flatten();
    let levels = |list: &Value| list.as_array().context("no list")?.iter().map(parameters).collect::<Result<Vec<_>>>();
    let factors = lists.map(levels).collect::<Result<Vec<_>>>()?;
    let sizes: Vec<usize> = factors.iter().map(Vec::len).collect();
    for (number, row) in pairs::cover(&sizes).into_iter().enumerate() {
        let chosen = row.iter().zip(&factors).flat_map(|(level, levels)| levels[*level].clone());
        combinations.push(Combination { name: format!("pairs-{:02}", number + 1), parameters: chosen.collect() });
    }
    for combination in &mut combinations {
        for (name, value) in &always {
            combination.parameters.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }
    let exists = part["exists"].as_object().into_iter().flatten();
    let exists = exists.map(|(id, when)| Ok((id.clone(), alternatives(when)?))).collect::<Result<_>>()?;
    Ok(Matrix { file: file.to_owned(), combinations, exists })
}

fn parameters(given: &Value) -> Result<Parameters> {
    let given = given.as_object().context("parameters are names and values")?;
    given.iter().map(|(name, value)| Ok((name.clone(), text(value)?))).collect()
}

/// One set of demands, or a list of which one is enough.
pub(crate) fn alternatives(when: &Value) -> Result<Vec<Demands>> {
    let many = when.as_array().map_or_else(|| std::slice::from_ref(when), Vec::as_slice);
    let demands = |set: &Value| {
        let set = set.as_object().context("expected parameters and their values")?;
        let values = |value: &Value| match value {
            Value::Array(values) => values.iter().map(text).collect(),
            one => text(one).map(|one| vec![one]),
        };
        set.iter().map(|(name, value)| Ok((name.clone(), values(value)?))).collect()
    };
    many.iter().map(demands).collect()
}

fn text(value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).with_context(|| format!("{value} needs quotes: parameters are text"))
}
