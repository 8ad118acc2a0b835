//! How outputs decide the sign-in, and the calls that follow; secrets stay out of errors and debug output.

use std::collections::BTreeMap;

use serde_json::json;
use wiremock::matchers::{any, body_partial_json, body_string_contains, header, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

fn outputs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

const OWN_POOL: [(&str, &str); 3] = [("Authorizer", "COGNITO"), ("UserPoolId", "pool"), ("SmokeClientId", "client")];

#[test]
fn the_outputs_decide_how_to_sign_in() {
    let scoped = [&OWN_POOL[..], &[("AuthorizationScopes", "api/access"), ("SignInUrl", "https://s")]].concat();
    let machine = SignIn::Machine { pool: "pool", client: "client", scopes: "api/access", url: "https://s" };
    for (pairs, token, expected) in [
        (&[][..], None, SignIn::Open),
        (&[("Authorizer", "NONE")], None, SignIn::Open),
        (&[("Authorizer", "IAM")], None, SignIn::Signature),
        (&OWN_POOL, None, SignIn::TemporaryUser { pool: "pool", client: "client" }),
        (&scoped, None, machine),
        (&OWN_POOL, Some("mine"), SignIn::Token("mine")),
        (&[("Authorizer", "COGNITO")], Some("mine"), SignIn::Token("mine")),
    ] {
        assert_eq!(sign_in_method(&outputs(pairs), token).unwrap(), expected, "{pairs:?}");
    }
    let foreign = outputs(&[("Authorizer", "COGNITO"), ("AuthorizationScopes", "api/read")]);
    let failure = sign_in_method(&foreign, None).unwrap_err();
    assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::SignIn));
    let hint = failure.hint.unwrap();
    assert!(hint.contains("XTASK_SMOKE_TOKEN") && hint.contains("api/read"), "{hint}");
}

fn cognito(operation: &str) -> wiremock::MockBuilder {
    Mock::given(header("x-amz-target", format!("AWSCognitoIdentityProviderService.{operation}").as_str()))
}

fn json(body: serde_json::Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

#[tokio::test]
async fn a_temporary_user_is_created_and_removed() {
    let server = MockServer::start().await;
    let suppressed = json!({"UserPoolId": "pool", "MessageAction": "SUPPRESS"});
    cognito("AdminCreateUser").and(body_partial_json(suppressed)).respond_with(json(json!({}))).mount(&server).await;
    let permanent = json!({"Permanent": true});
    cognito("AdminSetUserPassword")
        .and(body_partial_json(permanent))
        .respond_with(json(json!({})))
        .mount(&server)
        .await;
    let signed_in = json!({"AuthenticationResult": {"IdToken": "the-token", "AccessToken": "another"}});
    cognito("AdminInitiateAuth").respond_with(json(signed_in)).mount(&server).await;
    cognito("AdminDeleteUser").respond_with(json(json!({}))).expect(1).mount(&server).await;
    let (signed, users) = (Signed::at(&server.uri()), TemporaryUsers::default());
    let callers = sign_in(&signed, &Client::direct(), &outputs(&OWN_POOL), None, &users).await.unwrap();
    assert!(callers.unauthenticated.is_some(), "an API with an authorizer must refuse unauthenticated requests");
    assert!(!format!("{callers:?} {users:?}").contains("the-token"));
    assert_eq!(callers.authenticated.redact("it said the-token"), "it said ***");
    assert!(users.remove_all().await.is_empty());
    assert!(users.remove_all().await.is_empty(), "each is removed once");
    let requests = server.received_requests().await.unwrap();
    let sent = |number: usize| serde_json::from_slice::<serde_json::Value>(&requests[number].body).unwrap();
    let (password, name) = (sent(1)["Password"].clone(), sent(0)["Username"].clone());
    let password = password.as_str().unwrap();
    for kind in [char::is_lowercase, char::is_uppercase, char::is_numeric, |c: char| !c.is_alphanumeric()] {
        assert!(password.chars().any(kind), "a policy may ask for each kind");
    }
    assert!(password.len() >= 32 && name.as_str().unwrap().starts_with("xtask-smoke-"));
    assert_eq!((&sent(2)["AuthFlow"], &sent(3)["Username"]), (&json!("ADMIN_USER_PASSWORD_AUTH"), &name));
}

#[tokio::test]
async fn a_refused_user_is_removed_and_its_password_is_not_shown() {
    let server = MockServer::start().await;
    cognito("AdminCreateUser").respond_with(json(json!({}))).mount(&server).await;
    // AWS may quote its input.
    let echo = |request: &wiremock::Request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        ResponseTemplate::new(400).set_body_json(json!({"__type": "InvalidPasswordException", "message": body}))
    };
    cognito("AdminSetUserPassword").respond_with(echo).mount(&server).await;
    cognito("AdminDeleteUser").respond_with(json(json!({}))).expect(1).mount(&server).await;
    let (signed, users) = (Signed::at(&server.uri()), TemporaryUsers::default());
    let failure = sign_in(&signed, &Client::direct(), &outputs(&OWN_POOL), None, &users).await.unwrap_err();
    assert!(users.remove_all().await.is_empty());
    let sent = &server.received_requests().await.unwrap()[1];
    let sent: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert!(!format!("{failure:?}").contains(sent["Password"].as_str().unwrap()), "{failure:?}");
    assert!(failure.reason.unwrap().contains("***"));
}

#[tokio::test]
async fn a_user_that_cannot_be_removed_is_reported_with_the_command() {
    let server = MockServer::start().await;
    let denied = json!({"__type": "AccessDeniedException", "message": "not for you"});
    cognito("AdminDeleteUser").respond_with(ResponseTemplate::new(400).set_body_json(denied)).mount(&server).await;
    Mock::given(any()).respond_with(json(json!({}))).mount(&server).await;
    let (signed, users) = (Signed::at(&server.uri()), TemporaryUsers::default());
    let failure = sign_in(&signed, &Client::direct(), &outputs(&OWN_POOL), None, &users).await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("it returned no ID token"));
    let warnings = users.remove_all().await;
    assert!(warnings[0].contains("aws cognito-idp admin-delete-user --user-pool-id pool"), "{warnings:?}");
}

#[tokio::test]
async fn a_client_with_scopes_gets_its_token_at_the_pools_endpoint() {
    let server = MockServer::start().await;
    let client = json!({"UserPoolClient": {"ClientSecret": "client-secret"}});
    cognito("DescribeUserPoolClient").respond_with(json(client)).mount(&server).await;
    Mock::given(path("/oauth2/token"))
        .and(header("authorization", "Basic Y2xpZW50OmNsaWVudC1zZWNyZXQ="))
        .and(body_string_contains("grant_type=client_credentials"))
        .and(body_string_contains("scope=api%2Faccess+api%2Fread"))
        .respond_with(json(json!({"access_token": "machine-token"})))
        .mount(&server)
        .await;
    let scoped = [("AuthorizationScopes", "api/access, api/read"), ("SignInUrl", "https://nowhere.example")];
    let scoped = outputs(&[&OWN_POOL[..], &scoped].concat());
    let signed = Signed::at(&server.uri());
    let callers = sign_in(&signed, &Client::direct(), &scoped, None, &TemporaryUsers::default()).await.unwrap();
    assert_eq!(callers.authenticated.redact("machine-token"), "***");
}

#[tokio::test]
async fn an_api_key_is_sent_without_authentication_too() {
    let server = MockServer::start().await;
    Mock::given(path("/apikeys/k1")).respond_with(json(json!({"value": "key-value"}))).mount(&server).await;
    let signed = Signed::at(&server.uri());
    let users = TemporaryUsers::default();
    let with_key = outputs(&[("Authorizer", "IAM"), ("ApiKeyId", "k1")]);
    let callers = sign_in(&signed, &Client::direct(), &with_key, None, &users).await.unwrap();
    assert_eq!(
        callers.unauthenticated.unwrap().redact("key-value"),
        "***",
        "otherwise the missing key alone would be the reason for a refusal"
    );
    let open = sign_in(&signed, &Client::direct(), &outputs(&[("ApiKeyId", "k1")]), None, &users).await.unwrap();
    assert!(open.unauthenticated.is_none(), "a key is no sign-in");
}
