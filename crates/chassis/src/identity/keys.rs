//! The issuer's keys: fetched by one task, kept for all workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use config::service::{Identity, values};
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::{Instant, sleep, timeout};

use super::token::Key;
use crate::client::{Client, reqwest};
use crate::telemetry::with_causes;

/// After which keys are fetched again though nobody misses one.
const REFRESH: Duration = Duration::from_secs(10 * 60);
/// Between two fetches, whatever tokens name: what an attacker can bring about.
const COOL_DOWN: Duration = Duration::from_secs(5);
/// The same, as long as there are no keys at all.
const FIRST_COOL_DOWN: Duration = Duration::from_secs(1);
/// How long keys serve that cannot be fetched again.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// In which the keys have to be there, both documents together.
const FETCH_TIME: Duration = Duration::from_secs(5);
/// How long a request waits for a fetch.
const WAIT: Duration = Duration::from_secs(2);
/// How many requests wait at once; the rest of what may be in flight stays free for others.
const WAITING: usize = 32;
/// Of either document. Cognito's have 1 kB, others' a few.
const LONGEST: usize = 256 * 1024;

/// Why there is no such key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// The issuer does not have it.
    Unknown,
    /// The issuer cannot be asked.
    Unreachable,
}

/// The keys, as they were fetched last.
pub(super) struct Keys {
    view: watch::Sender<View>,
    wanted: Notify,
    waiting: Semaphore,
}

/// What is known at a moment.
#[derive(Default)]
struct View {
    keys: HashMap<String, Arc<Key>>,
    /// When these were fetched.
    fetched: Option<Instant>,
    /// When a fetch ended last, and whether with keys.
    tried: Option<(Instant, bool)>,
}

impl View {
    fn get(&self, kid: &str) -> Option<Arc<Key>> {
        let fresh = self.fetched.is_some_and(|fetched| fetched.elapsed() < STALE);
        self.keys.get(kid).filter(|_| fresh).cloned()
    }

    fn missing(&self) -> Missing {
        match self.tried {
            Some((_, true)) => Missing::Unknown,
            Some((_, false)) | None => Missing::Unreachable,
        }
    }

    fn cool_down(&self) -> Duration {
        if self.fetched.is_some() { COOL_DOWN } else { FIRST_COOL_DOWN }
    }
}

impl Default for Keys {
    fn default() -> Self {
        let waiting = Semaphore::new(WAITING);
        Self { view: watch::Sender::new(View::default()), wanted: Notify::new(), waiting }
    }
}

impl Keys {
    pub(super) fn have_arrived(&self) -> bool {
        self.view.borrow().fetched.is_some()
    }

    /// A key that is there.
    pub(super) fn get(&self, kid: &str) -> Option<Arc<Key>> {
        self.view.borrow().get(kid)
    }

    /// A key that is not there, by another fetch, if it is time for one.
    pub(super) async fn fetched(&self, kid: &str) -> Result<Arc<Key>, Missing> {
        let mut changes = self.view.subscribe();
        {
            let view = changes.borrow_and_update();
            if let Some(key) = view.get(kid) {
                return Ok(key);
            }
            if view.tried.is_some_and(|(ended, _)| ended.elapsed() < view.cool_down()) {
                return Err(view.missing());
            }
        }
        let Ok(_place) = self.waiting.try_acquire() else { return Err(Missing::Unreachable) };
        self.wanted.notify_one();
        match timeout(WAIT, changes.changed()).await {
            Ok(Ok(())) => {
                let view = changes.borrow();
                view.get(kid).ok_or_else(|| view.missing())
            }
            Ok(Err(_)) | Err(_) => Err(Missing::Unreachable),
        }
    }

    /// Fetches keys for ever. What fails is logged once, and so is its end.
    pub(super) async fn keep_current(&self, client: &Client, identity: &Identity) {
        let mut failing = false;
        loop {
            let fetched = timeout(FETCH_TIME, fetch(client, identity)).await.unwrap_or(Err(Unfetched::Late));
            let failed = match &fetched {
                Ok(_) if failing => {
                    tracing::info!(issuer = identity.issuer, "the issuer's keys can be fetched again");
                    false
                }
                Ok(_) => false,
                Err(error) if !failing => {
                    let error = with_causes(error);
                    tracing::warn!(error, issuer = identity.issuer, "cannot fetch the issuer's keys; trying on");
                    true
                }
                Err(_) => true,
            };
            failing = failed;
            self.publish(fetched.ok());
            let cool_down = self.view.borrow().cool_down();
            sleep(cool_down).await;
            if !failed && timeout(REFRESH, self.wanted.notified()).await.is_ok() {
                tracing::debug!("a token names a key that is not there");
            }
        }
    }

    /// Replaces the keys, if there are new ones, and lets those go on that wait.
    fn publish(&self, fetched: Option<HashMap<String, Arc<Key>>>) {
        let now = Instant::now();
        self.view.send_modify(|view| {
            view.tried = Some((now, fetched.is_some()));
            if let Some(keys) = fetched {
                view.keys = keys;
                view.fetched = Some(now);
            }
        });
    }
}

/// Why keys were not fetched.
#[derive(Debug, thiserror::Error)]
enum Unfetched {
    #[error("there is no answer within {} seconds", FETCH_TIME.as_secs())]
    Late,
    #[error("{url} cannot be read")]
    Unread { url: String, source: reqwest::Error },
    #[error("{url} answers {status}")]
    Refused { url: String, status: u16 },
    #[error("{url} has more than {LONGEST} bytes")]
    TooLong { url: String },
    #[error("{url} is not as OpenID Connect has it")]
    Malformed { url: String, source: serde_json::Error },
    #[error("it calls itself {issuer:?}, which its tokens will name")]
    OtherName { issuer: String },
    #[error("its keys are at {url:?}, which is neither https nor on this machine")]
    Insecure { url: String },
    #[error("{url} has no key by which a signature could be verified")]
    NoKey { url: String },
}

/// OpenID Connect Discovery, section 3.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// RFC 7517, section 5: a key of a kind that is not known is passed over.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

async fn fetch(client: &Client, identity: &Identity) -> Result<HashMap<String, Arc<Key>>, Unfetched> {
    let url = match &identity.jwks_url {
        Some(url) => url.clone(),
        None => discover(client, &identity.issuer).await?,
    };
    let set: Set = document(client, &url).await?;
    let mut keys = HashMap::new();
    for jwk in set.keys {
        let key = Jwk::deserialize(jwk).ok().and_then(|jwk| Key::new(&jwk, &identity.issuer));
        if let Some((kid, key)) = key {
            // The first of a name counts.
            keys.entry(kid).or_insert_with(|| Arc::new(key));
        }
    }
    if keys.is_empty() { Err(Unfetched::NoKey { url }) } else { Ok(keys) }
}

/// Where the issuer says that its keys are.
async fn discover(client: &Client, issuer: &str) -> Result<String, Unfetched> {
    let url = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let discovery: Discovery = document(client, &url).await?;
    if discovery.issuer != issuer {
        return Err(Unfetched::OtherName { issuer: discovery.issuer });
    }
    values::secure_url(&discovery.jwks_uri).ok_or(Unfetched::Insecure { url: discovery.jwks_uri })
}

/// A document of bounded length.
async fn document<T: DeserializeOwned>(client: &Client, url: &str) -> Result<T, Unfetched> {
    let unread = |source: reqwest::Error| Unfetched::Unread { url: url.to_owned(), source: source.without_url() };
    let mut answer = client.get(url).header("accept", "application/json").send().await.map_err(unread)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(Unfetched::Refused { url: url.to_owned(), status });
    }
    let mut text = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(unread)? {
        if text.len() + piece.len() > LONGEST {
            return Err(Unfetched::TooLong { url: url.to_owned() });
        }
        text.extend_from_slice(&piece);
    }
    serde_json::from_slice(&text).map_err(|source| Unfetched::Malformed { url: url.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A key of RFC 8037, appendix A.2.
    fn some() -> HashMap<String, Arc<Key>> {
        let jwk =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        let key = Key::new(&Jwk::deserialize(jwk).unwrap(), "https://id.example").unwrap();
        HashMap::from([(key.0, Arc::new(key.1))])
    }

    #[tokio::test(start_paused = true)]
    async fn keys_serve_through_an_outage_for_a_day() {
        let keys = Keys::default();
        assert!(!keys.have_arrived());
        keys.publish(Some(some()));
        tokio::time::advance(STALE - Duration::from_secs(1)).await;
        keys.publish(None);
        assert!(keys.get("a").is_some());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(keys.get("a").is_none() && keys.have_arrived());
        assert_eq!(keys.fetched("a").await.err(), Some(Missing::Unreachable));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_the_issuer_does_not_have_is_unknown_only_if_it_was_asked() {
        let keys = Keys::default();
        keys.publish(Some(some()));
        assert_eq!(keys.fetched("b").await.err(), Some(Missing::Unknown));
        keys.publish(None);
        assert_eq!(keys.fetched("b").await.err(), Some(Missing::Unreachable));
    }

    #[tokio::test(start_paused = true)]
    async fn few_wait_and_not_for_long() {
        let keys = Keys::default();
        keys.publish(Some(some()));
        tokio::time::advance(COOL_DOWN).await;
        let before = Instant::now();
        let outcomes = futures_util::future::join_all((0..2 * WAITING).map(|_| async {
            let outcome = keys.fetched("b").await;
            (outcome.err(), before.elapsed() >= WAIT)
        }));
        let outcomes = outcomes.await;
        assert!(outcomes.iter().all(|(missing, _)| *missing == Some(Missing::Unreachable)));
        assert_eq!(outcomes.iter().filter(|(_, waited)| *waited).count(), WAITING);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_key_that_comes() {
        let keys = Keys::default();
        let publish = async {
            sleep(Duration::from_millis(100)).await;
            keys.publish(Some(some()));
        };
        let (outcome, ()) = futures_util::future::join(keys.fetched("a"), publish).await;
        assert!(outcome.is_ok());
    }
}
