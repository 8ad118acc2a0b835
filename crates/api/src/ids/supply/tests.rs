use std::cell::Cell;
use std::collections::HashSet;
use std::time::Duration;

use super::*;
use database::LONGEST_PAUSE;

/// How a call of the modelled table goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Fine,
    /// The table refuses, and nothing is leased.
    Throttled,
    /// The block is leased, and nobody learns of it.
    AnswerLost,
    /// It takes this long.
    Slow(Duration),
}

/// A table that several processes lease from.
struct Model {
    last: Cell<u64>,
    network: Cell<Network>,
    calls: Cell<u32>,
    under_way: Cell<u32>,
}

#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Failed(Network);

const SIZE: u64 = 10;

impl Model {
    fn new() -> Self {
        let network = Cell::new(Network::Fine);
        Self { last: Cell::new(0), network, calls: Cell::new(0), under_way: Cell::new(0) }
    }

    async fn lease(&self) -> Result<u64, Failed> {
        self.calls.set(self.calls.get() + 1);
        self.under_way.set(self.under_way.get() + 1);
        assert_eq!(self.under_way.get(), 1, "one lease at a time");
        let network = self.network.get();
        let duration = if let Network::Slow(duration) = network { duration } else { Duration::from_millis(1) };
        sleep(duration).await;
        self.under_way.set(0);
        if network == Network::Throttled {
            return Err(Failed(network));
        }
        let first = self.last.get() + 1;
        self.last.set(self.last.get() + SIZE);
        if network == Network::AnswerLost { Err(Failed(network)) } else { Ok(first) }
    }

    /// Runs a process that leases from this table for as long as a test takes.
    async fn serve(&self, test: impl AsyncFnOnce(&Blocks)) {
        let blocks = Blocks::new(SIZE);
        tokio::select! {
            () = keep(&blocks, || self.lease()) => unreachable!("ids are kept in stock for ever"),
            () = test(&blocks) => {}
        }
    }
}

/// Takes ids one by one until there are so many, waiting where none is left.
async fn take(blocks: &Blocks, count: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    while ids.len() < count {
        match blocks.take() {
            Some(id) => ids.push(id),
            None => sleep(Duration::from_millis(1)).await,
        }
    }
    ids
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test(start_paused = true)]
async fn the_table_is_called_once_for_each_block() {
    let table = Model::new();
    table
        .serve(async |blocks| {
            sleep(seconds(60)).await;
            assert_eq!((table.calls.get(), blocks.left()), (1, SIZE));
            assert_eq!(take(blocks, 100).await, (1..=100).collect::<Vec<_>>());
            sleep(seconds(60)).await;
            assert_eq!((table.calls.get(), blocks.left()), (11, SIZE));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_lease_is_waited_for_and_not_doubled() {
    let table = Model::new();
    table
        .serve(async |blocks| {
            take(blocks, 1).await;
            sleep(seconds(1)).await;
            table.network.set(Network::Slow(seconds(30)));
            take(blocks, 19).await;
            sleep(seconds(29)).await;
            assert_eq!(blocks.take(), None);
            sleep(seconds(2)).await;
            assert_eq!((blocks.take(), table.calls.get()), (Some(21), 3));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn without_the_table_ids_run_out_and_come_back_with_it() {
    let table = Model::new();
    table
        .serve(async |blocks| {
            take(blocks, 1).await;
            sleep(seconds(1)).await;
            table.network.set(Network::Throttled);
            assert_eq!(take(blocks, 19).await, (2..=20).collect::<Vec<_>>());
            let calls = table.calls.get();
            sleep(seconds(600)).await;
            assert_eq!(blocks.take(), None);
            // At least half of the longest pause lies between two calls, at most the whole.
            let attempts = table.calls.get() - calls;
            assert!((110..=260).contains(&attempts), "{attempts}");
            table.network.set(Network::Fine);
            sleep(LONGEST_PAUSE + seconds(1)).await;
            assert_eq!(blocks.take(), Some(21));
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_block_whose_answer_was_lost_is_skipped() {
    let table = Model::new();
    table.network.set(Network::AnswerLost);
    table
        .serve(async |blocks| {
            sleep(seconds(20)).await;
            assert_eq!(blocks.take(), None);
            table.network.set(Network::Fine);
            let lost = table.last.get();
            assert!(lost > 0);
            assert_eq!(take(blocks, 1).await, [lost + 1]);
        })
        .await;
}

#[tokio::test(start_paused = true)]
async fn processes_that_crash_and_start_anew_never_share_an_id() {
    let table = Model::new();
    let mut seen = HashSet::new();
    for process in 0..50 {
        table
            .serve(async |blocks| {
                for id in take(blocks, process * 7 % 23).await {
                    assert!(seen.insert(id), "{id} twice");
                }
            })
            .await;
        // A lease that was under way went down with its process.
        table.under_way.set(0);
    }
}
