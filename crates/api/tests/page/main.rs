//! The page `/docs/` as a browser shows it: headless Chromium, driven over WebDriver, against the real server.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod browser;
#[path = "../it/server.rs"]
mod server;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::ExitCode;

use browser::Browser;
use libtest_mimic::Arguments;
use requirements::{CHROMEDRIVER, CHROMIUM, Programs, Suite};

/// A test in a browser, and its name.
type NamedTrial = (&'static str, fn(&Programs));

const TRIALS: [NamedTrial; 4] = [
    ("a_user_is_greeted_from_the_page", a_user_is_greeted_from_the_page),
    ("the_page_works_below_a_prefix", the_page_works_below_a_prefix),
    ("a_refusal_is_shown", a_refusal_is_shown),
    ("the_page_reaches_no_other_origin", the_page_reaches_no_other_origin),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One browser is work enough for a small machine.
    arguments.test_threads.get_or_insert(1);
    let suite = Suite::new();
    let trial = |(name, run): NamedTrial| {
        suite.test(name, &[CHROMIUM, CHROMEDRIVER], move |programs| {
            run(programs);
            Ok::<(), Infallible>(())
        })
    };
    libtest_mimic::run(&arguments, TRIALS.map(trial).into()).exit_code()
}

fn a_user_is_greeted_from_the_page(programs: &Programs) {
    let server = server::start();
    // Without its slash, as people type it.
    let browser = Browser::open(programs, &format!("http://{server}/docs"));
    greet(&browser, server, "");
    assert_eq!(browser.title(), "The greeting service");
}

fn the_page_works_below_a_prefix(programs: &Programs) {
    let server = server::start_with(&[("API_PATH_PREFIX", "/production")]);
    let browser = Browser::open(programs, &format!("http://{server}/production/docs"));
    greet(&browser, server, "/production");
}

/// Presses what a user presses, and asserts that the browser has nothing to complain of.
fn greet(browser: &Browser, server: SocketAddr, prefix: &str) {
    browser.click("#greeting summary");
    browser.click("#greeting button");
    browser.wait_for("#greeting .body", r#"{"id":1,"content":"Hello, World!"}"#);
    browser.wait_for("#greeting .status", "200");
    assert_eq!(browser.text("#greeting .request"), format!("GET {prefix}/api/greeting"));

    browser.type_into("#greeting-query-name", "Ada & 👩\u{200d}🚀");
    browser.click("#greeting button");
    browser.wait_for("#greeting .body", "{\"id\":2,\"content\":\"Hello, Ada & 👩\u{200d}🚀!\"}");
    assert!(browser.text("#greeting .headers").contains("x-request-id: "));

    assert_eq!(browser.complaints(), <[String; 0]>::default());
    let requests = browser.requests();
    let here = format!("http://{server}{prefix}/");
    let elsewhere: Vec<_> = requests.iter().filter(|url| !url.starts_with(&here)).collect();
    assert!(elsewhere.is_empty() && requests.len() >= 7, "{elsewhere:?} of {requests:?}");
}

fn a_refusal_is_shown(programs: &Programs) {
    let server = server::start();
    let browser = Browser::open(programs, &format!("http://{server}/docs/"));
    browser.click("#greeting summary");
    browser.type_into("#greeting-query-name", &"a".repeat(101));
    browser.click("#greeting button");
    browser.wait_for("#greeting .status", "400");
    browser.wait_for("#greeting .body", "the name has 101 characters, 100 are allowed");
}

/// Also proves that the other trials would notice: the browser does tell what the policy has held back.
fn the_page_reaches_no_other_origin(programs: &Programs) {
    let (server, other) = (server::start(), server::start());
    let browser = Browser::open(programs, &format!("http://{server}/docs/"));
    browser.wait_for("#title", "The greeting service");
    let image = format!("document.body.append(Object.assign(new Image(), {{ src: 'http://{other}/picture' }}))");
    for (script, complaint) in [
        (&*format!("fetch('http://{other}/api/greeting')"), "Content Security Policy"),
        (&image, "Content Security Policy"),
        ("document.body.setAttribute('style', 'color: red')", "Content Security Policy"),
        ("document.body.append(Object.assign(document.createElement('script'), { text: '' }))", "TrustedScript"),
        ("document.body.innerHTML = '<p>'", "TrustedHTML"),
    ] {
        browser.attempt(script);
        let complaints = browser.complaints();
        assert!(complaints.iter().any(|line| line.contains(complaint)), "{script}: {complaints:?}");
    }
}
