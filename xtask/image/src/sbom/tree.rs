//! What cargo compiles into a program, as `cargo tree` and `Cargo.lock` tell it.

use std::collections::{BTreeMap, BTreeSet};

/// A line for each package: depth, name and version, licences. Of one that it has told already, cargo says `(*)` at the
/// end, and does not tell again what is below.
pub(super) const FORMAT: &str = "\t{p}\t{l}\t";

/// A package in a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// Whether it is one of the repository's own.
    pub(super) own: bool,
    /// As the package says it.
    pub(super) licence: Option<String>,
}

/// The packages of a program, and which needs which.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) root: Package,
    pub(super) needs: BTreeMap<Package, BTreeSet<Package>>,
}

/// Reads the lines of `cargo tree` in [`FORMAT`].
///
/// # Errors
/// A line that is none of these, or no package at all.
pub(super) fn read(text: &str) -> Result<Tree, String> {
    let mut path: Vec<Package> = Vec::new();
    let mut needs = BTreeMap::<Package, BTreeSet<Package>>::new();
    let mut root = None;
    for line in text.lines().filter(|line| !line.is_empty()) {
        let (depth, package) = entry(line).ok_or_else(|| format!("it says {line:?}"))?;
        if depth > path.len() {
            return Err(format!("{line:?} is below nothing"));
        }
        path.truncate(depth);
        needs.entry(package.clone()).or_default();
        match path.last() {
            Some(parent) => drop(needs.entry(parent.clone()).or_default().insert(package.clone())),
            None => root = root.or(Some(package.clone())),
        }
        path.push(package);
    }
    let root = root.ok_or("it names no package")?;
    Ok(Tree { root, needs })
}

fn entry(line: &str) -> Option<(usize, Package)> {
    let mut parts = line.split('\t');
    let (depth, package, licence) = (parts.next()?, parts.next()?, parts.next()?);
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    // Where it lies is told of all but the packages of the default registry.
    let own = words.next().is_some_and(|place| place.starts_with("(/") || place.contains(":\\"));
    let licence = Some(licence.trim()).filter(|licence| !licence.is_empty()).map(str::to_owned);
    let (name, version) = (name.to_owned(), version.to_owned());
    Some((depth.parse().ok()?, Package { name, version, own, licence }))
}

/// SHA-256 of the packages that `Cargo.lock` has checksums of, by name and version. The file is cargo's own: a key a line.
pub(super) fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|text| text.trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(checksum)) = (value("name"), value("version"), value("checksum")) {
            found.insert((name, version), checksum);
        }
    }
    found
}
