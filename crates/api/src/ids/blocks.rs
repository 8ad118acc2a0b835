//! Leased blocks of ids: taken from by many threads without a lock, added to by one.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// The block that is in use and the one after it.
///
/// Ids are handed out by their place in the order of arrival: place `p` is in block `p / size`, whose first id stands in
/// `firsts[p / size % 2]`. Both counters only ever grow, which is what makes this work without a lock.
pub(crate) struct Blocks {
    size: u64,
    /// How many ids have been taken, and so the place of the next.
    taken: AtomicU64,
    /// How many ids have arrived; the places below are there to take.
    arrived: AtomicU64,
    /// The first ids of two blocks. Block `n` overwrites block `n - 2`, of which nothing is left by then.
    firsts: [AtomicU64; 2],
    /// Somebody has taken the first id of a block.
    begun: Notify,
}

impl Blocks {
    /// None yet, of so many ids each.
    pub(crate) fn new(size: u64) -> Self {
        Self {
            size,
            taken: AtomicU64::new(0),
            arrived: AtomicU64::new(0),
            firsts: [AtomicU64::new(0), AtomicU64::new(0)],
            begun: Notify::new(),
        }
    }

    /// The next id, if one is left.
    pub(crate) fn take(&self) -> Option<u64> {
        let mut place = self.taken.load(Ordering::Acquire);
        while place < self.arrived.load(Ordering::Acquire) {
            let offset = place % self.size;
            // Read before the place is taken. Whoever overwrites it has seen a later place taken, and this thread sees
            // that too: the exchange below fails then.
            let first = self.first_of(place / self.size).load(Ordering::Acquire);
            match self.taken.compare_exchange_weak(place, place + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    if offset == 0 {
                        self.begun.notify_one();
                    }
                    return Some(first + offset);
                }
                Err(now) => place = now,
            }
        }
        None
    }

    /// Whether there has ever been a block.
    pub(crate) fn have_arrived(&self) -> bool {
        self.arrived.load(Ordering::Relaxed) > 0
    }

    /// How many ids are left.
    pub(crate) fn left(&self) -> u64 {
        // In this order, or the difference could be negative.
        let taken = self.taken.load(Ordering::Acquire);
        self.arrived.load(Ordering::Acquire) - taken
    }

    /// Waits until less than one whole block is left.
    pub(crate) async fn wanted(&self) {
        while !self.is_wanted() {
            self.begun.notified().await;
        }
    }

    /// Adds a block that was wanted, by its first id. To be called by one thread alone.
    pub(crate) fn add(&self, first: u64) {
        assert!(self.is_wanted(), "a block is added only where one is wanted, or it would overwrite one in use");
        let arrived = self.arrived.load(Ordering::Relaxed);
        self.first_of(arrived / self.size).store(first, Ordering::Release);
        self.arrived.store(arrived + self.size, Ordering::Release);
    }

    fn is_wanted(&self) -> bool {
        self.left() < self.size
    }

    fn first_of(&self, block: u64) -> &AtomicU64 {
        if block.is_multiple_of(2) { &self.firsts[0] } else { &self.firsts[1] }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn nothing_is_given_before_a_block_arrives_or_after_it_is_used_up() {
        let blocks = Blocks::new(2);
        assert_eq!((blocks.take(), blocks.have_arrived()), (None, false));
        blocks.add(11);
        assert_eq!([blocks.take(), blocks.take(), blocks.take()], [Some(11), Some(12), None]);
        assert!(blocks.have_arrived());
        blocks.add(1);
        assert_eq!([blocks.take(), blocks.take(), blocks.take()], [Some(1), Some(2), None]);
    }

    #[test]
    fn a_block_is_wanted_as_soon_as_the_last_one_is_begun() {
        let blocks = Blocks::new(3);
        blocks.add(1);
        assert!(!blocks.is_wanted());
        assert_eq!((blocks.take(), blocks.left()), (Some(1), 2));
        assert!(blocks.is_wanted());
        blocks.add(10);
        assert!(!blocks.is_wanted());
        let taken: Vec<_> = std::iter::from_fn(|| blocks.take()).collect();
        assert_eq!(taken, [2, 3, 10, 11, 12]);
    }

    #[test]
    #[should_panic(expected = "only where one is wanted")]
    fn a_block_in_use_is_not_overwritten() {
        let blocks = Blocks::new(3);
        blocks.add(1);
        blocks.add(4);
    }

    /// Blocks this small are overwritten all the time; each id carries which block it is of.
    #[test]
    fn many_threads_never_get_the_same_id() {
        for size in [1, 2, 7, 64] {
            let blocks = Blocks::new(size);
            let full = 3_000;
            let done = AtomicBool::new(false);
            let take_all = || {
                let mut taken = Vec::new();
                loop {
                    // Asked before the last attempt, so that nothing is left when a thread ends.
                    let last = done.load(Ordering::Acquire);
                    match blocks.take() {
                        Some(id) => taken.push(id),
                        None if last => return taken,
                        None => thread::yield_now(),
                    }
                }
            };
            let mut ids = thread::scope(|scope| {
                let takers: Vec<_> = (0..4).map(|_| scope.spawn(take_all)).collect();
                for block in 0..full {
                    while !blocks.is_wanted() {
                        thread::yield_now();
                    }
                    // Far apart, so that an offset into the wrong block shows.
                    blocks.add(block * 1000);
                }
                done.store(true, Ordering::Release);
                takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
            });
            ids.sort_unstable();
            let expected: Vec<_> = (0..full).flat_map(|block| (0..size).map(move |id| block * 1000 + id)).collect();
            assert!(ids == expected, "{} ids instead of {} with blocks of {size}", ids.len(), expected.len());
        }
    }
}
