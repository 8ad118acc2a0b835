//! Trials that need real programs beside the test: a Docker engine, a registry, nginx, an emulator.

mod boot;
mod checkout;
mod client;
mod difference;
mod doctor;
mod downtime;
mod fakecloud;
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
#[path = "../infra/support.rs"]
mod support;

use std::process::ExitCode;

use libtest_mimic::Arguments;

pub(crate) use support::Support;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They share one engine, and most of them compile.
    arguments.test_threads.get_or_insert(1);
    let support = Support::new();
    let trials = [
        local::trials(&support),
        push::trials(&support),
        boot::trials(&support),
        rehearsal::trials(&support),
        difference::trials(&support),
        materials::trials(&support),
        permissions::trials(&support),
        pipeline::trials(&support),
        doctor::trials(&support),
        sign_in::trials(&support),
        downtime::trials(&support),
        gateway::trials(&support),
        faults::trials(&support),
        fakecloud::trials(&support),
    ];
    libtest_mimic::run(&arguments, trials.into_iter().flatten().collect()).exit_code()
}
