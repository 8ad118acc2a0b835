//! A registry's credentials.

use secrecy::SecretString;

/// A registry's user and password; never printed.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub user: String,
    pub password: SecretString,
}
