//! What an environment needs before its first release: which parts of `infra/bootstrap.yaml` this account lacks, and what
//! a user who releases has to know of the rest.

use std::collections::BTreeMap;

use anyhow::Result;
use config::deployment::Environment;

use aws::signed::{API_GATEWAY, Call, IAM};
use aws::{Clients, Identity, ecr};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Value;
use model::policy::{self, Level, PROVIDER};
use model::stack::Stack;
use model::trust::{AUDIENCE, Trust};

const TEMPLATE: &str = "infra/bootstrap.yaml";

/// Of what an account has one at most, whether it has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct There {
    pub(crate) repository: bool,
    pub(crate) provider: bool,
    /// The role that API Gateway logs with; only read if it is asked for.
    pub(crate) logging_role: Option<String>,
}

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// Who may release; `None` leaves it as it is.
    pub(crate) trust: Option<Trust>,
    pub(crate) api_gateway_logs: bool,
    /// The most that the service itself may do; `None` leaves it as it is.
    pub(crate) service_actions: Option<Vec<String>>,
}

/// The environment's parameters that the roles depend on.
pub(crate) const TAKEN_OVER: [&str; 2] = ["HostedZoneId", "UsersStack"];

/// The stack that all of it is in, as an environment of its own. It makes the roles, so it works without one.
pub(crate) fn environment(of: &Environment) -> Environment {
    // Instances may be called anything, so their stacks could be this one if its name began as theirs do.
    let stack = if of.instances { format!("bootstrap-{}", of.stack) } else { format!("{}-bootstrap", of.stack) };
    Environment {
        stack,
        instances: false,
        template: TEMPLATE.to_owned(),
        execution_role: None,
        parameters: BTreeMap::new(),
        watch_minutes: 0,
        ..of.clone()
    }
}

/// Reads what an account can have only one of.
///
/// # Errors
/// What AWS says, or an identity provider that does not take AWS's tokens.
pub(crate) async fn find_existing(
    clients: &Clients,
    identity: &Identity,
    environment: &Environment,
    repository: &str,
    asked: &Asked,
) -> Result<There> {
    let (repository, provider, logging_role) = tokio::try_join!(
        async { Ok(ecr::find_repository(&clients.ecr, repository).await?.is_some()) },
        provider(clients, identity, environment),
        async { if asked.api_gateway_logs { logging_role(clients).await } else { Ok(None) } },
    )?;
    Ok(There { repository, provider, logging_role })
}

/// The parameters of the template. What the stack has created itself stays its own.
pub(crate) fn parameters(
    environment: &Environment,
    repository: &str,
    stack: Option<&Stack>,
    there: &There,
    asked: &Asked,
) -> BTreeMap<String, Value> {
    let had = |name: &str| stack.and_then(|stack| stack.parameters.get(name)).map(String::as_str);
    let flag = |name: &str, lacking: bool| (had(name) == Some("true") || lacking).to_string();
    let pipeline = asked.trust.is_some() || had("Subjects").is_some_and(|subjects| !subjects.is_empty());
    let own = |name: &str| environment.parameters.get(name).cloned().unwrap_or_default();
    let logging = asked.api_gateway_logs && there.logging_role.is_none();
    let mut values = BTreeMap::from([
        ("CreateApiGatewayLogging", flag("CreateApiGatewayLogging", logging)),
        ("CreateOidcProvider", flag("CreateOidcProvider", pipeline && !there.provider)),
        ("CreateRepository", flag("CreateRepository", !there.repository)),
        ("EnvironmentStack", environment.stacks()),
        ("RepositoryName", repository.to_owned()),
        ("RolePrefix", policy::role_prefix(environment)),
    ]);
    values.extend(TAKEN_OVER.map(|name| (name, own(name))));
    values.extend(asked.trust.iter().flat_map(Trust::parameters));
    values.extend(asked.service_actions.iter().map(|actions| ("ServiceActions", actions.join(","))));
    let kept = stack.into_iter().flat_map(|stack| stack.parameters.keys().cloned());
    let mut all: BTreeMap<String, Value> = kept.map(|name| (name, Value::Previous)).collect();
    all.extend(values.into_iter().map(|(name, value)| (name.to_owned(), Value::Is(value))));
    all
}

/// What the stack would have, a line each.
pub(crate) fn parts(parameters: &BTreeMap<String, Value>) -> Vec<String> {
    let says = |name: &str| match parameters.get(name) {
        Some(Value::Is(value)) => value.as_str(),
        _ => "",
    };
    let made = |name: &str| if says(name) == "true" { "made by this stack" } else { "as it is" };
    let trusted = |name: &str| match parameters.get(name) {
        Some(Value::Is(subjects)) if !subjects.is_empty() => subjects.replace(',', " and "),
        Some(Value::Previous) => "the trust that the stack has".to_owned(),
        _ => "nobody".to_owned(),
    };
    let stacks = says("EnvironmentStack");
    let of_stacks = if stacks.ends_with('*') { format!("stacks {stacks}") } else { format!("stack {stacks}") };
    vec![
        format!("repository {}: {}", says("RepositoryName"), made("CreateRepository")),
        format!("identity provider {PROVIDER}: {}", made("CreateOidcProvider")),
        format!("logging of API Gateway: {}", made("CreateApiGatewayLogging")),
        format!("read role for {}", trusted("ReadSubjects")),
        format!("plan role for {}", trusted("PlanSubjects")),
        format!("deploy role for {}", trusted("Subjects")),
        format!("execution role and permissions boundary for {of_stacks}"),
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

/// The role that API Gateway logs with in this account and region.
///
/// # Errors
/// What AWS says.
pub(crate) async fn logging_role(clients: &Clients) -> Result<Option<String>> {
    let call = Call { service: &API_GATEWAY, action: "apigateway:GET", resource: "the account's settings" };
    let account = clients.signed.get(call, "/account").await?;
    Ok(account["cloudwatchRoleArn"].as_str().filter(|arn| !arn.is_empty()).map(str::to_owned))
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

/// The commands that create the environments on GitHub and set their variables and the repository's.
pub(crate) fn commands(
    trust: &Trust,
    environment: &Environment,
    stack: &Stack,
    variables: &BTreeMap<String, String>,
) -> Vec<String> {
    let repository = trust.repository().unwrap_or("OWNER/REPO");
    let (plan, release) = (trust.environment(Level::Plan), trust.environment(Level::Release));
    let make = |name: &str| format!("gh api --method PUT repos/{repository}/environments/{name}");
    let mut lines: Vec<String> = [plan, release].into_iter().flatten().map(make).collect();
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

/// What belongs into deploy.toml, as it stands there.
pub(crate) fn settings(environment: &Environment, identity: &Identity, stack: &Stack) -> Vec<String> {
    let name = &environment.name;
    let mut lines = vec![format!("[environments.{name}]"), format!("account = \"{}\"", identity.account)];
    lines.extend(stack.outputs.get("ExecutionRoleArn").map(|arn| format!("execution_role = \"{arn}\"")));
    lines.extend([String::new(), format!("[environments.{name}.parameters]")]);
    lines.extend(stack.outputs.get("PermissionsBoundaryArn").map(|arn| format!("PermissionsBoundary = \"{arn}\"")));
    lines
}

#[cfg(test)]
mod tests;
