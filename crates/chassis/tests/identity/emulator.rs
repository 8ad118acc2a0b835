//! Tokens that an emulator's user pool signs, verified by the keys that it publishes.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use chassis::testing::{eventually, get};
use requirements::{MINISTACK, Programs, free_port};
use serde_json::{Value, json};

use crate::service;

const START: Duration = Duration::from_secs(60);
const REGION: &str = "eu-central-1";
const PASSWORD: &str = "Correct-horse-7";

/// A running emulator.
struct Emulator {
    process: Child,
    address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Emulator {
    /// Starts one on a free port and waits until it answers.
    fn start(programs: &Programs) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        let log = File::create(folder.path().join("log")).unwrap();
        let process = programs
            .command(MINISTACK)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", address.port().to_string())
            .env("MINISTACK_REGION", REGION)
            .env("SERVICES", "cognito-idp")
            .env("TMPDIR", folder.path())
            .env("STATE_DIR", folder.path().join("state"))
            .env("S3_DATA_DIR", folder.path().join("s3"))
            .env("IOT_MTLS_ENABLED", "0")
            .env("SFTP_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut emulator = Self { process, address, folder };
        let started = Instant::now();
        while emulator.call("ListUserPools", &json!({"MaxResults": 1})).is_none() {
            let ended = emulator.process.try_wait().unwrap();
            assert!(ended.is_none() && started.elapsed() < START, "ministack does not start:\n{}", emulator.log());
            sleep(Duration::from_millis(100));
        }
        emulator
    }

    fn cognito(&self, operation: &str, body: &Value) -> Value {
        self.call(operation, body).unwrap_or_else(|| panic!("{operation} fails:\n{}", self.log()))
    }

    /// Calls Cognito; `None` if it does not answer with 200.
    fn call(&self, operation: &str, body: &Value) -> Option<Value> {
        let credential = format!("Credential=test/20260101/{REGION}/cognito-idp/aws4_request");
        let call = ureq::post(format!("http://{}/", self.address))
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", format!("AWSCognitoIdentityProviderService.{operation}"))
            .header("Authorization", format!("AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=none"));
        let mut answer = call.send(body.to_string()).ok()?;
        serde_json::from_str(&answer.body_mut().read_to_string().ok()?).ok()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

pub(crate) fn tokens_of_a_user_pool(programs: &Programs) {
    let emulator = Emulator::start(programs);
    let pool = emulator.cognito("CreateUserPool", &json!({"PoolName": "users"}))["UserPool"]["Id"].clone();
    let client = |name: &str| {
        let wanted =
            json!({"UserPoolId": pool, "ClientName": name, "ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]});
        emulator.cognito("CreateUserPoolClient", &wanted)["UserPoolClient"]["ClientId"].as_str().unwrap().to_owned()
    };
    let (ours, other) = (client("ours"), client("other"));
    let user = json!({"UserPoolId": pool, "Username": "ada", "MessageAction": "SUPPRESS"});
    emulator.cognito("AdminCreateUser", &user);
    let password = json!({"UserPoolId": pool, "Username": "ada", "Password": PASSWORD, "Permanent": true});
    emulator.cognito("AdminSetUserPassword", &password);
    emulator.cognito("CreateGroup", &json!({"UserPoolId": pool, "GroupName": "admins"}));
    emulator.cognito("AdminAddUserToGroup", &json!({"UserPoolId": pool, "Username": "ada", "GroupName": "admins"}));
    let sign_in = |client: &str| {
        let flow = json!({
            "UserPoolId": pool, "ClientId": client, "AuthFlow": "ADMIN_USER_PASSWORD_AUTH",
            "AuthParameters": {"USERNAME": "ada", "PASSWORD": PASSWORD},
        });
        emulator.cognito("AdminInitiateAuth", &flow)["AuthenticationResult"].clone()
    };

    // A machine that signs in by itself, for one scope.
    let scopes = json!([{"ScopeName": "write", "ScopeDescription": "write"}]);
    let resource = json!({"UserPoolId": pool, "Identifier": "notes", "Name": "notes", "Scopes": scopes});
    emulator.cognito("CreateResourceServer", &resource);
    let wanted = json!({
        "UserPoolId": pool, "ClientName": "machine", "GenerateSecret": true, "AllowedOAuthFlows": ["client_credentials"],
        "AllowedOAuthScopes": ["notes/write"], "AllowedOAuthFlowsUserPoolClient": true,
    });
    let machine = emulator.cognito("CreateUserPoolClient", &wanted)["UserPoolClient"].clone();
    let (id, secret) = (machine["ClientId"].as_str().unwrap(), machine["ClientSecret"].as_str().unwrap());
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    let mut signed_in = ureq::post(format!("http://{}/oauth2/token", emulator.address)).send_form(form).unwrap();
    let signed_in: Value = serde_json::from_str(&signed_in.body_mut().read_to_string().unwrap()).unwrap();

    let pool = pool.as_str().unwrap();
    // Its tokens name the issuer that AWS would be; its keys are on this machine.
    let issuer = format!("https://cognito-idp.{REGION}.amazonaws.com/{pool}");
    let keys = format!("http://{}/{pool}/.well-known/jwks.json", emulator.address);
    let audience = format!("{ours},{id}");
    let vars = [("API_OIDC_ISSUER", &*issuer), ("API_OIDC_AUDIENCE", &audience), ("API_OIDC_JWKS_URL", &keys)];
    let server = service::start(None, &vars);
    eventually("the pool's keys are there", || get(server, "/health").status == 200);

    let tokens = sign_in(&ours);
    for kind in ["AccessToken", "IdToken"] {
        let token = tokens[kind].as_str().unwrap();
        let answer = service::with_token(server, "/me", token);
        assert_eq!(answer.status, 200, "{kind}: {answer:?}");
        let caller: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((&caller["issuer"], &caller["groups"]), (&json!(issuer), &json!(["admins"])), "{kind}");
        assert_eq!(service::with_token(server, "/administer", token).body, "done");
        // Another user's claims under the same signature.
        let mut parts: Vec<_> = token.split('.').collect();
        let forged = crate::key::encode(
            json!({"sub": "eve", "iss": issuer, "aud": ours, "exp": 9_999_999_999_u64}).to_string().as_bytes(),
        );
        parts[1] = &forged;
        let answer = service::with_token(server, "/me", &parts.join("."));
        answer.assert_problem(401, "Unauthorized", "the signature of the token is wrong");
        let answer = service::with_token(server, "/me", sign_in(&other)[kind].as_str().unwrap());
        answer.assert_problem(401, "Unauthorized", "the token is for another audience");
    }
    let caller: Value =
        serde_json::from_str(&service::with_token(server, "/me", tokens["AccessToken"].as_str().unwrap()).body)
            .unwrap();
    assert_eq!(caller["client"], json!(ours));
    service::with_token(server, "/write", tokens["AccessToken"].as_str().unwrap()).assert_problem(
        403,
        "Forbidden",
        "the scope notes/write is required",
    );
    assert_eq!(service::with_token(server, "/write", signed_in["access_token"].as_str().unwrap()).body, "written");
}
