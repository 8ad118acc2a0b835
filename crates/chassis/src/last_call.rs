//! Closing a listener without losing whom the kernel has already let in.
//!
//! A connection is established by the kernel, and waits in the listener's queue until a worker takes it. Closing the
//! listener resets whoever waits there, even if the request is already sent. So new ones are kept out first, by a filter
//! that drops their first packet, and those that wait are served. A client that is kept out repeats its packet after a
//! second, and then finds the next instance, or a closed port.

use std::io;
use std::net::TcpListener;
use std::time::Duration;

use actix_web::rt;
use socket2::{SockFilter, SockRef};

/// In which workers take whoever waits, and clients that are connected send what they came for.
const TIME: Duration = Duration::from_millis(250);

/// A second handle on the listener, whose first belongs to the server.
pub(crate) struct LastCall(TcpListener);

pub(crate) fn prepare(listener: &TcpListener) -> io::Result<LastCall> {
    listener.try_clone().map(LastCall)
}

impl LastCall {
    /// Keeps new connections out, and returns when those that are there have had their time.
    pub(crate) async fn take(self) {
        if let Err(error) = keep_out(&self.0) {
            // As it would be without: a few connections may be reset.
            tracing::warn!(%error, "new connections cannot be kept out before the port closes");
        }
        rt::time::sleep(TIME).await;
    }
}

/// Drops packets that open a connection, and lets all others through.
///
/// Classic BPF over the TCP header (RFC 9293, section 3.1): its byte 13 holds the flags, of which 0x02 is SYN.
#[cfg(target_os = "linux")]
fn keep_out(listener: &TcpListener) -> io::Result<()> {
    const LOAD_BYTE: u16 = 0x30;
    const JUMP_IF_SET: u16 = 0x45;
    const RETURN: u16 = 0x06;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(JUMP_IF_SET, 0, 1, 0x02),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Elsewhere, where people only develop, the port closes as it is.
#[cfg(not(target_os = "linux"))]
fn keep_out(_listener: &TcpListener) -> io::Result<()> {
    Ok(())
}
