//! The changelog, which decides the next version and its notes. Pure.
//!
//! Its format is that of Keep a Changelog (<https://keepachangelog.com/en/1.1.0/>), its versions are semantic
//! (<https://semver.org>).

use semver::Version;

const UNRELEASED: &str = "Unreleased";
/// Marks an incompatible change, under any heading.
const BREAKING: &str = "**Breaking**";

/// Which part of a semantic version is incremented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bump {
    Patch,
    Minor,
    Major,
}

/// The text of a changelog.
#[derive(Debug, Clone, Copy)]
pub struct Changelog<'a>(pub &'a str);

impl<'a> Changelog<'a> {
    /// The text under a version's heading, or under `Unreleased`; `None` without such a heading.
    pub fn notes(self, version: &str) -> Option<&'a str> {
        let (start, _) = self.sections().find(|(_, name)| *name == version)?;
        let rest = &self.0[start..];
        let body = rest.split_once('\n').map_or("", |(_, body)| body);
        let end = body.find("\n## ").map_or(body.len(), |end| end + 1);
        Some(if body.starts_with("## ") { "" } else { body[..end].trim() })
    }

    /// The increment that the unreleased changes need, and why; `None` without changes.
    pub fn bump(self) -> Option<(Bump, &'static str)> {
        let notes = self.notes(UNRELEASED)?;
        let has = |heading: &str| notes.lines().any(|line| line.trim_end() == format!("### {heading}"));
        if !notes.lines().any(|line| line.starts_with("- ")) {
            return None;
        }
        Some(if notes.contains(BREAKING) {
            (Bump::Major, "something is marked as breaking")
        } else if has("Removed") {
            (Bump::Major, "something was removed")
        } else if ["Added", "Changed", "Deprecated"].iter().any(|heading| has(heading)) {
            (Bump::Minor, "something was added, changed or deprecated")
        } else {
            (Bump::Patch, "only something was fixed")
        })
    }

    /// The text with the unreleased changes moved to `version`.
    pub fn cut(self, version: &Version, date: &str) -> Option<String> {
        let (start, _) = self.sections().find(|(_, name)| *name == UNRELEASED)?;
        let after = start + format!("## {UNRELEASED}").len();
        let rest = self.0[after..].strip_prefix(']').unwrap_or(&self.0[after..]);
        Some(format!("{}## {UNRELEASED}\n\n## {version} - {date}{rest}", &self.0[..start]))
    }

    /// The position of each section, and its name: `## 0.2.0 - 2026-11-23` is `0.2.0`.
    fn sections(self) -> impl Iterator<Item = (usize, &'a str)> {
        let mut at = 0;
        self.0.split_inclusive('\n').filter_map(move |line| {
            let start = at;
            at += line.len();
            let name = line.strip_prefix("## ")?.split(" - ").next()?.trim();
            Some((start, name.trim_start_matches('[').trim_end_matches(']')))
        })
    }
}

impl Bump {
    /// The version after `current`. Before 1.0.0 the second number stands for incompatible changes
    /// (<https://doc.rust-lang.org/cargo/reference/semver.html>).
    pub fn after(self, current: &Version) -> Version {
        let Version { major, minor, patch, .. } = *current;
        match (self, major) {
            (Self::Major, 1..) => Version::new(major + 1, 0, 0),
            (Self::Major | Self::Minor, 0) | (Self::Minor, _) => Version::new(major, minor + 1, 0),
            (Self::Patch, _) => Version::new(major, minor, patch + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# Changelog\n\n## Unreleased\n\n### Added\n- One.\n\n### Fixed\n- Two.\n\n## [0.2.0] - 2026-01-02\n\n### Fixed\n- Old.\n\n## 0.1.0\n- First.\n";

    #[test]
    fn a_version_has_its_own_notes() {
        let log = Changelog(TEXT);
        assert_eq!(log.notes("0.2.0"), Some("### Fixed\n- Old."));
        assert_eq!(log.notes("0.1.0"), Some("- First."));
        assert_eq!(log.notes("Unreleased"), Some("### Added\n- One.\n\n### Fixed\n- Two."));
        assert_eq!(log.notes("0.3.0"), None);
        assert_eq!(Changelog("## Unreleased\n## 0.1.0\n- First.\n").notes("Unreleased"), Some(""));
    }

    #[test]
    fn the_headings_decide_the_increment() {
        let level =
            |notes: &str| Changelog(&format!("## Unreleased\n{notes}\n\n## 0.1.0\n### Removed\n- Old.\n")).bump();
        assert_eq!(level("### Fixed\n- A.").map(|(level, _)| level), Some(Bump::Patch));
        assert_eq!(level("### Security\n- A.").map(|(level, _)| level), Some(Bump::Patch));
        assert_eq!(level("### Added\n- A.\n### Fixed\n- B.").map(|(level, _)| level), Some(Bump::Minor));
        assert_eq!(level("### Removed\n- A.").map(|(level, _)| level), Some(Bump::Major));
        assert_eq!(level("### Fixed\n- **Breaking**: A.").map(|(level, _)| level), Some(Bump::Major));
        assert_eq!(level(""), None);
        assert_eq!(level("### Added"), None);
    }

    #[test]
    fn before_1_0_the_minor_version_stands_for_incompatible_changes() {
        for (level, current, next) in [
            (Bump::Major, "0.3.4", "0.4.0"),
            (Bump::Minor, "0.3.4", "0.4.0"),
            (Bump::Patch, "0.3.4", "0.3.5"),
            (Bump::Major, "1.3.4", "2.0.0"),
            (Bump::Minor, "1.3.4", "1.4.0"),
            (Bump::Patch, "1.3.4", "1.3.5"),
        ] {
            assert_eq!(level.after(&current.parse().unwrap()).to_string(), next, "{level:?} after {current}");
        }
    }

    #[test]
    fn unreleased_changes_become_a_version() {
        let cut = Changelog(TEXT).cut(&Version::new(0, 3, 0), "2026-11-23").unwrap();
        assert!(cut.contains("## Unreleased\n\n## 0.3.0 - 2026-11-23\n\n### Added\n- One."), "{cut}");
        assert_eq!(Changelog(&cut).notes("0.3.0"), Changelog(TEXT).notes("Unreleased"));
        assert_eq!(Changelog(&cut).notes("Unreleased"), Some(""));
        assert_eq!(Changelog(&cut).bump(), None);
        assert_eq!(Changelog("# Nothing\n").cut(&Version::new(0, 3, 0), "2026-11-23"), None);
    }
}
