//! GitHub as a job meets it: tokens that say whose job it is, comments and releases.

use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use wiremock::matchers::{bearer_token, method, path, path_regex, query_param};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

pub(super) const REPOSITORY: &str = "octo/shop";
/// What a job shows when it asks for its token, and what it uses the API with.
pub(super) const BEARER: &str = "the job's own bearer";
pub(super) const TOKEN: &str = "ghs_the_jobs_token";

/// What was published.
#[derive(Debug, Default)]
struct Published {
    comments: Vec<Value>,
    releases: Vec<Value>,
}

pub(super) struct GitHub {
    server: MockServer,
    runtime: Runtime,
    subject: Arc<Mutex<String>>,
    published: Arc<Mutex<Published>>,
    /// How CI ended for every commit.
    ci: Arc<Mutex<&'static str>>,
    /// The state of the pull request.
    state: Arc<Mutex<&'static str>>,
}

impl GitHub {
    pub(super) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let server = runtime.block_on(MockServer::start());
        let github = Self {
            server,
            runtime,
            subject: Arc::default(),
            published: Arc::default(),
            ci: Arc::new(Mutex::new("success")),
            state: Arc::new(Mutex::new("open")),
        };
        github.give_tokens();
        github.take_comments();
        github.take_releases();
        github.show_ci();
        github.show_pull_request();
        Ok(github)
    }

    pub(super) fn address(&self) -> String {
        self.server.uri()
    }

    /// Whose job it is that asks next: the end of `sub`, such as `environment:dev`.
    pub(super) fn runs_for(&self, whom: &str) -> Result<()> {
        *self.subject.lock().ok().context("nobody panics")? = format!("repo:{REPOSITORY}:{whom}");
        Ok(())
    }

    /// From now on CI has ended so, for every commit.
    pub(super) fn ci_ends(&self, conclusion: &'static str) {
        *self.ci.lock().expect("nobody panics") = conclusion;
    }

    /// From now on the pull request is in this state.
    pub(super) fn pull_request_is(&self, state: &'static str) {
        *self.state.lock().expect("nobody panics") = state;
    }

    /// The texts of the pull request's comments.
    pub(super) fn comments(&self) -> Vec<String> {
        let published = self.published.lock().expect("nobody panics");
        published.comments.iter().filter_map(|comment| Some(comment["body"].as_str()?.to_owned())).collect()
    }

    /// Tag and notes of each release.
    pub(super) fn releases(&self) -> Vec<(String, String)> {
        let published = self.published.lock().expect("nobody panics");
        let text = |release: &Value, key: &str| release[key].as_str().unwrap_or_default().to_owned();
        published.releases.iter().map(|release| (text(release, "tag_name"), text(release, "body"))).collect()
    }

    fn on(&self, mock: wiremock::MockBuilder, answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static) {
        self.runtime.block_on(mock.respond_with(answer).mount(&self.server));
    }

    fn give_tokens(&self) {
        let subject = Arc::clone(&self.subject);
        let asked = Mock::given(method("GET")).and(path("/token")).and(bearer_token(BEARER));
        self.on(asked.and(query_param("audience", "sts.amazonaws.com")), move |_| {
            let claims = json!({
                "iss": "https://token.actions.githubusercontent.com",
                "aud": "sts.amazonaws.com",
                "sub": *subject.lock().expect("nobody panics"),
            });
            let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
            ResponseTemplate::new(200).set_body_json(json!({"value": token}))
        });
    }

    fn take_comments(&self) {
        let list = format!("/repos/{REPOSITORY}/issues/12/comments");
        let published = Arc::clone(&self.published);
        self.on(Mock::given(method("GET")).and(path(&list)).and(bearer_token(TOKEN)), move |_| {
            ResponseTemplate::new(200).set_body_json(&published.lock().expect("nobody panics").comments)
        });
        let published = Arc::clone(&self.published);
        self.on(Mock::given(method("POST")).and(path(&list)).and(bearer_token(TOKEN)), move |request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let comments = &mut published.lock().expect("nobody panics").comments;
            let id = comments.len() + 1;
            let comment =
                json!({"id": id, "user": {"type": "Bot"}, "body": body["body"], "html_url": "https://g.example/c"});
            comments.push(comment.clone());
            ResponseTemplate::new(201).set_body_json(comment)
        });
        let published = Arc::clone(&self.published);
        let one = path_regex(format!("^/repos/{REPOSITORY}/issues/comments/[0-9]+$"));
        self.on(Mock::given(method("PATCH")).and(one).and(bearer_token(TOKEN)), move |request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let id = request.url.path().rsplit('/').next().and_then(|id| id.parse::<usize>().ok()).unwrap_or_default();
            let comments = &mut published.lock().expect("nobody panics").comments;
            let Some(comment) = comments.get_mut(id.wrapping_sub(1)) else { return ResponseTemplate::new(404) };
            comment["body"] = body["body"].clone();
            ResponseTemplate::new(200).set_body_json(&*comment)
        });
    }

    /// The runs of CI: a pull request's, which is newer and of another commit's tree, and that of the push.
    fn show_ci(&self) {
        let ci = Arc::clone(&self.ci);
        let runs = path(format!("/repos/{REPOSITORY}/actions/workflows/ci.yml/runs"));
        self.on(Mock::given(method("GET")).and(runs).and(bearer_token(TOKEN)), move |request| {
            let commit =
                request.url.query_pairs().find(|(name, _)| name == "head_sha").map(|(_, sha)| sha.into_owned());
            let run = |number: u32, event: &str, conclusion: &str| {
                json!({"run_number": number, "event": event, "head_sha": commit, "status": "completed",
                       "conclusion": conclusion, "html_url": "https://g.example/ci"})
            };
            let push = *ci.lock().expect("nobody panics");
            let other = if push == "success" { "failure" } else { "success" };
            let runs = [run(8, "pull_request", other), run(7, "push", push), run(6, "push", other)];
            ResponseTemplate::new(200).set_body_json(json!({"workflow_runs": runs}))
        });
    }

    fn show_pull_request(&self) {
        let state = Arc::clone(&self.state);
        let one = path(format!("/repos/{REPOSITORY}/pulls/12"));
        self.on(Mock::given(method("GET")).and(one).and(bearer_token(TOKEN)), move |_| {
            let state = *state.lock().expect("nobody panics");
            ResponseTemplate::new(200).set_body_json(json!({"state": state, "labels": [{"name": "preview"}]}))
        });
    }

    fn take_releases(&self) {
        let tags = path_regex(format!("^/repos/{REPOSITORY}/releases/tags/.+$"));
        self.on(Mock::given(method("GET")).and(tags).and(bearer_token(TOKEN)), |_| {
            ResponseTemplate::new(404).set_body_json(json!({"message": "Not Found"}))
        });
        let published = Arc::clone(&self.published);
        let list = path(format!("/repos/{REPOSITORY}/releases"));
        self.on(Mock::given(method("POST")).and(list).and(bearer_token(TOKEN)), move |request| {
            let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            published.lock().expect("nobody panics").releases.push(body);
            ResponseTemplate::new(201).set_body_json(json!({"html_url": "https://g.example/r"}))
        });
    }
}
