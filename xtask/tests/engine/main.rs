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

use libtest_mimic::{Arguments, Trial};
use requirements::Suite;

/// Tests at a time: most of theirs is waiting, for tasks to start and to drain.
const BESIDE: usize = 2;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = Suite::new();
    // The longest first.
    let beside = [
        pipeline::tests(&suite),
        backend::tests(&suite),
        confirm::tests(&suite),
        guides::tests(&suite),
        difference::tests(&suite),
        rehearsal::tests(&suite),
        one_off::tests(&suite),
        gateway::tests(&suite),
        large_template::tests(&suite),
        local::tests(&suite),
        boot::tests(&suite),
        sbom::tests(&suite),
        permissions::tests(&suite),
        doctor::tests(&suite),
        sign_in::tests(&suite),
        needs::tests(&suite),
    ];
    // These measure what others would disturb, take all that the machine has, or remove images that others use.
    let alone = [downtime::tests(&suite), faults::tests(&suite), push::tests(&suite)];
    let run = |threads: usize, tests: Vec<Vec<Trial>>| {
        let mut arguments = arguments.clone();
        arguments.test_threads.get_or_insert(threads);
        libtest_mimic::run(&arguments, tests.into_iter().flatten().collect())
    };
    let ended = [run(BESIDE, beside.into()), run(1, alone.into())];
    let failed = ended.iter().find(|ended| ended.has_failed());
    failed.unwrap_or(&ended[0]).exit_code()
}
