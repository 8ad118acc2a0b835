//! On-demand list prices in USD: what is billed by the hour or the month, whether it is used or not.
//!
//! Written without access to AWS's price list. Prices marked as from memory were not found in a publication.

/// Hours of the month that AWS's own price examples use.
const HOURS: f64 = 730.0;
/// When these prices were last checked.
pub(super) const AS_OF: &str = "2026-11";

/// The prices of one region.
#[derive(Debug)]
pub(super) struct Prices {
    pub(super) region: &'static str,
    /// An hour of size `large`, by family; the other sizes are multiples.
    instances: &'static [(&'static str, f64)],
    /// A GB of a volume in a month.
    volumes: &'static [(&'static str, f64)],
    nat_gateway: f64,
    load_balancer: f64,
    interface_endpoint: f64,
    /// An hour of a vCPU, of a GB: x86_64 and arm64.
    fargate: [(f64, f64); 2],
    /// An hour of a PostgreSQL instance, by class.
    databases: &'static [(&'static str, f64)],
    /// A GB of its gp3 storage in a month.
    database_storage: f64,
    /// An hour of Aurora's capacity unit.
    capacity_unit: f64,
}

// From memory: gp2, the families other than t3, the Fargate rates, whose sums agree with published examples, and
// db.t4g.small.
const US_EAST_1: Prices = Prices {
    region: "us-east-1",
    instances: &[
        ("t3", 0.0832),
        ("t3a", 0.0752),
        ("t4g", 0.0672),
        ("m5", 0.096),
        ("m6i", 0.096),
        ("m6g", 0.077),
        ("c6i", 0.085),
        ("c6g", 0.068),
    ],
    volumes: &[("gp3", 0.08), ("gp2", 0.10)],
    nat_gateway: 0.045,
    load_balancer: 0.0225,
    interface_endpoint: 0.01,
    fargate: [(0.04048, 0.004445), (0.03238, 0.00356)],
    databases: &[("db.t4g.micro", 0.016), ("db.t4g.small", 0.032)],
    database_storage: 0.115,
    capacity_unit: 0.12,
};

// From memory: as above, the endpoint, and the databases.
const EU_CENTRAL_1: Prices = Prices {
    region: "eu-central-1",
    instances: &[
        ("t3", 0.096),
        ("t3a", 0.0864),
        ("t4g", 0.0768),
        ("m5", 0.115),
        ("m6i", 0.115),
        ("m6g", 0.092),
        ("c6i", 0.097),
        ("c6g", 0.0776),
    ],
    volumes: &[("gp3", 0.0952), ("gp2", 0.119)],
    nat_gateway: 0.052,
    load_balancer: 0.027,
    interface_endpoint: 0.012,
    fargate: [(0.04656, 0.00511), (0.03725, 0.00409)],
    databases: &[("db.t4g.micro", 0.019), ("db.t4g.small", 0.038)],
    database_storage: 0.137,
    capacity_unit: 0.14,
};

/// The same everywhere.
pub(super) const ADDRESS: f64 = 0.005 * HOURS;
pub(super) const SECRET: f64 = 0.40;
pub(super) const ALARM: f64 = 0.10;
/// Per metric that is evaluated more often than once a minute.
pub(super) const FAST_ALARM: f64 = 0.30;
// All of the following are from memory.
pub(super) const COMPOSITE_ALARM: f64 = 0.50;
pub(super) const DASHBOARD: f64 = 3.0;
/// The share of a task's price on Spot; it varies with the market.
pub(super) const SPOT: f64 = 0.3;
/// Per machine-to-machine client of a user pool.
pub(super) const MACHINE_CLIENT: f64 = 6.0;
pub(super) const KEY: f64 = 1.0;
pub(super) const WEB_ACL: f64 = 5.0;
pub(super) const WEB_ACL_RULE: f64 = 1.0;
pub(super) const HOSTED_ZONE: f64 = 0.50;
/// An hour of API Gateway's cache, by its size in GB.
const CACHES: &[(&str, f64)] = &[
    ("0.5", 0.02),
    ("1.6", 0.038),
    ("6.1", 0.2),
    ("13.5", 0.25),
    ("28.4", 0.5),
    ("58.2", 1.0),
    ("118", 1.9),
    ("237", 3.8),
];

/// The prices for a region: its own, or else the higher ones.
pub(super) fn for_region(region: &str) -> &'static Prices {
    if region == US_EAST_1.region { &US_EAST_1 } else { &EU_CENTRAL_1 }
}

impl Prices {
    pub(super) fn instance(&self, name: &str) -> Option<f64> {
        let (family, size) = name.split_once('.')?;
        let (_, large) = self.instances.iter().find(|(known, _)| *known == family)?;
        Some(large * multiple(size)? * HOURS)
    }

    pub(super) fn volume(&self, kind: &str, gigabytes: f64) -> Option<f64> {
        self.volumes.iter().find(|(known, _)| *known == kind).map(|(_, price)| price * gigabytes)
    }

    pub(super) fn nat_gateway(&self) -> f64 {
        self.nat_gateway * HOURS
    }

    pub(super) fn load_balancer(&self) -> f64 {
        self.load_balancer * HOURS
    }

    /// In one subnet.
    pub(super) fn interface_endpoint(&self) -> f64 {
        self.interface_endpoint * HOURS
    }

    pub(super) fn task(&self, vcpu: f64, gigabytes: f64, arm: bool) -> f64 {
        let (per_vcpu, per_gigabyte) = self.fargate[usize::from(arm)];
        (vcpu * per_vcpu + gigabytes * per_gigabyte) * HOURS
    }

    pub(super) fn database(&self, class: &str) -> Option<f64> {
        self.databases.iter().find(|(known, _)| *known == class).map(|(_, price)| price * HOURS)
    }

    /// Of a GB.
    pub(super) fn database_storage(&self) -> f64 {
        self.database_storage
    }

    pub(super) fn capacity_unit(&self) -> f64 {
        self.capacity_unit * HOURS
    }
}

/// The price of API Gateway's cache of this size.
pub(super) fn cache(gigabytes: &str) -> Option<f64> {
    CACHES.iter().find(|(size, _)| *size == gigabytes).map(|(_, price)| price * HOURS)
}

/// A size as a multiple of `large`: each doubles the one before.
fn multiple(size: &str) -> Option<f64> {
    Some(match size {
        "nano" => 1.0 / 16.0,
        "micro" => 1.0 / 8.0,
        "small" => 1.0 / 4.0,
        "medium" => 1.0 / 2.0,
        "large" => 1.0,
        "xlarge" => 2.0,
        _ => 2.0 * size.strip_suffix("xlarge")?.parse::<f64>().ok().filter(|n| (2.0..=32.0).contains(n))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(price: Option<f64>, expected: f64) {
        let price = price.unwrap();
        assert!((price - expected).abs() < 0.006, "{price} is not {expected}");
    }

    #[test]
    fn sizes_are_multiples_of_large() {
        close(US_EAST_1.instance("t3.micro"), 7.592);
        close(EU_CENTRAL_1.instance("t3.micro"), 8.76);
        close(US_EAST_1.instance("t4g.small"), 12.264);
        close(US_EAST_1.instance("m5.4xlarge"), 560.64);
        assert_eq!(US_EAST_1.instance("p5.48xlarge"), None);
        assert_eq!(US_EAST_1.instance("t3.metal"), None);
        assert_eq!(US_EAST_1.instance("t3"), None);
    }

    #[test]
    fn a_region_without_prices_of_its_own_has_the_higher_ones() {
        assert_eq!(for_region("us-east-1").region, "us-east-1");
        assert_eq!(for_region("ap-southeast-2").region, "eu-central-1");
        for ((family, american), (same, german)) in US_EAST_1.instances.iter().zip(EU_CENTRAL_1.instances) {
            assert!(family == same && american < german, "{family}");
        }
        for ((class, american), (same, german)) in US_EAST_1.databases.iter().zip(EU_CENTRAL_1.databases) {
            assert!(class == same && american < german, "{class}");
        }
        assert!(US_EAST_1.nat_gateway() < EU_CENTRAL_1.nat_gateway());
        assert!(US_EAST_1.task(1.0, 2.0, false) < EU_CENTRAL_1.task(1.0, 2.0, false));
        assert!(US_EAST_1.task(1.0, 2.0, true) < US_EAST_1.task(1.0, 2.0, false));
    }
}
