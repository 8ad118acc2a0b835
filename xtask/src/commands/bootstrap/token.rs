//! Whether a pipeline's token would be let in, before it is tried.

use std::path::Path;

use anyhow::Result;
use config::deployment::Environment;

use crate::bootstrap::pipeline;
use crate::commands::doctor;
use crate::context::Context;
use crate::doctor::token;
use crate::session::Session;
use local::ui::Ui;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::policy::Level;
use model::report::Check;
use model::trust::{ClaimCheck, Trust};

/// Compares it with the trust that is asked for, or else with the stack's.
///
/// # Errors
/// A token that cannot be read, or claims that do not fit.
pub(super) async fn check_token_file(
    path: &Path,
    asked: Option<&Trust>,
    environment: &Environment,
    context: &Context,
    ui: &Ui,
) -> Result<()> {
    let claims = token::read_claims(path)?;
    let trust = match asked {
        Some(trust) => trust.clone(),
        None => deployed(environment, context, ui).await?,
    };
    let findings = token::check_claims(&trust, &claims, &environment.name);
    ui.warn("the token's signature is not checked; only AWS can verify that GitHub issued it");
    let shared = findings.shared.iter().map(token::claim_check);
    let checks: Vec<Check> = shared.chain(findings.roles.iter().map(|(level, of)| role(*level, of))).collect();
    doctor::print_checks(&checks, ui);
    ui.note(|report| report.checks = Some(checks));
    let problems = token::problems(&findings);
    if problems.is_empty() { Ok(()) } else { Err(outcome::preflight(&problems).into()) }
}

/// Whether what one role asks for besides fits.
fn role(level: Level, findings: &[ClaimCheck]) -> Check {
    let misfits: Vec<&ClaimCheck> = findings.iter().filter(|finding| !finding.fits).collect();
    let found: Vec<&str> = findings.iter().map(|finding| finding.found.as_str()).collect();
    let expected =
        |finding: &&ClaimCheck| format!("{}: expected {}; found {}", finding.claim, finding.expected, finding.found);
    Check {
        name: level.name(),
        ok: misfits.is_empty(),
        note: false,
        detail: if misfits.is_empty() {
            found.join(", ")
        } else {
            misfits.iter().map(expected).collect::<Vec<_>>().join("; ")
        },
        hint: misfits.first().and_then(|finding| finding.fix.clone()),
    }
}

async fn deployed(environment: &Environment, context: &Context, ui: &Ui) -> Result<Trust> {
    let session = Session::open(context, environment, ui).await?;
    let deployed = pipeline::deployed_trust(&session.clients, environment).await?;
    deployed.map(|(trust, _)| trust).ok_or_else(|| {
        Failure::new(Exit::Preflight, FailureKind::Trust, "there is no trust to compare the token with")
            .resource(format!("stack {}", pipeline::environment(environment).stack))
            .reason("it does not exist, or trusts no pipeline")
            .hint(format!(
                "cargo xtask bootstrap {} --github OWNER/REPO, with or without --check-token",
                environment.name
            ))
            .into()
    })
}
