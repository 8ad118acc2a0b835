//! The first read of what was just made, which AWS may not show everywhere yet.

use std::time::Duration;

use tokio::time::Instant;

/// How long AWS may say that there is no such thing.
const GRACE: Duration = Duration::from_secs(30);
/// Pause between two reads.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads until it is there; the last answer where it does not come.
pub(super) async fn until_there<T>(is_there: impl Fn(&T) -> bool, read: impl AsyncFn() -> T) -> T {
    let deadline = Instant::now() + GRACE;
    loop {
        let answer = read().await;
        if is_there(&answer) || Instant::now() > deadline {
            return answer;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
