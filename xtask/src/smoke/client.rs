//! Who asks an endpoint: the headers that go with each request, of which no value is ever shown.

use anyhow::{Context as _, Result};
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use aws::signed::Signed;

/// What API Gateway's requests are signed for.
const SIGNED_FOR: &str = "execute-api";
/// What an API asks of whoever signs.
const ACTION: &str = "execute-api:Invoke";
/// Stands in texts where a secret was.
const HIDDEN: &str = "***";

/// Somebody who asks; by default a stranger.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiClient {
    headers: Vec<(String, SecretString)>,
    signer: Option<Signed>,
}

impl ApiClient {
    /// Sends this header too.
    pub(crate) fn with(mut self, name: &str, value: SecretString) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }

    /// Signs each request with the caller's credentials.
    pub(crate) fn signing(self, signer: &Signed) -> Self {
        Self { signer: Some(signer.clone()), ..self }
    }

    /// Puts on a request what proves who asks.
    ///
    /// # Errors
    /// A value that no header can have, or credentials that have ended.
    pub(super) async fn authenticate(&self, mut request: RequestBuilder, url: &Url) -> Result<RequestBuilder> {
        for (name, value) in &self.headers {
            // The library's own words would quote the value.
            let value = HeaderValue::from_str(value.expose_secret()).ok();
            let mut value = value.with_context(|| format!("the value of {name} cannot be sent in a header"))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(signer) = &self.signer {
            let signature = signer.headers(SIGNED_FOR, url.as_str()).await;
            for (name, value) in signature.with_context(|| format!("the request cannot be signed for {ACTION}"))? {
                request = request.header(name, value);
            }
        }
        Ok(request)
    }

    /// The text without what this visitor keeps secret, should an endpoint have answered with it.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.headers.iter().map(|(_, value)| value.expose_secret().trim_start_matches("Bearer "));
        secrets.filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}
