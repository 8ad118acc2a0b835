//! What goes wrong on the way to AWS and back.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use wiremock::ResponseTemplate;

/// An answer that is not the call's own.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A proxy's, which says nothing of AWS.
    Html502,
    Throttled,
    Expired,
    Denied,
    /// AWS finds fault with what was asked.
    Refused,
}

/// A fault of some calls.
#[derive(Clone)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The action that fails; every one where it is empty.
    pub(crate) action: &'static str,
    /// Calls that still go well before.
    pub(crate) skip: usize,
    /// Calls that fail.
    pub(crate) times: usize,
    /// Whether AWS does what was asked all the same.
    pub(crate) done: bool,
    /// For how long calls fail, from the first one on.
    pub(crate) lasts: Duration,
    pub(crate) since: Option<Instant>,
}

impl Fault {
    pub(crate) fn of(kind: Kind, action: &'static str) -> Self {
        Self { kind, action, skip: 0, times: usize::MAX, done: false, lasts: Duration::MAX, since: None }
    }

    fn takes(&mut self, action: &str) -> bool {
        if !self.action.is_empty() && self.action != action {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        let over = self.since.get_or_insert_with(Instant::now).elapsed() >= self.lasts;
        if over || self.times == 0 {
            return false;
        }
        self.times -= 1;
        true
    }
}

/// The fault that this call meets.
pub(super) fn meets(faults: &mut [Fault], action: &str) -> Option<Fault> {
    faults.iter_mut().find_map(|fault| fault.takes(action).then(|| fault.clone()))
}

pub(super) fn answer(kind: Kind, is_json: bool) -> ResponseTemplate {
    let (status, code, message) = match kind {
        Kind::Html502 => {
            let page = "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>";
            return ResponseTemplate::new(502).set_body_raw(page, "text/html");
        }
        Kind::Throttled => (400, if is_json { "ThrottlingException" } else { "Throttling" }, "Rate exceeded"),
        Kind::Expired => {
            let code = if is_json { "ExpiredTokenException" } else { "ExpiredToken" };
            (403, code, "The security token included in the request is expired")
        }
        Kind::Refused => (400, "InvalidParameterException", "the hook is not awaiting action"),
        Kind::Denied => (403, if is_json { "AccessDeniedException" } else { "AccessDenied" }, "not for you"),
    };
    if is_json {
        return ResponseTemplate::new(status).set_body_json(json!({"__type": code, "message": message}));
    }
    let error = format!("<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>");
    let body = format!("<ErrorResponse><Error>{error}</Error><RequestId>1</RequestId></ErrorResponse>");
    ResponseTemplate::new(status).set_body_raw(body, "text/xml")
}

/// A way to `upstream` on which the first `times` calls of `action` are cut: before AWS has them, or with its answer.
pub(crate) fn cutting(upstream: &str, action: &'static str, times: usize, done: bool) -> String {
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let left = Arc::new(AtomicUsize::new(times));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (upstream, left) = (upstream.clone(), Arc::clone(&left));
            std::thread::spawn(move || pass(client?, TcpStream::connect(upstream)?, action, &left, done));
        }
    });
    format!("http://{address}")
}

fn pass(
    mut client: TcpStream,
    mut server: TcpStream,
    action: &str,
    left: &AtomicUsize,
    done: bool,
) -> std::io::Result<()> {
    let is_cut = Arc::new(AtomicBool::new(false));
    let (mut from, mut to, cut) = (server.try_clone()?, client.try_clone()?, Arc::clone(&is_cut));
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            if cut.load(Ordering::SeqCst) || to.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Both)
    });
    let (mut buffer, mark) = ([0; 65_536], format!("Action={action}&"));
    while let read @ 1.. = client.read(&mut buffer)? {
        let is_it = String::from_utf8_lossy(&buffer[..read]).contains(&mark);
        let less = |left: usize| left.checked_sub(1);
        if is_it && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            is_cut.store(true, Ordering::SeqCst);
            if !done {
                client.shutdown(Shutdown::Both)?;
                return server.shutdown(Shutdown::Both);
            }
        }
        server.write_all(&buffer[..read])?;
    }
    server.shutdown(Shutdown::Both)
}
