//! `version`: which version comes next, by the changelog; and everything that names it.

use std::path::Path;

use anyhow::{Context as _, Result};
use semver::Version;
use time::OffsetDateTime;

use crate::cli::NextVersion;
use crate::context::Context;
use crate::ui::Ui;
use model::changelog::Changelog;
use model::outcome::{Exit, Failure, FailureKind};

pub(super) const CHANGELOG: &str = "CHANGELOG.md";
const MANIFEST: &str = "Cargo.toml";
/// Those of the workspace and of the fuzz target beside it, which has its members as dependencies.
const LOCKS: [&str; 2] = ["Cargo.lock", "fuzz/Cargo.lock"];

pub(super) fn run(arguments: &NextVersion, context: &Context, ui: &Ui) -> Result<()> {
    let current = current(&context.root)?;
    let text = read(&context.root, CHANGELOG)?;
    let log = Changelog(&text);
    let Some((level, why)) = log.level() else {
        return Err(Failure::new(Exit::Failed, FailureKind::Version, "there is nothing to release")
            .resource(CHANGELOG)
            .reason("nothing stands under `Unreleased`")
            .into());
    };
    let next = arguments.set.clone().unwrap_or_else(|| level.after(&current));
    if next <= current {
        return Err(Failure::new(Exit::Usage, FailureKind::Version, format!("{next} does not come after {current}"))
            .hint(format!("cargo xtask version --set {}", level.after(&current)))
            .into());
    }
    if arguments.write {
        let today = OffsetDateTime::now_utc().date().to_string();
        let cut = log.cut(&next, &today).context("the changelog has no unreleased part")?;
        let manifest = read(&context.root, MANIFEST)?;
        let manifest = named(&manifest, &current, &next).with_context(|| format!("{MANIFEST} names no version"))?;
        let mut files = vec![(CHANGELOG, cut), (MANIFEST, manifest)];
        for lock in LOCKS.into_iter().filter(|lock| context.root.join(lock).is_file()) {
            files.push((lock, locked(&read(&context.root, lock)?, &current, &next)));
        }
        for (path, text) in &files {
            std::fs::write(context.root.join(path), text).with_context(|| format!("{path} cannot be written"))?;
        }
        let names: Vec<&str> = files.iter().map(|(path, _)| *path).collect();
        ui.line(&format!("{} name {next} now; {why}", names.join(", ")));
        ui.line(&format!("next: git commit --all --message 'Version {next}', and after its review: git tag v{next} && git push origin v{next}"));
    } else {
        ui.line(&format!("{current} is followed by {next}: {why}; --write writes it down"));
    }
    ui.result(&next.to_string());
    ui.note(|report| report.version = Some(next.to_string()));
    Ok(())
}

/// The version that the workspace has.
///
/// # Errors
/// A manifest that names none.
pub(super) fn current(root: &Path) -> Result<Version> {
    let manifest = read(root, MANIFEST)?;
    let (_, section) = manifest.split_once("[workspace.package]").context("Cargo.toml has no [workspace.package]")?;
    let line = section.lines().skip(1).take_while(|line| !line.starts_with('[')).find_map(version_of);
    line.context("Cargo.toml names no version")?.parse().context("the version in Cargo.toml is none")
}

pub(super) fn read(root: &Path, path: &str) -> Result<String> {
    std::fs::read_to_string(root.join(path)).with_context(|| format!("{path} cannot be read"))
}

/// The version in a line such as `version = "0.1.0"`.
fn version_of(line: &str) -> Option<&str> {
    line.strip_prefix("version")?.trim_start().strip_prefix('=')?.trim().strip_prefix('"')?.split('"').next()
}

/// A manifest in which the workspace's version is another.
fn named(manifest: &str, current: &Version, next: &Version) -> Option<String> {
    let (before, section) = manifest.split_once("[workspace.package]")?;
    let line = format!("version = \"{current}\"");
    let section = section.contains(&line).then(|| section.replacen(&line, &format!("version = \"{next}\""), 1))?;
    Some(format!("{before}[workspace.package]{section}"))
}

/// A lock file in which the packages of this repository, which come from no registry, have another version.
fn locked(lock: &str, current: &Version, next: &Version) -> String {
    let mark = "[[package]]";
    let line = format!("\nversion = \"{current}\"\n");
    let renamed = |package: &str| {
        if package.contains("\nsource = ") {
            return package.to_owned();
        }
        package.replacen(&line, &format!("\nversion = \"{next}\"\n"), 1)
    };
    lock.split(mark).map(renamed).collect::<Vec<_>>().join(mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_repository_gets_the_version() {
        let lock = "version = 4\n\n[[package]]\nname = \"api\"\nversion = \"0.1.0\"\ndependencies = [\n \"other\",\n]\n\n[[package]]\nname = \"other\"\nversion = \"0.1.0\"\nsource = \"registry\"\n";
        let locked = locked(lock, &Version::new(0, 1, 0), &Version::new(0, 2, 0));
        assert!(locked.contains("name = \"api\"\nversion = \"0.2.0\""), "{locked}");
        assert!(locked.contains("name = \"other\"\nversion = \"0.1.0\""), "{locked}");
        let manifest = "[workspace]\n\n[workspace.package]\nversion = \"0.1.0\"\n\n[workspace.dependencies]\nx = { version = \"0.1.0\" }\n";
        let named = named(manifest, &Version::new(0, 1, 0), &Version::new(0, 2, 0)).unwrap();
        assert!(named.contains("[workspace.package]\nversion = \"0.2.0\""), "{named}");
        assert!(named.contains("x = { version = \"0.1.0\" }"), "{named}");
    }
}
