//! What is said while something outside does not answer, and that it can be left.
#![cfg(unix)]

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::sandbox::{Ended, Sandbox};

/// AWS and an engine that take a connection and never answer.
fn silent() -> (TcpListener, Sandbox) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let sandbox = Sandbox::new()
        .with("AWS_ENDPOINT_URL", &format!("http://{address}"))
        .with("DOCKER_HOST", &format!("tcp://{address}"))
        .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "secret");
    (listener, sandbox)
}

/// Interrupts the tool once it says what it waits for, and shows that line and how it ended.
fn interrupted(sandbox: &Sandbox, mut tool: Child) -> (String, Ended) {
    let mut stderr = BufReader::new(tool.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains(" still waiting (") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it ended without saying what it waits for");
    }
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-INT", &tool.id().to_string()]).status().unwrap().success());
    let ended = sandbox.end(tool);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    (line.trim_end().to_owned(), ended)
}

#[test]
fn every_command_says_what_it_waits_for_and_can_be_left_at_once() {
    let (_listener, sandbox) = silent();
    let started = |arguments: &[&str]| (arguments.join(" "), sandbox.start(arguments));
    // All at once, or each would take ten seconds.
    let all = [
        started(&["status", "dev"]),
        started(&["logs", "dev", "--json"]),
        started(&["unlock", "dev"]),
        started(&["deploy", "dev", "--image", &format!("registry.example/rest-api@sha256:{}", "5".repeat(64))]),
    ];
    let told = all.map(|(command, tool)| {
        let (line, ended) = interrupted(&sandbox, tool);
        assert_eq!(ended.code, 130, "{command}");
        (command, line)
    });
    let told: Vec<(&str, &str)> = told.iter().map(|(command, line)| (&command[..6], line.as_str())).collect();
    assert_eq!(
        told,
        [
            ("status", "            still waiting (10 s): the stack, its releases and its lock at AWS"),
            ("logs d", "            still waiting (10 s): the service's log at AWS"),
            ("unlock", "            still waiting (10 s): the environment lock at AWS"),
            ("deploy", "  preflight still waiting (10 s): AWS, which account the credentials are of"),
        ]
    );
}

#[test]
fn quiet_stays_quiet() {
    let (_listener, sandbox) = silent();
    let tool = sandbox.start(&["status", "dev", "--quiet"]);
    std::thread::sleep(Duration::from_millis(11_500));
    assert!(Command::new("kill").args(["-INT", &tool.id().to_string()]).status().unwrap().success());
    let ended = sandbox.end(tool);
    assert!(ended.code == 130 && !ended.stderr.contains("still waiting"), "{}", ended.stderr);
}
