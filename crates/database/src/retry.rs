//! How long to wait before something that failed is tried again.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::Duration;

/// The longest pause after the first attempt that failed; each further one may be twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause there is, and so how long something may stay away after the end of an outage.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long to wait after so many failures before this one: at random, or all instances would come back at once.
pub fn pause(failures: u32) -> Duration {
    limited(failures, RandomState::new().hash_one(failures))
}

fn limited(failures: u32, random: u64) -> Duration {
    let longest = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
    longest.mul_f64(0.5 + random as f64 / u64::MAX as f64 / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_differ() {
        let milliseconds = |failures, random| limited(failures, random).as_millis();
        assert_eq!(
            [0, 1, 2, 5, 6, 1000].map(|failures| milliseconds(failures, u64::MAX)),
            [100, 200, 400, 3200, 5000, 5000]
        );
        assert_eq!([0, 6, u32::MAX].map(|failures| milliseconds(failures, 0)), [50, 2500, 2500]);
    }
}
