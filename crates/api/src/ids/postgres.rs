//! The table that all instances lease their ids from: one row, whose number is the last id that was ever leased.
//!
//! A lease adds the size of a block to that number and reads it, in one statement. Two instances that lease at the same
//! moment wait for each other's row lock, so each gets a block of its own, whatever the sizes of their blocks: a setting
//! or a version may change the size while others run. A sequence cannot do that: its step is part of the schema, and
//! `setval` after `nextval` is two operations, between which another instance may lease.
//!
//! The statement sees to it that its own commit is on the disk before it is answered, even in a database whose
//! `synchronous_commit` is off, so that a server that crashes does not give a block again. A call whose answer is lost
//! may have leased a block. It is repeated like one that failed: the lost block is skipped, and never used twice.
//!
//! One thing is beyond this: a server that comes back with an earlier state (a restored backup, or a failover to a
//! replica that has not received the last commits) leases the blocks since then again.

use std::time::Duration;

use sqlx::Row as _;
use tokio::time::timeout;

use database::Database;

/// The row that counts.
const COUNTER: &str = "greetings";
/// The largest id: what every JSON parser reads exactly, JavaScript's included (2^53 - 1).
const LARGEST: i64 = (1 << 53) - 1;
/// What a lease asks for. Anything else than a counter with room for the block stays as it is.
const LEASE: &str = "\
WITH durable AS (
    SELECT CASE WHEN current_setting('synchronous_commit') = 'off' THEN set_config('synchronous_commit', 'on', true) END
)
UPDATE id_counters SET leased = leased + $1 FROM durable WHERE name = $2 AND leased <= $3 - $1 RETURNING leased";

/// How much longer than the server's own limit a statement may take: the way there and back.
const WAY: Duration = Duration::from_secs(1);

/// Why no block was leased.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    // The library's errors name their causes themselves.
    #[error("cannot lease ids from the table id_counters of {place}: {cause}")]
    Call { place: String, cause: sqlx::Error },
    #[error("{place} did not answer a lease of ids within {seconds} s")]
    Silent { place: String, seconds: u64 },
    #[error(
        "the table id_counters of {place} has no room for a block: the row `{COUNTER}` is missing, or the ids up to \
         {LARGEST} are used up"
    )]
    NoRoom { place: String },
    #[error("{place} answers a lease with {answer}, which does not end a block")]
    Answer { place: String, answer: i64 },
}

/// A counter, and how many ids a lease takes from it.
pub(super) struct Counter {
    database: Database,
    size: u32,
}

impl Counter {
    pub(super) fn new(database: Database, size: u32) -> Self {
        Self { database, size }
    }

    /// Waits until the database has the table.
    pub(super) async fn is_there(&self) {
        self.database.ready().await;
    }

    /// Leases a block that nobody else is given, and returns its first id.
    pub(super) async fn lease(&self) -> Result<u64, LeaseError> {
        let place = || self.database.place().to_owned();
        let call = |cause| LeaseError::Call { place: place(), cause };
        let mut connection = self.database.pool().acquire().await.map_err(call)?;
        let statement = sqlx::query(LEASE).bind(i64::from(self.size)).bind(COUNTER).bind(LARGEST);
        let limit = self.database.statement_limit() + WAY;
        let Ok(answer) = timeout(limit, statement.fetch_optional(&mut *connection)).await else {
            return Err(LeaseError::Silent { place: place(), seconds: limit.as_secs() });
        };
        let row = answer.map_err(call)?.ok_or_else(|| LeaseError::NoRoom { place: place() })?;
        let last = row.try_get(0).map_err(call)?;
        first(last, self.size).ok_or_else(|| LeaseError::Answer { place: place(), answer: last })
    }
}

/// The first id of the block that ends with this one.
fn first(last: i64, size: u32) -> Option<u64> {
    let whole = (i64::from(size)..=LARGEST).contains(&last);
    whole.then(|| u64::try_from(last - i64::from(size) + 1).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_with_the_number_that_the_table_answers() {
        assert_eq!((first(10, 10), first(LARGEST, 10)), (Some(1), Some(9_007_199_254_740_982)));
        for wrong in [i64::MIN, -1, 0, 9, LARGEST + 1, i64::MAX] {
            assert_eq!(first(wrong, 10), None, "{wrong}");
        }
    }
}
