//! Where a secret's value is kept at AWS, as a container's definition names it.

use std::fmt;

use super::{Environment, rules};

/// What a reference may be, in words.
pub const ALLOWED: &str = "a reference, never the value: a parameter of Systems Manager (/PATH/NAME, or its ARN), or the ARN of \
                           a secret of Secrets Manager, with :KEY:: after it for one key of its JSON";

/// A secret's place, as `valueFrom` has it
/// (<https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Secret.html>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretReference {
    /// A parameter of Systems Manager, by name or ARN.
    Parameter(String),
    /// A secret of Secrets Manager.
    Secret {
        /// With the six characters that AWS adds to the name.
        arn: String,
        /// The key of its JSON, and the label of the version; empty for all of it, and for the current one.
        key: String,
        stage: String,
    },
}

impl SecretReference {
    /// Reads a reference; `None` for any other text, which may be the secret itself.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return is_parameter(text).then(|| Self::Parameter(text.to_owned()));
        }
        let [arn, partition, service, region, account, rest] = text.splitn(6, ':').collect::<Vec<_>>()[..] else {
            return None;
        };
        let is_here = arn == "arn" && partition.starts_with("aws") && (rules::REGION.holds)(region);
        if !is_here || !(rules::ACCOUNT.holds)(account) {
            return None;
        }
        match service {
            "ssm" => {
                let name = rest.strip_prefix("parameter/")?;
                is_parameter(&format!("/{name}")).then(|| Self::Parameter(text.to_owned()))
            }
            "secretsmanager" => {
                let rest = rest.strip_prefix("secret:")?;
                let (name, key, stage) = match rest.split(':').collect::<Vec<_>>()[..] {
                    [name] => (name, "", ""),
                    // Which version has an id and no label, AWS may delete.
                    [name, key, stage, ""] => (name, key, stage),
                    _ => return None,
                };
                let arn = format!("arn:{partition}:secretsmanager:{region}:{account}:secret:{name}");
                is_secret(name).then(|| Self::Secret { arn, key: key.to_owned(), stage: stage.to_owned() })
            }
            _ => None,
        }
    }

    /// A parameter's name, where it is one.
    #[must_use]
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Parameter(name) => Some(name.split_once(":parameter").map_or(name, |(_, name)| name)),
            Self::Secret { .. } => None,
        }
    }
}

impl fmt::Display for SecretReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => f.write_str(name),
            Self::Secret { arn, key, stage } if key.is_empty() && stage.is_empty() => f.write_str(arn),
            Self::Secret { arn, key, stage } => write!(f, "{arn}:{key}:{stage}:"),
        }
    }
}

impl Environment {
    /// The path of the parameters in which `secret set` keeps the environment's secrets; its instances share them.
    #[must_use]
    pub fn secrets_path(&self) -> String {
        let shared = match self.name.split_once('/') {
            Some((_, which)) => self.stack.strip_suffix(&format!("-{which}")),
            None => Some(self.stack.as_str()).filter(|_| self.instances),
        };
        // Begins as the instances' stacks do, so that a pattern of their names covers it.
        shared.map_or_else(|| format!("/secrets/{}", self.stack), |stack| format!("/secrets/{stack}-all"))
    }
}

/// What the name of a variable has to be, if this is none.
#[must_use]
pub fn variable_problem(name: &str) -> Option<&'static str> {
    (!(rules::VARIABLE.holds)(name)).then_some(rules::VARIABLE.allowed)
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
fn is_parameter(name: &str) -> bool {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    name.len() <= 1011 && name.split('/').skip(1).all(is_part)
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
fn is_secret(name: &str) -> bool {
    let suffix =
        name.rsplit_once('-').is_some_and(|(_, end)| end.len() == 6 && end.bytes().all(|b| b.is_ascii_alphanumeric()));
    suffix && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_and_written_as_a_container_has_them() {
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:team/db-a1B2c3";
        let of = |key: &str, stage: &str| SecretReference::Secret {
            arn: arn.to_owned(),
            key: key.to_owned(),
            stage: stage.to_owned(),
        };
        let whole = format!("{arn}:password::");
        let staged = format!("{arn}::AWSPREVIOUS:");
        assert_eq!(SecretReference::parse(arn), Some(of("", "")));
        assert_eq!(SecretReference::parse(&whole), Some(of("password", "")));
        assert_eq!(SecretReference::parse(&staged), Some(of("", "AWSPREVIOUS")));
        let parameter = "arn:aws:ssm:eu-central-1:111122223333:parameter/secrets/api/KEY";
        for text in [arn, &whole, &staged, "/secrets/api/KEY", parameter] {
            assert_eq!(SecretReference::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(SecretReference::parse(parameter).unwrap().parameter(), Some("/secrets/api/KEY"));
        assert_eq!(SecretReference::parse("/a/b").unwrap().parameter(), Some("/a/b"));
        assert_eq!(SecretReference::parse(arn).unwrap().parameter(), None);
    }

    #[test]
    fn instances_share_a_path_that_their_stacks_pattern_covers() {
        let text = "[service]\nname = \"api\"\n[environments.one]\nregion = \"eu-central-1\"\nstack = \"api\"\n\
            template = \"t.yaml\"\n[environments.many]\nregion = \"eu-central-1\"\nstack = \"preview\"\n\
            template = \"t.yaml\"\ninstances = true\n";
        let environments = crate::deployment::Deployment::parse("deploy.toml", text).unwrap().environments;
        assert_eq!(environments["one"].secrets_path(), "/secrets/api");
        let many = &environments["many"];
        assert_eq!((many.secrets_path().as_str(), many.stacks().as_str()), ("/secrets/preview-all", "preview-*"));
        assert_eq!(many.instance("pr-12").unwrap().secrets_path(), "/secrets/preview-all");
    }

    #[test]
    fn anything_else_may_be_the_secret_itself() {
        let arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret";
        for text in [
            "hunter2",
            "",
            "/",
            "/a//b",
            "/a b",
            "arn:aws:ssm:eu-central-1:111122223333:parameter/",
            "arn:aws:s3:::bucket",
            "arn:aws:ssm:eu:1:parameter/a",
            &format!("{arn}:db"),
            &format!("{arn}:db-a1B2c3:password"),
            &format!("{arn}:db-a1B2c3:password::0a1b"),
        ] {
            assert_eq!(SecretReference::parse(text), None, "{text}");
        }
    }
}
