//! Services whose deployments shift traffic in stages, and what does not go together with that.

use std::collections::BTreeMap;

use config::deployment::Environment;

use super::Template;
use super::evaluate::evaluate;
use crate::outcome::{Exit, Failure, FailureKind};

/// A service, and the strategy by which its deployments shift traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shifting {
    /// Its logical id.
    pub service: String,
    /// As ECS calls it: `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: String,
}

/// The service that shifts traffic with these parameters, if there is one; what is not given has its default.
pub fn shifting(template: &Template, parameters: &BTreeMap<String, String>, region: &str) -> Option<Shifting> {
    let evaluated = evaluate(&template.body, parameters, region).ok()?;
    let mut services = evaluated.resources.iter().filter(|(_, resource)| resource.kind == "AWS::ECS::Service");
    services.find_map(|(id, resource)| {
        let strategy = resource.properties["DeploymentConfiguration"]["Strategy"].as_str()?;
        let shifts = ["BLUE_GREEN", "LINEAR", "CANARY"].contains(&strategy);
        shifts.then(|| Shifting { service: id.clone(), strategy: strategy.to_owned() })
    })
}

/// Why the alarms cannot be watched for as long as the environment says: CloudFormation rolls back by one more deployment,
/// which shifts traffic as well.
pub fn unwatchable(
    template: &Template,
    environment: &Environment,
    parameters: &BTreeMap<String, String>,
) -> Option<Failure> {
    if environment.watch_minutes == 0 {
        return None;
    }
    let Shifting { service, strategy } = shifting(template, parameters, &environment.region)?;
    Some(
        Failure::new(
            Exit::Preflight,
            FailureKind::RollbackAlarms,
            format!("watch_minutes cannot be used while {service} is deployed by {strategy}"),
        )
        .resource(format!("environments.{}.watch_minutes", environment.section()))
        .reason(
            "at an alarm CloudFormation would roll back by another deployment of the same kind; that one waits for \
             verification, too, and where this tool does not run any more it times out and leaves the bad version",
        )
        .hint(
            "remove watch_minutes: ECS itself watches the alarms of DeploymentConfiguration while it shifts traffic and \
             during the bake time; or use the strategy ROLLING",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Parameters:
  ContainerURI: {Type: String}
  Strategy: {Type: String, Default: ROLLING}
Conditions: {Shifts: !Not [!Equals [!Ref Strategy, ROLLING]]}
Resources:
  Other: {Type: AWS::ECS::Service}
  Service:
    Type: AWS::ECS::Service
    Properties: {DeploymentConfiguration: {Strategy: !Ref Strategy, BakeTimeInMinutes: !If [Shifts, 5, !Ref AWS::NoValue]}}
Outputs: {ApiGatewayURL: {Value: x}}
";

    fn problem(minutes: u16, strategy: Option<&str>) -> Option<Failure> {
        let settings = format!(
            "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
             \"t\"\nwatch_minutes = {minutes}\n"
        );
        let deployment = config::deployment::Deployment::parse("deploy.toml", &settings).unwrap();
        let template = Template::read("infra/t.yaml", TEMPLATE.to_owned()).unwrap();
        let given = strategy.map(|strategy| ("Strategy".to_owned(), strategy.to_owned())).into_iter().collect();
        unwatchable(&template, &deployment.environments["dev"], &given)
    }

    #[test]
    fn alarms_are_not_watched_while_traffic_shifts() {
        for strategy in ["BLUE_GREEN", "LINEAR", "CANARY"] {
            let failure = problem(15, Some(strategy)).unwrap();
            assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::RollbackAlarms));
            let message = format!("watch_minutes cannot be used while Service is deployed by {strategy}");
            assert_eq!(failure.message, message);
            assert_eq!(failure.resource.as_deref(), Some("environments.dev.watch_minutes"));
            assert!(problem(0, Some(strategy)).is_none());
        }
        assert!(problem(15, Some("ROLLING")).is_none() && problem(15, None).is_none());
    }
}
