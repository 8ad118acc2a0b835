//! Reports, while a stack is in progress, the stage of a service's deployment, and when it waits for verification.
//!
//! It only reads: the answer to a waiting deployment is the caller's.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::ecs::deployment::{Hook, ServiceDeployment, newest_deployment};
use crate::stack::crash::{ServiceInProgress, services_in_progress};
use crate::{Clients, ecs, error};
use machine::http::jitter;
use model::outcome::Failure;
use model::stack::Event;

/// The pause between two polls.
const PAUSE: Duration = Duration::from_secs(3);
/// A deployment begins after the event of its service; clocks may differ by this many seconds.
const SLACK: f64 = 5.0;
/// The stage in which the new tasks run and are reachable only by the test listener.
const VERIFIABLE: &str = "POST_TEST_TRAFFIC_SHIFT";

/// A deployment that waits for verification.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// Of the service.
    pub logical_id: String,
    /// The deployment's ARN.
    pub deployment: String,
    pub hook: Hook,
    /// Whether the service is new, so that it has no users and no earlier version.
    pub is_first: bool,
    /// Whether the stack is rolling back, to what was verified before.
    pub goes_back: bool,
}

/// What has been observed of a stack's deployments.
#[derive(Debug)]
pub(super) struct PauseDetector {
    next: Instant,
    /// Services whose deployments have stages.
    staged: HashSet<String>,
    /// What was last reported of each service.
    reported: HashMap<String, String>,
    /// Ids of the pauses that were returned.
    returned: HashSet<String>,
    warned: bool,
    /// Whether the calls are denied, so that repeating them is pointless.
    denied: bool,
}

impl PauseDetector {
    pub(super) fn new() -> Self {
        let (staged, returned) = (HashSet::new(), HashSet::new());
        Self { next: Instant::now(), staged, reported: HashMap::new(), returned, warned: false, denied: false }
    }

    /// Checks the services in progress, reports each change once, and returns each pause once. `events` are oldest
    /// first.
    pub(super) async fn poll(
        &mut self,
        clients: &Clients,
        status: &str,
        events: impl Iterator<Item = &Event>,
        say: &impl Fn(&str),
    ) -> Option<Pause> {
        let in_progress = matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "UPDATE_ROLLBACK_IN_PROGRESS");
        if !in_progress || self.denied || Instant::now() < self.next {
            return None;
        }
        for (logical_id, service) in services_in_progress(events) {
            self.next = Instant::now() + clients.pause(PAUSE);
            match self.staged_deployment(clients, &logical_id, &service).await {
                Ok(None) => {}
                Ok(Some(deployment)) => {
                    self.report(&logical_id, &deployment, say);
                    let hook = deployment.hook.filter(|_| deployment.stage == VERIFIABLE);
                    if let Some(hook) = hook.filter(|hook| self.returned.insert(hook.id.clone())) {
                        return Some(Pause {
                            logical_id,
                            deployment: deployment.arn,
                            hook,
                            is_first: service.is_new,
                            goes_back: status.contains("ROLLBACK"),
                        });
                    }
                }
                Err(failure) => {
                    self.denied = error::is_denied(&failure);
                    self.next += jitter(PAUSE);
                    if !std::mem::replace(&mut self.warned, true) {
                        let reason = failure.reason.as_deref().unwrap_or_default();
                        say(&format!("whether {logical_id} waits for verification is unknown: {failure}: {reason}"));
                    }
                }
            }
        }
        None
    }

    /// The deployment of the service, if it has stages in which it may wait.
    async fn staged_deployment(
        &mut self,
        clients: &Clients,
        logical_id: &str,
        service: &ServiceInProgress,
    ) -> Result<Option<ServiceDeployment>, Failure> {
        if !self.staged.contains(&service.arn) {
            // The crash detector already reports that the service cannot be read.
            let state = ecs::describe_service(&clients.ecs, &service.service).await;
            self.denied = state.as_ref().is_err_and(error::is_denied);
            if !state.is_ok_and(|state| state.has_stages) {
                return Ok(None);
            }
            self.staged.insert(service.arn.clone());
            self.reported.remove(logical_id);
        }
        newest_deployment(&clients.ecs, &service.service, service.since - SLACK).await
    }

    fn report(&mut self, logical_id: &str, deployment: &ServiceDeployment, say: &impl Fn(&str)) {
        let Some(text) = description(deployment) else { return };
        if self.reported.get(logical_id) != Some(&text) {
            say(&format!("{logical_id}: {text}"));
            self.reported.insert(logical_id.to_owned(), text);
        }
    }
}

/// The stage of a deployment, in words for users.
fn description(deployment: &ServiceDeployment) -> Option<String> {
    if let Some(reason) = deployment.rollback_reason() {
        return Some(reason);
    }
    let text = match deployment.stage.as_str() {
        _ if deployment.is_rolled_back() => "ECS rolls the deployment back",
        VERIFIABLE if deployment.hook.is_some() => "new tasks run, waiting for verification",
        stage if deployment.hook.is_some() => {
            return Some(format!("waits at {stage} for another approval: this tool only verifies at {VERIFIABLE}"));
        }
        "PRE_SCALE_UP" | "SCALE_UP" => "new tasks start beside the old ones",
        "POST_SCALE_UP" | "TEST_TRAFFIC_SHIFT" | VERIFIABLE => "new tasks run, without production traffic",
        "PRE_PRODUCTION_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT" => match deployment.share {
            Some(share) if share > 0.0 => return Some(format!("{share:.0} percent of production traffic")),
            _ => "traffic shifts to the new tasks",
        },
        "POST_PRODUCTION_TRAFFIC_SHIFT" | "BAKE_TIME" => {
            "all production traffic; bake time, the old tasks stay available"
        }
        "CLEAN_UP" => "the old tasks stop",
        _ => return None,
    };
    Some(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_is_described_for_users() {
        let staged =
            |stage: &str, share| ServiceDeployment { stage: stage.to_owned(), share, ..ServiceDeployment::default() };
        for (deployment, expected) in [
            (staged("SCALE_UP", Some(0.0)), "new tasks start beside the old ones"),
            (staged("TEST_TRAFFIC_SHIFT", Some(0.0)), "new tasks run, without production traffic"),
            (staged("PRODUCTION_TRAFFIC_SHIFT", Some(10.0)), "10 percent of production traffic"),
            (staged("PRODUCTION_TRAFFIC_SHIFT", None), "traffic shifts to the new tasks"),
            (staged("BAKE_TIME", Some(100.0)), "all production traffic; bake time, the old tasks stay available"),
            (staged("CLEAN_UP", Some(100.0)), "the old tasks stop"),
        ] {
            assert_eq!(description(&deployment).as_deref(), Some(expected));
        }
        assert_eq!(description(&staged("RECONCILE_SERVICE", None)), None);
    }

    #[test]
    fn a_rollback_by_ecs_is_reported_with_its_reason() {
        let back = ServiceDeployment {
            status: "ROLLBACK_IN_PROGRESS".to_owned(),
            stage: "BAKE_TIME".to_owned(),
            reason: Some("Service deployment rolled back because an alarm went off".to_owned()),
            alarms: vec!["rest-api-5xx".to_owned()],
            ..ServiceDeployment::default()
        };
        let expected = "ECS rolled the deployment back: Service deployment rolled back because an alarm went off; alarms \
                        went off: rest-api-5xx";
        assert_eq!(description(&back).as_deref(), Some(expected));
        let without_reason = ServiceDeployment { reason: None, alarms: Vec::new(), ..back };
        assert_eq!(description(&without_reason).as_deref(), Some("ECS rolls the deployment back"));
    }
}
