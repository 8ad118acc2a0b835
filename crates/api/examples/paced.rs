//! A client that asks at a fixed rate, whatever the server does, and measures from when a request was due.
//!
//!     paced PORT RATE SECONDS CONNECTIONS        one JSON object on stdout, times in microseconds
//!
//! A server that stalls meets the requests that others would have sent meanwhile: one that finds no free connection
//! waits for one, and its waiting counts (no coordinated omission). It looks at its sockets without a pause, because
//! timers are coarser than what is measured; so it wants a processor of its own.

use std::collections::VecDeque;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const REQUEST: &[u8] = b"GET /api/greeting HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// How long the last requests may take after they were due.
const GRACE: Duration = Duration::from_secs(5);

fn main() -> Result<(), Box<dyn Error>> {
    let numbers = std::env::args().skip(1).map(|word| word.parse()).collect::<Result<Vec<u32>, _>>()?;
    let [port, rate, seconds, connections] = numbers[..] else {
        return Err("usage: paced PORT RATE SECONDS CONNECTIONS".into());
    };
    let port = port.try_into()?;
    let mut connections =
        (0..connections).map(|_| Connection::open(port)).collect::<Result<Vec<_>, std::io::Error>>()?;
    let mut idle: VecDeque<usize> = (0..connections.len()).collect();
    let mut busy = Vec::with_capacity(connections.len());
    let total = rate as usize * seconds as usize;
    let mut times = Vec::with_capacity(total);
    let (mut sent, mut failed) = (0, 0);

    let started = Instant::now();
    let due = |number: usize| started + Duration::from_secs_f64(number as f64 / f64::from(rate));
    let end = due(total) + GRACE;
    while (sent < total || !busy.is_empty()) && Instant::now() < end {
        while sent < total && due(sent) <= Instant::now() {
            let Some(index) = idle.pop_front() else { break };
            connections[index].ask(due(sent))?;
            busy.push(index);
            sent += 1;
        }
        let mut next = 0;
        while let Some(&index) = busy.get(next) {
            match connections[index].look() {
                Ok(None) => next += 1,
                Ok(Some(time)) => {
                    times.push(time);
                    idle.push_back(busy.swap_remove(next));
                }
                Err(_) => {
                    failed += 1;
                    connections[index] = Connection::open(port)?;
                    idle.push_back(busy.swap_remove(next));
                }
            }
        }
    }
    // Due in time, and never answered or never even sent.
    failed += busy.len() + (total - sent);
    report(&mut times, failed)
}

struct Connection {
    stream: TcpStream,
    due: Instant,
    buffer: [u8; 4096],
    filled: usize,
}

impl Connection {
    fn open(port: u16) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, due: Instant::now(), buffer: [0; 4096], filled: 0 })
    }

    fn ask(&mut self, due: Instant) -> std::io::Result<()> {
        (self.due, self.filled) = (due, 0);
        self.stream.write_all(REQUEST)
    }

    /// How long the request took since it was due, once it has been answered with 200.
    fn look(&mut self) -> std::io::Result<Option<Duration>> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.filled += read;
                let taken = self.due.elapsed();
                Ok(is_whole(&self.buffer[..self.filled])?.then_some(taken))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether an answer has arrived with all of its body; an error if it is another than 200.
fn is_whole(answer: &[u8]) -> std::io::Result<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(false) };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    match length.and_then(|length| length.trim().parse::<usize>().ok()) {
        Some(length) if head.starts_with("http/1.1 200 ") => Ok(answer.len() >= end + 4 + length),
        _ => Err(ErrorKind::InvalidData.into()),
    }
}

#[expect(clippy::print_stdout, reason = "a program of the benchmark says what it has measured")]
fn report(times: &mut [Duration], failed: usize) -> Result<(), Box<dyn Error>> {
    times.sort_unstable();
    let last = times.len().checked_sub(1).ok_or("nothing was answered")?;
    let at = |share: f64| times[(last as f64 * share) as usize].as_micros();
    println!(
        r#"{{"answered":{},"failed":{failed},"p50":{},"p99":{},"p999":{},"most":{}}}"#,
        times.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
    Ok(())
}
