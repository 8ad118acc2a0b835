use wiremock::matchers::{body_partial_json, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::*;

const MARK: &str = "<!-- xtask:plan -->";

async fn api() -> (MockServer, Api) {
    let server = MockServer::start().await;
    let vars = [
        ("GITHUB_API_URL", server.uri()),
        ("GITHUB_REPOSITORY", "o/r".to_owned()),
        ("GITHUB_TOKEN", "ghs_secret".to_owned()),
    ];
    let api = Api::of(&vars.map(|(name, value)| (name.to_owned(), value)).into()).unwrap();
    (server, api)
}

fn comment(id: u64, kind: &str, body: &str) -> Value {
    json!({"id": id, "user": {"type": kind}, "body": body})
}

#[tokio::test]
async fn a_first_comment_is_created() {
    let (server, api) = api().await;
    let others = json!([comment(1, "User", MARK), comment(2, "Bot", "another's")]);
    let list = Mock::given(method("GET")).and(path("/repos/o/r/issues/12/comments"));
    list.respond_with(ResponseTemplate::new(200).set_body_json(others)).mount(&server).await;
    let made = Mock::given(method("POST")).and(path("/repos/o/r/issues/12/comments"));
    let made = made.and(header("authorization", "Bearer ghs_secret"));
    let made = made.and(body_partial_json(json!({"body": format!("{MARK}\nchanges")})));
    let answer = ResponseTemplate::new(201).set_body_json(json!({"html_url": "https://g.example/1"}));
    made.respond_with(answer).expect(1).mount(&server).await;
    let published = api.comment(12, MARK, "changes").await.unwrap();
    assert_eq!(published, Posted { url: "https://g.example/1".to_owned(), updated: false });
}

#[tokio::test]
async fn an_existing_comment_is_updated_wherever_it_is() {
    let (server, api) = api().await;
    let full: Vec<Value> = (0..100).map(|id| comment(id, "User", "words")).collect();
    for (page, list) in [("1", json!(full)), ("2", json!([comment(200, "Bot", &format!("{MARK}\nold"))]))] {
        let list = ResponseTemplate::new(200).set_body_json(list);
        Mock::given(method("GET")).and(query_param("page", page)).respond_with(list).expect(1).mount(&server).await;
    }
    let answer = ResponseTemplate::new(200).set_body_json(json!({"html_url": "https://g.example/200"}));
    let changed = Mock::given(method("PATCH")).and(path("/repos/o/r/issues/comments/200"));
    changed.respond_with(answer).expect(1).mount(&server).await;
    assert!(api.comment(12, MARK, "new").await.unwrap().updated);
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let (server, api) = api().await;
    let refusal = json!({"message": "Resource not accessible by integration"});
    let refusal = ResponseTemplate::new(403).set_body_json(refusal);
    Mock::given(method("GET")).respond_with(refusal).expect(1).mount(&server).await;
    let failure = api.comment(12, MARK, "changes").await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Denied);
    let text = format!("{failure:?}");
    assert!(text.contains("Resource not accessible") && text.contains("pull-requests: write"), "{text}");
    assert!(!text.contains("ghs_secret"), "{text}");
}

#[tokio::test]
async fn a_post_that_may_have_succeeded_is_not_repeated() {
    let (server, api) = api().await;
    let empty = ResponseTemplate::new(200).set_body_json(json!([]));
    // Reading is repeated where GitHub stumbles.
    Mock::given(method("GET")).respond_with(ResponseTemplate::new(502)).up_to_n_times(1).mount(&server).await;
    Mock::given(method("GET")).respond_with(empty).mount(&server).await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(502)).expect(1).mount(&server).await;
    assert_eq!(api.comment(12, MARK, "changes").await.unwrap_err().kind, FailureKind::Github);
}

#[tokio::test]
async fn a_release_is_published_once_for_a_tag() {
    let (server, api) = api().await;
    let none = ResponseTemplate::new(404).set_body_json(json!({"message": "Not Found"}));
    let tags = || Mock::given(method("GET")).and(path("/repos/o/r/releases/tags/v0.2.0"));
    tags().respond_with(none).up_to_n_times(1).mount(&server).await;
    tags().respond_with(ResponseTemplate::new(200).set_body_json(json!({"id": 9}))).mount(&server).await;
    let answer = || ResponseTemplate::new(200).set_body_json(json!({"html_url": "https://g.example/v0.2.0"}));
    let wanted = json!({"tag_name": "v0.2.0", "body": "- One.", "prerelease": false});
    let made = Mock::given(method("POST")).and(path("/repos/o/r/releases")).and(body_partial_json(wanted));
    made.respond_with(answer()).expect(1).mount(&server).await;
    Mock::given(method("PATCH"))
        .and(path("/repos/o/r/releases/9"))
        .respond_with(answer())
        .expect(1)
        .mount(&server)
        .await;
    let release = GithubRelease { tag: "v0.2.0", notes: "- One.", prerelease: false };
    assert!(!api.release(&release).await.unwrap().updated);
    assert!(api.release(&release).await.unwrap().updated);
}

#[test]
fn a_long_comment_ends_with_a_whole_line() {
    let text = "a line of a table\n".repeat(5000);
    let short = shortened(&text);
    assert!(short.len() < LONGEST + 100 && short.contains("too long"), "{}", short.len());
    assert!(short.lines().filter(|line| line.starts_with('a')).all(|line| line == "a line of a table"));
    assert_eq!(shortened("short"), "short");
}
