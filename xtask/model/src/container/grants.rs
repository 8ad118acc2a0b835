//! IAM statements: what reads the secrets, and what the service itself may do.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::Secret;
use crate::template::value::texts;
use config::deployment::SecretReference;

/// What is wrong with a file of permissions: which statement, from 1, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Refused {
    pub place: String,
    pub reason: String,
}

/// What the role that starts the container needs to read exactly these secrets.
pub(super) fn reading(secrets: &BTreeMap<String, Secret>) -> Vec<Value> {
    let (mut parameters, mut stored, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    let mut aliases = BTreeSet::new();
    for secret in secrets.values() {
        match &secret.reference {
            SecretReference::Parameter(name) if name.starts_with('/') => {
                add(&mut parameters, here("ssm", &format!("parameter{name}")));
            }
            SecretReference::Parameter(arn) => add(&mut parameters, json!(arn)),
            SecretReference::Secret { arn, .. } => add(&mut stored, json!(arn)),
        }
        match secret.key.as_deref() {
            Some(alias) if alias.starts_with("alias/") => drop(aliases.insert(alias)),
            Some(arn) if arn.starts_with("arn:") => add(&mut keys, json!(arn)),
            Some(id) => add(&mut keys, here("kms", &format!("key/{id}"))),
            None => {}
        }
    }
    let allow = |action: &str, resources: Vec<Value>| {
        (!resources.is_empty()).then(|| json!({"Effect": "Allow", "Action": action, "Resource": resources}))
    };
    let by_alias = (!aliases.is_empty()).then(|| {
        // A key's ARN does not follow from its alias.
        let condition = json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": aliases}});
        json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": here("kms", "key/*"), "Condition": condition})
    });
    let statements = [
        allow("ssm:GetParameters", parameters),
        allow("secretsmanager:GetSecretValue", stored),
        allow("kms:Decrypt", keys),
        by_alias,
    ];
    statements.into_iter().flatten().collect()
}

/// The ARN of something in the stack's own account and Region.
fn here(service: &str, name: &str) -> Value {
    json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{name}")})
}

fn add(list: &mut Vec<Value>, value: Value) {
    if !list.contains(&value) {
        list.push(value);
    }
}

/// Reads a file of permissions: a list of IAM statements, or a policy document with them. Values may be functions of
/// CloudFormation.
///
/// # Errors
/// Every statement that is not of the form `{Effect, Action, Resource}`, with `Sid` and `Condition` if need be, or that
/// allows everything.
pub fn read_permissions(text: &str) -> Result<Vec<Value>, Vec<Refused>> {
    let whole = |reason: String| vec![Refused { place: "the file".to_owned(), reason }];
    let root: Value = serde_json::from_str(text).map_err(|error| whole(format!("is no JSON: {error}")))?;
    let list = root.get("Statement").unwrap_or(&root).as_array();
    let list = list.ok_or_else(|| whole("is no list of statements".to_owned()))?;
    let judged = list.iter().enumerate().map(|(at, one)| (at, judge(one)));
    let refused: Vec<Refused> = judged
        .filter_map(|(at, reason)| Some(Refused { place: format!("statement {}", at + 1), reason: reason? }))
        .collect();
    if refused.is_empty() { Ok(list.clone()) } else { Err(refused) }
}

/// The actions that these statements allow, each once.
pub fn allowed_actions(statements: &[Value]) -> BTreeSet<String> {
    let allowing = statements.iter().filter(|statement| statement["Effect"] == "Allow");
    allowing.flat_map(|statement| texts(&statement["Action"])).collect()
}

/// Why a statement is not accepted.
fn judge(statement: &Value) -> Option<String> {
    let Some(map) = statement.as_object() else { return Some("is no object".to_owned()) };
    const KNOWN: [&str; 5] = ["Sid", "Effect", "Action", "Resource", "Condition"];
    if let Some(unknown) = map.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        let why = match unknown.as_str() {
            "NotAction" | "NotResource" => "; name what is allowed, not what is not",
            "Principal" | "NotPrincipal" => "; the principal is the service's role",
            _ => "",
        };
        return Some(format!("has {unknown}, and may have {}{why}", KNOWN.join(", ")));
    }
    if !matches!(statement["Effect"].as_str(), Some("Allow" | "Deny")) {
        return Some("has no Effect, Allow or Deny".to_owned());
    }
    let actions = texts(&statement["Action"]);
    if actions.is_empty() {
        return Some("has no Action, such as s3:GetObject".to_owned());
    }
    if let Some(wrong) = actions.iter().find(|action| !is_action(action)) {
        return Some(format!("has the Action {wrong:?}; one is SERVICE:OPERATION, such as s3:GetObject or s3:Get*"));
    }
    let resource = &statement["Resource"];
    let is_there =
        !texts(resource).is_empty() || resource.is_object() || resource.as_array().is_some_and(|list| !list.is_empty());
    (!is_there).then(|| "has no Resource; \"*\" stands for all".to_owned())
}

/// Whether it names operations of one service: all of a service's, or of all services, are more than any service needs.
fn is_action(action: &str) -> bool {
    let Some((service, operation)) = action.split_once(':') else { return false };
    let is_service =
        !service.is_empty() && service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let is_operation = operation.starts_with(|c: char| c.is_ascii_alphabetic())
        && operation.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*');
    is_service && is_operation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_may_read_exactly_its_secrets() {
        let secret = |reference: &str, key: Option<&str>| Secret {
            reference: SecretReference::parse(reference).unwrap(),
            version: None,
            key: key.map(str::to_owned),
        };
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db-a1B2c3";
        let key = "arn:aws:kms:eu-central-1:111122223333:key/1";
        let secrets = BTreeMap::from([
            ("A".to_owned(), secret("/secrets/api/A", Some(key))),
            ("B".to_owned(), secret(&format!("{arn}:password::"), Some(key))),
            ("C".to_owned(), secret(&format!("{arn}:username::"), Some("0a1b2c3d-0000"))),
            ("D".to_owned(), secret("/secrets/api/D", Some("alias/ours"))),
            ("E".to_owned(), secret("/secrets/api/A", None)),
        ]);
        let own = |rest: &str| {
            let (service, name) = rest.split_once(' ').unwrap();
            json!({"Fn::Sub": format!("arn:${{AWS::Partition}}:{service}:${{AWS::Region}}:${{AWS::AccountId}}:{name}")})
        };
        let parameters = [own("ssm parameter/secrets/api/A"), own("ssm parameter/secrets/api/D")];
        let condition = json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": ["alias/ours"]}});
        assert_eq!(
            reading(&secrets),
            [
                json!({"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": parameters}),
                json!({"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": [arn]}),
                json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": [key, own("kms key/0a1b2c3d-0000")]}),
                json!({"Effect": "Allow", "Action": "kms:Decrypt", "Resource": own("kms key/*"), "Condition": condition}),
            ]
        );
        assert!(reading(&BTreeMap::new()).is_empty());
    }

    #[test]
    fn statements_are_accepted_in_the_form_of_a_role() {
        let one = json!({"Sid": "Files", "Effect": "Allow", "Action": ["s3:GetObject", "s3:Put*"], "Resource": {"Fn::Sub": "arn"}});
        assert_eq!(read_permissions(&json!([one]).to_string()).unwrap(), std::slice::from_ref(&one));
        assert_eq!(read_permissions(&json!({"Version": "2012-10-17", "Statement": [one]}).to_string()).unwrap(), [one]);
        for (wrong, reason) in [
            (json!({"Effect": "Allow", "Action": "*", "Resource": "*"}), "has the Action \"*\""),
            (json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}), "has the Action \"s3:*\""),
            (json!({"Effect": "allow", "Action": "s3:GetObject", "Resource": "*"}), "has no Effect"),
            (json!({"Effect": "Allow", "Action": [], "Resource": "*"}), "has no Action"),
            (json!({"Effect": "Allow", "Action": "s3:GetObject"}), "has no Resource"),
            (json!({"Effect": "Allow", "NotAction": "s3:GetObject", "Resource": "*"}), "has NotAction"),
            (json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Principal": "*"}), "has Principal"),
            (json!("s3:GetObject"), "is no object"),
        ] {
            let refused = read_permissions(&json!([one_of(), wrong]).to_string()).unwrap_err();
            assert_eq!(refused[0].place, "statement 2");
            assert!(refused[0].reason.starts_with(reason), "{:?}", refused[0]);
        }
        assert!(read_permissions("{}").unwrap_err()[0].reason.contains("no list"));
        assert!(read_permissions("[").unwrap_err()[0].reason.contains("no JSON"));
    }

    fn one_of() -> Value {
        json!({"Effect": "Deny", "Action": "sqs:SendMessage", "Resource": "*"})
    }
}
