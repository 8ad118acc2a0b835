//! GitHub's REST API for pipelines: comments on pull requests, and releases of the repository
//! (<https://docs.github.com/en/rest>).

use std::collections::BTreeMap;

use std::time::Duration;

use backon::Retryable as _;
use reqwest::{Method, RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use machine::http::{self, Client, Http, quote};
use model::job::{needed, repository, set};
use model::outcome::{Exit, Failure, FailureKind};

/// The API version.
const VERSION: &str = "2022-11-28";
const ATTEMPTS: usize = 4;
const BACK_OFF: Duration = Duration::from_millis(500);
/// Longest response that is read.
const MAX_ANSWER: usize = 32 * 1024 * 1024;
/// GitHub's maximum of entries on a page.
const PAGE: usize = 100;
/// GitHub takes 65,536 characters in a comment.
const LONGEST: usize = 65_000;

/// The number of the pull request that started the job, from the event's file.
pub(crate) fn pull_request(vars: &BTreeMap<String, String>) -> Option<u64> {
    let event = std::fs::read_to_string(set(vars, "GITHUB_EVENT_PATH")?).ok()?;
    let event: serde_json::Value = serde_json::from_str(&event).ok()?;
    event["pull_request"]["number"].as_u64()
}

/// A repository's API, with the job's token.
pub(crate) struct Api {
    base: String,
    token: SecretString,
    http: Client,
}

/// A comment or release as it was posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Posted {
    /// The page that shows it.
    pub(crate) url: String,
    pub(crate) updated: bool,
}

/// A release of the repository.
#[derive(Debug)]
pub(crate) struct GithubRelease<'a> {
    pub(crate) tag: &'a str,
    pub(crate) notes: &'a str,
    pub(crate) prerelease: bool,
}

impl Api {
    /// The API of the job's repository.
    ///
    /// # Errors
    /// A variable is not set.
    pub(crate) fn of(vars: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let repository = repository(vars)?;
        let token = SecretString::from(needed(vars, "GITHUB_TOKEN")?.to_owned());
        let root = set(vars, "GITHUB_API_URL").unwrap_or("https://api.github.com").trim_end_matches('/');
        let base = format!("{root}/repos/{}/{}", repository.owner, repository.name);
        let http = Http::of(vars)?.client(|builder| builder)?;
        Ok(Self { base, token, http })
    }

    /// Creates or updates the comment of a pull request that begins with `mark`.
    ///
    /// # Errors
    /// A call to GitHub fails.
    pub(crate) async fn comment(&self, pull_request: u64, mark: &str, text: &str) -> Result<Posted, Failure> {
        let list = format!("issues/{pull_request}/comments");
        let found = self.find(&list, |comment| {
            // Anybody can write the mark; only a bot's comment is updated.
            comment["user"]["type"] == "Bot" && comment["body"].as_str().is_some_and(|body| body.starts_with(mark))
        });
        let body = json!({"body": format!("{mark}\n{}", shortened(text))});
        let (answer, updated) = match found.await? {
            Some(id) => (self.request(Method::PATCH, &format!("issues/comments/{id}"), Some(&body)).await?, true),
            None => (self.request(Method::POST, &list, Some(&body)).await?, false),
        };
        Ok(Posted { url: text_of(&answer, "html_url"), updated })
    }

    /// Whether a pull request is open and has the label.
    ///
    /// # Errors
    /// A call to GitHub fails, or there is no such pull request.
    pub(crate) async fn is_open_with(&self, pull_request: u64, label: &str) -> Result<bool, Failure> {
        let answer = self.request(Method::GET, &format!("pulls/{pull_request}"), None).await?;
        let labels = answer["labels"].as_array().map(Vec::as_slice);
        match (answer["state"].as_str(), labels) {
            (Some("closed"), _) => Ok(false),
            (Some("open"), Some(labels)) => Ok(labels.iter().any(|one| one["name"] == label)),
            (state, _) => Err(refused(FailureKind::Github)
                .resource(format!("pull request {pull_request}"))
                .reason(format!("its state is {state:?}, or its labels are missing"))
                .hint("repeat the command in a few minutes; https://www.githubstatus.com")),
        }
    }

    /// Creates or updates the release of a tag.
    ///
    /// # Errors
    /// A call to GitHub fails.
    pub(crate) async fn release(&self, release: &GithubRelease<'_>) -> Result<Posted, Failure> {
        let GithubRelease { tag, notes, prerelease } = *release;
        let found = match self.request(Method::GET, &format!("releases/tags/{tag}"), None).await {
            Ok(found) => found["id"].as_u64(),
            Err(failure) if failure.kind == FailureKind::Missing => None,
            Err(failure) => return Err(failure),
        };
        let body = json!({"tag_name": tag, "name": tag, "body": notes, "prerelease": prerelease});
        let (answer, updated) = match found {
            Some(id) => (self.request(Method::PATCH, &format!("releases/{id}"), Some(&body)).await?, true),
            None => (self.request(Method::POST, "releases", Some(&body)).await?, false),
        };
        Ok(Posted { url: text_of(&answer, "html_url"), updated })
    }

    /// The id of the first entry of a list that matches.
    async fn find(&self, list: &str, matches: impl Fn(&Value) -> bool) -> Result<Option<u64>, Failure> {
        for page in 1.. {
            let answer = self.request(Method::GET, &format!("{list}?per_page={PAGE}&page={page}"), None).await?;
            let all = answer.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(found) = all.iter().find(|entry| matches(entry)) {
                return Ok(found["id"].as_u64());
            }
            if all.len() < PAGE {
                break;
            }
        }
        Ok(None)
    }

    /// Sends a request and repeats it after failures that may pass. A POST is repeated only if GitHub did not process it.
    async fn request(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
        let attempt = || {
            let request = self.http.request(method.clone(), format!("{}/{path}", self.base));
            self.send_once(request, body, &method)
        };
        let may_pass = |(_, may_pass): &(Failure, bool)| *may_pass;
        let answer = attempt.retry(http::retries(ATTEMPTS, BACK_OFF)).when(may_pass).await;
        answer.map_err(|(failure, _)| failure.resource(format!("{method} {}/{path}", self.base)))
    }

    async fn send_once(
        &self,
        request: RequestBuilder,
        body: Option<&Value>,
        method: &Method,
    ) -> Result<Value, (Failure, bool)> {
        let request = request
            .bearer_auth(self.token.expose_secret())
            .header("accept", "application/vnd.github+json")
            .header("x-github-api-version", VERSION);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = self.http.send(request).await.map_err(|lost| {
            let may_repeat = lost.unsent || *method != Method::POST;
            let hint = "check the network and the proxy (HTTPS_PROXY, NO_PROXY)";
            (refused(FailureKind::Unreachable).reason(lost.to_string()).hint(hint), may_repeat)
        })?;
        let status = answer.status();
        let limited = status == StatusCode::TOO_MANY_REQUESTS || answer.headers().contains_key("retry-after");
        let body = http::body(answer, MAX_ANSWER).await;
        let body = body.map_err(|lost| (refused(FailureKind::Unreachable).reason(lost.to_string()), false))?;
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status.is_success() {
            return Ok(json);
        }
        let said =
            json["message"].as_str().map_or_else(|| quote::excerpt(&String::from_utf8_lossy(&body)), str::to_owned);
        let failure = match status {
            StatusCode::NOT_FOUND => refused(FailureKind::Missing).hint("check the repository and the number"),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => refused(FailureKind::Denied).hint(
                "give the job the permission: `pull-requests: write` for comments, `pull-requests: read` for `sweep`, \
                 `contents: write` for releases; a pull request from a fork never may write",
            ),
            status if limited || status.is_server_error() => {
                refused(FailureKind::Github).hint("repeat the command in a few minutes; https://www.githubstatus.com")
            }
            _ => refused(FailureKind::Github).hint("fix what GitHub reports, then repeat the command"),
        };
        Err((
            failure.reason(format!("{status}: {said}")),
            limited || status.is_server_error() && *method != Method::POST,
        ))
    }
}

fn refused(kind: FailureKind) -> Failure {
    Failure::new(Exit::Failed, kind, "the request to GitHub failed")
}

fn text_of(answer: &Value, key: &str) -> String {
    answer[key].as_str().unwrap_or_default().to_owned()
}

/// The text, cut after a whole line to a comment's maximum length.
fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let mut short = String::new();
    for line in text.split_inclusive('\n').take_while(|line| line.len() < LONGEST) {
        if short.len() + line.len() > LONGEST {
            break;
        }
        short.push_str(line);
    }
    short + "\n\nThe rest is too long for a comment; see the run's summary.\n"
}

#[cfg(test)]
mod tests;
