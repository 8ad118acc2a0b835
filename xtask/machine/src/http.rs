//! The one way to the network: how everything that the tool asks over HTTP finds proxies and authorities, how long it waits
//! and how often it asks again. It knows nothing of what is asked.
//!
//! Proxies come from `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY`; of two spellings the lower case counts, as for
//! curl and botocore. Unlike those, and like Go's programs (docker, terraform), a proxy never gets what is addressed to this
//! machine itself: its loopback is another one, and so are the credentials that link-local addresses hand out.

mod proxies;
pub mod words;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backon::ExponentialBuilder;
use reqwest::{Certificate, ClientBuilder, IntoUrl, Method, Proxy, Request, RequestBuilder, Response, redirect};

use model::outcome::{Exit, Failure, FailureKind};
use proxies::Proxies;

/// How long a lookup may take, with everything that is asked again.
pub const LOOKUP: Duration = Duration::from_secs(30);
/// How long a connection may take to come about.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Makes clients, all by the same rules.
#[derive(Debug, Clone)]
pub struct Http {
    proxies: Arc<Proxies>,
    authorities: Vec<Certificate>,
}

/// What asks. A request is made by it, and sent by it.
#[derive(Debug, Clone)]
pub struct Client {
    inner: reqwest::Client,
    proxies: Arc<Proxies>,
}

/// Why no answer came. Its text has no address that was asked, which may hold a secret, and names a proxy that fails.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct Lost {
    text: String,
    /// The other side cannot have seen the request.
    pub unsent: bool,
    pub timed_out: bool,
}

impl Http {
    /// By the variables that `main` has read.
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
        let mut authorities = Vec::new();
        if let Some(path) = vars.get("AWS_CA_BUNDLE").filter(|path| !path.is_empty()) {
            let unusable = |reason: String| {
                unusable("AWS_CA_BUNDLE", format!("{path}: {reason}")).hint("name a file of certificates in PEM")
            };
            let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
            authorities = Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
            if authorities.is_empty() {
                return Err(unusable("it holds no certificates".to_owned()));
            }
        }
        Ok(Self { proxies: Arc::new(proxies), authorities })
    }

    /// For AWS: the authorities of `AWS_CA_BUNDLE`, where it is set, are the only ones, as for every AWS tool.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn aws(&self) -> Result<Client, Failure> {
        self.build(|builder| match self.authorities.as_slice() {
            [] => builder,
            only => builder.tls_certs_only(only.to_vec()),
        })
    }

    /// For anything else, which trusts the authorities of `AWS_CA_BUNDLE` besides the machine's: a proxy that looks into
    /// TLS does so everywhere.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn client(&self, adjust: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Result<Client, Failure> {
        self.build(|builder| adjust(builder.tls_certs_merge(self.authorities.clone())))
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
    /// As without a proxy and without a bundle.
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

    /// Sends what [`Client::request`] has begun.
    ///
    /// # Errors
    /// No answer came.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Lost> {
        self.execute(request.build().map_err(Lost::of)?).await
    }

    /// # Errors
    /// No answer came.
    pub async fn execute(&self, request: Request) -> Result<Response, Lost> {
        let url = request.url().clone();
        self.inner.execute(request).await.map_err(|error| {
            let proxy = self.proxies.of_url(error.url().unwrap_or(&url));
            let lost = Lost::of(error);
            match proxy.filter(|_| lost.unsent) {
                Some(proxy) => Lost { text: proxy.blame(&url, &lost.text), ..lost },
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

/// The body of an answer, or as much of it as `limit` bytes.
///
/// # Errors
/// A connection that breaks off.
pub async fn body(mut answer: Response, limit: usize) -> Result<Vec<u8>, Lost> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(Lost::of)? {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            body.truncate(limit);
            break;
        }
    }
    Ok(body)
}

/// Ends a lookup that takes too long, whatever it has tried meanwhile.
///
/// # Errors
/// It took too long.
pub async fn in_time<T>(lookup: impl Future<Output = T>) -> Result<T, Lost> {
    tokio::time::timeout(LOOKUP, lookup).await.map_err(|_| {
        let text = format!("no answer within {} s", LOOKUP.as_secs());
        Lost { text, unsent: false, timed_out: true }
    })
}

/// How everything is asked again: so often altogether, after pauses of up to `first`, of up to twice as long, and so on.
pub fn retries(attempts: usize, first: Duration) -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(first / 2).with_max_times(attempts - 1).with_jitter()
}

/// A pause of up to `longest`, by chance, so that clients that were refused together do not come back together.
pub fn jitter(longest: Duration) -> Duration {
    use std::hash::{BuildHasher, Hasher, RandomState};
    let chance = RandomState::new().build_hasher().finish();
    longest.mul_f64(chance as f64 / u64::MAX as f64)
}

/// What an error of the client and its causes say, without the first, which says only that there is one.
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
