//! The claims of a pipeline's token, and their comparison with the expected ones.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Repository;
use crate::policy::Level;

/// A token's claims.
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

/// Whether one claim is as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimCheck {
    pub claim: &'static str,
    pub fits: bool,
    pub expected: String,
    pub found: String,
    /// What to do if it is not.
    pub fix: Option<String>,
}

impl Claims {
    /// Reads the claims of a token, bare or in GitHub's response (`{"value": "…"}`).
    ///
    /// # Errors
    /// What is wrong with its form; never any of its text.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let response: Option<Value> = serde_json::from_str(text).ok();
        let token = response.as_ref().and_then(|json| json["value"].as_str()).unwrap_or(text);
        let parts: Vec<&str> = token.split('.').collect();
        let [_, payload, _] = parts[..] else { return Err("a token has three parts with dots between them") };
        let payload = payload.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(payload).or_else(|_| STANDARD_NO_PAD.decode(payload));
        let bytes = bytes.map_err(|_| "its second part is not base64")?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| "its second part is no JSON object")
    }

    /// A claim as text; empty if it is missing.
    pub fn text(&self, claim: &str) -> String {
        match self.0.get(claim) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// Whether the claim is one of these, or a list with one of them.
    fn is(&self, claim: &str, expected: &[String]) -> bool {
        match self.0.get(claim) {
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).any(|value| expected.iter().any(|one| one == value))
            }
            _ => expected.contains(&self.text(claim)),
        }
    }

    /// The command that makes the role trust this token's pipeline, and its workflow if only one is trusted.
    pub(super) fn command(&self, name: &str, level: Level, workflow: bool) -> Option<String> {
        let repository = self.text("repository");
        repository.parse::<Repository>().ok()?;
        let mut command = format!("cargo xtask bootstrap {name} --github {repository}");
        for (flag, claim) in [
            ("--github-id", "repository_id"),
            ("--owner-id", "repository_owner_id"),
            (if level == Level::Plan { "--plan-environment" } else { "--github-environment" }, "environment"),
        ] {
            let value = self.text(claim);
            if !value.is_empty() {
                command.push_str(&format!(" {flag} {value}"));
            }
        }
        if let Some((_, branch)) = self.text("sub").split_once(":ref:refs/heads/").filter(|_| level == Level::Read) {
            command.push_str(&format!(" --default-branch {branch}"));
        }
        if workflow && let Some((_, file)) = self.text("job_workflow_ref").split_once("/.github/workflows/") {
            command.push_str(&format!(" --github-workflow {file}"));
        }
        Some(command)
    }
}

/// Compares one claim with the expected values.
pub(super) fn compare(
    claim: &'static str,
    expected: &[String],
    claims: &Claims,
    fix: impl FnOnce() -> String,
) -> ClaimCheck {
    let fits = claims.is(claim, expected);
    let found = claims.text(claim);
    let found = if found.is_empty() { "nothing".to_owned() } else { found };
    ClaimCheck { claim, fits, expected: expected.join(" or "), found, fix: (!fits).then(fix) }
}

/// AWS accepts a token until it expires; GitHub's expire after minutes.
pub(super) fn expiry(claims: &Claims, now: i64) -> ClaimCheck {
    let moment = |seconds: i64| {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
        time.unwrap_or_else(|| seconds.to_string())
    };
    let end = claims.0.get("exp").and_then(Value::as_i64);
    let fits = end.is_some_and(|end| end > now);
    ClaimCheck {
        claim: "exp",
        fits,
        expected: format!("later than {}", moment(now)),
        found: end.map_or_else(|| "nothing".to_owned(), moment),
        fix: (!fits).then(|| "request a new token: its other claims are the same within a job".to_owned()),
    }
}
