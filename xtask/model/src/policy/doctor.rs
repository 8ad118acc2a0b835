//! What `doctor` reads, and how it asks whether somebody has the whole policy.

use config::deployment::Environment;

use super::grants::Grant;
use super::scope::Scope;
use super::{Level, Policy, Statement};

/// Reading only. Whose role, certificate or network it is, is not known beforehand, and most of these know no resource.
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
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeVpcs",
        "elasticloadbalancing:DescribeLoadBalancers",
        "iam:GetRole",
        "iam:SimulatePrincipalPolicy",
        "servicequotas:GetAWSDefaultServiceQuota",
        "servicequotas:GetServiceQuota",
    ],
};

/// Statements that no release needs: what `doctor` itself, `bootstrap`, `diff` and `drift` read.
const ASIDE: [&str; 10] = [
    "ApiAccount",
    "Configuration",
    "Doctor",
    "Drift",
    "GatewayConfiguration",
    "Integrations",
    "ListenerRules",
    "Provider",
    "RoleConfiguration",
    "Types",
];
/// Actions that only `destroy`, `prune` and the first release of all need, or that a release can do without; and what AWS
/// allows everybody.
const RARE: [&str; 7] = [
    "ecr:BatchDeleteImage",
    "ecr:CreateRepository",
    "ecr:DeleteRepository",
    "ecr:GetLifecyclePolicy",
    "ecr:PutLifecyclePolicy",
    "ecr:TagResource",
    "sts:GetCallerIdentity",
];

/// A statement as a question: whether somebody may do these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    pub actions: Vec<&'static str>,
    /// Without patterns: an example stands for what is free.
    pub resources: Vec<String>,
    /// What a condition may want to know, the statement's own or anybody's.
    pub context: Vec<(&'static str, String)>,
}

impl Policy {
    /// What a release to `environment` needs, as questions about resources in `account`.
    pub fn questions(&self, environment: &Environment, account: &str) -> Vec<Question> {
        // Known of every call: somebody's policy may ask for the region, or refuse CloudFormation with another role.
        let mut known = vec![("aws:RequestedRegion", environment.region.clone())];
        known.extend(environment.execution_role.iter().map(|role| ("cloudformation:RoleArn", role.clone())));
        let example = |text: &str| if text == "*" { text.to_owned() } else { text.replace('*', "x") };
        let resource = |text: &String| example(&text.replace(":*:", &format!(":{account}:")));
        let own = |statement: &Statement| {
            let conditions = statement.condition.values().flatten();
            conditions.map(|(key, value)| (*key, resource(value))).collect::<Vec<_>>()
        };
        let statements = self.statement.iter().filter(|statement| !ASIDE.contains(&statement.sid));
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
    fn what_is_asked_has_no_patterns_and_is_what_a_release_does() {
        let deployment = Deployment::parse("deploy.toml", SETTINGS).unwrap();
        let environment = &deployment.environments["dev"];
        let questions = policy(&deployment.service, environment, Level::Release).questions(environment, "111122223333");
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
}
