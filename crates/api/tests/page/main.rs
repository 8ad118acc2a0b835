//! The page `/docs/` as a browser shows it: headless Chromium, driven over WebDriver, against the real server.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod browser;
#[path = "../it/server.rs"]
mod server;

use std::env;
use std::net::SocketAddr;
use std::process::ExitCode;

use browser::Browser;
use libtest_mimic::{Arguments, Completion, Failed, Trial};

const TRIALS: [(&str, fn()); 4] = [
    ("a_user_is_greeted_from_the_page", a_user_is_greeted_from_the_page),
    ("the_page_works_below_a_prefix", the_page_works_below_a_prefix),
    ("a_refusal_is_shown", a_refusal_is_shown),
    ("the_page_reaches_no_other_origin", the_page_reaches_no_other_origin),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // One browser is work enough for a small machine.
    arguments.test_threads.get_or_insert(1);
    let trials = TRIALS.map(|(name, run)| Trial::ignorable_test(name, move || where_there_is_a_browser(run)));
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// Ignores the trial, with the reason, where a program is missing; a failure where all must run.
fn where_there_is_a_browser(run: fn()) -> Result<Completion, Failed> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_missing = |program: &&&str| !env::split_paths(&path).any(|folder| folder.join(program).is_file());
    match browser::PROGRAMS.iter().find(is_missing) {
        None => {
            run();
            Ok(Completion::Completed)
        }
        Some(program) if env::var_os("REQUIRE_COUNTERPARTS").is_some_and(|value| value == "1") => {
            Err(format!("no {program} on PATH").into())
        }
        Some(program) => Ok(Completion::ignored_with(format!("no {program} on PATH"))),
    }
}

fn a_user_is_greeted_from_the_page() {
    let server = server::start();
    // Without its slash, as people type it.
    let browser = Browser::open(&format!("http://{server}/docs"));
    greet(&browser, server, "");
    assert_eq!(browser.title(), "The greeting service");
}

fn the_page_works_below_a_prefix() {
    let server = server::start_with(&[("API_PATH_PREFIX", "/production")], api::routes);
    let browser = Browser::open(&format!("http://{server}/production/docs"));
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

fn a_refusal_is_shown() {
    let server = server::start();
    let browser = Browser::open(&format!("http://{server}/docs/"));
    browser.click("#greeting summary");
    browser.type_into("#greeting-query-name", &"a".repeat(101));
    browser.click("#greeting button");
    browser.wait_for("#greeting .status", "400");
    browser.wait_for("#greeting .body", "the name has 101 characters, 100 are allowed");
}

/// Also proves that the other trials would notice: the browser does tell what the policy has held back.
fn the_page_reaches_no_other_origin() {
    let (server, other) = (server::start(), server::start());
    let browser = Browser::open(&format!("http://{server}/docs/"));
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
