//! Certificates as the templates use them and as ACM describes them.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const EDGE: &str = include_str!("../../../../infra/edge.yaml");
const ARN: &str = "arn:aws:acm:us-east-1:111122223333:certificate/1";

fn used(cloud_front: &str) -> Vec<CertificateUse> {
    let given =
        [("RestApiId", "a1"), ("CloudFront", cloud_front), ("DomainName", "api.example.com"), ("CertificateArn", ARN)];
    let given: BTreeMap<_, _> = given.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    uses(&PlannedResources::of(EDGE, &given, "eu-central-1", BTreeSet::new()).unwrap(), "eu-central-1")
}

#[test]
fn cloudfront_needs_its_own_region_and_a_regional_domain_the_environments() {
    for (cloud_front, region) in [("ON", "us-east-1"), ("CACHE", "us-east-1"), ("OFF", "eu-central-1")] {
        let uses = used(cloud_front);
        assert_eq!(uses.len(), 1, "{uses:?}");
        assert_eq!(
            (uses[0].region.as_str(), uses[0].names.as_slice()),
            (region, ["api.example.com".to_owned()].as_slice())
        );
    }
    let none = PlannedResources::of(EDGE, &BTreeMap::new(), "eu-central-1", BTreeSet::new()).unwrap();
    assert_eq!(uses(&none, "eu-central-1"), []);
}

#[test]
fn a_certificate_must_be_issued_valid_and_cover_the_name() {
    let used = &used("ON")[0];
    let good = json!({
        "Status": "ISSUED", "NotAfter": 2000.0, "DomainName": "example.com",
        "SubjectAlternativeNames": ["example.com", "*.example.com"],
    });
    let judged = |change: &[(&str, Value)]| {
        let mut certificate = good.clone();
        for (key, value) in change {
            certificate[*key] = value.clone();
        }
        match certificate_state(used, &certificate, 1000.0, "request it".to_owned()) {
            CheckResult::Passed(detail) => detail,
            CheckResult::Problem(failure) => format!("!! {failure}"),
            CheckResult::Note(detail, _) => format!("?? {detail}"),
        }
    };
    assert_eq!(judged(&[]), format!("{ARN} is issued for api.example.com"));
    assert_eq!(judged(&[("Status", json!("PENDING_VALIDATION"))]), format!("!! {ARN} is PENDING_VALIDATION"));
    assert_eq!(judged(&[("NotAfter", json!(999.0))]), format!("!! {ARN} has expired"));
    assert_eq!(
        judged(&[("SubjectAlternativeNames", json!(["example.com"]))]),
        format!("!! {ARN} does not cover api.example.com")
    );
}

#[test]
fn a_wildcard_stands_for_one_label() {
    for (pattern, name, expected) in [
        ("api.example.com", "API.example.com", true),
        ("*.example.com", "api.example.com", true),
        ("*.example.com", "example.com", false),
        ("*.example.com", "a.api.example.com", false),
        ("example.com", "api.example.com", false),
    ] {
        assert_eq!(covers(pattern, name), expected, "{pattern} {name}");
    }
}
