//! Temporary users of a user pool, which are removed however a command ends.

use std::sync::Mutex;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{secret_text, unusable};
use aws::signed::{COGNITO, Call, Signed};
use model::outcome::{Exit, Failure, FailureKind};

/// One of each kind of character that a password policy may require.
const KINDS: &[u8; 4] = b"aZ7!";
const LETTERS: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
/// A reserved domain without mail.
const DOMAIN: &str = "example.com";

/// The users that this process has created and not yet removed.
#[derive(Debug, Default)]
pub(crate) struct TemporaryUsers(Mutex<Vec<TemporaryUser>>);

#[derive(Debug, Clone)]
struct TemporaryUser {
    signed: Signed,
    pool: String,
    name: String,
}

impl TemporaryUsers {
    /// Creates a user, signs it in, and returns its ID token.
    ///
    /// # Errors
    /// A call to Cognito fails, or the pool requires more than a password.
    pub(super) async fn create_signed_in(
        &self,
        signed: &Signed,
        pool: &str,
        client: &str,
    ) -> Result<SecretString, Failure> {
        let characters = random().map_err(|reason| {
            let failure =
                Failure::new(Exit::Failed, FailureKind::SignIn, "a user for the smoke test cannot be created");
            failure.resource(format!("user pool {pool}")).reason(reason)
        })?;
        let (name, password) = characters.split_at(16);
        let mut name = format!("xtask-smoke-{}@{DOMAIN}", name.to_lowercase().replace(['_', '-'], "0"));
        let password = SecretString::from(String::from_utf8_lossy(KINDS).into_owned() + password);
        let mut created = self.create(signed, pool, &name).await;
        if created.as_ref().is_err_and(|failure| says(failure, "InvalidParameter")) {
            // A pool with the address as an alias does not accept it as a user name.
            name = name.replace(&format!("@{DOMAIN}"), "");
            created = self.create(signed, pool, &name).await;
        }
        // It may be this tool's: a call whose response was lost is repeated.
        created.or_else(|failure| if says(&failure, "UsernameExists") { Ok(()) } else { Err(failure) })?;
        let call = |action| Call { service: &COGNITO, action, resource: pool };
        let input = json!({
            "UserPoolId": pool, "Username": name, "Password": password.expose_secret(), "Permanent": true
        });
        signed
            .json(call("cognito-idp:AdminSetUserPassword"), &input)
            .await
            .map_err(|failure| hide(failure, &password))?;
        let call = call("cognito-idp:AdminInitiateAuth");
        let parameters = json!({"USERNAME": name, "PASSWORD": password.expose_secret()});
        let input = json!({
            "UserPoolId": pool, "ClientId": client, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": parameters
        });
        let answer = signed.json(call, &input).await.map_err(|failure| hide(failure, &password))?;
        let token = secret_text(&answer["AuthenticationResult"]["IdToken"]);
        token.ok_or_else(|| match &answer["ChallengeName"] {
            Value::String(challenge) => unusable(call, &format!("the pool requires more than a password: {challenge}")),
            _ => unusable(call, "it returned no ID token"),
        })
    }

    async fn create(&self, signed: &Signed, pool: &str, name: &str) -> Result<(), Failure> {
        // Before the call, which may be interrupted.
        self.list().push(TemporaryUser { signed: signed.clone(), pool: pool.to_owned(), name: name.to_owned() });
        let call = Call { service: &COGNITO, action: "cognito-idp:AdminCreateUser", resource: pool };
        let attribute = |name: &str, value: &str| json!({"Name": name, "Value": value});
        let address = if name.contains('@') { name.to_owned() } else { format!("{name}@{DOMAIN}") };
        let attributes = [attribute("email", &address), attribute("email_verified", "true")];
        let input = json!({
            "UserPoolId": pool, "Username": name, "MessageAction": "SUPPRESS", "UserAttributes": attributes
        });
        signed.json(call, &input).await.map(|_| ())
    }

    /// Removes all of them; returns warnings.
    pub(crate) async fn remove_all(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        // One at a time, and off the list only afterwards: this may be interrupted too.
        loop {
            let last = self.list().last().cloned();
            let Some(user) = last else { return warnings };
            if let Err(failure) = user.remove().await {
                let TemporaryUser { pool, name, .. } = &user;
                let reason = failure.reason.as_deref().unwrap_or_default();
                warnings.push(format!(
                    "the smoke test's user {name} is left in user pool {pool}: {failure}: {reason}; aws cognito-idp \
                     admin-delete-user --user-pool-id {pool} --username {name}"
                ));
            }
            self.list().retain(|other| other.name != user.name);
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<TemporaryUser>> {
        self.0.lock().expect("no holder panics")
    }
}

impl TemporaryUser {
    async fn remove(&self) -> Result<(), Failure> {
        let call = Call { service: &COGNITO, action: "cognito-idp:AdminDeleteUser", resource: &self.pool };
        let input = json!({"UserPoolId": self.pool, "Username": self.name});
        for attempt in 1.. {
            match self.signed.json(call, &input).await {
                // The call that creates it may still be in flight.
                Err(failure) if says(&failure, "UserNotFound") && attempt == 1 => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                }
                Err(failure) if says(&failure, "UserNotFound") => break,
                other => return other.map(|_| ()),
            }
        }
        Ok(())
    }
}

/// 48 random characters.
fn random() -> Result<String, String> {
    let mut bytes = [0; 48];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 64)])).collect())
}

/// AWS may quote a rejected password.
fn hide(mut failure: Failure, password: &SecretString) -> Failure {
    failure.reason = failure.reason.map(|reason| reason.replace(password.expose_secret(), "***"));
    failure
}

fn says(failure: &Failure, code: &str) -> bool {
    aws::code(failure).starts_with(code)
}
