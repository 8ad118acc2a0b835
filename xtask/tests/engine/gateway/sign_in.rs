//! Users of an API, and their tokens, on the emulator.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::client::{ask_for, call, form};
use crate::rehearsal::text;

const NAME: &str = "suite@example.com";
const PASSWORD: &str = "Correct-Horse-7-Battery";

/// A user pool made of the repository's template, and the client by which a release signs in.
pub(super) struct Users {
    endpoint: String,
    pool: String,
    client: String,
}

impl Users {
    /// Creates the stack, and waits for it.
    pub(super) fn create(endpoint: &str, stack: &str, template: &str, parameters: &[(&str, &str)]) -> Result<Self> {
        let mut fields = vec![("Action", "CreateStack"), ("StackName", stack), ("TemplateBody", template)];
        let names = ["Parameters.member.1.ParameterKey", "Parameters.member.1.ParameterValue"];
        fields.extend(parameters.iter().flat_map(|(name, value)| [(names[0], *name), (names[1], *value)]));
        let created = form(endpoint, "cloudformation", &fields)?;
        for _ in 0..100 {
            let described = form(endpoint, "cloudformation", &[("Action", "DescribeStacks"), ("StackName", stack)])?;
            if described.body.contains("CREATE_COMPLETE") {
                return Self::of(endpoint, stack);
            }
            if ["ROLLBACK", "FAILED"].iter().any(|word| described.body.contains(word)) {
                break;
            }
            sleep(Duration::from_millis(100));
        }
        bail!("{stack} was not created: {created:?}")
    }

    fn of(endpoint: &str, stack: &str) -> Result<Self> {
        let find = |list: &Value, name: &str, wanted: &str, id: &str| -> Result<String> {
            let all = list.as_array().context("no list")?;
            let found = all.iter().find(|one| one[name] == wanted).with_context(|| format!("no {wanted} in {list}"))?;
            text(found, id)
        };
        let pools = cognito(endpoint, "ListUserPools", &json!({"MaxResults": 60}))?;
        let pool = find(&pools["UserPools"], "Name", stack, "/Id")?;
        let clients = cognito(endpoint, "ListUserPoolClients", &json!({"UserPoolId": pool}))?;
        // The machine's, where there is one.
        let client = find(&clients["UserPoolClients"], "ClientName", "machine", "/ClientId")
            .or_else(|_| find(&clients["UserPoolClients"], "ClientName", "smoke", "/ClientId"))?;
        Ok(Self { endpoint: endpoint.to_owned(), pool, client })
    }

    /// The same pool with a client by which users sign in with a password.
    pub(super) fn with_passwords(&self) -> Result<Self> {
        let Self { endpoint, pool, .. } = self;
        let flows = ["ALLOW_ADMIN_USER_PASSWORD_AUTH"];
        let wanted = json!({"UserPoolId": pool, "ClientName": "passwords", "ExplicitAuthFlows": flows});
        let client = text(&cognito(endpoint, "CreateUserPoolClient", &wanted)?, "/UserPoolClient/ClientId")?;
        Ok(Self { endpoint: endpoint.clone(), pool: pool.clone(), client })
    }

    /// Makes a user and signs in, as the verification of a release does.
    pub(super) fn sign_in(&self) -> Result<Tokens> {
        let Self { endpoint, pool, client } = self;
        let user = json!({"UserPoolId": pool, "Username": NAME, "MessageAction": "SUPPRESS"});
        cognito(endpoint, "AdminCreateUser", &user)?;
        let password = json!({"UserPoolId": pool, "Username": NAME, "Password": PASSWORD, "Permanent": true});
        cognito(endpoint, "AdminSetUserPassword", &password)?;
        let parameters = json!({"USERNAME": NAME, "PASSWORD": PASSWORD});
        let flow = json!({
            "UserPoolId": pool, "ClientId": client, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH", "AuthParameters": parameters
        });
        let answer = cognito(endpoint, "AdminInitiateAuth", &flow)?;
        Ok(Tokens { id: text(&answer, "/AuthenticationResult/IdToken")? })
    }

    /// The access token that the confidential client gets for itself.
    pub(super) fn machine_token(&self, scope: &str) -> Result<String> {
        let Self { endpoint, pool, client } = self;
        let described = cognito(endpoint, "DescribeUserPoolClient", &json!({"UserPoolId": pool, "ClientId": client}))?;
        let secret = text(&described, "/UserPoolClient/ClientSecret")?;
        let basic = format!("Basic {}", STANDARD.encode(format!("{client}:{secret}")));
        let headers = [("authorization", basic.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        let asked = format!("grant_type=client_credentials&scope={}", scope.replace('/', "%2F"));
        let reply = ask_for("POST", &format!("{endpoint}/oauth2/token"), &headers, asked.as_bytes())?;
        let token: Value = serde_json::from_slice(&reply.body).with_context(|| format!("{reply:?}"))?;
        text(&token, "/access_token")
    }
}

/// What a user has after signing in.
pub(super) struct Tokens {
    pub(super) id: String,
}

fn cognito(endpoint: &str, action: &str, body: &Value) -> Result<Value> {
    call(endpoint, "cognito-idp", &format!("AWSCognitoIdentityProviderService.{action}"), body)
}
