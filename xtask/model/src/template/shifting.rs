//! Services whose deployments shift traffic in stages, and what does not go together with that.

use std::collections::BTreeMap;

use config::deployment::Environment;
use serde_json::Value;

use super::Template;
use super::evaluate::resources;
use super::value::function;
use crate::outcome::{Exit, Failure, FailureKind};

/// A service, and the strategy by which its deployments shift traffic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shifting {
    /// Its logical id.
    pub service: String,
    /// As ECS calls it: `BLUE_GREEN`, `LINEAR` or `CANARY`.
    pub strategy: String,
    /// Whether a hook makes its deployments wait until this tool, or somebody, continues them.
    pub pauses: bool,
}

/// The service that shifts traffic with these parameters, if there is one; what is not given has its default.
pub fn shifting(template: &Template, parameters: &BTreeMap<String, String>, region: &str) -> Option<Shifting> {
    let resources = resources(&template.document.root, parameters, region);
    let mut services = resources.iter().filter(|(_, resource)| resource.kind == "AWS::ECS::Service");
    services.find_map(|(id, resource)| {
        let deployment = &resource.properties["DeploymentConfiguration"];
        let strategy = deployment["Strategy"].as_str()?;
        let shifts = ["BLUE_GREEN", "LINEAR", "CANARY"].contains(&strategy);
        let pauses = pauses(&deployment["LifecycleHooks"]);
        shifts.then(|| Shifting { service: id.clone(), strategy: strategy.to_owned(), pauses })
    })
}

/// Whether one of these hooks may pause; those that only AWS knows may. Lambda functions, the default, end by themselves.
fn pauses(hooks: &Value) -> bool {
    let is_lambda = |kind: &Value| kind.is_null() || kind == "AWS_LAMBDA";
    let ends = |hook: &Value| function(hook).is_none() && is_lambda(&hook["TargetType"]);
    !hooks.is_null() && !hooks.as_array().is_some_and(|hooks| hooks.iter().all(ends))
}

/// Why the alarms cannot be watched for as long as the environment says: CloudFormation rolls back by one more deployment,
/// which pauses as well.
pub fn unwatchable(
    template: &Template,
    environment: &Environment,
    parameters: &BTreeMap<String, String>,
) -> Option<Failure> {
    if environment.watch_minutes == 0 {
        return None;
    }
    let shifting = shifting(template, parameters, &environment.region)?;
    let Shifting { service, strategy, .. } = Some(shifting).filter(|shifting| shifting.pauses)?;
    Some(
        Failure::new(
            Exit::Preflight,
            FailureKind::RollbackAlarms,
            format!("watch_minutes cannot be used while deployments of {service} by {strategy} pause"),
        )
        .resource(format!("environments.{}.watch_minutes", environment.section()))
        .reason(
            "at an alarm CloudFormation would roll back by another deployment of the same kind; that one pauses for \
             verification, too, and where this tool does not run any more it times out and leaves the bad version",
        )
        .hint(
            "remove watch_minutes: ECS itself watches the alarms of DeploymentConfiguration while it shifts traffic and \
             during the bake time; or remove the hook of type PAUSE; or use the strategy ROLLING",
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
    Properties: {DeploymentConfiguration: {Strategy: !Ref Strategy, LifecycleHooks: !If [Shifts, HOOKS, !Ref AWS::NoValue]}}
Outputs: {ApiGatewayURL: {Value: x}}
";

    fn problem(minutes: u16, strategy: Option<&str>) -> Option<Failure> {
        with_hooks("[{TargetType: PAUSE, LifecycleStages: [POST_TEST_TRAFFIC_SHIFT]}]", minutes, strategy)
    }

    fn with_hooks(hooks: &str, minutes: u16, strategy: Option<&str>) -> Option<Failure> {
        let settings = format!(
            "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
             \"t\"\nwatch_minutes = {minutes}\n"
        );
        let deployment = config::deployment::Deployment::parse("deploy.toml", &settings).unwrap();
        let template = Template::read("infra/t.yaml", TEMPLATE.replace("HOOKS", hooks)).unwrap();
        let given = strategy.map(|strategy| ("Strategy".to_owned(), strategy.to_owned())).into_iter().collect();
        unwatchable(&template, &deployment.environments["dev"], &given)
    }

    #[test]
    fn alarms_are_not_watched_while_deployments_pause() {
        for strategy in ["BLUE_GREEN", "LINEAR", "CANARY"] {
            let failure = problem(15, Some(strategy)).unwrap();
            assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::RollbackAlarms));
            let message = format!("watch_minutes cannot be used while deployments of Service by {strategy} pause");
            assert_eq!(failure.message, message);
            assert_eq!(failure.resource.as_deref(), Some("environments.dev.watch_minutes"));
            assert!(problem(0, Some(strategy)).is_none());
        }
        assert!(problem(15, Some("ROLLING")).is_none() && problem(15, None).is_none());
    }

    #[test]
    fn a_deployment_that_shifts_without_a_pause_rolls_back_by_itself() {
        for ends in ["!Ref AWS::NoValue", "[]", "[{HookTargetArn: a}]", "[{TargetType: AWS_LAMBDA, HookTargetArn: a}]"]
        {
            assert!(with_hooks(ends, 15, Some("CANARY")).is_none(), "{ends}");
        }
        let pausing = ["[{HookTargetArn: a}, {TargetType: PAUSE}]", "[{TargetType: !ImportValue x}]", "!ImportValue x"];
        for pauses in pausing {
            assert!(with_hooks(pauses, 15, Some("CANARY")).is_some(), "{pauses}");
        }
    }
}
