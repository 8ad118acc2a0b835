//! The part of the released service that the smoke test calls, for every stack of the suite: `/STACK/api/greeting` and `/STACK/version`.
//!
//! It reports the digest that the stack's own resource has got, which a stack changes only by a deployment.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::{Context, Result};

use super::leftovers;

/// How it behaves for a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Well,
    /// Answers this status instead.
    Status(u16),
    /// Takes the question and hangs up.
    HangsUp,
    /// Takes the question and says nothing.
    Silent,
}

#[derive(Default)]
struct Stacks {
    /// Behaviour, and for how many questions more; well where there is none.
    behaviours: BTreeMap<String, (Behaviour, u32)>,
    asked: BTreeMap<String, u32>,
}

pub(crate) struct Service {
    port: u16,
    stacks: Arc<Mutex<Stacks>>,
}

impl Service {
    /// Serves until the process ends.
    pub(crate) fn start(emulator: &str) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port for the service")?;
        let (port, stacks) = (listener.local_addr()?.port(), Arc::<Mutex<Stacks>>::default());
        let (emulator, shared) = (emulator.to_owned(), Arc::clone(&stacks));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (emulator, stacks) = (emulator.clone(), Arc::clone(&shared));
                // A client that has gone is no concern of the service.
                std::thread::spawn(move || drop(serve(stream, &emulator, &stacks)));
            }
        });
        Ok(Self { port, stacks })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Sets the behaviour for a number of questions about a stack.
    pub(crate) fn behave(&self, stack: &str, behaviour: Behaviour, times: u32) {
        self.stacks().behaviours.insert(stack.to_owned(), (behaviour, times));
    }

    /// How often it was asked about a stack.
    pub(crate) fn asked(&self, stack: &str) -> u32 {
        self.stacks().asked.get(stack).copied().unwrap_or_default()
    }

    fn stacks(&self) -> MutexGuard<'_, Stacks> {
        self.stacks.lock().expect("no holder panics")
    }
}

fn serve(mut stream: TcpStream, emulator: &str, stacks: &Mutex<Stacks>) -> Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().context("no request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (stack, path) = path.trim_start_matches('/').split_once('/').unwrap_or_default();
    let behaviour = {
        let mut stacks = stacks.lock().expect("no holder panics");
        *stacks.asked.entry(stack.to_owned()).or_default() += 1;
        match stacks.behaviours.get_mut(stack) {
            Some((behaviour, times)) if *times > 0 => {
                *times -= 1;
                *behaviour
            }
            _ => Behaviour::Well,
        }
    };
    let (status, body) = match (behaviour, path) {
        (Behaviour::HangsUp, _) => return Ok(()),
        (Behaviour::Silent, _) => {
            std::thread::sleep(Duration::from_secs(60));
            return Ok(());
        }
        (Behaviour::Status(status), _) => (status, "{}".to_owned()),
        (Behaviour::Well, "version") => {
            let digest = leftovers::running(emulator, stack)?.unwrap_or_default();
            (200, serde_json::json!({ "digest": digest }).to_string())
        }
        (Behaviour::Well, _) => (200, r#"{"content":"Hello, World!"}"#.to_owned()),
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")?;
    Ok(())
}
