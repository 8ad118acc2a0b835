//! Tests that need real programs: a Docker engine, a registry, nginx, an emulator. Each names those that it uses.

mod boot;
mod checkout;
mod client;
mod conditions;
mod difference;
mod doctor;
mod downtime;
mod faults;
mod gateway;
mod load;
mod local;
mod materials;
mod ministack;
mod permissions;
mod pipeline;
mod push;
mod registry;
mod rehearsal;
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
    let trials = [
        local::trials(&suite),
        push::trials(&suite),
        boot::trials(&suite),
        rehearsal::trials(&suite),
        difference::trials(&suite),
        materials::trials(&suite),
        permissions::trials(&suite),
        pipeline::trials(&suite),
        doctor::trials(&suite),
        sign_in::trials(&suite),
        downtime::trials(&suite),
        gateway::trials(&suite),
        faults::trials(&suite),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
