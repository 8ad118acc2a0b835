use aws_sdk_ecr::operation::describe_image_scan_findings::{
    DescribeImageScanFindingsError, DescribeImageScanFindingsOutput,
};
use aws_sdk_ecr::types::error::ScanNotFoundException;
use aws_sdk_ecr::types::{
    Attribute, FindingSeverity, ImageScanFinding, ImageScanFindings, ImageScanStatus, ScanStatus,
};
use aws_smithy_mocks::{Rule, mock, mock_client};
use config::deployment::Deployment;

use super::*;
use crate::context::Context;
use aws::{Clients, Identity};
use local::ui::Ui;
use machine::interrupt::Interrupt;
use model::outcome::Exit;

const DIGEST: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const HOST: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";

fn context(lines: &str) -> Context {
    let text = format!(
        "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \"t\"\n{lines}\n"
    );
    Context::without_repository(Deployment::parse("deploy.toml", &text).unwrap(), Interrupt::never())
}

fn status(status: ScanStatus, words: &str) -> DescribeImageScanFindingsOutput {
    let status = ImageScanStatus::builder().status(status).description(words).build();
    DescribeImageScanFindingsOutput::builder().image_scan_status(status).build()
}

fn found(severities: &[(&str, FindingSeverity)]) -> DescribeImageScanFindingsOutput {
    let finding = |(name, severity): &(&str, FindingSeverity)| {
        let attribute = |key: &str, value: &str| Attribute::builder().key(key).value(value).build().unwrap();
        ImageScanFinding::builder()
            .name(*name)
            .severity(severity.clone())
            .attributes(attribute("package_name", "openssl"))
            .attributes(attribute("package_version", "3.0.1"))
            .build()
    };
    let findings = severities.iter().map(finding).collect();
    DescribeImageScanFindingsOutput::builder()
        .image_scan_findings(ImageScanFindings::builder().set_findings(Some(findings)).build())
        .image_scan_status(ImageScanStatus::builder().status(ScanStatus::Complete).build())
        .build()
}

fn not_found() -> Rule {
    let error = || {
        let meta = aws_sdk_ecr::error::ErrorMetadata::builder().code("ScanNotFoundException").build();
        DescribeImageScanFindingsError::ScanNotFoundException(ScanNotFoundException::builder().meta(meta).build())
    };
    mock!(Client::describe_image_scan_findings).sequence().error(error).repeatedly().build()
}

fn session<'a>(context: &'a Context, clients: Clients, ui: &'a Ui) -> Session<'a> {
    let environment = &context.deployment.environments["dev"];
    let identity = Identity::of("111122223333", "arn:aws:iam::111122223333:user/ann");
    Session { context, environment, clients, identity, ui }
}

/// How an image fares; the findings as the result has them.
async fn admitted(lines: &str, host: &str, rule: &Rule, allowed: &[&str]) -> (Result<(), Failure>, Option<usize>) {
    let context = context(lines);
    let mut clients = Clients::with_cloudformation(mock_client!(aws_sdk_cloudformation, []));
    clients.ecr = mock_client!(aws_sdk_ecr, [rule]);
    let image = format!("{host}/rest-api@{DIGEST}").parse().unwrap();
    let environment = &context.deployment.environments["dev"];
    let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
    let candidate = Candidate { environment, image: &image, registry: None, allowed: &allowed };
    let ui = Ui::silent();
    let session = session(&context, clients, &ui);
    let result = candidate.admit(&session).await.map_err(|error| Failure::of(&error));
    let findings = ui.report(None).findings.map(|findings| findings.len());
    (result, findings)
}

#[tokio::test(start_paused = true)]
async fn findings_keep_an_image_out_from_the_severity_that_the_environment_names() {
    let rule = || {
        mock!(Client::describe_image_scan_findings)
            .match_requests(|request| {
                request.repository_name() == Some("rest-api")
                    && request.image_id().and_then(|id| id.image_digest()) == Some(DIGEST)
            })
            .then_output(|| found(&[("CVE-2026-1", FindingSeverity::High), ("CVE-2026-2", FindingSeverity::Low)]))
    };
    // Nobody looks where nobody has asked for it.
    assert_eq!(admitted("", HOST, &rule(), &[]).await.1, None);
    assert_eq!(admitted("protected = true\nblock_severity = \"none\"", HOST, &rule(), &[]).await.1, None);
    let (result, findings) = admitted("protected = true", HOST, &rule(), &[]).await;
    assert!(result.is_ok() && findings == Some(2), "nothing is critical: {result:?}");
    let (result, findings) = admitted("block_severity = \"high\"", HOST, &rule(), &[]).await;
    let failure = result.unwrap_err();
    assert_eq!((failure.exit, failure.kind, findings), (Exit::Preflight, FailureKind::Scan, Some(2)));
    assert_eq!(failure.message, "the image has a finding of severity high or above, which dev does not take");
    assert_eq!(failure.reason.as_deref(), Some("CVE-2026-1, high in openssl 3.0.1"));
    assert!(failure.hint.unwrap().contains("--allow-finding CVE-2026-1"));
    assert!(admitted("block_severity = \"high\"", HOST, &rule(), &["CVE-2026-1"]).await.0.is_ok());
    let one_of_two = admitted("block_severity = \"low\"", HOST, &rule(), &["CVE-2026-1"]).await.0.unwrap_err();
    assert_eq!(one_of_two.reason.as_deref(), Some("CVE-2026-2, low in openssl 3.0.1"));
}

#[tokio::test(start_paused = true)]
async fn ten_findings_are_listed_and_the_rest_is_counted() {
    let rule = mock!(Client::describe_image_scan_findings).then_output(|| {
        let names: Vec<String> = (0..13).map(|number| format!("CVE-2026-{number:02}")).collect();
        found(&names.iter().map(|name| (name.as_str(), FindingSeverity::Critical)).collect::<Vec<_>>())
    });
    let reason = admitted("protected = true", HOST, &rule, &[]).await.0.unwrap_err().reason.unwrap();
    assert_eq!(reason.lines().count(), 11, "{reason}");
    assert!(reason.ends_with("\nand 3 more"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn a_scan_that_goes_on_is_waited_for_but_not_for_ever() {
    let rule = mock!(Client::describe_image_scan_findings)
        .sequence()
        .output(|| status(ScanStatus::InProgress, ""))
        .times(4)
        .output(|| status(ScanStatus::Pending, ""))
        .output(|| found(&[]))
        .build();
    let (result, findings) = admitted("protected = true", HOST, &rule, &[]).await;
    assert!(result.is_ok() && findings == Some(0) && rule.num_calls() == 6, "{result:?}");
    let rule = mock!(Client::describe_image_scan_findings)
        .sequence()
        .output(|| status(ScanStatus::InProgress, ""))
        .repeatedly()
        .build();
    let begun = Instant::now();
    let failure = admitted("protected = true", HOST, &rule, &[]).await.0.unwrap_err();
    assert_eq!((failure.exit, failure.message.as_str()), (Exit::Preflight, "the scan of the image takes too long"));
    assert!((TIMEOUT..TIMEOUT * 2).contains(&begun.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn an_image_without_an_operating_system_is_let_in() {
    let words = "UnsupportedImageError: The operating system and/or package manager are not supported.";
    let rule = mock!(Client::describe_image_scan_findings).then_output(move || status(ScanStatus::Failed, words));
    let (result, findings) = admitted("protected = true", HOST, &rule, &[]).await;
    assert!(result.is_ok() && findings.is_none(), "{result:?}");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_has_scanned_is_refused() {
    for lines in ["protected = true", "block_severity = \"low\""] {
        let failure = admitted(lines, HOST, &not_found(), &[]).await.0.unwrap_err();
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (Exit::Preflight, "the vulnerabilities of the image are not known")
        );
        let start = format!("--repository-name rest-api --image-id imageDigest={DIGEST}");
        assert!(failure.hint.unwrap().contains(&start));
    }
    let elsewhere = admitted("protected = true", "ghcr.io", &not_found(), &[]).await.0.unwrap_err();
    assert!(elsewhere.hint.unwrap().contains("block_severity = \"none\""));
}

#[tokio::test(start_paused = true)]
async fn a_scan_without_a_result_blocks_and_says_how_to_allow_it() {
    let unlisted = || DescribeImageScanFindingsOutput::builder();
    let complete = || ImageScanStatus::builder().status(ScanStatus::Complete).build();
    let answers = [
        (status(ScanStatus::Failed, "ScannerError"), "FAILED: ScannerError"),
        (status(ScanStatus::LimitExceeded, ""), "LIMIT_EXCEEDED"),
        (status(ScanStatus::FindingsUnavailable, ""), "FINDINGS_UNAVAILABLE"),
        (status(ScanStatus::from("NEW_WORD"), ""), "NEW_WORD"),
        (unlisted().build(), "ECR returned no status of the scan"),
        (unlisted().image_scan_status(complete()).build(), "ECR says that the scan is done, and lists no findings"),
    ];
    for (answer, reason) in answers {
        let rule = || {
            let answer = answer.clone();
            mock!(Client::describe_image_scan_findings).then_output(move || answer.clone())
        };
        let failure = admitted("protected = true", HOST, &rule(), &[]).await.0.unwrap_err();
        assert_eq!(
            (failure.exit, failure.kind, failure.reason.as_deref()),
            (Exit::Preflight, FailureKind::Scan, Some(reason))
        );
        let hint = failure.hint.unwrap();
        assert!(hint.contains("aws ecr start-image-scan") && hint.contains("block_severity = \"none\""), "{hint}");
        assert!(admitted("protected = true\nblock_severity = \"none\"", HOST, &rule(), &[]).await.0.is_ok());
    }
    // A severity that nobody knows counts as the worst.
    let rule = mock!(Client::describe_image_scan_findings)
        .then_output(|| found(&[("CVE-2026-1", FindingSeverity::from("SEVERE"))]));
    let failure = admitted("protected = true", HOST, &rule, &[]).await.0.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("CVE-2026-1, unknown in openssl 3.0.1"));
}

#[tokio::test(start_paused = true)]
async fn an_image_without_a_digest_is_not_let_in_unseen() {
    let context = context("protected = true");
    let image = format!("{HOST}/rest-api:v1").parse().unwrap();
    let environment = &context.deployment.environments["dev"];
    let candidate = Candidate { environment, image: &image, registry: None, allowed: &[] };
    let clients = Clients::with_cloudformation(mock_client!(aws_sdk_cloudformation, []));
    let ui = Ui::silent();
    assert!(candidate.admit(&session(&context, clients, &ui)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn an_emulator_that_does_not_scan_keeps_nothing_out_and_aws_that_refuses_does() {
    let refused = || {
        mock!(Client::describe_image_scan_findings).then_error(|| {
            let meta = aws_sdk_ecr::error::ErrorMetadata::builder().code("InvalidAction").message("Unknown action");
            DescribeImageScanFindingsError::generic(meta.build())
        })
    };
    let emulated = "protected = true\nendpoint = \"http://127.0.0.1:1\"";
    assert!(admitted(emulated, "127.0.0.1:1", &refused(), &[]).await.0.is_ok());
    let failure = admitted("protected = true", HOST, &refused(), &[]).await.0.unwrap_err();
    assert!(failure.message.contains("ecr:DescribeImageScanFindings"), "{failure:?}");
}
