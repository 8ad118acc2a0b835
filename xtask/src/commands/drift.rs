//! `drift`: resources that differ from the stack's template, and known vulnerabilities of the running image.

use anyhow::Result;
use config::deployment::Environment;

use crate::context::Context;
use crate::session::Session;
use aws::Clients;
use aws::ecr::scan;
use aws::stack::{self, drift};
use local::ui::Ui;
use model::drift::{DeployedTemplate, Drift};
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::ImageReference;
use model::scan::{Finding, Scan, Severity};
use model::stack::{DriftDetection, Stack};
use model::status::{self, Answer};

/// Findings shown as text; `--json` has all.
const SHOWN: usize = 10;

pub(super) async fn run(name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(name)?;
    ui.about(environment);
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let client = &clients.cloudformation;
    let stack = comparable_stack(environment, stack::describe(client, &environment.stack).await?)?;
    let phase = ui.phase("drift");
    let body = stack::template_body(client, &stack.id).await?;
    let deployed = DeployedTemplate::read(&body, &stack.parameters, &environment.region);
    let (detected, scanned) =
        tokio::join!(drift::detect(client, &stack.id), image_findings(environment, clients, &stack));
    let detected = detected?;
    let compared = Compared::of(&detected);
    let mut notes: Vec<String> =
        detected.unknown.iter().map(|(id, reason)| format!("{id} could not be compared: {reason}")).collect();
    notes.extend(detected.reason.map(|reason| format!("drift detection is incomplete: {reason}")));
    let drifts = deployed.classify(detected.found);
    phase.done(&format!("{} resources of {} were compared", detected.checked, stack.name));
    let findings = match scanned {
        Ok(findings) => findings,
        Err(note) => {
            notes.push(note);
            None
        }
    };
    ui.result(&drift_text(&stack, compared, &drifts, findings.as_deref(), &notes));
    let reasons = notes.join("; ");
    let ended = verdict(environment, &stack, &drifts, findings.as_deref().unwrap_or_default());
    let ended = ended.and_then(|()| compared.check(environment, &stack, reasons));
    ui.note(|report| {
        report.stack_status = Some(stack.status.clone());
        report.image = stack.image_uri(environment).map(str::to_owned);
        report.drift = Some(drifts);
        report.findings = findings;
        report.notes = notes;
    });
    ended.map_err(Into::into)
}

/// The stack, if its state allows drift detection.
fn comparable_stack(environment: &Environment, found: Option<Stack>) -> Result<Stack, Failure> {
    let name = &environment.name;
    let fail = |reason: String, hint: String| {
        Failure::new(Exit::Failed, FailureKind::DriftDetection, "drift cannot be detected")
            .resource(format!("stack {}", environment.stack))
            .reason(reason)
            .hint(hint)
    };
    let stack = found.ok_or_else(|| fail("it does not exist".to_owned(), format!("cargo xtask release {name}")))?;
    match status::answer(Some(&stack.status)) {
        Answer::Wait => Err(fail(format!("it is {}", stack.status), format!("cargo xtask events {name} --follow"))),
        Answer::Create => Err(fail(format!("it is {}", stack.status), format!("cargo xtask release {name}"))),
        _ => Ok(stack),
    }
}

/// The findings of the image that the stack runs; `None` if it runs none, and a note if they are unknown.
async fn image_findings(
    environment: &Environment,
    clients: &Clients,
    stack: &Stack,
) -> Result<Option<Vec<Finding>>, String> {
    let Some(uri) = stack.image_uri(environment) else { return Ok(None) };
    let image = uri.parse::<ImageReference>().ok();
    let Some((image, digest)) = image.and_then(|image| Some((image.clone(), image.digest?))) else {
        return Err(format!("the image {uri} has no digest, so its findings are unknown"));
    };
    match scan::findings(&clients.ecr, &image.repository, digest.as_str()).await {
        Ok(Scan::Findings(findings)) => Ok(Some(findings)),
        Ok(Scan::Unsupported(words)) => Err(format!("ECR cannot scan the image: {words}")),
        Ok(Scan::Failed(words)) => Err(format!("ECR's scan of the image failed: {words}")),
        Ok(Scan::Pending) => Err("ECR is still scanning the image".to_owned()),
        Ok(Scan::Missing) => Err("ECR has not scanned the image".to_owned()),
        Err(error) => {
            let failure = Failure::of(&error);
            let hint = failure.hint.clone().filter(|_| aws::is_denied(&failure));
            let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            let reason = failure.reason.unwrap_or_default();
            Err(format!("the image's findings are unknown: {}: {reason}{hint}", failure.message))
        }
    }
}

/// How much of the stack was compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Compared {
    All,
    Part,
    Nothing,
}

impl Compared {
    fn of(detected: &DriftDetection) -> Self {
        match (detected.reason.is_none() && detected.unknown.is_empty(), detected.checked) {
            (true, _) => Self::All,
            (false, 0) => Self::Nothing,
            (false, _) => Self::Part,
        }
    }

    /// Fails if nothing was compared: then there is no statement about drift.
    fn check(self, environment: &Environment, stack: &Stack, reasons: String) -> Result<(), Failure> {
        if self != Self::Nothing {
            return Ok(());
        }
        Err(Failure::new(Exit::Failed, FailureKind::DriftDetection, format!("stack {} was not compared", stack.name))
            .resource(format!("stack {}", stack.name))
            .reason(reasons)
            .hint(format!(
                "CloudFormation reads the resources with the caller's permissions: cargo xtask iam-policy {} --for read \
                 shows what it needs",
                environment.name
            )))
    }
}

fn drift_text(
    stack: &Stack,
    compared: Compared,
    drifts: &[Drift],
    findings: Option<&[Finding]>,
    notes: &[String],
) -> String {
    let mut lines: Vec<String> = drifts.iter().map(ToString::to_string).collect();
    if !drifts.iter().any(Drift::counts) {
        lines.push(match compared {
            Compared::All => format!("stack {} matches its template", stack.name),
            Compared::Part => format!("stack {} matches its template as far as it was compared", stack.name),
            Compared::Nothing => format!("stack {} was not compared", stack.name),
        });
    }
    if let Some(findings) = findings {
        lines.push(format!("findings of the image: {}", model::scan::severity_counts(findings)));
        lines.extend(findings.iter().take(SHOWN).map(|finding| format!("  {finding}")));
    }
    lines.extend(notes.iter().map(|note| format!("note: {note}")));
    lines.join("\n")
}

/// Fails on drift that counts and on findings of severity high or critical.
fn verdict(environment: &Environment, stack: &Stack, drifts: &[Drift], findings: &[Finding]) -> Result<(), Failure> {
    let drifted: Vec<&Drift> = drifts.iter().filter(|drift| drift.counts()).collect();
    let bad: Vec<&Finding> = findings.iter().filter(|finding| finding.severity >= Severity::High).collect();
    let resources = if drifted.len() == 1 { "1 resource".to_owned() } else { format!("{} resources", drifted.len()) };
    let findings = format!("the running image has {}", model::scan::severity_counts(bad.iter().copied()));
    let names: Vec<&str> = drifted.iter().map(|drift| drift.resource.as_str()).collect();
    let names = (!names.is_empty()).then(|| format!("different from the template: {}", names.join(", ")));
    let lines = names.into_iter().chain(bad.iter().map(ToString::to_string));
    let reason = lines.collect::<Vec<_>>().join("\n");
    let (template, name) = (&environment.template, &environment.name);
    let fix = format!(
        "undo the change by hand, or add it to {template} and release; a release does not restore values that are unchanged in the template"
    );
    let renew = format!("update the packages that have them, then cargo xtask release {name}");
    let (kind, message, hint) = match (drifted.is_empty(), bad.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => (FailureKind::Drift, format!("{resources} of the stack drifted"), fix),
        (true, false) => (FailureKind::Findings, findings, renew),
        (false, false) => {
            (FailureKind::Drift, format!("{resources} of the stack drifted, and {findings}"), format!("{fix}; {renew}"))
        }
    };
    let failure = Failure::new(Exit::Failed, kind, message).resource(format!("stack {}", stack.name));
    Err(failure.reason(reason).hint(hint))
}
