//! The packages that are linked into a program: which they are, from `cargo tree`; where they are from, from
//! `Cargo.lock`.
//!
//! `cargo metadata` would give both, but of too many packages: it resolves the features of all members of a workspace
//! and of their tests at once. And it has no checksums.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// A line for each package: depth, then name, version and place, then licence. Where a package repeats, the line ends
/// with `(*)`, and what is below it is left out.
pub(super) const FORMAT: &str = "\t{p}\t{l}\t";

/// A package in a program.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    /// As `Cargo.lock` writes it: `registry+URL` or `git+URL?branch=NAME#COMMIT`. `None` for a folder's.
    pub(super) source: Option<String>,
    pub(super) checksum: Option<String>,
    /// As the package's manifest has it.
    pub(super) licence: Option<String>,
}

/// The packages of a program, and the dependencies of each.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) root: Package,
    pub(super) dependencies: BTreeMap<Package, BTreeSet<Package>>,
}

#[derive(Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Reads the lines of `cargo tree` in [`FORMAT`], and the lock file that they follow from.
///
/// # Errors
/// Text of another form, a package that is not in the lock file, or no package at all.
pub(super) fn parse(lines: &str, lock: &str) -> Result<Tree, String> {
    let lock: Lock = toml::from_str(lock).map_err(|error| error.to_string())?;
    let mut path: Vec<Package> = Vec::new();
    let mut dependencies = BTreeMap::<Package, BTreeSet<Package>>::new();
    let mut root = None;
    for line in lines.lines().filter(|line| !line.is_empty()) {
        let (depth, package) = entry(line, &lock).ok_or_else(|| format!("unexpected line {line:?}"))?;
        if depth > path.len() {
            return Err(format!("{line:?} has no parent"));
        }
        path.truncate(depth);
        dependencies.entry(package.clone()).or_default();
        match path.last() {
            Some(parent) => drop(dependencies.entry(parent.clone()).or_default().insert(package.clone())),
            None => root = root.or(Some(package.clone())),
        }
        path.push(package);
    }
    let root = root.ok_or("no package")?;
    Ok(Tree { root, dependencies })
}

fn entry(line: &str, lock: &Lock) -> Option<(usize, Package)> {
    let mut parts = line.split('\t');
    let (depth, package, licence) = (parts.next()?, parts.next()?, parts.next()?);
    let mut words = package.splitn(3, ' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    let place = words.next().map(|place| place.trim_start_matches('(').trim_end_matches(')'));
    let mut locked = lock.package.iter().filter(|locked| locked.name == name && locked.version == version);
    let locked = locked.find(|locked| is_from(locked.source.as_deref(), place))?;
    Some((
        depth.parse().ok()?,
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            source: locked.source.clone(),
            checksum: locked.checksum.clone(),
            licence: Some(licence.trim()).filter(|licence| !licence.is_empty()).map(str::to_owned),
        },
    ))
}

/// Whether a source of the lock file is the place that `cargo tree` shows: a folder, a repository with a shortened
/// commit, the name of a registry, or nothing for the default registry.
fn is_from(source: Option<&str>, place: Option<&str>) -> bool {
    let is_default = |source: &str| source == super::DEFAULT_REGISTRY;
    match (source, place) {
        (None, Some(place)) => !place.contains("://") && !place.starts_with("registry "),
        (Some(source), None) => is_default(source),
        (Some(source), Some(place)) => match source.strip_prefix("git+") {
            Some(repository) => repository.starts_with(place),
            None => place.starts_with("registry ") && !is_default(source),
        },
        (None, None) => false,
    }
}
