//! What the management port tells, and what liveness and readiness say.

use std::io::Write;
use std::thread;

use crate::NamedTrial;
use crate::process::Process;
use chassis::testing::{Method, ask, connect, exchange, get, read_until};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("requests_are_counted_by_route_method_and_status_class", requests_are_counted_by_route_method_and_status_class),
    ("metrics_are_open_metrics_and_not_for_the_public", metrics_are_open_metrics_and_not_for_the_public),
    ("a_service_that_drains_is_alive_and_not_ready", a_service_that_drains_is_alive_and_not_ready),
    ("connections_that_are_ended_are_counted", connections_that_are_ended_are_counted),
    ("a_request_that_is_given_up_is_counted_under_its_route", a_request_that_is_given_up_is_counted_under_its_route),
    ("the_management_port_can_be_left_out", the_management_port_can_be_left_out),
];

/// The value of a series, written as it is in the text.
pub(crate) fn value(process: &Process, series: &str) -> Option<f64> {
    let text = get(process.management, "/metrics").body;
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

fn requests_are_counted_by_route_method_and_status_class() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let process = Process::start(&[("IMAGE_DIGEST", &digest)]);
    for _ in 0..3 {
        get(process.address, "/hello?name=Ada");
    }
    ask(process.address, Method::POST, "/hello", &[("content-length", "0")]);
    ask(process.address, Method::HEAD, "/hello", &[]);
    for path in ["/nowhere", "/elsewhere/4711"] {
        get(process.address, path);
    }
    ask(process.address, "PROPFIND".parse().unwrap(), "/version", &[]);

    let count = |labels: &str| value(&process, &format!("http_requests_total{{{labels}}}"));
    assert_eq!(count(r#"route="/hello",method="GET",status="2xx""#), Some(3.0));
    assert_eq!(count(r#"route="/hello",method="POST",status="4xx""#), Some(1.0));
    assert_eq!(count(r#"route="/hello",method="HEAD",status="2xx""#), Some(1.0));
    // Neither paths nor methods that callers invent make series.
    assert_eq!(count(r#"route="none",method="GET",status="4xx""#), Some(2.0));
    assert_eq!(count(r#"route="/version",method="other",status="4xx""#), Some(1.0));
    let seconds = |name: &str, labels: &str| {
        value(&process, &format!(r#"http_request_duration_seconds_{name}{{{labels}route="/hello"}}"#))
    };
    assert_eq!(seconds("count", ""), Some(5.0));
    assert!(seconds("sum", "").unwrap() > 0.0);
    assert_eq!(seconds("bucket", r#"le="+Inf","#), Some(5.0));
    assert_eq!(value(&process, "http_requests_in_flight"), Some(0.0));
    assert_eq!(value(&process, "http_requests_shed_total"), Some(0.0));
    let build = format!(r#"build_info{{name="test",version="1.2.3",digest="{digest}"}}"#);
    assert_eq!(value(&process, &build), Some(1.0));
}

fn metrics_are_open_metrics_and_not_for_the_public() {
    let process = Process::start(&[]);
    let metrics = get(process.management, "/metrics");
    assert_eq!(metrics.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!(metrics.header("cache-control"), "no-store");
    assert!(metrics.body.ends_with("# EOF\n"));
    assert_eq!(get(process.address, "/metrics").status, 404);
    assert_eq!(get(process.management, "/hello").status, 404);
}

fn a_service_that_drains_is_alive_and_not_ready() {
    let process = Process::start(&[("API_DRAIN_SECONDS", "600")]);
    for port in [process.address, process.management] {
        for path in ["/health", "/livez"] {
            let answer = get(port, path);
            assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
        }
    }
    process.signal("TERM");
    process.event("draining");
    for port in [process.address, process.management] {
        assert_eq!(get(port, "/health").status, 503);
        assert_eq!(get(port, "/livez").status, 200);
    }
}

fn the_management_port_can_be_left_out() {
    let process = Process::start(&[("API_MANAGEMENT_PORT", "off")]);
    assert_eq!((get(process.address, "/health").status, process.management.port()), (200, 0));
}

fn connections_that_are_ended_are_counted() {
    let process = Process::start(&[("API_HEADER_SECONDS", "1")]);
    // Half a head, and then silence; and nothing at all.
    let mut slow = connect(process.address);
    slow.write_all(b"G").unwrap();
    assert!(read_until(&mut slow, "}").starts_with("HTTP/1.1 408 "));
    exchange(process.address, b"");
    let metrics = get(process.management, "/metrics").body;
    for reason in ["slow_header", "idle"] {
        let line = format!("http_connections_ended_total{{reason=\"{reason}\"}} 1\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
}

fn a_request_that_is_given_up_is_counted_under_its_route() {
    let process = Process::start(&[("API_REQUEST_SECONDS", "1")]);
    let address = process.address;
    let answers: Vec<_> = ["/never/1", "/never/2"]
        .map(|path| thread::spawn(move || get(address, path)))
        .into_iter()
        .map(|asked| asked.join().unwrap().status)
        .collect();
    assert_eq!(answers, [504, 504]);
    let series = r#"http_requests_total{route="/never/{name}",method="GET",status="5xx"}"#;
    assert_eq!(value(&process, series), Some(2.0));
    assert_eq!(value(&process, "http_requests_in_flight"), Some(0.0));
    let event = process.event("request");
    assert_eq!((&event["level"], &event["error"]), (&"ERROR".into(), &"no answer within 1 s".into()));
}
