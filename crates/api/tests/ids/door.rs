//! The way to the database, which a test can spoil: a proxy of bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// What becomes of what is sent, on connections that are open as well as on new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Open,
    /// Connections close at once.
    Cut,
    /// Nothing arrives, in either direction.
    Silent,
    /// The database leases a block, and the connection closes before its answer. Only without encryption, of which the
    /// proxy cannot see into.
    AnswerLost,
    /// As before, and the connection stays open, and silent for good, as behind a firewall that has forgotten it.
    AnswerHeld,
}

/// What becomes of some bytes.
enum Fate {
    Passed,
    Closed,
    Held,
}

/// What a lease contains, and nothing else does: the name of the counter, as a parameter.
const LEASE: &[u8] = b"greetings";
/// How often a connection looks whether its way has changed.
const POLL: Duration = Duration::from_millis(20);

/// A proxy in front of the database, open at first.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    way: Arc<Mutex<Way>>,
}

impl Door {
    pub(crate) fn to(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let door = Self { address: listener.local_addr().unwrap(), way: Arc::new(Mutex::new(Way::Open)) };
        let way = Arc::clone(&door.way);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(upstream) else { continue };
                let asked = Arc::new(AtomicBool::new(false));
                let (there, back) = (Arc::clone(&way), Arc::clone(&way));
                let (from, to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let answered = Arc::clone(&asked);
                thread::spawn(move || {
                    pass(client, server, &there, &|_, bytes| {
                        // What the pool asks before and after a lease is answered.
                        asked.store(contains(bytes, LEASE), Ordering::SeqCst);
                        Fate::Passed
                    })
                });
                thread::spawn(move || {
                    pass(from, to, &back, &|way, _| match way {
                        Way::AnswerLost if answered.load(Ordering::SeqCst) => Fate::Closed,
                        Way::AnswerHeld if answered.load(Ordering::SeqCst) => Fate::Held,
                        _ => Fate::Passed,
                    })
                });
            }
        });
        door
    }

    pub(crate) fn set(&self, way: Way) {
        *self.way.lock().unwrap() = way;
    }
}

/// Passes on what arrives, until one of both ends or the way is cut.
fn pass(mut from: TcpStream, mut to: TcpStream, way: &Mutex<Way>, fate: &dyn Fn(Way, &[u8]) -> Fate) {
    from.set_read_timeout(Some(POLL)).unwrap();
    let mut buffer = [0; 16_384];
    loop {
        let now = *way.lock().unwrap();
        if now == Way::Silent {
            thread::sleep(POLL);
            continue;
        }
        if now == Way::Cut {
            break;
        }
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(_) => break,
        };
        // It may have changed while nothing came.
        let now = *way.lock().unwrap();
        match fate(now, &buffer[..read]) {
            Fate::Passed => {
                if to.write_all(&buffer[..read]).is_err() {
                    break;
                }
            }
            Fate::Closed => break,
            // Both ends are held for as long as the test's process lives.
            Fate::Held => loop {
                thread::park();
            },
        }
    }
    for end in [from, to] {
        // One that is closed already is what this is for.
        end.shutdown(Shutdown::Both).unwrap_or_default();
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
