//! Every combination of the matrix, rendered: what it says must exist exists, and nothing else that could be absent.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::combinations::{self, Combination, Demands, Matrix, Parameters};
use super::{render, template, test};

/// A template of one combination.
pub(crate) struct Rendered {
    /// The file in `infra/` that it is made from.
    pub(crate) file: String,
    pub(crate) combination: String,
    pub(crate) region: String,
    /// Every parameter's value, defaults too.
    pub(crate) parameters: Parameters,
    pub(crate) template: Value,
    /// Where it is written for programs to read.
    pub(crate) path: PathBuf,
}

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("matrix::every_template_has_a_matrix", every_template),
        test("matrix::every_combination_renders", || all().map(drop)),
        test("matrix::what_is_not_always_there_is_where_the_matrix_says", existence),
    ]
}

/// All of them, rendered once.
pub(crate) fn all() -> Result<&'static [Rendered]> {
    static ALL: LazyLock<Result<Vec<Rendered>, String>> =
        LazyLock::new(|| written().map_err(|error| format!("{error:?}")));
    ALL.as_deref().map_err(|error| anyhow::Error::msg(error.clone()))
}

/// Where all of them are written.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("rendered")
}

/// The folder of those that are made from `file`.
pub(crate) fn folder(file: &str) -> PathBuf {
    root().join(file.trim_end_matches(".yaml"))
}

/// Whether these demands, all of one of the sets, are met.
pub(crate) fn met(alternatives: &[Demands], parameters: &Parameters) -> Result<bool> {
    for demands in alternatives {
        for (name, _) in demands {
            ensure!(parameters.contains_key(name), "there is no parameter {name}");
        }
        if demands.iter().all(|(name, values)| values.contains(&parameters[name])) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn written() -> Result<Vec<Rendered>> {
    let mut all = Vec::new();
    // What an earlier run wrote of a combination that is gone would be checked again.
    drop(fs::remove_dir_all(root()));
    for matrix in combinations::all()? {
        let body = template::load(&template::directory().join(&matrix.file))?;
        let folder = folder(&matrix.file);
        fs::create_dir_all(&folder)?;
        for Combination { name, parameters } in matrix.combinations {
            let context = || format!("{} with {name}: {parameters:?}", matrix.file);
            let mut template = render::render(&body, &parameters).with_context(context)?;
            let parameters = effective(&body, &parameters);
            template["Metadata"] = serde_json::json!({"Parameters": parameters});
            let path = folder.join(format!("{}.json", name.replace(' ', "-")));
            fs::write(&path, serde_json::to_string_pretty(&template)?)?;
            let region = parameters["AWS::Region"].clone();
            all.push(Rendered { file: matrix.file.clone(), combination: name, region, parameters, template, path });
        }
    }
    Ok(all)
}

fn effective(body: &Value, given: &Parameters) -> Parameters {
    let mut all = given.clone();
    for (name, definition) in body["Parameters"].as_object().into_iter().flatten() {
        let default = &definition["Default"];
        let text = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
        all.entry(name.clone()).or_insert(text);
    }
    all
}

fn every_template() -> Result<()> {
    let with: Vec<String> = combinations::all()?.into_iter().map(|matrix| matrix.file).collect();
    for entry in fs::read_dir(template::directory())? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(!name.ends_with(".yaml") || with.contains(&name), "infra/tests/matrix.yaml says nothing of {name}");
    }
    Ok(())
}

fn existence() -> Result<()> {
    let mut wrong = Vec::new();
    for Matrix { file, exists, .. } in combinations::all()? {
        let body = template::load(&template::directory().join(&file))?;
        let sections = ["Resources", "Outputs"].map(|section| body[section].as_object().unwrap());
        let entries = sections.iter().flat_map(|section| section.iter());
        let ids: BTreeSet<&String> = entries.filter(|(_, it)| it["Condition"].is_string()).map(|(id, _)| id).collect();
        for id in &ids {
            let Some((_, when)) = exists.iter().find(|(name, _)| named(name, id)) else {
                wrong.push(format!("{file}: {id} is not always there, and the matrix says not when it is"));
                continue;
            };
            let (mut present, mut absent) = (0, 0);
            for one in all()?.iter().filter(|one| one.file == file) {
                let is_there = ["Resources", "Outputs"].iter().any(|section| one.template[section].get(id).is_some());
                *if is_there { &mut present } else { &mut absent } += 1;
                if is_there != met(when, &one.parameters).with_context(|| format!("{file}: {id}"))? {
                    let is = if is_there { "is there" } else { "is missing" };
                    wrong.push(format!("{file}: {id} {is} with {}: {:?}", one.combination, one.parameters));
                }
            }
            if present == 0 || absent == 0 {
                wrong.push(format!("{file}: {id} is there in {present} combinations and absent in {absent}"));
            }
        }
        for name in exists.keys().filter(|name| !ids.iter().any(|id| named(name, id))) {
            wrong.push(format!("{file}: {name} is in the matrix, but no resource or output that may be absent"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// Whether this is the name, or how it begins before a `*`.
pub(crate) fn named(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |stem| name.starts_with(stem))
}
