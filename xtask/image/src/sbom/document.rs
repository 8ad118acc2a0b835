//! The document itself (<https://cyclonedx.org/docs/1.6/json/>).

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::DEFAULT_REGISTRY;
use super::tree::{Package, Tree};
use model::reference::{ImageReference, hex};

/// The reference of the image inside the document.
const IMAGE: &str = "image";
/// Characters of a purl's name and version that stand for themselves
/// (<https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>).
const PLAIN: &[u8] = b".-_~";

/// The subject and size of an SBOM.
#[derive(Debug, PartialEq, Eq)]
pub struct Summary {
    /// Name of the image that it describes.
    pub name: String,
    /// The image's digest.
    pub version: String,
    pub packages: usize,
}

pub(super) fn compose(service: &str, image: &ImageReference, tree: &Tree) -> Value {
    let digest = image.digest.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = image.repository.rsplit('/').next().unwrap_or_default();
    let purl = format!("pkg:oci/{name}@{}?repository_url={}", escaped(&digest), escaped(&image.name()));
    let components: Vec<Value> =
        tree.dependencies.keys().map(|package| component(package, *package == tree.root)).collect();
    let mut dependencies = vec![json!({ "ref": IMAGE, "dependsOn": [reference(&tree.root)] })];
    dependencies.extend(tree.dependencies.iter().map(|(package, needed)| {
        let needed: Vec<String> = needed.iter().map(reference).collect();
        json!({ "ref": reference(package), "dependsOn": needed })
    }));
    let described = json!({
        "bom-ref": IMAGE, "type": "container", "name": service, "version": digest, "purl": purl,
    });
    let tool = json!({ "type": "application", "name": "xtask", "version": env!("CARGO_PKG_VERSION") });
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": { "tools": { "components": [tool] }, "component": described },
        "components": components,
        "dependencies": dependencies,
    });
    document["serialNumber"] = serial(&document).into();
    document
}

/// Reads a document; `None` if it is not CycloneDX.
pub fn summary(bytes: &[u8]) -> Option<Summary> {
    let document: Value = serde_json::from_slice(bytes).ok()?;
    if document["bomFormat"] != "CycloneDX" || !document["specVersion"].is_string() {
        return None;
    }
    let text = |key: &str| document["metadata"]["component"][key].as_str().unwrap_or_default().to_owned();
    let packages = document["components"].as_array().map_or(0, Vec::len);
    Some(Summary { name: text("name"), version: text("version"), packages })
}

fn component(package: &Package, is_root: bool) -> Value {
    let kind = if is_root { "application" } else { "library" };
    let mut component = json!({
        "bom-ref": reference(package), "type": kind, "name": package.name, "version": package.version, "scope": "required",
    });
    if let Some(purl) = purl(package) {
        component["purl"] = purl.into();
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    if let Some(licence) = &package.licence {
        component["licenses"] = licences(licence);
    }
    component
}

/// An SPDX expression where it is one: older packages write a slash for `OR`.
fn licences(text: &str) -> Value {
    let expression = text.replace('/', " OR ").split_whitespace().collect::<Vec<_>>().join(" ");
    if expression.bytes().all(|b| b.is_ascii_alphanumeric() || b" .-+():".contains(&b)) {
        json!([{ "expression": expression }])
    } else {
        json!([{ "license": { "name": text } }])
    }
}

fn reference(package: &Package) -> String {
    purl(package).unwrap_or_else(|| format!("own:{}@{}", package.name, package.version))
}

/// `None` for a package of the repository: one of the same name in the registry is another one.
fn purl(package: &Package) -> Option<String> {
    let source = package.source.as_deref()?;
    let (_, url) = source.split_once('+')?;
    let qualifier = if let Some(repository) = source.strip_prefix("git+") {
        let (url, commit) = repository.split_once('#')?;
        let url = url.split('?').next()?;
        format!("?vcs_url={}", escaped_url(&format!("git+{url}@{commit}")))
    } else if source == DEFAULT_REGISTRY {
        String::new()
    } else {
        format!("?repository_url={}", escaped_url(url))
    };
    Some(format!("pkg:cargo/{}@{}{qualifier}", escaped(&package.name), escaped(&package.version)))
}

/// Colons and slashes of a qualifier's value stay, as in the specification's own examples.
fn escaped_url(text: &str) -> String {
    escaped(text).replace("%3A", ":").replace("%2F", "/")
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || PLAIN.contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// A UUID derived from the content (RFC 9562, version 8).
fn serial(document: &Value) -> String {
    let mut bytes = Sha256::digest(document.to_string())[..16].to_vec();
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let text = hex(&bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    format!("urn:uuid:{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}
