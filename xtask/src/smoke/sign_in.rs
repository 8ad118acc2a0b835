//! Signs in to an API the way its stack's outputs say, for as long as a proof takes.

mod guests;

use std::collections::BTreeMap;

use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::visitor::Visitor;
use aws::signed::{API_GATEWAY, COGNITO, Call, Signed};
pub(crate) use guests::Guests;
use machine::http;
use machine::http::Client;
use model::outcome::{Exit, Failure, FailureKind};

/// The variable that holds a token of the user's own.
pub(crate) const TOKEN: &str = "XTASK_SMOKE_TOKEN";

/// Longer answers than this are no token.
const MAX_ANSWER: usize = 256 * 1024;

/// Those who ask in a proof.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    /// Somebody who is let in.
    pub(crate) visitor: Visitor,
    /// Somebody who must not be.
    pub(crate) stranger: Option<Visitor>,
}

/// What an API demands of whoever asks.
#[derive(Debug, PartialEq, Eq)]
enum Way<'a> {
    Open,
    /// The token of [`TOKEN`].
    Token(&'a str),
    /// A user of the pool, made for the moment.
    Guest {
        pool: &'a str,
        client: &'a str,
    },
    /// A client that has a secret, at the pool's token endpoint.
    Machine {
        pool: &'a str,
        client: &'a str,
        scopes: &'a str,
        url: &'a str,
    },
    /// A signature with the caller's credentials.
    Signature,
}

/// Signs in; whoever is made for it is noted among the guests.
///
/// # Errors
/// What AWS says, or an API that nobody can be signed in to.
pub(crate) async fn sign_in(
    signed: &Signed,
    http: &Client,
    outputs: &BTreeMap<String, String>,
    token: Option<&str>,
    guests: &Guests,
) -> Result<Callers, Failure> {
    let key = match outputs.get("ApiKeyId") {
        Some(id) => Some(api_key(signed, id).await?),
        None => None,
    };
    let anybody = || match &key {
        Some(key) => Visitor::default().with("x-api-key", key.clone()),
        None => Visitor::default(),
    };
    let bearer = |token: &str| SecretString::from(format!("Bearer {token}"));
    let visitor = match way(outputs, token)? {
        Way::Open => anybody(),
        Way::Token(token) => anybody().with("authorization", bearer(token)),
        Way::Guest { pool, client } => {
            let token = guests.welcome(signed, pool, client).await?;
            anybody().with("authorization", bearer(token.expose_secret()))
        }
        Way::Machine { pool, client, scopes, url } => {
            let token = machine_token(signed, http, pool, client, scopes, url).await?;
            anybody().with("authorization", bearer(token.expose_secret()))
        }
        Way::Signature => anybody().signing(signed),
    };
    Ok(Callers { visitor, stranger: is_closed(outputs).then(anybody) })
}

/// The callers of an endpoint without a stack: whoever holds a token shows it.
pub(crate) fn with_token(token: Option<&str>) -> Callers {
    let bearer = |token: &str| SecretString::from(format!("Bearer {token}"));
    let visitor = token.map(|token| Visitor::default().with("authorization", bearer(token)));
    Callers { visitor: visitor.unwrap_or_default(), stranger: None }
}

fn is_closed(outputs: &BTreeMap<String, String>) -> bool {
    outputs.get("Authorizer").is_some_and(|authorizer| authorizer != "NONE")
}

fn way<'a>(outputs: &'a BTreeMap<String, String>, token: Option<&'a str>) -> Result<Way<'a>, Failure> {
    let output = |name: &str| outputs.get(name).map(String::as_str).filter(|value| !value.is_empty());
    if let Some(token) = token {
        return Ok(Way::Token(token));
    }
    let ids = output("UserPoolId").zip(output("SmokeClientId"));
    match (output("Authorizer").unwrap_or("NONE"), ids, output("AuthorizationScopes"), output("SignInUrl")) {
        ("NONE", ..) => Ok(Way::Open),
        ("IAM", ..) => Ok(Way::Signature),
        ("COGNITO", Some((pool, client)), None, _) => Ok(Way::Guest { pool, client }),
        ("COGNITO", Some((pool, client)), Some(scopes), Some(url)) => Ok(Way::Machine { pool, client, scopes, url }),
        (_, _, scopes, _) => Err(nobody(scopes)),
    }
}

/// The failure of a proof for which there is nobody.
pub(crate) fn nobody(scopes: Option<&str>) -> Failure {
    let token = match scopes {
        Some(scopes) => format!("an access token with one of the scopes {scopes}"),
        None => "an ID token of its pool".to_owned(),
    };
    Failure::new(Exit::Preflight, FailureKind::SignIn, "the smoke test cannot sign in")
        .resource("the stack's authorizer")
        .reason("its users are not this tool's to make: the stack has no user pool of its own")
        .hint(format!("set {TOKEN} to {token}, or give --no-smoke"))
}

async fn api_key(signed: &Signed, id: &str) -> Result<SecretString, Failure> {
    let resource = format!("API key {id}");
    let call = Call { service: &API_GATEWAY, action: "apigateway:GET", resource: &resource };
    let answer = signed.get(call, &format!("/apikeys/{id}?includeValue=true")).await?;
    secret(&answer["value"]).ok_or_else(|| odd(call, "it has no value"))
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
    let password = secret(&answer["UserPoolClient"]["ClientSecret"]).ok_or_else(|| odd(call, "it has no secret"))?;
    // An emulator has its token endpoint where its API is.
    let base = signed.endpoint_of(&COGNITO).unwrap_or(url).trim_end_matches('/');
    let url = format!("{base}/oauth2/token");
    let failed = |reason: String| {
        let failure = Failure::new(Exit::Failed, FailureKind::SignIn, "the smoke test cannot sign in");
        failure.resource(&url).reason(reason).hint("look at the pool's domain and at the scopes of the client")
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
    secret(&answer["access_token"]).ok_or_else(|| failed(format!("it answers {status}: {error}")))
}

fn secret(value: &Value) -> Option<SecretString> {
    value.as_str().filter(|text| !text.is_empty()).map(SecretString::from)
}

/// An answer that lacks what was asked for. It may hold other secrets, so it is not shown.
fn odd(call: Call<'_>, reason: &str) -> Failure {
    Failure::new(Exit::Failed, FailureKind::SignIn, format!("{} does not help to sign in", call.action))
        .resource(call.resource)
        .reason(reason)
}

#[cfg(test)]
mod tests;
