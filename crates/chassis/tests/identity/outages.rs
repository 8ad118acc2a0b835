//! Keys that come late, change, or cannot be had; and callers who try to make the service ask for them.

use std::time::{Duration, Instant};

use chassis::testing::{DEADLINE, Method, ask_with, eventually, get};
use serde_json::json;

use crate::NamedTrial;
use crate::issuer::{Issuer, Way};
use crate::key::Key;
use crate::service;
use crate::tokens::claims;

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("an_issuer_that_is_away", || late(Way::Away)),
    ("an_issuer_that_is_silent", || late(Way::Silent)),
    ("an_issuer_whose_answer_has_no_end", || late(Way::Endless)),
    ("an_issuer_that_fails", || late(Way::Broken)),
    ("an_issuer_that_sends_elsewhere", || late(Way::Redirecting)),
    ("an_outage_after_the_start", an_outage_after_the_start),
    ("a_new_key", a_new_key),
    ("unknown_keys_by_the_thousand", unknown_keys_by_the_thousand),
    ("an_issuer_that_is_another", an_issuer_that_is_another),
    ("keys_at_a_place_of_their_own", keys_at_a_place_of_their_own),
];

/// No keys, no known callers, and no readiness; then all of it by itself.
fn late(way: Way) {
    let key = Key::ec("e");
    let issuer = Issuer::start(way, &[&key]);
    let server = service::start(Some(issuer.url()), &[]);
    let token = key.token(&claims(&issuer, json!({})));
    eventually("it was asked", || issuer.discoveries() > 0);
    let detail = "This cannot be answered at the moment; ask again later.";
    let answer = service::with_token(server, "/me", &token);
    answer.assert_problem(503, "Service Unavailable", detail);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(get(server, "/health").body, r#"{"status":"starting"}"#);
    assert_eq!((get(server, "/me").status, get(server, "/open").status), (401, 200));
    issuer.set(Way::Well);
    eventually("the keys are there", || get(server, "/health").status == 200);
    assert_eq!(service::with_token(server, "/me", &token).status, 200);
}

fn an_outage_after_the_start() {
    let (key, new) = (Key::ec("e"), Key::ec("new"));
    let issuer = Issuer::start(Way::Well, &[&key]);
    let server = service::ready(issuer.url());
    issuer.set(Way::Away);
    let (token, new) = (key.token(&claims(&issuer, json!({}))), new.token(&claims(&issuer, json!({}))));
    // As long as the last answer counts, the issuer has no such key; then it would have to be asked.
    eventually("the issuer is asked again", || service::with_token(server, "/me", &new).status == 503);
    assert_eq!(service::with_token(server, "/me", &token).status, 200);
    assert_eq!(get(server, "/health").status, 200);
}

fn a_new_key() {
    let (old, new) = (Key::rsa("old"), Key::rsa("new"));
    let issuer = Issuer::start(Way::Well, &[&old]);
    let server = service::ready(issuer.url());
    issuer.set_keys(vec![new.public()]);
    let (before, after) = (old.token(&claims(&issuer, json!({}))), new.token(&claims(&issuer, json!({}))));
    assert_eq!(service::with_token(server, "/me", &before).status, 200);
    let started = Instant::now();
    eventually("the new key counts", || service::with_token(server, "/me", &after).status == 200);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    assert_eq!(service::with_token(server, "/me", &before).status, 401);
    assert_eq!(issuer.fetches(), 2);
}

fn unknown_keys_by_the_thousand() {
    const REQUESTS: usize = 10_000;
    let (key, forger) = (Key::ed("d"), Key::ed("x"));
    let issuer = Issuer::start(Way::Well, &[&key]);
    let server = service::ready(issuer.url());
    let started = Instant::now();
    let ask = |requests: usize| {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(DEADLINE));
        let agent: ureq::Agent = agent.build().into();
        for number in 0..requests {
            let head = json!({"alg": "EdDSA", "kid": format!("{:?}-{number}", std::thread::current().id())});
            let token = format!("Bearer {}", forger.token_with(&head, &claims(&issuer, json!({}))));
            let answer = ask_with(&agent, server, Method::GET, "/me", &[("authorization", &token)]);
            assert_eq!(answer.status, 401, "{answer:?}");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| ask(REQUESTS / 8));
        }
    });
    // One at the start, and then at most one every five seconds.
    let most = 2 + started.elapsed().as_secs() / 5;
    assert!(issuer.fetches() as u64 <= most, "{} fetches in {:?}", issuer.fetches(), started.elapsed());
    assert_eq!(service::with_token(server, "/me", &key.token(&claims(&issuer, json!({})))).status, 200);
}

/// What it says of itself must be what was set, and its keys must come over a line that nobody can change.
fn an_issuer_that_is_another() {
    let issuer = Issuer::start(Way::Well, &[&Key::ed("d")]);
    let right = json!({"issuer": issuer.url(), "jwks_uri": format!("{}/keys", issuer.url())});
    issuer.set_discovery(json!({"issuer": "https://id.example.com", "jwks_uri": right["jwks_uri"]}));
    let server = service::start(Some(issuer.url()), &[]);
    eventually("it is asked twice", || issuer.discoveries() >= 2);
    issuer.set_discovery(json!({"issuer": issuer.url(), "jwks_uri": "http://id.example.com/keys"}));
    let asked = issuer.discoveries();
    eventually("it is asked twice more", || issuer.discoveries() >= asked + 2);
    assert_eq!((get(server, "/health").status, issuer.fetches()), (503, 0));
    issuer.set_discovery(right);
    eventually("it is right", || get(server, "/health").status == 200);
}

fn keys_at_a_place_of_their_own() {
    let key = Key::ed("d");
    let issuer = Issuer::start(Way::Well, &[&key]);
    let url = format!("{}/keys", issuer.url());
    let server = service::start(Some(issuer.url()), &[("API_OIDC_JWKS_URL", &url)]);
    eventually("the service is ready", || get(server, "/health").status == 200);
    assert_eq!(service::with_token(server, "/me", &key.token(&claims(&issuer, json!({})))).status, 200);
    assert_eq!((issuer.discoveries(), issuer.fetches()), (0, 1));
}
