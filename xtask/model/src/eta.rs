//! How long a release will probably take, by earlier ones.
//!
//! Pure. Creations and updates differ too much to be mixed.

use serde::Serialize;

/// How many releases count: older ones say little about today's template.
const NEWEST: usize = 10;

/// How long earlier releases of the same kind took.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Eta {
    /// The median, in seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub typical_seconds: f64,
    /// The shortest, in seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub shortest_seconds: f64,
    /// The longest, in seconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub longest_seconds: f64,
    /// The number of releases that it is based on.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub releases: usize,
}

/// The estimate from earlier releases, newest first: their kind (`create` or `update`) and seconds. `None` if none is
/// of this kind.
pub fn learn(kind: &str, earlier: &[(&str, f64)]) -> Option<Eta> {
    let of_kind = earlier.iter().filter(|(done, seconds)| *done == kind && seconds.is_finite() && *seconds >= 0.0);
    let mut seconds: Vec<f64> = of_kind.map(|(_, seconds)| *seconds).take(NEWEST).collect();
    seconds.sort_by(f64::total_cmp);
    let (shortest_seconds, longest_seconds) = (*seconds.first()?, *seconds.last()?);
    let (lower, upper) = (seconds[(seconds.len() - 1) / 2], seconds[seconds.len() / 2]);
    let typical_seconds = f64::midpoint(lower, upper);
    Some(Eta { typical_seconds, shortest_seconds, longest_seconds, releases: seconds.len() })
}

impl std::fmt::Display for Eta {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // One unit for all three, so that the eye can compare them.
        let minutes = self.typical_seconds >= 90.0;
        let (divisor, unit) = if minutes { (60.0, "min") } else { (1.0, "s") };
        let show = |seconds: f64| format!("{:.0}", (seconds / divisor).round());
        write!(f, "about {} {unit}", show(self.typical_seconds))?;
        if self.releases == 1 {
            return write!(f, " (as in the release before)");
        }
        let (shortest, longest) = (show(self.shortest_seconds), show(self.longest_seconds));
        write!(f, " ({shortest} to {longest} {unit} in {} earlier releases)", self.releases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: &str, earlier: &[(&str, f64)]) -> String {
        learn(kind, earlier).map_or_else(String::new, |eta| eta.to_string())
    }

    #[test]
    fn there_is_no_estimate_without_an_earlier_release_of_the_kind() {
        assert_eq!(learn("update", &[]), None);
        assert_eq!(learn("update", &[("create", 300.0), ("update", f64::NAN), ("update", -1.0)]), None);
    }

    #[test]
    fn the_median_is_typical_and_the_range_is_shown() {
        let earlier = [120.0, 420.0, 240.0, 250.0, 130.0, 260.0].map(|seconds| ("update", seconds));
        assert_eq!(text("update", &earlier), "about 4 min (2 to 7 min in 6 earlier releases)");
        assert_eq!(learn("update", &earlier).unwrap().typical_seconds, 245.0);
        assert_eq!(text("update", &earlier[..3]), "about 4 min (2 to 7 min in 3 earlier releases)");
    }

    #[test]
    fn creations_do_not_count_for_updates() {
        let earlier = [("create", 900.0), ("update", 20.0), ("create", 600.0), ("update", 40.0)];
        assert_eq!(text("update", &earlier), "about 30 s (20 to 40 s in 2 earlier releases)");
        assert_eq!(text("create", &earlier), "about 13 min (10 to 15 min in 2 earlier releases)");
    }

    #[test]
    fn a_single_release_has_no_range() {
        assert_eq!(text("update", &[("update", 31.0)]), "about 31 s (as in the release before)");
    }

    #[test]
    fn only_the_newest_ten_count() {
        let mut earlier = vec![("update", 60.0); 10];
        earlier.push(("update", 6000.0));
        let eta = learn("update", &earlier).unwrap();
        assert_eq!((eta.releases, eta.longest_seconds), (10, 60.0));
    }
}
