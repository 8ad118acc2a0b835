use std::net::TcpListener;

use wiremock::matchers::body_string_contains;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::error::{is_lost, is_refusal};

fn environment(endpoint: &str) -> Environment {
    let text = format!(
        "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \
         \"t\"\nendpoint = {endpoint:?}\n"
    );
    let deployment = config::deployment::Deployment::parse("deploy.toml", &text).unwrap();
    deployment.environments["dev"].clone()
}

/// The clients of a caller with keys of the environment.
pub(crate) async fn clients_at(endpoint: &str) -> Clients {
    clients(&environment(endpoint), &BTreeMap::new()).await.unwrap()
}

async fn ask(endpoint: &str, vars: &BTreeMap<String, String>) -> Result<Identity, Failure> {
    let clients = clients(&environment(endpoint), vars).await.unwrap();
    identity(&clients, vars).await
}

async fn sts_answers(status: u16, body: &str) -> MockServer {
    let server = MockServer::start().await;
    let answer = ResponseTemplate::new(status).set_body_string(body);
    Mock::given(body_string_contains("GetCallerIdentity")).respond_with(answer).mount(&server).await;
    server
}

fn refusal(code: &str, message: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    )
}

#[tokio::test]
async fn the_caller_is_who_sts_says() {
    let body = "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::111122223333:user/a</Arn>\
                <UserId>a</UserId><Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>";
    let server = sts_answers(200, body).await;
    let identity = ask(&server.uri(), &BTreeMap::new()).await.unwrap();
    assert_eq!((identity.account.as_str(), identity.expiry), ("111122223333", None));
}

#[tokio::test]
async fn credentials_that_have_expired_are_reported_as_such() {
    let server =
        sts_answers(403, &refusal("ExpiredToken", "The security token included in the request is expired")).await;
    let failure = ask(&server.uri(), &BTreeMap::new()).await.unwrap_err();
    assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::Credentials));
    assert_eq!(failure.message, "the AWS credentials have expired");
}

#[tokio::test]
async fn a_denied_call_names_action_and_reason() {
    let server = sts_answers(403, &refusal("AccessDenied", "not for you")).await;
    let failure = ask(&server.uri(), &BTreeMap::new()).await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("AccessDenied: not for you"));
    assert!(failure.hint.unwrap().contains("allow sts:GetCallerIdentity"));
}

#[tokio::test]
async fn an_unreachable_endpoint_is_reported_in_plain_words() {
    let failure = ask("http://127.0.0.1:1", &BTreeMap::new()).await.unwrap_err();
    let reason = failure.reason.unwrap();
    assert!(reason.contains("refused") && !reason.contains('{'), "{reason}");
}

#[tokio::test]
async fn an_unreadable_ca_bundle_is_an_error() {
    let vars = BTreeMap::from([("AWS_CA_BUNDLE".to_owned(), "/no/such/file".to_owned())]);
    let failure = clients(&environment("http://127.0.0.1:1"), &vars).await.unwrap_err();
    assert!(failure.reason.unwrap().contains("/no/such/file"));
}

/// The endpoint never answers; paused time jumps to the next timeout.
#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_ends_after_thirty_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let clients = clients_at(&endpoint).await;
    let begun = tokio::time::Instant::now();
    let failure = identity(&clients, &BTreeMap::new()).await.unwrap_err();
    let call = signed::Call { service: &signed::IAM, action: "iam:GetRole", resource: "role deploy" };
    let took = begun.elapsed();
    let other = signed::Signed::at(&endpoint).query(call, &[]).await.unwrap_err();
    for (failure, took) in [(failure, took), (other, begun.elapsed() - took)] {
        assert!(is_lost(&failure) && !is_refusal(&failure), "{failure:?}");
        assert!(took <= http::LOOKUP + Duration::from_secs(1), "{took:?}");
    }
}
