//! Who calls: what kind of credentials, for how long, and whether deploy.toml names the account.

use super::{Finding, Found};
use crate::engine::observe::Observed;
use crate::preflight;
use crate::session::Session;

pub(super) fn look(session: &Session<'_>, seen: Option<&Observed>) -> Vec<Finding> {
    let mut findings = vec![("credentials", credentials(session, seen))];
    if session.environment.account.is_none() && !session.is_emulator() {
        let (name, account) = (&session.environment.name, &session.identity.account);
        let advice = format!("account = \"{account}\" in [environments.{name}] of deploy.toml");
        findings.push(("guard", Found::Note("a release would go to any account".to_owned(), Some(advice))));
    }
    findings
}

fn credentials(session: &Session<'_>, seen: Option<&Observed>) -> Found {
    let identity = &session.identity;
    if let Some(failure) = seen.and_then(|seen| preflight::short_lived(session, seen)) {
        return Found::Lacking(failure);
    }
    let (kind, whole) = (kind(&identity.arn), identity.arn.ends_with(":root"));
    if whole && !session.is_emulator() {
        let hint = "sign in as somebody with a role of their own: https://docs.aws.amazon.com/singlesignon/";
        return Found::Note("of the account's root user, whom nothing limits".to_owned(), Some(hint.to_owned()));
    }
    match session.time_left().filter(|left| *left < preflight::SHORT_CREDENTIALS) {
        Some(left) => {
            let hint = "get new ones, for example: aws sso login".to_owned();
            Found::Note(format!("{kind}; they end in {} s, unless they are renewed", left.as_secs()), Some(hint))
        }
        None if identity.fixed => Found::Fine(format!("{kind}, from the environment")),
        None => Found::Fine(kind.to_owned()),
    }
}

/// What an ARN of STS tells of the credentials.
fn kind(arn: &str) -> &'static str {
    if arn.contains(":assumed-role/AWSReservedSSO_") {
        "a session of IAM Identity Center"
    } else if arn.contains(":assumed-role/") {
        "a role's session"
    } else if arn.contains(":federated-user/") {
        "a federated user's session"
    } else if arn.ends_with(":root") {
        "the root user's"
    } else {
        "a user's keys"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_credentials_is_read_from_the_arn() {
        for (arn, expected) in [
            ("arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Admin_0a/ann", "a session of IAM Identity Center"),
            ("arn:aws:sts::111122223333:assumed-role/deploy/GitHubActions", "a role's session"),
            ("arn:aws:sts::111122223333:federated-user/ann", "a federated user's session"),
            ("arn:aws:iam::111122223333:user/ann", "a user's keys"),
            ("arn:aws:iam::111122223333:root", "the root user's"),
        ] {
            assert_eq!(kind(arn), expected, "{arn}");
        }
    }
}
