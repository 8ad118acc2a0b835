//! `version`: determines the next version from the changelog, and writes it to the files that name it.

use std::path::Path;

use anyhow::{Context as _, Result};
use semver::Version;
use time::OffsetDateTime;

use crate::context::Context;
use local::cli::NextVersion;
use local::ui::Ui;
use model::changelog::Changelog;
use model::outcome::{Exit, Failure, FailureKind};

pub(super) const CHANGELOG: &str = "CHANGELOG.md";
const MANIFEST: &str = "Cargo.toml";
/// The lock files of the workspace and of the fuzz targets, which depend on its members.
const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

pub(super) fn run(arguments: &NextVersion, context: &Context, ui: &Ui) -> Result<()> {
    let current = current_version(&context.root)?;
    let text = read_file(&context.root, CHANGELOG)?;
    let log = Changelog(&text);
    let Some((level, why)) = log.bump() else {
        return Err(Failure::new(Exit::Failed, FailureKind::Version, "there is nothing to release")
            .resource(CHANGELOG)
            .reason("the section Unreleased is empty")
            .into());
    };
    let next = arguments.set.clone().unwrap_or_else(|| level.after(&current));
    if next <= current {
        return Err(Failure::new(Exit::Usage, FailureKind::Version, format!("{next} is not higher than {current}"))
            .hint(format!("cargo xtask version --set {}", level.after(&current)))
            .into());
    }
    if arguments.write {
        let today = OffsetDateTime::now_utc().date().to_string();
        let cut = log.cut(&next, &today).context("the changelog has no section Unreleased")?;
        let manifest = read_file(&context.root, MANIFEST)?;
        let manifest = manifest_with_version(&manifest, &current, &next)
            .with_context(|| format!("{MANIFEST} names no version"))?;
        let mut files = vec![(CHANGELOG, cut), (MANIFEST, manifest)];
        for lock in LOCKS.into_iter().filter(|lock| context.root.join(lock).is_file()) {
            files.push((lock, lock_with_version(&read_file(&context.root, lock)?, &current, &next)));
        }
        for (path, text) in &files {
            std::fs::write(context.root.join(path), text).with_context(|| format!("{path} cannot be written"))?;
        }
        let names: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        ui.line(&format!("version {next} was written to {}; {why}", names.join(", ")));
        ui.line(&format!("next: git commit --all --message 'Version {next}', and after its review: git tag v{next} && git push origin v{next}"));
    } else {
        ui.line(&format!("the version after {current} is {next}: {why}; --write writes it to the files"));
    }
    ui.result(&next.to_string());
    ui.note(|report| report.version = Some(next.to_string()));
    Ok(())
}

/// The workspace's version.
pub(super) fn current_version(root: &Path) -> Result<Version> {
    let manifest = read_file(root, MANIFEST)?;
    let (_, section) = manifest.split_once("[workspace.package]").context("Cargo.toml has no [workspace.package]")?;
    let line = section.lines().skip(1).take_while(|line| !line.starts_with('[')).find_map(version_of);
    line.context("Cargo.toml names no version")?.parse().context("the version in Cargo.toml is invalid")
}

pub(super) fn read_file(root: &Path, path: &str) -> Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))
}

/// The version in a line such as `version = "0.1.0"`.
fn version_of(line: &str) -> Option<&str> {
    line.strip_prefix("version")?.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?.split('"').next()
}

/// The manifest with the workspace's version replaced.
fn manifest_with_version(manifest: &str, current: &Version, next: &Version) -> Option<String> {
    let (before, section) = manifest.split_once("[workspace.package]")?;
    let line = format!("version = \"{current}\"");
    let section = section.contains(&line).then(|| section.replacen(&line, &format!("version = \"{next}\""), 1))?;
    Some(format!("{before}[workspace.package]{section}"))
}

/// The lock file with the version of this repository's packages replaced; those come from no registry.
fn lock_with_version(lock: &str, current: &Version, next: &Version) -> String {
    let mark = "[[package]]";
    let line = format!("\nversion = \"{current}\"\n");
    let replaced = |package: &str| {
        if package.contains("\nsource = ") {
            return package.to_owned();
        }
        package.replacen(&line, &format!("\nversion = \"{next}\"\n"), 1)
    };
    lock.split(mark).map(replaced).collect::<Vec<_>>().join(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_repositorys_packages_get_the_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"api\"\nversion = \"0.1.0\"\ndependencies = [\n \"other\",\n]\n\n[[package]]\nname = \"other\"\nversion = \"0.1.0\"\nsource = \"registry\"\n";
        let locked = lock_with_version(lock, &Version::new(0, 1, 0), &Version::new(0, 2, 0));
        assert!(locked.contains("name = \"api\"\nversion = \"0.2.0\""), "{locked}");
        assert!(locked.contains("name = \"other\"\nversion = \"0.1.0\""), "{locked}");
        let manifest = "[workspace]\n\n[workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\nx = { version = \"0.1.0\" }\n";
        let named = manifest_with_version(manifest, &Version::new(0, 1, 0), &Version::new(0, 2, 0)).unwrap();
        assert!(named.contains("[workspace.package]\nversion = \"0.2.0\""), "{named}");
        assert!(named.contains("x = { version = \"0.1.0\" }"), "{named}");
    }
}
