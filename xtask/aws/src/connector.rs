//! The HTTP connector of the AWS SDK: the tool's own HTTP client.

use std::time::Duration;

use aws_sdk_sts::config::http::{HttpRequest, HttpResponse};
use aws_sdk_sts::config::{HttpClient, RuntimeComponents};
use aws_sdk_sts::error::ConnectorError;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::body::SdkBody;

use machine::http::{self, Client};

/// The longest response that is read.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// The client, and the SDK's timeout if it sets one: it does for the metadata of an instance, which most machines lack.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    client: Client,
    limit: Option<Duration>,
}

/// Marks the response to a repeated attempt.
#[derive(Debug, Clone, Copy)]
pub(super) struct Repeated;

impl Connector {
    pub(super) fn new(client: Client) -> Self {
        Self { client, limit: None }
    }

    async fn send(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let first = request.headers().get("amz-sdk-request").is_none_or(|attempt| attempt.contains("attempt=1"));
        let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
        let request = request.map(|body| body.bytes().unwrap_or_default().to_vec());
        let mut request = reqwest::Request::try_from(request).map_err(|error| ConnectorError::user(error.into()))?;
        *request.timeout_mut() = self.limit;
        let lost = |lost: http::Lost| {
            if lost.timed_out { ConnectorError::timeout(lost.into()) } else { ConnectorError::io(lost.into()) }
        };
        let answer = self.client.execute(request).await.map_err(lost)?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = http::body(answer, MAX_ANSWER).await.map_err(lost)?;
        let status = status.try_into().map_err(|_| ConnectorError::other("the HTTP status is invalid".into(), None))?;
        let mut response = HttpResponse::new(status, SdkBody::from(body));
        for (name, value) in &headers {
            if let Ok(value) = value.to_str() {
                response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
            }
        }
        if !first {
            response.add_extension(Repeated);
        }
        Ok(response)
    }
}

impl HttpClient for Connector {
    fn http_connector(&self, settings: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        let limit = settings.read_timeout().map(|read| read + settings.connect_timeout().unwrap_or_default());
        SharedHttpConnector::new(Self { limit, ..self.clone() })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::new(self.clone().send(request))
    }
}
