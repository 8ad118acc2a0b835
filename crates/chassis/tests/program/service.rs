//! The program under test.

use std::env;
use std::process::ExitCode;

use actix_web::rt;
use actix_web::web::{Json, ServiceConfig};
use chassis::program::{Command, Program};
use chassis::{About, Chassis, readable};
use config::service::{Settings, VARIABLES};

pub(crate) const ABOUT: About = About { name: "test", version: "1.2.3" };

const PROGRAM: Program<'_> = Program {
    about: ABOUT,
    log_target: env!("CARGO_CRATE_NAME"),
    commands: &[("tidy", "put everything in its place")],
    variables: &[VARIABLES],
};

pub(crate) fn main() -> ExitCode {
    PROGRAM.run(env::args_os().skip(1), env::vars_os(), Settings::from_vars, |command, settings| match command {
        Command::Healthcheck => PROGRAM.healthcheck(&settings),
        Command::Own(name) => PROGRAM.fail(1, format!("{name} has failed")),
        Command::Serve => PROGRAM.serve(&settings, async |listeners, signals| {
            Chassis::new(ABOUT, &settings).serve(listeners, signals, routes).await
        }),
    })
}

fn routes(config: &mut ServiceConfig) {
    config
        .service(readable("/hello", async || Json(serde_json::json!({"hello": "World"}))))
        .service(readable("/never/{name}", std::future::pending::<&'static str>))
        .service(readable("/tale", tale))
        .service(readable("/panic", async || -> &'static str { panic!("on purpose") }));
}

/// Logs as handlers and the libraries that they call do.
async fn tale() -> &'static str {
    tracing::info!(chapter = 1, "once upon a time");
    rt::task::yield_now().await;
    log::warn!(target: "library", "a wolf");
    tracing::info!(request_id = 7, "an id of its own");
    rt::spawn(async { tracing::info!("beyond the request") });
    rt::spawn(chassis::carry(async { tracing::info!("carried along") }));
    "the end"
}
