//! Signed calls without an SDK, for services of which the tool needs one or two operations: an SDK crate for each would
//! only cost build time.
//!
//! Responses may be secrets, so an error never contains one.

mod service;

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use aws_config::SdkConfig;
use aws_sdk_sts::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use backon::Retryable as _;
use reqwest::{Method, Response};
use serde_json::Value;
use url::form_urlencoded::Serializer;

use crate::error;
use machine::http::{self, Client, Lost};
use model::outcome::Failure;
pub use service::{
    ACM, API_GATEWAY, AwsService, CLOUDWATCH, COGNITO, EC2, ECS, ELASTIC_LOAD_BALANCING, IAM, RDS, S3, SECRETS_MANAGER,
    SERVICE_QUOTAS,
};
use service::{Address, Protocol};

/// Attempts of a call if AWS throttles it or does not answer.
const ATTEMPTS: usize = 5;
const BACK_OFF: Duration = Duration::from_millis(300);

/// The longest response that is read.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// An operation of a service, as its failure names it.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    pub service: &'a AwsService,
    /// As IAM names it, such as `iam:GetRole`.
    pub action: &'a str,
    /// The resource in the failure.
    pub resource: &'a str,
}

/// A client that signs with the caller's credentials.
#[derive(Debug, Clone, Default)]
pub struct Signed {
    region: String,
    /// For all services.
    endpoint: Option<String>,
    /// By the suffix of the variable, such as `EC2`.
    endpoints: BTreeMap<String, String>,
    credentials: Option<SharedCredentialsProvider>,
    /// `None` in a client that sends nothing.
    http: Option<Client>,
}

/// A request before it is signed.
struct UnsignedRequest<'a> {
    method: Method,
    url: String,
    headers: Vec<(&'a str, &'a str)>,
    body: String,
}

impl Signed {
    pub(super) fn new(config: &SdkConfig, vars: &BTreeMap<String, String>, http: Client) -> Self {
        let own = vars.iter().filter_map(|(name, value)| Some((name.strip_prefix("AWS_ENDPOINT_URL_")?, value)));
        let own = own.filter(|(_, value)| !value.is_empty());
        Self {
            region: config.region().map(ToString::to_string).unwrap_or_default(),
            endpoint: config.endpoint_url().map(str::to_owned),
            endpoints: own.map(|(name, value)| (name.to_owned(), value.clone())).collect(),
            credentials: config.credentials_provider(),
            http: Some(http),
        }
    }

    /// The same client for another region.
    pub fn in_region(&self, region: &str) -> Self {
        Self { region: region.to_owned(), ..self.clone() }
    }

    /// A client for tests, with all services at this address.
    #[cfg(any(test, feature = "test-util"))]
    pub fn at(endpoint: &str) -> Self {
        let session = Some("session".to_owned());
        let credentials = aws_sdk_sts::config::Credentials::new("AKIDEXAMPLE", "secret", session, None, "test");
        Self {
            region: "eu-central-1".to_owned(),
            endpoint: Some(endpoint.to_owned()),
            credentials: Some(SharedCredentialsProvider::new(credentials)),
            http: Some(Client::direct()),
            endpoints: BTreeMap::new(),
        }
    }

    /// The configured endpoint of a service, if there is one.
    pub fn endpoint_of(&self, service: &AwsService) -> Option<&str> {
        self.endpoints.get(service.variable).or(self.endpoint.as_ref()).map(String::as_str)
    }

    /// The address of a service as others reach it, such as another service of AWS: this machine may have a way of its own
    /// to one service, but an endpoint for all of them is an emulator.
    pub fn public_address(&self, service: &AwsService) -> String {
        service.address(&self.region, self.endpoint.as_deref()).base
    }

    /// Calls a service of the Query protocol and returns its XML.
    pub async fn query(&self, call: Call<'_>, fields: &[(&str, &str)]) -> Result<String, Failure> {
        let Protocol::Query { version } = call.service.protocol else { unreachable!("{:?} has forms", call.service) };
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", operation(call)).append_pair("Version", version).extend_pairs(fields);
        let headers = vec![("content-type", "application/x-www-form-urlencoded")];
        self.send(call, Method::POST, "/", headers, form.finish()).await
    }

    /// Calls a service of the JSON protocol.
    pub async fn json(&self, call: Call<'_>, input: &Value) -> Result<Value, Failure> {
        let Protocol::Json { target, version } = call.service.protocol else { unreachable!("{:?} has JSON", call) };
        let target = format!("{target}.{}", operation(call));
        let kind = format!("application/x-amz-json-{version}");
        let headers = vec![("content-type", kind.as_str()), ("x-amz-target", target.as_str())];
        let answer = self.send(call, Method::POST, "/", headers, input.to_string()).await?;
        parse_json(call, &answer)
    }

    /// Reads a path, with its query, of a REST service.
    pub async fn get(&self, call: Call<'_>, path: &str) -> Result<Value, Failure> {
        let headers = vec![("accept", "application/json")];
        let answer = self.send(call, Method::GET, path, headers, String::new()).await?;
        parse_json(call, &answer)
    }

    /// The signature headers of a GET request to `service` in the environment's region.
    ///
    /// # Errors
    /// Credentials that are missing or expired.
    pub async fn headers(&self, service: &str, url: &str) -> Result<Vec<(String, String)>> {
        let request =
            UnsignedRequest { method: Method::GET, url: url.to_owned(), headers: Vec::new(), body: String::new() };
        self.signature(service, &self.region, &request).await
    }

    /// Sends a request, with retries, and returns the text of the answer.
    pub(crate) async fn send(
        &self,
        call: Call<'_>,
        method: Method,
        path: &str,
        headers: Vec<(&str, &str)>,
        body: String,
    ) -> Result<String, Failure> {
        let Address { base, region } = call.service.address(&self.region, self.endpoint_of(call.service));
        let request = UnsignedRequest { method, url: format!("{base}{path}"), headers, body };
        let mut attempts = 0;
        let attempt = || {
            attempts += 1;
            self.attempt(call.service, &region, &request, attempts > 1)
        };
        let response = attempt.retry(http::retries(ATTEMPTS, BACK_OFF)).when(AttemptError::is_retryable);
        // On the heap: this future is part of many others.
        let answer = http::in_time(Box::pin(response)).await.map_err(AttemptError::Lost).flatten();
        answer.map_err(|error| error.into_failure(call))
    }

    async fn attempt(
        &self,
        service: &AwsService,
        region: &str,
        request: &UnsignedRequest<'_>,
        repeated: bool,
    ) -> Result<String, AttemptError> {
        // Signed for each attempt: a signature contains the time.
        let signature = self.signature(service.name, region, request).await.map_err(AttemptError::NotSent)?;
        let client = self.http.as_ref().context("there is no HTTP client").map_err(AttemptError::NotSent)?;
        let mut sent = client.request(request.method.clone(), &request.url);
        for (name, value) in &request.headers {
            sent = sent.header(*name, *value);
        }
        for (name, value) in signature {
            sent = sent.header(name, value);
        }
        let answer = client.send(sent.body(request.body.clone())).await.map_err(AttemptError::Lost)?;
        let (status, kind) = (answer.status().as_u16(), error_type(&answer));
        let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
        let text = http::body(answer, MAX_ANSWER).await.map_err(AttemptError::Lost)?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if status < 300 {
            return Ok(text);
        }
        let (code, message) = code_and_message(&text);
        Err(AttemptError::Response {
            status,
            code: kind.or(code),
            message: message.unwrap_or_default(),
            date,
            body: text,
            repeated,
        })
    }

    async fn signature(
        &self,
        name: &str,
        region: &str,
        request: &UnsignedRequest<'_>,
    ) -> Result<Vec<(String, String)>> {
        let provider = self.credentials.as_ref().context("there are no AWS credentials")?;
        let identity = provider.provide_credentials().await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(name)
            .time(SystemTime::now())
            .settings(settings(name))
            .build()
            .context("cannot sign the request")?
            .into();
        let body = SignableBody::Bytes(request.body.as_bytes());
        let headers = request.headers.iter().copied();
        let signable = SignableRequest::new(request.method.as_str(), &request.url, headers, body)?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

fn settings(service: &str) -> SigningSettings {
    let mut settings = SigningSettings::default();
    if service == S3.name {
        // S3 demands the body's hash in a header, and compares the body with it.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    }
    settings
}

fn operation<'a>(call: Call<'a>) -> &'a str {
    call.action.split_once(':').map_or(call.action, |(_, operation)| operation)
}

/// Why an attempt failed.
enum AttemptError {
    /// The request could not be signed or sent.
    NotSent(anyhow::Error),
    /// There was no response.
    Lost(Lost),
    /// An error response, of the service or of a proxy.
    Response { status: u16, code: Option<String>, message: String, date: Option<String>, body: String, repeated: bool },
}

impl AttemptError {
    /// Whether a repetition may succeed.
    fn is_retryable(&self) -> bool {
        match self {
            Self::NotSent(_) => false,
            Self::Lost(_) => true,
            Self::Response { status, code, .. } => {
                let code = code.as_deref().unwrap_or_default();
                *status >= 500 || *status == 429 || error::is_throttling(code) || error::is_internal_error(code)
            }
        }
    }

    fn into_failure(self, call: Call<'_>) -> Failure {
        let Call { action, resource, .. } = call;
        match self {
            Self::NotSent(error) => match error::credentials_error(error.as_ref()) {
                Some(reason) => error::not_signed(action, resource, error::chain(reason)),
                None => error::no_response(action, resource, error::chain(error.as_ref())),
            },
            Self::Lost(error) => error::no_response(action, resource, error.to_string()),
            Self::Response { status, code, message, date, body, repeated } => {
                let (code, date) = (code.as_deref(), date.as_deref());
                let answer = error::ErrorResponse { status, code, message: &message, date, body: &body, repeated };
                answer.into_failure(action, resource)
            }
        }
    }
}

/// The text of the first element with this name. The responses have neither attributes nor entities there.
pub fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// The response as JSON; null if it is empty.
///
/// # Errors
/// Text that is not JSON, without the text.
fn parse_json(call: Call<'_>, answer: &str) -> Result<Value, Failure> {
    if answer.trim().is_empty() {
        return Ok(Value::Null);
    }
    // The parser's message could quote a secret.
    let unreadable = |_| error::unreadable_response(call.action, call.resource, "the answer is not JSON".to_owned());
    serde_json::from_str(answer).map_err(unreadable)
}

/// The error code in the header of a REST service, `CODE:http://…`.
fn error_type(answer: &Response) -> Option<String> {
    let value = answer.headers().get("x-amzn-errortype")?.to_str().ok()?;
    value.split(':').next().map(str::to_owned)
}

/// Code and message of an error response, in JSON or XML.
fn code_and_message(text: &str) -> (Option<String>, Option<String>) {
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return (tag(text, "Code").map(str::to_owned), tag(text, "Message").map(str::to_owned));
    };
    let field = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    let code = field(["__type", "code"]).map(|code| code.rsplit('#').next().unwrap_or_default().to_owned());
    (code, field(["message", "Message"]))
}

#[cfg(test)]
mod tests;
