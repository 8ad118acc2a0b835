//! How a registry wants to be authenticated to: its challenge
//! (<https://distribution.github.io/distribution/spec/auth/token/>).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use model::credentials::Credentials;

/// A registry's challenge.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    Basic,
    /// A token from the server at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The token server's response; either name is in use.
#[derive(Deserialize)]
pub(super) struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Token {
    /// The value of `Authorization`; `None` for a response without a token.
    pub(super) fn header(self) -> Option<SecretString> {
        let token = self.token.or(self.access_token)?;
        Some(SecretString::from(format!("Bearer {token}")))
    }
}

/// The value of `Authorization` for user and password.
pub(super) fn basic(credentials: &Credentials) -> SecretString {
    let text = format!("{}:{}", credentials.user, credentials.password.expose_secret());
    SecretString::from(format!("Basic {}", STANDARD.encode(text)))
}

impl Challenge {
    /// Reads a `WWW-Authenticate`; `None` for another scheme.
    pub(super) fn read(header: &str) -> Option<Self> {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            return Some(Self::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let mut parameters = parameters(rest);
        let realm = parameters.remove("realm")?;
        Some(Self::Bearer { realm, service: parameters.remove("service"), scope: parameters.remove("scope") })
    }
}

/// `name="value"` and `name=value`, between commas; a quoted value may hold commas.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        found.insert(name, value.trim().to_owned());
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read_as_registries_write_them() {
        let basic =
            r#"Basic realm="https://111122223333.dkr.ecr.eu-central-1.amazonaws.com/",service="ecr.amazonaws.com""#;
        assert_eq!(Challenge::read(basic), Some(Challenge::Basic));
        let bearer = r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:o/r:pull,push""#;
        let (realm, service) = ("https://ghcr.io/token".to_owned(), Some("ghcr.io".to_owned()));
        let scope = Some("repository:o/r:pull,push".to_owned());
        assert_eq!(Challenge::read(bearer), Some(Challenge::Bearer { realm, service, scope }));
        for other in ["Negotiate", "Bearer service=\"x\"", "", "Digest realm=\"x\""] {
            assert_eq!(Challenge::read(other), None, "{other}");
        }
    }

    #[test]
    fn a_password_is_encoded_and_not_shown() {
        let credentials = Credentials { user: "AWS".into(), password: SecretString::from("s3cret") };
        let header = super::basic(&credentials);
        assert_eq!(header.expose_secret(), "Basic QVdTOnMzY3JldA==");
        assert!(!format!("{header:?}").contains("QVdT"));
    }
}
