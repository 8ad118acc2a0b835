//! Tokens of the stack's own user pool, from the emulator.

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{ask_for, call};
use crate::rehearsal::text;

const NAME: &str = "suite@example.com";
const PASSWORD: &str = "Correct-Horse-7-Battery";

/// What a user has after signing in.
pub(super) struct Tokens {
    pub(super) id: String,
    pub(super) access: String,
}

impl Tokens {
    /// Makes a user and signs in, as the proof of a release does.
    pub(super) fn of(endpoint: &str, release: &Value) -> Result<Self> {
        let pool = text(release, "/outputs/UserPoolId")?;
        let client = text(release, "/outputs/SmokeClientId")?;
        let user = json!({"UserPoolId": pool, "Username": NAME, "MessageAction": "SUPPRESS"});
        cognito(endpoint, "AdminCreateUser", &user)?;
        let password = json!({"UserPoolId": pool, "Username": NAME, "Password": PASSWORD, "Permanent": true});
        cognito(endpoint, "AdminSetUserPassword", &password)?;
        let parameters = json!({"USERNAME": NAME, "PASSWORD": PASSWORD});
        let flow = json!({
            "UserPoolId": pool, "ClientId": client, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH", "AuthParameters": parameters
        });
        let answer = cognito(endpoint, "AdminInitiateAuth", &flow)?;
        let token = |name: &str| text(&answer, &format!("/AuthenticationResult/{name}"));
        Ok(Self { id: token("IdToken")?, access: token("AccessToken")? })
    }
}

/// The access token that a confidential client gets for itself, with the scopes that the stack offers.
pub(super) fn access_token(endpoint: &str, release: &Value) -> Result<String> {
    let pool = text(release, "/outputs/UserPoolId")?;
    let client = text(release, "/outputs/SmokeClientId")?;
    let described = cognito(endpoint, "DescribeUserPoolClient", &json!({"UserPoolId": pool, "ClientId": client}))?;
    let secret = text(&described, "/UserPoolClient/ClientSecret")?;
    let scopes = text(release, "/outputs/AuthorizationScopes")?.replace(',', "%20").replace('/', "%2F");
    let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
    let headers = [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
    let form = format!("grant_type=client_credentials&scope={scopes}");
    let reply = ask_for("POST", &format!("{endpoint}/oauth2/token"), &headers, form.as_bytes())?;
    let token: Value = serde_json::from_slice(&reply.body).with_context(|| format!("{reply:?}"))?;
    text(&token, "/access_token")
}

fn cognito(endpoint: &str, action: &str, body: &Value) -> Result<Value> {
    call(endpoint, "cognito-idp", &format!("AWSCognitoIdentityProviderService.{action}"), body)
}
