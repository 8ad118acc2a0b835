//! The smallest service on the chassis: `cargo run -p chassis --example minimal`, then `curl localhost:8080/hello`.

use std::env;
use std::process::ExitCode;

use chassis::program::{Command, Program};
use chassis::{About, Chassis, readable};
use config::service::{Settings, VARIABLES};

const PROGRAM: Program<'_> = Program {
    about: About { name: "minimal", version: env!("CARGO_PKG_VERSION") },
    log_target: env!("CARGO_CRATE_NAME"),
    commands: &[],
    variables: &[VARIABLES],
};

fn main() -> ExitCode {
    PROGRAM.run(env::args_os().skip(1), env::vars_os(), Settings::from_vars, |command, settings| match command {
        Command::Healthcheck => PROGRAM.healthcheck(&settings),
        Command::Serve | Command::Own(_) => PROGRAM.serve(&settings, async |listeners, signals| {
            let routes = |config: &mut actix_web::web::ServiceConfig| {
                config.service(readable("/hello", async || "Hello!\n"));
            };
            Chassis::new(PROGRAM.about, &settings).serve(listeners, signals, routes).await
        }),
    })
}
