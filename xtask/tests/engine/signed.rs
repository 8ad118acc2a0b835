//! Calls AWS with given credentials and a valid signature.

use std::time::SystemTime;

use anyhow::{Context, Result};
use aws_sdk_sts::config::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use serde_json::Value;

use crate::client::{self, Answer};

/// Somebody with keys.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) endpoint: String,
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) session: Option<String>,
}

impl Caller {
    /// Asks a service that takes forms.
    pub(crate) fn form(&self, service: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.post(service, &[("content-type", "application/x-www-form-urlencoded")], body)
    }

    /// Asks a service that takes JSON.
    pub(crate) fn json(&self, service: &str, target: &str, input: &Value) -> Result<Answer> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        self.post(service, &headers, input.to_string())
    }

    fn post(&self, service: &str, headers: &[(&'static str, &str)], body: String) -> Result<Answer> {
        let url = format!("{}/", self.endpoint);
        let identity = Credentials::new(&self.id, &self.secret, self.session.clone(), None, "test").into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("eu-central-1")
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .context("cannot sign")?
            .into();
        let signable =
            SignableRequest::new("POST", &url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let mut sent: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        sent.extend(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())));
        client::post(&url, &sent, body)
    }
}
