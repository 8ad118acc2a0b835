//! Sees, while a stack works, how far the deployment of a service is, and when it waits for somebody's word.
//!
//! It only looks. Whoever watches decides what is said.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::Clients;
use crate::ecs;
use crate::ecs::deployment;
use crate::ecs::deployment::{Hook, ServiceDeployment};
use crate::error;
use crate::stack::crash::{Working, working};
use machine::http::jitter;
use model::outcome::Failure;
use model::stack::Event;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(3);
/// A deployment begins after the event of its service; clocks may differ a little.
const SLACK: f64 = 5.0;
/// The stage in which the new tasks run and only those see them who ask by the test listener.
const PROVABLE: &str = "POST_TEST_TRAFFIC_SHIFT";

/// A deployment that waits for its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Pause {
    /// The service's.
    pub logical_id: String,
    /// The deployment's ARN.
    pub deployment: String,
    pub hook: Hook,
    /// Whether the service is new, so that it has no users and no earlier version.
    pub is_first: bool,
    /// Whether the stack is on its way back, to what was proved before.
    pub goes_back: bool,
}

/// What has been seen of a stack's deployments.
#[derive(Debug)]
pub(super) struct PauseDetector {
    next: Instant,
    /// Services whose deployments have stages.
    staged: HashSet<String>,
    /// What was last said of each service.
    told: HashMap<String, String>,
    /// Pauses that were handed over.
    seen: HashSet<String>,
    warned: bool,
    /// Whether asking is not allowed, and so in vain.
    denied: bool,
}

impl PauseDetector {
    pub(super) fn new() -> Self {
        let (staged, seen) = (HashSet::new(), HashSet::new());
        Self { next: Instant::now(), staged, told: HashMap::new(), seen, warned: false, denied: false }
    }

    /// Looks at the services that are at work, tells each change once, and hands over each pause once. `events` are
    /// oldest first.
    pub(super) async fn look(
        &mut self,
        clients: &Clients,
        status: &str,
        events: impl Iterator<Item = &Event>,
        say: &impl Fn(&str),
    ) -> Option<Pause> {
        let is_at_work = matches!(status, "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS" | "UPDATE_ROLLBACK_IN_PROGRESS");
        if !is_at_work || self.denied || Instant::now() < self.next {
            return None;
        }
        for (logical_id, working) in working(events) {
            self.next = Instant::now() + PAUSE;
            match self.rollout(clients, &logical_id, &working).await {
                Ok(None) => {}
                Ok(Some(rollout)) => {
                    self.tell(&logical_id, &rollout, say);
                    let hook = rollout.hook.filter(|_| rollout.stage == PROVABLE);
                    if let Some(hook) = hook.filter(|hook| self.seen.insert(hook.id.clone())) {
                        return Some(Pause {
                            logical_id,
                            deployment: rollout.arn,
                            hook,
                            is_first: working.is_new,
                            goes_back: status.contains("ROLLBACK"),
                        });
                    }
                }
                Err(failure) => {
                    self.denied = error::is_denied(&failure);
                    self.next += jitter(PAUSE);
                    if !std::mem::replace(&mut self.warned, true) {
                        let reason = failure.reason.as_deref().unwrap_or_default();
                        say(&format!("whether {logical_id} waits for its proof cannot be seen: {failure}: {reason}"));
                    }
                }
            }
        }
        None
    }

    /// The deployment of the service, if it is one that may wait.
    async fn rollout(
        &mut self,
        clients: &Clients,
        logical_id: &str,
        working: &Working,
    ) -> Result<Option<ServiceDeployment>, Failure> {
        if !self.staged.contains(&working.arn) {
            // Whether the tasks can be seen at all is said by those who look at the tasks.
            let state = ecs::describe_service(&clients.ecs, &working.service).await;
            self.denied = state.as_ref().is_err_and(error::is_denied);
            if !state.is_ok_and(|state| state.has_stages) {
                return Ok(None);
            }
            self.staged.insert(working.arn.clone());
            self.told.remove(logical_id);
        }
        deployment::newest_deployment(&clients.ecs, &working.service, working.since - SLACK).await
    }

    fn tell(&mut self, logical_id: &str, rollout: &ServiceDeployment, say: &impl Fn(&str)) {
        let Some(words) = description(rollout) else { return };
        if self.told.get(logical_id) != Some(&words) {
            say(&format!("{logical_id}: {words}"));
            self.told.insert(logical_id.to_owned(), words);
        }
    }
}

/// How far a deployment is, as a user would say it.
fn description(rollout: &ServiceDeployment) -> Option<String> {
    if let Some(complaint) = rollout.rollback_reason() {
        return Some(complaint);
    }
    let words = match rollout.stage.as_str() {
        _ if rollout.is_taken_back() => "ECS takes the deployment back",
        PROVABLE if rollout.hook.is_some() => "new tasks run, waiting for the proof",
        stage if rollout.hook.is_some() => {
            return Some(format!("waits at {stage} for somebody else: this tool only proves at {PROVABLE}"));
        }
        "PRE_SCALE_UP" | "SCALE_UP" => "new tasks start beside the old ones",
        "POST_SCALE_UP" | "TEST_TRAFFIC_SHIFT" | PROVABLE => "new tasks run, no user sees them",
        "PRE_PRODUCTION_TRAFFIC_SHIFT" | "PRODUCTION_TRAFFIC_SHIFT" => match rollout.share {
            Some(share) if share > 0.0 => return Some(format!("{share:.0} percent of the users")),
            _ => "users are led to the new tasks",
        },
        "POST_PRODUCTION_TRAFFIC_SHIFT" | "BAKE_TIME" => "all users; bake time, in which the old tasks stay ready",
        "CLEAN_UP" => "the old tasks stop",
        _ => return None,
    };
    Some(words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stage_has_words_for_users() {
        let at =
            |stage: &str, share| ServiceDeployment { stage: stage.to_owned(), share, ..ServiceDeployment::default() };
        for (rollout, expected) in [
            (at("SCALE_UP", Some(0.0)), "new tasks start beside the old ones"),
            (at("TEST_TRAFFIC_SHIFT", Some(0.0)), "new tasks run, no user sees them"),
            (at("PRODUCTION_TRAFFIC_SHIFT", Some(10.0)), "10 percent of the users"),
            (at("PRODUCTION_TRAFFIC_SHIFT", None), "users are led to the new tasks"),
            (at("BAKE_TIME", Some(100.0)), "all users; bake time, in which the old tasks stay ready"),
            (at("CLEAN_UP", Some(100.0)), "the old tasks stop"),
        ] {
            assert_eq!(description(&rollout).as_deref(), Some(expected));
        }
        assert_eq!(description(&at("RECONCILE_SERVICE", None)), None);
    }

    #[test]
    fn what_ecs_takes_back_is_told_with_its_reason() {
        let back = ServiceDeployment {
            status: "ROLLBACK_IN_PROGRESS".to_owned(),
            stage: "BAKE_TIME".to_owned(),
            reason: Some("Service deployment rolled back because an alarm went off".to_owned()),
            alarms: vec!["rest-api-5xx".to_owned()],
            ..ServiceDeployment::default()
        };
        let expected = "ECS took the deployment back: Service deployment rolled back because an alarm went off; alarms \
                        went off: rest-api-5xx";
        assert_eq!(description(&back).as_deref(), Some(expected));
        let silent = ServiceDeployment { reason: None, alarms: Vec::new(), ..back };
        assert_eq!(description(&silent).as_deref(), Some("ECS takes the deployment back"));
    }
}
