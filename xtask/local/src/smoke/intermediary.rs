//! Responses that are not the service's own: API Gateway's refusals, and redirects.

use reqwest::StatusCode;
use reqwest::header::{HeaderMap, LOCATION};
use serde::Deserialize;
use url::Url;

/// The request did not get to the service.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub(super) struct NotReached {
    pub(super) reason: String,
    /// What to check.
    pub(super) next: String,
}

/// The body of API Gateway's own refusals (<https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html>).
#[derive(Deserialize)]
struct Refusal {
    #[serde(alias = "Message")]
    message: Option<String>,
}

/// The refusal or redirect of an intermediary; `None` if the response seems to be the service's.
pub(super) fn detect(url: &Url, status: StatusCode, headers: &HeaderMap, body: &str) -> Option<NotReached> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if status.is_redirection() {
        let location = header(LOCATION.as_str())?;
        // Resolved as clients do; a target that is not a URL is shown as it is.
        let target = url.join(location).map_or_else(|_| location.to_owned(), |target| target.to_string());
        return Some(NotReached {
            reason: format!("{url} answers {status} and redirects to {target}, which is not followed"),
            next: format!(
                "if the service is at {target}, set smoke_path or smoke_url in deploy.toml, or give --smoke-url"
            ),
        });
    }
    // The gateway adds its id to every response, and the error type only to its own.
    let kind = header("x-amzn-errortype").map(|kind| kind.split(':').next().unwrap_or(kind));
    let is_gateway = ["x-amz-apigw-id", "apigw-requestid"].iter().any(|name| headers.contains_key(*name));
    let message = serde_json::from_str::<Refusal>(body).ok().and_then(|refusal| refusal.message);
    let own = kind.is_some() || (is_gateway && matches!(message.as_deref(), Some("Forbidden" | "Not Found")));
    // Errors of 500 and above may come from the integration.
    if !status.is_client_error() || !own {
        return None;
    }
    let said = [kind, message.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(": ");
    Some(NotReached {
        reason: format!(
            "{url} answers {status}: API Gateway refuses it ({said}), and the request never reached the service"
        ),
        next: "check the URL's stage and path, and the API's methods, deployment, resource policy, API key and WAF"
            .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal_reason(status: u16, headers: &[(&'static str, &str)], body: &str) -> Option<String> {
        let url = Url::parse("https://api.example/production/health").unwrap();
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        detect(&url, StatusCode::from_u16(status).unwrap(), &headers, body).map(|not_reached| not_reached.reason)
    }

    #[test]
    fn the_gateways_refusals_are_distinguished_from_the_services() {
        let token = r#"{"message":"Missing Authentication Token"}"#;
        let kind = [("x-amzn-errortype", "MissingAuthenticationTokenException"), ("x-amz-apigw-id", "abc=")];
        let reason = refusal_reason(403, &kind, token).unwrap();
        assert!(reason.contains("(MissingAuthenticationTokenException: Missing Authentication Token)"), "{reason}");
        assert!(reason.contains("never reached the service"), "{reason}");
        let forbidden = r#"{"message":"Forbidden"}"#;
        assert!(refusal_reason(403, &[("x-amzn-errortype", "ForbiddenException")], forbidden).is_some());
        // An HTTP API has no error type.
        assert!(refusal_reason(404, &[("apigw-requestid", "abc=")], r#"{"message":"Not Found"}"#).is_some());
        // The service's responses pass through the same gateway.
        assert_eq!(refusal_reason(404, &[("x-amz-apigw-id", "abc=")], r#"{"message":"no such note"}"#), None);
        assert_eq!(refusal_reason(403, &[], forbidden), None);
        assert_eq!(refusal_reason(502, &kind, r#"{"message":"Internal server error"}"#), None);
    }

    #[test]
    fn a_redirect_is_shown_with_its_target() {
        let reason = refusal_reason(301, &[("location", "/login?next=1")], "").unwrap();
        assert!(reason.contains("301 Moved Permanently and redirects to https://api.example/login?next=1"), "{reason}");
        assert!(
            refusal_reason(302, &[("location", "https://sso.example/")], "").unwrap().contains("https://sso.example/")
        );
        assert_eq!(refusal_reason(304, &[], ""), None);
    }
}
