//! What a pipeline's token says, and whether it fits.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Repository;
use crate::policy::Level;

/// What a token says.
#[derive(Debug, Clone)]
pub struct Claims(Map<String, Value>);

/// Whether one claim fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub claim: &'static str,
    pub fits: bool,
    pub expected: String,
    pub found: String,
    /// What to do where it does not.
    pub fix: Option<String>,
}

impl Claims {
    /// Reads the claims of a token, bare or as GitHub hands it out (`{"value": "…"}`).
    ///
    /// # Errors
    /// What is wrong with its form; never any of its text.
    pub fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        let handed_out: Option<Value> = serde_json::from_str(text).ok();
        let token = handed_out.as_ref().and_then(|json| json["value"].as_str()).unwrap_or(text);
        let parts: Vec<&str> = token.split('.').collect();
        let [_, payload, _] = parts[..] else { return Err("a token has three parts with dots between them") };
        let payload = payload.trim_end_matches('=');
        let bytes = URL_SAFE_NO_PAD.decode(payload).or_else(|_| STANDARD_NO_PAD.decode(payload));
        let bytes = bytes.map_err(|_| "its second part is not base64")?;
        serde_json::from_slice(&bytes).map(Self).map_err(|_| "its second part is no JSON object")
    }

    /// A claim as text; what is not there is empty.
    pub fn text(&self, claim: &str) -> String {
        match self.0.get(claim) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Null) | None => String::new(),
            Some(other) => other.to_string(),
        }
    }

    /// Whether the claim is one of these, or a list that has one of them.
    fn is(&self, claim: &str, expected: &[String]) -> bool {
        match self.0.get(claim) {
            Some(Value::Array(values)) => {
                values.iter().filter_map(Value::as_str).any(|value| expected.iter().any(|one| one == value))
            }
            _ => expected.contains(&self.text(claim)),
        }
    }

    /// The command that has the role trust this very token's pipeline, and its one workflow where only one is trusted.
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

/// Holds one claim against what is expected.
pub(super) fn one(claim: &'static str, expected: &[String], claims: &Claims, fix: impl FnOnce() -> String) -> Finding {
    let fits = claims.is(claim, expected);
    let found = claims.text(claim);
    let found = if found.is_empty() { "nothing".to_owned() } else { found };
    Finding { claim, fits, expected: expected.join(" or "), found, fix: (!fits).then(fix) }
}

/// AWS takes a token until its end, and GitHub's end after minutes.
pub(super) fn expiry(claims: &Claims, now: i64) -> Finding {
    let moment = |seconds: i64| {
        let time = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|time| time.format(&Rfc3339).ok());
        time.unwrap_or_else(|| seconds.to_string())
    };
    let end = claims.0.get("exp").and_then(Value::as_i64);
    let fits = end.is_some_and(|end| end > now);
    Finding {
        claim: "exp",
        fits,
        expected: format!("later than {}", moment(now)),
        found: end.map_or_else(|| "nothing".to_owned(), moment),
        fix: (!fits).then(|| "take a new token; those of the same job say the same otherwise".to_owned()),
    }
}
