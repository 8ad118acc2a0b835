//! The account: the caller's credentials, the image repository, service-linked roles, and API Gateway's role for logs.

use serde_json::Value;

use super::template::PlannedResources;
use super::{CheckResult, NamedResult};
use crate::rollout::Seen;
use crate::session::Session;
use crate::{bootstrap, preflight};
use aws::ecr;
use aws::signed::{Call, IAM};
use model::outcome::Failure;

/// Checks the kind and lifetime of the credentials, and whether deploy.toml names the account.
pub(super) fn caller(session: &Session<'_>, seen: Option<&Seen>) -> Vec<NamedResult> {
    let mut findings = vec![("credentials", credentials_check(session, seen))];
    if session.environment.account.is_none() && !session.is_emulator() {
        let (name, account) = (&session.environment.name, &session.identity.account);
        let advice = format!("account = \"{account}\" in [environments.{name}] of deploy.toml");
        findings.push(("guard", CheckResult::Note("a release would go to any account".to_owned(), Some(advice))));
    }
    findings
}

fn credentials_check(session: &Session<'_>, seen: Option<&Seen>) -> CheckResult {
    let identity = &session.identity;
    if let Some(failure) = seen.and_then(|seen| preflight::short_lived(session, seen)) {
        return CheckResult::Problem(failure);
    }
    let (kind, whole) = (credentials_kind(&identity.arn), identity.arn.ends_with(":root"));
    if whole && !session.is_emulator() {
        let hint = "sign in as somebody with a role of their own: https://docs.aws.amazon.com/singlesignon/";
        return CheckResult::Note("of the account's root user, whom nothing limits".to_owned(), Some(hint.to_owned()));
    }
    match session.time_left().filter(|left| *left < preflight::SHORT_CREDENTIALS) {
        Some(left) => {
            let hint = "get new ones, for example: aws sso login".to_owned();
            CheckResult::Note(format!("{kind}; they end in {} s, unless they are renewed", left.as_secs()), Some(hint))
        }
        None if identity.fixed => CheckResult::Passed(format!("{kind}, from the environment")),
        None => CheckResult::Passed(kind.to_owned()),
    }
}

/// What an ARN of STS tells of the credentials.
fn credentials_kind(arn: &str) -> &'static str {
    if arn.contains(":assumed-role/AWSReservedSSO_") {
        "a session of IAM Identity Center"
    } else if arn.contains(":assumed-role/") {
        "a role's session"
    } else if arn.contains(":federated-user/") {
        "a federated user's session"
    } else if arn.ends_with(":root") {
        "the root user's"
    } else {
        "a user's keys"
    }
}

/// Warns of a repository whose tags can be moved; one that is missing is made, with tags that cannot.
///
/// # Errors
/// What AWS says.
pub(super) async fn repository(session: &Session<'_>) -> Result<Option<CheckResult>, Failure> {
    let name = &session.context.deployment.service.name;
    let found = ecr::find(&session.clients.ecr, name).await.map_err(|error| Failure::of(&error))?;
    Ok(found.filter(|repository| !repository.immutable).map(|_| {
        CheckResult::Note(
            format!("tags of {name} can be moved: a tag that names sources or an image may come to mean another one"),
            Some(format!(
                "aws ecr put-image-tag-mutability --region {} --repository-name {name} --image-tag-mutability IMMUTABLE",
                session.environment.region
            )),
        )
    }))
}

/// Looks for it where the template has a stage that logs.
///
/// # Errors
/// What AWS says.
pub(super) async fn gateway_logs(
    session: &Session<'_>,
    planned: &PlannedResources,
) -> Result<Option<CheckResult>, Failure> {
    if session.is_emulator() || !planned.all("AWS::ApiGateway::Stage").any(writes_logs) {
        return Ok(None);
    }
    let role = bootstrap::logging_role(&session.clients).await.map_err(|error| Failure::of(&error))?;
    Ok(Some(match role {
        Some(role) => CheckResult::Passed(format!("API Gateway logs with {role}")),
        None => CheckResult::problem(
            "API Gateway has no role to log with",
            format!("the template's stage logs, and {} has none set for the account", session.environment.region),
            format!("cargo xtask bootstrap {} --api-gateway-logs", session.environment.name),
        ),
    }))
}

fn writes_logs(stage: &Value) -> bool {
    let levels = stage["MethodSettings"].as_array().into_iter().flatten();
    let mut levels = levels.filter_map(|setting| setting["LoggingLevel"].as_str());
    stage.get("AccessLogSetting").is_some_and(Value::is_object) || levels.any(|level| level != "OFF")
}

/// A role, and the types that make their service take it.
struct ServiceRole {
    types: &'static [&'static str],
    service: &'static str,
    role: &'static str,
    /// Whether the first use fails where the role is made only then. ECS makes it with the first cluster, and cannot take
    /// it in the same moment; with the others CloudFormation waits.
    at_once: bool,
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html>
const SERVICE_ROLES: [ServiceRole; 5] = [
    ServiceRole {
        types: &["AWS::ECS::Cluster", "AWS::ECS::Service"],
        service: "ecs.amazonaws.com",
        role: "AWSServiceRoleForECS",
        at_once: true,
    },
    ServiceRole {
        types: &["AWS::ElasticLoadBalancingV2::LoadBalancer"],
        service: "elasticloadbalancing.amazonaws.com",
        role: "AWSServiceRoleForElasticLoadBalancing",
        at_once: false,
    },
    ServiceRole {
        types: &["AWS::ApplicationAutoScaling::ScalableTarget"],
        service: "ecs.application-autoscaling.amazonaws.com",
        role: "AWSServiceRoleForApplicationAutoScaling_ECSService",
        at_once: false,
    },
    ServiceRole {
        types: &["AWS::ApiGatewayV2::VpcLink"],
        service: "ops.apigateway.amazonaws.com",
        role: "AWSServiceRoleForAPIGateway",
        at_once: false,
    },
    ServiceRole {
        types: &["AWS::WAFv2::LoggingConfiguration"],
        service: "wafv2.amazonaws.com",
        role: "AWSServiceRoleForWAFV2Logging",
        at_once: false,
    },
];

/// Looks for those that the template's types need.
///
/// # Errors
/// What AWS says, other than that there is no such role.
pub(super) async fn service_roles(
    session: &Session<'_>,
    planned: &PlannedResources,
) -> Result<Vec<CheckResult>, Failure> {
    if session.is_emulator() {
        return Ok(Vec::new());
    }
    let is_wanted = |linked: &&ServiceRole| linked.types.iter().any(|kind| planned.new_ones(kind).next().is_some());
    let needed: Vec<&ServiceRole> = SERVICE_ROLES.iter().filter(is_wanted).collect();
    let looks = needed.iter().map(|linked| is_there(session, linked.role));
    let there = futures_util::future::try_join_all(looks).await?;
    let missing: Vec<CheckResult> =
        needed.iter().zip(&there).filter(|(_, there)| !**there).map(|(l, _)| l.missing()).collect();
    if !missing.is_empty() || needed.is_empty() {
        return Ok(missing);
    }
    Ok(vec![CheckResult::Passed(format!("the {} that the template needs are there", there.len()))])
}

impl ServiceRole {
    fn missing(&self) -> CheckResult {
        let Self { role, service, at_once, .. } = self;
        let command = format!("aws iam create-service-linked-role --aws-service-name {service}");
        if *at_once {
            let reason = "the service makes it at its first use, which may fail for that";
            return CheckResult::problem(format!("there is no role {role}"), reason, command);
        }
        let detail = format!("{role} is not there; CloudFormation makes it where it may (iam:CreateServiceLinkedRole)");
        CheckResult::Note(detail, Some(command))
    }
}

async fn is_there(session: &Session<'_>, role: &str) -> Result<bool, Failure> {
    let call = Call { service: &IAM, action: "iam:GetRole", resource: role };
    match session.clients.signed.query(call, &[("RoleName", role)]).await {
        Ok(_) => Ok(true),
        Err(failure) if aws::is_missing(&failure) => Ok(false),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_kind_of_credentials_is_read_from_the_arn() {
        for (arn, expected) in [
            ("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a/ann", "a session of IAM Identity Center"),
            ("arn:aws:sts::111122223333:assumed-role/deploy/GitHubActions", "a role's session"),
            ("arn:aws:sts::111122223333:federated-user/ann", "a federated user's session"),
            ("arn:aws:iam::111122223333:user/ann", "a user's keys"),
            ("arn:aws:iam::111122223333:root", "the root user's"),
        ] {
            assert_eq!(credentials_kind(arn), expected, "{arn}");
        }
    }

    #[test]
    fn a_stage_logs_requests_or_executions() {
        assert!(!writes_logs(&json!({"StageName": "production"})));
        assert!(!writes_logs(&json!({"MethodSettings": [{"LoggingLevel": "OFF"}, {"MetricsEnabled": true}]})));
        assert!(writes_logs(&json!({"MethodSettings": [{"LoggingLevel": "ERROR"}]})));
        assert!(writes_logs(&json!({"AccessLogSetting": {"DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]}}})));
    }
}
