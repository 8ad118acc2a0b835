use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;
use crate::ui::Ui;

const RIGHT: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const OTHER: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

fn service() -> Service {
    Service {
        name: "rest-api".to_owned(),
        features: Vec::new(),
        port: 8080,
        health_path: "/health".to_owned(),
        smoke_path: "/api/greeting?name=a".to_owned(),
        smoke_contains: "Hello".to_owned(),
        version_path: Some("/version".to_owned()),
        before_release: Vec::new(),
    }
}

async fn verdict(server: &MockServer, service: &Service) -> Verdict {
    let base = Url::parse(&format!("{}/production", server.uri())).unwrap();
    let target = Endpoint {
        base,
        service,
        digest: Some(RIGHT.parse().unwrap()),
        before: None,
        spacing: Duration::ZERO,
        callers: ApiClients::default(),
        retries_connections: true,
    };
    let ui = Ui::silent();
    verify_endpoint(&Client::direct(), &target, Duration::from_millis(300), &ui.phase("smoke")).await
}

async fn serve(greeting: ResponseTemplate, digest: &str) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET")).and(path("/production/api/greeting")).respond_with(greeting).mount(&server).await;
    let version = ResponseTemplate::new(200).set_body_string(format!(r#"{{"name":"api","digest":"{digest}"}}"#));
    Mock::given(method("GET")).and(path("/production/version")).respond_with(version).mount(&server).await;
    server
}

fn hello() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_string("Hello, World!")
}

#[tokio::test]
async fn the_right_image_must_answer_several_times() {
    let server = serve(hello(), RIGHT).await;
    assert_eq!(verdict(&server, &service()).await, Verdict::Right { served: Some(RIGHT.to_owned()) });
    assert_eq!(server.received_requests().await.unwrap().len(), 2 * ROUNDS as usize);
}

#[tokio::test]
async fn one_wrong_round_starts_the_count_again() {
    let server = MockServer::start().await;
    let at = |status| ResponseTemplate::new(status).set_body_string("Hello");
    Mock::given(path("/production/api/greeting")).respond_with(at(200)).up_to_n_times(2).mount(&server).await;
    Mock::given(path("/production/api/greeting")).respond_with(at(502)).up_to_n_times(1).mount(&server).await;
    Mock::given(path("/production/api/greeting")).respond_with(at(200)).mount(&server).await;
    let service = Service { version_path: None, ..service() };
    assert_eq!(verdict(&server, &service).await, Verdict::Right { served: None });
    assert_eq!(server.received_requests().await.unwrap().len(), 2 + 1 + ROUNDS as usize);
}

#[tokio::test]
async fn another_image_is_distinguished_from_no_answer() {
    let server = serve(hello(), OTHER).await;
    assert_eq!(verdict(&server, &service()).await, Verdict::OldVersion { served: OTHER.to_owned() });

    let server = serve(ResponseTemplate::new(502).set_body_string("Bad Gateway"), RIGHT).await;
    let Verdict::NotAnswering { reason } = verdict(&server, &service()).await else { panic!("it answered") };
    assert!(reason.contains("502 Bad Gateway"), "{reason}");

    let server = serve(ResponseTemplate::new(200).set_body_string("Welcome to nginx"), RIGHT).await;
    let Verdict::NotAnswering { reason } = verdict(&server, &service()).await else { panic!("it answered") };
    assert!(reason.contains("Welcome to nginx"), "{reason}");
}

#[tokio::test]
async fn a_long_response_is_read_in_part() {
    let long = "x".repeat(400_000) + "Hello";
    let server = serve(ResponseTemplate::new(200).set_body_string(long), RIGHT).await;
    let Verdict::NotAnswering { reason } = verdict(&server, &service()).await else { panic!("it is not there") };
    assert!(reason.ends_with("which does not contain \"Hello\"; only 64 KiB were read"), "{reason}");
    let early = "Hello".to_owned() + &"x".repeat(400_000);
    let server = serve(ResponseTemplate::new(200).set_body_string(early), RIGHT).await;
    assert!(matches!(verdict(&server, &service()).await, Verdict::Right { .. }));
}

#[tokio::test]
async fn a_response_is_decoded_with_its_charset() {
    let service = Service { smoke_contains: "Grüße".to_owned(), ..service() };
    let utf16: Vec<u8> = "Grüße".encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (kind, bytes) in [
        ("text/plain; charset=ISO-8859-1", b"Gr\xfc\xdfe".to_vec()),
        ("text/plain;Charset=\"windows-1252\"", b"Gr\xfc\xdfe".to_vec()),
        ("text/plain; charset=utf-16le", utf16),
        ("text/plain; charset=of-nobody", "Grüße".into()),
        ("application/json", "Grüße".into()),
    ] {
        let server = serve(ResponseTemplate::new(200).set_body_raw(bytes, kind), RIGHT).await;
        assert!(matches!(verdict(&server, &service).await, Verdict::Right { .. }), "{kind}");
    }
}

#[tokio::test]
async fn an_intermediarys_response_is_reported() {
    let gateway = ResponseTemplate::new(403)
        .insert_header("x-amzn-errortype", "MissingAuthenticationTokenException")
        .set_body_raw(r#"{"message":"Missing Authentication Token"}"#, "application/json");
    let server = serve(gateway, RIGHT).await;
    let Verdict::NotReached { reason, next } = verdict(&server, &service()).await else { panic!("it is the gateway") };
    assert!(reason.contains("never reached the service") && next.contains("stage and path"), "{reason}, {next}");
    let server = serve(ResponseTemplate::new(302).insert_header("location", "/sign-in"), RIGHT).await;
    let Verdict::NotReached { reason, .. } = verdict(&server, &service()).await else { panic!("it leads elsewhere") };
    assert!(reason.contains(&format!("redirects to {}/sign-in", server.uri())), "{reason}");
}

#[tokio::test]
async fn an_unexpected_image_is_not_waited_for() {
    let server = serve(hello(), OTHER).await;
    let (base, service) = (Url::parse(&format!("{}/production", server.uri())).unwrap(), service());
    let target = |before: &str| Endpoint {
        base: base.clone(),
        service: &service,
        digest: Some(RIGHT.parse().unwrap()),
        before: Some(before.parse().unwrap()),
        spacing: Duration::ZERO,
        callers: ApiClients::default(),
        retries_connections: true,
    };
    let (ui, client) = (Ui::silent(), Client::direct());
    let (phase, timeout) = (ui.phase("smoke"), UNEXPECTED_LIMIT * 2);
    let (begun, unexpected, expected) = (Instant::now(), target(RIGHT), target(OTHER));
    let ended = async |target| (verify_endpoint(&client, target, timeout, &phase).await, begun.elapsed());
    let ((verdict, in_vain), (_, waited)) = tokio::join!(ended(&unexpected), ended(&expected));
    assert_eq!(verdict, Verdict::OldVersion { served: OTHER.to_owned() });
    assert!(in_vain > UNEXPECTED_LIMIT && in_vain + PAUSE * 2 < waited, "{in_vain:?}, {waited:?}");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_not_answering() {
    let service = service();
    let target = Endpoint {
        base: Url::parse("http://127.0.0.1:1").unwrap(),
        service: &service,
        digest: None,
        before: None,
        spacing: Duration::ZERO,
        callers: ApiClients::default(),
        retries_connections: true,
    };
    let ui = Ui::silent();
    let verdict = verify_endpoint(&Client::direct(), &target, Duration::from_millis(50), &ui.phase("smoke")).await;
    assert!(matches!(verdict, Verdict::NotAnswering { reason } if reason.contains("cannot be reached")));
    let (impatient, begun) = (Endpoint { retries_connections: false, ..target }, Instant::now());
    let verdict = verify_endpoint(&Client::direct(), &impatient, Duration::from_secs(30), &ui.phase("smoke")).await;
    assert!(matches!(verdict, Verdict::NoConnection { .. }), "{verdict:?}");
    assert!(begun.elapsed() < Duration::from_secs(2), "it was tried again");
}
