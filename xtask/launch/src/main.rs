//! What `cargo xtask` starts: the tool's command line, `local`, compiled first where one of its sources is younger than it.

use std::env;
use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(launch::start("local", env::args_os().skip(1), env::var_os("CARGO")))
}
