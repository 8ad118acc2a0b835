//! What a failed call to AWS means: AWS's code decides, and an answer without one is not AWS's.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::connector::Repeated;
use machine::http::{Lost, quote};
use model::outcome::{AwsClass, AwsError, Exit, Failure, FailureKind};

/// The kind of failure of a call whose answer never came.
const UNREACHABLE: FailureKind = FailureKind::AwsUnreachable;
/// AWS takes signatures of up to five minutes ago.
const TOLERANCE: i64 = 300;

/// AWS's code; empty where AWS has sent none.
pub fn code(failure: &Failure) -> &str {
    failure.aws.as_ref().and_then(|said| said.code.as_deref()).unwrap_or_default()
}

/// Whether AWS asks for a pause.
pub fn is_throttled(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Throttled)
}

/// Whether AWS says that there is no such thing.
pub fn is_missing(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Absent)
}

/// Whether AWS will say the same however often it is asked.
pub fn is_denied(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Denied)
}

/// Whether every further call will be refused, too, until somebody signs in again or corrects the clock.
pub fn is_expired(failure: &Failure) -> bool {
    matches!(class(failure), Some(AwsClass::Expired | AwsClass::Skewed))
}

/// Whether no answer of AWS came, so that nobody knows what became of the call.
pub fn is_lost(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Lost)
}

/// Whether AWS has surely not done what was asked: it said so itself. A proxy's answer, a failure inside AWS and an
/// answer that never came leave that open.
pub fn is_refusal(failure: &Failure) -> bool {
    failure.aws.as_ref().is_some_and(|said| said.refused)
}

fn class(failure: &Failure) -> Option<AwsClass> {
    failure.aws.as_ref().map(|said| said.class)
}

/// Turns an SDK error into a failure that names the action, its object and what AWS said.
pub fn failure<E>(action: &str, resource: &str, error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let raw = context.raw();
            let body = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
            let answer = Answer {
                status: raw.status().as_u16(),
                code: context.err().code(),
                message: context.err().message().unwrap_or_default(),
                date: raw.headers().get("date"),
                body: &body,
                repeated: raw.extension::<Repeated>().is_some(),
            };
            answer.into_failure(action, resource)
        }
        SdkError::ConstructionFailure(_) => {
            let said = said(action, None, AwsClass::Refused);
            plain(FailureKind::Aws, action, resource, chain(error))
                .aws(said)
                .hint("check the values in deploy.toml: they cannot be sent to AWS")
        }
        SdkError::ResponseError(_) => unclear(action, resource, chain(error)),
        _ => match lacking_credentials(error) {
            Some(reason) => unsigned(action, resource, chain(reason)),
            None => unanswered(action, resource, lost(error).map_or_else(|| chain(error), ToString::to_string)),
        },
    }
}

/// An answer that says no.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) code: Option<&'a str>,
    pub(super) message: &'a str,
    /// The header `Date`.
    pub(super) date: Option<&'a str>,
    pub(super) body: &'a str,
    /// Whether it answers another attempt than the first: AWS may have done an earlier one, whose answer was lost.
    pub(super) repeated: bool,
}

impl Answer<'_> {
    pub(super) fn into_failure(self, action: &str, resource: &str) -> Failure {
        let off = self.clock_is_off_by();
        let class = if off.is_some() { AwsClass::Skewed } else { self.class() };
        let text = match self.code {
            Some(code) => format!("{code}: {}", self.message),
            None => format!("HTTP {}: {}", self.status, quote::excerpt(self.body)),
        };
        let text = text.trim_end_matches(": ").to_owned();
        let reason = match off {
            Some(seconds) => format!("this machine's clock is {}; {text}", in_minutes(seconds)),
            None => text,
        };
        let refused = self.code.is_some() && (400..500).contains(&self.status) && class != AwsClass::Lost;
        let said = AwsError { refused: refused && !self.repeated, ..said(action, self.code, class) };
        plain(FailureKind::Aws, action, resource, reason).aws(said).hint(self.hint(action, class))
    }

    fn class(&self) -> AwsClass {
        match self.code {
            None if self.status == 429 => AwsClass::Throttled,
            None => AwsClass::Lost,
            Some(code) if is_busy(code) => AwsClass::Throttled,
            Some(code) if self.status >= 500 || is_broken(code) => AwsClass::Lost,
            Some(code) if is_unaccepted(code) => AwsClass::Expired,
            Some(code) if ["AccessDenied", "Unauthorized", "NotAuthorized"].iter().any(|part| code.contains(part)) => {
                AwsClass::Denied
            }
            Some(code) if code.contains("NotFound") || code.starts_with("NoSuch") => AwsClass::Absent,
            Some(_) => AwsClass::Refused,
        }
    }

    fn hint(&self, action: &str, class: AwsClass) -> String {
        match (class, self.code) {
            (AwsClass::Expired, Some(code)) if code.contains("Signature") => {
                "check the secret access key: it does not belong to the access key".to_owned()
            }
            (AwsClass::Expired, _) => SIGN_IN.to_owned(),
            (AwsClass::Skewed, _) => {
                "correct the clock (on Linux: sudo timedatectl set-ntp true), then repeat the command".to_owned()
            }
            (AwsClass::Denied, _) => format!("allow {action} for this role or user"),
            (AwsClass::Throttled, _) => "AWS throttles this account: wait a minute, then repeat the command".to_owned(),
            (AwsClass::Lost, None) if self.status < 500 => {
                "this answer is not from AWS: check the proxy (HTTPS_PROXY, NO_PROXY) and the endpoint".to_owned()
            }
            (AwsClass::Lost, _) => {
                "AWS, or a proxy on the way to it, has a failure: repeat the command in a few minutes".to_owned()
            }
            (AwsClass::Refused | AwsClass::Absent, _) => {
                "correct what AWS names, then repeat the command; cargo xtask doctor shows what can be checked beforehand"
                    .to_owned()
            }
        }
    }

    /// By how many seconds this machine's clock is ahead, where that is why AWS refuses.
    fn clock_is_off_by(&self) -> Option<i64> {
        let code = self.code?;
        if !matches!(
            code,
            "RequestExpired" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" | "InvalidSignatureException"
        ) {
            return None;
        }
        // AWS names the time of the signature first, and its own last.
        if let [signed, .., now] = times(self.message).as_slice() {
            return Some(signed - now);
        }
        let now = DateTime::from_str(self.date?, Format::HttpDate).ok()?.secs();
        let own = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let off = i64::try_from(own).ok()? - now;
        (off.abs() > TOLERANCE).then_some(off)
    }
}

const SIGN_IN: &str =
    "sign in again (aws sso login, or aws login), then repeat the command: it continues where this one stopped";

/// A call that could not be signed.
pub(super) fn unsigned(action: &str, resource: &str, reason: String) -> Failure {
    plain(FailureKind::Aws, action, resource, reason).aws(said(action, None, AwsClass::Expired)).hint(SIGN_IN)
}

/// A call whose answer never came.
pub(super) fn unanswered(action: &str, resource: &str, reason: String) -> Failure {
    plain(UNREACHABLE, action, resource, reason)
        .aws(said(action, None, AwsClass::Lost))
        .hint("check the network and, with an emulator, that it runs at the endpoint")
}

/// A call whose answer cannot be read.
pub(super) fn unclear(action: &str, resource: &str, reason: String) -> Failure {
    let hint = "this answer is not AWS's, or newer than this tool: check the proxy (HTTPS_PROXY) and the endpoint";
    plain(FailureKind::Aws, action, resource, reason).aws(said(action, None, AwsClass::Lost)).hint(hint)
}

fn plain(kind: FailureKind, action: &str, resource: &str, reason: String) -> Failure {
    Failure::new(Exit::Failed, kind, format!("{action} failed")).resource(resource).reason(reason)
}

fn said(action: &str, code: Option<&str>, class: AwsClass) -> AwsError {
    AwsError { operation: action.to_owned(), code: code.map(str::to_owned), class, refused: false }
}

/// Whether this code asks for a pause.
pub(super) fn is_busy(code: &str) -> bool {
    code.contains("Throttl") || matches!(code, "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown")
}

/// Whether this code is of a failure inside AWS, whatever its status.
pub(super) fn is_broken(code: &str) -> bool {
    ["Internal", "ServiceUnavailable", "RequestTimeout"].iter().any(|start| code.starts_with(start))
}

/// Whether this code refuses the credentials themselves.
fn is_unaccepted(code: &str) -> bool {
    code.starts_with("ExpiredToken")
        || matches!(
            code,
            "RequestExpired"
                | "InvalidClientTokenId"
                | "UnrecognizedClientException"
                | "InvalidAccessKeyId"
                | "AuthFailure"
                | "SignatureDoesNotMatch"
                | "InvalidSignatureException"
        )
}

/// Why there were no credentials to sign with, unless that is for want of a network.
pub(super) fn lacking_credentials<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    let (mut found, mut cause) = (None, Some(error));
    while let Some(error) = cause {
        found = found.or_else(|| error.downcast_ref::<CredentialsError>());
        // That a machine has none of its own is found out by asking at addresses that are not there.
        if let Some(CredentialsError::CredentialsNotLoaded(_)) = found {
            break;
        }
        if error.downcast_ref::<ConnectorError>().is_some_and(|error| error.is_io() || error.is_timeout()) {
            return None;
        }
        cause = error.source();
    }
    found.filter(|error| !matches!(error, CredentialsError::ProviderTimedOut(_)))
}

/// Why no answer came, in the words of the tool's own client.
fn lost<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Lost> {
    error.downcast_ref().or_else(|| lost(error.source()?))
}

/// The moments that a text names, as `20261127T091003Z` or `2026-11-27T09:10:03Z`, in seconds since 1970.
fn times(text: &str) -> Vec<i64> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-:.".contains(c);
    let moment = |word: &str| {
        let word = word.trim_end_matches('.');
        let basic = word.len() == 16 && word.as_bytes().get(8) == Some(&b'T');
        let spelled = if basic {
            let digits = |from, to| word.get(from..to).unwrap_or_default();
            let (date, time) =
                ((digits(0, 4), digits(4, 6), digits(6, 8)), (digits(9, 11), digits(11, 13), digits(13, 16)));
            format!("{}-{}-{}T{}:{}:{}", date.0, date.1, date.2, time.0, time.1, time.2)
        } else {
            word.to_owned()
        };
        DateTime::from_str(&spelled, Format::DateTime).ok().map(|moment| moment.secs())
    };
    text.split(|c| !is_part(c)).filter_map(moment).collect()
}

fn in_minutes(seconds: i64) -> String {
    let minutes = seconds.unsigned_abs().div_ceil(60);
    format!("{minutes} minute{} {}", if minutes == 1 { "" } else { "s" }, if seconds > 0 { "ahead" } else { "behind" })
}

/// What an error and its causes say, each once. Never their debug text, which holds whole responses.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut cause = Some(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    parts.join(": ")
}

#[cfg(test)]
mod tests;
