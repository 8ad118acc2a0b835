//! The finished program as one of several instances.

use chassis::testing::eventually;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::site::Site;

/// Longer than anything takes; only a broken service makes a test wait for it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A process of the service; killed when it is dropped, as by a machine that fails.
pub(crate) struct Instance {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    password: String,
    pub(crate) address: SocketAddr,
}

impl Instance {
    /// Starts one and waits until it listens, whether it has ids or not.
    pub(crate) fn start(site: &Site, block: u64, changes: &[(&str, &str)]) -> Self {
        let mut command = site.command(&[], changes);
        let mut child = command.env("API_IDS_BLOCK", block.to_string()).stdout(Stdio::piped()).spawn().unwrap();
        let password = site.server.password().to_owned();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        thread::spawn(move || {
            // Requests at full speed are not what a test wants to read.
            let events = lines.filter(|line| !line.contains(r#""message":"request""#));
            events.for_each(|line| seen.lock().unwrap().push(serde_json::from_str(&line).unwrap()));
        });
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut instance = Self { child, log, address, password };
        eventually("the service listens", || !instance.events("listening").is_empty());
        instance.address = instance.events("listening")[0]["address"].as_str().unwrap().parse().unwrap();
        instance
    }

    /// Starts one and waits until it is ready.
    pub(crate) fn ready(site: &Site, block: u64, changes: &[(&str, &str)]) -> Self {
        let instance = Self::start(site, block, changes);
        eventually("the service is ready", || instance.get("/health").0 == 200);
        instance
    }

    /// What it has logged with this message.
    pub(crate) fn events(&self, message: &str) -> Vec<Value> {
        self.log.lock().unwrap().iter().filter(|event| event["message"] == message).cloned().collect()
    }

    /// Whether a line of its log has this text.
    pub(crate) fn logs(&self, text: &str) -> bool {
        self.log.lock().unwrap().iter().any(|event| event.to_string().contains(text))
    }

    /// The reasons that it has logged with this message.
    pub(crate) fn reasons(&self, message: &str) -> Vec<String> {
        self.events(message).iter().map(|event| event["error"].as_str().unwrap().to_owned()).collect()
    }

    /// Asks over a connection of its own: status and the rest of the answer.
    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        Caller::to(self.address).get(path).expect("the service answers")
    }

    /// The next id; `None` where none is left.
    pub(crate) fn id(&self) -> Option<u64> {
        Caller::to(self.address).id().expect("the service answers")
    }

    /// Takes ids over several connections until told to stop or until the service is gone.
    pub(crate) fn take_until(&self, done: impl Fn() -> bool + Sync) -> Vec<u64> {
        let take = || {
            let mut caller = Caller::to(self.address);
            let mut ids = Vec::new();
            while !done() {
                match caller.id() {
                    Some(id) => ids.extend(id),
                    None => break,
                }
            }
            ids
        };
        thread::scope(|scope| {
            let callers: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            callers.into_iter().flat_map(|caller| caller.join().unwrap()).collect()
        })
    }

    /// Kills it where it is.
    pub(crate) fn kill(&self) {
        let killed = Command::new("kill").args(["-9", &self.child.id().to_string()]).status().unwrap();
        assert!(killed.success());
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        assert!(thread::panicking() || !self.logs(&self.password), "the log shows the password");
    }
}

/// A connection that stays open; much faster than a real client.
struct Caller(TcpStream);

impl Caller {
    fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// `None` if the connection is gone; an answer without an id must be a 503 as it should be.
    fn id(&mut self) -> Option<Option<u64>> {
        let (status, answer) = self.get("/api/greeting")?;
        if status == 503 {
            let head = answer.to_ascii_lowercase();
            for part in ["retry-after: 1\r\n", "content-type: application/problem+json\r\n", "\"status\":503"] {
                assert!(head.contains(part), "{answer}");
            }
            return Some(None);
        }
        assert_eq!(status, 200, "{answer}");
        let id = answer.split_once("{\"id\":").and_then(|(_, rest)| rest.split_once(','));
        Some(Some(id.expect("a greeting has an id").0.parse().unwrap()))
    }

    /// The status, and everything from the status line on.
    fn get(&mut self, path: &str) -> Option<(u16, String)> {
        write!(self.0, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        let mut buffer = [0; 2048];
        loop {
            let read = self.0.read(&mut buffer).ok().filter(|read| *read > 0)?;
            answer.extend_from_slice(&buffer[..read]);
            // Every answer is JSON, whose closing brace comes last.
            if answer.ends_with(b"}") {
                let text = String::from_utf8(answer).unwrap();
                let status = text.split(' ').nth(1).unwrap().parse().unwrap();
                return Some((status, text));
            }
        }
    }
}

/// Asserts that no id was given twice, and returns how many there are.
pub(crate) fn assert_unique(mut ids: Vec<u64>) -> usize {
    ids.sort_unstable();
    let twice = ids.windows(2).find(|pair| pair[0] == pair[1]);
    assert_eq!(twice, None);
    ids.len()
}
