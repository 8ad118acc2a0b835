//! The vulnerability scan of an image in ECR.

use anyhow::Result;
use aws_sdk_ecr::Client;
use aws_sdk_ecr::types::{EnhancedImageScanFinding, ImageIdentifier, ImageScanFinding, ImageScanStatus, ScanStatus};

use crate::error::{failure, is_missing};
use model::scan::{Finding, Scan, Severity};

/// All findings of an image, of basic scanning or of Amazon Inspector. Findings that are suppressed in Inspector are left
/// out.
pub async fn findings(client: &Client, repository: &str, digest: &str) -> Result<Scan> {
    let (action, resource) = ("ecr:DescribeImageScanFindings", format!("image {digest} in repository {repository}"));
    let (mut findings, mut listed, mut next) = (Vec::new(), false, None);
    loop {
        let id = ImageIdentifier::builder().image_digest(digest).build();
        let call = client.describe_image_scan_findings().repository_name(repository).image_id(id);
        let page = match call.set_next_token(next).send().await.map_err(|error| failure(action, &resource, &error)) {
            Ok(page) => page,
            Err(failure) if is_missing(&failure) => return Ok(Scan::Missing),
            Err(failure) => return Err(failure.into()),
        };
        if let Some(scan) = without_result(page.image_scan_status()) {
            return Ok(scan);
        }
        if let Some(found) = page.image_scan_findings() {
            listed = true;
            findings.extend(found.findings().iter().map(basic));
            findings.extend(found.enhanced_findings().iter().filter(|finding| is_active(finding)).map(enhanced));
        }
        next = page.next_token.filter(|token| !token.is_empty());
        if next.is_none() {
            if !listed {
                return Ok(Scan::Failed("ECR says that the scan is done, and lists no findings".to_owned()));
            }
            findings.sort_by(|one: &Finding, other| {
                other.severity.cmp(&one.severity).then_with(|| one.name.cmp(&other.name))
            });
            return Ok(Scan::Findings(findings));
        }
    }
}

/// The outcome of a scan without findings; `None` for a complete scan.
fn without_result(status: Option<&ImageScanStatus>) -> Option<Scan> {
    /// How basic scanning begins its message about an image whose operating system it does not support
    /// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-troubleshooting.html>).
    const UNSUPPORTED: &str = "UnsupportedImageError";
    let description = status.and_then(|status| status.description()).unwrap_or_default();
    let Some(status) = status.and_then(|status| status.status()) else {
        return Some(Scan::Failed("ECR returned no status of the scan".to_owned()));
    };
    let reason = || if description.is_empty() { status.as_str().to_owned() } else { description.to_owned() };
    match status {
        ScanStatus::Active | ScanStatus::Complete => None,
        ScanStatus::InProgress | ScanStatus::Pending => Some(Scan::Pending),
        ScanStatus::UnsupportedImage => Some(Scan::Unsupported(reason())),
        ScanStatus::Failed if description.starts_with(UNSUPPORTED) => Some(Scan::Unsupported(reason())),
        other if description.is_empty() => Some(Scan::Failed(other.as_str().to_owned())),
        other => Some(Scan::Failed(format!("{}: {description}", other.as_str()))),
    }
}

fn basic(finding: &ImageScanFinding) -> Finding {
    let attribute = |name: &str| {
        let found = finding.attributes().iter().find(|attribute| attribute.key() == name);
        found.and_then(|attribute| attribute.value()).map(str::to_owned)
    };
    Finding {
        name: finding.name().unwrap_or_default().to_owned(),
        severity: Severity::of(finding.severity().map_or("", |severity| severity.as_str())),
        package: attribute("package_name"),
        version: attribute("package_version"),
        uri: finding.uri().map(str::to_owned),
        description: finding.description().map(str::to_owned),
    }
}

/// Whether a finding of Inspector is neither closed nor suppressed
/// (<https://docs.aws.amazon.com/inspector/latest/user/findings-understanding.html>).
fn is_active(finding: &EnhancedImageScanFinding) -> bool {
    !matches!(finding.status(), Some("CLOSED" | "SUPPRESSED"))
}

fn enhanced(finding: &EnhancedImageScanFinding) -> Finding {
    let details = finding.package_vulnerability_details();
    let package = details.and_then(|details| details.vulnerable_packages().first());
    let name = details.and_then(|details| details.vulnerability_id()).or(finding.title());
    Finding {
        name: name.unwrap_or_default().to_owned(),
        severity: Severity::of(finding.severity().unwrap_or_default()),
        package: package.and_then(|package| package.name()).map(str::to_owned),
        version: package.and_then(|package| package.version()).map(str::to_owned),
        uri: details.and_then(|details| details.source_url()).map(str::to_owned),
        description: finding.description().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests;
