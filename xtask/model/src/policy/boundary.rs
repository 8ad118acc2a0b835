//! What a permissions boundary lets through, as far as its text alone says.

use serde_json::Value;

use crate::template::value::texts;

/// Whether IAM's pattern of actions covers an action, or all of another pattern's.
pub fn covers(pattern: &str, action: &str) -> bool {
    fits(&pattern.to_lowercase(), &action.to_lowercase())
}

/// Whether a boundary may let an action through, on this resource or on any. A condition counts as one that may hold.
pub fn may_let_through(boundary: &Value, action: &str, resource: Option<&str>) -> bool {
    let names = |statement: &Value, key: &str, value: &str| match statement.get(key) {
        Some(patterns) => texts(patterns).iter().any(|pattern| covers(pattern, value)),
        // It names what it is not about.
        None => statement["Effect"] == "Allow",
    };
    let applies = |statement: &&Value| {
        names(statement, "Action", action)
            && match resource {
                Some(arn) => names(statement, "Resource", arn),
                None => statement["Effect"] == "Allow" || texts(&statement["Resource"]).iter().any(|one| one == "*"),
            }
    };
    let statements = match &boundary["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let (mut allowed, mut denied) = (false, false);
    for statement in statements.iter().filter(applies) {
        match statement["Effect"].as_str() {
            Some("Allow") => allowed = true,
            Some("Deny") => denied |= statement.get("Condition").is_none(),
            _ => {}
        }
    }
    allowed && !denied
}

/// Whether a text fits a pattern, in which `*` stands for anything and `?` for one character.
fn fits(pattern: &str, text: &str) -> bool {
    let mut rest = text.chars();
    match pattern.chars().next() {
        None => text.is_empty(),
        Some('*') => {
            let after = &pattern[1..];
            text.char_indices().map(|(at, _)| at).chain([text.len()]).any(|at| fits(after, &text[at..]))
        }
        Some(first) => rest
            .next()
            .is_some_and(|found| (first == '?' || first == found) && fits(&pattern[first.len_utf8()..], rest.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pattern_covers_actions_and_narrower_patterns() {
        for (pattern, action, expected) in [
            ("s3:GetObject", "S3:getobject", true),
            ("s3:Get*", "s3:GetObject", true),
            ("s3:Get*", "s3:Get*", true),
            ("s3:*", "s3:Get*Tagging", true),
            ("*", "sqs:SendMessage", true),
            ("s3:GetObjec?", "s3:GetObject", true),
            ("s3:GetObject", "s3:Get*", false),
            ("s3:Get*", "s3:PutObject", false),
            ("s3:GetObject", "s3:GetObjectAcl", false),
        ] {
            assert_eq!(covers(pattern, action), expected, "{pattern} {action}");
        }
    }

    #[test]
    fn a_boundary_lets_through_what_a_statement_names_and_none_denies() {
        let own = "arn:aws:ssm:eu-central-1:111122223333:parameter/secrets/api/KEY";
        let other = "arn:aws:ssm:eu-central-1:111122223333:parameter/shared/KEY";
        let secret = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-a1B2c3";
        let boundary = json!({"Statement": [
            {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": own.replace("KEY", "*")},
            {"Effect": "Allow", "Action": ["secretsmanager:GetSecretValue"], "Resource": "*",
             "Condition": {"StringLike": {"aws:ResourceTag/team": "ours"}}},
            {"Effect": "Allow", "Action": ["s3:Get*", "sqs:*"], "Resource": "*"},
            {"Effect": "Deny", "Action": "sqs:DeleteQueue", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::private/*"},
            {"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*",
             "Condition": {"Bool": {"aws:SecureTransport": "false"}}},
        ]});
        for (action, resource, expected) in [
            ("ssm:GetParameters", Some(own), true),
            ("ssm:GetParameters", Some(other), false),
            ("ssm:GetParameter", Some(own), false),
            // Whether its tag is the right one is not known here.
            ("secretsmanager:GetSecretValue", Some(secret), true),
            ("s3:GetObject", None, true),
            ("s3:GetObject", Some("arn:aws:s3:::private/x"), false),
            ("s3:PutObject", None, false),
            ("sqs:DeleteQueue", None, false),
            ("sqs:SendMessage", None, true),
        ] {
            assert_eq!(may_let_through(&boundary, action, resource), expected, "{action} {resource:?}");
        }
        let one = json!({"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}});
        assert!(may_let_through(&one, "s3:GetObject", None), "what it does not name may be allowed");
        assert!(!may_let_through(&json!({}), "s3:GetObject", None));
    }
}
