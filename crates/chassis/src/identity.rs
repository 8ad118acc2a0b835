//! Who asks: the claims of a token of Cognito, or of another OpenID Connect issuer, that the service verifies itself.
//!
//! With the feature `identity`, and switched on by `API_OIDC_ISSUER` and `API_OIDC_AUDIENCE`. A handler that takes a
//! [`Caller`] is reached by nobody without a valid token; what a gateway or a load balancer in front has checked, and
//! what their headers say, does not count. Who may do what is the handler's decision: [`Caller::require_scope`].
//!
//! A token is a JSON Web Token (RFC 7519) in `Authorization: Bearer …` (RFC 6750, section 2.1). It holds if
//!
//! - its signature is right by the issuer's key that its `kid` names, with the algorithm of that key (RS256 to RS512,
//!   PS256 to PS512, ES256, ES384 or EdDSA with Ed25519; never one with a shared secret, and never `none`),
//! - `iss` is the issuer letter for letter, and `aud`, or where it has none `client_id`, is one of the audiences,
//! - `exp` is not over, and `nbf` if there is one has come, give or take 60 seconds,
//! - it has a `sub`, no `crit` (RFC 7515, section 4.1.11), no `typ` but `JWT` and `at+jwt` (RFC 9068), and no `token_use`
//!   but Cognito's `access` and `id`.
//!
//! The issuer's keys are fetched at the start (`/health` is 503 until they are there), then every 10 minutes, and when a
//! token names a key that is not among them, at most every 5 seconds. In an outage of the issuer those that are there
//! serve for 24 hours.

mod keys;
mod token;

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::{fmt, str};

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use actix_web::{FromRequest, HttpRequest, HttpResponse, ResponseError, web};
use config::service::Identity;
use futures_util::FutureExt;
use futures_util::future::{Either, LocalBoxFuture};
use serde_json::{Map, Value};

use crate::client::Client;
use crate::problem;
use keys::{Keys, Missing};
pub use token::Invalid;

/// Who asks, by a token that was verified. A handler that takes one is not reached without.
///
/// ```
/// use actix_web::{Error, HttpResponse};
/// use chassis::identity::Caller;
///
/// /// Deletes the caller's notes.
/// #[utoipa::path(delete, path = "/api/notes", security(("bearer" = ["notes/write"])), responses((status = 204)))]
/// async fn clear(caller: Caller) -> Result<HttpResponse, Error> {
///     caller.require_scope("notes/write")?;
///     println!("those of {}", caller.subject());
///     Ok(HttpResponse::NoContent().finish())
/// }
/// ```
///
/// `Option<Caller>`, which actix-web offers for every extractor, takes a wrong token for none: use [`OptionalCaller`].
#[derive(Clone, PartialEq)]
pub struct Caller {
    subject: String,
    claims: Map<String, Value>,
}

impl Caller {
    /// Who: the claim `sub`, unique for the issuer.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Who says so: the claim `iss`, which is `API_OIDC_ISSUER`.
    pub fn issuer(&self) -> &str {
        self.text("iss").unwrap_or_default()
    }

    /// The application by which the caller signed in: the claim `client_id` of an access token, or `azp`.
    pub fn client_id(&self) -> Option<&str> {
        self.text("client_id").or_else(|| self.text("azp"))
    }

    /// What the caller allowed the application to do: the claim `scope` (RFC 8693, section 4.2). Cognito writes its own
    /// `RESOURCE-SERVER/SCOPE`, and its ID tokens have none.
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.text("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty())
    }

    /// The groups of the user pool that the caller is in: the claim `cognito:groups`.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        self.claims.get("cognito:groups").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Everything that the token says.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// Goes on only if the token has a scope.
    ///
    /// # Errors
    /// [`Error::Scope`], which is answered with 403.
    pub fn require_scope(&self, scope: &str) -> Result<(), Error> {
        let has = self.scopes().any(|own| own == scope);
        if has { Ok(()) } else { Err(Error::Scope(scope.to_owned())) }
    }

    /// Goes on only if the caller is in a group.
    ///
    /// # Errors
    /// [`Error::Group`], which is answered with 403.
    pub fn require_group(&self, group: &str) -> Result<(), Error> {
        let is_in = self.groups().any(|own| own == group);
        if is_in { Ok(()) } else { Err(Error::Group(group.to_owned())) }
    }

    fn text(&self, claim: &str) -> Option<&str> {
        self.claims.get(claim)?.as_str()
    }
}

/// Without the claims, which may be personal.
impl fmt::Debug for Caller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Caller").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Who asks, if somebody says so: without a token `None`, with a wrong one no handler is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct OptionalCaller(pub Option<Caller>);

/// Why it is not known who asks, or why that is not enough.
///
/// A handler passes it on with `?` where it returns [`actix_web::Error`]. An error type of the service's own that holds
/// one answers with this one's [`error_response`](ResponseError::error_response), which has the header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// 401, with `WWW-Authenticate: Bearer`.
    #[error("a bearer token is required")]
    NoToken,
    /// 400, `error="invalid_request"`: there are two, or the header is not `Bearer` and one token.
    #[error("the header Authorization must be there once, as Bearer and one token")]
    Unreadable,
    /// 401, `error="invalid_token"`.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// 403, `error="insufficient_scope"`.
    #[error("the scope {0} is required")]
    Scope(String),
    /// 403.
    #[error("this is for the group {0}")]
    Group(String),
    /// 503: the issuer's keys are needed and cannot be had.
    #[error("the keys of API_OIDC_ISSUER, by which a token is verified, cannot be had")]
    NoKeys,
    /// 500: the settings name no issuer.
    #[error("a handler asks who the caller is, but API_OIDC_ISSUER is not set")]
    NotConfigured,
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::Invalid(_) => StatusCode::UNAUTHORIZED,
            Self::Unreadable => StatusCode::BAD_REQUEST,
            Self::Scope(_) | Self::Group(_) => StatusCode::FORBIDDEN,
            Self::NoKeys => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotConfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = problem::answer(self);
        // RFC 6750, section 3: nothing is said of a token to those who sent none.
        let challenge = match self {
            Self::NoToken => HeaderValue::from_static("Bearer"),
            Self::Unreadable => HeaderValue::from_static(r#"Bearer error="invalid_request""#),
            Self::Invalid(reason) => {
                challenge(&format!(r#"Bearer error="invalid_token", error_description="{reason}""#))
            }
            Self::Scope(scope) => challenge(&format!(r#"Bearer error="insufficient_scope", scope="{scope}""#)),
            Self::Group(_) | Self::NoKeys | Self::NotConfigured => return response,
        };
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        response
    }
}

/// A scope is the handler's own text, which may not be fit for a header.
fn challenge(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("Bearer"))
}

/// A caller that is known at once, or when keys have come.
type Awaited = Either<Ready<Result<Caller, Error>>, LocalBoxFuture<'static, Result<Caller, Error>>>;

impl FromRequest for Caller {
    type Error = Error;
    type Future = Awaited;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        match asked(request) {
            Ok((verifier, Some(token))) => verifier.caller(token),
            Ok((_, None)) => Either::Left(ready(Err(Error::NoToken))),
            Err(error) => Either::Left(ready(Err(error))),
        }
    }
}

impl FromRequest for OptionalCaller {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        match asked(request) {
            Ok((verifier, Some(token))) => {
                verifier.caller(token).map(|caller| caller.map(|caller| Self(Some(caller)))).boxed_local()
            }
            Ok((_, None)) => ready(Ok(Self(None))).boxed_local(),
            Err(error) => ready(Err(error)).boxed_local(),
        }
    }
}

/// What verifies, and the token if there is one.
fn asked(request: &HttpRequest) -> Result<(&Arc<Verifier>, Option<&str>), Error> {
    let verifier = request.app_data::<web::Data<Verifier>>().ok_or(Error::NotConfigured)?;
    Ok((verifier, bearer(request.headers())?))
}

/// The token of `Authorization: Bearer …`; credentials of another kind are none of ours.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Error> {
    let mut lines = headers.get_all(AUTHORIZATION);
    let Some(line) = lines.next() else { return Ok(None) };
    if lines.next().is_some() {
        return Err(Error::Unreadable);
    }
    let line = str::from_utf8(line.as_bytes()).map_err(|_not_text| Error::Unreadable)?;
    let (scheme, token) = line.split_once(' ').unwrap_or((line, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Ok(None);
    }
    let token = token.trim_matches(' ');
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(fit) { Err(Error::Unreadable) } else { Ok(Some(token)) }
}

/// What verifies tokens, shared by all workers.
pub(crate) struct Verifier {
    identity: Identity,
    keys: Keys,
}

impl Verifier {
    /// Begins to fetch keys, for as long as the runtime lives in which this is called.
    pub(crate) fn start(identity: &Identity) -> io::Result<Arc<Self>> {
        let client = Client::new().map_err(io::Error::other)?;
        let verifier = Arc::new(Self { identity: identity.clone(), keys: Keys::default() });
        let fetching = Arc::clone(&verifier);
        actix_web::rt::spawn(async move { fetching.keys.keep_current(&client, &fetching.identity).await });
        Ok(verifier)
    }

    /// Whether there have ever been keys: until then no caller can be known.
    ///
    /// A later outage of the issuer does not count. All instances share it, and none would be left to answer.
    pub(crate) fn is_ready(&self) -> bool {
        self.keys.have_arrived()
    }

    fn caller(self: &Arc<Self>, token: &str) -> Awaited {
        let kid = match token::key_id(token) {
            Ok(kid) => kid,
            Err(invalid) => return Either::Left(ready(Err(invalid.into()))),
        };
        if let Some(key) = self.keys.get(&kid) {
            return Either::Left(ready(self.verified(token, &key)));
        }
        let (verifier, token) = (Arc::clone(self), token.to_owned());
        let awaited = async move {
            let key = verifier.keys.fetched(&kid).await.map_err(|missing| match missing {
                Missing::Unknown => Error::Invalid(Invalid::UnknownKey),
                Missing::Unreachable => Error::NoKeys,
            })?;
            verifier.verified(&token, &key)
        };
        Either::Right(awaited.boxed_local())
    }

    fn verified(&self, token: &str, key: &token::Key) -> Result<Caller, Error> {
        let (subject, claims) = token::verify(token, key, &self.identity)?;
        Ok(Caller { subject, claims })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(lines: &[&'static str]) -> Result<Option<String>, Error> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, HeaderValue::from_static(line));
        }
        bearer(&headers).map(|token| token.map(str::to_owned))
    }

    #[test]
    fn a_token_is_there_once_as_bearer() {
        assert_eq!(token(&[]), Ok(None));
        assert_eq!(token(&["Basic YTpi"]), Ok(None));
        for line in ["Bearer a.b.c", "bearer a.b.c", "BEARER  a.b.c "] {
            assert_eq!(token(&[line]), Ok(Some("a.b.c".into())), "{line}");
        }
        for lines in [&["Bearer"][..], &["Bearer "], &["Bearer a b"], &["Bearer a,b"], &["Bearer a", "Bearer a"]] {
            assert_eq!(token(lines), Err(Error::Unreadable), "{lines:?}");
        }
    }

    #[test]
    fn a_scope_that_no_header_can_hold_is_refused_all_the_same() {
        let response = Error::Scope("a\nb".into()).error_response();
        assert_eq!(
            (response.status(), response.headers().get(WWW_AUTHENTICATE).unwrap().as_bytes()),
            (StatusCode::FORBIDDEN, &b"Bearer"[..])
        );
    }

    #[test]
    fn nothing_shows_the_claims_by_accident() {
        let claims = serde_json::json!({"email": "ada@example.com"}).as_object().unwrap().clone();
        let caller = Caller { subject: "7".into(), claims };
        assert_eq!(format!("{caller:?}"), r#"Caller { subject: "7", .. }"#);
    }
}
