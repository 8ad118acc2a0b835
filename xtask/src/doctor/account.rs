//! The account: the caller's credentials, the image repository, service-linked roles, and API Gateway's role for logs.

use serde_json::Value;

use super::template::PlannedResources;
use super::{CheckResult, NamedResult};
use crate::engine::observe::Observed;
use crate::session::Session;
use crate::{bootstrap, preflight};
use aws::ecr;
use aws::signed::{Call, IAM};
use model::outcome::Failure;

/// Checks the kind and lifetime of the credentials, and whether deploy.toml names the account.
pub(super) fn caller(session: &Session<'_>, seen: Option<&Observed>) -> Vec<NamedResult> {
    let mut findings = vec![("credentials", credentials_check(session, seen))];
    if session.environment.account.is_none() && !session.is_emulator() {
        let (name, account) = (&session.environment.name, &session.identity.account);
        let advice = format!("account = \"{account}\" in [environments.{name}] of deploy.toml");
        findings.push((
            "guard",
            CheckResult::Note(
                "a release would go to any account that the credentials belong to".to_owned(),
                Some(advice),
            ),
        ));
    }
    findings
}

fn credentials_check(session: &Session<'_>, seen: Option<&Observed>) -> CheckResult {
    let identity = &session.identity;
    if let Some(failure) = seen.and_then(|seen| preflight::short_lived(session, seen)) {
        return CheckResult::Problem(failure);
    }
    let (kind, whole) = (credentials_kind(&identity.arn), identity.arn.ends_with(":root"));
    if whole && !session.is_emulator() {
        let hint = "use a role instead of the root user: https://docs.aws.amazon.com/singlesignon/";
        return CheckResult::Note(
            "the account's root user, whose permissions cannot be limited".to_owned(),
            Some(hint.to_owned()),
        );
    }
    match session.time_left().filter(|left| *left < preflight::SHORT_CREDENTIALS) {
        Some(left) => {
            let hint = "get new ones, for example: aws sso login".to_owned();
            CheckResult::Note(
                format!("{kind}; they expire in {} s unless they are renewed", left.as_secs()),
                Some(hint),
            )
        }
        None if identity.fixed => CheckResult::Passed(format!("{kind}, from the environment")),
        None => CheckResult::Passed(kind.to_owned()),
    }
}

/// The kind of credentials, from the caller's ARN.
fn credentials_kind(arn: &str) -> &'static str {
    if arn.contains(":assumed-role/AWSReservedSSO_") {
        "an IAM Identity Center session"
    } else if arn.contains(":assumed-role/") {
        "a role session"
    } else if arn.contains(":federated-user/") {
        "a federated user session"
    } else if arn.ends_with(":root") {
        "the root user's access keys"
    } else {
        "an IAM user's access keys"
    }
}

/// Warns of a repository with mutable tags. A missing one is no problem: a release creates it with immutable tags.
///
/// # Errors
/// A call to ECR fails.
pub(super) async fn repository(session: &Session<'_>) -> Result<Option<CheckResult>, Failure> {
    let name = &session.context.deployment.service.name;
    let found = ecr::find_repository(&session.clients.ecr, name).await.map_err(|error| Failure::of(&error))?;
    Ok(found.filter(|repository| !repository.immutable).map(|_| {
        CheckResult::Note(
            format!("tags of {name} are mutable: a tag may come to name another image"),
            Some(format!(
                "aws ecr put-image-tag-mutability --region {} --repository-name {name} --image-tag-mutability IMMUTABLE",
                session.environment.region
            )),
        )
    }))
}

/// Checks the role with which API Gateway writes logs, if the template has a stage that does. It is set once for an account
/// and region, and without it no such stage can be created.
///
/// # Errors
/// The call to API Gateway fails.
pub(super) async fn gateway_logs(
    session: &Session<'_>,
    planned: &PlannedResources,
) -> Result<Option<CheckResult>, Failure> {
    if session.is_emulator() || !planned.all("AWS::ApiGateway::Stage").any(writes_logs) {
        return Ok(None);
    }
    let role = bootstrap::logging_role(&session.clients).await.map_err(|error| Failure::of(&error))?;
    Ok(Some(match role {
        Some(role) => CheckResult::Passed(format!("API Gateway writes logs with {role}")),
        None => CheckResult::problem(
            "API Gateway has no role for writing logs",
            format!(
                "the template's stage writes logs, and the account has no such role in {}",
                session.environment.region
            ),
            format!("cargo xtask bootstrap {} --api-gateway-logs", session.environment.name),
        ),
    }))
}

fn writes_logs(stage: &Value) -> bool {
    let levels = stage["MethodSettings"].as_array().into_iter().flatten();
    let mut levels = levels.filter_map(|setting| setting["LoggingLevel"].as_str());
    stage.get("AccessLogSetting").is_some_and(Value::is_object) || levels.any(|level| level != "OFF")
}

/// A service-linked role, and the resource types that need it.
struct ServiceRole {
    types: &'static [&'static str],
    service: &'static str,
    role: &'static str,
    /// Whether the first use fails if the role does not exist yet. ECS creates it with the first cluster and cannot assume
    /// it at once; with the others CloudFormation waits.
    must_exist: bool,
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html>
const SERVICE_ROLES: [ServiceRole; 6] = [
    ServiceRole {
        types: &["AWS::ECS::Cluster", "AWS::ECS::Service"],
        service: "ecs.amazonaws.com",
        role: "AWSServiceRoleForECS",
        must_exist: true,
    },
    ServiceRole {
        types: &["AWS::ElasticLoadBalancingV2::LoadBalancer"],
        service: "elasticloadbalancing.amazonaws.com",
        role: "AWSServiceRoleForElasticLoadBalancing",
        must_exist: false,
    },
    ServiceRole {
        types: &["AWS::ApplicationAutoScaling::ScalableTarget"],
        service: "ecs.application-autoscaling.amazonaws.com",
        role: "AWSServiceRoleForApplicationAutoScaling_ECSService",
        must_exist: false,
    },
    ServiceRole {
        types: &["AWS::ApiGatewayV2::VpcLink"],
        service: "ops.apigateway.amazonaws.com",
        role: "AWSServiceRoleForAPIGateway",
        must_exist: false,
    },
    ServiceRole {
        types: &["AWS::RDS::DBCluster", "AWS::RDS::DBInstance"],
        service: "rds.amazonaws.com",
        role: "AWSServiceRoleForRDS",
        must_exist: false,
    },
    ServiceRole {
        types: &["AWS::WAFv2::LoggingConfiguration"],
        service: "wafv2.amazonaws.com",
        role: "AWSServiceRoleForWAFV2Logging",
        must_exist: false,
    },
];

/// Checks the service-linked roles that the template's new resources need.
///
/// # Errors
/// A call to IAM fails for another reason than a missing role.
pub(super) async fn service_roles(
    session: &Session<'_>,
    planned: &PlannedResources,
) -> Result<Vec<CheckResult>, Failure> {
    if session.is_emulator() {
        return Ok(Vec::new());
    }
    let is_needed = |linked: &&ServiceRole| linked.types.iter().any(|kind| planned.new_ones(kind).next().is_some());
    let needed: Vec<&ServiceRole> = SERVICE_ROLES.iter().filter(is_needed).collect();
    let checks = needed.iter().map(|linked| role_exists(session, linked.role));
    let exist = futures_util::future::try_join_all(checks).await?;
    let missing: Vec<CheckResult> =
        needed.iter().zip(&exist).filter(|(_, exists)| !**exists).map(|(l, _)| l.missing()).collect();
    if !missing.is_empty() || needed.is_empty() {
        return Ok(missing);
    }
    Ok(vec![CheckResult::Passed(format!("all {} that the template needs exist", exist.len()))])
}

impl ServiceRole {
    fn missing(&self) -> CheckResult {
        let Self { role, service, must_exist, .. } = self;
        let command = format!("aws iam create-service-linked-role --aws-service-name {service}");
        if *must_exist {
            let reason = "the service creates it on first use, and that first use may fail";
            return CheckResult::problem(format!("the role {role} does not exist"), reason, command);
        }
        let detail =
            format!("{role} does not exist; CloudFormation creates it if permitted (iam:CreateServiceLinkedRole)");
        CheckResult::Note(detail, Some(command))
    }
}

async fn role_exists(session: &Session<'_>, role: &str) -> Result<bool, Failure> {
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
    fn the_arn_shows_the_kind_of_credentials() {
        for (arn, expected) in [
            ("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a/ann", "an IAM Identity Center session"),
            ("arn:aws:sts::111122223333:assumed-role/deploy/GitHubActions", "a role session"),
            ("arn:aws:sts::111122223333:federated-user/ann", "a federated user session"),
            ("arn:aws:iam::111122223333:user/ann", "an IAM user's access keys"),
            ("arn:aws:iam::111122223333:root", "the root user's access keys"),
        ] {
            assert_eq!(credentials_kind(arn), expected, "{arn}");
        }
    }

    #[test]
    fn a_stage_may_log_requests_or_executions() {
        assert!(!writes_logs(&json!({"StageName": "production"})));
        assert!(!writes_logs(&json!({"MethodSettings": [{"LoggingLevel": "OFF"}, {"MetricsEnabled": true}]})));
        assert!(writes_logs(&json!({"MethodSettings": [{"LoggingLevel": "ERROR"}]})));
        assert!(writes_logs(&json!({"AccessLogSetting": {"DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]}}})));
    }
}
