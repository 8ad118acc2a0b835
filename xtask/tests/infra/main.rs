//! The templates without an account: every combination of the matrix rendered, linted and checked against a policy.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod checkov;
mod combinations;
mod guard;
mod limits;
mod linter;
mod options;
mod pairs;
mod render;
mod rendered;
mod renderer;
mod resolve;
mod stacks;
mod style;
mod template;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use requirements::Suite;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = Suite::new();
    let tests = [
        renderer::tests(),
        rendered::tests(),
        style::tests(),
        limits::tests(),
        stacks::tests(),
        options::tests(),
        linter::tests(&suite),
        guard::tests(&suite),
        checkov::tests(&suite),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// A test that needs no program.
fn test(name: &str, run: fn() -> anyhow::Result<()>) -> Trial {
    Trial::test(name, move || run().map_err(|error| Failed::from(format!("{error:?}"))))
}
