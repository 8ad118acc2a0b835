//! The console output of an instance: one signed request, because the SDK's crate for EC2, the largest of all, would be
//! compiled for it alone.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use aws_config::SdkConfig;
use aws_sdk_sts::config::{ProvideCredentials, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Certificate, Client};
use url::form_urlencoded::Serializer;

use crate::outcome::{Exit, Failure};

const ACTION: &str = "ec2:GetConsoleOutput";
const API_VERSION: &str = "2016-11-15";
const CONTENT_TYPE: &str = "application/x-www-form-urlencoded";

/// What a request to EC2 needs.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ec2 {
    region: String,
    endpoint: String,
    credentials: Option<SharedCredentialsProvider>,
    /// The PEM file of `AWS_CA_BUNDLE`.
    authorities: Option<Vec<u8>>,
}

impl Ec2 {
    pub(super) fn new(config: &SdkConfig, vars: &BTreeMap<String, String>, authorities: Option<Vec<u8>>) -> Self {
        let region = config.region().map(ToString::to_string).unwrap_or_default();
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let own = vars.get("AWS_ENDPOINT_URL_EC2").map(String::as_str).filter(|url| !url.is_empty());
        let endpoint = own.or(config.endpoint_url()).map(str::to_owned);
        Self {
            endpoint: endpoint.unwrap_or_else(|| format!("https://ec2.{region}.{suffix}")),
            credentials: config.credentials_provider(),
            authorities,
            region,
        }
    }

    /// An EC2 at this address, for whoever calls.
    #[cfg(test)]
    pub(crate) fn at(endpoint: &str) -> Self {
        let session = Some("session".to_owned());
        let credentials = aws_sdk_sts::config::Credentials::new("AKIDEXAMPLE", "secret", session, None, "test");
        Self {
            region: "eu-central-1".to_owned(),
            endpoint: endpoint.to_owned(),
            credentials: Some(SharedCredentialsProvider::new(credentials)),
            authorities: None,
        }
    }

    /// What the instance has written to its console, as fresh as it can be had; empty where it has written nothing.
    ///
    /// # Errors
    /// What AWS says, or why it cannot be asked.
    pub(crate) async fn console_output(&self, instance: &str) -> Result<String, Failure> {
        let failed = |reason: String| {
            Failure::new(Exit::Failed, "aws", format!("{ACTION} failed")).resource(instance).reason(reason)
        };
        let (status, body) = match self.ask(instance, true).await {
            // Only some instance types show the latest; the others what was seen at boot.
            Ok((status, body)) if status >= 400 && tag(&body, "Code") == Some("UnsupportedOperation") => {
                self.ask(instance, false).await
            }
            other => other,
        }
        .map_err(|error| failed(super::chain(error.as_ref())))?;
        if status >= 400 {
            let code = tag(&body, "Code").map_or_else(|| format!("HTTP {status}"), str::to_owned);
            let message = tag(&body, "Message").unwrap_or_default();
            return Err(failed(format!("{code}: {message}").trim_end_matches(": ").to_owned()));
        }
        let encoded: String = tag(&body, "output").unwrap_or_default().split_whitespace().collect();
        let bytes = STANDARD.decode(encoded).map_err(|_| failed("the answer is not base64".to_owned()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Status and text of the answer.
    async fn ask(&self, instance: &str, latest: bool) -> Result<(u16, String)> {
        let mut form = Serializer::new(String::new());
        form.append_pair("Action", "GetConsoleOutput").append_pair("Version", API_VERSION);
        form.append_pair("InstanceId", instance);
        if latest {
            form.append_pair("Latest", "true");
        }
        let body = form.finish();
        let url = format!("{}/", self.endpoint.trim_end_matches('/'));
        let mut request = self.client()?.post(&url).header("content-type", CONTENT_TYPE);
        for (name, value) in self.signature(&url, body.as_bytes()).await? {
            request = request.header(name, value);
        }
        let answer = request.body(body).send().await?;
        Ok((answer.status().as_u16(), answer.text().await?))
    }

    /// The headers that prove who asks.
    async fn signature(&self, url: &str, body: &[u8]) -> Result<Vec<(String, String)>> {
        let Some(provider) = &self.credentials else { bail!("there are no AWS credentials") };
        let identity = provider.provide_credentials().await?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("ec2")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .context("cannot sign the request")?
            .into();
        let headers = [("content-type", CONTENT_TYPE)].into_iter();
        let request = SignableRequest::new("POST", url, headers, SignableBody::Bytes(body))?;
        let (instructions, _) = sign(request, &parameters)?.into_parts();
        Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn client(&self) -> Result<Client> {
        let mut builder = Client::builder().connect_timeout(Duration::from_secs(5)).timeout(Duration::from_secs(20));
        if self.endpoint.starts_with("http://") {
            // An emulator on this machine; a proxy would not find it.
            builder = builder.no_proxy();
        }
        if let Some(pem) = &self.authorities {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem)?);
        }
        builder.build().context("cannot make an HTTP client")
    }
}

/// The text of the first element of this name. The answers have no attributes there and no entities that matter.
fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string_contains, header_exists};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[tokio::test]
    async fn the_console_is_read_even_of_an_instance_that_shows_only_its_boot() {
        let server = MockServer::start().await;
        let refusal = "<Response><Errors><Error><Code>UnsupportedOperation</Code></Error></Errors></Response>";
        Mock::given(body_string_contains("Latest=true"))
            .respond_with(ResponseTemplate::new(400).set_body_string(refusal))
            .mount(&server)
            .await;
        let output = STANDARD.encode("boot: FAILURE while pulling\n");
        let answer = format!("<GetConsoleOutputResponse><output>{output}\n</output></GetConsoleOutputResponse>");
        Mock::given(header_exists("authorization"))
            .and(header_exists("x-amz-date"))
            .and(header_exists("x-amz-security-token"))
            .and(body_string_contains("InstanceId=i-1"))
            .respond_with(ResponseTemplate::new(200).set_body_string(answer))
            .mount(&server)
            .await;
        assert_eq!(Ec2::at(&server.uri()).console_output("i-1").await.unwrap(), "boot: FAILURE while pulling\n");
    }

    #[tokio::test]
    async fn a_denied_console_names_action_and_reason() {
        let server = MockServer::start().await;
        let refusal = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>not for you</Message>\
                       </Error></Errors></Response>";
        let answer = ResponseTemplate::new(403).set_body_string(refusal);
        Mock::given(header_exists("authorization")).respond_with(answer).mount(&server).await;
        let failure = Ec2::at(&server.uri()).console_output("i-1").await.unwrap_err();
        assert_eq!(failure.message, "ec2:GetConsoleOutput failed");
        assert_eq!(failure.reason.as_deref(), Some("UnauthorizedOperation: not for you"));
    }
}
