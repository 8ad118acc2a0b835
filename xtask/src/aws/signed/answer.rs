//! What came of a request, without a word of an answer that was good.

use reqwest::Response;
use serde_json::Value;

use super::Call;
use crate::aws;
use crate::outcome::{Exit, Failure};

/// Longer answers than this are none of those that are asked for.
const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Why an attempt came to nothing.
pub(super) enum Refused {
    /// It cannot even be sent.
    Before(anyhow::Error),
    /// No answer came.
    Lost(reqwest::Error),
    /// The service's own words.
    Said { status: u16, code: Option<String>, message: String },
}

impl Refused {
    /// Whether the same request may succeed in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Before(_) => false,
            Self::Lost(error) => !error.is_builder(),
            Self::Said { status, code, .. } => {
                let code = code.as_deref().unwrap_or_default();
                *status >= 500 || *status == 429 || aws::is_busy(code) || code.starts_with("RequestTimeout")
            }
        }
    }

    pub(super) fn into_failure(self, call: Call<'_>) -> Failure {
        let failed = |kind, reason: String| {
            Failure::new(Exit::Failed, kind, format!("{} failed", call.action)).resource(call.resource).reason(reason)
        };
        match self {
            Self::Before(error) => failed("aws", aws::chain(error.as_ref())).hint(aws::service_hint(call.action, "")),
            Self::Lost(error) => failed(aws::UNREACHABLE, aws::chain(&error)).hint(aws::UNREACHABLE_HINT),
            Self::Said { status, code, message } => {
                let code = code.unwrap_or_else(|| format!("HTTP {status}"));
                let hint = aws::service_hint(call.action, &code);
                failed("aws", format!("{code}: {message}").trim_end_matches(": ").to_owned()).hint(hint)
            }
        }
    }
}

/// The text of the first element of this name. The answers have no attributes there and no entities that matter.
pub(crate) fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// The answer as JSON; nothing where there is none.
///
/// # Errors
/// Text that is no JSON, without the text.
pub(super) fn read(call: Call<'_>, answer: &str) -> Result<Value, Failure> {
    if answer.trim().is_empty() {
        return Ok(Value::Null);
    }
    // The parser's own words would quote what may be a secret.
    let no_json = |_| Refused::Before(anyhow::anyhow!("the answer is not JSON")).into_failure(call);
    serde_json::from_str(answer).map_err(no_json)
}

/// The body, as far as it is of a length that is expected.
///
/// # Errors
/// A connection that breaks off.
pub(super) async fn text(mut answer: Response) -> Result<String, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_ANSWER {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

/// The code that a REST service puts into a header, `CODE:http://…`.
pub(super) fn error_type(answer: &Response) -> Option<String> {
    let value = answer.headers().get("x-amzn-errortype")?.to_str().ok()?;
    value.split(':').next().map(str::to_owned)
}

/// Code and message of a refusal, in either language.
pub(super) fn said(text: &str) -> (Option<String>, Option<String>) {
    let Ok(body) = serde_json::from_str::<Value>(text) else {
        return (tag(text, "Code").map(str::to_owned), tag(text, "Message").map(str::to_owned));
    };
    let field = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    let code = field(["__type", "code"]).map(|code| code.rsplit('#').next().unwrap_or_default().to_owned());
    (code, field(["message", "Message"]))
}
