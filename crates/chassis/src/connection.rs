//! A client's connection, and the patience that the service has with it.
//!
//! actix-web limits the time in which the first request of a connection arrives, and no time after that: who has asked
//! once could send a byte an hour. So the bytes pass through here, where every request's head, every pause and every
//! answer that is not taken has its time. Bodies have theirs in `admission`, where they are read.
//!
//! They also pass one request at a time: actix would parse up to 16 that come together, mix up what it has to know of
//! each (whether its connection is to close, whether its answer has a body), and put all answers into memory, taken or
//! not. What follows a request waits here, and in the kernel, until the answer is written.

mod framing;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use actix_web::rt;
use actix_web::rt::net::TcpStream;
use config::service::Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::MissedTickBehavior;

use crate::metrics::{Impatience, Metrics};
use crate::{problem, trace};
use framing::{Body, Chunks, Head, Scanned, empty_lines};

pub(crate) use framing::Unfit;

/// How often a worker looks for clients that are too slow; nobody is cut off earlier than the settings say, and nobody
/// later than this.
const LOOK: Duration = Duration::from_millis(500);

/// In looks: how long a connection that is closed still takes what its client is sending. What is unread when a socket
/// closes makes the kernel reset the connection, and the client may never see the last answer (RFC 9112, section 9.6).
const LINGER: u64 = 2;

/// And no more than this.
const LINGER_BYTES: usize = 1024 * 1024;

/// In looks: how long a connection is idle at least before it has to make room for others.
const BREATH: u64 = 2;

/// So many bytes of later requests are taken while one is answered, to notice a client that has gone.
const AHEAD: usize = 8 * 1024;

/// So many bytes of a chunked body are handed over in one go: each chunk takes 32 bytes in actix's queue, however short it
/// is, and a queue never shrinks.
const CHUNKED_PIECE: usize = 4 * 1024;

const TOO_LARGE: StatusCode = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;

/// What one worker's connections have in common: a clock that costs nothing to read, and the list of them.
pub(crate) struct Patience {
    metrics: Arc<Metrics>,
    /// In looks since the start.
    now: Cell<u64>,
    header: u64,
    pause: u64,
    answer: u64,
    header_bytes: usize,
    body_bytes: usize,
    /// How many connections the worker may have, and how many it has.
    most: usize,
    open: Cell<usize>,
    connections: RefCell<Vec<Weak<Watch>>>,
}

impl Patience {
    /// For the worker on whose thread this is called, for as long as that runs.
    pub(crate) fn start(limits: &Limits, most: usize, metrics: Arc<Metrics>) -> Rc<Self> {
        // One more, for the look under way when the time begins.
        let looks = |time: Duration| time.as_millis().div_ceil(LOOK.as_millis()) as u64 + 1;
        let patience = Rc::new(Self {
            metrics,
            now: Cell::new(0),
            header: looks(limits.header_time),
            pause: looks(limits.keep_alive),
            answer: looks(limits.body_time),
            header_bytes: limits.header_bytes,
            body_bytes: limits.body_bytes,
            most,
            open: Cell::default(),
            connections: RefCell::default(),
        });
        let clock = Rc::clone(&patience);
        rt::spawn(async move {
            let mut looks = rt::time::interval(LOOK);
            // After a stall nobody is to pay for looks that the worker itself has missed.
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                looks.tick().await;
                clock.look();
            }
        });
        patience
    }

    fn look(&self) {
        self.now.set(self.now.get() + 1);
        self.connections.borrow_mut().retain(|watch| watch.upgrade().inspect(|watch| watch.look()).is_some());
        if self.is_full() {
            self.make_room();
        }
    }

    /// Whether nobody else would be let in.
    fn is_full(&self) -> bool {
        self.open.get() >= self.most
    }

    /// Closes the connection that has been idle for longest: one that has asked already, or else one that never has, or
    /// else the one whose request has been arriving for longest.
    fn make_room(&self) {
        let connections = self.connections.borrow();
        // Whose request may be on its way is not idle: a client that has just connected, or has just been answered.
        let idle = connections.iter().filter_map(Weak::upgrade).filter(|watch| watch.gives_way_after(BREATH));
        if let Some(longest) = idle.min_by_key(|watch| (watch.claim(), watch.since.get())) {
            longest.end(Impatience::Full);
        }
    }
}

/// What the client is about; shared with the requests of its connection.
pub(crate) struct Watch {
    patience: Rc<Patience>,
    doing: Cell<Doing>,
    since: Cell<u64>,
    /// Since when the client has not taken what is written to it.
    stuck: Cell<Option<u64>>,
    over: Cell<Option<Impatience>>,
    /// What is still to come of the request's body.
    body: RefCell<Option<Body>>,
    /// Why no more of the body comes.
    unfit: Cell<Option<Unfit>>,
    waker: Cell<Option<Waker>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Doing {
    /// Connected, and silent so far.
    Arriving,
    /// Between two requests.
    Pausing,
    /// Sending a request, whose head has not arrived as a whole.
    Asking,
    /// A whole head is here, and actix is to parse it.
    Asked,
    /// Waiting for us.
    Waiting,
    /// Waiting for us, who wait for its body.
    Sending,
    /// The answer is there, and not yet written.
    Answered,
    /// Nothing more is taken from it.
    Refused,
    /// The connection is closed for our part.
    Leaving,
}

impl Watch {
    /// A request's head is here, and the service is at it. `has_body` is what actix says, which does not tell how long.
    pub(crate) fn asked(&self, headers: &HeaderMap, has_body: bool) {
        let framed = self.doing.replace(Doing::Waiting) == Doing::Asked;
        if has_body || !framed {
            // actix has checked both headers; with neither, the bytes that follow are no body of HTTP's.
            let body = match content_length(headers) {
                Some(length) if framed => Body::Length(length),
                None if framed && headers.contains_key(TRANSFER_ENCODING) => Body::Chunked(Chunks::default()),
                _ => Body::Endless,
            };
            self.body.replace(Some(body));
        }
    }

    /// The body is wanted.
    pub(crate) fn send(&self) {
        if self.doing.get() == Doing::Waiting && self.body.borrow().is_some() {
            self.doing.set(Doing::Sending);
            self.wake();
        }
    }

    /// Why the body that was wanted does not come.
    pub(crate) fn unfit(&self) -> Option<Unfit> {
        self.unfit.get()
    }

    /// Whether the connection is to end with this answer: what its client still has to say will not be listened to, or
    /// others wait for its place.
    pub(crate) fn ends(&self) -> bool {
        self.leaves_something() || self.patience.is_full()
    }

    fn leaves_something(&self) -> bool {
        self.body.borrow().is_some()
    }

    /// The answer is known to its end.
    pub(crate) fn answered(&self) {
        if self.leaves_something() {
            self.doing.set(Doing::Refused);
            self.wake();
        } else if self.doing.get() == Doing::Waiting {
            self.doing.set(Doing::Answered);
        }
    }

    fn begins(&self, doing: Doing) {
        self.doing.set(doing);
        self.since.set(self.patience.now.get());
    }

    fn received(&self) {
        if matches!(self.doing.get(), Doing::Arriving | Doing::Pausing) {
            self.begins(Doing::Asking);
        }
    }

    fn wait(&self, context: &Context<'_>) {
        let waker = self.waker.take().filter(|waker| waker.will_wake(context.waker()));
        self.waker.set(waker.or_else(|| Some(context.waker().clone())));
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn look(&self) {
        let Patience { now, header, pause, answer, .. } = &*self.patience;
        let passed = |looks: u64| now.get() - self.since.get() >= looks;
        let over = match (self.stuck.get(), self.doing.get()) {
            (Some(since), _) if now.get() - since >= *answer => Impatience::SlowReader,
            (None, Doing::Asking | Doing::Asked) if passed(*header) => Impatience::SlowHeader,
            (None, Doing::Arriving) if passed(*header) => Impatience::Idle,
            (None, Doing::Pausing) if passed(*pause) => Impatience::Idle,
            (_, Doing::Leaving) if passed(LINGER) => return self.wake(),
            _ => return,
        };
        self.end(over);
    }

    fn end(&self, over: Impatience) {
        if self.over.replace(Some(over)).is_none() {
            self.patience.metrics.lost_patience(over);
        }
        self.wake();
    }

    /// Whether others may have its place, once it has been at the same for so many looks.
    fn gives_way_after(&self, looks: u64) -> bool {
        let passed = self.patience.now.get() - self.since.get() >= looks;
        passed && self.over.get().is_none() && self.claim().is_some()
    }

    /// How much it has a right to its place where others wait for one; `None` where it keeps it.
    fn claim(&self) -> Option<u8> {
        match self.doing.get() {
            Doing::Pausing => Some(0),
            Doing::Arriving => Some(1),
            Doing::Asking | Doing::Sending => Some(2),
            _ => None,
        }
    }
}

/// The length that a request gives its body; actix has refused what is none.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

/// A connection that ends when its client is too slow.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) watch: Rc<Watch>,
    head: Head,
    /// What has come of the next requests.
    ahead: Vec<u8>,
    /// Whether the client has ended its part.
    ended: bool,
    /// Whether there is something to read that was left where it is.
    unread: bool,
    /// What was thrown away after the end.
    discarded: usize,
    /// Of the body, since actix last had to wait.
    handed_over: usize,
    /// Whether actix answers something that it could not parse.
    malformed: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, patience: &Rc<Patience>) -> Self {
        let watch = Rc::new(Watch {
            patience: Rc::clone(patience),
            doing: Cell::new(Doing::Arriving),
            since: Cell::new(patience.now.get()),
            stuck: Cell::default(),
            over: Cell::default(),
            body: RefCell::default(),
            unfit: Cell::default(),
            waker: Cell::default(),
        });
        patience.open.set(patience.open.get() + 1);
        if patience.is_full() {
            patience.make_room();
        }
        patience.connections.borrow_mut().push(Rc::downgrade(&watch));
        patience.metrics.connections.inc();
        // Answers are written whole; there is nothing to gain by waiting for more. A connection that is already gone
        // shows so when it is read.
        stream.set_nodelay(true).ok();
        let peer = stream.peer_addr().ok();
        Self {
            stream,
            peer,
            watch,
            head: Head::default(),
            ahead: Vec::new(),
            ended: false,
            unread: false,
            discarded: 0,
            handed_over: 0,
            malformed: false,
        }
    }

    /// The next bytes, from where they are; none is the end of what the client sends.
    fn receive(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        if !self.ahead.is_empty() {
            let length = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..length]);
            self.ahead.drain(..length);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(length));
        }
        if self.ended {
            return Poll::Ready(Ok(0));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            self.watch.wait(context);
        }
        read.map_ok(|()| buffer.filled().len() - before)
    }

    /// Keeps what follows this many bytes for later.
    fn keep_rest(&mut self, buffer: &mut ReadBuf<'_>, length: usize) {
        let rest = &buffer.filled()[length..];
        if !rest.is_empty() {
            // What was there before came after.
            self.ahead.splice(..0, rest.iter().copied());
            buffer.set_filled(length);
        }
    }

    fn read_head(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        loop {
            let mut length = ready!(self.receive(context, buffer))?;
            if length == 0 {
                return Poll::Ready(Ok(()));
            }
            if !self.head.has_begun() {
                let piece = &mut buffer.filled_mut()[before..];
                let skipped = empty_lines(piece);
                if skipped > 0 {
                    piece.copy_within(skipped.., 0);
                    length -= skipped;
                    buffer.set_filled(before + length);
                    if length == 0 {
                        continue;
                    }
                }
            }
            self.watch.received();
            let allowed = self.watch.patience.header_bytes;
            match self.head.scan(&buffer.filled()[before..], allowed) {
                Scanned::Part => return Poll::Ready(Ok(())),
                Scanned::End(length) => {
                    self.keep_rest(buffer, before + length);
                    self.watch.doing.set(Doing::Asked);
                    return Poll::Ready(Ok(()));
                }
                Scanned::TooLong => self.refuse_long_head(),
                Scanned::TooManyHeaders => self.refuse(TOO_LARGE, "there are more than 96 headers"),
                Scanned::LongName => self.refuse(TOO_LARGE, "the name of a header has more than 65535 bytes"),
            }
            buffer.set_filled(before);
            return Poll::Ready(Ok(()));
        }
    }

    fn read_body(&mut self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.handed_over >= CHUNKED_PIECE && matches!(*self.watch.body.borrow(), Some(Body::Chunked(_))) {
            self.handed_over = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(mut body) = self.watch.body.take() else { return self.wait_ahead(context) };
        let before = buffer.filled().len();
        let received = self.receive(context, buffer);
        if !matches!(received, Poll::Ready(Ok(1..))) {
            self.handed_over = 0;
            self.watch.body.replace(Some(body));
            return received.map_ok(|_none| ());
        }
        match body.take(&buffer.filled()[before..], self.watch.patience.body_bytes) {
            Ok(taken) => {
                self.handed_over += taken.bytes;
                self.keep_rest(buffer, before + taken.bytes);
                if taken.ended {
                    self.handed_over = 0;
                    self.watch.doing.set(Doing::Waiting);
                } else {
                    self.watch.body.replace(Some(body));
                }
            }
            Err(unfit) => {
                buffer.set_filled(before);
                self.watch.body.replace(Some(body));
                self.watch.unfit.set(Some(unfit));
                self.watch.doing.set(Doing::Refused);
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Hands nothing over for now. What comes in the meantime is kept, as far as there is room: so the end of a client that
    /// does not wait for its answer is noticed.
    fn wait_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.watch.wait(context);
            if self.ended || self.ahead.len() >= AHEAD || self.watch.stuck.get().is_some() {
                self.unread = true;
                return Poll::Pending;
            }
            ready!(self.stream.poll_read_ready(context))?;
            let mut piece = [0; AHEAD / 2];
            match self.stream.try_read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(length) => self.ahead.extend_from_slice(&piece[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    fn refuse_long_head(&mut self) {
        let allowed = self.watch.patience.header_bytes;
        self.refuse(TOO_LARGE, &problem::Error::HeaderTooLarge { allowed }.to_string());
    }

    /// Answers for actix, which has no request to answer, and takes nothing more from this client.
    fn refuse(&mut self, status: StatusCode, detail: &str) {
        let id = trace::new_request_id();
        let id = id.to_str().unwrap_or_default();
        // What fits: there is room for it, as nothing else is being written, and who is that odd may well not read.
        self.stream.try_write(problem::refusal(status, detail, id).as_bytes()).ok();
        self.watch.doing.set(Doing::Refused);
        self.watch.patience.metrics.malformed(status);
        let client = self.peer.map(|peer| tracing::field::display(peer.ip()));
        tracing::debug!(request_id = id, client, status = status.as_u16(), detail, "malformed request");
    }

    /// Closes for our part, and for a moment throws away what the client still sends.
    fn poll_leave(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let watch = &self.watch;
        if watch.doing.get() != Doing::Leaving {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.unread |= watch.doing.get() == Doing::Refused || !self.ahead.is_empty();
            watch.begins(Doing::Leaving);
        }
        let mut piece = [0; AHEAD / 2];
        while !self.ended && self.discarded < LINGER_BYTES && watch.patience.now.get() - watch.since.get() < LINGER {
            watch.wait(context);
            match self.stream.poll_read_ready(context)? {
                Poll::Pending if self.unread => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(()) => self.unread = true,
            }
            match self.stream.try_read(&mut piece) {
                Ok(0) => self.ended = true,
                Ok(length) => self.discarded += length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let patience = &self.watch.patience;
        patience.open.set(patience.open.get() - 1);
        patience.metrics.connections.dec();
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // Whose next request is here already is not idle any more.
        if this.watch.over.get() == Some(Impatience::Full) && this.stream.poll_read_ready(context).is_ready() {
            this.watch.over.set(None);
        }
        match (this.watch.over.get(), this.watch.doing.get()) {
            (Some(Impatience::SlowHeader), doing) if doing != Doing::Refused => {
                this.refuse(StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time.");
                Poll::Ready(Ok(()))
            }
            // The end of what the client has to say, after which actix closes.
            (Some(_), _) | (None, Doing::Refused | Doing::Leaving) => Poll::Ready(Ok(())),
            (None, Doing::Arriving | Doing::Pausing | Doing::Asking) => this.read_head(context, buffer),
            (None, Doing::Sending) => this.read_body(context, buffer),
            (None, Doing::Asked | Doing::Waiting | Doing::Answered) => this.wait_ahead(context),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let watch = &this.watch;
        if watch.over.get() == Some(Impatience::SlowReader) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        if matches!(watch.doing.get(), Doing::Arriving | Doing::Pausing | Doing::Asking | Doing::Asked) {
            // No request, and yet an answer: actix's own to what it cannot parse. It has no body, and where its way
            // ends, actix logs an error: an error of the connection ends it without.
            if bytes.starts_with(b"HTTP/1.1 431 ") {
                this.refuse_long_head();
            } else {
                this.refuse(StatusCode::BAD_REQUEST, "This is not a request as HTTP/1.1 has it.");
            }
            this.malformed = true;
        }
        if this.malformed {
            return this.poll_leave(context).map(|_left| Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = Pin::new(&mut this.stream).poll_write(context, bytes);
        if written.is_pending() {
            this.watch.stuck.set(this.watch.stuck.get().or(Some(this.watch.patience.now.get())));
            this.watch.wait(context);
        } else {
            this.watch.stuck.set(None);
        }
        written
    }

    /// actix calls this when everything that it has is written.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.watch.doing.get() == Doing::Answered {
            this.watch.begins(Doing::Pausing);
            if !this.ahead.is_empty() || this.ended || std::mem::take(&mut this.unread) {
                context.waker().wake_by_ref();
            }
        }
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.watch.over.get() {
            Some(Impatience::Idle | Impatience::Full | Impatience::SlowReader) => {
                Pin::new(&mut this.stream).poll_shutdown(context)
            }
            Some(Impatience::SlowHeader) | None => this.poll_leave(context),
        }
    }
}
