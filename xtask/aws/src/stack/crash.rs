//! Detects, while a stack is still in progress, that one of its services can only fail: its new tasks stop as soon as
//! they start.
//!
//! Only the new deployment counts: neither failures of an earlier one nor the old tasks that a healthy update stops are
//! crashes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_sdk_cloudformation::primitives::{DateTime, DateTimeFormat};
use tokio::time::Instant;

use crate::ecs::{self, Deployment, Service, ServiceState, Task};
use crate::stack;
use crate::stack::cause::{self, Cause, SERVICE_TYPE};
use crate::{Clients, error};
use machine::http::jitter;
use model::outcome::Failure;
use model::stack::{Event, Stack};

const TASK_DEFINITION_TYPE: &str = "AWS::ECS::TaskDefinition";
/// How long a finished stack is not polled.
const INITIAL_DELAY: Duration = Duration::from_secs(3);
/// The pause between two polls.
const PAUSE: Duration = Duration::from_secs(3);
/// Failed tasks after which a deployment is given up if none of its tasks runs: a single one may be chance.
const FAILURES: usize = 2;
/// The same if some tasks have only just started.
const MANY: usize = 4;
/// Stopped tasks that one poll reports.
const SHOWN: usize = 2;
/// A task that runs longer than this many seconds has not crashed at its start, unless others took longer to.
const HOLDS: f64 = 30.0;
/// A deployment begins after the event of its service; clocks may differ by this many seconds.
const SLACK: f64 = 5.0;

/// What has been observed of a stack's services.
#[derive(Debug)]
pub(super) struct CrashDetector {
    next: Instant,
    /// Ids of tasks and deployments that have been reported.
    reported: HashSet<String>,
    /// ECS's last message about tasks that it could not start, by the service's logical id.
    start_failures: HashMap<String, String>,
    /// When each running task was seen first.
    running: HashMap<String, Instant>,
    warned: bool,
    /// Whether the calls are denied, so that repeating them is pointless.
    denied: bool,
}

impl CrashDetector {
    pub(super) fn new() -> Self {
        let (reported, start_failures, running) = (HashSet::new(), HashMap::new(), HashMap::new());
        Self { next: Instant::now(), reported, start_failures, running, warned: false, denied: false }
    }

    /// ECS's last message about tasks of a service that it could not start.
    pub(super) fn start_failure(&self, logical_id: &str) -> Option<&str> {
        self.start_failures.get(logical_id).map(String::as_str)
    }

    /// Whether reading the services is denied.
    pub(super) fn is_denied(&self) -> bool {
        self.denied
    }

    /// Checks the services in progress, and reports each stopped task once. `events` are oldest first.
    pub(super) async fn poll(
        &mut self,
        clients: &Clients,
        stack_id: &str,
        events: impl Iterator<Item = &Event>,
        say: &impl Fn(&str),
    ) -> Option<Cause> {
        if self.denied || Instant::now() < self.next {
            return None;
        }
        for (logical_id, service) in services_in_progress(events) {
            self.next = Instant::now() + clients.pause(PAUSE);
            match self.check(clients, stack_id, &logical_id, &service, say).await {
                Ok(None) => {}
                Ok(Some(cause)) => return Some(cause),
                Err(failure) => {
                    self.denied = error::is_denied(&failure);
                    self.next = Instant::now() + PAUSE + jitter(PAUSE);
                    if !std::mem::replace(&mut self.warned, true) {
                        let reason = failure.reason.as_deref().unwrap_or_default();
                        say(&format!("the tasks of {logical_id} cannot be watched: {failure}: {reason}"));
                    }
                }
            }
        }
        None
    }

    async fn check(
        &mut self,
        clients: &Clients,
        stack_id: &str,
        logical_id: &str,
        in_progress: &ServiceInProgress,
        say: &impl Fn(&str),
    ) -> Result<Option<Cause>, Failure> {
        let ServiceInProgress { service, arn, since, .. } = in_progress;
        let state = match ecs::describe_service(&clients.ecs, service).await {
            Ok(state) => state,
            Err(failure) if error::is_denied(&failure) || error::is_throttled(&failure) => return Err(failure),
            // The stack's task definition also tells the new tasks from the old ones.
            Err(failure) => match in_progress.state() {
                Some(state) => {
                    if self.reported.insert(arn.clone()) {
                        let reason = failure.reason.as_deref().unwrap_or_default();
                        say(&format!(
                            "the state of {logical_id} cannot be read, its tasks are identified by their task definition: \
                             {failure}: {reason}"
                        ));
                    }
                    state
                }
                None => return Err(failure),
            },
        };
        for deployment in state.deployments.iter().filter(|deployment| deployment.created >= since - SLACK) {
            let mut failed = ecs::tasks(&clients.ecs, service, true).await?;
            failed.retain(|task| task.has_failed() && belongs(task, deployment));
            failed.sort_by(|one, other| one.stopped.total_cmp(&other.stopped));
            let count = failed.len().max(usize::try_from(deployment.failed).unwrap_or_default());
            let hopeless = deployment.state == "FAILED"
                || count >= FAILURES
                    && match self.running(clients, service, deployment, &failed).await? {
                        Running::None => true,
                        Running::Starting => count >= MANY,
                        Running::Stable => false,
                    };
            let news: Vec<&Task> = failed.iter().filter(|task| self.reported.insert(task.id.clone())).collect();
            let give_up = hopeless && self.reported.insert(deployment.id.clone());
            let start_failure = state.start_failure(deployment.created - SLACK);
            if let Some(message) = start_failure
                && self.start_failures.insert(logical_id.to_owned(), message.to_owned()).as_deref() != Some(message)
            {
                say(&format!("{logical_id}: {message}"));
            }
            let mut cause = Cause {
                logical_id: logical_id.to_owned(),
                resource_type: SERVICE_TYPE.to_owned(),
                physical_id: Some(arn.clone()),
                reason: reason(deployment, &failed, count, start_failure),
                ..Cause::default()
            };
            if let Some(last) = failed.last().filter(|_| !news.is_empty() || give_up) {
                cause::add_task_log(clients, stack_id, last, &mut cause).await;
            }
            for task in news.iter().take(SHOWN) {
                say(&format!("task {} of {logical_id} stopped: {}", task.id, task.stop_reason()));
            }
            if news.len() > SHOWN {
                say(&format!("{} more tasks stopped", news.len() - SHOWN));
            }
            // The log once: they are all alike.
            if !news.is_empty() && news.len() == failed.len() {
                cause.log.iter().for_each(|line| say(&format!("  | {line}")));
            }
            if give_up {
                say(&format!("{logical_id} can only fail: {}", cause.reason));
                return Ok(Some(cause));
            }
        }
        Ok(None)
    }

    /// The state of the tasks that run in spite of earlier failures.
    async fn running(
        &mut self,
        clients: &Clients,
        service: &Service,
        deployment: &Deployment,
        failed: &[Task],
    ) -> Result<Running, Failure> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let lived = failed.iter().filter(|task| task.started > 0.0).map(|task| task.stopped - task.started);
        let enough = lived.fold(HOLDS, |longest, lived| longest.max(lived * 1.5));
        let tasks = ecs::tasks(&clients.ecs, service, false).await?;
        let mut running = Running::None;
        for task in tasks.into_iter().filter(|task| task.is_running && belongs(task, deployment)) {
            let seen = self.running.entry(task.id).or_insert_with(Instant::now).elapsed().as_secs_f64();
            let started = if task.started > 0.0 { now - task.started } else { 0.0 };
            if task.is_healthy || seen.max(started) >= enough {
                return Ok(Running::Stable);
            }
            running = Running::Starting;
        }
        Ok(running)
    }
}

/// The running tasks of a deployment.
enum Running {
    None,
    /// They may still crash.
    Starting,
    Stable,
}

/// Returns when a service of a finished stack keeps crashing; never if none does.
pub async fn watch_for_crash(clients: &Clients, stack: &Stack, say: &impl Fn(&str)) -> Cause {
    let since = stack.updated.as_deref().and_then(|time| DateTime::from_str(time, DateTimeFormat::DateTime).ok());
    let since = since.map(|time| time.as_secs_f64()).unwrap_or_default();
    // A healthy endpoint is verified sooner than this, which saves the calls.
    tokio::time::sleep(INITIAL_DELAY).await;
    let resources = stack::resources(&clients.cloudformation, &stack.id).await.unwrap_or_default();
    let is_relevant = |resource_type: &str| [SERVICE_TYPE, TASK_DEFINITION_TYPE].contains(&resource_type);
    let resources = resources.into_iter().filter(|resource| is_relevant(&resource.resource_type));
    let resources: Vec<Event> = resources
        .map(|resource| Event {
            status: "UPDATE_IN_PROGRESS".to_owned(),
            logical_id: resource.logical_id,
            resource_type: resource.resource_type,
            physical_id: resource.physical_id,
            seconds: since,
            ..Event::default()
        })
        .collect();
    let mut detector = CrashDetector::new();
    loop {
        if resources.iter().all(|resource| resource.resource_type != SERVICE_TYPE) || detector.denied {
            return std::future::pending().await;
        }
        if let Some(cause) = detector.poll(clients, &stack.id, resources.iter(), say).await {
            return cause;
        }
        tokio::time::sleep(clients.pause(PAUSE)).await;
    }
}

/// Whether the deployment started the task. ECS names it in the task; emulators may not.
fn belongs(task: &Task, deployment: &Deployment) -> bool {
    let same = || task.task_definition == deployment.task_definition && task.created >= deployment.created - SLACK;
    let named = !deployment.id.is_empty() && task.started_by.starts_with("ecs-svc/");
    if named { task.started_by == deployment.id } else { same() }
}

fn reason(deployment: &Deployment, failed: &[Task], count: usize, start_failure: Option<&str>) -> String {
    let mut parts = Vec::new();
    if count > 0 {
        parts.push(format!("{count} new {} failed", if count == 1 { "task" } else { "tasks" }));
    }
    parts.extend(failed.last().map(Task::stop_reason).or_else(|| start_failure.map(str::to_owned)));
    parts.extend(deployment.reason.clone().filter(|_| deployment.state == "FAILED"));
    parts.join("; ")
}

/// A service that is being created or updated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ServiceInProgress {
    pub(super) service: Service,
    pub(super) arn: String,
    pub(super) since: f64,
    /// Whether it is being created, so that it has no users yet.
    pub(super) is_new: bool,
    /// The newest task definitions of the stack.
    task_definitions: Vec<String>,
}

impl ServiceInProgress {
    /// What is known without describing the service.
    pub(super) fn state(&self) -> Option<ServiceState> {
        let deployment = |task_definition: &String| Deployment {
            task_definition: task_definition.clone(),
            created: self.since,
            ..Deployment::default()
        };
        let deployments: Vec<Deployment> = self.task_definitions.iter().map(deployment).collect();
        (!deployments.is_empty()).then(|| ServiceState { deployments, ..ServiceState::default() })
    }
}

/// The services in progress according to the events, with the time at which that began.
pub(super) fn services_in_progress<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeMap<String, ServiceInProgress> {
    let mut services: BTreeMap<String, ServiceInProgress> = BTreeMap::new();
    let mut begun: HashMap<&str, f64> = HashMap::new();
    let mut definitions: HashMap<&str, String> = HashMap::new();
    for event in events {
        let in_progress = matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS");
        match (event.resource_type.as_str(), &event.physical_id) {
            (TASK_DEFINITION_TYPE, Some(arn)) if !event.status.starts_with("DELETE") => {
                definitions.insert(&event.logical_id, arn.clone());
            }
            (SERVICE_TYPE, _) if !in_progress => {
                begun.remove(event.logical_id.as_str());
                services.remove(&event.logical_id);
            }
            (SERVICE_TYPE, arn) => {
                let since = *begun.entry(&event.logical_id).or_insert(event.seconds);
                // The first event of a creation comes before the service exists.
                let Some(arn) = arn.clone() else { continue };
                if let Some(service) = Service::of_arn(&arn) {
                    let (is_new, task_definitions) = (event.status.starts_with("CREATE"), Vec::new());
                    let found = ServiceInProgress { service, arn, since, is_new, task_definitions };
                    services.insert(event.logical_id.clone(), found);
                }
            }
            _ => {}
        }
    }
    for service in services.values_mut() {
        service.task_definitions = definitions.values().cloned().collect();
    }
    services
}
