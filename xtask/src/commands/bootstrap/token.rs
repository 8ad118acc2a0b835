//! Whether a pipeline's token would be let in, before it is tried.

use std::io::Read as _;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use config::deployment::Environment;

use crate::bootstrap::{self, Asked};
use crate::commands::doctor;
use crate::context::Context;
use crate::outcome::{self, Exit, Failure};
use crate::policy::Level;
use crate::preflight;
use crate::report::Check;
use crate::stack;
use crate::trust::{Claims, Finding, Trust};
use crate::ui::Ui;

/// Holds it against the trust that is asked for, or else that the stack has.
///
/// # Errors
/// A token that cannot be read, or claims that do not fit.
pub(super) async fn check(
    path: &Path,
    asked: &Asked,
    environment: &Environment,
    context: &Context,
    ui: &Ui,
) -> Result<()> {
    let unreadable = |reason: String| {
        Failure::new(Exit::Usage, "token", "the token cannot be read")
            .resource(path.display().to_string())
            .reason(reason)
    };
    let text = read(path).map_err(|error| unreadable(format!("{error:#}")))?;
    let claims = Claims::read(&text).map_err(|reason| unreadable(reason.to_owned()))?;
    let trust = match &asked.trust {
        Some(trust) => trust.clone(),
        None => deployed(environment, context).await?,
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let findings = trust.check(&claims, i64::try_from(now).unwrap_or(i64::MAX), &environment.name);
    ui.warn("the token's signature is not looked at; only AWS can say that GitHub made it");
    let shared = findings.shared.iter().map(told);
    let checks: Vec<Check> = shared.chain(findings.roles.iter().map(|(level, of)| role(*level, of))).collect();
    doctor::show(&checks, ui);
    context.report(|report| report.checks = Some(checks));
    if findings.roles.iter().any(|(level, _)| findings.may(*level)) {
        return Ok(());
    }
    let misfit = |finding: &Finding, role: &str| {
        let failure = Failure::new(Exit::Preflight, "trust", format!("the claim {} does not fit{role}", finding.claim))
            .reason(format!("expected {}; found {}", finding.expected, finding.found));
        failure.hint(finding.fix.clone().unwrap_or_default())
    };
    let mut problems: Vec<Failure> =
        findings.shared.iter().filter(|finding| !finding.fits).map(|finding| misfit(finding, "")).collect();
    if findings.roles.iter().all(|(_, of)| of.iter().any(|finding| !finding.fits)) {
        for (level, of) in &findings.roles {
            let role = format!(" the {} role", level.name());
            problems.extend(of.iter().find(|finding| !finding.fits).map(|finding| misfit(finding, &role)));
        }
    }
    Err(outcome::preflight(&problems).into())
}

/// Whether what one role asks for besides fits.
fn role(level: Level, findings: &[Finding]) -> Check {
    let misfits: Vec<&Finding> = findings.iter().filter(|finding| !finding.fits).collect();
    let found: Vec<&str> = findings.iter().map(|finding| finding.found.as_str()).collect();
    let expected =
        |finding: &&Finding| format!("{}: expected {}; found {}", finding.claim, finding.expected, finding.found);
    Check {
        name: level.name(),
        ok: misfits.is_empty(),
        detail: if misfits.is_empty() {
            found.join(", ")
        } else {
            misfits.iter().map(expected).collect::<Vec<_>>().join("; ")
        },
        hint: misfits.first().and_then(|finding| finding.fix.clone()),
    }
}

fn told(finding: &Finding) -> Check {
    let Finding { claim, fits, expected, found, fix } = finding;
    let detail = if *fits { found.clone() } else { format!("expected {expected}; found {found}") };
    Check { name: claim, ok: *fits, detail, hint: fix.clone() }
}

fn read(path: &Path) -> Result<String> {
    if path != Path::new("-") {
        return std::fs::read_to_string(path).context("no such text");
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("nothing can be read from stdin")?;
    Ok(text)
}

async fn deployed(environment: &Environment, context: &Context) -> Result<Trust> {
    let own = bootstrap::environment(environment);
    let (clients, _) = preflight::account(context, environment).await?;
    let stack = stack::describe(&clients.cloudformation, &own.stack).await?;
    stack.as_ref().and_then(|stack| Trust::deployed(&stack.parameters)).ok_or_else(|| {
        Failure::new(Exit::Preflight, "trust", "there is no trust to hold the token against")
            .resource(format!("stack {}", own.stack))
            .reason(if stack.is_some() { "it trusts no pipeline" } else { "it does not exist" })
            .hint(format!(
                "cargo xtask bootstrap {} --github OWNER/REPO, with or without --check-token",
                environment.name
            ))
            .into()
    })
}
