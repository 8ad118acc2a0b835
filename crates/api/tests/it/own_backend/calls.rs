//! Notes as their callers meet them.

use super::client::{get, post};
use super::server;

#[test]
fn a_note_is_kept_and_found_again() {
    let server = server::start();
    let created = post(server, "/api/notes", "application/json", r#"{"text":"Water the plants"}"#);
    assert_eq!((created.status, created.header("location")), (201, "notes/1"));
    let read = get(server, "/api/notes/1");
    assert_eq!((read.status, read.body.as_str()), (200, r#"{"id":1,"text":"Water the plants"}"#));
    get(server, "/api/notes/2").assert_problem(404, "Not Found", "there is no note 2");
}

#[test]
fn what_is_not_a_note_is_refused_with_a_reason() {
    let server = server::start();
    for (media_type, body, status, reason) in [
        ("text/plain", "hello", 415, "the body is to be sent as Content-Type: application/json"),
        ("application/json", "{", 400, "the body is not JSON: EOF while parsing an object at line 1 column 1"),
        ("application/json", "{}", 422, "the body cannot be taken: missing field `text` at line 1 column 2"),
        ("application/json", r#"{"text":""}"#, 422, "a note has 1 to 1000 characters, this one has 0"),
    ] {
        let answer = post(server, "/api/notes", media_type, body);
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{body}");
        assert!(answer.body.contains(reason), "{body}: {}", answer.body);
    }
}
