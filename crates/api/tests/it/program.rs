//! Arguments, settings and exit codes of the finished program.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use config::service::VARIABLES;

use crate::process::{Process, outcome};

#[test]
fn the_readme_has_the_table_of_settings() {
    let rows = VARIABLES.iter().map(|variable| {
        let default = variable.default.map_or("none".into(), |value| format!("`{value}`"));
        format!("| `{}` | {default} | {} | {} |\n", variable.name, variable.meaning, variable.allowed)
    });
    let rows: String = rows.collect();
    let table = format!("| Variable | Default | Meaning | Allowed |\n|---|---|---|---|\n{rows}\n");
    assert!(include_str!("../../README.md").contains(&table), "README.md should have:\n{table}");
}

#[test]
fn help_and_version() {
    let (code, help, stderr) = outcome(&["--help"], &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for text in ["healthcheck", "--version"].into_iter().chain(VARIABLES.iter().map(|variable| variable.name)) {
        assert!(help.contains(text), "{text} is not in:\n{help}");
    }
    let version = format!("api {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(outcome(&["--version"], &[]), (0, version, String::new()));
}

#[test]
fn wrong_arguments_are_named() {
    for (arguments, problem) in [
        (&["serve"][..], "api: no such argument: \"serve\"; see api --help\n"),
        (&["--port", "80"], "api: no such argument: \"--port\"; see api --help\n"),
        (&[""], "api: no such argument: \"\"; see api --help\n"),
        (&["healthcheck", "now"], "api: healthcheck takes no arguments; see api --help\n"),
    ] {
        assert_eq!(outcome(arguments, &[]), (2, String::new(), problem.into()));
    }
}

#[test]
fn every_unusable_setting_is_reported() {
    let vars = [("API_PORT", "http"), ("API_LOG_LEVEL", "loud"), ("API_PROT", "80")];
    let (code, stdout, stderr) = outcome(&[], &vars);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines[0], "api: cannot start with these settings:");
    assert_eq!(lines[1], r#"environment: API_PORT is "http"; allowed: a whole number from 0 to 65535"#);
    assert_eq!(lines[2], r#"environment: API_LOG_LEVEL is "loud"; allowed: error, warn, info, debug or trace"#);
    assert!(lines[3].starts_with(r#"environment: API_PROT is "80"; allowed: only variables "#), "{stderr}");
    assert_eq!(lines.len(), 4);
    // Docker reserves the code 2 of a health check.
    assert_eq!(outcome(&["healthcheck"], &vars).0, 1);
}

#[test]
fn a_setting_that_is_not_unicode_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = crate::process::program(&[], &[]);
    let output = command.env("API_PORT", std::ffi::OsStr::from_bytes(b"80\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("API_PORT is \"80\u{fffd}\""));
}

#[test]
fn a_port_in_use_is_named_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let (code, stdout, stderr) = outcome(&[], &[("API_BIND_ADDRESS", "127.0.0.1"), ("API_PORT", &port)]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let expected = format!("api: cannot listen on {address}: Address ");
    assert!(stderr.starts_with(&expected) && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn a_management_port_in_use_is_named_with_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let vars = [("API_BIND_ADDRESS", "127.0.0.1"), ("API_PORT", "0"), ("API_MANAGEMENT_PORT", &port)];
    let (code, _, stderr) = outcome(&[], &vars);
    assert!(code == 1 && stderr.ends_with("; see API_MANAGEMENT_PORT\n") && stderr.lines().count() == 1, "{stderr}");
}

fn healthcheck(port: u16) -> (i32, String, String) {
    healthcheck_at("0.0.0.0", port)
}

fn healthcheck_at(address: &str, port: u16) -> (i32, String, String) {
    outcome(&["healthcheck"], &[("API_BIND_ADDRESS", address), ("API_PORT", &port.to_string())])
}

#[test]
fn a_healthy_service_passes_the_check_and_a_draining_one_fails_it() {
    let process = Process::start(&[("API_DRAIN_SECONDS", "600")]);
    assert_eq!(healthcheck(process.address.port()), (0, String::new(), String::new()));
    process.signal("TERM");
    process.event("draining");
    let (code, _, stderr) = healthcheck(process.address.port());
    let address = process.address;
    let expected = format!("api: unhealthy: http://{address}/health answers \"HTTP/1.1 503 Service Unavailable\"\n");
    assert_eq!((code, stderr), (1, expected));
}

#[test]
fn the_check_asks_where_the_service_listens() {
    let process = Process::start(&[("API_BIND_ADDRESS", "127.0.0.2")]);
    assert_eq!(healthcheck_at("127.0.0.2", process.address.port()), (0, String::new(), String::new()));
}

#[test]
fn nobody_there_is_unhealthy() {
    // No test listens at this address, whatever port it is given.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, _, stderr) = healthcheck_at("127.0.0.3", port);
    let expected = format!("api: unhealthy: http://127.0.0.3:{port}/health does not answer: Connection refused");
    assert!(code == 1 && stderr.starts_with(&expected) && stderr.lines().count() == 1, "{stderr}");
}

#[test]
fn somebody_else_there_is_unhealthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1024];
            assert!(stream.read(&mut request).unwrap() > 0);
            stream.write_all(b"SSH-2.0-\xff\r\n").unwrap();
        }
    });
    let (code, _, stderr) = healthcheck(port);
    assert_eq!(code, 1);
    assert!(stderr.ends_with("/health answers \"SSH-2.0-\u{fffd}\"\n"), "{stderr}");
}
