//! `smoke`: tests the endpoint of an environment, or a URL.

use std::time::Duration;

use anyhow::Result;
use url::Url;

use crate::context::Context;
use crate::engine::verify::{self, Access, VerifyOptions};
use crate::session::Session;
use aws::stack;
use local::cli::Smoke;
use local::smoke;
use local::ui::Ui;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::Digest;

const TIMEOUT: Duration = Duration::from_secs(30);
const SPACING: Duration = Duration::from_millis(100);

pub(super) async fn run(arguments: &Smoke, context: &Context, ui: &Ui) -> Result<()> {
    let given = arguments.digest.as_deref().map(str::parse::<Digest>).transpose().map_err(|reason| {
        Failure::new(Exit::Usage, FailureKind::Digest, format!("--digest cannot be used: {reason}"))
    })?;
    if arguments.target.contains("://") {
        let base = parse_url(&arguments.target)?;
        return test(context, base, Access::Unknown, given, ui).await;
    }
    let environment = context.environment(&arguments.target)?;
    let session = Session::open(context, environment, ui).await?;
    let clients = &session.clients;
    let stack = stack::describe(&clients.cloudformation, &environment.stack).await?.ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::Stack, "there is no stack to test")
            .resource(format!("stack {}", environment.stack))
            .reason("it does not exist")
            .hint(format!("cargo xtask release {}", environment.name))
    })?;
    ui.about(environment);
    let image = stack.image(environment);
    let digest = given.or(image.and_then(|image| image.digest));
    let base = verify::base_url(environment, &stack, arguments.smoke_url.as_deref())?;
    test(context, base, Access::Stack(clients, environment, &stack), digest, ui).await
}

fn parse_url(target: &str) -> Result<Url, Failure> {
    let fail = |reason: &str| {
        Failure::new(Exit::Usage, FailureKind::Url, "this URL cannot be tested").resource(target).reason(reason)
    };
    let url: Url = target.parse().map_err(|error: url::ParseError| fail(&error.to_string()))?;
    if ["http", "https"].contains(&url.scheme()) {
        Ok(url)
    } else {
        Err(fail("the URL must start with http:// or https://"))
    }
}

async fn test(context: &Context, base: Url, access: Access<'_>, digest: Option<Digest>, ui: &Ui) -> Result<()> {
    ui.note(|report| report.digest = digest.as_ref().map(ToString::to_string));
    let options = VerifyOptions {
        timeout: TIMEOUT,
        spacing: SPACING,
        exit: Exit::Failed,
        before: None,
        retries_connections: false,
        is_back: false,
    };
    verify::prove(context, base.clone(), access, digest, options, ui).await?;
    ui.result(&format!("{} answers correctly", smoke::shown_url(&base)));
    Ok(())
}
