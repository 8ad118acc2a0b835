//! What a GitHub pipeline needs: the parameters of `infra/pipeline.yaml`, and what to set on GitHub.

use std::collections::BTreeMap;

use anyhow::Result;
use config::deployment::Environment;

use super::{Single, administered, maker, owned, with_kept};
use aws::signed::{Call, IAM};
use aws::{Clients, Identity, stack};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Value;
use model::policy::{self, Level, PROVIDER};
use model::stack::Stack;
use model::template::Template;
use model::trust::{AUDIENCE, Trust};

/// GitHub's identity provider.
const OIDC_PROVIDER: Single =
    Single { parameter: "CreateOidcProvider", resource: "OidcProvider", name: "the identity provider for GitHub" };

/// What of this the account lacks.
pub(crate) fn lacking(has_provider: bool) -> Vec<&'static Single> {
    if has_provider { Vec::new() } else { vec![&OIDC_PROVIDER] }
}

/// The stack of the pipeline's roles, as an environment of its own.
pub(crate) fn environment(of: &Environment) -> Environment {
    administered(of, "pipeline")
}

/// Who is trusted, and the stack that says so: the pipeline's own, or that of `bootstrap`, which had the roles in earlier
/// versions.
///
/// # Errors
/// What AWS says.
pub(crate) async fn deployed_trust(clients: &Clients, of: &Environment) -> Result<Option<(Trust, String)>> {
    for own in [environment(of), super::environment(of)] {
        let stack = stack::describe(&clients.cloudformation, &own.stack).await?;
        if let Some(trust) = stack.as_ref().and_then(|stack| Trust::deployed(&stack.parameters)) {
            return Ok(Some((trust, own.stack)));
        }
    }
    Ok(None)
}

/// What the pipeline's roles are made for.
pub(crate) struct PipelineScope<'a> {
    pub(crate) environment: &'a Environment,
    /// The environments whose stacks a release reads.
    pub(crate) needs: Vec<&'a Environment>,
    /// Those of them whose stacks it brings up to date first.
    pub(crate) changed: Vec<&'a Environment>,
    pub(crate) account: &'a str,
    pub(crate) repository: &'a str,
    /// Who is trusted; `None` leaves it as it is.
    pub(crate) trust: Option<&'a Trust>,
    /// Whether the account has GitHub's identity provider.
    pub(crate) has_provider: bool,
    /// What the stack created and the account lacks.
    pub(crate) gone: &'a [&'static Single],
    pub(crate) execution_role: &'a str,
}

impl PipelineScope<'_> {
    /// The parameters of the template. A provider that the stack has created itself stays its own.
    pub(crate) fn parameters(&self, template: &Template, stack: Option<&Stack>) -> BTreeMap<String, Value> {
        let environment = self.environment;
        let arn = |of: &Environment| {
            let (partition, region) = (policy::partition(&of.region), &of.region);
            format!("arn:{partition}:cloudformation:{region}:{}:stack/{}/*", self.account, of.stacks())
        };
        let stacks = |needs: &[&Environment]| {
            let all: Vec<String> = [environment].into_iter().chain(needs.iter().copied()).map(arn).collect();
            all.join(",")
        };
        let mut values = vec![
            owned(stack, &OIDC_PROVIDER, &lacking(self.has_provider), self.gone),
            ("EnvironmentStack", environment.stacks()),
            ("ExecutionRoleArn", self.execution_role.to_owned()),
            ("ReadStackArns", stacks(&self.needs)),
            ("RepositoryName", self.repository.to_owned()),
            ("RolePrefix", policy::role_prefix(environment)),
            ("StackArns", stacks(&self.changed)),
            ("UsersStack", environment.parameters.get("UsersStack").cloned().unwrap_or_default()),
        ];
        values.extend(self.trust.iter().flat_map(|trust| trust.parameters()));
        with_kept(template, stack, values)
    }
}

/// What the stack would have, a line each.
pub(crate) fn parts(parameters: &BTreeMap<String, Value>) -> Vec<String> {
    let trusted = |name: &str| match parameters.get(name) {
        Some(Value::Is(subjects)) if !subjects.is_empty() => subjects.replace(',', " and "),
        Some(Value::Previous) => "the trust that the stack has".to_owned(),
        _ => "nobody".to_owned(),
    };
    vec![
        format!("identity provider {PROVIDER}: {}", maker(parameters, "CreateOidcProvider")),
        format!("read role for {}", trusted("ReadSubjects")),
        format!("plan role for {}", trusted("PlanSubjects")),
        format!("deploy role for {}", trusted("Subjects")),
    ]
}

/// Whether the account has GitHub as an identity provider.
///
/// # Errors
/// A provider that takes no tokens for AWS, or what AWS says.
pub(crate) async fn provider(clients: &Clients, identity: &Identity, environment: &Environment) -> Result<bool> {
    let partition = policy::partition(&environment.region);
    let arn = format!("arn:{partition}:iam::{}:oidc-provider/{PROVIDER}", identity.account);
    let call = Call { service: &IAM, action: "iam:GetOpenIDConnectProvider", resource: &arn };
    match clients.signed.query(call, &[("OpenIDConnectProviderArn", &arn)]).await {
        Ok(answer) if answer.contains(&format!("<member>{AUDIENCE}</member>")) => Ok(true),
        Ok(_) => Err(Failure::new(
            Exit::Preflight,
            FailureKind::Provider,
            "the identity provider for GitHub takes no tokens for AWS",
        )
        .resource(&arn)
        .reason(format!("{AUDIENCE} is not among its audiences"))
        .hint(format!(
            "aws iam add-client-id-to-open-id-connect-provider --open-id-connect-provider-arn {arn} --client-id \
                 {AUDIENCE}"
        ))
        .into()),
        Err(failure) if aws::is_missing(&failure) => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

/// The variables of the pipeline.
pub(crate) fn variables(environment: &Environment, stack: &Stack) -> BTreeMap<String, String> {
    let output = |name: &str| stack.outputs.get(name).cloned();
    let read = read_variable(environment);
    let variables = [("AWS_ROLE_ARN", output("DeployRoleArn")), (read.as_str(), output("ReadRoleArn"))];
    variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// The variable of the role that reads. It is the repository's, which several environments share, so it names its own.
fn read_variable(environment: &Environment) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("AWS_READ_ROLE_ARN_{}", environment.name.chars().map(letter).collect::<String>())
}

/// The workflow `release.yml` sends tags there.
const PRODUCTION: &str = "production";

/// The commands that create an environment on GitHub, and say which branches and tags may use it: the released branch, from
/// which drift, rollback and releases by hand run too, and in production tags. A preview is for any branch.
fn admissions(environment: &Environment, trust: &Trust, path: &str) -> Vec<String> {
    if environment.instances {
        return vec![format!("gh api --method PUT {path}")];
    }
    let branch = ("branch", trust.branch().unwrap_or("main"));
    let tags = (environment.name == PRODUCTION).then_some(("tag", "v*"));
    let make = format!(
        "gh api --method PUT {path} -F 'deployment_branch_policy[protected_branches]=false' -F \
         'deployment_branch_policy[custom_branch_policies]=true'"
    );
    let admit = |(kind, name)| {
        format!("gh api --method POST {path}/deployment-branch-policies -f type={kind} -f 'name={name}'")
    };
    [make].into_iter().chain([branch].into_iter().chain(tags).map(admit)).collect()
}

/// The commands that create the environments on GitHub and set their variables and the repository's.
pub(crate) fn commands(
    trust: &Trust,
    environment: &Environment,
    stack: &Stack,
    variables: &BTreeMap<String, String>,
) -> Vec<String> {
    let repository = trust.repository().unwrap_or("OWNER/REPO");
    let (plan, release) = (trust.environment(Level::Plan), trust.environment(Level::Release));
    let mut lines: Vec<String> = Vec::new();
    for name in [plan, release].into_iter().flatten() {
        lines.extend(admissions(environment, trust, &format!("repos/{repository}/environments/{name}")));
    }
    let mut set = |name: &str, place: Option<&str>, value: &str| {
        let place = place.map(|place| format!(" --env {place}")).unwrap_or_default();
        lines.push(format!("gh variable set {name} --repo {repository}{place} --body {value}"));
    };
    let read = read_variable(environment);
    for (name, value) in variables {
        set(name, release.filter(|_| *name != read), value);
    }
    if let Some((place, role)) = plan.zip(stack.outputs.get("PlanRoleArn")) {
        set("AWS_ROLE_ARN", Some(place), role);
    }
    lines
}
