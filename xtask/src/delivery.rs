//! One change of an environment, from the look to the record: plan, confirm, apply.
//!
//! `release`, `deploy`, `rollback` and `apply` differ in what they want; from there on they are the same.

pub(crate) mod admission;
pub(crate) mod back;
mod log;
pub(crate) mod plan_file;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::cli::{Conduct, Proof};
use crate::context::Context;
use crate::diagnose;
use crate::preflight::Ready;
use crate::proof;
use crate::proof::{Door, Manner};
use crate::rollout;
use crate::rollout::{Asker, Manners, Outlook, Proposal, Seen, Wanted};
use crate::ui::{Phase, Ui};
use aws::journal::Remembered;
use aws::journal::lock;
use aws::journal::lock::{Holder, Lock};
use model::outcome::{Exit, Failure};
use model::progress::Progress;
use model::record::Change;
use model::reference::{Digest, ImageReference};
use model::report::Smoke;
use model::stack::Stack;

/// How long a deployed endpoint may take to be right: a gateway spreads changes within a minute or so.
const PATIENCE: Duration = Duration::from_secs(180);
/// After a change, old and new may serve side by side for a moment.
const SPACING: Duration = Duration::from_millis(400);

/// A change that somebody wants.
pub(crate) struct Delivery<'a> {
    pub(crate) context: &'a Context,
    pub(crate) ready: &'a Ready,
    pub(crate) wanted: Wanted<'a>,
    pub(crate) proof: &'a Proof,
    pub(crate) conduct: &'a Conduct,
    /// What others are told who find the environment locked.
    pub(crate) doing: String,
    pub(crate) commit: Option<String>,
    /// The number of the release that this goes back to.
    pub(crate) back_to: Option<i64>,
    /// Whether what could not be proved stays, instead of the release before it coming back.
    pub(crate) keep_failed: bool,
    /// Whether it follows a reviewed plan: then nothing else may be changed on the way.
    pub(crate) planned: bool,
    pub(crate) ui: &'a Ui,
}

/// Brings the environment to what is wanted, proves it and records it; nothing is changed where it is so already.
///
/// # Errors
/// A refusal, a declined question, a stack that failed, or an endpoint that is not right: with what became of it.
pub(crate) async fn deliver(delivery: &Delivery<'_>) -> Result<()> {
    let Delivery { context, ready, wanted, ui, .. } = delivery;
    delivery.note();
    // Compiling may have taken long.
    let seen = delivery.fresh(&ready.seen).await?;
    if context.interrupt.or(rollout::is_current(&ready.clients, wanted, &seen)).await? {
        ui.phase("stack").skipped(&format!("{} is already current", wanted.environment.stack));
        return delivery.stay(&seen).await;
    }
    if !delivery.planned {
        delivery.admit().await?;
    }
    let phase = ui.phase("stack");
    let lock = delivery.lock(&phase).await?;
    let result = delivery.change(&lock, seen, phase).await;
    context.locks.give_back(&lock).await;
    result
}

/// Proves and records an environment in which nothing is to be changed.
///
/// # Errors
/// As for [`deliver`].
pub(crate) async fn confirm(delivery: &Delivery<'_>) -> Result<()> {
    delivery.note();
    delivery.ui.phase("stack").skipped(&format!("{} is as planned", delivery.wanted.environment.stack));
    delivery.stay(&delivery.ready.seen).await
}

/// Carries out a proposal that was made earlier.
///
/// # Errors
/// As for [`deliver`].
pub(crate) async fn carry_out(delivery: &Delivery<'_>, proposal: &Proposal) -> Result<()> {
    delivery.note();
    delivery.admit().await?;
    let phase = delivery.ui.phase("stack");
    let lock = delivery.lock(&phase).await?;
    let result = delivery.as_planned(&lock, proposal, phase).await;
    delivery.context.locks.give_back(&lock).await;
    result
}

impl Delivery<'_> {
    fn note(&self) {
        let image = &self.wanted.image;
        self.context.report(|report| {
            report.image = Some(image.to_string());
            report.digest = image.digest.as_ref().map(ToString::to_string);
        });
    }

    async fn lock(&self, phase: &Phase<'_>) -> Result<Arc<Lock>> {
        let run = model::job::run_url(&self.context.vars);
        let commit = self.commit.as_deref();
        let by = &self.ready.identity.arn;
        let holder = Holder::this_run(&rollout::token(), by, &self.doing, commit, run.as_deref());
        let (client, environment) = (&self.ready.clients.ssm, self.wanted.environment);
        let report = |step: Progress<'_>| phase.report(step);
        let take = self.context.locks.take(client, environment, holder, self.conduct.wait, &report);
        self.context.interrupt.or(take).await
    }

    fn asker(&self) -> Asker<'_> {
        Asker { context: self.context, wanted: &self.wanted, proof: self.proof }
    }

    /// What was seen, or what is seen now where that is too long ago.
    async fn fresh(&self, seen: &Seen) -> Result<Seen> {
        if !seen.is_old() {
            return Ok(seen.clone());
        }
        self.context.interrupt.or(rollout::look(&self.ready.clients, self.wanted.environment)).await
    }

    /// Under the lock: executes a plan, unless somebody was there since it was compared.
    async fn as_planned(&self, lock: &Lock, proposal: &Proposal, phase: Phase<'_>) -> Result<()> {
        let seen = self.fresh(&self.ready.seen).await?;
        let state = |seen: &Seen| seen.stack.as_ref().map(|stack| (stack.status.clone(), stack.updated.clone()));
        if state(&seen) != state(&self.ready.seen) {
            let moved = ["the stack was changed while this command waited".to_owned()];
            return Err(plan_file::refusal(self.wanted.environment, &moved).into());
        }
        self.apply(lock, &seen, proposal, phase).await
    }

    /// Under the lock: settle, propose, ask, apply.
    async fn change(&self, lock: &Lock, seen: Seen, phase: Phase<'_>) -> Result<()> {
        let Self { context, ready, wanted, conduct, ui, .. } = self;
        let clients = &ready.clients;
        let old = seen.is_old();
        let seen = self.fresh(&seen).await?;
        let follow = !conduct.no_follow;
        let manners = Manners { follow, recreate: !self.planned, allow: &conduct.allow, asker: Some(self.asker()) };
        let found = seen.stack.clone();
        let before = rollout::settle(context, clients, wanted.environment, found, manners, ui).await?;
        // The lock that may be seen is our own.
        let remembered = Remembered { lock: None, ..seen.remembered.clone() };
        let settled = seen.with(before.clone(), remembered);
        // Somebody else's change, or one of ours that was interrupted, may have come to its end.
        if (old || before != seen.stack) && context.interrupt.or(rollout::is_current(clients, wanted, &settled)).await?
        {
            phase.skipped(&format!("{} is current by now", wanted.environment.stack));
            return self.stay(&settled).await;
        }
        if self.planned {
            let moved = ["what was under way has not brought the stack to it".to_owned()];
            return Err(plan_file::refusal(wanted.environment, &moved).into());
        }
        let wish = wanted.wish(before, &conduct.allow);
        let Some(proposal) = rollout::propose(context, clients, wish, &phase, ui).await? else {
            phase.skipped(&format!("{} is already current", wanted.environment.stack));
            return self.stay(&settled).await;
        };
        let outlook = Outlook::of(clients, wanted, &proposal, &settled).await;
        outlook.show(&phase);
        context.report(|report| {
            report.cost = outlook.cost;
            report.eta = outlook.eta;
        });
        if let Err(error) = context.interrupt.or(rollout::consent(wanted.environment, ui)).await {
            proposal.abandon(&clients.cloudformation).await;
            return Err(error);
        }
        self.apply(lock, &settled, &proposal, phase).await
    }

    /// Under the lock: execute, prove, record, and say where it answers.
    async fn apply(&self, lock: &Lock, seen: &Seen, proposal: &Proposal, phase: Phase<'_>) -> Result<()> {
        let stack = self.carry(lock, seen, proposal, phase).await?;
        self.result(&stack)
    }

    /// Under the lock: execute, prove, record; what is not proved is taken back.
    async fn carry(&self, lock: &Lock, seen: &Seen, proposal: &Proposal, phase: Phase<'_>) -> Result<Stack> {
        let Self { ready, ui, .. } = self;
        if let Err(error) = self.context.interrupt.or(lock.check(&|step| phase.report(step))).await {
            proposal.abandon(&ready.clients.cloudformation).await;
            return Err(error);
        }
        self.context.report(|report| report.changes = Some(proposal.set.changes.clone()));
        let change = if proposal.create { Change::Create } else { Change::Update };
        let begun = Instant::now();
        let executed = rollout::execute(self.asker(), &ready.clients, proposal, phase, ui).await;
        let seconds = begun.elapsed().as_secs_f64();
        let stack = match executed {
            Ok(stack) => stack,
            Err(error) => {
                self.record_failure(change, seconds, &error).await;
                return Err(error);
            }
        };
        self.show(&stack, change);
        let before = seen.stack.as_ref().and_then(Stack::container_uri);
        let before = before.and_then(|image| image.parse::<ImageReference>().ok()?.digest);
        if let Err(error) = self.prove(&stack, SPACING, before).await {
            let failure = Failure::of(&error);
            let before = self.before(seen, &failure).await;
            self.record_failure(change, seconds, &error).await;
            let Some(before) = before else { return Err(error) };
            return Err(self.take_back(lock, &before, failure).await);
        }
        self.record(seen, &stack, change, seconds).await?;
        Ok(stack)
    }

    /// Nothing to deploy: proves what runs, and records it if that was not done yet.
    async fn stay(&self, seen: &Seen) -> Result<()> {
        let stack = seen.stack.as_ref().expect("a stack that is current exists");
        self.show(stack, Change::None);
        self.ui.line("nothing to deploy: the stack is already current");
        self.prove(stack, Duration::ZERO, None).await?;
        let recorded = rollout::is_recorded(seen, &self.wanted.template);
        // Whoever changes it right now records it.
        let busy = seen.remembered.lock.as_ref().is_some_and(|held| held.is_alive());
        if !recorded && !busy {
            self.record(seen, stack, Change::None, 0.0).await?;
        }
        if let Some(dead) = seen.remembered.lock.as_ref().filter(|_| !busy) {
            self.context.interrupt.or(lock::remove(&self.ready.clients.ssm, &stack.name, dead, false)).await?;
        }
        self.result(stack)
    }

    fn show(&self, stack: &Stack, change: Change) {
        self.context.report(|report| {
            report.change = Some(change);
            report.outputs = Some(stack.outputs.clone());
        });
        for (name, value) in &stack.outputs {
            self.ui.line(&format!("   {name} = {value}"));
        }
    }

    async fn prove(&self, stack: &Stack, spacing: Duration, before: Option<Digest>) -> Result<()> {
        let base = proof::base_url(self.wanted.environment, stack, self.proof.smoke_url.as_deref());
        if let Ok(base) = &base {
            self.context.report(|report| report.url = Some(proof::shown(base)));
        }
        if self.proof.no_smoke {
            return Ok(());
        }
        let base = base?;
        let manner = Manner { patience: PATIENCE, spacing, exit: Exit::NeedsHuman, before };
        let digest = self.wanted.image.digest.clone();
        let (clients, wanted) = (&self.ready.clients, &self.wanted);
        let door = Door::Stack(clients, stack);
        let proved = async {
            tokio::select! {
                proved = proof::prove(self.context, base, door, digest, manner, self.ui) => proved,
                // Who does not stay up need not be asked for minutes.
                failure = diagnose::crash(clients, wanted.environment, &wanted.template, stack, self.ui) => {
                    let smoke = Smoke { status: "not-answering", served_digest: None };
                    self.context.report(|report| report.smoke = Some(smoke));
                    Err(failure.into())
                }
            }
        };
        self.context.interrupt.or(proved).await
    }

    fn result(&self, stack: &Stack) -> Result<()> {
        match proof::base_url(self.wanted.environment, stack, self.proof.smoke_url.as_deref()) {
            Ok(base) => self.ui.result(&proof::shown(&base)),
            // Without a smoke test no URL is needed.
            Err(_) if self.proof.no_smoke => self.ui.result(&format!("stack {} is {}", stack.name, stack.status)),
            Err(failure) => return Err(failure.into()),
        }
        Ok(())
    }
}
