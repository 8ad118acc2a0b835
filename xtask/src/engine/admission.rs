//! What an image must be before a stack gets it: attested where the environment demands that, and without findings that
//! keep it out. An image that runs already is not asked again, nor is one that a failed release goes back to.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use aws_sdk_ecr::Client;
use config::deployment::{Environment, Severity};
use tokio::time::Instant;

use super::{Operation, ReleaseOptions};
use crate::attest;
use crate::session::Session;
use aws::ecr::scan;
use local::ui::Phase;
use model::outcome::{Exit, Failure, FailureKind};
use model::reference::{Digest, ImageReference};
use model::scan::{Finding, Scan};

/// How long a scan may take: ECR begins it with the push, and the images are small.
const TIMEOUT: Duration = Duration::from_secs(180);
/// How long a scan may take to begin.
const GRACE: Duration = Duration::from_secs(15);
/// Pause between two reads of a scan that goes on.
const PAUSE: Duration = Duration::from_secs(3);
/// Findings that a refusal lists; the rest is counted.
const SHOWN: usize = 10;

impl Operation<'_> {
    /// Refuses an image that the environment does not take. What a plan has begun already is only followed, and not asked.
    ///
    /// # Errors
    /// A refusal with everything that is wrong with it, or what registry and AWS say.
    pub(crate) async fn admit(&self) -> Result<()> {
        let (Some(image), Some(ReleaseOptions { proof, .. })) = (&self.desired.image, &self.release) else {
            return Ok(());
        };
        let candidate = Candidate {
            environment: self.desired.environment,
            image,
            registry: proof.registry.as_deref(),
            allowed: &self.conduct.allow_finding,
        };
        let context = self.session.context;
        context.interrupt.or(candidate.admit(self.session)).await
    }
}

/// An image that an environment is to run.
pub(crate) struct Candidate<'a> {
    pub(crate) environment: &'a Environment,
    /// By digest; an image without one is refused where it has to be checked.
    pub(crate) image: &'a ImageReference,
    /// The registry's real host, where the repository's own URI leads nowhere.
    pub(crate) registry: Option<&'a str>,
    /// Findings that keep nothing out.
    pub(crate) allowed: &'a [String],
}

/// What does not keep an image out.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    Fine(String),
    /// Nothing is known of it, of which the user is warned.
    Unknown(String),
}

impl Candidate<'_> {
    /// Looks at the image, and notes in the result what was seen.
    ///
    /// # Errors
    /// As for [`Operation::admit`].
    pub(crate) async fn admit(&self, session: &Session<'_>) -> Result<()> {
        let Session { context, clients, ui, .. } = session;
        let Self { environment, image, .. } = self;
        if !environment.attested && environment.block_severity.is_none() {
            return Ok(());
        }
        let digest = image.digest.as_ref().ok_or_else(|| {
            Failure::new(
                Exit::Preflight,
                FailureKind::Image,
                "the image has no digest, so that nothing of it can be checked",
            )
            .resource(image.to_string())
            .hint("name it by digest: HOST/REPOSITORY@sha256:…")
        })?;
        if environment.attested {
            let phase = ui.phase("verify");
            let registry = attest::environment_registry(session, image, self.registry).await?;
            let attestations = attest::require_valid(context, &registry, image, digest).await?;
            ui.note(|report| report.attestations = Some(attestations));
            phase.done("SBOM and provenance are as expected");
        }
        let Some(severity) = environment.block_severity else { return Ok(()) };
        let phase = ui.phase("scan");
        let scan = self.scan(&clients.ecr, digest, &phase).await;
        if let Ok(Scan::Findings(findings)) = &scan {
            ui.note(|report| report.findings = Some(findings.clone()));
        }
        match self.judge(scan, digest, severity)? {
            Judged::Fine(what) => phase.done(&what),
            Judged::Unknown(warning) => {
                phase.skipped("nothing is known");
                ui.warn(&warning);
            }
        }
        Ok(())
    }

    /// The findings, once there are any to be known.
    async fn scan(&self, client: &Client, digest: &Digest, phase: &Phase<'_>) -> Result<Scan> {
        let begun = Instant::now();
        loop {
            let scan = scan::findings(client, &self.image.repository, digest.as_str()).await?;
            let timeout = match scan {
                Scan::Pending => TIMEOUT,
                // Of an image that was pushed a moment ago, the scan need not have begun.
                Scan::Missing => GRACE,
                _ => return Ok(scan),
            };
            if begun.elapsed() >= timeout {
                return Ok(scan);
            }
            phase.doing("the image is being scanned");
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn judge(&self, scan: Result<Scan>, digest: &Digest, severity: Severity) -> Result<Judged> {
        let Self { environment, image, .. } = self;
        let (region, repository, name) = (&environment.region, &image.repository, &environment.name);
        let off = format!("block_severity = \"none\" in [environments.{name}] of deploy.toml lets every image pass");
        let refuse = |message: &str, reason: String, next: &str| {
            let hint = format!("{next}; {off}");
            Failure::new(Exit::Preflight, FailureKind::Scan, message)
                .resource(image.to_string())
                .reason(reason)
                .hint(hint)
        };
        let scan_again = if image.host.contains(".dkr.ecr.") {
            format!(
                "aws ecr start-image-scan --region {region} --repository-name {repository} --image-id imageDigest={digest}"
            )
        } else {
            "push it to ECR, which scans it".to_owned()
        };
        match scan {
            Ok(Scan::Findings(findings)) => self.judge_findings(&findings, severity),
            // An image without an operating system has no packages that basic scanning knows.
            Ok(Scan::Unsupported(words)) => {
                Ok(Judged::Fine(format!("ECR's scanner does not support the image: {words}")))
            }
            Ok(other) if environment.endpoint.is_some() => {
                Ok(Judged::Unknown(format!("the emulator has no result of a scan of the image: {}", no_result(&other))))
            }
            Ok(Scan::Pending) => {
                let next = "release again in some minutes";
                Err(refuse("the scan of the image takes too long", no_result(&Scan::Pending), next).into())
            }
            Ok(other) => {
                Err(refuse("the vulnerabilities of the image are not known", no_result(&other), &scan_again).into())
            }
            Err(error) if environment.endpoint.is_some() => {
                Ok(Judged::Unknown(format!("the emulator does not scan images: {}", Failure::of(&error))))
            }
            Err(error) => Err(error),
        }
    }

    fn judge_findings(&self, findings: &[Finding], severity: Severity) -> Result<Judged> {
        let Self { environment, image, allowed, .. } = self;
        let bar = model::scan::Severity::of(severity.word());
        let (excused, blocking): (Vec<&Finding>, Vec<&Finding>) =
            findings.iter().filter(|one| one.severity >= bar).partition(|one| allowed.contains(&one.name));
        if blocking.is_empty() {
            let excused = if excused.is_empty() { String::new() } else { format!(", {} allowed", excused.len()) };
            return Ok(Judged::Fine(format!("findings: {}{excused}", model::scan::severity_counts(findings))));
        }
        let mut lines: Vec<String> = blocking.iter().take(SHOWN).map(|finding| line(finding)).collect();
        if blocking.len() > SHOWN {
            lines.push(format!("and {} more", blocking.len() - SHOWN));
        }
        let names: BTreeSet<&str> = blocking.iter().map(|finding| finding.name.as_str()).collect();
        let first = names.first().copied().unwrap_or_default();
        let message = format!(
            "the image has {} of severity {} or above, which {} does not take",
            if blocking.len() == 1 { "a finding".to_owned() } else { format!("{} findings", blocking.len()) },
            severity.word(),
            environment.name
        );
        Err(Failure::new(Exit::Preflight, FailureKind::Scan, message)
            .resource(image.to_string())
            .reason(lines.join("\n"))
            .hint(format!("fix them and release again; --allow-finding {first} accepts one after a review"))
            .into())
    }
}

/// Why a scan has no result.
fn no_result(scan: &Scan) -> String {
    match scan {
        Scan::Failed(words) | Scan::Unsupported(words) => words.clone(),
        Scan::Pending => format!("it has not ended within {} s", TIMEOUT.as_secs()),
        Scan::Missing => "ECR has no scan of it".to_owned(),
        Scan::Findings(findings) => format!("findings: {}", model::scan::severity_counts(findings)),
    }
}

fn line(finding: &Finding) -> String {
    let Finding { name, severity, package, version, .. } = finding;
    let of = [package.as_deref(), version.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
    let of = if of.is_empty() { String::new() } else { format!(" in {of}") };
    format!("{name}, {}{of}", severity.word())
}

#[cfg(test)]
mod tests;
