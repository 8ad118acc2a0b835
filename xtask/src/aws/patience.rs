//! Asking again: how often, and after which pauses.

use std::time::Duration;

/// A pause of up to `longest`, by chance, so that those who were refused together do not come back together.
pub(crate) fn jitter(longest: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let chance = RandomState::new().build_hasher().finish();
    longest.mul_f64(chance as f64 / u64::MAX as f64)
}

/// Asks until there is an answer that asking again would not change: a refusal says whether another attempt may do better.
/// Pauses are by chance, the first of up to `pause`, each next one of up to twice as long.
///
/// # Errors
/// The last refusal.
pub(crate) async fn again<T, E, A: Future<Output = Result<T, (E, bool)>>>(
    attempts: u32,
    mut pause: Duration,
    attempt: impl Fn() -> A,
) -> Result<T, E> {
    for number in 1.. {
        match attempt().await {
            Ok(answer) => return Ok(answer),
            Err((_, true)) if number < attempts => {
                tokio::time::sleep(jitter(pause)).await;
                pause *= 2;
            }
            Err((refusal, _)) => return Err(refusal),
        }
    }
    unreachable!("the last attempt returns")
}
