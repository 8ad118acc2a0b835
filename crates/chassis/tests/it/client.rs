//! What a call to another service carries of the request that it is made for.
//!
//! (Its times are those of the library below, and are not tested again.)

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use actix_web::{Error, error, rt, web};
use chassis::client::Client;
use chassis::testing::{DEADLINE, Method, ask};

use crate::server;

/// Another service, and the heads of the requests that it gets; it sends everybody elsewhere.
fn other() -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heads, received) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut head) = (stream.unwrap(), Vec::new());
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.extend(byte);
            }
            let answer = b"HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).unwrap();
            heads.send(String::from_utf8(head).unwrap()).unwrap();
        }
    });
    (address, received)
}

/// Calls another service, before its answer and after it in a task that is carried and in one that is not.
async fn call(other: SocketAddr) -> Result<String, Error> {
    let client = Client::new().map_err(error::ErrorInternalServerError)?;
    let calls = move |client: Client, path: &'static str| async move {
        client.get(format!("http://{other}/{path}")).send().await.map(|answer| answer.status().as_u16())
    };
    let status = calls(client.clone(), "direct").await.map_err(error::ErrorBadGateway)?;
    for task in [rt::spawn(chassis::carry(calls(client.clone(), "carried"))), rt::spawn(calls(client, "alone"))] {
        task.await.map_err(error::ErrorInternalServerError)?.map_err(error::ErrorBadGateway)?;
    }
    Ok(status.to_string())
}

#[test]
fn a_call_is_part_of_the_request_that_it_is_made_for() {
    let (address, heads) = other();
    let routes = move |config: &mut web::ServiceConfig| {
        config.service(chassis::readable("/call", move || call(address)));
    };
    let server = server::start_with(&[], routes);
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let root = "Root=1-67891233-abcdef012345678912345678";
    let headers = [("x-request-id", "mine"), ("traceparent", trace), ("x-amzn-trace-id", root)];
    let answer = ask(server, Method::GET, "/call", &headers);
    // A redirect is not followed.
    assert_eq!((answer.status, &*answer.body), (200, "302"), "{answer:?}");
    let own = answer.header("traceparent");
    assert!(own.starts_with(&trace[..36]) && own != trace, "{own}");
    let mut called = [(); 3].map(|()| heads.recv_timeout(DEADLINE).unwrap());
    called.sort();
    for (path, head) in ["alone", "carried", "direct"].into_iter().zip(called) {
        assert!(head.starts_with(&format!("GET /{path} ")), "{head}");
        let names = ["x-request-id: mine", &format!("traceparent: {own}"), &format!("x-amzn-trace-id: {root}")];
        for name in names {
            assert_eq!(head.contains(&format!("\r\n{name}\r\n")), path != "alone", "{name}: {head}");
        }
    }
    assert!(heads.try_recv().is_err(), "nothing else was called");

    // Without a trace none is begun, and the request has an id of its own.
    let answer = ask(server, Method::GET, "/call", &[]);
    let head = heads.recv_timeout(DEADLINE).unwrap();
    assert!(head.starts_with("GET /direct "), "{head}");
    assert!(head.contains(&format!("\r\nx-request-id: {}\r\n", answer.header("x-request-id"))), "{head}");
    assert!(!head.contains("traceparent"), "{head}");
}
