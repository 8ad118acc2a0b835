//! AWS's partitions, as a region's name shows them.

/// A group of regions with accounts and names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Partition {
    /// As ARNs have it.
    pub(crate) name: &'static str,
    /// What the host names of its services end with.
    pub(crate) suffix: &'static str,
}

/// The beginnings of regions' names, name and suffix
/// (<https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json>). The first that fits counts.
const PARTITIONS: [(&[&str], &str, &str); 8] = [
    (&["cn-"], "aws-cn", "amazonaws.com.cn"),
    (&["us-gov-"], "aws-us-gov", "amazonaws.com"),
    (&["us-iso-"], "aws-iso", "c2s.ic.gov"),
    (&["us-isob-"], "aws-iso-b", "sc2s.sgov.gov"),
    (&["eu-isoe-"], "aws-iso-e", "cloud.adc-e.uk"),
    (&["us-isof-"], "aws-iso-f", "csp.hci.ic.gov"),
    (&["eusc-"], "aws-eusc", "amazonaws.eu"),
    (&["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"], "aws", "amazonaws.com"),
];

/// The partition of a region; `None` for a region whose name is not known.
pub(crate) fn of(region: &str) -> Option<Partition> {
    let fits = |starts: &[&str]| starts.iter().any(|start| region.starts_with(start));
    let (_, name, suffix) = PARTITIONS.iter().find(|(starts, ..)| fits(starts))?;
    Some(Partition { name, suffix })
}
