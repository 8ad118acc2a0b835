//! AWS's own roles, which a service's first use in an account makes. (They are called service-linked.)

use super::Found;
use super::wanted::Wanted;
use crate::session::Session;
use aws::signed::{Call, IAM};
use model::outcome::Failure;

/// A role, and the types that make their service take it.
struct Linked {
    types: &'static [&'static str],
    service: &'static str,
    role: &'static str,
    /// Whether the first use fails where the role is made only then. ECS makes it with the first cluster, and cannot take
    /// it in the same moment; with the others CloudFormation waits.
    at_once: bool,
}

/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_aws-services-that-work-with-iam.html>
const LINKED: [Linked; 5] = [
    Linked {
        types: &["AWS::ECS::Cluster", "AWS::ECS::Service"],
        service: "ecs.amazonaws.com",
        role: "AWSServiceRoleForECS",
        at_once: true,
    },
    Linked {
        types: &["AWS::ElasticLoadBalancingV2::LoadBalancer"],
        service: "elasticloadbalancing.amazonaws.com",
        role: "AWSServiceRoleForElasticLoadBalancing",
        at_once: false,
    },
    Linked {
        types: &["AWS::ApplicationAutoScaling::ScalableTarget"],
        service: "ecs.application-autoscaling.amazonaws.com",
        role: "AWSServiceRoleForApplicationAutoScaling_ECSService",
        at_once: false,
    },
    Linked {
        types: &["AWS::ApiGatewayV2::VpcLink"],
        service: "ops.apigateway.amazonaws.com",
        role: "AWSServiceRoleForAPIGateway",
        at_once: false,
    },
    Linked {
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
pub(super) async fn look(session: &Session<'_>, wanted: &Wanted) -> Result<Vec<Found>, Failure> {
    if session.is_emulator() {
        return Ok(Vec::new());
    }
    let is_wanted = |linked: &&Linked| linked.types.iter().any(|kind| wanted.new_ones(kind).next().is_some());
    let needed: Vec<&Linked> = LINKED.iter().filter(is_wanted).collect();
    let looks = needed.iter().map(|linked| is_there(session, linked.role));
    let there = futures_util::future::try_join_all(looks).await?;
    let missing: Vec<Found> =
        needed.iter().zip(&there).filter(|(_, there)| !**there).map(|(l, _)| l.missing()).collect();
    if !missing.is_empty() || needed.is_empty() {
        return Ok(missing);
    }
    Ok(vec![Found::Fine(format!("the {} that the template needs are there", there.len()))])
}

impl Linked {
    fn missing(&self) -> Found {
        let Self { role, service, at_once, .. } = self;
        let command = format!("aws iam create-service-linked-role --aws-service-name {service}");
        if *at_once {
            let reason = "the service makes it at its first use, which may fail for that";
            return Found::lacking(format!("there is no role {role}"), reason, command);
        }
        let detail = format!("{role} is not there; CloudFormation makes it where it may (iam:CreateServiceLinkedRole)");
        Found::Note(detail, Some(command))
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
