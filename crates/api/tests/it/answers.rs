//! What callers get when they ask for what there is.

use crate::server;
use chassis::testing::get;

#[test]
fn greetings_are_numbered_from_one() {
    let server = server::start();
    let first = get(server, "/api/greeting");
    assert_eq!((first.status, first.header("content-type")), (200, "application/json"));
    assert_eq!(first.body, r#"{"id":1,"content":"Hello, World!"}"#);
    assert_eq!(get(server, "/api/greeting").body, r#"{"id":2,"content":"Hello, World!"}"#);
    assert_eq!(get(server, "/api/greeting?name=Ada").body, r#"{"id":3,"content":"Hello, Ada!"}"#);
}

#[test]
fn a_name_is_read_as_forms_are_and_written_as_json() {
    let server = server::start();
    for (query, name) in [
        ("name=", "World"),
        ("name", "World"),
        ("", "World"),
        ("other=1&name=Ada&x", "Ada"),
        ("name=Ada+Lovelace", "Ada Lovelace"),
        ("name=%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80", "👩\u{200d}🚀"),
        ("name=%D7%9E%D7%A8%D7%99%D7%9D", "מרים"),
        ("name=%22%5C%2F", r#"\"\\/"#),
        ("name=%00%09%0A%1F%7F", "\\u0000\\t\\n\\u001f\u{7f}"),
        ("name=%3Cscript%3E", "<script>"),
        ("name=%E2%80%AE", "\u{202e}"),
        // Malformed: what is not UTF-8 is replaced, what encodes nothing stays.
        ("name=%FF%C3", "\u{fffd}\u{fffd}"),
        ("name=%ED%A0%80", "\u{fffd}\u{fffd}\u{fffd}"),
        ("name=%zz%4", "%zz%4"),
        ("name=%", "%"),
    ] {
        let answer = get(server, &format!("/api/greeting?{query}"));
        assert_eq!(answer.status, 200, "{query}");
        let content = answer.body.split_once(r#","content":"#).unwrap().1;
        assert_eq!(content, format!(r#""Hello, {name}!"}}"#), "{query}");
    }
}

#[test]
fn the_longest_name_has_a_hundred_characters_in_any_script() {
    let server = server::start();
    for encoded in ["a", "%C3%9F", "%F0%9F%91%8B"] {
        assert_eq!(get(server, &format!("/api/greeting?name={}", encoded.repeat(100))).status, 200);
        let answer = get(server, &format!("/api/greeting?name={}", encoded.repeat(101)));
        answer.assert_problem(400, "Bad Request", "the name has 101 characters, 100 are allowed");
    }
}

#[test]
fn the_same_parameter_twice() {
    let answer = get(server::start(), "/api/greeting?name=Ada&name=Grace");
    answer.assert_problem(400, "Bad Request", "Query deserialize error: duplicate field `name`");
}

#[test]
fn it_says_which_program_answers() {
    let expected = format!(r#"{{"name":"api","version":"{}"}}"#, env!("CARGO_PKG_VERSION"));
    assert_eq!(get(server::start(), "/version").body, expected);
}
