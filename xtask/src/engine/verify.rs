//! Proves that a deployed environment runs an image, and puts the answer into the result.

pub(crate) mod before_users;
mod tasks;

use std::borrow::Cow;
use std::time::Duration;

use anyhow::Result;
use config::deployment::{Environment, Service};
use tokio::time::Instant;
use url::Url;

use crate::context::Context;
use crate::sign_in;
use aws::Clients;
use local::smoke::{self, ApiClients, Endpoint, Verdict, shown_url};
use local::ui::{Phase, Ui};
use machine::http;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters as plan;
use model::reference::{Digest, ImageReference};
use model::stack::Stack;
use tasks::Running;

/// Where the environment is asked: the command line's URL, the environment's, the stack's own.
///
/// # Errors
/// A pattern that names an output which does not exist, or something that is no URL.
pub(crate) fn base_url(environment: &Environment, stack: &Stack, given: Option<&str>) -> Result<Url, Failure> {
    let own = format!("{{{}}}", environment.url_output);
    let pattern = given.or(environment.smoke_url.as_deref()).unwrap_or(&own);
    let fail = |reason: String| {
        Failure::new(Exit::NeedsHuman, FailureKind::SmokeUrl, "the endpoint's URL is not known")
            .resource(pattern)
            .reason(reason)
            .hint("name a URL with --smoke-url")
    };
    let url = plan::fill_outputs(pattern, &stack.outputs)
        .map_err(|name| fail(format!("stack {} has no output {name}", stack.name)))?;
    url.parse().map_err(|error| fail(format!("{url}: {error}")))
}

/// How long tasks of another image may run beside an endpoint that is right.
const TASKS: Duration = Duration::from_secs(30);
/// Pause between two reads of them.
const PAUSE: Duration = Duration::from_secs(2);

/// How an endpoint is protected.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Access<'a> {
    /// Not known; the user's token is sent where there is one.
    Unknown,
    /// As the outputs of its stack say.
    Stack(&'a Clients, &'a Environment, &'a Stack),
}

/// How an endpoint is verified.
#[derive(Debug, Clone)]
pub(crate) struct VerifyOptions {
    /// How long it may take to be right.
    pub(crate) timeout: Duration,
    /// Pause between two good rounds.
    pub(crate) spacing: Duration,
    /// How the command ends if it is not right.
    pub(crate) exit: Exit,
    /// The image that ran before, where that is known.
    pub(crate) before: Option<Digest>,
    /// Whether a connection that cannot be made is tried again, as right after a deployment.
    pub(crate) retries_connections: bool,
    /// Whether an earlier release runs again.
    pub(crate) is_back: bool,
}

/// What has to answer. What an earlier release says, the work tree does not know: where its digest is known and can be
/// asked for, that alone counts.
fn answering<'a>(service: &'a Service, digest: Option<&Digest>, is_back: bool) -> Cow<'a, Service> {
    if is_back && digest.is_some() && service.version_path.is_some() {
        Cow::Owned(Service { smoke_contains: String::new(), ..service.clone() })
    } else {
        Cow::Borrowed(service)
    }
}

/// Sends requests to `base` until it is proved or the timeout ends.
///
/// # Errors
/// Another image answers, requests without authentication are served, no right answer comes, or signing in fails.
pub(crate) async fn prove(
    context: &Context,
    base: Url,
    access: Access<'_>,
    digest: Option<Digest>,
    options: VerifyOptions,
    ui: &Ui,
) -> Result<()> {
    let phase = ui.phase("smoke");
    let service = &*answering(&context.deployment.service, digest.as_ref(), options.is_back);
    let client = smoke::client(&context.http()?)?;
    ui.note(|report| report.url = Some(shown_url(&base)));
    let url = shown_url(&base);
    let callers =
        callers(context, &client, access).await.map_err(|failure| Failure { exit: options.exit, ..failure })?;
    let VerifyOptions { before, spacing, retries_connections, .. } = options;
    let target = Endpoint { base, service, digest, before, spacing, callers, retries_connections };
    let verdict = smoke::verify_endpoint(&client, &target, options.timeout, &phase).await;
    remove_temporary_users(context, ui).await;
    ui.note(|report| report.smoke = Some(verdict.report()));
    if let Some(failure) = target.failure(&verdict, options.exit) {
        return Err(failure.into());
    }
    match (verdict.served(), &target.digest) {
        (Some(served), _) => phase.done(&format!("{url} is right and runs {served}")),
        (None, None) => phase.done(&format!("{url} is right")),
        (None, Some(wanted)) => {
            let running = match access {
                // In a box: what it keeps is large, and every release would carry it.
                Access::Stack(clients, environment, stack) => {
                    let image = stack.image(environment);
                    Box::pin(settled(clients, stack, image.as_ref(), wanted, &phase)).await
                }
                Access::Unknown => Ok(Running::Unknown),
            };
            let unknown = smoke::UNKNOWN_IMAGE;
            let (what, warning) = match running {
                Ok(Running::Right(tasks)) => (format!("; ECS runs {wanted} in its tasks: {tasks}"), None),
                Ok(Running::Other { served, all: true }) => {
                    let verdict = Verdict::OldVersion { served };
                    ui.note(|report| report.smoke = Some(verdict.report()));
                    return Err(target.failure(&verdict, options.exit).expect("it is wrong").into());
                }
                Ok(Running::Other { served, .. }) => {
                    (String::new(), Some(format!("{unknown}, and one of ECS's tasks still runs {served}")))
                }
                Ok(Running::Unknown) => (String::new(), Some(unknown.to_owned())),
                Err(failure) => {
                    let reason = failure.reason.unwrap_or_default();
                    (String::new(), Some(format!("{unknown}, and ECS does not say: {}: {reason}", failure.message)))
                }
            };
            phase.done(&format!("{url} is right{what}"));
            warning.iter().for_each(|warning| ui.warn(warning));
        }
    }
    Ok(())
}

/// What ECS runs, once that is the deployed image only, or for as long as an old task may need to end.
async fn settled(
    clients: &Clients,
    stack: &Stack,
    image: Option<&ImageReference>,
    wanted: &Digest,
    phase: &Phase<'_>,
) -> Result<Running, Failure> {
    let deadline = Instant::now() + TASKS;
    phase.doing("ECS, which images its tasks run");
    loop {
        let running = tasks::running(clients, stack, image, wanted).await?;
        if !matches!(running, Running::Other { .. }) || Instant::now() >= deadline {
            return Ok(running);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The clients that send the requests, signed in as the endpoint demands.
async fn callers(context: &Context, client: &http::Client, access: Access<'_>) -> Result<ApiClients, Failure> {
    let token = context.smoke_token();
    match access {
        Access::Unknown => Ok(sign_in::with_token(token)),
        Access::Stack(clients, _, stack) => {
            sign_in::sign_in(&clients.signed, client, &stack.outputs, token, &context.temporary_users).await
        }
    }
}

async fn remove_temporary_users(context: &Context, ui: &Ui) {
    context.temporary_users.remove_all().await.iter().for_each(|warning| ui.warn(warning));
}
