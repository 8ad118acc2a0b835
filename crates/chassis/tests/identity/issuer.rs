//! An issuer on a port of its own, which says where its keys are and which, and can fail in several ways.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::key::Key;

/// How an issuer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Well,
    /// Connections are closed without an answer.
    Away,
    /// There is never an answer.
    Silent,
    /// Both documents never end.
    Endless,
    /// 500.
    Broken,
    /// Sends elsewhere.
    Redirecting,
}

#[derive(Clone)]
pub(crate) struct Issuer(Arc<Shared>);

struct Shared {
    url: String,
    way: Mutex<Way>,
    keys: Mutex<Vec<Value>>,
    discovery: Mutex<Value>,
    /// How often somebody has asked for the keys, or has tried to.
    fetches: AtomicUsize,
    discoveries: AtomicUsize,
}

impl Issuer {
    pub(crate) fn start(way: Way, keys: &[&Key]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/pool", listener.local_addr().unwrap());
        let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let issuer = Self(Arc::new(Shared {
            url,
            way: Mutex::new(way),
            keys: Mutex::new(keys.iter().map(|key| key.public()).collect()),
            discovery: Mutex::new(discovery),
            fetches: AtomicUsize::new(0),
            discoveries: AtomicUsize::new(0),
        }));
        let shared = issuer.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = shared.clone();
                // Whoever asks may leave before the end.
                thread::spawn(move || shared.answer(&mut stream.unwrap()).unwrap_or_default());
            }
        });
        issuer
    }

    pub(crate) fn url(&self) -> &str {
        &self.0.url
    }

    pub(crate) fn set(&self, way: Way) {
        *self.0.way.lock().unwrap() = way;
    }

    pub(crate) fn set_keys(&self, keys: Vec<Value>) {
        *self.0.keys.lock().unwrap() = keys;
    }

    pub(crate) fn set_discovery(&self, discovery: Value) {
        *self.0.discovery.lock().unwrap() = discovery;
    }

    /// How often its keys were asked for.
    pub(crate) fn fetches(&self) -> usize {
        self.0.fetches.load(Ordering::SeqCst)
    }

    /// How often it was asked where its keys are.
    pub(crate) fn discoveries(&self) -> usize {
        self.0.discoveries.load(Ordering::SeqCst)
    }

    fn answer(&self, stream: &mut TcpStream) -> std::io::Result<()> {
        let shared = &self.0;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            head.extend(byte);
        }
        let head = String::from_utf8(head).unwrap();
        let document = if head.starts_with("GET /pool/keys ") {
            shared.fetches.fetch_add(1, Ordering::SeqCst);
            json!({"keys": *shared.keys.lock().unwrap()})
        } else {
            assert!(head.starts_with("GET /pool/.well-known/openid-configuration "), "{head}");
            shared.discoveries.fetch_add(1, Ordering::SeqCst);
            shared.discovery.lock().unwrap().clone()
        };
        let document = document.to_string();
        let way = *shared.way.lock().unwrap();
        match way {
            Way::Well => {
                let length = document.len();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{document}")
            }
            Way::Away => Ok(()),
            Way::Silent => {
                thread::sleep(Duration::from_secs(60));
                Ok(())
            }
            Way::Endless => {
                write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
                loop {
                    stream.write_all(&[b' '; 4096])?;
                }
            }
            Way::Broken => write!(stream, "HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
            Way::Redirecting => {
                let place = format!("{}/keys", shared.url);
                write!(
                    stream,
                    "HTTP/1.1 302 Found\r\nLocation: {place}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
            }
        }
    }
}
