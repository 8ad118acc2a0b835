//! Requests, retries, and errors that never contain a response.

use serde_json::json;
use wiremock::matchers::{any, body_json, header, header_exists, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const SECRET: Call<'_> =
    Call { service: &SECRETS_MANAGER, action: "secretsmanager:GetSecretValue", resource: "secret proof" };
const KEY: Call<'_> = Call { service: &API_GATEWAY, action: "apigateway:GET", resource: "API key k1" };

#[tokio::test]
async fn json_names_its_operation_and_is_signed() {
    let server = MockServer::start().await;
    Mock::given(header("x-amz-target", "secretsmanager.GetSecretValue"))
        .and(header("content-type", "application/x-amz-json-1.1"))
        .and(header_exists("x-amz-date"))
        .and(header_exists("x-amz-security-token"))
        .and(body_json(json!({"SecretId": "proof"})))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"SecretString": "s"})))
        .mount(&server)
        .await;
    let answer = Signed::at(&server.uri()).json(SECRET, &json!({"SecretId": "proof"})).await.unwrap();
    assert_eq!(answer["SecretString"], "s");
    let sent = &server.received_requests().await.unwrap()[0];
    let authorization = sent.headers["authorization"].to_str().unwrap();
    assert!(authorization.contains("/eu-central-1/secretsmanager/aws4_request"), "{authorization}");
    assert!(authorization.contains("x-amz-target"), "the operation is signed too: {authorization}");
}

#[tokio::test]
async fn a_path_and_its_query_are_sent() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/apikeys/k1"))
        .and(query_param("includeValue", "true"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": "v"})))
        .mount(&server)
        .await;
    let answer = Signed::at(&server.uri()).get(KEY, "/apikeys/k1?includeValue=true").await.unwrap();
    assert_eq!(answer["value"], "v");
}

#[tokio::test]
async fn only_errors_that_may_pass_are_retried() {
    let throttled = json!({"__type": "com.amazon#ThrottlingException", "message": "slow down"});
    let denied = json!({"__type": "AccessDeniedException", "Message": "not for you"});
    for (status, body, attempts) in [(503, json!({}), 3), (400, throttled, 3), (400, denied, 1)] {
        let server = MockServer::start().await;
        let bad = ResponseTemplate::new(status).set_body_json(&body);
        Mock::given(any()).respond_with(bad).up_to_n_times(2).mount(&server).await;
        let good = ResponseTemplate::new(200).set_body_json(json!({}));
        Mock::given(any()).respond_with(good).mount(&server).await;
        let answer = Signed::at(&server.uri()).json(SECRET, &json!({})).await;
        assert_eq!(server.received_requests().await.unwrap().len(), attempts, "{status} {body}");
        if let Err(failure) = answer {
            assert!(error::is_denied(&failure));
            assert_eq!(failure.reason.as_deref(), Some("AccessDeniedException: not for you"));
            assert_eq!(failure.hint.as_deref(), Some("allow secretsmanager:GetSecretValue for this role or user"));
        }
    }
}

#[tokio::test]
async fn retries_are_limited() {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(ResponseTemplate::new(500)).expect(ATTEMPTS as u64).mount(&server).await;
    let failure = Signed::at(&server.uri()).get(KEY, "/account").await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("HTTP 500"));
}

#[tokio::test]
async fn an_error_code_may_be_in_a_header() {
    let server = MockServer::start().await;
    let missing = ResponseTemplate::new(404).insert_header("x-amzn-errortype", "NotFoundException:http://internal/");
    let missing = missing.set_body_json(json!({"message": "Invalid API Key identifier specified"}));
    Mock::given(any()).respond_with(missing).mount(&server).await;
    let failure = Signed::at(&server.uri()).get(KEY, "/apikeys/k1").await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("NotFoundException: Invalid API Key identifier specified"));
    assert_eq!((failure.message.as_str(), failure.resource.as_deref()), ("apigateway:GET failed", Some("API key k1")));
}

#[tokio::test]
async fn an_unreadable_response_is_not_shown() {
    let server = MockServer::start().await;
    let broken = ResponseTemplate::new(200).set_body_string("{\"SecretString\": \"hush-hush");
    Mock::given(any()).respond_with(broken).mount(&server).await;
    let failure = Signed::at(&server.uri()).json(SECRET, &json!({})).await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("the answer is not JSON"));
    assert!(!format!("{failure:?}").contains("hush"));
}

#[tokio::test]
async fn an_unreachable_service_is_no_refusal() {
    let failure = Signed::at("http://127.0.0.1:1").json(SECRET, &json!({})).await.unwrap_err();
    assert!(!error::is_refusal(&failure), "{failure:?}");
}

#[test]
fn the_endpoint_of_one_service_takes_precedence() {
    let endpoints = BTreeMap::from([("IAM".to_owned(), "http://127.0.0.1:1".to_owned())]);
    let signed = Signed { endpoint: Some("http://127.0.0.1:2".to_owned()), endpoints, ..Signed::default() };
    assert_eq!(signed.endpoint_of(&IAM), Some("http://127.0.0.1:1"));
    assert_eq!(signed.endpoint_of(&EC2), Some("http://127.0.0.1:2"));
}
