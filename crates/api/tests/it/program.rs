//! Arguments, settings and exit codes of the finished program.

use std::process::{Command, Output, Stdio};

use chassis::testing::table_of_settings;
use config::service::Variable;

fn variables() -> impl Iterator<Item = &'static &'static Variable> {
    api::settings::GROUPS.iter().copied().flatten()
}

#[test]
fn the_readme_has_the_table_of_settings() {
    let table = table_of_settings(api::settings::VARIABLES);
    assert!(include_str!("../../README.md").contains(&table), "README.md should have:\n{table}");
}

#[test]
fn help_and_version() {
    let (code, help, stderr) = outcome(&["--help"], &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for text in ["healthcheck", "--version"].into_iter().chain(variables().map(|variable| variable.name)) {
        assert!(help.contains(text), "{text} is not in:\n{help}");
    }
    let version = format!("api {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(outcome(&["--version"], &[]), (0, version, String::new()));
}

#[test]
fn every_unusable_setting_is_reported() {
    let (code, _, stderr) = outcome(&[], &[("API_PORT", "http"), ("API_IDS", "paper"), ("API_ID", "memory")]);
    let lines: Vec<_> = stderr.lines().skip(1).map(|line| line.split(" is ").next().unwrap()).collect();
    assert_eq!((code, lines), (2, vec!["environment: API_PORT", "environment: API_IDS", "environment: API_ID"]));
}

/// Exit code, stdout and stderr of the finished program.
fn outcome(arguments: &[&str], vars: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api"));
    let Output { status, stdout, stderr } =
        command.args(arguments).env_clear().envs(vars.iter().copied()).stdin(Stdio::null()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}
