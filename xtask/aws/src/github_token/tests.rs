use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wiremock::matchers::{body_string_contains, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const ARN: &str = "arn:aws:iam::111122223333:role/xtask/deploy";

fn token() -> String {
    let claims = r#"{"sub":"repo:o/r:environment:dev","repository_id":"7","aud":"sts.amazonaws.com"}"#;
    format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
}

fn vars(server: &MockServer) -> BTreeMap<String, String> {
    let vars = [
        (ROLE, ARN.to_owned()),
        (URL, format!("{}/token?api-version=2.0", server.uri())),
        (TOKEN, "a bearer".to_owned()),
        ("GITHUB_RUN_ID", "42".to_owned()),
        ("GITHUB_RUN_ATTEMPT", "1".to_owned()),
        ("GITHUB_JOB", "apply".to_owned()),
    ];
    vars.map(|(name, value)| (name.to_owned(), value)).into()
}

async fn role(server: &MockServer) -> Role {
    let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("eu-central-1")).no_credentials();
    let config = config.endpoint_url(server.uri()).load().await;
    Role::of(&vars(server), || aws_sdk_sts::Client::new(&config)).unwrap()
}

/// A fake of GitHub that issues `times` tokens.
async fn github(server: &MockServer, times: u64) {
    let token = ResponseTemplate::new(200).set_body_json(serde_json::json!({"value": token()}));
    let asked =
        Mock::given(path("/token")).and(query_param("audience", AUDIENCE)).and(query_param("api-version", "2.0"));
    asked.and(header("authorization", "Bearer a bearer")).respond_with(token).expect(times).mount(server).await;
}

fn given(key: &str, seconds: i64) -> ResponseTemplate {
    let end = time::OffsetDateTime::now_utc() + time::Duration::seconds(seconds);
    let end = end.format(&time::format_description::well_known::Rfc3339).unwrap();
    ResponseTemplate::new(200).set_body_string(format!(
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{key}</AccessKeyId>\
         <SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken><Expiration>{end}</Expiration>\
         </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    ))
}

#[tokio::test]
async fn credentials_are_cached_until_they_expire() {
    let server = MockServer::start().await;
    github(&server, 1).await;
    let asked = Mock::given(method("POST")).and(path("/")).and(body_string_contains("RoleSessionName=run-42-1-apply"));
    asked.respond_with(given("first", 3600)).expect(1).mount(&server).await;
    let role = role(&server).await;
    for _ in 0..3 {
        let credentials = role.provide_credentials().await.unwrap();
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("first", Some("session")));
        assert!(credentials.expiry().is_some());
    }
}

#[tokio::test]
async fn credentials_that_are_about_to_expire_are_renewed_with_another_token() {
    let server = MockServer::start().await;
    github(&server, 2).await;
    Mock::given(method("POST")).respond_with(given("first", 60)).up_to_n_times(1).mount(&server).await;
    Mock::given(method("POST")).respond_with(given("second", 3600)).expect(1).mount(&server).await;
    let role = role(&server).await;
    assert_eq!(role.provide_credentials().await.unwrap().access_key_id(), "first");
    assert_eq!(role.provide_credentials().await.unwrap().access_key_id(), "second");
}

#[tokio::test]
async fn a_refusal_names_the_claims_and_not_the_token() {
    let server = MockServer::start().await;
    github(&server, 1).await;
    let refusal = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform \
                   sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>";
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(403).set_body_string(refusal)).mount(&server).await;
    let error = crate::error::chain(&role(&server).await.provide_credentials().await.unwrap_err());
    for part in ["AccessDenied", ARN, "sub = repo:o/r:environment:dev", "repository_id = 7"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
    assert!(!error.contains("e30."), "{error}");
}

#[tokio::test]
async fn github_is_retried_after_an_error_and_not_after_a_refusal() {
    let server = MockServer::start().await;
    Mock::given(path("/token")).respond_with(ResponseTemplate::new(502)).up_to_n_times(2).mount(&server).await;
    github(&server, 1).await;
    Mock::given(method("POST")).respond_with(given("first", 3600)).mount(&server).await;
    assert!(role(&server).await.provide_credentials().await.is_ok());
    let server = MockServer::start().await;
    Mock::given(path("/token")).respond_with(ResponseTemplate::new(403)).expect(1).mount(&server).await;
    let error = crate::error::chain(&role(&server).await.provide_credentials().await.unwrap_err());
    assert!(error.contains("403") && !error.contains("a bearer") && !error.contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn other_credentials_take_precedence() {
    let server = MockServer::start().await;
    let none = || unreachable!("no client is needed");
    for (name, value) in [("AWS_ACCESS_KEY_ID", "AKID"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), (ROLE, "")] {
        let mut vars = vars(&server);
        vars.insert(name.to_owned(), value.to_owned());
        assert!(Role::of(&vars, none).is_none(), "{name} = {value:?}");
    }
}

#[test]
fn a_session_name_is_valid_for_sts() {
    let vars =
        [("GITHUB_RUN_ID", "42"), ("GITHUB_JOB", "a b/c{}")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(session_name(&vars.into()), "run-42-0-abc");
    assert_eq!(session_name(&[("GITHUB_JOB".to_owned(), "x".repeat(80))].into()).len(), 64);
    assert!(EARLY > Duration::from_secs(60));
}

#[test]
fn a_job_learns_what_is_missing() {
    let job = [("GITHUB_ACTIONS", "true"), (ROLE, ARN), (URL, "https://github.example/token")];
    let lacking = |without: &[&str]| {
        let vars = job.iter().filter(|(name, _)| !without.contains(name));
        super::missing_setup(&vars.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    };
    assert_eq!(lacking(&["GITHUB_ACTIONS"]), None);
    assert!(lacking(&[ROLE]).unwrap().1.contains("vars.AWS_ROLE_ARN"));
    assert!(lacking(&[URL]).unwrap().1.contains("id-token: write"));
    assert!(lacking(&[]).unwrap().1.contains("--check-token"));
}
