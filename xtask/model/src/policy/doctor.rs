//! What `doctor` reads, and how it checks a caller's permissions.

use config::deployment::Environment;

use super::grants::Grant;
use super::scope::Scope;
use super::{Level, Policy, Statement};
use crate::templates;

/// Reading only. The role, certificate or network is not known in advance, and most actions support no resource.
pub(super) const LOOKS: Grant = Grant {
    sid: "Doctor",
    level: Level::Release,
    scope: Scope::Any,
    actions: &[
        "acm:DescribeCertificate",
        "cloudwatch:GetMetricStatistics",
        "ec2:DescribeAddresses",
        "ec2:DescribeInternetGateways",
        "ec2:DescribeNatGateways",
        "ec2:DescribeSecurityGroupRules",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcs",
        "elasticloadbalancing:DescribeLoadBalancers",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:GetRole",
        "iam:SimulatePrincipalPolicy",
        "servicequotas:GetAWSDefaultServiceQuota",
        "servicequotas:GetServiceQuota",
    ],
};

/// Statements for a template that is too long for the call.
const TEMPLATES: [&str; 2] = ["Templates", "TemplatesBucket"];
/// What a release with secrets needs.
const SECRETS: &str = "SecretVersions";
/// Statements that a release can do without: for `doctor` itself, `bootstrap`, `diff`, `drift`, `secret`, and commands in
/// tasks.
const ASIDE: [&str; 16] = [
    "ApiAccount",
    "CommandDefinitions",
    "CommandRoles",
    "CommandTags",
    "Commands",
    "Configuration",
    "Doctor",
    "Drift",
    "GatewayConfiguration",
    "Integrations",
    "ListenerRules",
    "Provider",
    "RoleConfiguration",
    "SecretChanges",
    "SecretsKey",
    "Types",
];
/// Actions that only `destroy`, `prune` and the very first release need, or that a release can do without; and what AWS
/// allows every caller.
const RARE: [&str; 9] = [
    "cloudformation:ListImports",
    "ecr:BatchDeleteImage",
    "ecr:CreateRepository",
    "ecr:DeleteRepository",
    "ecr:GetLifecyclePolicy",
    "ecr:PutLifecyclePolicy",
    "ecr:TagResource",
    "ecs:StopTask",
    "sts:GetCallerIdentity",
];

/// A statement to simulate: whether a caller may do these actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub actions: Vec<&'static str>,
    /// Without patterns: examples replace wildcards.
    pub resources: Vec<String>,
    /// Context keys for conditions, of the statement itself or of the caller's policies.
    pub context: Vec<(&'static str, String)>,
}

impl Policy {
    /// What a release to `environment` needs, to simulate for resources in `account`; for a template that fits in a call.
    pub fn questions(&self, environment: &Environment, account: &str) -> Vec<Question> {
        let has_secrets = !environment.secrets.is_empty();
        let is_asked =
            |sid: &str| !ASIDE.contains(&sid) && !TEMPLATES.contains(&sid) && (has_secrets || sid != SECRETS);
        self.asked(environment, account, is_asked)
    }

    /// What it needs besides where the template does not.
    pub fn template_questions(&self, environment: &Environment, account: &str) -> Vec<Question> {
        self.asked(environment, account, |sid| TEMPLATES.contains(&sid))
    }

    fn asked(&self, environment: &Environment, account: &str, is_asked: impl Fn(&str) -> bool) -> Vec<Question> {
        // Known for every call: a caller's policy may require the region, or deny CloudFormation with another role.
        let mut known = vec![("aws:RequestedRegion", environment.region.clone())];
        known.extend(environment.execution_role.iter().map(|role| ("cloudformation:RoleArn", role.clone())));
        let example = |text: &str| if text == "*" { text.to_owned() } else { text.replace('*', "x") };
        let bucket = |account: &str| templates::bucket(account, &environment.region);
        let of_account =
            |text: &str| text.replace(":*:", &format!(":{account}:")).replace(&bucket("*"), &bucket(account));
        let resource = |text: &String| example(&of_account(text));
        let own = |statement: &Statement| {
            let conditions = statement.condition.values().flatten();
            conditions.map(|(key, value)| (*key, resource(value))).collect::<Vec<_>>()
        };
        let statements = self.statement.iter().filter(|statement| is_asked(statement.sid));
        statements
            .map(|statement| Question {
                actions: statement.action.iter().copied().filter(|action| !RARE.contains(action)).collect(),
                resources: statement.resource.iter().map(resource).collect(),
                context: known.iter().cloned().chain(own(statement)).collect(),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use config::deployment::Deployment;

    use crate::policy::{Level, policy};

    const SETTINGS: &str = "[service]\nname = \"api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"one\"\n\
        template = \"t.yaml\"\nexecution_role = \"arn:aws:iam::111122223333:role/xtask/execution\"\n";

    #[test]
    fn questions_have_no_patterns_and_cover_what_a_release_does() {
        let deployment = Deployment::parse("deploy.toml", SETTINGS).unwrap();
        let environment = &deployment.environments["dev"];
        let questions = policy(&deployment, environment, &[], Level::Release).questions(environment, "111122223333");
        let texts = questions.iter().flat_map(|q| q.resources.iter().chain(q.context.iter().map(|(_, value)| value)));
        for text in texts {
            assert!(text == "*" || !text.contains('*'), "{text}");
        }
        let of = |action: &str| questions.iter().filter(|q| q.actions.contains(&action)).collect::<Vec<_>>();
        let stack = "arn:aws:cloudformation:eu-central-1:111122223333:stack/one/x";
        assert_eq!(of("cloudformation:DescribeStacks")[0].resources, [stack]);
        let cluster = "arn:aws:ecs:eu-central-1:111122223333:cluster/one-x".to_owned();
        assert_eq!(of("ecs:ListTasks")[0].context.last(), Some(&("ecs:cluster", cluster)));
        let passed = ("iam:PassedToService", "cloudformation.amazonaws.com".to_owned());
        assert_eq!(of("iam:PassRole")[0].context.last(), Some(&passed));
        for aside in ["sts:GetCallerIdentity", "iam:GetRole", "ecr:DeleteRepository", "iam:GetOpenIDConnectProvider"] {
            assert!(of(aside).is_empty(), "{aside}");
        }
    }

    #[test]
    fn secrets_are_asked_about_where_a_release_has_some() {
        let with =
            format!("{SETTINGS}secrets_key = \"alias/ours\"\n[environments.dev.secrets]\nKEY = \"/secrets/one/KEY\"\n");
        for (settings, asked) in [(SETTINGS, false), (with.as_str(), true)] {
            let deployment = Deployment::parse("deploy.toml", settings).unwrap();
            let environment = &deployment.environments["dev"];
            let questions =
                policy(&deployment, environment, &[], Level::Release).questions(environment, "111122223333");
            let all: Vec<&str> = questions.iter().flat_map(|question| question.actions.clone()).collect();
            assert_eq!(all.contains(&"ssm:DescribeParameters"), asked);
            // Writing a value is `secret set`, not a release.
            assert!(!all.contains(&"kms:Encrypt"));
            let of_values =
                |q: &&crate::policy::Question| q.resources.iter().any(|arn| arn.contains("parameter/secrets/"));
            assert!(!questions.iter().any(|question| of_values(&question)));
        }
    }

    #[test]
    fn a_template_that_is_too_long_for_a_call_needs_its_bucket() {
        let deployment = Deployment::parse("deploy.toml", SETTINGS).unwrap();
        let environment = &deployment.environments["dev"];
        let long = policy(&deployment, environment, &[], Level::Release);
        let questions = long.template_questions(environment, "111122223333");
        let bucket = "arn:aws:s3:::xtask-templates-111122223333-eu-central-1-an";
        let of = |action: &str| questions.iter().find(|q| q.actions.contains(&action)).unwrap().resources.clone();
        assert_eq!(of("s3:GetBucketLocation"), [bucket]);
        assert_eq!(
            (of("s3:GetObject"), of("s3:PutObject")),
            (vec![format!("{bucket}/one/x")], vec![format!("{bucket}/one/x")])
        );
        assert_eq!(questions.len(), 2);
        let short = long.questions(environment, "111122223333");
        assert!(short.iter().flat_map(|q| &q.actions).all(|action| !action.starts_with("s3:")));
    }
}
