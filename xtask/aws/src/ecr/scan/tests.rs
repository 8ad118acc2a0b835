use aws_sdk_ecr::operation::describe_image_scan_findings::{
    DescribeImageScanFindingsError, DescribeImageScanFindingsOutput,
};
use aws_sdk_ecr::types::error::ScanNotFoundException;
use aws_sdk_ecr::types::{
    Attribute, FindingSeverity, ImageScanFindings, ImageScanStatus, PackageVulnerabilityDetails, VulnerablePackage,
};
use aws_smithy_mocks::{RuleMode, mock, mock_client};

use super::*;

fn done() -> aws_sdk_ecr::operation::describe_image_scan_findings::builders::DescribeImageScanFindingsOutputBuilder {
    let status = ImageScanStatus::builder().status(ScanStatus::Complete).build();
    DescribeImageScanFindingsOutput::builder().image_scan_status(status)
}

fn ended(status: ScanStatus, words: &'static str) -> DescribeImageScanFindingsOutput {
    let status = ImageScanStatus::builder().status(status).description(words).build();
    DescribeImageScanFindingsOutput::builder().image_scan_status(status).build()
}

#[tokio::test]
async fn all_pages_are_read_and_the_worst_stands_first() {
    let first = mock!(Client::describe_image_scan_findings)
        .match_requests(|request| request.next_token().is_none())
        .then_output(|| {
            let attribute = |key: &str, value: &str| Attribute::builder().key(key).value(value).build().unwrap();
            let finding = ImageScanFinding::builder()
                .name("CVE-2026-1")
                .severity(FindingSeverity::Medium)
                .attributes(attribute("package_name", "openssl"))
                .attributes(attribute("package_version", "3.0"));
            done()
                .image_scan_findings(ImageScanFindings::builder().findings(finding.build()).build())
                .next_token("2")
                .build()
        });
    let second = mock!(Client::describe_image_scan_findings)
        .match_requests(|request| request.next_token() == Some("2"))
        .then_output(|| {
            let package = VulnerablePackage::builder().name("zlib").version("1.2").build();
            let finding = |id: &str, severity: &str, status: &str| {
                let details =
                    PackageVulnerabilityDetails::builder().vulnerability_id(id).vulnerable_packages(package.clone());
                EnhancedImageScanFinding::builder()
                    .package_vulnerability_details(details.build())
                    .severity(severity)
                    .status(status)
                    .build()
            };
            let findings = ImageScanFindings::builder()
                .enhanced_findings(finding("CVE-2026-2", "CRITICAL", "ACTIVE"))
                .enhanced_findings(finding("CVE-2026-3", "CRITICAL", "SUPPRESSED"))
                .enhanced_findings(finding("CVE-2026-4", "UNTRIAGED", "ACTIVE"));
            done().image_scan_findings(findings.build()).build()
        });
    let client = mock_client!(aws_sdk_ecr, RuleMode::MatchAny, [&first, &second]);
    let Scan::Findings(found) = findings(&client, "rest-api", "sha256:1").await.unwrap() else { panic!("it is done") };
    let names: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.severity, one.package.as_deref())).collect();
    let zlib = Some("zlib");
    assert_eq!(
        names,
        [
            ("CVE-2026-2", Severity::Critical, zlib),
            ("CVE-2026-1", Severity::Medium, Some("openssl")),
            ("CVE-2026-4", Severity::Undefined, zlib)
        ]
    );
    assert_eq!(model::scan::severity_counts(&found), "1 critical, 1 medium, 1 undefined");
    assert_eq!(model::scan::severity_counts(&[]), "none");
}

#[tokio::test]
async fn a_scan_without_a_result_says_why() {
    let missing = mock!(Client::describe_image_scan_findings).then_error(|| {
        let meta = aws_sdk_ecr::error::ErrorMetadata::builder().code("ScanNotFoundException").build();
        DescribeImageScanFindingsError::ScanNotFoundException(ScanNotFoundException::builder().meta(meta).build())
    });
    let client = mock_client!(aws_sdk_ecr, [&missing]);
    assert_eq!(findings(&client, "rest-api", "sha256:1").await.unwrap(), Scan::Missing);
    let cases = [
        (ScanStatus::InProgress, "", Scan::Pending),
        (ScanStatus::UnsupportedImage, "", Scan::Unsupported("UNSUPPORTED_IMAGE".to_owned())),
        // Basic scanning of an image without an operating system.
        (ScanStatus::Failed, "UnsupportedImageError: no package manager", {
            Scan::Unsupported("UnsupportedImageError: no package manager".to_owned())
        }),
        // Any other failure is no result.
        (ScanStatus::Failed, "ScannerError: try later", Scan::Failed("FAILED: ScannerError: try later".to_owned())),
        (ScanStatus::Failed, "", Scan::Failed("FAILED".to_owned())),
        (ScanStatus::LimitExceeded, "", Scan::Failed("LIMIT_EXCEEDED".to_owned())),
        (ScanStatus::from("NEW_WORD"), "", Scan::Failed("NEW_WORD".to_owned())),
        (ScanStatus::Complete, "", {
            Scan::Failed("ECR says that the scan is done, and lists no findings".to_owned())
        }),
    ];
    for (status, words, expected) in cases {
        let answer = mock!(Client::describe_image_scan_findings).then_output(move || ended(status.clone(), words));
        let client = mock_client!(aws_sdk_ecr, [&answer]);
        assert_eq!(findings(&client, "rest-api", "sha256:1").await.unwrap(), expected);
    }
}

#[test]
fn severities_are_ordered_as_people_do() {
    let order = ["UNTRIAGED", "INFORMATIONAL", "low", "Medium", "HIGH", "CRITICAL", "a new word"].map(Severity::of);
    assert!(order.is_sorted() && order.iter().all(|severity| order.iter().filter(|one| *one == severity).count() == 1));
    assert!(order[1..6].iter().all(|severity| Severity::of(severity.word()) == *severity));
}
