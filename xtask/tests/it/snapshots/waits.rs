//! What is shown while a server does not answer, and that the wait can be interrupted.
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
    let (mut line, mut all) = (String::new(), String::new());
    while !line.contains(" still waiting (") {
        line.clear();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "it does not say what it waits for: {all}");
        all.push_str(&line);
    }
    let begun = Instant::now();
    assert!(Command::new("kill").args(["-INT", &tool.id().to_string()]).status().unwrap().success());
    let ended = sandbox.end(tool);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    (line.trim_end().to_owned(), ended)
}

#[test]
fn every_wait_says_what_it_waits_for_and_can_be_interrupted() {
    let (listener, sandbox) = silent();
    let bootstrap = concat!(env!("CARGO_MANIFEST_DIR"), "/../infra/bootstrap.yaml");
    sandbox.write("infra/bootstrap.yaml", &std::fs::read_to_string(bootstrap).unwrap());
    let image = format!("registry.example/rest-api@sha256:{}", "5".repeat(64));
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (stack, changes) = ("the stack at AWS", "AWS, which account the credentials are of");
    let commands: [(&[&str], &str); 17] = [
        (&["bootstrap", "dev", "--yes"], "AWS and this machine"),
        (&["build"], "the Docker engine"),
        (&["cancel", "dev"], stack),
        (&["deploy", "dev", "--image", &image], changes),
        (&["destroy", "dev", "--yes"], stack),
        (&["diff", "dev"], stack),
        (&["drift", "dev"], stack),
        (&["events", "dev", "--follow"], stack),
        (&["logs", "dev", "--json"], "the service's log at AWS"),
        (&["plan", "dev", "--out", "plan.json"], "the Docker engine's version"),
        (&["prune", "dev"], "the images and releases at AWS"),
        (&["recover", "dev"], stack),
        (&["release", "dev"], "the Docker engine's version"),
        (&["rollback", "dev"], changes),
        (&["smoke", &url], "the endpoint"),
        (&["status", "dev"], "the stack, its releases and its lock at AWS"),
        (&["unlock", "dev"], "the environment lock at AWS"),
    ];
    // All at once, or each would take ten seconds.
    let tools = commands.map(|(arguments, _)| sandbox.start(arguments));
    for ((arguments, wanted), tool) in commands.iter().zip(tools) {
        let (line, ended) = interrupted(&sandbox, tool);
        let (_, what) = line.split_once(" s): ").unwrap_or_default();
        assert_eq!((what, ended.code), (*wanted, 130), "{arguments:?}: {line}\n{}", ended.stderr);
    }
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
