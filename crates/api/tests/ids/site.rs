//! A database of a trial's own, and how a process is pointed at it.

use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use postgres_server::Server;

use crate::instance::DEADLINE;

/// A database on the shared server, or on one of the trial's own.
pub(crate) struct Site<'a> {
    pub(crate) server: &'a Server,
    pub(crate) name: String,
}

impl<'a> Site<'a> {
    /// An empty one.
    pub(crate) fn empty(server: &'a Server) -> Self {
        Self { server, name: server.database() }
    }

    /// One that has every migration.
    pub(crate) fn migrated(server: &'a Server) -> Self {
        let site = Self::empty(server);
        let output = site.run(&["migrate"], &[]);
        assert!(output.status.success(), "{output:?}");
        site
    }

    /// The variables of a process that uses it as its owner, verified and encrypted; limits as they suit a busy
    /// machine.
    pub(crate) fn vars(&self) -> Vec<(&'static str, String)> {
        let mut vars = vec![
            ("API_BIND_ADDRESS", "127.0.0.1".to_owned()),
            ("API_PORT", "0".to_owned()),
            ("API_MANAGEMENT_PORT", "off".to_owned()),
            ("API_IDS", "postgres".to_owned()),
            ("API_DATABASE_CONNECT_SECONDS", "2".to_owned()),
            ("API_DATABASE_STATEMENT_SECONDS", "2".to_owned()),
        ];
        vars.extend(self.server.variables(&self.name));
        vars
    }

    /// The program with these variables, some of them changed; an empty value takes one away.
    pub(crate) fn command(&self, arguments: &[&str], changes: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
        command.args(arguments).env_clear().envs(self.vars()).stdin(Stdio::null());
        for (name, value) in changes {
            match *value {
                "" => command.env_remove(name),
                value => command.env(name, value),
            };
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: &[&str], changes: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments, changes);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let started = Instant::now();
        while child.try_wait().unwrap().is_none() {
            if started.elapsed() > DEADLINE {
                child.kill().unwrap();
                panic!("{arguments:?} does not end: {:?}", child.wait_with_output());
            }
            sleep(Duration::from_millis(5));
        }
        child.wait_with_output().unwrap()
    }

    /// Runs statements as the superuser: the rows of the last.
    pub(crate) fn query(&self, statements: &str) -> String {
        self.server.query(&self.name, statements).unwrap()
    }

    /// The last id that was leased.
    pub(crate) fn leased(&self) -> u64 {
        self.query("SELECT leased FROM id_counters WHERE name = 'greetings'").parse().unwrap()
    }

    /// How many clients are connected, but for the one that asks.
    pub(crate) fn connections(&self) -> u32 {
        let count =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.query(count).parse().unwrap()
    }
}

/// What a program has printed.
pub(crate) fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
