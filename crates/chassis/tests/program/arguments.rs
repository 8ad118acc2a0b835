//! Arguments, settings and exit codes of the finished program.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use config::service::VARIABLES;

use crate::NamedTrial;
use crate::process::{Process, outcome};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("help_and_version", help_and_version),
    ("wrong_arguments_are_named", wrong_arguments_are_named),
    ("a_command_of_its_own_takes_no_arguments", a_command_of_its_own_takes_no_arguments),
    ("every_unusable_setting_is_reported", every_unusable_setting_is_reported),
    ("a_setting_that_is_not_unicode_is_refused", a_setting_that_is_not_unicode_is_refused),
    ("a_port_in_use_is_named_with_the_reason", a_port_in_use_is_named_with_the_reason),
    ("a_management_port_in_use_is_named_with_its_setting", a_management_port_in_use_is_named_with_its_setting),
    (
        "a_healthy_service_passes_the_check_and_a_draining_one_fails_it",
        a_healthy_service_passes_the_check_and_a_draining_one_fails_it,
    ),
    ("the_check_asks_where_the_service_listens", the_check_asks_where_the_service_listens),
    ("nobody_there_is_unhealthy", nobody_there_is_unhealthy),
    ("somebody_else_there_is_unhealthy", somebody_else_there_is_unhealthy),
];

fn help_and_version() {
    let (code, help, stderr) = outcome(&["--help"], &[]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for text in ["healthcheck", "--version", "tidy", "put everything in its place"]
        .into_iter()
        .chain(VARIABLES.iter().map(|variable| variable.name))
    {
        assert!(help.contains(text), "{text} is not in:\n{help}");
    }
    assert_eq!(outcome(&["--version"], &[]), (0, "test 1.2.3\n".into(), String::new()));
}

fn wrong_arguments_are_named() {
    for (arguments, problem) in [
        (&["serve"][..], "test: no such argument: \"serve\"; see test --help\n"),
        (&["--port", "80"], "test: no such argument: \"--port\"; see test --help\n"),
        (&[""], "test: no such argument: \"\"; see test --help\n"),
        (&["healthcheck", "now"], "test: healthcheck takes no arguments; see test --help\n"),
    ] {
        assert_eq!(outcome(arguments, &[]), (2, String::new(), problem.into()));
    }
}

fn a_command_of_its_own_takes_no_arguments() {
    assert_eq!(outcome(&["tidy"], &[]), (1, String::new(), "test: tidy has failed\n".into()));
    let (code, _, stderr) = outcome(&["tidy", "now"], &[]);
    assert_eq!((code, stderr.as_str()), (2, "test: tidy takes no arguments; see test --help\n"));
}

fn every_unusable_setting_is_reported() {
    let vars = [("API_PORT", "http"), ("API_LOG_LEVEL", "loud"), ("API_PROT", "80")];
    let (code, stdout, stderr) = outcome(&[], &vars);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines[0], "test: cannot start with these settings:");
    assert_eq!(lines[1], r#"environment: API_PORT is "http"; allowed: a whole number from 0 to 65535"#);
    assert_eq!(lines[2], r#"environment: API_LOG_LEVEL is "loud"; allowed: error, warn, info, debug or trace"#);
    // Not its value, which may be a secret whose name is misspelt.
    assert_eq!(
        lines[3],
        "environment: API_PROT is no setting; allowed: only variables that --help lists; did you mean API_PORT?"
    );
    assert_eq!(lines.len(), 4);
    // Docker reserves the code 2 of a health check.
    assert_eq!(outcome(&["healthcheck"], &vars).0, 1);
}

fn a_setting_that_is_not_unicode_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let mut command = crate::process::program(&[], &[]);
    let output = command.env("API_PORT", std::ffi::OsStr::from_bytes(b"80\xff")).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("API_PORT is \"80\u{fffd}\""));
}

fn a_port_in_use_is_named_with_the_reason() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let port = address.port().to_string();
    let (code, stdout, stderr) = outcome(&[], &[("API_BIND_ADDRESS", "127.0.0.1"), ("API_PORT", &port)]);
    assert_eq!((code, stdout.as_str()), (1, ""));
    let expected = format!("test: cannot listen on {address}: Address ");
    assert!(stderr.starts_with(&expected) && stderr.lines().count() == 1, "{stderr}");
}

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

fn a_healthy_service_passes_the_check_and_a_draining_one_fails_it() {
    let process = Process::start(&[("API_DRAIN_SECONDS", "600")]);
    assert_eq!(healthcheck(process.address.port()), (0, String::new(), String::new()));
    process.signal("TERM");
    process.event("draining");
    let (code, _, stderr) = healthcheck(process.address.port());
    let address = process.address;
    let expected = format!("test: unhealthy: http://{address}/health answers \"HTTP/1.1 503 Service Unavailable\"\n");
    assert_eq!((code, stderr), (1, expected));
}

fn the_check_asks_where_the_service_listens() {
    let process = Process::start(&[("API_BIND_ADDRESS", "127.0.0.2")]);
    assert_eq!(healthcheck_at("127.0.0.2", process.address.port()), (0, String::new(), String::new()));
}

fn nobody_there_is_unhealthy() {
    // No test listens at this address, whatever port it is given.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (code, _, stderr) = healthcheck_at("127.0.0.3", port);
    let expected = format!("test: unhealthy: http://127.0.0.3:{port}/health does not answer: Connection refused");
    assert!(code == 1 && stderr.starts_with(&expected) && stderr.lines().count() == 1, "{stderr}");
}

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
