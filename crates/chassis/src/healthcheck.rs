//! Asks a running service whether it is well; for images that hold no other program that could.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long connecting, asking and each piece of the answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a service does not count as healthy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unhealthy {
    #[error("http://{address}/health does not answer")]
    Silent { address: SocketAddr, source: io::Error },
    #[error("http://{address}/health answers {status:?}")]
    Unwell { address: SocketAddr, status: String },
}

/// Succeeds if `GET /health` is answered with 200.
pub(crate) fn check(address: SocketAddr) -> Result<(), Unhealthy> {
    let answer = ask(address).map_err(|source| Unhealthy::Silent { address, source })?;
    let status = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
    match status.strip_prefix("HTTP/1.1 200") {
        Some(_) => Ok(()),
        None => Err(Unhealthy::Unwell { address, status }),
    }
}

fn ask(address: SocketAddr) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    // The answer is short; whatever is longer does not come from us.
    stream.take(4096).read_to_end(&mut answer)?;
    Ok(answer)
}
