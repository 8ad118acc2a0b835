//! Whether a token holds by a key; nothing here waits or asks anybody.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::service::Identity;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

/// By how much clocks may differ, in seconds.
const LEEWAY: u64 = 60;

/// Why a token does not count. The texts are fit for `error_description` (RFC 6750, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Invalid {
    /// It is not three parts in base64url of which the first two are JSON objects.
    #[error("the token is not a signed JSON Web Token")]
    Malformed,
    /// It has no `kid`.
    #[error("the token names no key")]
    NoKeyId,
    /// The issuer has no key of this `kid` that can be used.
    #[error("the token names a key that its issuer does not have")]
    UnknownKey,
    /// It has `crit`, and none of the extensions that this may name is known.
    #[error("the token has critical extensions, of which none is known")]
    Critical,
    /// Its `typ` or `token_use` is that of tokens for other purposes.
    #[error("the token is for another purpose")]
    Purpose,
    /// Its `alg` is not that of the key.
    #[error("the token has not the algorithm of its key")]
    Algorithm,
    /// It was changed, or signed with another key.
    #[error("the signature of the token is wrong")]
    Signature,
    /// `iss` is another.
    #[error("the token has another issuer")]
    Issuer,
    /// Neither `aud` nor, where that is missing, `client_id` is one of the audiences.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` is over.
    #[error("the token has expired")]
    Expired,
    /// `nbf` is still to come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// `exp`, `iss` or `sub` is missing, or one of these or `nbf` is not of its type.
    #[error("the token lacks exp, iss or sub, or one of its claims is not of its type")]
    Claims,
}

/// A key of the issuer's, and the one algorithm that it is for.
pub(super) struct Key {
    public: DecodingKey,
    validation: Validation,
}

impl Key {
    /// A key with its id, if it is one by which signatures are verified, of a kind that is known.
    pub(super) fn new(jwk: &Jwk, issuer: &str) -> Option<(String, Self)> {
        let common = &jwk.common;
        let for_signatures = common.public_key_use.as_ref().is_none_or(|purpose| *purpose == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|operations| operations.contains(&KeyOperations::Verify));
        let kid = common.key_id.clone().filter(|_| for_signatures)?;
        let mut validation = Validation::new(algorithm(jwk)?);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        // Whom it is for, `aud` does not always say.
        validation.validate_aud = false;
        validation.set_issuer(&[issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        Some((kid, Self { public: DecodingKey::from_jwk(jwk).ok()?, validation }))
    }
}

/// What a key is for: what it says itself if that fits its kind, and never what a token says.
fn algorithm(jwk: &Jwk) -> Option<Algorithm> {
    match (&jwk.algorithm, jwk.common.key_algorithm.as_ref()) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Some(Algorithm::RS256),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS384)) => Some(Algorithm::RS384),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS512)) => Some(Algorithm::RS512),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => Some(Algorithm::PS256),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS384)) => Some(Algorithm::PS384),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS512)) => Some(Algorithm::PS512),
        (AlgorithmParameters::EllipticCurve(key), given) => match (&key.curve, given) {
            (EllipticCurve::P256, None | Some(KeyAlgorithm::ES256)) => Some(Algorithm::ES256),
            (EllipticCurve::P384, None | Some(KeyAlgorithm::ES384)) => Some(Algorithm::ES384),
            _ => None,
        },
        (AlgorithmParameters::OctetKeyPair(key), None | Some(KeyAlgorithm::EdDSA)) => {
            (key.curve == EllipticCurve::Ed25519).then_some(Algorithm::EdDSA)
        }
        _ => None,
    }
}

/// What a token says of itself before anything of it is verified.
#[derive(Deserialize)]
struct Head {
    kid: Option<String>,
    typ: Option<String>,
    crit: Option<IgnoredAny>,
}

/// The id of the key that a token claims to be signed with.
pub(super) fn key_id(token: &str) -> Result<String, Invalid> {
    let mut parts = token.split('.');
    let (Some(head), Some(_), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(Invalid::Malformed);
    };
    let head = URL_SAFE_NO_PAD.decode(head).map_err(|_not_base64| Invalid::Malformed)?;
    let head: Head = serde_json::from_slice(&head).map_err(|_not_a_head| Invalid::Malformed)?;
    if head.crit.is_some() {
        return Err(Invalid::Critical);
    }
    let known = |typ: &str| ["JWT", "at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known));
    if !head.typ.as_deref().is_none_or(known) {
        return Err(Invalid::Purpose);
    }
    head.kid.ok_or(Invalid::NoKeyId)
}

/// Whom a token is about, and everything that it says, if it holds.
pub(super) fn verify(token: &str, key: &Key, identity: &Identity) -> Result<(String, Map<String, Value>), Invalid> {
    let decoded = jsonwebtoken::decode::<Map<String, Value>>(token, &key.public, &key.validation);
    let claims = decoded.map_err(|error| invalid(error.kind()))?.claims;
    // The library takes a list with the issuer in it as well.
    let subject = match (claims.get("sub"), claims.get("iss")) {
        (Some(Value::String(subject)), Some(Value::String(_))) => subject.clone(),
        _ => return Err(Invalid::Claims),
    };
    if !is_for(&claims, &identity.audiences) {
        return Err(Invalid::Audience);
    }
    match claims.get("token_use").map(Value::as_str) {
        None | Some(Some("access" | "id")) => Ok((subject, claims)),
        Some(_) => Err(Invalid::Purpose),
    }
}

/// One audience or a list of them (RFC 7519, section 4.1.3); Cognito's access tokens have the client's id instead.
fn is_for(claims: &Map<String, Value>, audiences: &[String]) -> bool {
    let fits = |value: &Value| value.as_str().is_some_and(|name| audiences.iter().any(|audience| audience == name));
    match (claims.get("aud"), claims.get("client_id")) {
        (Some(Value::Array(names)), _) => names.iter().any(fits),
        (Some(name), _) | (None, Some(name)) => fits(name),
        (None, None) => false,
    }
}

fn invalid(error: &ErrorKind) -> Invalid {
    match error {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName | ErrorKind::UnsupportedAlgorithm => {
            Invalid::Algorithm
        }
        ErrorKind::InvalidSignature => Invalid::Signature,
        ErrorKind::InvalidIssuer => Invalid::Issuer,
        ErrorKind::ExpiredSignature => Invalid::Expired,
        ErrorKind::ImmatureSignature => Invalid::NotYetValid,
        ErrorKind::MissingRequiredClaim(_) | ErrorKind::InvalidClaimFormat(_) => Invalid::Claims,
        _ => Invalid::Malformed,
    }
}
