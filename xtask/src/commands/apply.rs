//! `apply`: exactly what a plan says, or a refusal that names what has moved.

use anyhow::Result;

use crate::context::Context;
use crate::engine::desired::{Desired, ParameterSource};
use crate::engine::plan::Proposal;
use crate::engine::plan_file::{self, PlanFile};
use crate::engine::{Operation, ReleaseOptions, consent};
use crate::needs;
use crate::preflight::{self, Check, Ready};
use crate::session::Session;
use aws::ecr;
use aws::stack::change_set;
use local::cli::{Apply, Conduct, Proof};
use local::ui::Ui;
use model::record::Change;
use model::status::{self, Answer};

pub(super) async fn run(arguments: &Apply, context: &Context, ui: &Ui) -> Result<()> {
    let plan = PlanFile::read(&arguments.plan)?;
    let environment = context.environment(&plan.environment)?;
    ui.about(environment);
    let image = plan.image()?;
    let environment = &needs::foresee_needs(context, environment, ui).await?.complete()?;
    let proof = Proof { smoke_url: arguments.smoke_url.clone(), no_smoke: arguments.no_smoke, registry: None };
    let check = Check { context, environment, proof: &proof, wait: arguments.wait, engine: false, own_template: true };
    let there = image.clone();
    let also = async |session: &Session<'_>, _: &_| ecr::has_image(&session.clients.ecr, &there).await;
    let (ready, has_image) = context.interrupt.or(preflight::check(check, also, ui)).await?;
    let Ready { session, template, observed, .. } = &ready;
    let stack = observed.stack.as_ref();
    let Apply { wait, allow_finding, .. } = arguments;
    let conduct = Conduct { wait: *wait, allow_finding: allow_finding.clone(), ..Conduct::default() };
    let release = ReleaseOptions {
        proof: &proof,
        doing: format!("apply {}", arguments.plan.display()),
        commit: plan.commit.clone(),
        back_to: None,
        before: &plan.before_release,
        keep_failed: true,
    };
    let source = ParameterSource::Settings(&context.deployment.service);
    let mut operation = Operation {
        session,
        desired: Desired::new(environment, Some(image.clone()), template.clone(), source, stack),
        conduct: &conduct,
        question: consent::question(environment),
        planned: true,
        release: Some(release),
    };
    let current = operation.is_current(observed).await?;
    let begun = stack.is_some_and(|stack| {
        status::answer(Some(&stack.status)) == Answer::Wait && stack.image(environment).as_ref() == Some(&image)
    });
    if plan.change != Change::None && plan.is_of(template) && (current || begun) {
        // It was applied before, perhaps by a run that was cut short: it is followed, proved and recorded.
        return operation.run(observed).await.map(drop);
    }
    let mut moved = plan.moved(&session.identity.account, &operation.desired, stack);
    if has_image == Some(false) {
        moved.push(format!("image: the registry has no {} any more", plan.image));
    }
    let client = &session.clients.cloudformation;
    let mut set = None;
    if let (Some(id), Some(stack_id)) = (&plan.change_set, &plan.stack_id) {
        match context.interrupt.or(change_set::availability(client, stack_id, id, &environment.image_parameter)).await?
        {
            change_set::Availability::Available { image } => {
                if image.as_deref() != Some(plan.image.as_str()) {
                    let other = image.unwrap_or_else(|| "no image that CloudFormation names".to_owned());
                    moved.push(format!("change set {id}: it is of {other}"));
                }
                if moved.is_empty() {
                    // CloudFormation's own text of it: the file of the plan only has its hash.
                    let text = context.interrupt.or(change_set::proposed_body(client, stack_id, id)).await?;
                    if !template.has_text(&text) {
                        moved.push(format!("change set {id}: it is of another template than {}", template.path));
                    }
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
    if plan.change == Change::None && !current && !template.is_dynamic {
        moved.push("the stack: it is not any more what the plan found it to be".to_owned());
    }
    if !moved.is_empty() {
        return Err(plan_file::refusal(environment, &moved).into());
    }
    let Some(set) = set else {
        // Nothing was to change, and nothing has moved: it is proved all the same.
        return operation.confirm(observed).await.map(drop);
    };
    let create = plan.change == Change::Create;
    let before = observed.stack.clone().filter(|_| !create);
    context.interrupt.or(consent::consent(operation.question.as_deref(), environment, ui)).await?;
    operation.carry_out(observed, &Proposal { set, create, before, planned: true, realign: None }).await.map(drop)
}
