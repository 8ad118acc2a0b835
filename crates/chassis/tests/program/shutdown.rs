//! Stopping: who is still answered, and when the process ends.
//!
//! A request is held in flight by a body that is not complete; `100 Continue` tells that the service works on it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use crate::NamedTrial;
use crate::process::Process;
use chassis::testing::{DEADLINE, connect, eventually, get, read_until};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("what_is_in_flight_is_answered", what_is_in_flight_is_answered),
    ("connections_that_ask_nothing_hold_nobody_up", connections_that_ask_nothing_hold_nobody_up),
    ("a_third_signal_gives_up_what_is_in_flight", a_third_signal_gives_up_what_is_in_flight),
    ("nothing_in_flight_holds_the_end_up_for_ever", nothing_in_flight_holds_the_end_up_for_ever),
    (
        "every_client_that_is_let_in_is_answered_while_the_port_closes",
        every_client_that_is_let_in_is_answered_while_the_port_closes,
    ),
];

const FOR_EVER: &str = "600";

fn in_flight(process: &Process) -> TcpStream {
    let mut stream = connect(process.address);
    let head = "GET /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nhal";
    stream.write_all(head.as_bytes()).unwrap();
    assert_eq!(read_until(&mut stream, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

fn what_is_in_flight_is_answered() {
    let mut process = Process::start(&[("API_DRAIN_SECONDS", FOR_EVER), ("API_SHUTDOWN_SECONDS", FOR_EVER)]);
    let mut slow = in_flight(&process);

    process.signal("TERM");
    process.event("draining");
    let health = get(process.address, "/health");
    assert_eq!((health.status, health.body.as_str()), (503, r#"{"status":"draining"}"#));
    assert_eq!(health.header("connection"), "close");
    let hello = get(process.address, "/hello");
    assert_eq!((hello.status, hello.header("connection")), (200, "close"));
    assert_eq!(hello.body, r#"{"hello":"World"}"#);

    // A second signal ends the drain.
    process.signal("TERM");
    eventually("the port closes", || TcpStream::connect(process.address).is_err());
    assert!(!process.has_ended());
    slow.write_all(b"f").unwrap();
    let answer = read_until(&mut slow, "}");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(r#"{"hello":"World"}"#), "{answer}");
    assert!(process.ended().success());
}

fn connections_that_ask_nothing_hold_nobody_up() {
    let mut process = Process::start(&[("API_DRAIN_SECONDS", "0"), ("API_SHUTDOWN_SECONDS", FOR_EVER)]);
    let _silent = connect(process.address);
    let mut idle = connect(process.address);
    idle.write_all(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_until(&mut idle, "}");
    process.signal("INT");
    assert!(process.ended().success());
}

fn a_third_signal_gives_up_what_is_in_flight() {
    let mut process = Process::start(&[("API_DRAIN_SECONDS", FOR_EVER), ("API_SHUTDOWN_SECONDS", FOR_EVER)]);
    let _slow = in_flight(&process);
    process.signal("INT");
    process.event("draining");
    process.signal("TERM");
    process.event("finishing what is in flight");
    process.signal("INT");
    process.event("gave up what was in flight");
    assert!(process.ended().success());
}

fn nothing_in_flight_holds_the_end_up_for_ever() {
    let mut process = Process::start(&[("API_DRAIN_SECONDS", "0"), ("API_SHUTDOWN_SECONDS", "1")]);
    let _slow = in_flight(&process);
    process.signal("TERM");
    assert!(process.ended().success());
}

/// Connects and asks again and again until nobody listens any more; how often it was answered.
///
/// A connection that stands must be answered, to the last one: closing a port resets those that the kernel has let in
/// and nobody has taken.
fn ask_until_the_end(address: SocketAddr) -> u32 {
    for answered in 0.. {
        let Ok(mut stream) = TcpStream::connect_timeout(&address, DEADLINE) else { return answered };
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{error} after {answered} and {answer:?}"));
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:?}");
    }
    unreachable!("the service never ends")
}

fn every_client_that_is_let_in_is_answered_while_the_port_closes() {
    for _ in 0..5 {
        let mut process = Process::start(&[("API_DRAIN_SECONDS", "0")]);
        let address = process.address;
        let clients: Vec<_> = (0..8).map(|_| thread::spawn(move || ask_until_the_end(address))).collect();
        thread::sleep(Duration::from_millis(200));
        process.signal("TERM");
        let answered: u32 = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert!(answered > 100, "{answered}");
        assert!(process.ended().success());
    }
}
