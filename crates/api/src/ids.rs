//! Where the numbers of greetings come from: each is given once, by this process or over all instances.
//!
//! By itself the process counts from 1. With the feature `postgres` it can lease blocks of ids from a database that all
//! instances share: an id then costs an atomic operation, and a block one statement. Ids never repeat; those of a block
//! that was not used up when its process ended are given to nobody, and ids of several instances are in no order.

#[cfg(feature = "postgres")]
mod blocks;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod supply;

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers, each of which is given once.
pub(crate) enum Ids {
    /// Counted by this process: the number that comes next.
    Counted(AtomicU64),
    #[cfg(feature = "postgres")]
    Leased(std::sync::Arc<blocks::Blocks>),
}

/// Every id that was leased is used up, and no new block has arrived.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no id is left to give at this moment; ask again soon")]
pub(crate) struct OutOfIds;

impl Ids {
    /// Numbers from 1.
    pub(crate) fn counted() -> Self {
        Self::Counted(AtomicU64::new(1))
    }

    /// Numbers out of blocks of this size, which arrive one after the other as long as the runtime lives in which this
    /// is called.
    #[cfg(feature = "postgres")]
    pub(crate) fn leased(database: &database::Database, block: u32) -> Self {
        Self::Leased(supply::start(database.clone(), block))
    }

    /// The next id. Nobody waits for one: where none is left, a queue of requests would only grow.
    pub(crate) fn take(&self) -> Result<u64, OutOfIds> {
        match self {
            Self::Counted(next) => Ok(next.fetch_add(1, Ordering::Relaxed)),
            #[cfg(feature = "postgres")]
            Self::Leased(blocks) => blocks.take().ok_or(OutOfIds),
        }
    }

    /// Whether there has ever been an id to give: until then this process cannot do its work.
    ///
    /// Running out later does not count. It is a matter of the database, which all instances share, and a load balancer
    /// that turned away from all of them would only hide the reason.
    pub(crate) fn have_arrived(&self) -> bool {
        match self {
            Self::Counted(_) => true,
            #[cfg(feature = "postgres")]
            Self::Leased(blocks) => blocks.have_arrived(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_from_one() {
        let ids = Ids::counted();
        assert!(ids.have_arrived());
        assert_eq!([ids.take(), ids.take(), ids.take()], [Ok(1), Ok(2), Ok(3)]);
    }
}
