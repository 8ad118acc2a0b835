//! What an environment needs before its first release: which parts of `infra/bootstrap.yaml` this account lacks, and what
//! a user who releases has to know of the rest. What a pipeline needs besides is in `pipeline`.

pub(crate) mod pipeline;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use config::deployment::{Environment, SecretReference};

use aws::signed::{API_GATEWAY, Call};
use aws::{Clients, Identity, ecr, templates};
use model::parameters::{self, Value};
use model::policy;
use model::stack::Stack;
use model::template::Template;

/// What an account has one of at most, and a stack creates if there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Single {
    /// The parameter that says whether the stack creates it.
    parameter: &'static str,
    /// Its logical ID.
    pub(crate) resource: &'static str,
    /// What it is called in messages.
    pub(crate) name: &'static str,
}

const REPOSITORY: Single =
    Single { parameter: "CreateRepository", resource: "Repository", name: "the image repository" };
const BUCKET: Single =
    Single { parameter: "CreateTemplatesBucket", resource: "TemplatesBucket", name: "the bucket for templates" };
const LOGGING: Single = Single {
    parameter: "CreateApiGatewayLogging",
    resource: "ApiGatewayAccount",
    name: "API Gateway's setting with the logging role",
};

/// Of what an account has one at most, whether it has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct There {
    pub(crate) repository: bool,
    /// The bucket for templates.
    pub(crate) bucket: bool,
    /// The role that API Gateway logs with; only read if it is asked for.
    pub(crate) logging_role: Option<String>,
}

/// What the user asks for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) api_gateway_logs: bool,
    /// The most that the service itself may do; `None` leaves it as it is.
    pub(crate) service_actions: Option<Vec<String>>,
    /// What the environment's file of permissions allows it, which is added.
    pub(crate) permitted: BTreeSet<String>,
    /// The secrets of its container that are not below the stack's own path.
    pub(crate) secret_arns: BTreeSet<String>,
}

/// The environment's parameters that the stacks take over.
pub(crate) const TAKEN_OVER: [&str; 2] = ["HostedZoneId", "UsersStack"];

/// The stack that all of it is in, as an environment of its own.
pub(crate) fn environment(of: &Environment) -> Environment {
    administered(of, "bootstrap")
}

/// A stack that an administrator deploys for an environment. It makes roles, so it works without one.
fn administered(of: &Environment, what: &str) -> Environment {
    // Instances may be called anything, so their stacks could be this one if its name began as theirs do.
    let stack = if of.instances { format!("{what}-{}", of.stack) } else { format!("{}-{what}", of.stack) };
    Environment {
        stack,
        instances: false,
        template: format!("infra/{what}.yaml"),
        execution_role: None,
        parameters: BTreeMap::new(),
        // It runs no container.
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        permissions: None,
        watch_minutes: 0,
        ..of.clone()
    }
}

/// Reads what an account can have only one of.
///
/// # Errors
/// What AWS says.
pub(crate) async fn find_existing(
    clients: &Clients,
    identity: &Identity,
    environment: &Environment,
    repository: &str,
    asked: &Asked,
) -> Result<There> {
    let (repository, bucket, logging_role) = tokio::try_join!(
        async { Ok(ecr::find_repository(&clients.ecr, repository).await?.is_some()) },
        templates::find_bucket(clients, &identity.account, &environment.region),
        async { if asked.api_gateway_logs { logging_role(clients).await } else { Ok(None) } },
    )?;
    Ok(There { repository, bucket, logging_role })
}

impl There {
    /// What the user needs and the account lacks.
    pub(crate) fn lacking(&self, asked: &Asked) -> Vec<&'static Single> {
        let logging = asked.api_gateway_logs && self.logging_role.is_none();
        let all = [(&LOGGING, logging), (&REPOSITORY, !self.repository), (&BUCKET, !self.bucket)];
        all.into_iter().filter_map(|(single, is_lacking)| is_lacking.then_some(single)).collect()
    }
}

/// What a stack has created and the account lacks nevertheless, since it was deleted by other means. CloudFormation still
/// takes it for created, so the stack has to drop it before it can create it again.
pub(crate) fn gone(stack: Option<&Stack>, lacking: &[&'static Single]) -> Vec<&'static Single> {
    lacking.iter().copied().filter(|single| is_created(stack, single)).collect()
}

/// The parameters of the template. What the stack has created itself stays its own, unless it is `gone`.
pub(crate) fn parameters(
    template: &Template,
    environment: &Environment,
    repository: &str,
    stack: Option<&Stack>,
    there: &There,
    gone: &[&Single],
    asked: &Asked,
) -> BTreeMap<String, Value> {
    let own = |name: &str| environment.parameters.get(name).cloned().unwrap_or_default();
    let lacking = there.lacking(asked);
    let mut values = vec![
        ("EnvironmentStack", environment.stacks()),
        ("HostedZoneId", own("HostedZoneId")),
        ("RepositoryName", repository.to_owned()),
        ("RolePrefix", policy::role_prefix(environment)),
    ];
    values.extend([&LOGGING, &REPOSITORY, &BUCKET].map(|single| owned(stack, single, &lacking, gone)));
    values.extend(service_actions(stack, asked).map(|actions| ("ServiceActions", actions.join(","))));
    values.push(("SecretArns", asked.secret_arns.iter().map(String::as_str).collect::<Vec<_>>().join(",")));
    with_kept(template, stack, values)
}

/// The most that the service may do: what is asked for, or else what the stack has, and what its file of permissions adds.
fn service_actions(stack: Option<&Stack>, asked: &Asked) -> Option<Vec<String>> {
    if asked.permitted.is_empty() {
        return asked.service_actions.clone();
    }
    let before = || {
        let actions = stack.and_then(|stack| stack.parameters.get("ServiceActions"));
        actions.into_iter().flat_map(|all| all.split(',')).map(|one| one.trim().to_owned()).collect()
    };
    let mut all: Vec<String> = asked.service_actions.clone().unwrap_or_else(before);
    all.retain(|action| !action.is_empty());
    for action in &asked.permitted {
        if !all.iter().any(|pattern| policy::covers(pattern, action)) {
            all.push(action.clone());
        }
    }
    Some(all)
}

/// The ARNs of the secrets in deploy.toml that are not below the stack's own path. One whose reference is an output of
/// another stack is not known here: that stack is named after this one, or its owner allows it.
pub(crate) fn secret_arns(environment: &Environment, account: &str) -> BTreeSet<String> {
    let own = format!("{}/", environment.secrets_path());
    let region = &environment.region;
    let start = format!("arn:{}:ssm:{region}:{account}:parameter", policy::partition(region));
    let arn = |text: &String| match SecretReference::parse(text)? {
        SecretReference::Secret { arn, .. } => Some(arn),
        SecretReference::Parameter(name) if name.starts_with('/') => Some(format!("{start}{name}")),
        SecretReference::Parameter(arn) => Some(arn),
    };
    let all = environment.secrets.values().filter_map(arn);
    all.filter(|arn| !arn.strip_prefix(&start).is_some_and(|name| name.starts_with(&own))).collect()
}

/// Whether the stack creates what an account has only once: because it did so, or because the account lacks it.
fn owned(stack: Option<&Stack>, single: &Single, lacking: &[&Single], gone: &[&Single]) -> (&'static str, String) {
    let is_owned = is_created(stack, single) || lacking.contains(&single);
    (single.parameter, (is_owned && !gone.contains(&single)).to_string())
}

fn is_created(stack: Option<&Stack>, single: &Single) -> bool {
    stack.and_then(|stack| stack.parameters.get(single.parameter)).is_some_and(|value| value == "true")
}

/// These values, and the previous ones of the template's other parameters.
fn with_kept(template: &Template, stack: Option<&Stack>, values: Vec<(&str, String)>) -> BTreeMap<String, Value> {
    let mut all = stack.map(|stack| parameters::kept(template, &stack.parameter_names())).unwrap_or_default();
    all.extend(values.into_iter().map(|(name, value)| (name.to_owned(), Value::Is(value))));
    all
}

/// What the stack would have, a line each.
pub(crate) fn parts(parameters: &BTreeMap<String, Value>) -> Vec<String> {
    let stacks = said(parameters, "EnvironmentStack");
    let of_stacks = if stacks.ends_with('*') { format!("stacks {stacks}") } else { format!("stack {stacks}") };
    let mut lines = vec![
        format!("repository {}: {}", said(parameters, "RepositoryName"), maker(parameters, "CreateRepository")),
        format!("bucket for templates of more than 51,200 bytes: {}", maker(parameters, "CreateTemplatesBucket")),
        format!("logging of API Gateway: {}", maker(parameters, "CreateApiGatewayLogging")),
        format!("execution role and permissions boundary for {of_stacks}"),
    ];
    for (name, what) in
        [("ServiceActions", "the service itself may be allowed"), ("SecretArns", "secrets from elsewhere:")]
    {
        let value = said(parameters, name);
        lines.extend((!value.is_empty()).then(|| format!("{what} {}", value.replace(',', ", "))));
    }
    lines
}

fn said<'a>(parameters: &'a BTreeMap<String, Value>, name: &str) -> &'a str {
    match parameters.get(name) {
        Some(Value::Is(value)) => value,
        _ => "",
    }
}

fn maker(parameters: &BTreeMap<String, Value>, name: &str) -> &'static str {
    if said(parameters, name) == "true" { "made by this stack" } else { "as it is" }
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
