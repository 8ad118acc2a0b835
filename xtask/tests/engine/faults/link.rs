//! A TCP proxy between the engine and a registry that can cut, stall or refuse connections.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};

/// Bytes of one connection that get through before it is cut or held: enough for every question, not for a layer.
const ENOUGH: usize = 200 * 1024;

/// What happens to those who come through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections break in the middle of a layer.
    Cut,
    /// Nothing gets on in the middle of a layer.
    Held,
    /// An answer of this status, with these words, instead of the registry's.
    Barred(u16, &'static str),
}

struct State {
    way: Mutex<(Way, u32)>,
    /// Whether something has happened on the way.
    hit: AtomicBool,
}

pub(crate) struct Link {
    host: String,
    state: Arc<State>,
}

impl Link {
    /// Opens one in front of the registry at `registry`, until the process ends.
    pub(crate) fn open(registry: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port for the link")?;
        let host = listener.local_addr()?.to_string();
        let state = Arc::new(State { way: Mutex::new((Way::Open, 0)), hit: AtomicBool::new(false) });
        let (registry, shared) = (registry.to_owned(), Arc::clone(&state));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (registry, state) = (registry.clone(), Arc::clone(&shared));
                std::thread::spawn(move || drop(pass(stream, &registry, &state)));
            }
        });
        Ok(Self { host, state })
    }

    /// Where it is, as `HOST:PORT`.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Sets what happens, a number of times.
    pub(crate) fn set(&self, way: Way, times: u32) {
        *self.state.way.lock().expect("no holder panics") = (way, times);
    }

    pub(crate) fn was_hit(&self) -> bool {
        self.state.hit.load(Ordering::Relaxed)
    }
}

impl State {
    fn way(&self) -> Way {
        self.way.lock().expect("no holder panics").0
    }

    /// Whether it happens now; then once less.
    fn happens(&self, wanted: impl Fn(Way) -> bool) -> Option<Way> {
        let mut way = self.way.lock().expect("no holder panics");
        let (now, times) = *way;
        (times > 0 && wanted(now)).then(|| {
            way.1 -= 1;
            self.hit.store(true, Ordering::Relaxed);
            now
        })
    }
}

fn pass(mut client: TcpStream, registry: &str, state: &State) -> Result<()> {
    // An engine tries TLS first; that the registry has none it shall hear from the registry.
    let mut first = [0];
    client.peek(&mut first)?;
    let barred = state.happens(|way| first[0].is_ascii_uppercase() && matches!(way, Way::Barred(..)));
    if let Some(Way::Barred(status, words)) = barred {
        // What is asked does not matter; but who hangs up on the half of it is not heard.
        for line in BufReader::new(client.try_clone()?).lines() {
            if line?.is_empty() {
                break;
            }
        }
        let body = format!(r#"{{"errors":[{{"code":"UNKNOWN","message":"{words}"}}]}}"#);
        let kind = "Content-Type: application/json\r\nConnection: close";
        write!(client, "HTTP/1.1 {status} Said\r\n{kind}\r\nContent-Length: {}\r\n\r\n{body}", body.len())?;
        return Ok(());
    }
    let mut server = TcpStream::connect(registry)?;
    let (mut from, mut to) = (server.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        drop(std::io::copy(&mut from, &mut to));
        drop(to.shutdown(Shutdown::Both));
    });
    let (mut buffer, mut through) = ([0; 16 * 1024], 0);
    loop {
        let count = client.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        through += count;
        if through > ENOUGH {
            match state.happens(|way| matches!(way, Way::Cut | Way::Held)) {
                Some(Way::Cut) => break,
                Some(Way::Held) => {
                    while state.way() == Way::Held {
                        sleep(Duration::from_millis(50));
                    }
                    break;
                }
                _ => {}
            }
        }
        server.write_all(&buffer[..count])?;
    }
    drop(client.shutdown(Shutdown::Both));
    drop(server.shutdown(Shutdown::Both));
    Ok(())
}
