//! The account's quotas for the template's new resources.

use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::template::PlannedResources;
use super::{CheckResult, not_checked};
use crate::session::Session;
use aws::signed::{CLOUDWATCH, Call, EC2, ELASTIC_LOAD_BALANCING, SERVICE_QUOTAS, tag};
use model::outcome::{Failure, FailureKind};
use model::template::value::text;

/// A quota of AWS.
#[derive(Debug)]
struct Quota {
    /// Its name in Service Quotas.
    name: &'static str,
    service: &'static str,
    code: &'static str,
    used: Used,
    /// How much of it the template's new resources need.
    needed: fn(&PlannedResources) -> f64,
}

/// How the usage is determined.
#[derive(Debug)]
enum Used {
    /// By counting this element in EC2's list.
    ListedImage {
        action: &'static str,
        item: &'static str,
    },
    /// As `ListedImage`, but for the whole region, while the quota applies to each zone.
    AtMost {
        action: &'static str,
        item: &'static str,
    },
    LoadBalancers,
    /// By the CloudWatch metric that Service Quotas names.
    Metric,
}

/// How much of a quota the new resources need.
#[derive(Debug)]
struct Need {
    quota: &'static Quota,
    count: f64,
}

/// <https://docs.aws.amazon.com/general/latest/gr/aws-service-information.html>, a page for each service. Only quotas
/// that are low by default; others allow hundreds.
const QUOTAS: [Quota; 8] = [
    Quota {
        name: "VPCs per Region",
        service: "vpc",
        code: "L-F678F1CE",
        used: Used::ListedImage { action: "ec2:DescribeVpcs", item: "vpcId" },
        needed: |planned| number_of(planned, "AWS::EC2::VPC"),
    },
    Quota {
        name: "Internet gateways per Region",
        service: "vpc",
        code: "L-A4707A72",
        used: Used::ListedImage { action: "ec2:DescribeInternetGateways", item: "internetGatewayId" },
        needed: |planned| number_of(planned, "AWS::EC2::InternetGateway"),
    },
    Quota {
        name: "NAT gateways per Availability Zone",
        service: "vpc",
        code: "L-FE5A380F",
        used: Used::AtMost { action: "ec2:DescribeNatGateways", item: "natGatewayId" },
        // Each in a zone of its own, in any template that makes sense.
        needed: |planned| number_of(planned, "AWS::EC2::NatGateway").min(1.0),
    },
    Quota {
        name: "VPC security groups per Region",
        service: "vpc",
        code: "L-E79EC296",
        used: Used::ListedImage { action: "ec2:DescribeSecurityGroups", item: "groupDescription" },
        needed: |planned| number_of(planned, "AWS::EC2::SecurityGroup"),
    },
    Quota {
        name: "EC2-VPC Elastic IPs",
        service: "ec2",
        code: "L-0263D0A3",
        used: Used::ListedImage { action: "ec2:DescribeAddresses", item: "publicIp" },
        needed: |planned| number_of(planned, "AWS::EC2::EIP"),
    },
    Quota {
        name: "Running On-Demand Standard instances (vCPU)",
        service: "ec2",
        code: "L-1216C47A",
        used: Used::Metric,
        needed: instances,
    },
    Quota {
        name: "Fargate On-Demand vCPU resource count",
        service: "fargate",
        code: "L-3032A538",
        used: Used::Metric,
        needed: tasks,
    },
    Quota {
        name: "Application Load Balancers per Region",
        service: "elasticloadbalancing",
        code: "L-53DA6B97",
        used: Used::LoadBalancers,
        needed: |planned| {
            let all = planned.new_ones("AWS::ElasticLoadBalancingV2::LoadBalancer");
            all.filter(|one| one["Type"].as_str().is_none_or(|kind| kind == "application")).count() as f64
        },
    },
];

/// Compares need, usage and limit of each quota.
///
/// # Errors
/// None: a quota that cannot be read is reported as such.
pub(super) async fn quotas(session: &Session<'_>, planned: &PlannedResources) -> Result<Vec<CheckResult>, Failure> {
    if session.is_emulator() {
        return Ok(Vec::new());
    }
    let needs = needs(planned);
    let looked = try_join_all(needs.iter().map(|need| compare(session, need))).await?;
    let (fine, mut rest): (Vec<CheckResult>, Vec<CheckResult>) =
        looked.into_iter().partition(|found| matches!(found, CheckResult::Passed(_)));
    // A missing permission mostly affects all quotas: it is reported once.
    rest.dedup_by_key(|found| found.to_check("quotas").detail);
    // One line for all that are sufficient.
    let fine: Vec<String> = fine.iter().map(|found| found.to_check("quotas").detail).collect();
    let fine = (!fine.is_empty()).then(|| CheckResult::Passed(fine.join("; ")));
    Ok(fine.into_iter().chain(rest).collect())
}

async fn compare(session: &Session<'_>, need: &Need) -> Result<CheckResult, Failure> {
    let Need { quota, count } = need;
    let (limit, usage) = match quota_of(session, quota).await {
        Ok(found) => found,
        Err(failure) => return Ok(CheckResult::unknown(&failure)),
    };
    let used = match used(session, quota, &usage).await {
        Ok(used) => used,
        // Without the usage, the need alone is compared with the limit.
        Err(failure) if *count <= limit => {
            let detail = format!("{}: {count} more needed of {limit}; the usage {}", quota.name, not_checked(&failure));
            return Ok(CheckResult::Note(detail, failure.hint));
        }
        Err(_) => None,
    };
    Ok(compare_usage(quota, *count, used, limit, &session.environment.region))
}

fn compare_usage(quota: &Quota, count: f64, used: Option<f64>, limit: f64, region: &str) -> CheckResult {
    let in_use = used.map_or_else(|| "unknown".to_owned(), |used| used.to_string());
    let wanted = used.unwrap_or_default() + count;
    let words = format!("{}: {count} more needed, {in_use} of {limit} in use", quota.name);
    if wanted <= limit {
        return CheckResult::Passed(words);
    }
    if matches!(quota.used, Used::AtMost { .. }) {
        return CheckResult::Note(format!("{words} in the whole region; the quota applies to each zone"), None);
    }
    let (service, code) = (quota.service, quota.code);
    let hint = format!(
        "aws service-quotas request-service-quota-increase --region {region} --service-code {service} --quota-code \
         {code} --desired-value {wanted}"
    );
    CheckResult::problem(words, "the stack would exceed the quota", hint)
}

/// The quota's value and its usage metric. A quota that was never changed has the default value.
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
        Failure::new(model::outcome::Exit::Failed, FailureKind::Aws, format!("{resource} has no value in the response"))
    })?;
    Ok((value, quota["UsageMetric"].clone()))
}

/// How much of it is in use; `None` if AWS does not count it.
async fn used(session: &Session<'_>, quota: &Quota, usage: &Value) -> Result<Option<f64>, Failure> {
    let signed = &session.clients.signed;
    match quota.used {
        Used::ListedImage { action, item } | Used::AtMost { action, item } => {
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

/// The number of elements of this name.
fn count(answer: &str, item: &str) -> f64 {
    answer.matches(&format!("<{item}>")).count() as f64
}

/// The newest value of the quota's usage metric.
async fn metric(session: &Session<'_>, quota: &Quota, usage: &Value) -> Result<Option<f64>, Failure> {
    let (Some(namespace), Some(name)) = (usage["MetricNamespace"].as_str(), usage["MetricName"].as_str()) else {
        return Ok(None);
    };
    let at = |ago: Duration| {
        let time = OffsetDateTime::from(SystemTime::now() - ago).replace_nanosecond(0).ok();
        time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
    };
    // There is a value every five minutes, some minutes late.
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
    // There are no values for what was never used.
    Ok(Some(points.max_by_key(|(time, _)| *time).map_or(0.0, |(_, value)| value)))
}

/// The quotas that new resources count against.
fn needs(planned: &PlannedResources) -> Vec<Need> {
    let all = QUOTAS.iter().map(|quota| Need { quota, count: (quota.needed)(planned) });
    all.filter(|need| need.count > 0.0).collect()
}

fn number_of(planned: &PlannedResources, kind: &str) -> f64 {
    planned.new_ones(kind).count() as f64
}

fn number(value: &Value) -> Option<f64> {
    text(value)?.parse().ok()
}

/// Processors of the new instances, including those that a launch template describes.
fn instances(planned: &PlannedResources) -> f64 {
    let of = |instance: &Value| {
        let template = planned.referred(&instance["LaunchTemplate"]["LaunchTemplateId"]);
        let own = instance["InstanceType"].as_str();
        let kind = own.or_else(|| template?["LaunchTemplateData"]["InstanceType"].as_str());
        kind.map_or(0.0, processors)
    };
    planned.new_ones("AWS::EC2::Instance").map(of).sum()
}

/// Processors of an instance type of the standard families: two up to `large`, four times the number before `xlarge`; a few
/// small types have only one.
fn processors(kind: &str) -> f64 {
    let Some((family, size)) = kind.split_once('.') else { return 0.0 };
    // Families with these letters followed by a number; `inf`, `trn` and `mac` have quotas of their own.
    let mut letters = family.chars();
    let standard = letters.next().is_some_and(|letter| "acdhimrtz".contains(letter));
    if !standard || !letters.next().is_some_and(|letter| letter.is_ascii_digit() || letter == 'm') {
        return 0.0;
    }
    match size.strip_suffix("xlarge") {
        Some("") => 4.0,
        Some(times) => times.parse::<f64>().map_or(0.0, |times| times * 4.0),
        None => 2.0,
    }
}

/// Processors of the tasks that are not on Fargate Spot: the desired count, else auto scaling's minimum.
fn tasks(planned: &PlannedResources) -> f64 {
    let scaled = || planned.all("AWS::ApplicationAutoScaling::ScalableTarget").find_map(|t| number(&t["MinCapacity"]));
    let of = |service: &Value| {
        if !on_fargate(service) {
            return 0.0;
        }
        let definition = planned.referred(&service["TaskDefinition"]);
        let units = definition.and_then(|definition| number(&definition["Cpu"])).unwrap_or_default();
        let tasks = number(&service["DesiredCount"]).or_else(scaled).unwrap_or(1.0);
        tasks * units / 1024.0
    };
    planned.new_ones("AWS::ECS::Service").map(of).sum()
}

fn on_fargate(service: &Value) -> bool {
    let mut strategy = service["CapacityProviderStrategy"].as_array().into_iter().flatten();
    let on_demand = |item: &Value| {
        item["CapacityProvider"] == "FARGATE"
            && (number(&item["Weight"]).is_none_or(|weight| weight > 0.0)
                || number(&item["Base"]).is_some_and(|base| base > 0.0))
    };
    service["LaunchType"] == "FARGATE" || strategy.any(on_demand)
}

#[cfg(test)]
mod tests;
