//! The alarms that CloudFormation monitors during an update, and for how long.

use std::collections::BTreeMap;

use config::deployment::Environment;

use crate::outcome::{Exit, Failure, FailureKind};
use crate::template::Template;

/// Prefix of the outputs with the ARNs of a stack's alarms.
const ROLLBACK_ALARM: &str = "RollbackAlarm";
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackConfiguration.html>
const MOST_ALARMS: usize = 5;

/// The monitoring of one update: an alarm rolls it back.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Watch {
    pub minutes: i32,
    /// ARNs.
    pub alarms: Vec<String>,
}

/// The monitoring of the next operation on a stack with these outputs; `None` stands for a new stack, which has no
/// alarms yet.
///
/// The time is the environment's, but at least the template's `KeepOldMinutes`.
///
/// # Errors
/// More alarms than CloudFormation accepts, or an output that is no alarm's ARN.
pub fn watch(
    template: &Template,
    environment: &Environment,
    outputs: Option<&BTreeMap<String, String>>,
) -> Result<Watch, Failure> {
    let Some(outputs) = outputs else { return Ok(Watch::default()) };
    let configured = i32::from(environment.watch_minutes);
    let minutes = configured.max(template.keep_old_minutes);
    if configured == 0 {
        return Ok(Watch { minutes, alarms: Vec::new() });
    }
    let named: Vec<(&String, &String)> = outputs.iter().filter(|(name, _)| name.starts_with(ROLLBACK_ALARM)).collect();
    let failure = |message: String| {
        Failure::new(Exit::Failed, FailureKind::RollbackAlarms, message)
            .resource(format!("stack {}", environment.stack))
            .hint(format!("fix the outputs {ROLLBACK_ALARM}… in {}", template.path))
    };
    if let Some((name, value)) = named.iter().find(|(_, value)| !is_alarm(value)) {
        let message = format!("the output {name} is not the ARN of an alarm");
        return Err(failure(message).reason(format!("it is {value}")));
    }
    let alarms: Vec<String> = named.iter().map(|(_, value)| (*value).clone()).collect();
    if alarms.len() > MOST_ALARMS {
        let message = format!("the stack has {} rollback alarms", alarms.len());
        return Err(failure(message).reason(format!("CloudFormation accepts at most {MOST_ALARMS}")));
    }
    Ok(Watch { minutes, alarms })
}

/// `arn:PARTITION:cloudwatch:REGION:ACCOUNT:alarm:NAME`
fn is_alarm(arn: &str) -> bool {
    let mut parts = arn.splitn(7, ':');
    let fixed = (parts.next(), parts.next().is_some(), parts.next());
    let (region, account) = (parts.next(), parts.next());
    fixed == (Some("arn"), true, Some("cloudwatch"))
        && [region, account].iter().all(|part| part.is_some_and(|part| !part.is_empty()))
        && parts.next() == Some("alarm")
        && parts.next().is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:rest-api: 5xx";

    fn watching(minutes: u16, keep: i32, outputs: Option<&[(&str, &str)]>) -> Result<Watch, Failure> {
        let settings = format!(
            "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
             \"t\"\nwatch_minutes = {minutes}\n"
        );
        let deployment = config::deployment::Deployment::parse("deploy.toml", &settings).unwrap();
        let template = format!(
            "Metadata: {{Release: {{KeepOldMinutes: {keep}}}}}\nParameters: {{ContainerURI: {{Type: \
             String}}}}\nOutputs: {{ApiGatewayURL: {{Value: x}}}}\n"
        );
        let template = Template::read("infra/t.yaml", template).unwrap();
        let outputs = outputs.map(|all| all.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
        watch(&template, &deployment.environments["dev"], outputs.as_ref())
    }

    #[test]
    fn an_update_is_watched_by_the_alarms_of_the_outputs() {
        let outputs = [("RollbackAlarm5xx", ARN), ("ApiGatewayURL", "https://x"), ("RollbackAlarmSlow", ARN)];
        let watch = watching(15, 2, Some(&outputs)).unwrap();
        assert_eq!(watch, Watch { minutes: 15, alarms: vec![ARN.to_owned(); 2] });
    }

    #[test]
    fn replaced_resources_stay_as_long_as_the_template_requires() {
        let outputs = [("RollbackAlarm5xx", ARN)];
        assert_eq!(watching(1, 2, Some(&outputs)).unwrap(), Watch { minutes: 2, alarms: vec![ARN.to_owned()] });
    }

    #[test]
    fn without_a_time_no_alarm_is_watched() {
        let outputs = [("RollbackAlarm5xx", "nonsense")];
        assert_eq!(watching(0, 2, Some(&outputs)).unwrap(), Watch { minutes: 2, alarms: Vec::new() });
        assert_eq!(watching(0, 0, Some(&[])).unwrap(), Watch::default());
    }

    #[test]
    fn a_creation_has_no_alarms_yet() {
        assert_eq!(watching(15, 2, None).unwrap(), Watch::default());
    }

    #[test]
    fn five_alarms_are_accepted_and_six_refused() {
        let names = ["RollbackAlarm1", "RollbackAlarm2", "RollbackAlarm3", "RollbackAlarm4", "RollbackAlarm5"];
        let mut outputs: Vec<(&str, &str)> = names.iter().map(|name| (*name, ARN)).collect();
        assert_eq!(watching(15, 0, Some(&outputs)).unwrap().alarms.len(), 5);
        outputs.push(("RollbackAlarm6", ARN));
        let failure = watching(15, 0, Some(&outputs)).unwrap_err();
        assert_eq!((failure.exit, failure.kind), (Exit::Failed, FailureKind::RollbackAlarms));
        assert_eq!(failure.reason.as_deref(), Some("CloudFormation accepts at most 5"));
        assert_eq!(failure.hint.as_deref(), Some("fix the outputs RollbackAlarm… in infra/t.yaml"));
    }

    #[test]
    fn an_output_that_is_no_alarm_is_refused_by_name() {
        for wrong in [
            "",
            "rest-api-5xx",
            "arn:aws:sns:eu-central-1:111122223333:alarm:x",
            "arn:aws:cloudwatch:eu-central-1:111122223333:dashboard:x",
            "arn:aws:cloudwatch:eu-central-1:111122223333:alarm:",
            "arn:aws:cloudwatch::111122223333:alarm:x",
        ] {
            let failure = watching(15, 0, Some(&[("RollbackAlarm5xx", wrong)])).unwrap_err();
            assert_eq!(failure.message, "the output RollbackAlarm5xx is not the ARN of an alarm", "{wrong}");
            assert_eq!(failure.reason, Some(format!("it is {wrong}")));
        }
    }
}
