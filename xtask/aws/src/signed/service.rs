//! The services that are called without an SDK: their protocols, and their addresses in each partition.

use model::partition::{self, Partition};

/// A service that is called without an SDK.
#[derive(Debug)]
pub struct AwsService {
    /// In the host name and in the signature.
    pub(super) name: &'static str,
    /// The suffix of the variable for its endpoint, as in `AWS_ENDPOINT_URL_EC2`.
    pub(super) variable: &'static str,
    /// Whether one endpoint serves all regions of a partition.
    global: bool,
    pub(super) protocol: Protocol,
}

/// The protocol of a service.
#[derive(Debug)]
pub(super) enum Protocol {
    /// A form in, XML out.
    Query { version: &'static str },
    /// JSON in and out; a header names the operation.
    Json { target: &'static str, version: &'static str },
    /// Path and method name the operation.
    Rest,
}

pub const ACM: AwsService = AwsService {
    name: "acm",
    variable: "ACM",
    global: false,
    protocol: Protocol::Json { target: "CertificateManager", version: "1.1" },
};
pub const API_GATEWAY: AwsService =
    AwsService { name: "apigateway", variable: "API_GATEWAY", global: false, protocol: Protocol::Rest };
pub const COGNITO: AwsService = AwsService {
    name: "cognito-idp",
    variable: "COGNITO_IDENTITY_PROVIDER",
    global: false,
    protocol: Protocol::Json { target: "AWSCognitoIdentityProviderService", version: "1.1" },
};
pub const CLOUDWATCH: AwsService = AwsService {
    name: "monitoring",
    variable: "CLOUDWATCH",
    global: false,
    protocol: Protocol::Query { version: "2010-08-01" },
};
pub const EC2: AwsService =
    AwsService { name: "ec2", variable: "EC2", global: false, protocol: Protocol::Query { version: "2016-11-15" } };
pub const ECS: AwsService = AwsService {
    name: "ecs",
    variable: "ECS",
    global: false,
    protocol: Protocol::Json { target: "AmazonEC2ContainerServiceV20141113", version: "1.1" },
};
pub const ELASTIC_LOAD_BALANCING: AwsService = AwsService {
    name: "elasticloadbalancing",
    variable: "ELASTIC_LOAD_BALANCING_V2",
    global: false,
    protocol: Protocol::Query { version: "2015-12-01" },
};
pub const IAM: AwsService =
    AwsService { name: "iam", variable: "IAM", global: true, protocol: Protocol::Query { version: "2010-05-08" } };
pub const RDS: AwsService =
    AwsService { name: "rds", variable: "RDS", global: false, protocol: Protocol::Query { version: "2014-10-31" } };
/// Without a name of a bucket in the host: only so do emulators find it.
pub const S3: AwsService = AwsService { name: "s3", variable: "S3", global: false, protocol: Protocol::Rest };
pub const SECRETS_MANAGER: AwsService = AwsService {
    name: "secretsmanager",
    variable: "SECRETS_MANAGER",
    global: false,
    protocol: Protocol::Json { target: "secretsmanager", version: "1.1" },
};

pub const SERVICE_QUOTAS: AwsService = AwsService {
    name: "servicequotas",
    variable: "SERVICE_QUOTAS",
    global: false,
    protocol: Protocol::Json { target: "ServiceQuotasV20190624", version: "1.1" },
};

/// A base URL without a trailing slash, and the region to sign for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) base: String,
    pub(super) region: String,
}

impl AwsService {
    /// Its address for callers in `region`: `endpoint` if there is one, otherwise AWS's host.
    pub(super) fn address(&self, region: &str, endpoint: Option<&str>) -> Address {
        let Partition { name: partition, suffix, home } = partition::of(region).unwrap_or(partition::COMMERCIAL);
        let signed_for = if self.global { home } else { region };
        let base = match endpoint {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            // The oldest partitions leave the region out.
            None if self.global && partition == "aws" => format!("https://{}.{suffix}", self.name),
            None if self.global && partition == "aws-us-gov" => format!("https://{}.us-gov.{suffix}", self.name),
            None => format!("https://{}.{signed_for}.{suffix}", self.name),
        };
        Address { base, region: signed_for.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_partition_has_its_own_hosts() {
        for (region, service, base, signed_for) in [
            ("eu-central-1", &EC2, "https://ec2.eu-central-1.amazonaws.com", "eu-central-1"),
            ("eu-central-1", &IAM, "https://iam.amazonaws.com", "us-east-1"),
            ("cn-north-1", &S3, "https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("cn-northwest-1", &EC2, "https://ec2.cn-northwest-1.amazonaws.com.cn", "cn-northwest-1"),
            ("cn-northwest-1", &IAM, "https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"),
            ("us-gov-east-1", &IAM, "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            ("us-isob-east-1", &EC2, "https://ec2.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
            ("eusc-de-east-1", &API_GATEWAY, "https://apigateway.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ] {
            let expected = Address { base: base.to_owned(), region: signed_for.to_owned() };
            assert_eq!(service.address(region, None), expected);
        }
    }
}
