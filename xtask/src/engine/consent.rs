//! The question before a change.

use anyhow::Result;
use config::deployment::Environment;
use model::outcome;

use local::ui::Ui;

/// What is asked before a protected environment changes; `None` for others.
pub(crate) fn question(environment: &Environment) -> Option<String> {
    let Environment { name, stack, region, protected, .. } = environment;
    protected.then(|| format!("{name} is protected. Change stack {stack} in {region}?"))
}

/// Asks, where there is a question.
///
/// # Errors
/// A no, or no terminal to ask on.
pub(crate) async fn consent(question: Option<&str>, environment: &Environment, ui: &Ui) -> Result<()> {
    if let Some(question) = question
        && !ui.confirm(question).await?
    {
        let declined = outcome::declined("the change was declined", format!("stack {}", environment.stack));
        return Err(declined.reason("the stack was not changed").into());
    }
    Ok(())
}

/// Makes sure that a question can be answered at all, before anything expensive is done in vain.
///
/// # Errors
/// No terminal and no `--yes`.
pub(crate) fn can_be_asked(question: Option<&str>, ui: &Ui) -> Result<()> {
    Ok(question.map_or(Ok(()), |question| ui.require_confirmation_possible(question))?)
}
