//! `apply`: exactly what a plan says, or a refusal that names what has moved.

use anyhow::Result;

use super::release;
use crate::cli::{Apply, Conduct, Proof};
use crate::context::Context;
use crate::delivery;
use crate::delivery::Delivery;
use crate::delivery::plan_file;
use crate::delivery::plan_file::PlanFile;
use crate::preflight;
use crate::preflight::Check;
use crate::rollout;
use crate::rollout::{Origin, Proposal, Wanted};
use crate::ui::Ui;
use aws::ecr;
use aws::stack::change_set;
use model::record::Change;
use model::status;
use model::status::Answer;

pub(super) async fn run(arguments: &Apply, context: &Context, ui: &Ui) -> Result<()> {
    let plan = PlanFile::read(&arguments.plan)?;
    let environment = context.environment(&plan.environment)?;
    release::note(context, environment);
    let image = plan.image()?;
    let proof = Proof { smoke_url: arguments.smoke_url.clone(), no_smoke: arguments.no_smoke, registry: None };
    let check = Check { context, environment, proof: &proof, wait: arguments.wait, engine: false, own_template: true };
    let there = image.clone();
    let also = async |clients: &aws::Clients, _: &_, _: &_| ecr::has_image(&clients.ecr, &there).await;
    let (ready, has_image) = context.interrupt.or(preflight::check(check, also, ui)).await?;
    let origin = Origin::Settings(&context.deployment.service);
    let wanted = Wanted { environment, image, template: ready.template.clone(), origin };
    let Apply { wait, allow_finding, .. } = arguments;
    let conduct = Conduct { wait: *wait, allow_finding: allow_finding.clone(), ..Conduct::default() };
    let delivery = Delivery {
        context,
        ready: &ready,
        wanted,
        proof: &proof,
        conduct: &conduct,
        doing: format!("apply {}", arguments.plan.display()),
        commit: plan.commit.clone(),
        back_to: None,
        keep_failed: true,
        planned: true,
        ui,
    };
    let (wanted, stack) = (&delivery.wanted, ready.seen.stack.as_ref());
    let current = context.interrupt.or(rollout::is_current(&ready.clients, wanted, &ready.seen)).await?;
    let begun = stack.is_some_and(|stack| {
        status::answer(Some(&stack.status)) == Answer::Wait && stack.container_uri() == Some(plan.image.as_str())
    });
    if plan.change != Change::None && (current || begun) {
        // It was applied before, perhaps by a run that was cut short: it is followed, proved and recorded.
        return delivery::deliver(&delivery).await;
    }
    let mut moved = plan.moved(&ready.identity.account, wanted, stack);
    if has_image == Some(false) {
        moved.push(format!("image: the registry has no {} any more", plan.image));
    }
    let client = &ready.clients.cloudformation;
    let mut set = None;
    if let (Some(id), Some(stack_id)) = (&plan.change_set, &plan.stack_id) {
        match context.interrupt.or(change_set::availability(client, stack_id, id)).await? {
            change_set::Availability::Available { image } => {
                if image.as_deref() != Some(plan.image.as_str()) {
                    let other = image.unwrap_or_else(|| "no image that CloudFormation names".to_owned());
                    moved.push(format!("change set {id}: it is of {other}"));
                }
                set = Some(change_set::ChangeSet {
                    id: id.clone(),
                    stack_id: stack_id.clone(),
                    changes: plan.changes.clone(),
                    role: environment.execution_role.clone(),
                });
            }
            change_set::Availability::Gone(why) => moved.push(format!("change set {id}: {why}")),
        }
    }
    if plan.change == Change::None && !current && !ready.template.is_dynamic {
        moved.push("the stack: it is not any more what the plan found it to be".to_owned());
    }
    if !moved.is_empty() {
        return Err(plan_file::refusal(environment, &moved).into());
    }
    let Some(set) = set else {
        // Nothing was to change, and nothing has moved: it is proved all the same.
        return delivery::confirm(&delivery).await;
    };
    let create = plan.change == Change::Create;
    let before = ready.seen.stack.clone().filter(|_| !create);
    context.interrupt.or(rollout::consent(environment, ui)).await?;
    delivery::carry_out(&delivery, &Proposal { set, create, before, planned: true }).await
}
