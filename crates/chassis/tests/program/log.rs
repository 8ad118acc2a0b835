//! Request ids and the log.

use std::net::SocketAddr;

use crate::NamedTrial;
use crate::process::Process;
use chassis::testing::{Method, ask, get};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("a_well_formed_id_is_kept", a_well_formed_id_is_kept),
    ("any_other_id_is_replaced", any_other_id_is_replaced),
    ("new_ids_differ", new_ids_differ),
    ("a_request_is_one_line_without_its_query", a_request_is_one_line_without_its_query),
    ("refusals_are_logged_with_the_id_that_the_caller_got", refusals_are_logged_with_the_id_that_the_caller_got),
    ("probes_are_logged_for_those_who_debug", probes_are_logged_for_those_who_debug),
    ("text_is_for_people", text_is_for_people),
    ("what_is_logged_during_a_request_names_it", what_is_logged_during_a_request_names_it),
    ("what_is_logged_during_a_request_names_it_in_text_too", what_is_logged_during_a_request_names_it_in_text_too),
    ("a_panic_names_its_request", a_panic_names_its_request),
    ("a_trace_is_continued_returned_and_logged", a_trace_is_continued_returned_and_logged),
    ("the_caller_is_who_trusted_proxies_say_he_is", the_caller_is_who_trusted_proxies_say_he_is),
];

fn returned_id(server: SocketAddr, given: &str) -> String {
    ask(server, Method::GET, "/health", &[("x-request-id", given)]).header("x-request-id").to_owned()
}

fn a_well_formed_id_is_kept() {
    let process = Process::start(&[]);
    let server = process.address;
    for id in
        ["1", "550e8400-e29b-41d4-a716-446655440000", "Root=1-67891233-abcdef012345678912345678", &"a".repeat(128)]
    {
        assert_eq!(returned_id(server, id), id);
    }
}

fn any_other_id_is_replaced() {
    let process = Process::start(&[]);
    let server = process.address;
    for id in ["", "a b", "\"", "{}", "<", "é", &"a".repeat(129)] {
        let returned = returned_id(server, id);
        assert!(returned.len() >= 18 && returned != id, "{returned:?} for {id:?}");
    }
}

fn new_ids_differ() {
    let process = Process::start(&[]);
    let server = process.address;
    let id = || get(server, "/health").header("x-request-id").to_owned();
    assert_ne!(id(), id());
}

fn a_request_is_one_line_without_its_query() {
    let process = Process::start(&[]);
    // Probes are no news.
    get(process.address, "/health");
    let answer = ask(process.address, Method::GET, "/hello?name=Rumpelstiltskin", &[("x-request-id", "tale-1")]);
    assert_eq!(answer.header("x-request-id"), "tale-1");

    let line = process.line();
    assert!(!line.contains("Rumpelstiltskin") && !line.contains("name="), "{line}");
    let mut event: serde_json::Value = serde_json::from_str(&line).unwrap();
    let fields = event.as_object_mut().unwrap();
    let timestamp = fields.remove("timestamp").unwrap();
    assert!(timestamp.as_str().unwrap().ends_with('Z'), "{timestamp}");
    assert!(fields.remove("latency_ms").unwrap().as_f64().unwrap() > 0.0);
    assert_eq!(
        event,
        serde_json::json!({
            "level": "INFO", "message": "request", "request_id": "tale-1", "client": "127.0.0.1", "method": "GET", "path": "/hello", "status": 200
        })
    );
}

fn refusals_are_logged_with_the_id_that_the_caller_got() {
    let process = Process::start(&[]);
    let answer = get(process.address, "/no\"where");
    let event = process.event("request");
    assert_eq!(event["status"], 404);
    assert_eq!(event["path"], "/no\"where");
    assert_eq!(event["request_id"], answer.header("x-request-id"));
    assert!(event.get("error").is_none());
}

fn probes_are_logged_for_those_who_debug() {
    let process = Process::start(&[("API_LOG_LEVEL", "debug")]);
    get(process.address, "/health");
    assert_eq!(process.event("request")["level"], "DEBUG");
}

fn text_is_for_people() {
    let process = Process::start(&[("API_LOG_FORMAT", "text")]);
    ask(process.address, Method::GET, "/version", &[("x-request-id", "tale-1")]);
    let line = process.line();
    assert!(
        line.contains(r#" INFO request request_id="tale-1" client=127.0.0.1 method=GET path="/version" status=200 "#),
        "{line}"
    );
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

fn a_trace_is_continued_returned_and_logged() {
    let process = Process::start(&[]);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let root = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1";
    let traced = |headers: &[(&str, &str)]| ask(process.address, Method::GET, "/version", headers);

    let answer = traced(&[("traceparent", &parent), ("x-amzn-trace-id", root)]);
    let own = answer.header("traceparent");
    assert!(own.starts_with(&parent[..36]) && own.ends_with("-01") && own != parent, "{own}");
    assert_eq!(answer.header("x-amzn-trace-id"), root);
    assert_eq!(process.event("request")["trace_id"], TRACE);

    assert_eq!(traced(&[("x-amzn-trace-id", root)]).header("traceparent"), "");
    assert_eq!(process.event("request")["trace_id"], "5759e988bd862e3fe1be46a994272793");

    // What is not valid is as if it had not been sent.
    let answer = traced(&[("traceparent", "00-yes-no-01"), ("x-amzn-trace-id", "{\"}")]);
    assert_eq!((answer.header("traceparent"), answer.header("x-amzn-trace-id")), ("", ""));
    assert!(process.event("request").get("trace_id").is_none());
}

fn the_caller_is_who_trusted_proxies_say_he_is() {
    let said = [("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.1")];
    for (proxies, client) in [("0", "127.0.0.1"), ("1", "10.0.0.1"), ("2", "198.51.100.7"), ("4", "127.0.0.1")] {
        let process = Process::start(&[("API_TRUSTED_PROXIES", proxies)]);
        ask(process.address, Method::GET, "/version", &said);
        assert_eq!(process.event("request")["client"], client);
    }
}

fn ask_with_names(process: &Process, target: &str) {
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    ask(process.address, Method::GET, target, &[("x-request-id", "tale-1"), ("traceparent", &parent)]);
}

fn what_is_logged_during_a_request_names_it() {
    let process = Process::start(&[]);
    ask_with_names(&process, "/tale");
    let begin = process.event("once upon a time");
    assert_eq!((&begin["chapter"], &begin["level"]), (&1.into(), &"INFO".into()));
    let names = |event: &serde_json::Value| (event["request_id"].clone(), event["trace_id"].clone());
    let of_the_request = ("tale-1".into(), TRACE.into());
    assert_eq!(names(&begin), of_the_request);
    // After an await, through `log`.
    assert_eq!(names(&process.event("a wolf")), of_the_request);
    assert_eq!(names(&process.event("an id of its own")), (7.into(), TRACE.into()));
    assert_eq!(names(&process.event("beyond the request")), Default::default());
    assert_eq!(names(&process.event("carried along")), of_the_request);

    // Without a trace there is only the id; outside of a request there is neither.
    let answer = get(process.address, "/tale");
    let event = process.event("once upon a time");
    assert_eq!(event["request_id"], answer.header("x-request-id"));
    assert!(event.get("trace_id").is_none());
    process.signal("TERM");
    assert!(process.event("draining").get("request_id").is_none());
}

fn what_is_logged_during_a_request_names_it_in_text_too() {
    let process = Process::start(&[("API_LOG_FORMAT", "text")]);
    ask_with_names(&process, "/tale");
    let line = process.line_with("once upon a time");
    assert!(line.ends_with(&format!(" chapter=1 request_id=\"tale-1\" trace_id=\"{TRACE}\"")), "{line}");
}

fn a_panic_names_its_request() {
    let process = Process::start(&[]);
    ask_with_names(&process, "/panic");
    let event = process.event("panic");
    assert_eq!((&event["reason"], &event["level"]), (&"on purpose".into(), &"ERROR".into()));
    assert_eq!((&event["request_id"], &event["trace_id"]), (&"tale-1".into(), &TRACE.into()));
}
