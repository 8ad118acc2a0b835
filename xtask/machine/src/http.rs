//! The tool's one HTTP client: its proxies, certificate authorities, timeouts and retries. It knows nothing of what is
//! requested.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; the lower-case spelling wins, as for curl
//! and botocore. Unlike those, and like Go's programs (docker, terraform), requests to this machine never go through a
//! proxy: the proxy's loopback is another machine, and so is what serves credentials at its link-local addresses.

mod authorities;
mod proxies;
pub mod quote;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use reqwest::{ClientBuilder, IntoUrl, Method, Proxy, Request, RequestBuilder, Response, redirect};

use authorities::Authorities;
use model::outcome::{Exit, Failure, FailureKind};
use proxies::Proxies;

/// Timeout of a lookup, retries included.
pub const LOOKUP: Duration = Duration::from_secs(30);
/// Timeout of establishing a connection.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Makes clients, all with the same proxies and authorities.
#[derive(Debug, Clone)]
pub struct Http {
    proxies: Arc<Proxies>,
    authorities: Authorities,
}

/// Makes and sends requests.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    proxies: Arc<Proxies>,
}

/// Why there is no response. Its text leaves out the URL, which may hold a secret, and names a proxy that fails.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Lost {
    text: String,
    /// The server cannot have received the request.
    pub unsent: bool,
    pub timed_out: bool,
}

impl Http {
    /// Reads the settings from the process environment.
    ///
    /// # Errors
    /// A proxy or an `AWS_CA_BUNDLE` that cannot be used.
    pub fn of(vars: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let unusable = |name: &str, reason: String| {
            Failure::new(Exit::Preflight, FailureKind::Network, format!("{name} cannot be used"))
                .resource(name)
                .reason(reason)
        };
        let proxies = Proxies::of(vars).map_err(|(name, reason)| unusable(name, reason))?;
        let authorities = Authorities::of(vars)
            .map_err(|(name, reason)| unusable(name, reason).hint("name a file of certificates in PEM"))?;
        Ok(Self { proxies: Arc::new(proxies), authorities })
    }

    /// A client for AWS: if `AWS_CA_BUNDLE` is set, it trusts only those authorities, as every AWS tool does.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn aws(&self) -> Result<Client, Failure> {
        self.build(|builder| self.authorities.alone(builder))
    }

    /// A client for other servers: it trusts the authorities of `AWS_CA_BUNDLE` besides the machine's, since a proxy
    /// that intercepts TLS does so for all of them.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn client(&self, adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Failure> {
        self.build(|builder| adjust(self.authorities.besides_the_machines(builder)))
    }

    fn build(&self, adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Failure> {
        let proxies = Arc::clone(&self.proxies);
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(LOOKUP)
            .redirect(redirect::Policy::none())
            .proxy(Proxy::custom(move |url| proxies.of_url(url).map(|proxy| proxy.address.clone())))
            .user_agent(concat!("xtask/", env!("CARGO_PKG_VERSION")));
        let inner = adjust(builder).build().map_err(|error| {
            let failure = Failure::new(Exit::Preflight, FailureKind::Network, "cannot make an HTTP client");
            failure.reason(chain(&error)).hint("check the machine's certificates (ca-certificates on Linux)")
        })?;
        Ok(Client { inner, proxies: Arc::clone(&self.proxies) })
    }
}

#[cfg(any(test, feature = "test-util"))]
impl Client {
    /// Without proxy and CA bundle.
    pub fn direct() -> Self {
        Http::of(&BTreeMap::new()).and_then(|http| http.aws()).expect("an empty environment is valid")
    }
}

impl Client {
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends a request that [`Client::request`] has made.
    ///
    /// # Errors
    /// No response.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Lost> {
        self.execute(request.build().map_err(Lost::of)?).await
    }

    /// # Errors
    /// No response.
    pub async fn execute(&self, request: Request) -> Result<Response, Lost> {
        let url = request.url().clone();
        self.inner.execute(request).await.map_err(|error| {
            let proxy = self.proxies.of_url(error.url().unwrap_or(&url));
            let lost = Lost::of(error);
            match proxy.filter(|_| lost.unsent) {
                Some(proxy) => Lost { text: proxy.reason(&url, &lost.text), ..lost },
                None => lost,
            }
        })
    }
}

impl Lost {
    fn of(error: reqwest::Error) -> Self {
        let (unsent, timed_out) = (error.is_connect() || error.is_builder(), error.is_timeout());
        Self { text: chain(&error.without_url()), unsent, timed_out }
    }
}

/// The body of a response, cut at `limit` bytes.
///
/// # Errors
/// A connection that breaks off.
pub async fn body(mut response: Response, limit: usize) -> Result<Vec<u8>, Lost> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Lost::of)? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            body.truncate(limit);
            break;
        }
    }
    Ok(body)
}

/// Ends a lookup, with its retries, after [`LOOKUP`].
///
/// # Errors
/// The timeout.
pub async fn in_time<T>(lookup: impl Future<Output = T>) -> Result<T, Lost> {
    tokio::time::timeout(LOOKUP, lookup).await.map_err(|_| {
        let text = format!("no answer within {} s", LOOKUP.as_secs());
        Lost { text, unsent: false, timed_out: true }
    })
}

/// The policy of all retries: at most `attempts` requests, with pauses of up to `first`, then up to twice as long, and
/// so on.
pub fn retries(attempts: usize, first: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(first / 2).with_max_times(attempts - 1).with_jitter()
}

/// A random pause of up to `longest`, so that clients that were refused together do not return together.
pub fn jitter(longest: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let random = RandomState::new().build_hasher().finish();
    longest.mul_f64(random as f64 / u64::MAX as f64)
}

/// The causes of a client's error; its own text only says that there is one.
fn chain(error: &reqwest::Error) -> String {
    let mut parts = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        parts.push(error.to_string());
        cause = error.source();
    }
    parts.dedup();
    if parts.is_empty() { error.to_string() } else { parts.join(": ") }
}

#[cfg(test)]
mod tests;
