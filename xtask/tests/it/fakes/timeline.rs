//! CloudFormation in real time: what happens to the stack, when its state is shown, and when its events are.
//!
//! The two delays are independent of each other. Operations are refused as CloudFormation refuses them, and calls with
//! the same token are the same call.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::World;
use super::aws::parameters;
use super::xml::{self, escape, tag, tags};

type Form = BTreeMap<String, String>;
type Answer = Result<String, (&'static str, &'static str)>;

const OWN: &str = "AWS::CloudFormation::Stack";
/// The first stack's.
pub(crate) const STACK: &str = "arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-dev/1";
/// When the first event was, in seconds since 1970.
pub(crate) const START: i64 = 1_767_323_045;

/// How what is asked for ends.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum End {
    #[default]
    Done,
    RolledBack,
    /// It can neither go on nor back.
    Stuck,
    /// Somebody else deletes the stack meanwhile.
    Deleted,
}

/// An event of a resource: the step of the operation in which it happens, logical id, type, physical id, status, reason.
pub(crate) type ResourceEvent = (u32, &'static str, &'static str, &'static str, &'static str, &'static str);

/// The timeline of one stack.
#[derive(Clone)]
pub(crate) struct Timeline {
    /// How long after it is true a state is shown.
    pub(crate) state_delay: Duration,
    /// How long after it has happened an event is shown.
    pub(crate) events_delay: Duration,
    /// How long each state of an operation lasts.
    pub(crate) step: Duration,
    pub(crate) end: End,
    /// Whether an operation waits, at the step of this number, for the answer to its deployment.
    pub(crate) waits_at: Option<usize>,
    /// What resources say during each operation.
    pub(crate) said: Vec<ResourceEvent>,
    /// Events in a page.
    pub(crate) page: usize,
    /// Events that still happen, one after each page that is read.
    pub(crate) between_pages: u32,
    /// Since when a change set is shown, and can be executed, after it was made.
    pub(crate) set_shown_after: Duration,
    pub(crate) set_ready_after: Duration,
    /// Why no change set can be made; the reason of the change set.
    pub(crate) refusal: Option<&'static str>,
    pub(crate) protected: bool,
    /// Type and replacement of the resource that change sets change.
    pub(crate) changed: (&'static str, &'static str),
    /// Code and message with which each execution is refused.
    pub(crate) refused: Option<(&'static str, &'static str)>,
    /// Whether another release executes first.
    pub(crate) is_taken: bool,
    /// Resources of the stack: logical id, type, physical id, status.
    pub(crate) resources: Vec<(&'static str, &'static str, &'static str, &'static str)>,
    /// Histories of nested stacks by ARN, oldest first.
    pub(crate) nested: BTreeMap<&'static str, Vec<ResourceEvent>>,
    pub(crate) stacks: Vec<Stack>,
    pub(crate) sets: Vec<Set>,
    pub(crate) tokens: Vec<String>,
    /// Calls that change something, in order.
    pub(crate) calls: Vec<String>,
    /// What becomes of an operation that was under way, from the first poll on.
    pub(crate) then: Option<&'static str>,
}

#[derive(Clone)]
pub(crate) struct Stack {
    arn: String,
    states: Vec<(Option<Instant>, State)>,
    events: Vec<(Option<Instant>, Event)>,
}

#[derive(Clone, Default)]
struct State {
    status: String,
    updated: u32,
    parameters: BTreeMap<String, String>,
    template: String,
}

#[derive(Clone)]
struct Event {
    logical: String,
    kind: String,
    physical: String,
    status: String,
    reason: String,
    token: String,
}

#[derive(Clone)]
pub(crate) struct Set {
    name: String,
    made: Instant,
    stack: usize,
    template: String,
    parameters: BTreeMap<String, String>,
    executed: bool,
    /// The stack was changed since.
    obsolete: bool,
    deleted: bool,
}

impl Timeline {
    /// There is no stack.
    pub(crate) fn none() -> Self {
        Self {
            state_delay: Duration::ZERO,
            events_delay: Duration::ZERO,
            step: Duration::from_millis(700),
            end: End::Done,
            waits_at: None,
            said: Vec::new(),
            page: 100,
            between_pages: 0,
            set_shown_after: Duration::ZERO,
            set_ready_after: Duration::ZERO,
            refusal: None,
            protected: false,
            changed: ("AWS::ApiGateway::RestApi", "False"),
            refused: None,
            is_taken: false,
            resources: Vec::new(),
            nested: BTreeMap::new(),
            stacks: Vec::new(),
            sets: Vec::new(),
            tokens: Vec::new(),
            calls: Vec::new(),
            then: None,
        }
    }

    /// A stack in this state, with these parameters, made from this template.
    pub(crate) fn of(status: &str, image: &str, template: &str) -> Self {
        let parameters = [("ContainerURI".to_owned(), image.to_owned())].into();
        let state = State { status: status.to_owned(), updated: 0, parameters, template: template.to_owned() };
        let events = vec![(None, own(STACK, "CREATE_COMPLETE", "before")), (None, own(STACK, status, "before"))];
        let stack = Stack { arn: STACK.to_owned(), states: vec![(None, state)], events };
        Self { stacks: vec![stack], then: next(status), ..Self::none() }
    }

    pub(crate) fn late(self, state: u64, events: u64) -> Self {
        Self { state_delay: Duration::from_secs(state), events_delay: Duration::from_secs(events), ..self }
    }

    /// The stack is in another state by now; what is under way in it ends some time after the next look.
    pub(crate) fn turn(&mut self, status: &str) {
        let stack = self.stacks.last_mut().unwrap();
        let mut state = stack.states.last().unwrap().1.clone();
        if state.status != status {
            self.sets.iter_mut().for_each(|set| set.obsolete = true);
        }
        state.status = status.to_owned();
        stack.states = vec![(None, state)];
        stack.events.push((None, own(STACK, status, "before")));
        self.then = next(status);
    }

    /// The stack is updated by another user.
    pub(crate) fn touch(&mut self) {
        self.stacks.last_mut().unwrap().states.last_mut().unwrap().1.updated += 1;
    }

    /// What was under way stays so.
    pub(crate) fn for_ever(self) -> Self {
        Self { then: None, ..self }
    }

    /// The state as it is, whatever is shown; empty without a stack.
    pub(crate) fn truth(&self) -> String {
        let now = Instant::now();
        self.stacks.last().map(|stack| stack.state(now, Duration::ZERO).status.clone()).unwrap_or_default()
    }

    /// Whether a change set was not executed.
    pub(crate) fn has_open_set(&self) -> bool {
        self.sets.iter().any(|set| !set.executed && !set.deleted)
    }

    /// Tells events of an earlier operation, which has happened before anybody looks.
    pub(crate) fn with_history(mut self, said: &[ResourceEvent]) -> Self {
        let stack = self.stacks.last_mut().unwrap();
        let (.., last) = stack.events.pop().map(|(_, event)| (event,)).unwrap();
        stack.events.extend(said.iter().map(|said| (None, event(said, "before"))));
        stack.events.push((None, last));
        self
    }

    fn find(&self, name: &str, now: Instant) -> Option<usize> {
        match self.stacks.iter().position(|stack| stack.arn == name) {
            Some(at) => Some(at),
            None => {
                let there = |stack: &Stack| stack.state(now, Duration::ZERO).status != "DELETE_COMPLETE";
                self.stacks.iter().rposition(|stack| there(stack) && stack.arn.contains(&format!("/{name}/")))
            }
        }
    }

    /// Begins an operation that goes through these states.
    fn begin(&mut self, at: usize, token: &str, states: &[&str], change: impl Fn(&mut State, &str)) {
        let now = Instant::now();
        let stack = &mut self.stacks[at];
        // What was to come of an operation before comes no more.
        stack.states.retain(|(when, _)| when.is_none_or(|when| when <= now));
        stack.events.retain(|(when, _)| when.is_none_or(|when| when <= now));
        let mut state = stack.states.last().unwrap().1.clone();
        let states = &states[..self.waits_at.map_or(states.len(), |at| states.len().min(at + 1))];
        for (number, status) in (0..).zip(states) {
            let when = now + self.step * number;
            state.status = (*status).to_owned();
            change(&mut state, status);
            stack.states.push((Some(when), state.clone()));
            for said in self.said.iter().filter(|said| said.0 == number) {
                stack.events.push((Some(when), event(said, token)));
            }
            stack.events.push((Some(when), own(&stack.arn.clone(), status, token)));
        }
    }

    /// The deployment that waits is answered.
    pub(super) fn answered(&mut self, word: &str) {
        self.calls.push(format!("{word} hook-1"));
        self.waits_at = None;
        let status = self.truth();
        let states: &[&str] = match (status.as_str(), word) {
            ("UPDATE_IN_PROGRESS", "CONTINUE") => &["UPDATE_COMPLETE"],
            ("UPDATE_IN_PROGRESS", _) => &["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"],
            (other, _) => &[next(other).unwrap()],
        };
        let token = self.tokens.last().cloned().unwrap_or_default();
        self.begin(self.stacks.len() - 1, &token, states, |_, _| {});
    }

    /// Whether a call with this token was taken before.
    fn repeats(&mut self, call: &str, form: &Form) -> bool {
        let token = form.get("ClientRequestToken").cloned().unwrap_or_default();
        if self.tokens.contains(&token) {
            return true;
        }
        self.tokens.push(token);
        self.calls.push(call.to_owned());
        false
    }
}

impl Stack {
    fn state(&self, now: Instant, delay: Duration) -> &State {
        let shown = |(when, _): &&(Option<Instant>, State)| when.is_none_or(|when| when + delay <= now);
        &self.states.iter().rfind(shown).unwrap_or(&self.states[0]).1
    }
}

/// Where an operation that is under way ends.
fn next(status: &str) -> Option<&'static str> {
    Some(match status {
        "CREATE_IN_PROGRESS" => "CREATE_COMPLETE",
        "ROLLBACK_IN_PROGRESS" => "ROLLBACK_COMPLETE",
        "DELETE_IN_PROGRESS" => "DELETE_COMPLETE",
        "UPDATE_IN_PROGRESS" | "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS" => "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_IN_PROGRESS" | "UPDATE_ROLLBACK_COMPLETE_CLEANUP_IN_PROGRESS" => "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_IN_PROGRESS" => "IMPORT_COMPLETE",
        "IMPORT_ROLLBACK_IN_PROGRESS" => "IMPORT_ROLLBACK_COMPLETE",
        _ => return None,
    })
}

fn event((_, logical, kind, physical, status, reason): &ResourceEvent, token: &str) -> Event {
    let text = |text: &str| text.to_owned();
    let (logical, kind, physical) = (text(logical), text(kind), text(physical));
    Event { logical, kind, physical, status: text(status), reason: text(reason), token: text(token) }
}

fn own(arn: &str, status: &str, token: &str) -> Event {
    let text = |text: &str| text.to_owned();
    let logical = text("rest-api-dev");
    Event { logical, kind: text(OWN), physical: text(arn), status: text(status), reason: text(""), token: text(token) }
}

/// The answer to a call, where there is a timeline.
pub(super) fn query(world: &mut World, action: &str, form: &Form) -> Option<Answer> {
    let url = world.url.clone();
    let outputs = world.outputs.clone();
    let no_url = world.no_url;
    let timeline = world.timeline.as_mut()?;
    let now = Instant::now();
    let missing = Err(("ValidationError", "Stack with id rest-api-dev does not exist"));
    let name = form.get("StackName").cloned().unwrap_or_default();
    let at = timeline.find(&name, now);
    let busy = |timeline: &Timeline, at: usize| {
        let status = &timeline.stacks[at].state(now, Duration::ZERO).status;
        status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS"
    };
    let token = form.get("ClientRequestToken").cloned().unwrap_or_default();
    Some(match (action, at) {
        ("DescribeStackEvents", None) if timeline.nested.contains_key(name.as_str()) => nested(timeline, &name),
        ("CreateChangeSet", _) => create(timeline, at, form),
        ("DescribeStacks" | "GetTemplate" | "DescribeStackEvents" | "ListStackResources" | "DeleteStack", None) => {
            missing
        }
        ("DescribeStacks", Some(at)) => {
            if let Some(end) = timeline.then.take() {
                timeline.begin_later(at, end);
            }
            let (stack, by_arn) = (&timeline.stacks[at], name.starts_with("arn:"));
            let state = stack.state(now, timeline.state_delay);
            if state.status.is_empty() || (state.status == "DELETE_COMPLETE" && !by_arn) {
                return Some(missing);
            }
            let others = outputs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let url = [("ApiGatewayURL", url.as_str())].into_iter().filter(|_| !no_url);
            let own = (stack.arn.as_str(), "rest-api-dev", state.status.as_str());
            let outputs: Vec<_> = url.chain(others).collect();
            Ok(xml::stack(own, state.updated, timeline.protected, &state.parameters, &outputs, false))
        }
        ("DescribeStackEvents", Some(at)) => Ok(events(timeline, at, form)),
        ("GetTemplate", Some(at)) => {
            Ok(tag("TemplateBody", &escape(&timeline.stacks[at].state(now, Duration::ZERO).template)))
        }
        ("ListStackResources", _) => Ok(tag(
            "StackResourceSummaries",
            &timeline.resources.iter().copied().map(xml::resource).collect::<String>(),
        )),
        ("DescribeChangeSet", _) => describe_set(timeline, form),
        ("DeleteChangeSet", _) => {
            timeline.calls.push("DeleteChangeSet".to_owned());
            let set = timeline.sets.iter_mut().find(|set| set.is(&form["ChangeSetName"]));
            match set {
                Some(set) if set.executed => Err(("InvalidChangeSetStatus", "it was executed")),
                Some(set) => {
                    set.deleted = true;
                    Ok(String::new())
                }
                None => Err(("ChangeSetNotFound", "there is no such change set")),
            }
        }
        ("ExecuteChangeSet", _) => execute(world, form),
        ("DeleteStack", Some(_)) if timeline.protected => {
            Err(("ValidationError", "Stack [rest-api-dev] cannot be deleted while TerminationProtection is enabled"))
        }
        ("DeleteStack", Some(at)) => {
            if !timeline.repeats("DeleteStack", form) {
                let end = if timeline.end == End::Stuck { "DELETE_FAILED" } else { "DELETE_COMPLETE" };
                timeline.begin(at, &token, &["DELETE_IN_PROGRESS", end], |_, _| {});
            }
            Ok(String::new())
        }
        ("CancelUpdateStack", Some(at)) => {
            if timeline.stacks[at].state(now, Duration::ZERO).status != "UPDATE_IN_PROGRESS" {
                return Some(Err(("ValidationError", "CancelUpdateStack cannot be called from current stack status")));
            }
            timeline.repeats("CancelUpdateStack", form);
            let states = ["UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"];
            timeline.begin(at, &token, &states, |_, _| {});
            Ok(String::new())
        }
        ("ContinueUpdateRollback" | "RollbackStack", Some(at)) => {
            if busy(timeline, at) && !timeline.tokens.contains(&token) {
                return Some(Err(("ValidationError", "the stack is at work")));
            }
            let skip = form.get("ResourcesToSkip.member.1").map(|skip| format!(" {skip}")).unwrap_or_default();
            if !timeline.repeats(&format!("{action}{skip}"), form) {
                let end =
                    if timeline.end == End::Stuck { "UPDATE_ROLLBACK_FAILED" } else { "UPDATE_ROLLBACK_COMPLETE" };
                timeline.begin(at, &token, &["UPDATE_ROLLBACK_IN_PROGRESS", end], |_, _| {});
            }
            Ok(String::new())
        }
        _ => return None,
    })
}

impl Timeline {
    /// Ends what was under way at the first poll.
    fn begin_later(&mut self, at: usize, end: &'static str) {
        let when = Some(Instant::now() + self.step * 2);
        let stack = &mut self.stacks[at];
        let mut state = stack.states.last().unwrap().1.clone();
        (state.status, state.updated) = (end.to_owned(), state.updated + 1);
        stack.states.push((when, state));
        stack.events.push((when, own(&stack.arn.clone(), end, "before")));
    }
}

impl Set {
    fn is(&self, name: &str) -> bool {
        name == self.name || name == self.arn()
    }

    fn arn(&self) -> String {
        format!("arn:aws:cloudformation:eu-central-1:111122223333:changeSet/{}/1", self.name)
    }
}

fn create(timeline: &mut Timeline, at: Option<usize>, form: &Form) -> Answer {
    let (now, name) = (Instant::now(), form["ChangeSetName"].clone());
    if timeline.sets.iter().any(|set| set.is(&name)) {
        return Err(("AlreadyExistsException", "there is one of that name"));
    }
    let kind = form["ChangeSetType"].as_str();
    let status = at.map(|at| timeline.stacks[at].state(now, Duration::ZERO).status.clone());
    let at = match (kind, at, status.as_deref()) {
        ("CREATE", Some(at), Some("REVIEW_IN_PROGRESS")) => at,
        ("CREATE", None, _) => {
            let arn = STACK.trim_end_matches('1').to_owned() + &(timeline.stacks.len() + 1).to_string();
            let state = State { status: "REVIEW_IN_PROGRESS".to_owned(), ..State::default() };
            let event = own(&arn, "REVIEW_IN_PROGRESS", &name);
            let hidden = (None, State::default());
            let states = vec![hidden, (Some(now), state)];
            timeline.stacks.push(Stack { arn, states, events: vec![(Some(now), event)] });
            timeline.stacks.len() - 1
        }
        ("CREATE", ..) => return Err(("ValidationError", "Stack [rest-api-dev] already exists")),
        (_, None, _) => return Err(("ValidationError", "Stack [rest-api-dev] does not exist")),
        (_, Some(_), Some(status)) if status.ends_with("_IN_PROGRESS") || !status.ends_with("_COMPLETE") => {
            return Err(("ValidationError", "the stack is in a state in which it cannot be updated"));
        }
        (_, Some(at), _) => at,
    };
    let before = timeline.stacks[at].states.last().unwrap().1.parameters.clone();
    let (template, parameters) = (form["TemplateBody"].clone(), parameters(form, &before));
    timeline.calls.push(format!("CreateChangeSet {kind}"));
    let set =
        Set { name, made: now, stack: at, template, parameters, executed: false, obsolete: false, deleted: false };
    let answer = tags(&[("Id", &set.arn()), ("StackId", &timeline.stacks[at].arn)]);
    timeline.sets.push(set);
    Ok(answer)
}

fn describe_set(timeline: &Timeline, form: &Form) -> Answer {
    let Some(set) = timeline.sets.iter().find(|set| set.is(&form["ChangeSetName"]) && !set.deleted) else {
        return Err(("ChangeSetNotFound", "ChangeSet [it] does not exist"));
    };
    if set.made.elapsed() < timeline.set_shown_after {
        return Err(("ChangeSetNotFound", "ChangeSet [it] does not exist"));
    }
    let id = [("ChangeSetId", set.arn()), ("StackId", timeline.stacks[set.stack].arn.clone())];
    let id = id.iter().map(|(name, text)| tag(name, text)).collect::<String>();
    let (status, execution) = match (set.made.elapsed() < timeline.set_ready_after, timeline.refusal) {
        (true, _) => ("CREATE_PENDING", "UNAVAILABLE"),
        (false, Some(reason)) => {
            let failed = tags(&[("Status", "FAILED"), ("StatusReason", reason), ("ExecutionStatus", "UNAVAILABLE")]);
            return Ok(id + &failed);
        }
        (false, None) if set.executed => ("CREATE_COMPLETE", "EXECUTE_COMPLETE"),
        (false, None) if set.obsolete => ("CREATE_COMPLETE", "OBSOLETE"),
        (false, None) => ("CREATE_COMPLETE", "AVAILABLE"),
    };
    let change = tags(&[
        ("Action", "Modify"),
        ("LogicalResourceId", "Gateway"),
        ("ResourceType", timeline.changed.0),
        ("Replacement", timeline.changed.1),
    ]);
    let change = tag("Type", "Resource") + &tag("ResourceChange", &change);
    Ok(id
        + &tags(&[("Status", status), ("ExecutionStatus", execution)])
        + &xml::parameters(&set.parameters)
        + &tag("Changes", &tag("member", &change)))
}

fn execute(world: &mut World, form: &Form) -> Answer {
    let timeline = world.timeline.as_mut().expect("it was asked for its answer");
    let token = form.get("ClientRequestToken").cloned().unwrap_or_default();
    if timeline.tokens.contains(&token) {
        return Ok(String::new());
    }
    let Some(set) = timeline.sets.iter().position(|set| set.is(&form["ChangeSetName"]) && !set.deleted) else {
        return Err(("ChangeSetNotFound", "ChangeSet [it] does not exist"));
    };
    if let Some(refusal) = timeline.refused {
        if timeline.is_taken {
            let stack = timeline.sets[set].stack;
            timeline.begin(stack, "another", &["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE"], |state, _| state.updated += 1);
        }
        return Err(refusal);
    }
    if timeline.sets[set].executed || timeline.sets[set].obsolete {
        return Err(("InvalidChangeSetStatus", "it cannot be executed in its current status"));
    }
    timeline.repeats(&format!("ExecuteChangeSet DisableRollback={}", form["DisableRollback"]), form);
    timeline.sets[set].executed = true;
    let Set { stack, ref template, ref parameters, .. } = timeline.sets[set];
    let (template, parameters) = (template.clone(), parameters.clone());
    let first = timeline.stacks[stack].states.last().unwrap().1.status == "REVIEW_IN_PROGRESS";
    let states: &[&str] = match (first, timeline.end) {
        (true, End::Done) => &["CREATE_IN_PROGRESS", "CREATE_COMPLETE"],
        (true, _) => &["CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS", "ROLLBACK_COMPLETE"],
        (false, End::Done) => &["UPDATE_IN_PROGRESS", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "UPDATE_COMPLETE"],
        (false, End::RolledBack) => &["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_COMPLETE"],
        (false, End::Stuck) => &["UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", "UPDATE_ROLLBACK_FAILED"],
        (false, End::Deleted) => &["UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS", "DELETE_COMPLETE"],
    };
    let before = timeline.stacks[stack].states.last().unwrap().1.clone();
    let updated = before.updated + 1;
    if timeline.end == End::Done {
        let image = parameters.get("ContainerURI").and_then(|image| image.split_once('@'));
        world.serves = image.map(|(_, digest)| digest.to_owned());
    }
    timeline.begin(stack, &token, states, move |state, status| {
        state.updated = updated;
        let back = status.contains("ROLLBACK") && !first;
        (state.template, state.parameters) = if back {
            (before.template.clone(), before.parameters.clone())
        } else {
            (template.clone(), parameters.clone())
        };
    });
    Ok(String::new())
}

/// Newest first, in pages that are counted from the newest: what happens meanwhile moves all others on.
fn events(timeline: &mut Timeline, at: usize, form: &Form) -> String {
    let (now, delay) = (Instant::now(), timeline.events_delay);
    let stack = &mut timeline.stacks[at];
    let skip: usize = form.get("NextToken").and_then(|token| token.parse().ok()).unwrap_or_default();
    let is_shown = |when: &Option<Instant>| when.is_none_or(|when| when + delay <= now);
    let shown: Vec<_> = (0..).zip(&stack.events).filter(|(_, (when, _))| is_shown(when)).collect();
    let page: String =
        shown.iter().rev().skip(skip).take(timeline.page).map(|(id, (_, event))| member(event, *id)).collect();
    let next = (shown.len() > skip + timeline.page).then(|| tag("NextToken", &(skip + timeline.page).to_string()));
    if next.is_some() && timeline.between_pages > 0 {
        timeline.between_pages -= 1;
        let number = stack.events.len();
        let said = event(&(0, "Meanwhile", "AWS::Any::Thing", "", "UPDATE_COMPLETE", ""), "before");
        stack.events.push((Some(now - delay), Event { logical: format!("Meanwhile{number}"), ..said }));
    }
    tag("StackEvents", &page) + &next.unwrap_or_default()
}

fn nested(timeline: &Timeline, arn: &str) -> Answer {
    let said = &timeline.nested[arn];
    let members: Vec<String> = (0..).zip(said).map(|(id, said)| member(&event(said, "before"), 1000 + id)).collect();
    Ok(tag("StackEvents", &members.into_iter().rev().collect::<String>()))
}

fn member(event: &Event, id: i64) -> String {
    let seconds = 5 + id;
    tag(
        "member",
        &tags(&[
            ("EventId", &format!("event-{id}")),
            ("StackId", STACK),
            ("StackName", "rest-api-dev"),
            ("LogicalResourceId", &event.logical),
            ("PhysicalResourceId", &event.physical),
            ("ResourceType", &event.kind),
            ("ResourceStatus", &event.status),
            ("ResourceStatusReason", &escape(&event.reason)),
            ("ClientRequestToken", &event.token),
            ("Timestamp", &format!("2026-01-02T03:{:02}:{:02}Z", 4 + seconds / 60 % 50, seconds % 60)),
        ]),
    )
}
