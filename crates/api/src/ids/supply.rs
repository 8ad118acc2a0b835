//! Keeps blocks of ids in stock: one lease at a time, ahead of the need, again and again while the table is out of reach.

use std::collections::hash_map::RandomState;
use std::error::Error;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt;
use tokio::time::{Instant, sleep};

use super::blocks::Blocks;
use super::dynamodb::Table;
use chassis::telemetry::with_causes;

/// The longest pause after the first attempt that failed; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause there is, and so how long ids may stay away after the end of an outage.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Leases blocks of so many ids from a table for as long as the runtime lives.
pub(super) fn start(table: String, size: u64) -> Arc<Blocks> {
    let blocks = Arc::new(Blocks::new(size));
    let stock = Arc::clone(&blocks);
    drop(rt::spawn(async move {
        let table = Table::open(table, size).await;
        keep(&stock, async || table.lease().await).await;
    }));
    blocks
}

/// Adds a block whenever one is wanted. A lease yields the first id of a block that nobody else is given.
async fn keep<E: Error>(blocks: &Blocks, lease: impl AsyncFn() -> Result<u64, E>) {
    loop {
        blocks.wanted().await;
        blocks.add(insist(blocks, &lease).await);
    }
}

/// Leases until it succeeds, and says once that it did not, and once that it does again.
async fn insist<E: Error>(blocks: &Blocks, lease: impl AsyncFn() -> Result<u64, E>) -> u64 {
    let started = Instant::now();
    let mut failures = 0;
    loop {
        match lease().await {
            Ok(first) => {
                if failures > 0 {
                    tracing::info!(failures, seconds = started.elapsed().as_secs_f64(), "ids are leased again");
                }
                return first;
            }
            Err(error) if failures == 0 => {
                tracing::error!(left = blocks.left(), error = with_causes(&error), "no ids are leased; trying again");
            }
            Err(error) => tracing::debug!(left = blocks.left(), error = with_causes(&error), "still no ids are leased"),
        }
        sleep(pause(failures, RandomState::new().hash_one(failures))).await;
        failures += 1;
    }
}

/// How long to wait after so many failures before this one: at random, or all instances would come back at once.
fn pause(failures: u32, random: u64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + random as f64 / u64::MAX as f64 / 2.0)
}

#[cfg(test)]
mod tests;
