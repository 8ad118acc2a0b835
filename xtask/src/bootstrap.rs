//! What an environment needs before its first release: which parts of `infra/bootstrap.yaml` this account lacks, and what
//! whoever releases has to know of the rest.

use std::collections::BTreeMap;

use anyhow::Result;
use config::deployment::Environment;

use crate::aws::signed::{API_GATEWAY, Call, IAM};
use crate::aws::{self, Clients, Identity};
use crate::ecr;
use crate::outcome::{Exit, Failure};
use crate::plan::Value;
use crate::policy;
use crate::stack::Stack;
use crate::trust::{AUDIENCE, PROVIDER, Trust};

const TEMPLATE: &str = "infra/bootstrap.yaml";
/// As many characters of a stack's name go into the name of a role, which has 64 at most.
const ROLE_PREFIX: usize = 24;

/// Of what an account has one at most, whether it has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct There {
    pub(crate) repository: bool,
    pub(crate) provider: bool,
    /// The role that API Gateway logs with; not looked at unless it is asked for.
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

/// The stack that all of it is in, as an environment of its own. It makes the roles, so it works without one.
pub(crate) fn environment(of: &Environment) -> Environment {
    Environment {
        stack: format!("{}-bootstrap", of.stack),
        template: TEMPLATE.to_owned(),
        execution_role: None,
        parameters: BTreeMap::new(),
        watch_minutes: 0,
        ..of.clone()
    }
}

/// Looks for what there can be only one of.
///
/// # Errors
/// What AWS says, or an identity provider that does not take AWS's tokens.
pub(crate) async fn look(
    clients: &Clients,
    identity: &Identity,
    environment: &Environment,
    repository: &str,
    asked: &Asked,
) -> Result<There> {
    let (repository, provider, logging_role) = tokio::try_join!(
        async { Ok(ecr::find(&clients.ecr, repository).await?.is_some()) },
        provider(clients, identity, environment),
        async { if asked.api_gateway_logs { logging_role(clients).await } else { Ok(None) } },
    )?;
    Ok(There { repository, provider, logging_role })
}

/// The parameters of the template. What the stack has made itself it goes on to make, whoever sees it there.
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
        ("EnvironmentStack", environment.stack.clone()),
        ("HostedZoneId", own("HostedZoneId")),
        ("UsersStack", own("UsersStack")),
        ("RepositoryName", repository.to_owned()),
        ("RolePrefix", role_prefix(&environment.stack)),
    ]);
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
    let trusted = match parameters.get("Subjects") {
        Some(Value::Is(subjects)) if !subjects.is_empty() => subjects.replace(',', " and "),
        Some(Value::Previous) => "whom the stack trusts already".to_owned(),
        _ => "nobody".to_owned(),
    };
    vec![
        format!("repository {}: {}", says("RepositoryName"), made("CreateRepository")),
        format!("identity provider {PROVIDER}: {}", made("CreateOidcProvider")),
        format!("logging of API Gateway: {}", made("CreateApiGatewayLogging")),
        format!("deploy role for {trusted}"),
        format!("execution role and permissions boundary for stack {}", says("EnvironmentStack")),
    ]
}

/// How CloudFormation begins the names of a stack's roles.
fn role_prefix(stack: &str) -> String {
    match stack.get(..ROLE_PREFIX) {
        Some(start) if stack.len() > ROLE_PREFIX => start.to_owned(),
        _ => format!("{stack}-"),
    }
}

/// Whether the account knows GitHub as somebody who vouches for others.
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
            "provider",
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

/// What the pipeline has to be told, by the names of its variables.
pub(crate) fn variables(environment: &Environment, identity: &Identity, stack: &Stack) -> BTreeMap<String, String> {
    let output = |name: &str| stack.outputs.get(name).cloned();
    let registry = output("RepositoryUri").and_then(|uri| Some(uri.split_once('/')?.0.to_owned()));
    let variables = [
        ("AWS_ACCOUNT_ID", Some(identity.account.clone())),
        ("AWS_REGION", Some(environment.region.clone())),
        ("AWS_ROLE_ARN", output("DeployRoleArn")),
        ("IMAGE_REGISTRY", registry),
    ];
    variables.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
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
