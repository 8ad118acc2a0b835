//! Proves that a deployed environment runs an image, and puts the answer into the result.

use std::time::Duration;

use anyhow::{Context as _, Result};
use config::deployment::Environment;
use url::Url;

use crate::context::Context;
use crate::image::Digest;
use crate::outcome::{Exit, Failure};
use crate::plan;
use crate::smoke::{self, Target, Verdict};
use crate::stack::Stack;
use crate::template::API_GATEWAY_URL;
use crate::ui::Ui;

/// Where the environment is asked: the command line's URL, the environment's, the stack's own.
///
/// # Errors
/// A pattern that names an output there is not, or something that is no URL.
pub(crate) fn base_url(environment: &Environment, stack: &Stack, given: Option<&str>) -> Result<Url, Failure> {
    let own = format!("{{{API_GATEWAY_URL}}}");
    let pattern = given.or(environment.smoke_url.as_deref()).unwrap_or(&own);
    let fail = |reason: String| {
        Failure::new(Exit::NeedsHuman, "smoke-url", "the endpoint's URL is not known")
            .resource(pattern)
            .reason(reason)
            .hint("name a URL with --smoke-url")
    };
    let url = plan::fill_outputs(pattern, &stack.outputs)
        .map_err(|name| fail(format!("stack {} has no output {name}", stack.name)))?;
    url.parse().map_err(|error| fail(format!("{url}: {error}")))
}

/// How an endpoint is asked.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    /// How long it may take to be right.
    pub(crate) patience: Duration,
    /// Pause between two good rounds.
    pub(crate) spacing: Duration,
    /// How the command ends where it is not.
    pub(crate) exit: Exit,
    /// The image that ran before, where that is known.
    pub(crate) before: Option<Digest>,
}

/// Asks `base` until it is proved or the patience ends.
///
/// # Errors
/// Another image answers, or no right answer comes.
pub(crate) async fn prove(context: &Context, base: Url, digest: Option<Digest>, manner: Manner, ui: &Ui) -> Result<()> {
    let phase = ui.phase("smoke");
    let service = &context.deployment.service;
    let client = smoke::client(&base, context.authorities().as_deref()).context("cannot prepare the smoke test")?;
    let Manner { spacing, before, .. } = manner;
    let target = Target { base, service, digest, before, spacing };
    context.report(|report| report.url = Some(shown(&target.base)));
    let verdict = smoke::prove(&client, &target, manner.patience, &phase).await;
    context.report(|report| report.smoke = Some((&verdict).into()));
    let url = shown(&target.base);
    let failure = |kind, message: &str| Failure::new(manner.exit, kind, message).resource(&url);
    match verdict {
        Verdict::Right { served: Some(served) } => phase.done(&format!("{url} is right and runs {served}")),
        Verdict::Right { served: None } => {
            phase.done(&format!("{url} is right"));
            if target.digest.is_some() {
                ui.warn("which image answered is not known: [service] version_path is not set in deploy.toml");
            }
        }
        Verdict::OldVersion { served } => {
            let wanted = target.digest.map(|digest| digest.to_string()).unwrap_or_default();
            return Err(failure("old-version", "another version is still serving")
                .reason(format!("{served} answers, {wanted} was deployed"))
                .hint("wait and ask again with cargo xtask smoke; if it stays, look at the service's log")
                .into());
        }
        Verdict::NotAnswering { reason } => {
            return Err(failure("not-answering", "the endpoint does not give the right answer")
                .reason(reason)
                .hint("look at the service's log, then ask again with cargo xtask smoke")
                .into());
        }
    }
    Ok(())
}

/// The URL as it is shown, without a trailing slash.
pub(crate) fn shown(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}
