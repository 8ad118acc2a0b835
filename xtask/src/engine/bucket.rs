//! The way of a template that is too long for a call: through the account's bucket for templates.

use anyhow::Result;
use config::deployment::Environment;

use crate::session::Session;
use aws::templates;
use model::outcome::{Exit, Failure, FailureKind};
use model::template::{MAX_IN_CALL, Template};
use model::templates::bucket;

/// The template that makes the bucket.
const MAKER: &str = "infra/bootstrap.yaml";

/// The bucket that the template would go through; `None` for one that goes with the call. It only reads.
///
/// # Errors
/// A bucket that is needed and not there, or a refused or lost call.
pub(crate) async fn check_bucket(session: &Session<'_>, template: &Template) -> Result<Option<String>> {
    if template.fits_in_call() {
        return Ok(None);
    }
    let (account, region) = (&session.identity.account, &session.environment.region);
    if comes_first(session) || templates::find_bucket(&session.clients, account, region).await? {
        Ok(Some(bucket(account, region)))
    } else {
        Err(no_bucket(session, template).into())
    }
}

/// Whether the environment needs a stack that makes the bucket: a release brings it up to date before.
fn comes_first(session: &Session<'_>) -> bool {
    let mut needs = session.environment.needs.iter().filter_map(|need| session.context.section(need).ok());
    needs.any(|need| need.template == MAKER)
}

/// What a dry run says of a template that goes through the bucket.
pub(crate) fn upload_step(session: &Session<'_>, template: &Template) -> Option<String> {
    let bucket = bucket(&session.identity.account, &session.environment.region);
    (!template.fits_in_call()).then(|| format!("store {} in {bucket}: {} bytes", template.path, template.body.len()))
}

/// Stores the template of `environment` if it is too long for a call, and returns its address for CloudFormation.
///
/// # Errors
/// As for [`check_bucket`].
pub(super) async fn upload(
    session: &Session<'_>,
    environment: &Environment,
    template: &Template,
) -> Result<Option<String>> {
    if template.fits_in_call() {
        return Ok(None);
    }
    let (account, region) = (&session.identity.account, &environment.region);
    match templates::store(&session.clients, account, region, &environment.stack, &template.body).await? {
        Some(url) => Ok(Some(url)),
        None => Err(no_bucket(session, template).into()),
    }
}

/// There is no bucket: both ways out.
fn no_bucket(session: &Session<'_>, template: &Template) -> Failure {
    let environment = session.environment;
    let bucket = bucket(&session.identity.account, &environment.region);
    let message = "the template is too long for a call, and there is no bucket for it";
    Failure::new(Exit::Preflight, FailureKind::Template, message)
        .resource(&template.path)
        .reason(format!(
            "it has {} bytes; CloudFormation accepts {MAX_IN_CALL} in a call, and reads longer ones from the bucket \
             {bucket}, which this account does not have",
            template.body.len()
        ))
        .hint(format!(
            "cargo xtask bootstrap {} makes the bucket; or move a part of the template to a stack of its own",
            environment.section()
        ))
}
