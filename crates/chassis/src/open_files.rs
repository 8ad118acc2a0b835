//! How many files the process may have open; a connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the service has open besides connections, with room to spare.
const OTHERS: u64 = 64;

/// Not even the most that the process may give itself is enough.
#[derive(Debug, thiserror::Error)]
#[error("{needed} open files are needed and {allowed} allowed (ulimit -n)")]
pub(crate) struct TooFew {
    needed: u64,
    allowed: u64,
}

/// Sees that as many connections can be open: systems allow few files at first, and more to whoever asks.
pub(crate) fn allow(connections: usize) -> Result<(), TooFew> {
    let needed = connections as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    let wanted = Rlimit { current: Some(maximum.map_or(needed, |maximum| needed.min(maximum))), maximum };
    let allowed = if setrlimit(Resource::Nofile, wanted).is_ok() { wanted.current } else { current };
    match allowed {
        Some(allowed) if allowed < needed => Err(TooFew { needed, allowed }),
        _ => Ok(()),
    }
}
