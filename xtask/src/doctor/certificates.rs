//! The certificates that the template's domains use: of the right region and account, issued, and for that name.

use futures_util::future::join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::Found;
use super::wanted::Wanted;
use crate::session::Session;
use aws::signed::{ACM, Call};
use model::outcome::Failure;

/// Where CloudFront, and what it fronts, wants certificates to be.
/// <https://docs.aws.amazon.com/acm/latest/userguide/acm-regions.html>
const CLOUDFRONT: &str = "us-east-1";

/// A certificate as the template uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Use {
    arn: String,
    /// The names that it has to cover, as far as the template says.
    names: Vec<String>,
    region: String,
    whom: &'static str,
}

/// Looks at each.
///
/// # Errors
/// None; what AWS refuses is told of the certificate.
pub(super) async fn look(session: &Session<'_>, wanted: &Wanted) -> Result<Vec<Found>, Failure> {
    let uses = uses(wanted, &session.environment.region);
    Ok(join_all(uses.iter().map(|used| judged(session, used))).await)
}

/// Every certificate of ACM that the template names.
fn uses(wanted: &Wanted, region: &str) -> Vec<Use> {
    let mut uses = Vec::new();
    let mut add = |arn: &Value, names: Vec<&Value>, region: &str, whom| {
        // A reference is another resource of the template's, which has to be of its region anyway.
        if let Some(arn) = arn.as_str().filter(|arn| !arn.is_empty()) {
            let names = names.into_iter().filter_map(|name| name.as_str().map(str::to_owned)).collect();
            uses.push(Use { arn: arn.to_owned(), names, region: region.to_owned(), whom });
        }
    };
    for domain in wanted.all("AWS::ApiGateway::DomainName") {
        add(&domain["RegionalCertificateArn"], vec![&domain["DomainName"]], region, "the API's regional domain");
        add(&domain["CertificateArn"], vec![&domain["DomainName"]], CLOUDFRONT, "the API's edge domain");
    }
    for domain in wanted.all("AWS::ApiGatewayV2::DomainName") {
        for one in domain["DomainNameConfigurations"].as_array().into_iter().flatten() {
            add(&one["CertificateArn"], vec![&domain["DomainName"]], region, "the API's regional domain");
        }
    }
    for distribution in wanted.all("AWS::CloudFront::Distribution") {
        let settings = &distribution["DistributionConfig"];
        let names = settings["Aliases"].as_array().into_iter().flatten().collect();
        add(&settings["ViewerCertificate"]["AcmCertificateArn"], names, CLOUDFRONT, "CloudFront");
    }
    for listener in wanted.all("AWS::ElasticLoadBalancingV2::Listener") {
        for one in listener["Certificates"].as_array().into_iter().flatten() {
            add(&one["CertificateArn"], Vec::new(), region, "the load balancer");
        }
    }
    uses
}

async fn judged(session: &Session<'_>, used: &Use) -> Found {
    let Use { arn, names, region, whom } = used;
    let name = names.first().map_or("NAME", String::as_str);
    let request = format!("aws acm request-certificate --region {region} --validation-method DNS --domain-name {name}");
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let [_, _, "acm", of_region, account, rest] = parts[..] else {
        return Found::lacking(format!("{arn} is no certificate"), format!("{whom} takes an ARN of ACM"), request);
    };
    if !rest.starts_with("certificate/") {
        return Found::lacking(format!("{arn} is no certificate"), format!("{whom} takes an ARN of ACM"), request);
    }
    if of_region != region {
        return Found::lacking(format!("{arn} is in {of_region}"), format!("{whom} takes one of {region}"), request);
    }
    if account != session.identity.account && !session.is_emulator() {
        let reason = format!("{whom} takes one of its own, {}", session.identity.account);
        return Found::lacking(format!("{arn} is of account {account}"), reason, request);
    }
    let call = Call { service: &ACM, action: "acm:DescribeCertificate", resource: arn };
    let signed = session.clients.signed.in_region(region);
    match signed.json(call, &json!({"CertificateArn": arn})).await {
        Ok(answer) => state(used, &answer["Certificate"], OffsetDateTime::now_utc().unix_timestamp() as f64, request),
        Err(failure) if aws::is_missing(&failure) => {
            Found::lacking(format!("there is no {arn}"), format!("{whom} would use it"), request)
        }
        Err(failure) => Found::unknown(&failure),
    }
}

/// What ACM says of it; `now` is in seconds since 1970.
fn state(used: &Use, certificate: &Value, now: f64, request: String) -> Found {
    let Use { arn, names, region, .. } = used;
    let status = certificate["Status"].as_str().unwrap_or("of no status");
    if status != "ISSUED" {
        let hint =
            format!("aws acm describe-certificate --region {region} --certificate-arn {arn} shows what it waits for");
        return Found::lacking(format!("{arn} is {status}"), "only an issued certificate can be used", hint);
    }
    if certificate["NotAfter"].as_f64().is_some_and(|end| end <= now) {
        return Found::lacking(format!("{arn} has ended"), "browsers and SDKs refuse it", request);
    }
    let covered: Vec<&str> = certificate["SubjectAlternativeNames"]
        .as_array()
        .into_iter()
        .flatten()
        .chain([&certificate["DomainName"]])
        .filter_map(Value::as_str)
        .collect();
    match names.iter().find(|name| !covered.iter().any(|pattern| covers(pattern, name))) {
        Some(name) => {
            Found::lacking(format!("{arn} is not for {name}"), format!("it is for {}", covered.join(", ")), request)
        }
        None => Found::Fine(format!(
            "{arn} is issued{}",
            names.first().map(|name| format!(" for {name}")).unwrap_or_default()
        )),
    }
}

/// Whether a certificate's name is this one; a star stands for one label.
fn covers(pattern: &str, name: &str) -> bool {
    let same = |left: &str, right: &str| left.eq_ignore_ascii_case(right);
    match pattern.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| same(rest, parent)),
        None => same(pattern, name),
    }
}

#[cfg(test)]
mod tests;
