//! `DATABASE_URL` in its parts.
//!
//! By hand, since whatever goes wrong must not show the password that the text contains, and because a setting that is
//! not known here is refused: the driver would log it with its value.

use std::path::PathBuf;

use chassis::Secret;
use config::service::values::{number, percent_decoded};

use super::SslMode;

/// What a URL says; the standard variables complete it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) user: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) name: Option<String>,
    pub(super) ssl_mode: Option<SslMode>,
    pub(super) ssl_root_certificate: Option<PathBuf>,
}

/// `None` is a text that is not allowed.
pub(super) fn parts(text: &str) -> Option<Parts> {
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://"))?;
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (authority, name) = rest.split_once('/').map_or((rest, None), |(authority, name)| (authority, Some(name)));
    let (user, address) = authority.rsplit_once('@').map_or((None, authority), |(user, address)| (Some(user), address));
    // A password with a slash that is not encoded would be taken for a name, and shown.
    if name.is_some_and(|name| name.contains(['@', '/'])) {
        return None;
    }
    let mut parts = Parts { name: given(name)?, ..Parts::default() };
    if let Some(user) = user {
        let (user, password) = user.split_once(':').map_or((user, None), |(user, password)| (user, Some(password)));
        parts.user = given(Some(user))?;
        parts.password = given(password)?.map(Secret::new);
    }
    let (host, port) = match address.rsplit_once(':') {
        // The colons of an IPv6 address are in brackets.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (address, None),
    };
    // A second address is for a client that tries one after the other.
    if host.contains(',') {
        return None;
    }
    parts.host = given(Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)))?;
    parts.port = port.map(number(1..=65_535)).map_or(Some(None), |port| port.map(Some))?;
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        let (key, value) = pair.split_once('=')?;
        match key {
            "sslmode" => parts.ssl_mode = Some(super::ssl_mode(value)?),
            "sslrootcert" => parts.ssl_root_certificate = given(Some(value))?.map(PathBuf::from),
            _ => return None,
        }
    }
    Some(parts)
}

/// A part with its `%` sequences replaced; an empty one counts as not given. The outer `None` is one that is not allowed.
fn given(part: Option<&str>) -> Option<Option<String>> {
    match part {
        None | Some("") => Some(None),
        // PostgreSQL's protocol ends texts with a zero byte.
        Some(part) => percent_decoded(part).filter(|text| !text.contains('\0')).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Parts {
        Parts {
            host: Some("db.example.com".to_owned()),
            port: Some(6432),
            user: Some("ann".to_owned()),
            password: Some(Secret::new("p@:/%w".to_owned())),
            name: Some("notes".to_owned()),
            ssl_mode: Some(SslMode::VerifyCa),
            ssl_root_certificate: Some(PathBuf::from("/ca/root.pem")),
        }
    }

    #[test]
    fn a_url_has_every_part_or_some() {
        let text = "postgres://ann:p%40%3a%2F%25w@db.example.com:6432/notes?sslmode=verify-ca&sslrootcert=/ca/root.pem";
        assert_eq!(parts(text), Some(all()));
        assert_eq!(parts(&text.replace("postgres:", "postgresql:")), Some(all()));
        // As people write it; the last @ ends the password.
        assert_eq!(parts("postgres://u:a@b@h").and_then(|parts| parts.password), Some(Secret::new("a@b".to_owned())));
        assert_eq!(parts("postgres://"), Some(Parts::default()));
        assert_eq!(parts("postgres:///notes"), Some(Parts { name: Some("notes".to_owned()), ..Parts::default() }));
        for (address, host, port) in
            [("[::1]:5433", "::1", Some(5433)), ("[::1]", "::1", None), ("10.0.0.1", "10.0.0.1", None)]
        {
            let found = parts(&format!("postgres://{address}/x")).unwrap();
            assert_eq!((found.host.as_deref(), found.port), (Some(host), port));
        }
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "db.example.com",
            "mysql://db.example.com",
            "postgres:db",
            "postgres://u:%zz@h/x",
            "postgres://u:%4@h/x",
            "postgres://u:%ff@h/x",
            "postgres://u:%00@h/x",
            "postgres://h:0/x",
            "postgres://h:70000/x",
            "postgres://h:x/x",
            "postgres://h:/x",
            "postgres://a,b/x",
            "postgres://ann:12/34@db/x",
            "postgres://h/x?sslmode=maybe",
            "postgres://h/x?sslmode",
            "postgres://h/x?pasword=x",
        ] {
            assert_eq!(parts(text), None, "{text}");
        }
    }
}
