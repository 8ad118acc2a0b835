//! The account's quotas that the template's new resources count against.

mod need;

use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::wanted::Wanted;
use super::{Found, unseen};
use crate::session::Session;
use aws::signed::{CLOUDWATCH, Call, EC2, ELASTIC_LOAD_BALANCING, SERVICE_QUOTAS, tag};
use model::outcome::{Failure, FailureKind};
use need::{Need, Quota, Used};

/// Compares what is needed, what is in use and what there may be.
///
/// # Errors
/// What AWS says where the first quota cannot be asked for.
pub(super) async fn look(session: &Session<'_>, wanted: &Wanted) -> Result<Vec<Found>, Failure> {
    if session.is_emulator() {
        return Ok(Vec::new());
    }
    let needs = need::needs(wanted);
    let looked = try_join_all(needs.iter().map(|need| compare(session, need))).await?;
    let (fine, mut rest): (Vec<Found>, Vec<Found>) =
        looked.into_iter().partition(|found| matches!(found, Found::Fine(_)));
    // Who may not ask for one quota may mostly ask for none: that is told once.
    rest.dedup_by_key(|found| found.told("quotas").detail);
    // One line for all that is well.
    let fine: Vec<String> = fine.iter().map(|found| found.told("quotas").detail).collect();
    let fine = (!fine.is_empty()).then(|| Found::Fine(fine.join("; ")));
    Ok(fine.into_iter().chain(rest).collect())
}

async fn compare(session: &Session<'_>, need: &Need) -> Result<Found, Failure> {
    let Need { quota, count } = need;
    let (limit, usage) = match quota_of(session, quota).await {
        Ok(found) => found,
        Err(failure) => return Ok(Found::unknown(&failure)),
    };
    let used = match used(session, quota, &usage).await {
        Ok(used) => used,
        // Even alone it may be too much.
        Err(failure) if *count <= limit => {
            let detail = format!("{}: {count} more of {limit}; what is in use {}", quota.name, unseen(&failure));
            return Ok(Found::Note(detail, failure.hint));
        }
        Err(_) => None,
    };
    Ok(judged(quota, *count, used, limit, &session.environment.region))
}

fn judged(quota: &Quota, count: f64, used: Option<f64>, limit: f64, region: &str) -> Found {
    let in_use = used.map_or_else(|| "unknown".to_owned(), |used| used.to_string());
    let wanted = used.unwrap_or_default() + count;
    let words = format!("{}: {count} more of {limit}, {in_use} in use", quota.name);
    if wanted <= limit {
        return Found::Fine(words);
    }
    if matches!(quota.used, Used::AtMost { .. }) {
        return Found::Note(format!("{words} in the whole region; the quota is of each zone"), None);
    }
    let (service, code) = (quota.service, quota.code);
    let hint = format!(
        "aws service-quotas request-service-quota-increase --region {region} --service-code {service} --quota-code \
         {code} --desired-value {wanted}"
    );
    Found::lacking(words, "the stack would need more than the account may have", hint)
}

/// The quota's value, and the metric by which AWS counts what is in use. What was never changed has the default.
async fn quota_of(session: &Session<'_>, quota: &Quota) -> Result<(f64, Value), Failure> {
    let resource = format!("{} ({} {})", quota.name, quota.service, quota.code);
    let input = json!({"ServiceCode": quota.service, "QuotaCode": quota.code});
    let call = |action| Call { service: &SERVICE_QUOTAS, action, resource: &resource };
    let answer = match session.clients.signed.json(call("servicequotas:GetServiceQuota"), &input).await {
        Err(failure) if aws::is_missing(&failure) => {
            session.clients.signed.json(call("servicequotas:GetAWSDefaultServiceQuota"), &input).await?
        }
        other => other?,
    };
    let quota = &answer["Quota"];
    let value = quota["Value"].as_f64().ok_or_else(|| {
        Failure::new(model::outcome::Exit::Failed, FailureKind::Aws, format!("{resource} has no value in the answer"))
    })?;
    Ok((value, quota["UsageMetric"].clone()))
}

/// How much of it is in use; `None` where nobody counts.
async fn used(session: &Session<'_>, quota: &Quota, usage: &Value) -> Result<Option<f64>, Failure> {
    let signed = &session.clients.signed;
    match quota.used {
        Used::Listed { action, item } | Used::AtMost { action, item } => {
            let call = Call { service: &EC2, action, resource: quota.name };
            let answer = signed.query(call, &[]).await?;
            Ok(Some(count(&answer, item)))
        }
        Used::LoadBalancers => {
            let action = "elasticloadbalancing:DescribeLoadBalancers";
            let call = Call { service: &ELASTIC_LOAD_BALANCING, action, resource: quota.name };
            let answer = signed.query(call, &[]).await?;
            Ok(Some(answer.matches("<Type>application</Type>").count() as f64))
        }
        Used::Metric => metric(session, quota, usage).await,
    }
}

/// Elements of this name.
fn count(answer: &str, item: &str) -> f64 {
    answer.matches(&format!("<{item}>")).count() as f64
}

/// The newest value of the metric that counts the quota's use.
async fn metric(session: &Session<'_>, quota: &Quota, usage: &Value) -> Result<Option<f64>, Failure> {
    let (Some(namespace), Some(name)) = (usage["MetricNamespace"].as_str(), usage["MetricName"].as_str()) else {
        return Ok(None);
    };
    let at = |ago: Duration| {
        let time = OffsetDateTime::from(SystemTime::now() - ago).replace_nanosecond(0).ok();
        time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
    };
    // A value every five minutes, that comes some minutes late.
    let (start, end) = (at(Duration::from_secs(1800)), at(Duration::ZERO));
    let mut fields = vec![
        ("Namespace".to_owned(), namespace),
        ("MetricName".to_owned(), name),
        ("StartTime".to_owned(), start.as_str()),
        ("EndTime".to_owned(), end.as_str()),
        ("Period".to_owned(), "300"),
        ("Statistics.member.1".to_owned(), "Maximum"),
    ];
    let dimensions = usage["MetricDimensions"].as_object().into_iter().flatten();
    for ((key, value), number) in dimensions.zip(1..) {
        fields.push((format!("Dimensions.member.{number}.Name"), key));
        fields.push((format!("Dimensions.member.{number}.Value"), value.as_str().unwrap_or_default()));
    }
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let call = Call { service: &CLOUDWATCH, action: "cloudwatch:GetMetricStatistics", resource: quota.name };
    let answer = session.clients.signed.query(call, &fields).await?;
    let points = answer
        .split("<member>")
        .skip(1)
        .filter_map(|point| Some((tag(point, "Timestamp")?, tag(point, "Maximum")?.parse::<f64>().ok()?)));
    // Nothing is told of what was never used.
    Ok(Some(points.max_by_key(|(time, _)| *time).map_or(0.0, |(_, value)| value)))
}

#[cfg(test)]
mod tests;
