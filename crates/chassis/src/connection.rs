//! A client's connection, and the patience that the service has with it.
//!
//! actix-web limits the time in which the first request of a connection arrives, and no time after that: who has asked
//! once could send a byte an hour. So the bytes pass through here, where every request's head, every pause and every
//! answer that is not taken has its time. Bodies have theirs in `admission`, where they are read.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::rt;
use actix_web::rt::net::TcpStream;
use config::service::Limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::MissedTickBehavior;

use crate::metrics::{Impatience, Metrics};
use crate::problem;

/// How often a worker looks for clients that are too slow; nobody is cut off earlier than the settings say, and nobody
/// later than this.
const LOOK: Duration = Duration::from_millis(500);

/// What one worker's connections have in common: a clock that costs nothing to read, and the list of them.
pub(crate) struct Patience {
    metrics: Arc<Metrics>,
    /// In looks since the start.
    now: Cell<u64>,
    header: u64,
    pause: u64,
    answer: u64,
    connections: RefCell<Vec<Weak<Watch>>>,
}

impl Patience {
    /// For the worker on whose thread this is called, for as long as that runs.
    pub(crate) fn start(limits: &Limits, metrics: Arc<Metrics>) -> Rc<Self> {
        // One more, for the look under way when the time begins.
        let looks = |time: Duration| time.as_millis().div_ceil(LOOK.as_millis()) as u64 + 1;
        let patience = Rc::new(Self {
            metrics,
            now: Cell::new(0),
            header: looks(limits.header_time),
            pause: looks(limits.keep_alive),
            answer: looks(limits.body_time),
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
    waker: Cell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Doing {
    /// Connected, and silent so far.
    Arriving,
    /// Between two requests.
    Pausing,
    /// Sending a request, whose head has not arrived as a whole.
    Asking,
    /// Waiting for us.
    Waiting,
}

impl Watch {
    /// A request's head is here, and the service is at it.
    pub(crate) fn asked(&self) {
        self.doing.set(Doing::Waiting);
    }

    pub(crate) fn answered(&self) {
        self.begins(Doing::Pausing);
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

    fn look(&self) {
        let Patience { now, header, pause, answer, .. } = &*self.patience;
        let passed = |since: u64, looks: u64| now.get() - since >= looks;
        let over = match (self.stuck.get(), self.doing.get()) {
            (Some(since), _) if passed(since, *answer) => Impatience::SlowReader,
            (None, Doing::Asking) if passed(self.since.get(), *header) => Impatience::SlowHeader,
            (None, Doing::Arriving) if passed(self.since.get(), *header) => Impatience::Idle,
            (None, Doing::Pausing) if passed(self.since.get(), *pause) => Impatience::Idle,
            _ => return,
        };
        if self.over.replace(Some(over)).is_none() {
            self.patience.metrics.lost_patience(over);
        }
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// A connection that ends when its client is too slow.
pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) watch: Rc<Watch>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, patience: &Rc<Patience>) -> Self {
        let watch = Rc::new(Watch {
            patience: Rc::clone(patience),
            doing: Cell::new(Doing::Arriving),
            since: Cell::new(patience.now.get()),
            stuck: Cell::default(),
            over: Cell::default(),
            waker: Cell::default(),
        });
        patience.connections.borrow_mut().push(Rc::downgrade(&watch));
        patience.metrics.connections.inc();
        // Answers are written whole; there is nothing to gain by waiting for more. A connection that is already gone
        // shows so when it is read.
        stream.set_nodelay(true).ok();
        let peer = stream.peer_addr().ok();
        Self { stream, peer, watch }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.watch.patience.metrics.connections.dec();
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Self { stream, watch, .. } = self.get_mut();
        if let Some(over) = watch.over.get() {
            if over == Impatience::SlowHeader {
                // Whatever fits: who is that slow may well not read either.
                stream.try_write(problem::TOO_SLOW.as_bytes()).ok();
            }
            // The end of what the client has to say, after which actix closes.
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        match &read {
            Poll::Ready(_) if buffer.filled().len() > before => watch.received(),
            Poll::Ready(_) => {}
            Poll::Pending => watch.wait(context),
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, watch, .. } = self.get_mut();
        if watch.over.get() == Some(Impatience::SlowReader) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let written = Pin::new(stream).poll_write(context, bytes);
        if written.is_pending() {
            watch.stuck.set(watch.stuck.get().or(Some(watch.patience.now.get())));
            watch.wait(context);
        } else {
            watch.stuck.set(None);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
