//! What came of a request, without a word of an answer that was good.

use reqwest::Response;
use serde_json::Value;

use super::Call;
use crate::error;
use machine::http::Lost;
use model::outcome::Failure;

/// Why an attempt came to nothing.
pub(super) enum Refused {
    /// It cannot even be sent.
    Before(anyhow::Error),
    /// No answer came.
    Lost(Lost),
    /// The service's own words, or those of a proxy.
    Said { status: u16, code: Option<String>, message: String, date: Option<String>, body: String, repeated: bool },
}

impl Refused {
    /// Whether the same request may succeed in a moment.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Before(_) => false,
            Self::Lost(_) => true,
            Self::Said { status, code, .. } => {
                let code = code.as_deref().unwrap_or_default();
                *status >= 500 || *status == 429 || error::is_busy(code) || error::is_broken(code)
            }
        }
    }

    pub(super) fn into_failure(self, call: Call<'_>) -> Failure {
        let Call { action, resource, .. } = call;
        match self {
            Self::Before(error) => match error::lacking_credentials(error.as_ref()) {
                Some(reason) => error::unsigned(action, resource, error::chain(reason)),
                None => error::unanswered(action, resource, error::chain(error.as_ref())),
            },
            Self::Lost(error) => error::unanswered(action, resource, error.to_string()),
            Self::Said { status, code, message, date, body, repeated } => {
                let (code, date) = (code.as_deref(), date.as_deref());
                let answer = error::Answer { status, code, message: &message, date, body: &body, repeated };
                answer.into_failure(action, resource)
            }
        }
    }
}

/// The text of the first element of this name. The answers have no attributes there and no entities that matter.
pub fn tag<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
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
    let unclear = |_| error::unclear(call.action, call.resource, "the answer is not JSON".to_owned());
    serde_json::from_str(answer).map_err(unclear)
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
