//! The client of an endpoint: the headers of its requests, whose values are never shown.

use std::fmt;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// Replaces a secret in texts.
const HIDDEN: &str = "***";

/// Makes the headers that sign a request for a URL.
#[derive(Clone)]
pub struct Signer(Arc<Sign>);

type Sign = dyn Fn(Url) -> BoxFuture<'static, Result<Vec<(String, String)>>> + Send + Sync;

impl Signer {
    pub fn new(
        sign: impl Fn(Url) -> BoxFuture<'static, Result<Vec<(String, String)>>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(sign))
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signer")
    }
}

/// Sends requests to an endpoint; by default without authentication.
#[derive(Debug, Clone, Default)]
pub struct ApiClient {
    headers: Vec<(String, SecretString)>,
    signer: Option<Signer>,
}

impl ApiClient {
    /// Adds a header.
    pub fn with(mut self, name: &str, value: SecretString) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }

    /// Signs each request.
    pub fn signing(self, signer: Signer) -> Self {
        Self { signer: Some(signer), ..self }
    }

    /// Adds the headers and the signature to a request.
    ///
    /// # Errors
    /// A value that is not valid in a header, or expired credentials.
    pub(super) async fn authenticate(&self, mut request: RequestBuilder, url: &Url) -> Result<RequestBuilder> {
        for (name, value) in &self.headers {
            // The library's error would quote the value.
            let value = HeaderValue::from_str(value.expose_secret()).ok();
            let mut value = value.with_context(|| format!("the value of {name} cannot be sent in a header"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(Signer(sign)) = &self.signer {
            for (name, value) in sign(url.clone()).await? {
                request = request.header(name, value);
            }
        }
        Ok(request)
    }

    /// The text without this client's secrets, in case the endpoint has echoed them.
    pub fn redact(&self, text: &str) -> String {
        let secrets = self.headers.iter().map(|(_, value)| value.expose_secret().trim_start_matches("Bearer "));
        secrets.filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}

/// The clients that send the requests of a smoke test.
#[derive(Debug, Default)]
pub struct ApiClients {
    /// Must get the right answer.
    pub authenticated: ApiClient,
    /// Must be refused; `None` where the API requires no authentication.
    pub unauthenticated: Option<ApiClient>,
}
