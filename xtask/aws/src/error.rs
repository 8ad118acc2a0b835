//! The class of a failed call to AWS: AWS's error code decides, and a response without one is not from AWS.

use std::error::Error;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ConnectorError, ProvideErrorMetadata, SdkError};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use super::connector::Repeated;
use machine::http::{Lost, quote};
use model::outcome::{AwsClass, AwsError, Exit, Failure, FailureKind};

/// AWS accepts signatures whose time is up to five minutes off.
const TOLERANCE: i64 = 300;

/// AWS's error code; empty if there is none.
pub fn code(failure: &Failure) -> &str {
    failure.aws.as_ref().and_then(|error| error.code.as_deref()).unwrap_or_default()
}

/// Whether AWS throttles the caller.
pub fn is_throttled(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Throttled)
}

/// Whether the resource does not exist.
pub fn is_missing(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Absent)
}

/// Whether the caller lacks a permission, so that repeating the call is pointless.
pub fn is_denied(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Denied)
}

/// Whether every further call will be refused, too, until the user signs in again or corrects the clock.
pub fn is_expired(failure: &Failure) -> bool {
    matches!(class(failure), Some(AwsClass::Expired | AwsClass::Skewed))
}

/// Whether the result of the call is unknown: AWS did not answer, or failed internally.
pub fn is_lost(failure: &Failure) -> bool {
    class(failure) == Some(AwsClass::Lost)
}

/// Whether AWS itself refused the call, so that it had no effect. A proxy's response, a failure inside AWS and a lost
/// answer leave that open.
pub fn is_refusal(failure: &Failure) -> bool {
    failure.aws.as_ref().is_some_and(|error| error.refused)
}

fn class(failure: &Failure) -> Option<AwsClass> {
    failure.aws.as_ref().map(|error| error.class)
}

/// Turns an SDK error into a failure that names the action, its resource and AWS's error.
pub fn failure<E>(action: &str, resource: &str, error: &SdkError<E>) -> Failure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let raw = context.raw();
            let body = raw.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
            let response = ErrorResponse {
                status: raw.status().as_u16(),
                code: context.err().code(),
                message: context.err().message().unwrap_or_default(),
                date: raw.headers().get("date"),
                body: &body,
                repeated: raw.extension::<Repeated>().is_some(),
            };
            response.into_failure(action, resource)
        }
        SdkError::ConstructionFailure(_) => plain(FailureKind::Aws, action, resource, chain(error))
            .aws(aws_error(action, None, AwsClass::Refused))
            .hint("check the values in deploy.toml: they cannot be sent to AWS"),
        SdkError::ResponseError(_) => unreadable_response(action, resource, chain(error)),
        _ => match credentials_error(error) {
            Some(reason) => not_signed(action, resource, chain(reason)),
            None => {
                no_response(action, resource, lost_response(error).map_or_else(|| chain(error), ToString::to_string))
            }
        },
    }
}

/// An error response.
pub(super) struct ErrorResponse<'a> {
    pub(super) status: u16,
    pub(super) code: Option<&'a str>,
    pub(super) message: &'a str,
    /// The header `Date`.
    pub(super) date: Option<&'a str>,
    pub(super) body: &'a str,
    /// Whether it answers a repeated attempt: an earlier one, whose answer was lost, may have succeeded.
    pub(super) repeated: bool,
}

impl ErrorResponse<'_> {
    pub(super) fn into_failure(self, action: &str, resource: &str) -> Failure {
        let offset = self.clock_offset();
        let class = if offset.is_some() { AwsClass::Skewed } else { self.class() };
        let text = match self.code {
            Some(code) => format!("{code}: {}", self.message),
            None => format!("HTTP {}: {}", self.status, quote::excerpt(self.body)),
        };
        let text = text.trim_end_matches(": ").to_owned();
        let reason = match offset {
            Some(seconds) => format!("this machine's clock is {}; {text}", in_minutes(seconds)),
            None => text,
        };
        let refused = self.code.is_some() && (400..500).contains(&self.status) && class != AwsClass::Lost;
        let error = AwsError { refused: refused && !self.repeated, ..aws_error(action, self.code, class) };
        plain(FailureKind::Aws, action, resource, reason).aws(error).hint(self.hint(action, class))
    }

    fn class(&self) -> AwsClass {
        match self.code {
            None if self.status == 429 => AwsClass::Throttled,
            None => AwsClass::Lost,
            Some(code) if is_throttling(code) => AwsClass::Throttled,
            Some(code) if self.status >= 500 || is_internal_error(code) => AwsClass::Lost,
            Some(code) if rejects_credentials(code) => AwsClass::Expired,
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
                "this response is not from AWS: check the proxy (HTTPS_PROXY, NO_PROXY) and the endpoint".to_owned()
            }
            (AwsClass::Lost, _) => {
                "AWS or a proxy has an internal error: repeat the command in a few minutes".to_owned()
            }
            (AwsClass::Refused | AwsClass::Absent, _) => {
                "correct what AWS reports, then repeat the command; cargo xtask doctor shows what can be checked in advance"
                    .to_owned()
            }
        }
    }

    /// By how many seconds this machine's clock is ahead, if that is why AWS refuses.
    fn clock_offset(&self) -> Option<i64> {
        let code = self.code?;
        if !matches!(
            code,
            "RequestExpired" | "RequestTimeTooSkewed" | "SignatureDoesNotMatch" | "InvalidSignatureException"
        ) {
            return None;
        }
        // AWS names the time of the signature first, and its own time last.
        if let [signed, .., now] = times(self.message).as_slice() {
            return Some(signed - now);
        }
        let now = DateTime::from_str(self.date?, Format::HttpDate).ok()?.secs();
        let own = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let offset = i64::try_from(own).ok()? - now;
        (offset.abs() > TOLERANCE).then_some(offset)
    }
}

const SIGN_IN: &str =
    "sign in again (aws sso login, or aws login), then repeat the command: it resumes where this one stopped";

/// A call that could not be signed.
pub(super) fn not_signed(action: &str, resource: &str, reason: String) -> Failure {
    plain(FailureKind::Aws, action, resource, reason).aws(aws_error(action, None, AwsClass::Expired)).hint(SIGN_IN)
}

/// A call without a response.
pub(super) fn no_response(action: &str, resource: &str, reason: String) -> Failure {
    plain(FailureKind::AwsUnreachable, action, resource, reason)
        .aws(aws_error(action, None, AwsClass::Lost))
        .hint("check the network and, with an emulator, that it runs at the endpoint")
}

/// A call whose response cannot be parsed.
pub(super) fn unreadable_response(action: &str, resource: &str, reason: String) -> Failure {
    let hint = "this response is not from AWS, or newer than this tool: check the proxy (HTTPS_PROXY) and the endpoint";
    plain(FailureKind::Aws, action, resource, reason).aws(aws_error(action, None, AwsClass::Lost)).hint(hint)
}

fn plain(kind: FailureKind, action: &str, resource: &str, reason: String) -> Failure {
    Failure::new(Exit::Failed, kind, format!("{action} failed")).resource(resource).reason(reason)
}

fn aws_error(action: &str, code: Option<&str>, class: AwsClass) -> AwsError {
    AwsError { operation: action.to_owned(), code: code.map(str::to_owned), class, refused: false }
}

/// Whether this code means throttling.
pub(super) fn is_throttling(code: &str) -> bool {
    code.contains("Throttl") || matches!(code, "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown")
}

/// Whether this code means a failure inside AWS, whatever the HTTP status.
pub(super) fn is_internal_error(code: &str) -> bool {
    ["Internal", "ServiceUnavailable", "RequestTimeout"].iter().any(|start| code.starts_with(start))
}

/// Whether this code refuses the credentials themselves.
fn rejects_credentials(code: &str) -> bool {
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

/// Why there were no credentials to sign with, unless the network is the reason.
pub(super) fn credentials_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a CredentialsError> {
    let (mut found, mut cause) = (None, Some(error));
    while let Some(error) = cause {
        found = found.or_else(|| error.downcast_ref::<CredentialsError>());
        // A machine without a role is recognized by metadata addresses that do not answer.
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

/// Why no response came, as the tool's own client reports it.
fn lost_response<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Lost> {
    error.downcast_ref().or_else(|| lost_response(error.source()?))
}

/// The times in a text, as `20261127T091003Z` or `2026-11-27T09:10:03Z`, in seconds since 1970.
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

/// What the SDK calls the places where a call can fail; what failed is in the cause.
const PLACES: [&str; 9] = [
    "dispatch failure",
    "response error",
    "service error",
    "unhandled error",
    "failed to construct request",
    "io error",
    "user error",
    "timeout",
    "other",
];

/// The messages of an error and its causes, each once, without the SDK's names of places. Never their debug text, which
/// contains whole responses.
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    let (mut cause, mut timed_out) = (Some(error), false);
    while let Some(error) = cause {
        let text = error.to_string();
        timed_out |= text == "timeout";
        if !PLACES.contains(&text.as_str()) && !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    match parts.join(": ") {
        none if none.is_empty() && timed_out => "there was no answer in time".to_owned(),
        none if none.is_empty() => "the cause is not known".to_owned(),
        text => text,
    }
}

#[cfg(test)]
mod tests;
