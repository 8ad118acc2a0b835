//! Why a resource failed: its event, why its instance or task stopped, and the end of its log.
//!
//! Nothing here fails: what cannot be read becomes a short note.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::{is_denied, is_missing};
use crate::{Clients, ec2, ecs, logs, stack};
use model::outcome::Failure;
use model::stack::Event;
use model::template::Template;

pub const SERVICE_TYPE: &str = "AWS::ECS::Service";
const INSTANCE_TYPE: &str = "AWS::EC2::Instance";
const LOG_GROUP_TYPE: &str = "AWS::Logs::LogGroup";
/// Lines of a log that are shown.
const TAIL: usize = 20;
/// Lines of a log group in which a task's own are searched for.
const SEARCHED: usize = 1000;
/// How old, in seconds, a deployment that is explained may be; deployments last 36 hours at most.
const RECENT: f64 = 48.0 * 3600.0;
/// How the boot script in the templates begins the line that names the failed step.
const BOOT_FAILURE: &str = "boot: FAILURE";
/// The reason of a failure for which AWS gave none.
const NO_REASON: &str = "CloudFormation gave no reason";

/// A resource that failed, and all that is known about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    pub logical_id: String,
    pub resource_type: String,
    pub physical_id: Option<String>,
    pub reason: String,
    /// The property at fault, as a path in the template.
    pub path: Option<String>,
    /// Logical ids of the nested stacks that contain it, outermost first.
    pub within: Vec<String>,
    /// Whether it is only a consequence: cancelled, or rolled back.
    pub is_consequence: bool,
    /// Whether `reason` includes why a task stopped.
    pub has_task: bool,
    /// The last lines of its log.
    pub log: Vec<String>,
    /// What else is known, or could not be read.
    pub notes: Vec<String>,
}

impl From<&Event> for Cause {
    fn from(event: &Event) -> Self {
        Self {
            logical_id: event.logical_id.clone(),
            resource_type: event.resource_type.clone(),
            physical_id: event.physical_id.clone(),
            reason: event.reason.clone().unwrap_or_else(|| NO_REASON.to_owned()),
            path: event.path.clone(),
            is_consequence: !event.is_failure() || event.is_cancelled(),
            ..Self::default()
        }
    }
}

impl Cause {
    /// The resource as messages name it.
    pub fn resource(&self) -> String {
        let name = [self.within.as_slice(), std::slice::from_ref(&self.logical_id)].concat().join("/");
        if self.resource_type.is_empty() { name } else { format!("{name} ({})", self.resource_type) }
    }

    /// Adds all of it to a failure; with the template, also the place there.
    pub fn add_to(self, failure: Failure, template: Option<&Template>) -> Failure {
        let template = template.filter(|_| self.within.is_empty());
        let by_path = self.path.as_deref().and_then(|path| template?.place_of(path));
        let place = by_path.or_else(|| template?.place(&self.logical_id));
        let resource = self.resource();
        let reason = match &self.path {
            Some(path) => format!("{} ({path})", self.reason),
            None => self.reason,
        };
        let failure = failure.resource(resource).reason(reason).place(place).log(self.log);
        self.notes.into_iter().fold(failure, Failure::note)
    }
}

/// Whether there is more than the event for a resource of this type.
pub fn has_evidence(resource_type: &str) -> bool {
    [SERVICE_TYPE, INSTANCE_TYPE].contains(&resource_type)
}

/// Adds to a cause what its instance or service shows, if it is one.
pub async fn gather_evidence(clients: &Clients, stack_id: &str, mut cause: Cause) -> Cause {
    let Some(physical_id) = cause.physical_id.clone() else { return cause };
    match cause.resource_type.as_str() {
        INSTANCE_TYPE => instance(clients, stack_id, &physical_id, &mut cause).await,
        SERVICE_TYPE => {
            if let Some(service) = ecs::Service::of_arn(&physical_id) {
                stopped_task(clients, stack_id, &service, &mut cause).await;
                rolled_back(clients, &service, &mut cause).await;
            }
        }
        _ => {}
    }
    cause
}

/// The instance's boot log from a log group of its stack, or else its console output.
async fn instance(clients: &Clients, stack_id: &str, id: &str, cause: &mut Cause) {
    let stream = format!("{id}/boot");
    match log_groups(clients, stack_id).await {
        Ok(groups) => {
            for group in groups {
                match logs::tail(&clients.logs, &group, &stream, TAIL as i32).await {
                    Ok(lines) if !lines.is_empty() => {
                        cause.log = lines;
                        break;
                    }
                    Ok(_) => {}
                    // Another log group of the stack, without the instance's stream.
                    Err(failure) if is_missing(&failure) => {}
                    Err(failure) => cause.notes.push(unreadable("the boot log", &failure)),
                }
            }
        }
        Err(failure) => cause.notes.push(unreadable("the stack's log groups", &failure)),
    }
    if cause.log.is_empty() {
        match ec2::console_output(&clients.signed, id).await {
            Ok(text) => cause.log = last(logs::clean(&text)),
            Err(failure) if is_missing(&failure) => {}
            Err(failure) => cause.notes.push(unreadable("the console", &failure)),
        }
    }
    if let Some(line) = cause.log.iter().find(|line| line.contains(BOOT_FAILURE)) {
        cause.reason = format!("{}; {line}", cause.reason);
    }
}

/// The task that failed last, and the end of its log.
async fn stopped_task(clients: &Clients, stack_id: &str, service: &ecs::Service, cause: &mut Cause) {
    match ecs::tasks(&clients.ecs, service, true).await {
        Ok(tasks) => {
            let failed = tasks.iter().filter(|task| task.has_failed());
            if let Some(task) = failed.max_by(|one, other| one.stopped.total_cmp(&other.stopped)) {
                cause.has_task = true;
                cause.reason = format!("{}; task {} stopped: {}", cause.reason, task.id, task.stop_reason());
                add_task_log(clients, stack_id, task, cause).await;
            }
        }
        Err(failure) if is_missing(&failure) => {}
        Err(failure) => cause.notes.push(unreadable("the tasks", &failure)),
    }
}

/// ECS's reason for a rollback: an alarm, too many failed tasks, a hook that expired.
async fn rolled_back(clients: &Clients, service: &ecs::Service, cause: &mut Cause) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    match ecs::deployment::newest_rollback_reason(&clients.ecs, service, now - RECENT).await {
        Ok(Some(reason)) => cause.reason = format!("{}; {reason}", cause.reason),
        Err(failure) if is_denied(&failure) => cause.notes.push(unreadable("the deployments", &failure)),
        // There is none, or an emulator does not know the call.
        _ => {}
    }
}

/// The end of a task's log: that of the container that failed, if it is known.
pub(super) async fn add_task_log(clients: &Clients, stack_id: &str, task: &ecs::Task, cause: &mut Cause) {
    let targets = match ecs::log_targets(&clients.ecs, &task.task_definition).await {
        Ok(targets) => targets,
        Err(failure) => {
            cause.log = from_groups(clients, stack_id, task).await;
            if cause.log.is_empty() {
                cause.notes.push(unreadable("the task definition", &failure));
            }
            return;
        }
    };
    let culprit = task.containers.iter().find(|container| container.exit_code.is_some_and(|code| code != 0));
    let is_culprit = |target: &&ecs::LogTarget| culprit.is_none_or(|container| container.name == target.container);
    let Some(target) = targets.iter().find(is_culprit) else { return };
    let Some(stream) = task.stream(target) else { return };
    match logs::tail(&clients.logs, &target.group, &stream, TAIL as i32).await {
        Ok(lines) => cause.log = lines,
        // A container that never ran has no stream.
        Err(failure) if is_missing(&failure) => {}
        Err(failure) => cause.notes.push(unreadable("the container's log", &failure)),
    }
}

/// The end of a task's log, found in the stack's log groups: the names of streams end with the task's id.
async fn from_groups(clients: &Clients, stack_id: &str, task: &ecs::Task) -> Vec<String> {
    let since = (task.created * 1000.0) as i64;
    for group in log_groups(clients, stack_id).await.unwrap_or_default() {
        let lines = logs::newest_lines(&clients.logs, &group, since, SEARCHED).await.unwrap_or_default();
        let own = lines.iter().filter(|line| line.stream.ends_with(&format!("/{}", task.id)));
        let own: Vec<String> = own.flat_map(|line| logs::clean(&line.message)).collect();
        if !own.is_empty() {
            return last(own);
        }
    }
    Vec::new()
}

/// The log groups of a stack.
pub async fn log_groups(clients: &Clients, stack_id: &str) -> Result<Vec<String>, Failure> {
    let resources = stack::resources(&clients.cloudformation, stack_id).await.map_err(|error| Failure::of(&error))?;
    let groups = resources.into_iter().filter(|resource| resource.resource_type == LOG_GROUP_TYPE);
    Ok(groups.filter_map(|group| group.physical_id).collect())
}

/// A short note about what could not be read.
fn unreadable(what: &str, failure: &Failure) -> String {
    let reason = failure.reason.as_deref().unwrap_or_default();
    let line = format!("{what} cannot be read: {failure}: {reason}");
    line.chars().take(300).collect()
}

fn last(mut lines: Vec<String>) -> Vec<String> {
    lines.retain(|line| !line.is_empty());
    lines.split_off(lines.len().saturating_sub(TAIL))
}
