//! The container of the boot tests, compiled on the spot: healthy, unhealthy or gone at once, as its argument says.
//! Any other path answers with the request's own head.

use std::io::{Read, Write};
use std::net::TcpListener;

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == "exits" {
        eprintln!("cannot reach the database");
        std::process::exit(3);
    }
    let port: u16 = std::env::var("API_PORT").expect("API_PORT").parse().expect("a port");
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
    println!("listening");
    for connection in listener.incoming() {
        let Ok(mut connection) = connection else { continue };
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(connection.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        let status = if mode == "unhealthy" && head.starts_with(b"GET /health") { "503 Down" } else { "200 OK" };
        let length = head.len();
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        let _ = connection.write_all(answer.as_bytes()).and_then(|()| connection.write_all(&head));
    }
}
