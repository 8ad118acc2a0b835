//! The program with a database: ids that several processes share, at full speed and while something fails; connections;
//! the schema.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod connections;
mod door;
mod failures;
mod instance;
mod schema;
mod sharing;
mod site;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::Arguments;
use postgres_server::Server;
use requirements::{POSTGRES, Suite};

/// A trial on the shared server, and its name.
pub(crate) type NamedTrial = (&'static str, fn(&Server));
/// A trial that starts, stops or sets up a server of its own, and its name.
pub(crate) type NamedServerTrial = (&'static str, fn(Server));

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let suite = Suite::new();
    // One for all, started by the first that needs it; it ends with the last trial that holds it.
    let shared = Arc::new(OnceLock::new());
    let trial = |(name, run): &NamedTrial| {
        let (shared, run) = (Arc::clone(&shared), *run);
        suite.test(name, &[POSTGRES], move |programs| {
            run(shared.get_or_init(|| Server::start(programs)));
            Ok::<(), Infallible>(())
        })
    };
    let own = |(name, run): &NamedServerTrial| {
        let run = *run;
        suite.test(name, &[POSTGRES], move |programs| {
            run(Server::start(programs));
            Ok::<(), Infallible>(())
        })
    };
    let lists = [sharing::TRIALS, failures::TRIALS, schema::TRIALS, connections::TRIALS];
    let mut trials: Vec<_> = lists.into_iter().flatten().map(trial).collect();
    trials.extend(failures::ON_OWN_SERVER.iter().map(own));
    drop(shared);
    libtest_mimic::run(&arguments, trials).exit_code()
}
