//! `doctor`: checks everything that a release needs, without changing anything.

use anyhow::Result;

use crate::context::Context;
use crate::doctor::{self, CheckResult, token};
use local::cli::Doctor;
use local::ui::{Paint, Ui};
use model::outcome::{self, Failure};
use model::report::Check;

pub(super) async fn run(arguments: &Doctor, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.environment(&arguments.environment)?;
    ui.note(|report| report.environment = Some(environment.name.clone()));
    let token = token::find_token(arguments.token.as_deref(), &context.vars).await?;
    let findings = doctor::run_checks(context, environment, &token, ui).await;
    let checks: Vec<Check> = findings.iter().map(|(name, found)| found.to_check(name)).collect();
    print_checks(&checks, ui);
    ui.note(|report| report.checks = Some(checks));
    let problem = |(_, found)| match found {
        CheckResult::Problem(failure) => Some(failure),
        CheckResult::Passed(_) | CheckResult::Note(..) => None,
    };
    let problems: Vec<Failure> = findings.into_iter().filter_map(problem).collect();
    if problems.is_empty() { Ok(()) } else { Err(outcome::preflight(&problems).into()) }
}

/// Prints a line for each check. The hint of a problem is printed with the failure, that of a note here.
pub(super) fn print_checks(checks: &[Check], ui: &Ui) {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or_default().max(11);
    for check in checks {
        let (paint, mark) = match check {
            Check { ok: false, .. } => (Paint::Red, "!!"),
            Check { note: true, .. } => (Paint::Yellow, "??"),
            Check { .. } => (Paint::Green, "ok"),
        };
        ui.result(&format!("{} {:<width$} {}", ui.paint_result(paint, mark), check.name, check.detail));
        if let Some(hint) = check.hint.as_deref().filter(|_| check.note) {
            ui.result(&format!("   {:<width$} next: {hint}", ""));
        }
    }
}
