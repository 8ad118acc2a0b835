//! Keeps blocks of ids in stock: one lease at a time, ahead of the need, again and again while the database is out of reach.

use std::error::Error;
use std::sync::Arc;

use actix_web::rt;
use chassis::telemetry::with_causes;
use tokio::time::{Instant, sleep};

use super::blocks::Blocks;
use super::postgres::Counter;
use database::Database;
use database::pause;

/// Leases blocks of so many ids from a database for as long as the runtime lives.
pub(super) fn start(database: Database, size: u32) -> Arc<Blocks> {
    let blocks = Arc::new(Blocks::new(size.into()));
    let stock = Arc::clone(&blocks);
    drop(rt::spawn(async move {
        let counter = Counter::new(database, size);
        // Until then each attempt would only repeat what the database's own log line says.
        counter.is_there().await;
        keep(&stock, async || counter.lease().await).await;
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
        sleep(pause(failures)).await;
        failures += 1;
    }
}

#[cfg(test)]
mod tests;
