//! Signs in to an API as its stack's outputs require, for the duration of a smoke test.

mod temporary_users;

use std::collections::BTreeMap;

use anyhow::Context as _;
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use aws::signed::{API_GATEWAY, COGNITO, Call, Signed};
use local::smoke::{ApiClient, ApiClients, Signer};
use machine::http::{self, Client};
use model::outcome::{Exit, Failure, FailureKind};
pub(crate) use temporary_users::TemporaryUsers;

/// The variable that holds a token of the user's own.
pub(crate) const TOKEN: &str = "XTASK_SMOKE_TOKEN";

/// The service for which requests to API Gateway are signed.
const SIGNED_FOR: &str = "execute-api";
/// The permission that signed requests need.
const ACTION: &str = "execute-api:Invoke";
/// Longest response that is read for a token.
const MAX_ANSWER: usize = 256 * 1024;

/// How clients of an API authenticate.
#[derive(Debug, PartialEq, Eq)]
enum SignIn<'a> {
    Open,
    /// The token in [`TOKEN`].
    Token(&'a str),
    /// A temporary user of the pool.
    TemporaryUser {
        pool: &'a str,
        client: &'a str,
    },
    /// An app client with a secret, at the pool's token endpoint.
    Machine {
        pool: &'a str,
        client: &'a str,
        scopes: &'a str,
        url: &'a str,
    },
    /// Requests that are signed with the caller's AWS credentials.
    Signature,
}

/// Signs in; a temporary user that it creates is added to `users`.
///
/// # Errors
/// A call that AWS refuses, or an API that needs a token of the user's own.
pub(crate) async fn sign_in(
    signed: &Signed,
    http: &Client,
    outputs: &BTreeMap<String, String>,
    token: Option<&str>,
    users: &TemporaryUsers,
) -> Result<ApiClients, Failure> {
    let key = match outputs.get("ApiKeyId") {
        Some(id) => Some(api_key(signed, id).await?),
        None => None,
    };
    let unauthenticated_client = || match &key {
        Some(key) => ApiClient::default().with("x-api-key", key.clone()),
        None => ApiClient::default(),
    };
    let bearer = |token: &str| SecretString::from(format!("Bearer {token}"));
    let authenticated = match sign_in_method(outputs, token)? {
        SignIn::Open => unauthenticated_client(),
        SignIn::Token(token) => unauthenticated_client().with("authorization", bearer(token)),
        SignIn::TemporaryUser { pool, client } => {
            let token = users.create_signed_in(signed, pool, client).await?;
            unauthenticated_client().with("authorization", bearer(token.expose_secret()))
        }
        SignIn::Machine { pool, client, scopes, url } => {
            let token = machine_token(signed, http, pool, client, scopes, url).await?;
            unauthenticated_client().with("authorization", bearer(token.expose_secret()))
        }
        SignIn::Signature => unauthenticated_client().signing(signer(signed)),
    };
    Ok(ApiClients { authenticated, unauthenticated: requires_sign_in(outputs).then(unauthenticated_client) })
}

/// Signs requests with the caller's credentials.
fn signer(signed: &Signed) -> Signer {
    let signed = signed.clone();
    Signer::new(move |url| {
        let signed = signed.clone();
        Box::pin(async move {
            let headers = signed.headers(SIGNED_FOR, url.as_str()).await;
            headers.with_context(|| format!("the request cannot be signed for {ACTION}"))
        })
    })
}

/// The clients for an endpoint without a stack: with the user's token if there is one.
pub(crate) fn with_token(token: Option<&str>) -> ApiClients {
    let bearer = |token: &str| SecretString::from(format!("Bearer {token}"));
    let authenticated = token.map(|token| ApiClient::default().with("authorization", bearer(token)));
    ApiClients { authenticated: authenticated.unwrap_or_default(), unauthenticated: None }
}

fn requires_sign_in(outputs: &BTreeMap<String, String>) -> bool {
    outputs.get("Authorizer").is_some_and(|authorizer| authorizer != "NONE")
}

fn sign_in_method<'a>(outputs: &'a BTreeMap<String, String>, token: Option<&'a str>) -> Result<SignIn<'a>, Failure> {
    let output = |name: &str| outputs.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if let Some(token) = token {
        return Ok(SignIn::Token(token));
    }
    let ids = output("UserPoolId").zip(output("SmokeClientId"));
    match (output("Authorizer").unwrap_or("NONE"), ids, output("AuthorizationScopes"), output("SignInUrl")) {
        ("NONE", ..) => Ok(SignIn::Open),
        ("IAM", ..) => Ok(SignIn::Signature),
        ("COGNITO", Some((pool, client)), None, _) => Ok(SignIn::TemporaryUser { pool, client }),
        ("COGNITO", Some((pool, client)), Some(scopes), Some(url)) => Ok(SignIn::Machine { pool, client, scopes, url }),
        (_, _, scopes, _) => Err(no_user(scopes)),
    }
}

/// The failure of a smoke test that has no way to sign in.
pub(crate) fn no_user(scopes: Option<&str>) -> Failure {
    let token = match scopes {
        Some(scopes) => format!("an access token with one of the scopes {scopes}"),
        None => "an ID token of its pool".to_owned(),
    };
    Failure::new(Exit::Preflight, FailureKind::SignIn, "the smoke test cannot sign in")
        .resource("the stack's authorizer")
        .reason("the stack has no user pool of its own in which the tool could create a user")
        .hint(format!("set {TOKEN} to {token}, or give --no-smoke"))
}

async fn api_key(signed: &Signed, id: &str) -> Result<SecretString, Failure> {
    let resource = format!("API key {id}");
    let call = Call { service: &API_GATEWAY, action: "apigateway:GET", resource: &resource };
    let answer = signed.get(call, &format!("/apikeys/{id}?includeValue=true")).await?;
    secret_text(&answer["value"]).ok_or_else(|| unusable(call, "it has no value"))
}

async fn machine_token(
    signed: &Signed,
    http: &Client,
    pool: &str,
    client: &str,
    scopes: &str,
    url: &str,
) -> Result<SecretString, Failure> {
    let resource = format!("client {client} of user pool {pool}");
    let call = Call { service: &COGNITO, action: "cognito-idp:DescribeUserPoolClient", resource: &resource };
    let answer = signed.json(call, &json!({"UserPoolId": pool, "ClientId": client})).await?;
    let password =
        secret_text(&answer["UserPoolClient"]["ClientSecret"]).ok_or_else(|| unusable(call, "it has no secret"))?;
    // An emulator has its token endpoint where its API is.
    let base = signed.endpoint_of(&COGNITO).unwrap_or(url).trim_end_matches('/');
    let url = format!("{base}/oauth2/token");
    let failed = |reason: String| {
        let failure = Failure::new(Exit::Failed, FailureKind::SignIn, "the smoke test cannot sign in");
        failure.resource(&url).reason(reason).hint("check the pool's domain and the client's scopes")
    };
    let scope = scopes.split(',').map(str::trim).collect::<Vec<_>>().join(" ");
    let form = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("grant_type", "client_credentials"), ("client_id", client), ("scope", &scope)])
        .finish();
    let request = http.request(Method::POST, &url).basic_auth(client, Some(password.expose_secret()));
    let request = request.header("content-type", "application/x-www-form-urlencoded").body(form);
    let answer = http.send(request).await.map_err(|lost| failed(lost.to_string()))?;
    let status = answer.status();
    let body = http::body(answer, MAX_ANSWER).await.map_err(|lost| failed(lost.to_string()))?;
    let unread = |_| failed(format!("it answers {status} without JSON"));
    let answer: Value = serde_json::from_slice(&body).map_err(unread)?;
    let error = answer["error"].as_str().unwrap_or("no token");
    secret_text(&answer["access_token"]).ok_or_else(|| failed(format!("it answers {status}: {error}")))
}

fn secret_text(value: &Value) -> Option<SecretString> {
    value.as_str().filter(|text| !text.is_empty()).map(SecretString::from)
}

/// A response without the needed value. It is not shown, since it may contain other secrets.
fn unusable(call: Call<'_>, reason: &str) -> Failure {
    Failure::new(Exit::Failed, FailureKind::SignIn, format!("{} returned nothing to sign in with", call.action))
        .resource(call.resource)
        .reason(reason)
}

#[cfg(test)]
mod tests;
