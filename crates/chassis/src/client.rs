//! An HTTP client for handlers, by which a call to another service counts as part of the request that it is made for.
//!
//! With the feature `client`. Its certificates are Mozilla's roots, compiled in: an image has no files of its own. It
//! reads no environment variable, so it goes through no proxy.

use std::time::Duration;

pub use reqwest;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Error, IntoUrl, Method, RequestBuilder};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

use crate::current;
use crate::trace::Names;

/// In which a connection has to be there, TLS included.
pub const CONNECT_TIME: Duration = Duration::from_secs(2);
/// In which an answer has to be there, its body included; [`RequestBuilder::timeout`] changes it for one request.
pub const TOTAL_TIME: Duration = Duration::from_secs(10);
/// How long a connection that nobody uses is kept; AWS's load balancers keep theirs for 60 seconds.
const IDLE_TIME: Duration = Duration::from_secs(50);
/// How many of these are kept for each host.
const IDLE_CONNECTIONS: usize = 32;

/// An HTTP/1.1 client with a pool of connections; clones share it, so one is enough for a process.
///
/// Every request that is made in a handler carries its request's `X-Request-Id`, `traceparent` (with the service's own
/// span as the parent) and `X-Amzn-Trace-Id`, where it has them. Outside of a request, and in a task that is not
/// [carried](crate::carry), there is nothing to hand on.
///
/// A redirect is an answer like others and is not followed: where a caller has a say in the URL, it would lead the
/// service to places that it checked nothing of.
///
/// ```no_run
/// use actix_web::{error, web};
/// use chassis::client::Client;
///
/// async fn weather(client: web::Data<Client>) -> Result<String, error::Error> {
///     let answer = client.get("https://weather.example/now").send().await.map_err(error::ErrorBadGateway)?;
///     answer.text().await.map_err(error::ErrorBadGateway)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client with the times and limits of this module.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub fn new() -> Result<Self, Error> {
        let roots = TLS_SERVER_ROOT_CERTS.iter().map(|root| Certificate::from_der(root));
        let client = reqwest::Client::builder()
            .tls_certs_only(roots.collect::<Result<Vec<_>, _>>()?)
            .no_proxy()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIME)
            .timeout(TOTAL_TIME)
            .pool_idle_timeout(IDLE_TIME)
            .pool_max_idle_per_host(IDLE_CONNECTIONS);
        client.build().map(Self)
    }

    /// Begins a `GET`.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a `POST`.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a request with any method. A URL that is none is an error when it is sent.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.0.request(method, url).headers(current::with(handed_on).unwrap_or_default())
    }
}

fn handed_on(names: &Names) -> HeaderMap {
    let headers = names.handed_on().filter_map(|(name, value)| {
        // They were fit for a header when they came.
        Some((HeaderName::from_static(name), HeaderValue::from_bytes(value).ok()?))
    });
    headers.collect()
}
