//! `smoke`: prove an endpoint, of an environment or at a URL.

use std::time::Duration;

use anyhow::Result;
use url::Url;

use crate::cli::Smoke;
use crate::context::Context;
use crate::engine::verify;
use crate::engine::verify::{Access, VerifyOptions};
use crate::session::Session;
use crate::ui::Ui;
use aws::stack;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::{Digest, ImageReference};

const TIMEOUT: Duration = Duration::from_secs(30);
const SPACING: Duration = Duration::from_millis(100);

pub(super) async fn run(arguments: &Smoke, context: &Context, ui: &Ui) -> Result<()> {
    let given = arguments.digest.as_deref().map(str::parse::<Digest>).transpose().map_err(|reason| {
        Failure::new(Exit::Usage, FailureKind::Digest, format!("--digest cannot be used: {reason}"))
    })?;
    let mut asked = None;
    let (base, digest, access) = if arguments.target.contains("://") {
        let fail = |reason: &str| {
            Failure::new(Exit::Usage, FailureKind::Url, "this URL cannot be asked")
                .resource(&arguments.target)
                .reason(reason)
        };
        let base: Url = arguments.target.parse().map_err(|error: url::ParseError| fail(&error.to_string()))?;
        if !["http", "https"].contains(&base.scheme()) {
            return Err(fail("a service answers at http:// or https://").into());
        }
        (base, given, Access::Unknown)
    } else {
        let environment = context.environment(&arguments.target)?;
        let session = Session::open(context, environment, ui).await?;
        let clients = session.clients;
        let stack = stack::describe(&clients.cloudformation, &environment.stack).await?.ok_or_else(|| {
            Failure::new(Exit::Failed, FailureKind::Stack, "there is nothing to prove")
                .resource(format!("stack {}", environment.stack))
                .reason("it does not exist")
                .hint(format!("cargo xtask release {}", environment.name))
        })?;
        ui.note(|report| {
            report.environment = Some(environment.name.clone());
            report.stack = Some(stack.name.clone());
        });
        let runs = stack.container_uri().and_then(|uri| uri.parse::<ImageReference>().ok());
        let base = verify::base_url(environment, &stack, arguments.smoke_url.as_deref())?;
        let (clients, stack) = &*asked.insert((clients, stack));
        (base, given.or(runs.and_then(|image| image.digest)), Access::Stack(clients, stack))
    };
    ui.note(|report| report.digest = digest.as_ref().map(ToString::to_string));
    let options = VerifyOptions { timeout: TIMEOUT, spacing: SPACING, exit: Exit::Failed, before: None };
    verify::prove(context, base.clone(), access, digest, options, ui).await?;
    ui.result(&format!("{} is right", verify::shown(&base)));
    Ok(())
}
