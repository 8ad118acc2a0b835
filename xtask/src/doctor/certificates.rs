//! The certificates that the template's domains use: region, account, state and names.

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::CheckResult;
use super::template::PlannedResources;
use crate::session::Session;
use aws::signed::{ACM, Call};
use model::outcome::Failure;

/// The region in which CloudFront needs its certificates.
/// <https://docs.aws.amazon.com/acm/latest/userguide/acm-regions.html>
const CLOUDFRONT: &str = "us-east-1";

/// A certificate as the template uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct CertificateUse {
    arn: String,
    /// The names that it must cover, as far as the template says.
    names: Vec<String>,
    region: String,
    user: &'static str,
}

/// Checks every certificate.
///
/// # Errors
/// None: a call that fails is reported with its certificate.
pub(super) async fn certificates(
    session: &Session<'_>,
    planned: &PlannedResources,
) -> Result<Vec<CheckResult>, Failure> {
    let uses = uses(planned, &session.environment.region);
    Ok(join_all(uses.iter().map(|used| check_certificate(session, used))).await)
}

/// Every ACM certificate that the template uses.
fn uses(planned: &PlannedResources, region: &str) -> Vec<CertificateUse> {
    let mut uses = Vec::new();
    let mut add = |arn: &Value, names: Vec<&Value>, region: &str, user| {
        // A reference is another resource of the template, in its region.
        if let Some(arn) = arn.as_str().filter(|arn| !arn.is_empty()) {
            let names = names.into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
            uses.push(CertificateUse { arn: arn.to_owned(), names, region: region.to_owned(), user });
        }
    };
    for domain in planned.all("AWS::ApiGateway::DomainName") {
        add(&domain["RegionalCertificateArn"], vec![&domain["DomainName"]], region, "the API's regional domain");
        add(&domain["CertificateArn"], vec![&domain["DomainName"]], CLOUDFRONT, "the API's edge domain");
    }
    for domain in planned.all("AWS::ApiGatewayV2::DomainName") {
        for one in domain["DomainNameConfigurations"].as_array().into_iter().flatten() {
            add(&one["CertificateArn"], vec![&domain["DomainName"]], region, "the API's regional domain");
        }
    }
    for distribution in planned.all("AWS::CloudFront::Distribution") {
        let settings = &distribution["DistributionConfig"];
        let names = settings["Aliases"].as_array().into_iter().flatten().collect();
        add(&settings["ViewerCertificate"]["AcmCertificateArn"], names, CLOUDFRONT, "CloudFront");
    }
    for listener in planned.all("AWS::ElasticLoadBalancingV2::Listener") {
        for one in listener["Certificates"].as_array().into_iter().flatten() {
            add(&one["CertificateArn"], Vec::new(), region, "the load balancer");
        }
    }
    uses
}

async fn check_certificate(session: &Session<'_>, used: &CertificateUse) -> CheckResult {
    let CertificateUse { arn, names, region, user } = used;
    let name = names.first().map_or("NAME", String::as_str);
    let request = format!("aws acm request-certificate --region {region} --validation-method DNS --domain-name {name}");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, "acm", of_region, account, rest] = parts[..] else {
        return CheckResult::problem(
            format!("{arn} is not a certificate"),
            format!("{user} needs the ARN of an ACM certificate"),
            request,
        );
    };
    if !rest.starts_with("certificate/") {
        return CheckResult::problem(
            format!("{arn} is not a certificate"),
            format!("{user} needs the ARN of an ACM certificate"),
            request,
        );
    }
    if of_region != region {
        return CheckResult::problem(
            format!("{arn} is in {of_region}"),
            format!("{user} needs one in {region}"),
            request,
        );
    }
    if account != session.identity.account && !session.is_emulator() {
        let reason = format!("{user} needs one in its own account, {}", session.identity.account);
        return CheckResult::problem(format!("{arn} belongs to account {account}"), reason, request);
    }
    let call = Call { service: &ACM, action: "acm:DescribeCertificate", resource: arn };
    let signed = session.clients.signed.in_region(region);
    match signed.json(call, &json!({"CertificateArn": arn})).await {
        Ok(answer) => {
            certificate_state(used, &answer["Certificate"], OffsetDateTime::now_utc().unix_timestamp() as f64, request)
        }
        Err(failure) if aws::is_missing(&failure) => {
            CheckResult::problem(format!("{arn} does not exist"), format!("{user} uses it"), request)
        }
        Err(failure) => CheckResult::unknown(&failure),
    }
}

/// Judges a certificate as ACM describes it; `now` is in seconds since 1970.
fn certificate_state(used: &CertificateUse, certificate: &Value, now: f64, request: String) -> CheckResult {
    let CertificateUse { arn, names, region, .. } = used;
    let status = certificate["Status"].as_str().unwrap_or("in an unknown state");
    if status != "ISSUED" {
        let hint =
            format!("aws acm describe-certificate --region {region} --certificate-arn {arn} shows what is missing");
        return CheckResult::problem(format!("{arn} is {status}"), "only an issued certificate can be used", hint);
    }
    if certificate["NotAfter"].as_f64().is_some_and(|end| end <= now) {
        return CheckResult::problem(format!("{arn} has expired"), "clients reject it", request);
    }
    let covered: Vec<&str> = certificate["SubjectAlternativeNames"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&certificate["DomainName"]])
        .filter_map(Value::as_str)
        .collect();
    match names.iter().find(|name| !covered.iter().any(|pattern| covers(pattern, name))) {
        Some(name) => CheckResult::problem(
            format!("{arn} does not cover {name}"),
            format!("it covers {}", covered.join(", ")),
            request,
        ),
        None => CheckResult::Passed(format!(
            "{arn} is issued{}",
            names.first().map(|name| format!(" for {name}")).unwrap_or_default()
        )),
    }
}

/// Whether a certificate's name covers this one; a wildcard stands for one label.
fn covers(pattern: &str, name: &str) -> bool {
    let same = |left: &str, right: &str| left.eq_ignore_ascii_case(right);
    match pattern.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| same(rest, parent)),
        None => same(pattern, name),
    }
}

#[cfg(test)]
mod tests;
