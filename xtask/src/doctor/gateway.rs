//! The role that API Gateway logs with: one for the account in a region, without which no stage that logs can be made.

use serde_json::Value;

use super::Found;
use super::wanted::Wanted;
use crate::bootstrap;
use crate::session::Session;
use model::outcome::Failure;

/// Looks for it where the template has a stage that logs.
///
/// # Errors
/// What AWS says.
pub(super) async fn look(session: &Session<'_>, wanted: &Wanted) -> Result<Option<Found>, Failure> {
    if session.is_emulator() || !wanted.all("AWS::ApiGateway::Stage").any(logs) {
        return Ok(None);
    }
    let role = bootstrap::logging_role(&session.clients).await.map_err(|error| Failure::of(&error))?;
    Ok(Some(match role {
        Some(role) => Found::Fine(format!("API Gateway logs with {role}")),
        None => Found::lacking(
            "API Gateway has no role to log with",
            format!("the template's stage logs, and {} has none set for the account", session.environment.region),
            format!("cargo xtask bootstrap {} --api-gateway-logs", session.environment.name),
        ),
    }))
}

fn logs(stage: &Value) -> bool {
    let levels = stage["MethodSettings"].as_array().into_iter().flatten();
    let mut levels = levels.filter_map(|setting| setting["LoggingLevel"].as_str());
    stage.get("AccessLogSetting").is_some_and(Value::is_object) || levels.any(|level| level != "OFF")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stage_logs_requests_or_executions() {
        assert!(!logs(&json!({"StageName": "production"})));
        assert!(!logs(&json!({"MethodSettings": [{"LoggingLevel": "OFF"}, {"MetricsEnabled": true}]})));
        assert!(logs(&json!({"MethodSettings": [{"LoggingLevel": "ERROR"}]})));
        assert!(logs(&json!({"AccessLogSetting": {"DestinationArn": {"Fn::GetAtt": ["Log", "Arn"]}}})));
    }
}
