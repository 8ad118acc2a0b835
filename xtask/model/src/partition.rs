//! AWS's partitions, as a region's name shows them.

/// A group of regions with accounts and names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// As ARNs have it.
    pub name: &'static str,
    /// What the host names of its services end with.
    pub suffix: &'static str,
    /// The region of its global services.
    pub home: &'static str,
}

/// The partition of all regions that no other has.
pub const COMMERCIAL: Partition = partition("aws", "amazonaws.com", "us-east-1");

/// The beginnings of regions' names
/// (<https://github.com/boto/botocore/blob/develop/botocore/data/partitions.json>). The first that fits counts.
const PARTITIONS: [(&[&str], Partition); 8] = [
    (&["cn-"], partition("aws-cn", "amazonaws.com.cn", "cn-north-1")),
    (&["us-gov-"], partition("aws-us-gov", "amazonaws.com", "us-gov-west-1")),
    (&["us-iso-"], partition("aws-iso", "c2s.ic.gov", "us-iso-east-1")),
    (&["us-isob-"], partition("aws-iso-b", "sc2s.sgov.gov", "us-isob-east-1")),
    (&["eu-isoe-"], partition("aws-iso-e", "cloud.adc-e.uk", "eu-isoe-west-1")),
    (&["us-isof-"], partition("aws-iso-f", "csp.hci.ic.gov", "us-isof-south-1")),
    (&["eusc-"], partition("aws-eusc", "amazonaws.eu", "eusc-de-east-1")),
    (&["us-", "eu-", "ap-", "sa-", "ca-", "me-", "af-", "il-", "mx-"], COMMERCIAL),
];

const fn partition(name: &'static str, suffix: &'static str, home: &'static str) -> Partition {
    Partition { name, suffix, home }
}

/// The partition of a region; `None` for a region whose name is not known.
pub fn of(region: &str) -> Option<Partition> {
    let fits = |starts: &[&str]| starts.iter().any(|start| region.starts_with(start));
    PARTITIONS.iter().find(|(starts, _)| fits(starts)).map(|(_, partition)| *partition)
}
