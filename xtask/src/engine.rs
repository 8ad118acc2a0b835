//! One operation on a stack, from the observation to the record:
//! observe → desired → plan → consent → apply → verify → record.
//!
//! `release`, `deploy`, `rollback`, `apply`, `bootstrap` and stacks without an image differ in what they desire and in what
//! they have of [`ReleaseOptions`]; from there on they are the same.

pub(crate) mod admission;
mod apply;
pub(crate) mod back;
pub(crate) mod before;
pub(crate) mod bucket;
pub(crate) mod conclusion;
pub(crate) mod consent;
pub(crate) mod desired;
mod gate;
pub(crate) mod observe;
pub(crate) mod plan;
pub(crate) mod plan_file;
mod realign;
mod record;
mod settle;
pub(crate) mod turn_back;
pub(crate) mod verify;
mod weights;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use aws::Clients;
use aws::journal::lock::{self, Holder, Lock};
use model::job;
use model::outcome::{Exit, Failure, FailureKind};
use model::record::Change;
use model::reference::ImageReference;
use model::report::Smoke;
use model::stack::Stack;

use crate::diagnose;
use crate::session::{Session, token};
use desired::Desired;
use local::cli::{Conduct, Proof};
use local::smoke;
use local::ui::{Phase, Ui};
use observe::{Observed, is_recorded, observe, observe_stack};
use plan::{PricedProposal, Proposal};
use verify::{Access, VerifyOptions};

/// How long a deployed endpoint may take to be right: a gateway spreads changes within a minute or so.
const TIMEOUT: Duration = Duration::from_secs(180);
/// After a change, old and new may serve side by side for a moment.
const SPACING: Duration = Duration::from_millis(400);

/// A change of an environment's stack.
pub(crate) struct Operation<'a> {
    pub(crate) session: &'a Session<'a>,
    pub(crate) desired: Desired<'a>,
    pub(crate) conduct: &'a Conduct,
    /// What is asked before anything changes; `None` asks nothing.
    pub(crate) question: Option<String>,
    /// Whether it follows a reviewed plan: then nothing else may be changed on the way.
    pub(crate) planned: bool,
    /// What an operation with an image has besides: a lock, a journal, and a proof. `None` for a stack that runs none:
    /// CloudFormation refuses a second update, and its own rollback is the way back.
    pub(crate) release: Option<ReleaseOptions<'a>>,
}

/// The release that an operation makes.
pub(crate) struct ReleaseOptions<'a> {
    pub(crate) proof: &'a Proof,
    /// What other commands show while the environment is locked.
    pub(crate) doing: String,
    pub(crate) commit: Option<String>,
    /// The number of the release that this goes back to.
    pub(crate) back_to: Option<i64>,
    /// The command that runs before a new task serves; empty for none.
    pub(crate) before: &'a [String],
    /// Whether what could not be proved stays, instead of the release before it coming back.
    pub(crate) keep_failed: bool,
}

/// Up to how many new outputs are shown.
const SHOWN_OUTPUTS: usize = 3;

impl<'a> Operation<'a> {
    /// Brings the stack to what is desired, proves it and records it; nothing is changed where it is so already. Returns
    /// the stack as it is then.
    ///
    /// # Errors
    /// A refusal, a declined question, a stack that failed, or an endpoint that is not right: with what became of it.
    pub(crate) async fn run(&mut self, observed: &Observed) -> Result<Stack> {
        self.note_image();
        // Compiling may have taken long.
        let observed = self.fresh(observed).await?;
        if self.is_current(&observed).await? {
            self.ui().phase("stack").skipped(&format!("{} is already current", self.stack_name()));
            return self.stay(&observed).await;
        }
        if !self.planned {
            self.admit().await?;
        }
        let phase = self.ui().phase("stack");
        let lock = self.lock(&phase).await?;
        let result = self.change(lock.as_deref(), observed, phase).await;
        self.give_back(lock).await;
        result
    }

    /// Proves and records an environment in which nothing is to be changed.
    ///
    /// # Errors
    /// As for [`Operation::run`].
    pub(crate) async fn confirm(&self, observed: &Observed) -> Result<Stack> {
        self.note_image();
        self.ui().phase("stack").skipped(&format!("{} is as planned", self.stack_name()));
        self.stay(observed).await
    }

    /// Carries out a proposal that was made earlier, unless the stack has changed since it was compared with the plan.
    ///
    /// # Errors
    /// As for [`Operation::run`].
    pub(crate) async fn carry_out(&mut self, observed: &Observed, proposal: &Proposal) -> Result<Stack> {
        self.note_image();
        self.admit().await?;
        let phase = self.ui().phase("stack");
        let lock = self.lock(&phase).await?;
        let result = self.as_planned(lock.as_deref(), observed, proposal, phase).await;
        self.give_back(lock).await;
        result
    }

    /// What a dry run says of a stack without an image. `parts` are lines of the caller's own. The stack, where nothing
    /// would change.
    ///
    /// # Errors
    /// A refused or lost call.
    pub(crate) async fn dry_run(&self, observed: &Observed, parts: Vec<String>) -> Result<Option<Stack>> {
        if self.is_current(observed).await? {
            self.ui().phase("stack").skipped(&format!("{} is already current", self.stack_name()));
            self.ui().note(|report| report.change = Some(Change::None));
            return Ok(observed.stack.clone());
        }
        let verb = if observed.settled().is_some() { "update" } else { "create" };
        let mut steps = vec![format!("{verb} stack {} of {}", self.stack_name(), self.desired.environment.template)];
        steps.extend(bucket::upload_step(self.session, &self.desired.template));
        steps.extend(parts);
        self.ui().result(&steps.join("\n"));
        self.ui().note(|report| report.plan.get_or_insert_default().extend(steps));
        Ok(None)
    }

    fn ui(&self) -> &'a Ui {
        self.session.ui
    }

    fn clients(&self) -> &'a Clients {
        &self.session.clients
    }

    fn stack_name(&self) -> &str {
        &self.desired.environment.stack
    }

    fn note_image(&self) {
        if let Some(image) = &self.desired.image {
            self.ui().note(|report| {
                report.image = Some(image.to_string());
                report.digest = image.digest.as_ref().map(ToString::to_string);
            });
        }
    }

    /// What was observed, or what is observed now where that is too long ago.
    async fn fresh(&mut self, observed: &Observed) -> Result<Observed> {
        if !observed.is_old() {
            return Ok(observed.clone());
        }
        let again = async {
            if self.release.is_some() {
                return observe(self.clients(), self.desired.environment).await;
            }
            observe_stack(self.clients(), self.desired.environment).await
        };
        let now = self.session.context.interrupt.or(again).await?;
        if now.stack != observed.stack {
            self.desired.observe(now.stack.as_ref());
        }
        Ok(now)
    }

    /// Whether the stack already is what is desired: parameters and template are the same.
    ///
    /// # Errors
    /// A refused or lost call, or an interruption.
    pub(crate) async fn is_current(&self, observed: &Observed) -> Result<bool> {
        let Desired { environment, template, .. } = &self.desired;
        let Some(stack) = observed.settled() else { return Ok(false) };
        if template.is_dynamic || !self.desired.has_parameters(stack) {
            return Ok(false);
        }
        if is_recorded(environment, observed, template) {
            return Ok(true);
        }
        let body = aws::stack::template_body(&self.clients().cloudformation, &stack.name);
        Ok(template.has_text(&self.session.context.interrupt.or(body).await?))
    }

    async fn lock(&self, phase: &Phase<'_>) -> Result<Option<Arc<Lock>>> {
        let Some(release) = &self.release else { return Ok(None) };
        let context = self.session.context;
        let run = job::run_url(&context.vars);
        let (by, commit) = (&self.session.identity.arn, release.commit.as_deref());
        let holder = Holder::this_run(&token(), by, &release.doing, commit, run.as_deref());
        let report = |step: model::progress::Progress<'_>| phase.report(step);
        let (client, environment) = (&self.clients().ssm, self.desired.environment);
        let take = context.locks.take(client, environment, holder, self.conduct.wait, &report);
        context.interrupt.or(take).await.map(Some)
    }

    async fn give_back(&self, lock: Option<Arc<Lock>>) {
        if let Some(lock) = lock {
            self.session.context.locks.give_back(&lock).await;
        }
    }

    /// Under the lock: executes a plan, unless the stack has changed since it was compared.
    async fn as_planned(
        &mut self,
        lock: Option<&Lock>,
        compared: &Observed,
        proposal: &Proposal,
        phase: Phase<'_>,
    ) -> Result<Stack> {
        let observed = self.fresh(compared).await?;
        let state = |seen: &Observed| seen.stack.as_ref().map(|stack| (stack.status.clone(), stack.updated.clone()));
        if state(&observed) != state(compared) {
            let moved = ["the stack was changed while this command waited".to_owned()];
            return Err(plan_file::refusal(self.desired.environment, &moved).into());
        }
        let stack = self.carry(lock, &observed, proposal, phase).await?;
        self.result(&stack)?;
        Ok(stack)
    }

    /// Under the lock: plan, ask, apply.
    async fn change(&mut self, lock: Option<&Lock>, observed: Observed, phase: Phase<'_>) -> Result<Stack> {
        let old = observed.is_old();
        let observed = self.fresh(&observed).await?;
        let settled = self.settle(&observed, !self.planned, true).await?;
        // Somebody else's change, or one of ours that was interrupted, may have come to its end.
        if (old || settled.stack != observed.stack) && self.is_current(&settled).await? {
            phase.skipped(&format!("{} is current by now", self.stack_name()));
            return self.stay(&settled).await;
        }
        if self.planned {
            let moved = ["what was under way has not brought the stack to it".to_owned()];
            return Err(plan_file::refusal(self.desired.environment, &moved).into());
        }
        let Some(PricedProposal { proposal, cost, eta }) = self.plan(&settled, &phase).await? else {
            if settled.stack.is_none() {
                let message = "CloudFormation finds nothing to create";
                let failure = Failure::new(Exit::Failed, FailureKind::ChangeSet, message);
                return Err(failure.resource(format!("stack {}", self.stack_name())).into());
            }
            phase.skipped(&format!("{} is already current", self.stack_name()));
            return self.stay(&settled).await;
        };
        self.ui().note(|report| (report.cost, report.eta) = (cost, eta));
        let consent = consent::consent(self.question.as_deref(), self.desired.environment, self.ui());
        if let Err(error) = self.session.context.interrupt.or(consent).await {
            proposal.abandon(&self.clients().cloudformation).await;
            return Err(error);
        }
        let stack = self.carry(lock, &settled, &proposal, phase).await?;
        self.result(&stack)?;
        Ok(stack)
    }

    /// Under the lock: execute, prove, record; what is not proved is taken back.
    async fn carry(
        &self,
        lock: Option<&Lock>,
        observed: &Observed,
        proposal: &Proposal,
        phase: Phase<'_>,
    ) -> Result<Stack> {
        if let Some(lock) = lock
            && let Err(error) = self.session.context.interrupt.or(lock.check(&|step| phase.report(step))).await
        {
            proposal.abandon(&self.clients().cloudformation).await;
            return Err(error);
        }
        let again;
        let proposal = match &proposal.realign {
            None => proposal,
            Some(realign) => {
                again = Box::pin(self.realign(observed, proposal, realign, &phase)).await?;
                &again
            }
        };
        self.ui().note(|report| report.changes = Some(proposal.set.changes.clone()));
        let change = if proposal.create { Change::Create } else { Change::Update };
        let prepared;
        let proposal = match self.command_before() {
            None => proposal,
            Some(words) => {
                prepared = Box::pin(self.after_command(words, lock, observed, proposal, &phase)).await?;
                &prepared
            }
        };
        let begun = Instant::now();
        let executed = self.execute(proposal, phase).await;
        let seconds = begun.elapsed().as_secs_f64();
        let stack = match executed {
            Ok(stack) => stack,
            Err(error) => {
                self.record_failure(change, seconds, observed, &error).await;
                return Err(error);
            }
        };
        self.show(&stack, change, observed.settled());
        let before = observed.stack.as_ref().and_then(|stack| stack.image(self.desired.environment));
        if let Err(error) = self.prove(&stack, SPACING, before).await {
            let failure = Failure::of(&error);
            let before = self.before(observed, &failure).await;
            self.record_failure(change, seconds, observed, &error).await;
            let (Some(before), Some(lock)) = (before, lock) else { return Err(error) };
            return Err(self.take_back(lock, &before, failure).await);
        }
        self.record(observed, &stack, change, seconds).await?;
        Ok(stack)
    }

    /// Runs the command before the release; returns the proposal with which it goes on, still under the lock.
    async fn after_command(
        &self,
        words: &[String],
        lock: Option<&Lock>,
        observed: &Observed,
        proposal: &Proposal,
        phase: &Phase<'_>,
    ) -> Result<Proposal> {
        let (change, begun) = (if proposal.create { Change::Create } else { Change::Update }, Instant::now());
        let next = match self.run_before(words, observed, proposal, phase).await {
            Ok(next) => next,
            Err(error) => {
                self.record_failure(change, begun.elapsed().as_secs_f64(), observed, &error).await;
                return Err(error);
            }
        };
        let Some(lock) = lock else { return Ok(next) };
        // It may have taken long.
        match self.session.context.interrupt.or(lock.check(&|step| phase.report(step))).await {
            Ok(()) => Ok(next),
            Err(error) => {
                next.abandon(&self.clients().cloudformation).await;
                Err(error)
            }
        }
    }

    /// Nothing to deploy: proves what runs, and records it if that was not done yet.
    async fn stay(&self, observed: &Observed) -> Result<Stack> {
        let stack = observed.stack.as_ref().expect("a stack that is current exists");
        if self.release.is_none() {
            self.ui().note(|report| report.change = Some(Change::None));
            return Ok(stack.clone());
        }
        self.show(stack, Change::None, Some(stack));
        self.ui().line("nothing to deploy: the stack is already current");
        self.prove(stack, Duration::ZERO, None).await?;
        let recorded = is_recorded(self.desired.environment, observed, &self.desired.template);
        // A run that changes it right now records it.
        let busy = observed.remembered.lock.as_ref().is_some_and(|held| held.is_alive());
        if !recorded && !busy {
            self.record(observed, stack, Change::None, 0.0).await?;
        }
        if let Some(dead) = observed.remembered.lock.as_ref().filter(|_| !busy) {
            let remove = lock::remove(&self.clients().ssm, &stack.name, dead, false);
            self.session.context.interrupt.or(remove).await?;
        }
        self.result(stack)?;
        Ok(stack.clone())
    }

    /// Shows the outputs that are not as `before`; many of them only with `--verbose`.
    fn show(&self, stack: &Stack, change: Change, before: Option<&Stack>) {
        self.ui().note(|report| report.change = Some(change));
        if self.release.is_none() {
            return;
        }
        self.ui().note(|report| report.outputs = Some(stack.outputs.clone()));
        let is_new = |name: &String, value: &String| before.and_then(|stack| stack.outputs.get(name)) != Some(value);
        let new = stack.outputs.iter().filter(|(name, value)| is_new(name, value)).count();
        for (name, value) in &stack.outputs {
            let line = format!("   {name} = {value}");
            if is_new(name, value) && new <= SHOWN_OUTPUTS { self.ui().line(&line) } else { self.ui().detail(&line) }
        }
        if new > SHOWN_OUTPUTS {
            let environment = &self.desired.environment.name;
            self.ui().line(&format!("   {new} new outputs; cargo xtask status {environment} shows them"));
        }
    }

    async fn prove(&self, stack: &Stack, spacing: Duration, before: Option<ImageReference>) -> Result<()> {
        let (Some(ReleaseOptions { proof, back_to, .. }), Some(image)) = (&self.release, &self.desired.image) else {
            return Ok(());
        };
        let (context, clients, ui) = (self.session.context, self.clients(), self.ui());
        let Desired { environment, template, .. } = &self.desired;
        let base = verify::base_url(environment, stack, proof.smoke_url.as_deref());
        if let Ok(base) = &base {
            ui.note(|report| report.url = Some(smoke::shown_url(base)));
        }
        if proof.no_smoke {
            return Ok(());
        }
        let base = base?;
        let before = before.and_then(|image| image.digest);
        let options = VerifyOptions {
            timeout: TIMEOUT,
            spacing,
            exit: Exit::NeedsHuman,
            before,
            retries_connections: true,
            is_back: back_to.is_some(),
        };
        let access = Access::Stack(clients, environment, stack);
        let proved = async {
            tokio::select! {
                proved = verify::prove(context, base, access, image.digest.clone(), options, ui) => proved,
                // A service that does not stay up need not be asked for minutes.
                failure = diagnose::crash(clients, environment, template, stack, ui) => {
                    let smoke = Smoke { status: "not-answering", served_digest: None };
                    ui.note(|report| report.smoke = Some(smoke));
                    Err(failure.into())
                }
            }
        };
        context.interrupt.or(proved).await
    }

    /// Prints where the release answers.
    fn result(&self, stack: &Stack) -> Result<()> {
        let Some(ReleaseOptions { proof, .. }) = &self.release else { return Ok(()) };
        match verify::base_url(self.desired.environment, stack, proof.smoke_url.as_deref()) {
            Ok(base) => self.ui().result(&smoke::shown_url(&base)),
            // Without a smoke test no URL is needed.
            Err(_) if proof.no_smoke => self.ui().result(&format!("stack {} is {}", stack.name, stack.status)),
            Err(failure) => return Err(failure.into()),
        }
        Ok(())
    }
}
