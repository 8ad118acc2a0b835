//! What the strings of `deploy.toml` may look like, each with the page it comes from where AWS sets it.

/// What a string may look like: the check, and the words for it.
#[derive(Clone, Copy)]
pub(super) struct Rule {
    pub(super) holds: fn(&str) -> bool,
    pub(super) allowed: &'static str,
}

pub(super) const ANY: Rule = Rule { holds: |_| true, allowed: "text" };

pub(super) const ENVIRONMENT: Rule = Rule {
    holds: |s| starts_alphanumeric(s) && s.len() <= 64 && s.bytes().all(|b| word(b) || b == b'-') && s != "local",
    allowed: "letters, digits, - and _ (at most 64, not `local`)",
};

// https://doc.rust-lang.org/cargo/reference/features.html
pub(super) const FEATURE: Rule = Rule {
    holds: |s| starts_alphanumeric(s) && s.bytes().all(|b| word(b) || b"-+.".contains(&b)),
    allowed: "a list of the service's cargo features, such as [\"postgres\"]",
};

pub(super) const PATH: Rule = Rule {
    holds: |s| s.starts_with('/') && s.bytes().all(|b| b.is_ascii_graphic() && b != b'#'),
    allowed: "a path that starts with /",
};

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html
pub(super) const REPOSITORY: Rule = Rule {
    holds: |s| {
        (2..=256).contains(&s.len())
            && s.split('/').all(|part| {
                part.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                    && part.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
                    && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
            })
    },
    allowed: "2 to 256 lower-case letters, digits and ._-/ , as an ECR repository is named",
};

pub(super) const REGION: Rule = Rule {
    holds: |s| {
        let parts: Vec<&str> = s.split('-').collect();
        parts.len() >= 3
            && parts
                .iter()
                .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
            && parts.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()))
    },
    allowed: "an AWS region such as eu-central-1",
};

pub(super) const ACCOUNT: Rule = Rule {
    holds: |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit()),
    allowed: "an account id of 12 digits, in quotes",
};

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_CreateStack.html
pub(super) const STACK: Rule = Rule {
    holds: |s| {
        s.len() <= 128
            && s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    },
    allowed: "at most 128 letters, digits and -, starting with a letter",
};

// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
pub(super) const ROLE: Rule = Rule {
    holds: |s| {
        let parts: Vec<&str> = s.splitn(6, ':').collect();
        let [arn, partition, service, region, account, role] = parts[..] else { return false };
        let name = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_/-".contains(&b);
        arn == "arn"
            && partition.strip_prefix("aws").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            && (service, region) == ("iam", "")
            && (ACCOUNT.holds)(account)
            && role.strip_prefix("role/").is_some_and(|name_of| !name_of.is_empty() && name_of.bytes().all(name))
    },
    allowed: "a role's ARN, arn:aws:iam::ACCOUNT:role/NAME",
};

pub(super) const TEMPLATE: Rule = Rule {
    holds: |s| !s.is_empty() && !s.starts_with('/') && !s.split('/').any(|part| part == ".."),
    allowed: "a path inside the repository, such as infra/api-backend.yaml",
};

pub(super) const URL: Rule = Rule {
    holds: |s| {
        ["http://", "https://"].iter().any(|scheme| s.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
            && s.bytes().all(|b| b.is_ascii_graphic())
    },
    allowed: "a URL that starts with http:// or https://",
};

pub(super) const REGISTRY: Rule = Rule {
    holds: |s| {
        let (host, port) = s.rsplit_once(':').unwrap_or((s, "443"));
        !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-".contains(&b))
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    },
    allowed: "HOST or HOST:PORT, without a scheme",
};

// https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ImageScanFinding.html
pub(super) const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "none"];

// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
pub(super) const PARAMETER: Rule = Rule {
    holds: |s| !s.is_empty() && s.len() <= 255 && s.bytes().all(|b| b.is_ascii_alphanumeric()),
    allowed: "a parameter's name of letters and digits",
};

// https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html
pub(super) const VARIABLE: Rule = Rule {
    holds: |s| {
        !s.starts_with(|c: char| c.is_ascii_digit())
            && !s.is_empty()
            && s.bytes().all(word)
            && !super::RESERVED.contains(&s)
    },
    allowed: "letters, digits and _, no digit first; API_PORT, IMAGE_DIGEST and SECRET_VERSIONS are set by the tool",
};

/// A value of a variable at AWS. The longest that a whole container's definition may be is checked with the template.
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/dynamic-references.html
pub(super) const VALUE: Rule = Rule {
    holds: |s| s.len() <= 32 * 1024 && !s.contains('\0') && !s.contains("{{resolve:"),
    allowed: "text, a number, true or false, at most 32 KiB, without {{resolve:…}}, for which there is `secrets`",
};

pub(super) const COMMAND: Rule =
    Rule { holds: |s| !s.contains('\0'), allowed: "a command as a list of its words, such as [\"/api\", \"migrate\"]" };

// https://docs.aws.amazon.com/kms/latest/APIReference/API_DescribeKey.html
pub(super) const KEY: Rule = Rule {
    holds: |s| {
        let (kind, name) = s.rsplit_once(':').map_or(("", s), |(arn, name)| (arn, name));
        let is_name = |name: &str| !name.is_empty() && name.bytes().all(|b| word(b) || b"/-".contains(&b));
        let is_bare =
            |name: &str| name.len() >= 36 && name.bytes().all(|b| b.is_ascii_hexdigit() || b"mrk-".contains(&b));
        match kind {
            "" => name.strip_prefix("alias/").is_some_and(is_name) || is_bare(name),
            arn => {
                arn.starts_with("arn:aws") && arn.contains(":kms:") && name.strip_prefix("key/").is_some_and(is_bare)
            }
        }
    },
    allowed: "a key of KMS: its id, its ARN, or alias/NAME",
};

pub(super) const PERMISSIONS: Rule =
    Rule { holds: TEMPLATE.holds, allowed: "a path inside the repository, such as infra/permissions.json" };

pub(super) const ENV_FILE: Rule =
    Rule { holds: TEMPLATE.holds, allowed: "a path inside the repository, such as .env.local" };

pub(super) const OUTPUT: Rule = Rule { holds: PARAMETER.holds, allowed: "an output's name of letters and digits" };

/// Which environments there are is checked when all of them are read.
pub(super) const NEEDS: Rule = Rule { holds: |_| true, allowed: "a list of environments, such as [\"network\"]" };

// https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_RollbackConfiguration.html
pub(super) const WATCH_MINUTES: &str = "minutes from 0 to 180";

fn starts_alphanumeric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

fn word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
