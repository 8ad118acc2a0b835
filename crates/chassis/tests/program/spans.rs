//! Spans, as a collector of OpenTelemetry gets them.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::NamedTrial;
use crate::process::Process;
use chassis::testing::{DEADLINE, Method, ask, eventually, get};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("a_request_is_a_span_of_its_callers_trace", a_request_is_a_span_of_its_callers_trace),
    ("a_trace_begins_here_where_there_is_none", a_trace_begins_here_where_there_is_none),
    ("what_nobody_wants_to_record_is_not_sent", what_nobody_wants_to_record_is_not_sent),
    ("a_fault_is_an_error_of_its_span", a_fault_is_an_error_of_its_span),
    ("spans_of_the_last_requests_are_sent_at_the_end", spans_of_the_last_requests_are_sent_at_the_end),
    ("a_collector_that_comes_back_gets_what_was_kept", a_collector_that_comes_back_gets_what_was_kept),
    ("a_collector_that_is_away_costs_spans_only", a_collector_that_is_away_costs_spans_only),
    ("a_collector_that_hangs_does_not_hold_the_end_up", a_collector_that_hangs_does_not_hold_the_end_up),
    ("what_a_collector_rejects_is_counted", what_a_collector_rejects_is_counted),
    ("nothing_is_sent_unless_it_is_set", nothing_is_sent_unless_it_is_set),
];

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A collector that answers every batch alike.
struct Collector {
    address: SocketAddr,
    posts: Receiver<Value>,
}

impl Collector {
    fn start(status: &'static str, answer: &'static str) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), status, answer)
    }

    fn listen(listener: TcpListener, status: &'static str, answer: &'static str) -> Self {
        let address = listener.local_addr().unwrap();
        let (sender, posts) = channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let sender = sender.clone();
                thread::spawn(move || serve(stream.unwrap(), status, answer, &sender));
            }
        });
        Self { address, posts }
    }

    fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next batch: the attributes of its resource, and its spans.
    fn batch(&self) -> (BTreeMap<String, Value>, Vec<Value>) {
        let post = self.posts.recv_timeout(DEADLINE).expect("the service sends a batch");
        let [resource] = post["resourceSpans"].as_array().unwrap().as_slice() else { panic!("{post}") };
        let [scope] = resource["scopeSpans"].as_array().unwrap().as_slice() else { panic!("{post}") };
        assert_eq!(scope["scope"]["name"], "chassis");
        (attributes(&resource["resource"]), scope["spans"].as_array().unwrap().clone())
    }

    /// The only span of the next batch.
    fn span(&self) -> Value {
        let (_, mut spans) = self.batch();
        assert_eq!(spans.len(), 1, "{spans:?}");
        spans.remove(0)
    }
}

/// Takes what is posted on a connection until it ends.
fn serve(stream: TcpStream, status: &str, answer: &str, posts: &Sender<Value>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_lowercase());
        }
        assert_eq!(head[0], "post /v1/traces http/1.1");
        assert!(head.contains(&"content-type: application/json".to_owned()), "{head:?}");
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        if posts.send(serde_json::from_slice(&body).unwrap()).is_err() {
            return;
        }
        // A service that ends does not wait for it.
        if write!(reader.get_mut(), "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{answer}", answer.len()).is_err() {
            return;
        }
    }
}

fn attributes(of: &Value) -> BTreeMap<String, Value> {
    let value = |value: &Value| value.as_object().unwrap().values().next().unwrap().clone();
    let pair = |pair: &Value| (pair["key"].as_str().unwrap().to_owned(), value(&pair["value"]));
    of["attributes"].as_array().unwrap().iter().map(pair).collect()
}

fn nanoseconds(span: &Value, key: &str) -> u128 {
    span[key].as_str().unwrap().parse().unwrap()
}

/// The value of a counter.
fn counted(process: &Process, name: &str) -> u64 {
    let metrics = get(process.management, "/metrics").body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name} in {metrics}")).parse().unwrap()
}

fn a_request_is_a_span_of_its_callers_trace() {
    let collector = Collector::start("200 OK", "{}");
    let process = Process::start(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        ("OTEL_SERVICE_NAME", "notes"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=other"),
    ]);
    let parent = format!("00-{TRACE}-{PARENT}-01");
    let given = [("traceparent", parent.as_str()), ("x-request-id", "tale-1")];
    let answer = ask(process.address, Method::GET, "/hello?name=Rumpelstiltskin", &given);

    let (resource, spans) = collector.batch();
    assert_eq!((&resource["service.name"], &resource["service.version"]), (&"notes".into(), &"1.2.3".into()));
    assert_eq!(resource["deployment.environment.name"], "test");
    let [span] = spans.as_slice() else { panic!("{spans:?}") };
    assert_eq!(answer.header("traceparent"), format!("00-{TRACE}-{}-01", span["spanId"].as_str().unwrap()));
    assert_eq!((&span["traceId"], &span["parentSpanId"]), (&TRACE.into(), &PARENT.into()));
    assert_eq!((&span["name"], &span["kind"], &span["flags"]), (&"GET /hello".into(), &2.into(), &1.into()));
    assert_eq!(span["status"], serde_json::json!({}));
    let (begin, end) = (nanoseconds(span, "startTimeUnixNano"), nanoseconds(span, "endTimeUnixNano"));
    assert!(begin < end && end - begin < DEADLINE.as_nanos(), "{span}");
    let mut attributes = attributes(span);
    let id = attributes.remove("http.response.header.x-request-id").unwrap();
    assert_eq!(id, serde_json::json!({ "values": [{ "stringValue": "tale-1" }] }));
    let expected = [
        ("client.address", "127.0.0.1"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/hello"),
        ("url.path", "/hello"),
        ("url.scheme", "http"),
    ];
    assert_eq!(attributes, expected.map(|(key, value)| (key.to_owned(), value.into())).into());
    eventually("it is counted", || counted(&process, "otel_spans_exported_total") == 1);
    assert_eq!(counted(&process, "otel_spans_dropped_total"), 0);
}

fn a_trace_begins_here_where_there_is_none() {
    let collector = Collector::start("200 OK", "");
    let process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())]);
    let answer = ask(process.address, "BREW".parse().unwrap(), "/nowhere", &[]);
    let span = collector.span();
    let (trace, id) = (span["traceId"].as_str().unwrap(), span["spanId"].as_str().unwrap());
    assert_eq!(answer.header("traceparent"), format!("00-{trace}-{id}-01"));
    assert_eq!(process.event("request")["trace_id"], trace);
    // Few names, whatever is asked: neither the method nor the path is one that is known.
    assert_eq!((&span["name"], span.get("parentSpanId")), (&"HTTP".into(), None));
    let attributes = attributes(&span);
    assert_eq!(attributes["http.request.method"], "_OTHER");
    assert_eq!(attributes["http.request.method_original"], "BREW");
    assert!(!attributes.contains_key("http.route") && !attributes.contains_key("error.type"));
    // A caller's fault is no error of the service's.
    assert_eq!((&attributes["http.response.status_code"], &span["status"]), (&"404".into(), &serde_json::json!({})));
}

fn what_nobody_wants_to_record_is_not_sent() {
    let collector = Collector::start("200 OK", "{}");
    let process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())]);
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    let answer = ask(process.address, Method::GET, "/hello", &[("traceparent", &unsampled)]);
    assert!(answer.header("traceparent").ends_with("-00"));
    // Neither are probes, which never end.
    get(process.address, "/health");
    get(process.address, "/version");
    assert_eq!(collector.span()["name"], "GET /version");
}

fn a_fault_is_an_error_of_its_span() {
    let collector = Collector::start("200 OK", "{}");
    let process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())]);
    get(process.address, "/panic");
    let span = collector.span();
    assert_eq!((&span["status"]["code"], &span["status"]["message"]), (&2.into(), &"a panic".into()));
    assert_eq!(attributes(&span)["error.type"], "500");
}

fn spans_of_the_last_requests_are_sent_at_the_end() {
    let collector = Collector::start("200 OK", "{}");
    let endpoint = collector.endpoint();
    let mut process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("API_DRAIN_SECONDS", "0")]);
    for _ in 0..600 {
        get(process.address, "/hello");
    }
    process.signal("TERM");
    assert!(process.ended().success());
    let mut sent = 0;
    while sent < 600 {
        sent += collector.batch().1.len();
    }
    assert_eq!((sent, collector.posts.try_recv().ok()), (600, None));
}

fn a_collector_that_comes_back_gets_what_was_kept() {
    // Its port stays its own while it is away.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let endpoint = format!("http://{address}");
    let process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    let unavailable = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .unwrap();
        // Not closed before what was sent has been read, or the answer would be lost.
        stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        stream.read_to_end(&mut Vec::new()).ok();
        listener
    });
    get(process.address, "/hello");
    assert_eq!(process.event("spans cannot be exported")["reason"], "the collector answers 503");
    let collector = Collector::listen(unavailable.join().unwrap(), "200 OK", "{}");
    assert_eq!(collector.span()["name"], "GET /hello");
    process.event("spans are exported again");
    assert_eq!(counted(&process, "otel_spans_dropped_total"), 0);
}

fn a_collector_that_is_away_costs_spans_only() {
    let nobody = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let mut process = Process::start(&[nobody, ("API_DRAIN_SECONDS", "0")]);
    // More than the queue and a batch hold.
    let all_answered = thread::scope(|scope| {
        let clients = [(); 4].map(|()| scope.spawn(|| (0..900).all(|_| get(process.address, "/hello").status == 200)));
        clients.into_iter().all(|client| client.join().unwrap())
    });
    assert!(all_answered);
    process.event("spans cannot be exported");
    assert!(counted(&process, "otel_spans_dropped_total") >= 3600 - 2048 - 512);
    assert_eq!(counted(&process, "otel_spans_exported_total"), 0);
    process.signal("TERM");
    let asked = Instant::now();
    assert!(process.ended().success());
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

fn a_collector_that_hangs_does_not_hold_the_end_up() {
    // Takes connections into its queue, and answers none.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let mut process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint), ("API_DRAIN_SECONDS", "0")]);
    get(process.address, "/hello");
    process.signal("TERM");
    process.event("gave up sending spans");
    assert!(process.ended().success());
}

fn what_a_collector_rejects_is_counted() {
    let collector = Collector::start("200 OK", r#"{"partialSuccess":{"rejectedSpans":"1"}}"#);
    let process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())]);
    get(process.address, "/hello");
    eventually("it is counted", || counted(&process, "otel_spans_dropped_total") == 1);
    assert_eq!(counted(&process, "otel_spans_exported_total"), 0);

    // What will never be taken is not sent again.
    let collector = Collector::start("400 Bad Request", "");
    let process = Process::start(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())]);
    get(process.address, "/hello");
    eventually("it is counted", || counted(&process, "otel_spans_dropped_total") == 1);
    assert_eq!(collector.posts.iter().take(1).count(), 1);
    thread::sleep(Duration::from_secs(1));
    assert!(collector.posts.try_recv().is_err());
}

fn nothing_is_sent_unless_it_is_set() {
    let process = Process::start(&[("OTEL_SERVICE_NAME", "notes")]);
    assert_eq!(get(process.address, "/hello").header("traceparent"), "");
    assert!(!get(process.management, "/metrics").body.contains("otel"));
}
