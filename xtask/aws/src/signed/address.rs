//! Where a service is, and for which region it wants to be signed for.

use super::{Service, Signed};

/// Partitions by how the names of their regions begin: the end of their hosts' names, and the region of their global
/// services. The first that fits counts; the last one fits all.
const PARTITIONS: [(&str, &str, &str); 8] = [
    ("cn-", "amazonaws.com.cn", "cn-north-1"),
    ("us-gov-", "amazonaws.com", "us-gov-west-1"),
    ("us-iso-", "c2s.ic.gov", "us-iso-east-1"),
    ("us-isob-", "sc2s.sgov.gov", "us-isob-east-1"),
    ("us-isof-", "csp.hci.ic.gov", "us-isof-south-1"),
    ("eu-isoe-", "cloud.adc-e.uk", "eu-isoe-west-1"),
    ("eusc-", "amazonaws.eu", "eusc-de-east-1"),
    ("", "amazonaws.com", "us-east-1"),
];

/// An address, without a slash at its end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) base: String,
    pub(super) region: String,
}

impl Signed {
    /// Where the service is, if that is not AWS.
    pub fn endpoint_of(&self, service: &Service) -> Option<&str> {
        self.endpoints.get(service.variable).or(self.endpoint.as_ref()).map(String::as_str)
    }

    /// The service's own variable, the endpoint of all services, or AWS's own name.
    pub(super) fn address(&self, service: &Service) -> Address {
        let found = PARTITIONS.iter().find(|(start, ..)| self.region.starts_with(start));
        let (start, suffix, home) = found.copied().unwrap_or(("", "amazonaws.com", "us-east-1"));
        let region = if service.global { home } else { &self.region };
        let base = match self.endpoint_of(service) {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            // The partitions that came first left the region out.
            None if service.global && start.is_empty() => format!("https://{}.{suffix}", service.name),
            None if service.global && start == "us-gov-" => format!("https://{}.us-gov.{suffix}", service.name),
            None => format!("https://{}.{region}.{suffix}", service.name),
        };
        Address { base, region: region.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{API_GATEWAY, EC2, IAM};
    use super::*;

    #[test]
    fn regions_lead_to_the_partitions_own_hosts() {
        for (region, service, base, signed_for) in [
            ("eu-central-1", &EC2, "https://ec2.eu-central-1.amazonaws.com", "eu-central-1"),
            ("eu-central-1", &IAM, "https://iam.amazonaws.com", "us-east-1"),
            ("cn-northwest-1", &EC2, "https://ec2.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"),
            ("cn-northwest-1", &IAM, "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("us-gov-east-1", &IAM, "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            ("us-isob-east-1", &EC2, "https://ec2.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
            ("eusc-de-east-1", &API_GATEWAY, "https://apigateway.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ] {
            let signed = Signed { region: region.to_owned(), ..Signed::default() };
            let expected = Address { base: base.to_owned(), region: signed_for.to_owned() };
            assert_eq!(signed.address(service), expected);
        }
    }

    #[test]
    fn a_services_own_variable_wins_over_the_endpoint_of_all() {
        let endpoints = BTreeMap::from([("IAM".to_owned(), "http://127.0.0.1:1/".to_owned())]);
        let endpoint = Some("http://127.0.0.1:2".to_owned());
        let signed = Signed { region: "eu-central-1".to_owned(), endpoint, endpoints, ..Signed::default() };
        assert_eq!(signed.address(&IAM).base, "http://127.0.0.1:1");
        assert_eq!(signed.address(&EC2).base, "http://127.0.0.1:2");
    }
}
