//! Tests that need real programs: a Docker engine, a registry, nginx, an emulator. Each names those that it uses.

mod backend;
mod boot;
mod checkout;
mod client;
mod conditions;
mod confirm;
mod difference;
mod doctor;
mod downtime;
mod faults;
mod gateway;
mod guides;
mod large_template;
mod load;
mod local;
mod ministack;
mod needs;
mod one_off;
mod permissions;
mod pipeline;
mod push;
mod registry;
mod rehearsal;
mod sbom;
mod sign_in;
mod signed;

use std::process::ExitCode;

use libtest_mimic::Arguments;
use requirements::Suite;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one engine, and most of them compile.
    arguments.test_threads.get_or_insert(1);
    let suite = Suite::new();
    let tests = [
        local::tests(&suite),
        push::tests(&suite),
        boot::tests(&suite),
        rehearsal::tests(&suite),
        backend::tests(&suite),
        guides::tests(&suite),
        large_template::tests(&suite),
        confirm::tests(&suite),
        difference::tests(&suite),
        sbom::tests(&suite),
        permissions::tests(&suite),
        pipeline::tests(&suite),
        doctor::tests(&suite),
        sign_in::tests(&suite),
        needs::tests(&suite),
        one_off::tests(&suite),
        downtime::tests(&suite),
        gateway::tests(&suite),
        faults::tests(&suite),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}
