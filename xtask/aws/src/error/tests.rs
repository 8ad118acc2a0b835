//! The classes of responses, as AWS and proxies send them.

use aws_sdk_sts::Client;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::clients::tests::clients_at;

/// The failure of a call that gets this response.
async fn failure_of(response: ResponseTemplate) -> Failure {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(response).mount(&server).await;
    let clients = clients_at(&server.uri()).await;
    // A single attempt, without pauses.
    let once = aws_config::retry::RetryConfig::disabled();
    let config = clients.sts.config().to_builder().retry_config(once).build();
    let error = Client::from_conf(config).get_caller_identity().send().await.unwrap_err();
    failure("sts:GetCallerIdentity", "the caller's identity", &error)
}

fn refusal(status: u16, code: &str, message: &str) -> ResponseTemplate {
    let error = format!("<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>");
    ResponseTemplate::new(status).set_body_string(format!("<ErrorResponse><Error>{error}</Error></ErrorResponse>"))
}

#[tokio::test]
async fn only_aws_itself_refuses() {
    use AwsClass::{Absent, Denied, Expired, Lost, Refused, Throttled};
    let page = "<html><head><title>502 Bad Gateway</title></head></html>";
    for (answer, class, refused) in [
        (refusal(400, "ValidationError", "no such parameter"), Refused, true),
        (refusal(400, "Throttling", "Rate exceeded"), Throttled, true),
        (refusal(503, "RequestLimitExceeded", "slow down"), Throttled, false),
        (refusal(403, "AccessDenied", "not for you"), Denied, true),
        (refusal(404, "NoSuchEntity", "there is none"), Absent, true),
        (refusal(403, "ExpiredToken", "The security token included in the request is expired"), Expired, true),
        (refusal(403, "InvalidClientTokenId", "The security token is invalid"), Expired, true),
        (refusal(400, "RequestExpired", "Request has expired."), Expired, true),
        (refusal(500, "InternalFailure", "sorry"), Lost, false),
        (refusal(400, "RequestTimeout", "sorry"), Lost, false),
        (ResponseTemplate::new(502).set_body_string(page), Lost, false),
        (ResponseTemplate::new(403).set_body_string("<h1>Blocked</h1>"), Lost, false),
        (ResponseTemplate::new(500), Lost, false),
    ] {
        let failure = failure_of(answer).await;
        assert_eq!((failure.aws.as_ref().unwrap().class, is_refusal(&failure)), (class, refused), "{failure:?}");
        assert_eq!(is_expired(&failure), class == Expired);
    }
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_does_not_say_that_nothing_was_done() {
    let server = MockServer::start().await;
    let proxy = ResponseTemplate::new(502).set_body_string("<h1>502 Bad Gateway</h1>");
    Mock::given(any()).respond_with(proxy).up_to_n_times(1).mount(&server).await;
    let running = refusal(400, "InvalidChangeSetStatus", "it is in status EXECUTE_IN_PROGRESS");
    Mock::given(any()).respond_with(running).mount(&server).await;
    let clients = clients_at(&server.uri()).await;
    let ask = || async {
        let error = clients.cloudformation.execute_change_set().change_set_name("c").send().await.unwrap_err();
        failure("cloudformation:ExecuteChangeSet", "change set c", &error)
    };
    let second = ask().await;
    assert_eq!((code(&second), is_refusal(&second)), ("InvalidChangeSetStatus", false));
    let first = ask().await;
    assert_eq!((code(&first), is_refusal(&first)), ("InvalidChangeSetStatus", true));
}

#[tokio::test]
async fn an_answer_that_is_not_from_aws_shows_status_and_first_words() {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>proxy\u{1b}[2J of AKIAIOSFODNN7EXAMPLE";
    let failure = failure_of(ResponseTemplate::new(502).set_body_string(page)).await;
    assert_eq!(failure.reason.as_deref(), Some("HTTP 502: 502 Bad Gateway proxy\u{1b}[2J of ***"));
    assert_eq!(code(&failure), "");
    assert!(failure.hint.unwrap().contains("in a few minutes"));
    let failure = failure_of(ResponseTemplate::new(500)).await;
    assert_eq!(failure.reason.as_deref(), Some("HTTP 500"));
    let long = failure_of(ResponseTemplate::new(503).set_body_string("busy ".repeat(100_000))).await.reason.unwrap();
    assert!(long.ends_with('…') && long.chars().count() < 200, "{long}");
}

#[tokio::test]
async fn a_refusal_asks_for_a_correction() {
    let failure = failure_of(refusal(400, "ValidationError", "Parameters: [Size] must have values")).await;
    assert!(failure.hint.unwrap().starts_with("correct what AWS reports, then"));
}

#[tokio::test]
async fn a_wrong_clock_is_not_taken_for_expired_credentials() {
    let expired =
        "Signature expired: 20261127T091000Z is now earlier than 20261127T093000Z (20261127T093500Z - 5 min.)";
    let early =
        "Signature not yet current: 20261127T101500Z is still later than 20261127T094000Z (20261127T093500Z + 5 min.)";
    let named = "Request has expired. Timestamp date is 2026-11-27T09:10:00Z. Current date is 2026-11-27T09:36:00.5Z.";
    for (code, message, off) in [
        ("SignatureDoesNotMatch", expired, "25 minutes behind"),
        ("InvalidSignatureException", early, "40 minutes ahead"),
        ("RequestExpired", named, "26 minutes behind"),
    ] {
        let failure = failure_of(refusal(403, code, message)).await;
        let reason = failure.reason.clone().unwrap();
        assert!(reason.starts_with(&format!("this machine's clock is {off}; {code}: ")), "{reason}");
        assert!(failure.hint.as_deref().unwrap().starts_with("correct the clock"), "{failure:?}");
        assert!(is_expired(&failure) && is_refusal(&failure));
    }
}

#[tokio::test]
async fn without_times_in_the_message_the_date_header_decides() {
    let skewed = || refusal(403, "RequestTimeTooSkewed", "The difference is too large.");
    let failure = failure_of(skewed().insert_header("date", "Fri, 27 Nov 2020 09:10:03 GMT")).await;
    assert!(failure.reason.unwrap().contains(" minutes ahead; RequestTimeTooSkewed"));
    let wrong_key = "The request signature we calculated does not match the signature you provided.";
    let failure = failure_of(refusal(403, "SignatureDoesNotMatch", wrong_key)).await;
    assert_eq!(failure.aws.as_ref().unwrap().class, AwsClass::Expired);
    assert!(failure.hint.unwrap().starts_with("check the secret access key"));
}

#[tokio::test]
async fn credentials_that_cannot_be_renewed_have_expired_and_a_lost_network_has_not() {
    let none = CredentialsError::provider_error("the session has expired");
    let error = SdkError::dispatch_failure(ConnectorError::other(none.into(), None));
    let ended: SdkError<aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError> = error;
    assert!(is_expired(&failure("sts:GetCallerIdentity", "", &ended)));
    let cut = ConnectorError::io("connection reset".into());
    let cut = CredentialsError::provider_error(cut);
    let error = SdkError::dispatch_failure(ConnectorError::other(cut.into(), None));
    let lost: SdkError<aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError> = error;
    let lost = failure("sts:GetCallerIdentity", "", &lost);
    assert!(!is_expired(&lost) && !is_refusal(&lost));
}

#[tokio::test]
async fn no_name_of_the_sdk_reaches_the_user() {
    type Failed = SdkError<aws_sdk_sts::operation::get_caller_identity::GetCallerIdentityError>;
    let of = |error: Failed| failure("sts:GetCallerIdentity", "the caller's identity", &error);
    let dispatch = |error: ConnectorError| of(SdkError::dispatch_failure(error));
    let io = || std::io::Error::other("connection reset by peer");
    for (failure, reason) in [
        (dispatch(ConnectorError::io(io().into())), "connection reset by peer"),
        (dispatch(ConnectorError::timeout(Box::new(ConnectorError::timeout(io().into())))), "connection reset by peer"),
        (of(SdkError::timeout_error(io())), "request has timed out: connection reset by peer"),
        (of(SdkError::construction_failure(io())), "connection reset by peer"),
        (failure_of(ResponseTemplate::new(500)).await, "HTTP 500"),
        (failure_of(ResponseTemplate::new(400)).await, "HTTP 400"),
        (failure_of(refusal(400, "QuiteNew", "not modelled")).await, "QuiteNew: not modelled"),
        (failure_of(refusal(400, "QuiteNew", "")).await, "QuiteNew"),
    ] {
        assert_eq!(failure.reason.as_deref(), Some(reason));
    }
    // An answer that cannot be parsed.
    let unreadable = failure_of(ResponseTemplate::new(200).set_body_string("<h1>Welcome</h1>")).await;
    let reason = unreadable.reason.unwrap();
    assert!(!PLACES.iter().any(|place| reason.contains(place)) && !reason.contains("Unhandled"), "{reason}");
    assert_eq!(chain(&ConnectorError::timeout(Box::new(std::fmt::Error))), std::fmt::Error.to_string());
}
