//! Where the numbers of greetings come from: each is given once, by this process or over all instances.
//!
//! By itself the process counts from 1. With the feature `dynamodb` it can lease blocks of ids from a table that all
//! instances share: an id then costs an atomic operation, and a block one call. Ids never repeat; those of a block that
//! was not used up when its process ended are nobody's, and ids of several instances are in no order.

#[cfg(feature = "dynamodb")]
mod blocks;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "dynamodb")]
mod supply;

use std::sync::atomic::{AtomicU64, Ordering};

use crate::settings::Ids as Source;

/// Numbers, each of which is given once.
pub(crate) enum Ids {
    /// Counted by this process: the number that comes next.
    Counted(AtomicU64),
    #[cfg(feature = "dynamodb")]
    Leased(std::sync::Arc<blocks::Blocks>),
}

/// Every id that was leased is used up, and no new block has arrived.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("no id is left to give at this moment; ask again soon")]
pub struct OutOfIds;

/// This program was built without what the settings ask for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "API_IDS is \"dynamodb\", but this program was built without that feature; build it with \
     `cargo build --release -p api --features dynamodb`, or the image with features = [\"dynamodb\"] under [service] \
     in deploy.toml"
)]
pub struct NotBuiltIn;

/// Whether this program can take ids from there.
///
/// # Errors
/// [`NotBuiltIn`] for the table, without the feature `dynamodb`.
pub fn supported(source: &Source) -> Result<(), NotBuiltIn> {
    match source {
        Source::DynamoDb { .. } if !cfg!(feature = "dynamodb") => Err(NotBuiltIn),
        Source::DynamoDb { .. } | Source::Memory => Ok(()),
    }
}

impl Ids {
    /// Begins to number; what is leased arrives by and by, as long as the runtime lives in which this is called.
    pub(crate) fn start(source: &Source) -> Result<Self, NotBuiltIn> {
        match source {
            Source::Memory => Ok(Self::Counted(AtomicU64::new(1))),
            #[cfg(feature = "dynamodb")]
            Source::DynamoDb { table, block } => Ok(Self::Leased(supply::start(table.clone(), *block))),
            #[cfg(not(feature = "dynamodb"))]
            Source::DynamoDb { .. } => Err(NotBuiltIn),
        }
    }

    /// The next id. Nobody waits for one: where none is left, a queue of requests would only grow.
    pub(crate) fn take(&self) -> Result<u64, OutOfIds> {
        match self {
            Self::Counted(next) => Ok(next.fetch_add(1, Ordering::Relaxed)),
            #[cfg(feature = "dynamodb")]
            Self::Leased(blocks) => blocks.take().ok_or(OutOfIds),
        }
    }

    /// Whether there has ever been an id to give: until then this process cannot do its work.
    ///
    /// Running out later does not count. It is a matter of the table, which all instances share, and a load balancer
    /// that turned away from all of them would only hide the reason.
    pub(crate) fn have_arrived(&self) -> bool {
        match self {
            Self::Counted(_) => true,
            #[cfg(feature = "dynamodb")]
            Self::Leased(blocks) => blocks.have_arrived(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_counts_from_one() {
        let ids = Ids::start(&Source::Memory).unwrap();
        assert!(ids.have_arrived());
        assert_eq!([ids.take(), ids.take(), ids.take()], [Ok(1), Ok(2), Ok(3)]);
    }

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let text = NotBuiltIn.to_string();
        assert!(text.contains("--features dynamodb") && text.contains("features = [\"dynamodb\"]"), "{text}");
    }
}
