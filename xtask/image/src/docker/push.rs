//! Pushes an image to a registry and reads back its digest.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use backon::Retryable;
use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::models::PushImageInfo;
use bollard::query_parameters::{PushImageOptionsBuilder, TagImageOptionsBuilder};
use secrecy::ExposeSecret;

use super::call::{self, CHANGE, LOOKUP, within};
use super::megabytes;
use machine::http;
use model::credentials::Credentials;
use model::outcome::{Exit, Failure, FailureKind};
use model::progress::{Progress, Reporter};
use model::reference::{Digest, ImageReference};

/// Attempts, where the registry refuses at once.
const TRIES: usize = 3;
/// The first pause between two attempts.
const PAUSE: Duration = Duration::from_secs(1);

/// Why engine or registry did not do it.
#[derive(Debug)]
struct PushError {
    reason: String,
    /// The engine itself has retried several times.
    retried: bool,
}

/// What a push transferred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Bytes of the layers sent, as the engine counts; layers of the same size count once.
    pub bytes: u64,
    pub layers: usize,
    pub layers_present: usize,
}

/// Tags `source` as `target` and pushes it.
///
/// # Errors
/// An engine or registry that fails, also in the middle of the stream.
pub async fn push(
    docker: &Docker,
    source: &str,
    target: &ImageReference,
    credentials: &Credentials,
    report: Reporter<'_>,
) -> Result<Pushed> {
    let tag = target.tag.as_deref().context("a push needs a tag")?;
    let options = TagImageOptionsBuilder::default().repo(&target.name()).tag(tag).build();
    within(CHANGE, docker.tag_image(source, Some(options)))
        .await
        .map_err(|error| push_failure(target, error.reason))?;
    let attempt = || push_once(docker, target, tag, credentials, report);
    let again = |refused: &PushError, _| report(Progress::Doing(&format!("trying again: {}", refused.reason)));
    let pushed = attempt.retry(http::retries(TRIES, PAUSE)).when(PushError::may_succeed).notify(again).await;
    pushed.map_err(|refused| push_failure(target, refused.reason).into())
}

/// One push.
async fn push_once(
    docker: &Docker,
    target: &ImageReference,
    tag: &str,
    credentials: &Credentials,
    report: Reporter<'_>,
) -> Result<Pushed, PushError> {
    let options = PushImageOptionsBuilder::default().tag(tag).build();
    let stream = docker.push_image(&target.name(), Some(options), Some(docker_credentials(target, credentials)));
    let mut stream = Box::pin(stream);
    let mut progress = Pushing::default();
    // The stream is read to its end: a registry's refusal arrives inside it, after the layers.
    let mut refused = None;
    report(Progress::Doing(&format!("pushing {target}")));
    while let Some(info) = call::next(&mut stream, &format!("pushing {target}"), report).await {
        match info {
            Ok(info) => progress.take(&info, report),
            Err(error) if error.is_silence() => return Err(PushError { reason: error.reason, retried: true }),
            Err(error) => refused = refused.or(Some(error.reason)),
        }
    }
    match refused {
        Some(reason) => Err(PushError { reason, retried: progress.retried }),
        None => Ok(progress.pushed()),
    }
}

impl PushError {
    /// Whether our own retry may succeed after the engine's own retries: it may if the engine was not logged in.
    fn may_succeed(&self) -> bool {
        let not_logged_in = self.reason.to_lowercase().contains("authentication required");
        (not_logged_in || !self.retried) && may_succeed(&self.reason)
    }
}

/// Whether a retry may succeed. An engine whose first request was refused does not log in, and then reports
/// `unauthorized` whatever the credentials are.
fn may_succeed(reason: &str) -> bool {
    let lower = reason.to_lowercase();
    let permanent =
        ["denied", "no basic auth", "immutable", "already exists", "not found", "does not exist", "name unknown"];
    !permanent.iter().any(|words| lower.contains(words)) && !names_expiry(reason) && call::engine_hint(reason).is_none()
}

/// The digest that `target` has in the registry, as the engine reads it.
///
/// # Errors
/// An engine or registry that fails.
pub async fn registry_digest(docker: &Docker, target: &ImageReference, credentials: &Credentials) -> Result<Digest> {
    let name = target.to_string();
    let attempt = || async {
        let asked = docker.inspect_registry_image(&name, Some(docker_credentials(target, credentials)));
        let refused = |reason| PushError { reason: format!("its digest cannot be read: {reason}"), retried: false };
        within(LOOKUP, asked).await.map_err(|error| refused(error.reason))
    };
    let inspected = attempt.retry(http::retries(TRIES, PAUSE)).when(PushError::may_succeed).await;
    let inspected = inspected.map_err(|refused| push_failure(target, refused.reason))?;
    let digest = inspected.descriptor.digest.unwrap_or_default();
    digest
        .parse()
        .map_err(|reason| push_failure(target, format!("the registry answered digest {digest:?}: {reason}")).into())
}

fn docker_credentials(target: &ImageReference, credentials: &Credentials) -> DockerCredentials {
    DockerCredentials {
        username: Some(credentials.user.clone()),
        password: Some(credentials.password.expose_secret().to_owned()),
        serveraddress: Some(target.host.clone()),
        ..DockerCredentials::default()
    }
}

/// The registry's tags are immutable and this one exists already: another push was faster.
pub fn is_tag_taken(error: &anyhow::Error) -> bool {
    let reason = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).and_then(|f| f.reason.as_deref());
    reason.is_some_and(|reason| reason.contains("already exists") || reason.contains("immutable"))
}

/// The registry's password has expired; a new one helps.
pub fn is_expired(error: &anyhow::Error) -> bool {
    let reason = error.chain().find_map(|cause| cause.downcast_ref::<Failure>()).and_then(|f| f.reason.as_deref());
    reason.is_some_and(names_expiry)
}

/// ECR's message: `Your authorization token has expired. Reauthenticate and try again.`
/// (<https://docs.aws.amazon.com/AmazonECR/latest/userguide/common-errors-docker.html>).
fn names_expiry(reason: &str) -> bool {
    let lower = reason.to_lowercase();
    lower.contains("expired") && lower.contains("token")
}

fn push_failure(target: &ImageReference, reason: String) -> Failure {
    let lower = reason.to_lowercase();
    let denied = ["unauthorized", "denied", "no basic auth", "authentication", "401", "403"];
    let hint = if let Some(hint) = call::engine_hint(&reason) {
        hint
    } else if names_expiry(&reason) {
        "the registry refuses a new token, too: check the clocks of this machine and of the engine's"
    } else if denied.iter().any(|word| lower.contains(word)) {
        "the registry refused the credentials: check who may push there (ecr:PutImage and the upload actions on AWS)"
    } else if lower.contains("not found") || lower.contains("does not exist") || lower.contains("name unknown") {
        "check the repository's name in deploy.toml ([service] name) and the region"
    } else {
        "check that the engine reaches the registry; a registry without TLS must be on loopback or be listed in the \
         engine's insecure-registries"
    };
    Failure::new(Exit::Failed, FailureKind::Push, "the registry did not take the image")
        .resource(target.to_string())
        .reason(reason)
        .hint(hint)
}

/// Per-layer progress.
///
/// The engine's messages arrive without the layer's id, so that layers are distinguished by their size.
#[derive(Debug, Default)]
struct Pushing {
    /// Bytes sent by the layer's total size, which is 0 where the engine does not know it.
    layers: BTreeMap<u64, u64>,
    pushed: usize,
    present: usize,
    /// The engine has started a layer again.
    retried: bool,
}

impl Pushing {
    fn take(&mut self, info: &PushImageInfo, report: Reporter<'_>) {
        let count = |number: Option<i64>| number.and_then(|number| u64::try_from(number).ok()).unwrap_or_default();
        match info.status.as_deref() {
            Some("Pushing") => {
                let detail = info.progress_detail.clone().unwrap_or_default();
                self.layers.insert(count(detail.total), count(detail.current));
                report(Progress::Doing(&self.show()));
            }
            Some("Pushed") => {
                self.pushed += 1;
                report(Progress::Doing(&self.show()));
            }
            Some("Layer already exists") => self.present += 1,
            Some(status) if status.starts_with("Mounted from") => self.present += 1,
            Some(status) if status.starts_with("Retrying in") => self.retried = true,
            _ => {}
        }
    }

    fn show(&self) -> String {
        let layers = self.layers.iter().map(|(total, sent)| format!("{}/{}", megabytes(*sent), megabytes(*total)));
        let layers: Vec<String> = layers.collect();
        format!("{} layers pushed, {} present; {}", self.pushed, self.present, layers.join("  "))
    }

    fn pushed(&self) -> Pushed {
        let sizes = self.layers.iter().map(|(total, sent)| if *total == 0 { *sent } else { *total });
        let bytes = if self.pushed == 0 { 0 } else { sizes.sum() };
        Pushed { bytes, layers: self.pushed, layers_present: self.present }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permanent_refusal_is_not_retried() {
        for reason in [
            "denied: not authorized to perform: ecr:InitiateLayerUpload",
            "no basic auth credentials",
            "tag invalid: the image tag already exists and the repository is immutable",
            "name unknown: the repository does not exist",
        ] {
            assert!(!may_succeed(reason), "{reason}");
        }
        let refused = |reason: &str, retried| PushError { reason: reason.to_owned(), retried };
        assert!(!refused("toomanyrequests: Rate exceeded", true).may_succeed(), "the engine has retried often enough");
        assert!(refused("unauthorized: authentication required", true).may_succeed(), "it was not logged in");
        let expired = "denied: Your authorization token has expired. Reauthenticate and try again.";
        for (reason, words) in [(expired, true), ("unauthorized: The token has expired", true), ("denied", false)] {
            let target = ImageReference::tagged("r.example", "api", "1");
            let error = push_failure(&target, reason.to_owned()).into();
            assert_eq!((is_expired(&error), may_succeed(reason)), (words, false), "{reason}");
        }
        assert!(!may_succeed("write /var/lib/docker/tmp/x: no space left on device"));
        for reason in ["toomanyrequests: Rate exceeded", "received unexpected HTTP status: 500", "EOF"] {
            assert!(may_succeed(reason), "{reason}");
        }
    }
}
