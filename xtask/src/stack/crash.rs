//! Notices, while a stack still works, that a service of it can only fail: its new tasks stop as soon as they start.
//!
//! Only the new deployment counts, so that neither the failures of an earlier one nor the old tasks that a healthy
//! update stops are taken for a crash.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::ecs::{self, Deployment, Service, Task};
use crate::aws::{self, Clients};
use crate::outcome::Failure;
use crate::stack::cause::Cause;
use crate::stack::events::Event;
use crate::stack::evidence::{self, SERVICE_TYPE};
use crate::ui::Phase;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(3);
/// Failures after which a deployment is given up: one may be chance.
const FAILURES: usize = 2;
/// A task that runs for longer than this has not crashed at its start.
const HOLDS: Duration = Duration::from_secs(30);
/// A deployment begins after the event of its service; clocks may differ a little.
const SLACK: f64 = 5.0;

/// What has been seen of a stack's services.
#[derive(Debug)]
pub(super) struct Guard {
    next: Instant,
    told: HashSet<String>,
    /// Since when each running task has been seen.
    running: HashMap<String, Instant>,
    warned: bool,
    /// Whether asking is not allowed, and so in vain.
    denied: bool,
}

/// A service that is being created or updated.
#[derive(Debug, Clone, PartialEq)]
struct Working {
    service: Service,
    arn: String,
    since: f64,
}

impl Guard {
    pub(super) fn new() -> Self {
        let (told, running) = (HashSet::new(), HashMap::new());
        Self { next: Instant::now(), told, running, warned: false, denied: false }
    }

    /// Looks at the services that are at work, and tells each stopped task once. `events` are oldest first.
    pub(super) async fn look(
        &mut self,
        clients: &Clients,
        events: impl Iterator<Item = &Event>,
        phase: &Phase<'_>,
    ) -> Option<Cause> {
        if self.denied || Instant::now() < self.next {
            return None;
        }
        for (logical_id, working) in working(events) {
            self.next = Instant::now() + PAUSE;
            match self.judge(clients, &logical_id, &working, phase).await {
                Ok(None) => {}
                Ok(Some(cause)) => return Some(cause),
                Err(failure) => {
                    self.denied = aws::is_denied(&failure);
                    self.next = Instant::now() + PAUSE + aws::jitter(PAUSE);
                    if !std::mem::replace(&mut self.warned, true) {
                        let reason = failure.reason.as_deref().unwrap_or_default();
                        phase.line(&format!("the tasks of {logical_id} cannot be watched: {failure}: {reason}"));
                    }
                }
            }
        }
        None
    }

    async fn judge(
        &mut self,
        clients: &Clients,
        logical_id: &str,
        working: &Working,
        phase: &Phase<'_>,
    ) -> Result<Option<Cause>, Failure> {
        let Working { service, arn, since } = working;
        let mut deployments = ecs::deployments(&clients.ecs, service).await?;
        deployments.retain(|deployment| deployment.created >= since - SLACK);
        for deployment in deployments {
            let mut failed = ecs::tasks(&clients.ecs, service, true).await?;
            failed.retain(|task| task.has_failed() && belongs(task, &deployment));
            failed.sort_by(|one, other| one.stopped.total_cmp(&other.stopped));
            let gave_up = deployment.state == "FAILED";
            let count = failed.len().max(usize::try_from(deployment.failed).unwrap_or_default());
            let mut cause = Cause {
                logical_id: logical_id.to_owned(),
                resource_type: SERVICE_TYPE.to_owned(),
                physical_id: Some(arn.clone()),
                reason: reason(&deployment, &failed, count),
                ..Cause::default()
            };
            let hopeless = gave_up || (count >= FAILURES && !self.holds(clients, service, &deployment).await?);
            let news: Vec<&Task> = failed.iter().filter(|task| self.told.insert(task.id.clone())).collect();
            let tell = hopeless && self.told.insert(deployment.id.clone());
            if let Some(last) = failed.last().filter(|_| !news.is_empty() || tell) {
                evidence::of_task(clients, last, &mut cause).await;
            }
            for task in &news {
                phase.line(&format!("task {} of {logical_id} stopped: {}", task.id, task.why()));
            }
            // Its log once, for they all say the same.
            if !news.is_empty() && news.len() == failed.len() {
                cause.log.iter().for_each(|line| phase.line(&format!("  | {line}")));
            }
            if tell {
                phase.line(&format!("{logical_id} can only fail: {}", cause.reason));
                return Ok(Some(cause));
            }
        }
        Ok(None)
    }

    /// Whether a task of the deployment works in spite of earlier failures.
    async fn holds(&mut self, clients: &Clients, service: &Service, deployment: &Deployment) -> Result<bool, Failure> {
        let now = Instant::now();
        let tasks = ecs::tasks(&clients.ecs, service, false).await?;
        let running = tasks.into_iter().filter(|task| task.is_running && belongs(task, deployment));
        let mut holds = false;
        for task in running {
            let since = *self.running.entry(task.id).or_insert(now);
            holds |= task.is_healthy || now - since >= HOLDS;
        }
        Ok(holds)
    }
}

/// Whether the deployment started the task. ECS names it in the task; emulators may not.
fn belongs(task: &Task, deployment: &Deployment) -> bool {
    let same = || task.task_definition == deployment.task_definition && task.created >= deployment.created - SLACK;
    task.started_by == deployment.id || (!task.started_by.starts_with("ecs-svc/") && same())
}

fn reason(deployment: &Deployment, failed: &[Task], count: usize) -> String {
    let mut parts = Vec::new();
    if count > 0 {
        parts.push(format!("{count} new {} failed", if count == 1 { "task" } else { "tasks" }));
    }
    parts.extend(failed.last().map(Task::why));
    parts.extend(deployment.reason.clone().filter(|_| deployment.state == "FAILED"));
    parts.join("; ")
}

/// The services that the events leave at work, with the time at which that began.
fn working<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeMap<String, Working> {
    let mut working: BTreeMap<String, Working> = BTreeMap::new();
    let mut begun: HashMap<&str, f64> = HashMap::new();
    for event in events.filter(|event| event.resource_type == SERVICE_TYPE) {
        if !matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS") {
            begun.remove(event.logical_id.as_str());
            working.remove(&event.logical_id);
            continue;
        }
        let since = *begun.entry(&event.logical_id).or_insert(event.seconds);
        // The first event of a creation comes before there is anything to ask for.
        let Some(arn) = event.physical_id.clone() else { continue };
        if let Some(service) = Service::of_arn(&arn) {
            working.insert(event.logical_id.clone(), Working { service, arn, since });
        }
    }
    working
}
