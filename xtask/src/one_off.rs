//! One task that runs one command in the place of a service's tasks: started, followed with its log, and stopped.

use std::time::Duration;

use anyhow::Result;
use aws::ecs::Task;
use aws::ecs::one_off::{self, Network, Order};
use aws::logs::StreamReader;
use aws::stack;
use machine::http::jitter;
use machine::interrupt::Interrupt;
use model::one_off::{LONGEST_OVERRIDES, log, overrides, starter};
use model::outcome::{Exit, Failure, FailureKind};
use model::report::Line;
use model::stack::Stack;
use model::template::Definition;
use model::template::Template;
use serde_json::Value;
use tokio::time::Instant;

use crate::session::{Session, token};
use local::ui::{Phase, Ui};

/// Pause between two polls.
const PAUSE: Duration = Duration::from_secs(2);
/// How long lines may still come after the end of their task.
const LATE: Duration = Duration::from_secs(4);
/// Polls in a row that may fail.
const MAX_FAILURES: u32 = 10;
/// How long a task that is stopped is watched.
const STOPPING: Duration = Duration::from_secs(20);
/// The outputs that say where tasks run, besides `ClusterName`.
const NETWORK: [&str; 3] = ["TaskSubnetIds", "TaskSecurityGroupIds", "TaskPublicAddress"];
const CLUSTER: &str = "ClusterName";
pub(crate) const TASK_DEFINITION_TYPE: &str = "AWS::ECS::TaskDefinition";

/// The family of the task definitions that are made for one command.
pub(crate) fn family(stack: &str) -> String {
    format!("{stack}-run")
}

/// Where an environment's tasks run, and from which definition.
pub(crate) struct Place {
    pub(crate) network: Network,
    /// The ARN of the deployed definition.
    pub(crate) definition: String,
    /// The container that gets the command.
    pub(crate) container: String,
    /// Whether there is a service.
    pub(crate) serves: bool,
}

/// A task that was started.
pub(crate) struct Started<'a> {
    session: &'a Session<'a>,
    cluster: String,
    pub(crate) arn: String,
    log: Option<(String, String)>,
    reader: Option<StreamReader>,
}

impl Place {
    /// Reads it from the stack as it is deployed; `None` where the template says of no ECS task that it runs the service.
    ///
    /// # Errors
    /// A refused or lost call; a stack whose template is older than its outputs for tasks.
    pub(crate) async fn of(session: &Session<'_>, stack: &Stack, deployed: &str) -> Result<Option<Self>> {
        let container = Template::read("", deployed.to_owned()).ok().and_then(|template| template.container);
        let Some(Definition::Task { logical_id, container }) = container.map(|place| place.definition) else {
            return Ok(None);
        };
        let resources = stack::resources(&session.clients.cloudformation, &stack.name).await?;
        let there = |id: &str, kind: &str| {
            let found =
                resources.iter().find(|one| (one.logical_id == id || id.is_empty()) && one.resource_type == kind);
            found.filter(|one| one.status != "DELETE_COMPLETE").and_then(|one| one.physical_id.clone())
        };
        let serves = there("", stack::cause::SERVICE_TYPE).is_some();
        let missing: Vec<&str> =
            [CLUSTER].into_iter().chain(NETWORK).filter(|name| !stack.outputs.contains_key(*name)).collect();
        let (Some(definition), true) = (there(&logical_id, TASK_DEFINITION_TYPE), missing.is_empty()) else {
            let reason = match missing.as_slice() {
                [] => format!("its resource {logical_id} does not exist"),
                names => format!("it has no output {}", names.join(", ")),
            };
            return Err(Failure::new(Exit::Preflight, FailureKind::Task, "where a task would run is not known")
                .resource(format!("stack {}", stack.name))
                .reason(reason)
                .hint(format!(
                    "release {} once with a template that has the outputs, as infra/api-backend-fargate.yaml",
                    session.environment.name
                ))
                .into());
        };
        let list = |name: &str| stack.outputs[name].split(',').map(str::to_owned).collect();
        let [subnets, security_groups, address] = NETWORK;
        let network = Network {
            cluster: stack.outputs[CLUSTER].clone(),
            subnets: list(subnets),
            security_groups: list(security_groups),
            has_public_address: stack.outputs[address] == "ENABLED",
        };
        Ok(Some(Self { network, definition, container, serves }))
    }

    /// Starts a task from a definition that was described; `command` replaces its own. It must not be dropped on the way:
    /// the task might run, and nobody would know it.
    ///
    /// # Errors
    /// A command that is too long; what ECS refuses.
    pub(crate) async fn start<'a>(
        &self,
        session: &'a Session<'a>,
        (arn, definition): (&str, &Value),
        doing: &str,
        command: Option<&[String]>,
    ) -> Result<Started<'a>, Failure> {
        let size = command.map_or(0, |command| overrides(&self.container, command));
        if size > LONGEST_OVERRIDES {
            return Err(Failure::new(Exit::Usage, FailureKind::Task, "the command is too long")
                .reason(format!("it has {size} characters as JSON, and ECS takes {LONGEST_OVERRIDES}"))
                .hint("put it into a script of the image"));
        }
        let (started_by, token) = (starter(doing, &session.identity.arn), token());
        let cluster = &self.network.cluster;
        session.ui.still_runs(Some(format!(
            "a task may run: aws ecs list-tasks --cluster {cluster} --started-by {started_by} --region {}",
            session.environment.region
        )));
        let order = Order {
            definition: arn,
            network: &self.network,
            command: command.map(|words| (self.container.as_str(), words)),
            started_by: &started_by,
            token: &token,
        };
        let started = one_off::start(&session.clients.ecs, &order).await;
        let arn = started.inspect_err(|failure| {
            if !aws::is_lost(failure) {
                session.ui.still_runs(None);
            }
        })?;
        let id = arn.rsplit('/').next().unwrap_or_default();
        let log = log(definition, &self.container)
            .map(|(group, prefix)| (group.to_owned(), format!("{prefix}/{}/{id}", self.container)));
        let reader = log.as_ref().map(|(group, stream)| StreamReader::new(group, stream));
        let started = Started { session, cluster: cluster.clone(), arn, log, reader };
        session.ui.still_runs(Some(format!("task {} goes on; stop it with {}", started.id(), started.stop_command())));
        session.ui.note(|report| report.task = Some(started.arn.clone()));
        Ok(started)
    }

    /// As [`Place::start`], from a definition of the task's own, which is out of use as soon as the task is started.
    ///
    /// # Errors
    /// A refused or lost call.
    pub(crate) async fn start_copy<'a>(
        &self,
        session: &'a Session<'a>,
        definition: &Value,
        doing: &str,
    ) -> Result<Started<'a>, Failure> {
        let arn = one_off::register(&session.clients.signed, definition).await?;
        let started = self.start(session, (&arn, definition), doing, None).await;
        if let Err(failure) = one_off::deregister(&session.clients.signed, &arn).await {
            session.ui.warn(&format!("task definition {arn} stays registered: {failure}"));
        }
        started
    }
}

impl Started<'_> {
    pub(crate) fn id(&self) -> &str {
        self.arn.rsplit('/').next().unwrap_or_default()
    }

    /// The command that shows its log as it is written.
    pub(crate) fn follow_command(&self) -> Option<String> {
        let (group, stream) = self.log.as_ref()?;
        let region = &self.session.environment.region;
        Some(format!("aws logs tail {group} --log-stream-names {stream} --follow --region {region}"))
    }

    fn stop_command(&self) -> String {
        let (cluster, region) = (&self.cluster, &self.session.environment.region);
        format!("aws ecs stop-task --cluster {cluster} --task {} --region {region}", self.id())
    }

    /// Follows the task to its end; `line` gets each line of its log. It may be dropped, and called again.
    ///
    /// # Errors
    /// A task that cannot be watched any more.
    async fn follow(&mut self, phase: &Phase<'_>, line: &mut (dyn FnMut(Line) + Send)) -> Result<Task> {
        let client = &self.session.clients.ecs;
        let (mut failures, mut shown) = (0, String::new());
        loop {
            match one_off::describe(client, &self.cluster, &self.arn).await {
                Ok(Some((task, state))) => {
                    failures = 0;
                    if state != shown {
                        phase.doing(&format!("task {}, {state}", self.id()));
                        shown.clone_from(&state);
                    }
                    if state == "STOPPED" {
                        self.session.ui.still_runs(None);
                        self.last_lines(phase, line).await;
                        return Ok(task);
                    }
                }
                // ECS may know it a moment later.
                Ok(None) if failures + 1 < MAX_FAILURES => failures += 1,
                Ok(None) => {
                    let message = "the task cannot be found";
                    return Err(Failure::new(Exit::NeedsHuman, FailureKind::Task, message).resource(&self.arn).into());
                }
                Err(failure)
                    if failures + 1 >= MAX_FAILURES || aws::is_denied(&failure) || aws::is_expired(&failure) =>
                {
                    return Err(failure.into());
                }
                Err(_) => failures += 1,
            }
            self.new_lines(phase, line).await;
            let more = if failures == 0 { Duration::ZERO } else { jitter(PAUSE) };
            tokio::time::sleep(self.session.clients.pause(PAUSE) + more).await;
        }
    }

    async fn last_lines(&mut self, phase: &Phase<'_>, line: &mut (dyn FnMut(Line) + Send)) {
        let clients = &self.session.clients;
        let (end, pause) = (Instant::now() + clients.pause(LATE), clients.pause(PAUSE));
        while self.reader.is_some() {
            self.new_lines(phase, line).await;
            if Instant::now() >= end {
                break;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// That a log cannot be read does not end its task.
    async fn new_lines(&mut self, phase: &Phase<'_>, line: &mut (dyn FnMut(Line) + Send)) {
        let Some(reader) = &mut self.reader else { return };
        match reader.fresh(&self.session.clients.logs).await {
            Ok(lines) => lines.into_iter().for_each(line),
            Err(failure) if aws::is_denied(&failure) => {
                let reason = failure.reason.as_deref().unwrap_or_default();
                phase.line(&format!("the task's log cannot be read: {failure}: {reason}"));
                self.reader = None;
            }
            Err(_) => {}
        }
    }

    /// As [`Started::follow`], for so long; a signal and the end of that time stop the task.
    ///
    /// # Errors
    /// A task that did not end by itself, and what became of it.
    pub(crate) async fn ended_within(
        &mut self,
        limit: Duration,
        interrupt: &Interrupt,
        phase: &Phase<'_>,
        line: &mut (dyn FnMut(Line) + Send),
    ) -> Result<Task> {
        let followed = async { Ok(tokio::time::timeout(limit, self.follow(phase, line)).await) };
        match interrupt.or(followed).await {
            Ok(Ok(ended)) => ended,
            Ok(Err(_)) => {
                let left = self.stop("its time is over", phase, line).await;
                let message = format!("the command did not end in {} s", limit.as_secs());
                Err(Failure::new(Exit::Failed, FailureKind::Deadline, message)
                    .resource(format!("task {}", self.id()))
                    .reason(left)
                    .into())
            }
            Err(error) => {
                let left = self.stop("interrupted", phase, line).await;
                Err(Failure::of(&error).resource(format!("task {}", self.id())).note(left).into())
            }
        }
    }

    /// Asks the task to stop, and watches it for a moment; what became of it, in words.
    async fn stop(&mut self, why: &str, phase: &Phase<'_>, line: &mut (dyn FnMut(Line) + Send)) -> String {
        let stopped = one_off::stop(&self.session.clients.ecs, &self.cluster, &self.arn, why).await;
        if let Err(failure) = stopped {
            let reason = failure.reason.unwrap_or(failure.message);
            return format!("task {} goes on, for it could not be stopped: {reason}", self.id());
        }
        phase.doing(&format!("task {}, which is to stop", self.id()));
        match tokio::time::timeout(STOPPING, self.follow(phase, line)).await {
            Ok(Ok(task)) => format!("task {} was stopped: {}", task.id, task.stop_reason()),
            Ok(Err(_)) | Err(_) => {
                self.session.ui.still_runs(None);
                format!("task {} was asked to stop, and ECS ends it", self.id())
            }
        }
    }
}

/// The exit code of the command, or why there is none.
///
/// # Errors
/// A task that never started, or was stopped before its command ended.
pub(crate) fn exit_code(task: &Task, container: &str, ui: &Ui) -> Result<i32, Failure> {
    let code = task.containers.iter().find(|one| one.name == container).and_then(|one| one.exit_code);
    if let Some(code) = code.filter(|_| task.stop_code != "TaskFailedToStart") {
        ui.note(|report| report.exit_code = Some(code));
        return Ok(code);
    }
    let message =
        if task.started > 0.0 { "the task was stopped before its command ended" } else { "the task did not start" };
    let code = Some(task.stop_code.as_str()).filter(|code| !code.is_empty());
    let reason = code.map(|code| format!("{code}: ")).unwrap_or_default() + &task.stop_reason();
    Err(Failure::new(Exit::Failed, FailureKind::Task, message)
        .resource(format!("task {}", task.id))
        .reason(reason)
        .hint("fix the cause and repeat the command"))
}
