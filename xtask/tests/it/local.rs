//! `release --local` and `destroy --local` with a fake engine that keeps containers, also where they are killed at any
//! call, meet the user's own containers, or other checkouts.

mod engine;

use std::net::{TcpListener, TcpStream};
use std::process::Child;

use ::requirements::free_port;
use rustix::process::Signal;
use serde_json::Value;

use crate::sandbox::{DEPLOY_TOML, Ended, Sandbox};
use engine::{BAD, Engine, NEW, OLD};

const RELEASE: [&str; 4] = ["release", "--local", "--no-smoke", "--json"];
const DESTROY: [&str; 4] = ["destroy", "--local", "--yes", "--json"];

/// A checkout whose service has this port.
fn checkout(engine: &Engine, port: u16) -> Sandbox {
    let sandbox = Sandbox::new().with("DOCKER_HOST", &engine.host());
    let settings = DEPLOY_TOML.replace("name = \"rest-api\"", &format!("name = \"rest-api\"\nport = {port}"));
    sandbox.write("deploy.toml", &settings);
    sandbox
}

fn well(ended: &Ended) -> Value {
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    ended.json()
}

fn serves(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}

/// Runs the tool and sends it a signal while the engine carries out its `call`th call. Answers the child, which has ended,
/// and the call's name where it came to that.
fn interrupted(
    engine: &Engine,
    sandbox: &Sandbox,
    call: usize,
    signal: Signal,
) -> (std::process::Output, Option<String>) {
    engine.state().signal_at(call, signal);
    let child: Child = sandbox.start(&RELEASE);
    engine.state().tool(child.id());
    let output = child.wait_with_output().unwrap();
    let at = engine.state().signalled();
    (output, at)
}

/// One service, released as `OLD`; then a release of `image` that gets a signal at its `call`th call.
fn scene(image: &'static str, call: usize, signal: Signal) -> Option<(Engine, Sandbox, u16, Option<i32>, String)> {
    let (engine, port) = (Engine::start(), free_port());
    let sandbox = checkout(&engine, port);
    engine.state().user_container("rest-api-local");
    engine.state().image = OLD;
    assert_eq!(well(&sandbox.run(&RELEASE))["url"], format!("http://127.0.0.1:{port}"));
    engine.state().image = image;
    let (output, at) = interrupted(&engine, &sandbox, call, signal);
    at.map(|at| (engine, sandbox, port, output.status.code(), at))
}

#[test]
fn a_release_killed_at_any_call_is_completed_by_the_next_one() {
    let mut calls = Vec::new();
    for call in 1.. {
        let Some((engine, sandbox, port, _, at)) = scene(NEW, call, Signal::KILL) else { break };
        // A published port cannot be moved, so between these two calls nothing answers.
        assert!(serves(port) || at.ends_with("/stop"), "killed at call {call}, {at}: nobody serves");
        calls.push(at.clone());
        let again = well(&sandbox.run(&RELEASE));
        assert_eq!(again["url"], format!("http://127.0.0.1:{port}"), "killed at call {call}, {at}");
        let state = engine.state();
        assert_eq!(state.ours(), [(NEW.to_owned(), Some(port))], "killed at call {call}, {at}");
        assert!(state.untouched("rest-api-local"));
    }
    for kind in ["/create", "/start", "/stop", "DELETE", "/rename"] {
        assert!(calls.iter().any(|call| call.contains(kind)), "{kind} is not among {calls:?}");
    }
}

#[test]
fn killing_the_release_of_a_bad_image_keeps_the_old_service() {
    for call in 1.. {
        let Some((engine, sandbox, port, _, at)) = scene(BAD, call, Signal::KILL) else { break };
        assert!(serves(port), "killed at call {call}, {at}");
        let again = sandbox.run(&RELEASE);
        assert_eq!(again.code, 1, "killed at call {call}, {at}: {}", again.stderr);
        assert_eq!(engine.state().ours(), [(OLD.to_owned(), Some(port))], "killed at call {call}, {at}");
    }
}

#[test]
fn a_release_that_is_interrupted_at_any_call_ends_with_one_container_that_serves() {
    for call in 1.. {
        let Some((engine, sandbox, port, code, at)) = scene(NEW, call, Signal::INT) else { break };
        assert!(code == Some(130) || code == Some(0), "interrupted at call {call}, {at}: ended with {code:?}");
        assert!(serves(port), "interrupted at call {call}, {at}: nobody serves");
        let left: Vec<String> = engine.state().ours().into_iter().map(|(image, _)| image).collect();
        let expected = if code == Some(0) { NEW } else { OLD };
        // The engine may carry out a call that was abandoned; the next run removes what came of it.
        assert!(left.iter().any(|image| image == expected), "interrupted at call {call}, {at}: {left:?}");
        well(&sandbox.run(&RELEASE));
        assert_eq!(engine.state().ours(), [(NEW.to_owned(), Some(port))], "interrupted at call {call}, {at}");
    }
}

#[test]
fn a_first_release_that_is_interrupted_at_any_call_is_completed_by_the_next_one() {
    for call in 1.. {
        let (engine, port) = (Engine::start(), free_port());
        let sandbox = checkout(&engine, port);
        let (_, Some(at)) = interrupted(&engine, &sandbox, call, Signal::INT) else { break };
        well(&sandbox.run(&RELEASE));
        assert_eq!(engine.state().ours(), [(OLD.to_owned(), Some(port))], "interrupted at call {call}, {at}");
    }
}

#[test]
fn a_failed_handover_returns_the_port_to_the_old_container() {
    let (engine, port) = (Engine::start(), free_port());
    let sandbox = checkout(&engine, port);
    engine.state().image = OLD;
    well(&sandbox.run(&RELEASE));
    // As a kill right after the new container's start leaves it: the old one stopped, the new one not healthy.
    engine.state().stop_all();
    engine.state().image = BAD;
    let failed = sandbox.run(&RELEASE);
    assert_eq!(failed.code, 1);
    assert!(
        failed.json()["error"]["message"].as_str().unwrap().ends_with("the old one runs again"),
        "{}",
        failed.stderr
    );
    assert_eq!(engine.state().ours(), [(OLD.to_owned(), Some(port))]);
}

#[test]
fn containers_of_the_user_with_our_names_stay() {
    let (engine, port) = (Engine::start(), free_port());
    let sandbox = checkout(&engine, port);
    well(&sandbox.run(&RELEASE));
    let name = engine.state().names().remove(0);
    well(&sandbox.run(&DESTROY));
    let users = ["rest-api-local", "rest-api-next", "rest-api-candidate"].map(str::to_owned);
    let users: Vec<String> =
        users.into_iter().chain(["", "-next", "-candidate"].map(|end| format!("{name}{end}"))).collect();
    users.iter().for_each(|user| engine.state().user_container(user));
    for image in [OLD, NEW] {
        engine.state().image = image;
        well(&sandbox.run(&RELEASE));
        assert_eq!(engine.state().ours(), [(image.to_owned(), Some(port))]);
    }
    let removed = well(&sandbox.run(&DESTROY))["removed"].as_array().unwrap().len();
    assert_eq!(removed, 1);
    assert!(users.iter().all(|user| engine.state().untouched(user)));
}

#[test]
fn two_checkouts_live_side_by_side() {
    let (engine, port) = (Engine::start(), free_port());
    let (one, two) = (checkout(&engine, port), checkout(&engine, port));
    assert_eq!(well(&one.run(&RELEASE))["change"], "create");
    let second = well(&two.run(&RELEASE));
    assert_eq!(second["change"], "create", "the other checkout's container is not its own");
    assert_ne!(second["url"], format!("http://127.0.0.1:{port}"));
    assert_eq!(well(&one.run(&RELEASE))["change"], "none");
    assert_eq!(engine.state().ours().len(), 2);
    engine.state().image = NEW;
    let again = well(&two.run(&RELEASE));
    assert_eq!((&again["change"], &again["url"]), (&Value::from("update"), &second["url"]));
    well(&one.run(&DESTROY));
    assert_eq!(engine.state().ours().len(), 1);
    // What a checkout that is gone has left is named, with the command that removes it, and stays.
    let name = engine.state().names().remove(0);
    two.remove("deploy.toml");
    let told = one.run(&["destroy", "--local", "--yes"]);
    assert!(told.stderr.contains(&format!("docker rm --force {name}")), "{}", told.stderr);
    assert_eq!(engine.state().ours().len(), 1);
}

#[test]
fn three_releases_at_once_take_turns() {
    let (engine, port) = (Engine::start(), free_port());
    let sandbox = checkout(&engine, port);
    let children: Vec<Child> = (0..3).map(|_| sandbox.start(&RELEASE)).collect();
    let mut changes: Vec<String> =
        children.into_iter().map(|child| well(&sandbox.end(child))["change"].as_str().unwrap().to_owned()).collect();
    changes.sort();
    assert_eq!(changes, ["create", "none", "none"]);
    assert_eq!(engine.state().ours(), [(OLD.to_owned(), Some(port))]);
}

#[test]
fn a_wait_for_another_release_is_announced_and_can_be_interrupted() {
    let (engine, port) = (Engine::start(), free_port());
    let sandbox = checkout(&engine, port);
    well(&sandbox.run(&RELEASE));
    let lock = std::fs::File::options().append(true).open(sandbox.path().join("target/xtask-local.lock")).unwrap();
    lock.lock().unwrap();
    let child = sandbox.start(&["release", "--local"]);
    std::thread::sleep(std::time::Duration::from_secs(4));
    let process = rustix::process::Pid::from_raw(child.id().try_into().unwrap()).unwrap();
    rustix::process::kill_process(process, Signal::INT).unwrap();
    let ended = sandbox.end(child);
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("waiting for another release or destroy of this checkout"), "{}", ended.stderr);
    drop(lock);
    well(&sandbox.run(&RELEASE));
}

#[test]
fn a_busy_port_is_skipped_whatever_the_engines_message() {
    for words in [
        "driver failed programming external connectivity: Bind for 127.0.0.1:8080 failed: port is already allocated",
        "Ports are not available: exposing port TCP 127.0.0.1:8080 -> 0.0.0.0:0: listen tcp 127.0.0.1:8080: bind: An \
         attempt was made to access a socket in a way forbidden by its access permissions.",
        "rootlessport listen tcp 127.0.0.1:8080: bind: address already in use",
    ] {
        let (engine, port) = (Engine::start(), free_port());
        engine.state().refuse_port(port, words);
        let released = well(&checkout(&engine, port).run(&RELEASE));
        assert_ne!(released["url"], format!("http://127.0.0.1:{port}"), "{words}");
        assert_eq!(engine.state().ours().len(), 1, "{words}");
    }
    // An unknown message, but the port is taken.
    let (engine, held) = (Engine::start(), TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let port = held.local_addr().unwrap().port();
    engine.state().refuse_port(port, "the port driver is not amused");
    assert_ne!(well(&checkout(&engine, port).run(&RELEASE))["url"], format!("http://127.0.0.1:{port}"));
}

#[test]
fn a_full_disk_of_the_engine_is_reported_with_the_command_that_frees_space() {
    let (engine, port) = (Engine::start(), free_port());
    engine.state().refuse_creation = Some("mkdir /var/lib/docker/overlay2/1: no space left on device");
    let failed = checkout(&engine, port).run(&RELEASE);
    let error = &failed.json()["error"];
    assert_eq!((failed.code, error["reason"].as_str()), (1, engine.state().refuse_creation), "{error}");
    let hint = error["hint"].as_str().unwrap();
    assert!(hint.contains("docker system df") && hint.contains("docker system prune"), "{hint}");
}

#[test]
fn images_used_by_other_checkouts_stay() {
    let (engine, port) = (Engine::start(), free_port());
    let (one, two) = (checkout(&engine, port), checkout(&engine, port));
    let images = ["destroy", "--local", "--images", "--yes", "--json"];
    well(&one.run(&RELEASE));
    let content = engine.state().tags[OLD][0].clone();
    engine.state().tag(OLD, "mine:keep");
    engine
        .state()
        .tag("sha256:0000000000000000000000000000000000000000000000000000000000000001", "rest-api:content-old");
    well(&two.run(&RELEASE));
    well(&one.run(&images));
    assert!(engine.state().tags[OLD].contains(&content), "the other checkout uses it, too");
    well(&two.run(&images));
    assert_eq!(engine.state().tags[OLD], ["mine:keep"], "the user's own name stays");
    assert_eq!(engine.state().tags.len(), 2, "an image that no checkout uses stays");
}

#[test]
fn an_engine_that_stops_answering_is_given_up_after_half_a_minute() {
    let engine = Engine::start();
    let sandbox = checkout(&engine, free_port());
    engine.state().hangs = true;
    let started = std::time::Instant::now();
    let commands: [(&[&str], &str); 3] = [
        (&RELEASE, "cannot look up image"),
        (&["build", "--json"], "cannot look up image"),
        (&DESTROY, "cannot list containers"),
    ];
    let children: Vec<(Child, &str)> =
        commands.into_iter().map(|(arguments, what)| (sandbox.start(arguments), what)).collect();
    for (child, what) in children {
        let ended = sandbox.end(child);
        let error = &ended.json()["error"];
        assert_eq!(ended.code, 1, "{error}");
        assert!(error["message"].as_str().unwrap().starts_with(what), "{error}");
        assert_eq!(error["reason"], "the engine did not answer within 30 s");
        assert!(error["hint"].as_str().unwrap().contains("docker info"), "{error}");
    }
    assert!(started.elapsed() < std::time::Duration::from_secs(50), "{:?}", started.elapsed());
}

#[test]
fn the_address_is_read_as_the_docker_command_reads_it() {
    let engine = Engine::start();
    let bare = engine.host().replace("tcp://", "");
    let sandbox = checkout(&engine, free_port()).with("DOCKER_HOST", &bare);
    well(&sandbox.run(&RELEASE));

    let sandbox = sandbox.with("DOCKER_HOST", "");
    engine::context(&sandbox, "far", "tcp://127.0.0.1:1");
    let failed = sandbox.run(&["build", "--json"]);
    let error = &failed.json()["error"];
    assert_eq!(error["resource"], "tcp://127.0.0.1:1 (docker context \"far\")");
    assert!(error["hint"].as_str().unwrap().contains("docker --context far version"), "{error}");
}

#[test]
fn a_password_in_the_engines_address_is_never_shown() {
    let engine = Engine::start();
    let address = |place: &str| format!("tcp://somebody:s3cret-marker@{place}");
    let reached = engine.host().replace("tcp://", "");
    for (address, code) in [(address(&reached), 0), (address("127.0.0.1:1"), 3), (address("x y"), 3)] {
        let sandbox = checkout(&engine, free_port()).with("DOCKER_HOST", &address);
        for command in [&["release", "--local"][..], &["build"], &["destroy", "--local", "--yes"]] {
            for how in [&["--verbose"][..], &["--json"]] {
                let ended = sandbox.run(&[command, how].concat());
                let shown = format!("{}{}", ended.stdout, ended.stderr);
                assert_eq!(ended.code, code, "{shown}");
                assert!(!shown.contains("s3cret-marker") && !shown.contains("somebody"), "{shown}");
            }
        }
        let doctor = sandbox.run(&["doctor", "dev", "--json"]);
        assert!(!format!("{}{}", doctor.stdout, doctor.stderr).contains("s3cret-marker"), "{}", doctor.stdout);
    }
}
