//! The container of the suites, compiled on the spot: healthy, unhealthy or gone at once, as its argument says. It
//! answers a body with the same body, and a request without one with the request's own head.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == "exits" {
        eprintln!("cannot reach the database");
        std::process::exit(3);
    }
    match std::env::args().nth(2).as_deref() {
        Some("migrate") => {
            let password = std::env::var("PGPASSWORD").expect("PGPASSWORD");
            let what = std::env::args().nth(3).unwrap_or_default();
            println!("migrated {what} with a password of {} characters", password.len());
            return;
        }
        Some("fail") => {
            eprintln!("the schema cannot be changed");
            std::process::exit(7);
        }
        _ => {}
    }
    let port: u16 = std::env::var("API_PORT").expect("API_PORT").parse().expect("a port");
    let listener = TcpListener::bind(("0.0.0.0", port)).expect("a free port");
    println!("listening");
    for connection in listener.incoming().flatten() {
        let is_unhealthy = mode == "unhealthy";
        std::thread::spawn(move || drop(answer(connection, is_unhealthy)));
    }
}

fn answer(mut connection: TcpStream, is_unhealthy: bool) -> std::io::Result<()> {
    let mut reader = BufReader::new(connection.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().expect("a length");
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let status = if is_unhealthy && head.starts_with("GET /health") { "503 Down" } else { "200 OK" };
    let body = if length == 0 { head.as_bytes() } else { &body };
    let kind = "Content-Type: application/octet-stream\r\nConnection: close";
    write!(connection, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{kind}\r\n\r\n", body.len())?;
    connection.write_all(body)
}
