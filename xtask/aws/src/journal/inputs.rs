//! Template and parameters of a release, stored under their hash.
//!
//! They rarely change and are too long for one parameter, so each pair is stored once, compressed, in pieces. The names of
//! the pieces begin with a hash of their joined content, so that pieces of two attempts never mix: the same pair packed
//! with another template path differs.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};

use anyhow::Result;
use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ProvideErrorMetadata;
use aws_sdk_ssm::types::ParameterType;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use config::deployment::Environment;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{MAX_VALUE, lock_name, parameter_value, path};
use crate::error::failure;
use model::container;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Value;
use model::reference::hex;
use model::stack::Stack;
use model::template::{HIDDEN, Template};

/// The most bytes that are unpacked: generously above the limits of a template and its parameters.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024;

/// What a stack is made of, besides the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The template's path, relative to `deploy.toml`.
    pub path: String,
    pub template: String,
    /// All parameters except the image.
    pub parameters: BTreeMap<String, String>,
}

impl Inputs {
    /// The inputs of an environment's stack.
    pub fn of(environment: &Environment, stack: &Stack, template: &Template) -> Self {
        let mut parameters = stack.parameters.clone();
        parameters.remove(&environment.image_parameter);
        Self { path: template.path.clone(), template: template.body.clone(), parameters }
    }

    /// Their SHA-256 in hexadecimal digits, under which they are stored.
    pub fn hash(&self) -> String {
        let text = serde_json::to_vec(&(self.template.trim(), &self.parameters)).expect("text can be written as JSON");
        hex(&Sha256::digest(text))
    }

    /// The parameter values to send.
    pub fn values(&self) -> BTreeMap<String, Value> {
        let value = |value: &String| if value == HIDDEN { Value::Previous } else { Value::Is(value.clone()) };
        self.parameters.iter().map(|(name, text)| (name.clone(), value(text))).collect()
    }

    /// What differs from `before`: whether the template's text does, the names of parameters, and those of the container's
    /// variables, secrets and permissions.
    pub fn difference(&self, before: &Self) -> (bool, Vec<String>, Vec<String>) {
        let names: BTreeSet<&String> = self.parameters.keys().chain(before.parameters.keys()).collect();
        let differs = |name: &&&String| self.parameters.get(**name) != before.parameters.get(**name);
        let parameters = names.iter().filter(differs).map(|name| (*name).clone()).collect();
        let variables = container::changes(&container::read(&before.template), &container::read(&self.template));
        let variables = variables.into_iter().map(|change| change.name).collect();
        (self.template.trim() != before.template.trim(), parameters, variables)
    }

    /// Parameters whose values are not known.
    pub fn hidden(&self) -> Vec<&str> {
        self.parameters.iter().filter(|(_, value)| *value == HIDDEN).map(|(name, _)| name.as_str()).collect()
    }

    /// The pieces and the names under which they are stored, in the order in which they are written.
    fn pack(&self) -> Result<Vec<(String, String)>> {
        let mut packed = GzEncoder::new(Vec::new(), Compression::best());
        packed.write_all(&serde_json::to_vec(self)?)?;
        let text = STANDARD.encode(packed.finish()?);
        let attempt = hex(&Sha256::digest(&text));
        let last = text.len().div_ceil(MAX_VALUE) - 1;
        let pieces = text.as_bytes().chunks(MAX_VALUE).enumerate().map(|(number, piece)| {
            let place = if number == last { END.to_owned() } else { format!("{number:03}") };
            (format!("{attempt}-{place}"), String::from_utf8_lossy(piece).into_owned())
        });
        Ok(pieces.collect())
    }

    fn unpack(packed: &str) -> Result<Self> {
        let packed = STANDARD.decode(packed)?;
        let mut text = String::new();
        GzDecoder::new(packed.as_slice()).take(MAX_UNPACKED).read_to_string(&mut text)?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Digits of a hash in records of earlier versions.
const SHORT_HASH: usize = 16;
/// The end of the name of the last piece. It is written last: without it the others are the remains of an interrupted
/// attempt.
const END: &str = "end";

fn folder(stack: &str, hash: &str) -> String {
    format!("{}/inputs/{hash}", path(stack))
}

/// Stores the inputs. A piece that exists has the same content, as its name contains the hash.
pub async fn write_inputs(client: &Client, stack: &str, inputs: &Inputs) -> Result<()> {
    let folder = folder(stack, &inputs.hash());
    for (name, piece) in inputs.pack()? {
        let name = format!("{folder}/{name}");
        let call = client.put_parameter().name(&name).r#type(ParameterType::String).value(piece);
        match call.send().await {
            Ok(_) => {}
            Err(error) if error.code() == Some("ParameterAlreadyExists") => {}
            Err(error) => return Err(failure("ssm:PutParameter", &name, &error).into()),
        }
    }
    Ok(())
}

/// Reads the inputs with this hash.
///
/// # Errors
/// Also inputs that are not stored, or not completely.
pub async fn read_inputs(client: &Client, stack: &str, hash: &str) -> Result<Inputs> {
    let folder = folder(stack, hash);
    let missing = |reason: &str| {
        Failure::new(Exit::Failed, FailureKind::Journal, "the release's template and parameters cannot be read")
            .resource(&folder)
            .reason(reason)
            .hint("choose another release, or release its commit again")
    };
    // Digits sort before letters, so the end comes last.
    let mut pieces: BTreeMap<String, String> = BTreeMap::new();
    let mut next = None;
    loop {
        let call = client.get_parameters_by_path().path(&folder).max_results(10).set_next_token(next);
        let page = call.send().await.map_err(|error| failure("ssm:GetParametersByPath", &folder, &error))?;
        for parameter in page.parameters() {
            let name = parameter.name().and_then(|name| name.rsplit('/').next()).unwrap_or_default();
            pieces.insert(name.to_owned(), parameter_value(parameter)?.to_owned());
        }
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            break;
        }
    }
    joined(&pieces, hash).map_err(|reason| missing(&reason).into())
}

/// The first complete attempt whose content matches the hash.
fn joined(pieces: &BTreeMap<String, String>, hash: &str) -> Result<Inputs, String> {
    let mut wrong = "they are not stored, or not completely".to_owned();
    for attempt in pieces.keys().filter_map(|name| name.strip_suffix(END)) {
        // Earlier versions named pieces only by their number.
        let of_it = |name: &&String| name.rfind('-').map_or("", |dash| &name[..=dash]) == attempt;
        let packed: String = pieces.iter().filter(|(name, _)| of_it(name)).map(|(_, piece)| piece.as_str()).collect();
        match Inputs::unpack(&packed) {
            Ok(inputs) if has_hash(&inputs, hash) => return Ok(inputs),
            Ok(_) => "they are not what their name says".clone_into(&mut wrong),
            Err(error) => wrong = format!("their pieces do not belong together: {error}"),
        }
    }
    Err(wrong)
}

/// Whether this is the hash of the inputs. Records of earlier versions have only its first 16 digits.
fn has_hash(inputs: &Inputs, name: &str) -> bool {
    let hash = inputs.hash();
    name == hash || (name.len() == SHORT_HASH && hash.starts_with(name))
}

/// Deletes the inputs of a stack that are not to be kept. Returns how many parameters were deleted.
pub async fn sweep(client: &Client, stack: &str, keep: impl Fn(&str) -> bool) -> Result<usize> {
    let names = names(client, &format!("{}/inputs", path(stack))).await?;
    let hash = |name: &String| name.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let stale: Vec<String> = names.into_iter().filter(|name| !keep(&hash(name))).collect();
    delete_parameters(client, &stale).await?;
    Ok(stale.len())
}

/// The hashes of the inputs that are stored completely for a stack, and the hashes of all inputs with any piece.
pub async fn stored_hashes(client: &Client, stack: &str) -> Result<(BTreeSet<String>, BTreeSet<String>)> {
    let names = names(client, &format!("{}/inputs", path(stack))).await?;
    let folders = |names: &mut dyn Iterator<Item = &String>| {
        names.filter_map(|name| name.rsplit('/').nth(1)).map(str::to_owned).collect()
    };
    Ok((folders(&mut names.iter().filter(|name| name.ends_with(END))), folders(&mut names.iter())))
}

/// Whether the journal of a stack has anything besides the lock.
pub async fn is_remembered(client: &Client, stack: &str) -> Result<bool> {
    Ok(!remembered(client, stack).await?.is_empty())
}

/// Deletes the journal of a stack, except the lock, which its holder keeps.
pub async fn forget(client: &Client, stack: &str) -> Result<()> {
    delete_parameters(client, &remembered(client, stack).await?).await
}

async fn remembered(client: &Client, stack: &str) -> Result<Vec<String>> {
    let mut names = names(client, &path(stack)).await?;
    names.retain(|name| *name != lock_name(stack));
    Ok(names)
}

async fn names(client: &Client, path: &str) -> Result<Vec<String>> {
    let (mut names, mut next) = (Vec::new(), None);
    loop {
        let call = client.get_parameters_by_path().path(path).recursive(true).max_results(10).set_next_token(next);
        let page = call.send().await.map_err(|error| failure("ssm:GetParametersByPath", path, &error))?;
        names.extend(page.parameters().iter().filter_map(|parameter| parameter.name().map(str::to_owned)));
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            return Ok(names);
        }
    }
}

async fn delete_parameters(client: &Client, names: &[String]) -> Result<()> {
    // Systems Manager accepts ten per call.
    for ten in names.chunks(10) {
        let call = client.delete_parameters().set_names(Some(ten.to_vec()));
        call.send().await.map_err(|error| failure("ssm:DeleteParameters", &ten[0], &error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Inputs {
        inputs_of(400)
    }

    /// With a template of 64 bytes times `lines`, which hardly compresses, for several pieces.
    fn inputs_of(lines: u32) -> Inputs {
        let noise: String = (0..lines).map(|number| hex(&Sha256::digest(number.to_be_bytes()))).collect();
        let parameters = [("Zone", "a"), ("Password", HIDDEN)];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Inputs { path: "infra/t.yaml".to_owned(), template: noise, parameters }
    }

    #[test]
    fn packed_inputs_are_unpacked_unchanged() {
        let pieces = inputs().pack().unwrap();
        assert!(pieces.len() > 2 && pieces.iter().all(|(_, piece)| piece.len() <= MAX_VALUE));
        assert!(pieces.last().unwrap().0.ends_with(END));
        let mut stored: BTreeMap<String, String> = pieces.into_iter().collect();
        assert_eq!(joined(&stored, &inputs().hash()).unwrap(), inputs());
        assert!(joined(&stored, "another").unwrap_err().contains("not what their name says"));
        stored.pop_first();
        assert!(joined(&stored, &inputs().hash()).unwrap_err().contains("do not belong together"));
        stored.pop_last();
        assert!(joined(&stored, &inputs().hash()).unwrap_err().contains("not completely"));
    }

    #[test]
    fn the_longest_template_is_stored_in_the_order_of_its_pieces() {
        let longest = inputs_of(1_000_000 / 64);
        let pieces = longest.pack().unwrap();
        // The numbers in the names have three digits.
        assert!((100..1000).contains(&pieces.len()), "{} pieces", pieces.len());
        assert!(pieces.is_sorted() && pieces.iter().all(|(_, piece)| piece.len() <= MAX_VALUE));
        assert_eq!(joined(&pieces.into_iter().collect(), &longest.hash()).unwrap(), longest);
    }

    #[test]
    fn an_interrupted_attempt_does_not_mix_with_that_of_a_renamed_template() {
        let renamed = Inputs { path: "infra/renamed.yaml".to_owned(), ..inputs() };
        assert_eq!(renamed.hash(), inputs().hash());
        let mut stored: BTreeMap<String, String> = inputs().pack().unwrap().into_iter().collect();
        stored.pop_last();
        stored.extend(renamed.pack().unwrap());
        assert_eq!(joined(&stored, &inputs().hash()).unwrap(), renamed);
    }

    #[test]
    fn inputs_of_earlier_versions_are_read_and_mixed_ones_are_refused() {
        let old = |inputs: &Inputs| -> BTreeMap<String, String> {
            let plain = |name: &str| name.rsplit('-').next().unwrap().to_owned();
            inputs.pack().unwrap().into_iter().map(|(name, piece)| (plain(&name), piece)).collect()
        };
        let mut stored = old(&inputs());
        assert_eq!(joined(&stored, &inputs().hash()).unwrap(), inputs());
        let first = stored.pop_first().unwrap();
        let renamed = Inputs { path: "infra/renamed.yaml".to_owned(), ..inputs() };
        stored = old(&renamed);
        stored.insert(first.0, first.1);
        assert!(joined(&stored, &inputs().hash()).unwrap_err().contains("do not belong together"));
        // A release of the same afterwards is complete beside it.
        stored.extend(renamed.pack().unwrap());
        assert_eq!(joined(&stored, &inputs().hash()).unwrap(), renamed);
    }

    #[test]
    fn the_hash_depends_on_template_and_parameters() {
        let (one, mut other) = (inputs(), inputs());
        other.path = "elsewhere.yaml".to_owned();
        assert_eq!(one.hash(), other.hash());
        other.parameters.insert("Zone".to_owned(), "b".to_owned());
        assert_ne!(one.hash(), other.hash());
    }

    #[test]
    fn a_difference_names_parameters_and_never_values() {
        let (one, mut other) = (inputs(), inputs());
        assert_eq!(one.difference(&other), (false, Vec::new(), Vec::new()));
        other.parameters.insert("Zone".to_owned(), "other".to_owned());
        other.parameters.insert("New".to_owned(), "b".to_owned());
        assert_eq!(one.difference(&other).1, ["New", "Zone"]);
        other.template.push_str("# more");
        assert!(one.difference(&other).0);
    }

    #[test]
    fn a_hidden_value_keeps_that_of_the_stack() {
        let values = inputs().values();
        assert_eq!(values["Password"], Value::Previous);
        assert_eq!(values["Zone"], Value::Is("a".to_owned()));
    }
}
