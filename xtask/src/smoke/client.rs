//! The client of an endpoint: the headers of its requests, whose values are never shown.

use anyhow::{Context as _, Result};
use reqwest::RequestBuilder;
use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use aws::signed::Signed;

/// The service for which requests to API Gateway are signed.
const SIGNED_FOR: &str = "execute-api";
/// The permission that signed requests need.
const ACTION: &str = "execute-api:Invoke";
/// Replaces a secret in texts.
const HIDDEN: &str = "***";

/// Sends requests to an endpoint; by default without authentication.
#[derive(Debug, Clone, Default)]
pub(crate) struct ApiClient {
    headers: Vec<(String, SecretString)>,
    signer: Option<Signed>,
}

impl ApiClient {
    /// Adds a header.
    pub(crate) fn with(mut self, name: &str, value: SecretString) -> Self {
        self.headers.push((name.to_owned(), value));
        self
    }

    /// Signs each request with the caller's credentials.
    pub(crate) fn signing(self, signer: &Signed) -> Self {
        Self { signer: Some(signer.clone()), ..self }
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
        if let Some(signer) = &self.signer {
            let signature = signer.headers(SIGNED_FOR, url.as_str()).await;
            for (name, value) in signature.with_context(|| format!("the request cannot be signed for {ACTION}"))? {
                request = request.header(name, value);
            }
        }
        Ok(request)
    }

    /// The text without this client's secrets, in case the endpoint has echoed them.
    pub(super) fn redact(&self, text: &str) -> String {
        let secrets = self.headers.iter().map(|(_, value)| value.expose_secret().trim_start_matches("Bearer "));
        secrets.filter(|secret| !secret.is_empty()).fold(text.to_owned(), |text, secret| text.replace(secret, HIDDEN))
    }
}
