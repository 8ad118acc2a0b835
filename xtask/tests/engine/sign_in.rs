//! The smoke test signs in: with a user of the pool, with a client and its scopes, with a signature, with an API key. The
//! emulator checks tokens and signatures; API Gateway in front of the service is its own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{Programs, Suite};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::checkout::xtask;
use crate::client;
use crate::ministack::{self, Ministack, Names};

const IMAGE: &str = "registry.example/api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let test = |name: &str, start: fn(&Programs) -> Result<Ministack>, run: fn(&Ministack, &Path) -> Result<()>| {
        suite.test(name, ministack::needed(Names::Machine), move |programs| {
            let (emulator, folder) = (start(programs)?, tempfile::tempdir()?);
            prepare(&folder, &emulator, &serve()?)?;
            run(&emulator, folder.path()).with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
        })
    };
    let plain = |programs: &Programs| Ministack::start(programs, Names::Machine);
    vec![
        test("sign_in::a_temporary_user_a_client_and_a_key_sign_in", plain, tokens),
        test("sign_in::a_valid_signature_is_accepted", Ministack::enforcing, signature),
        test("sign_in::an_api_that_should_be_closed_and_is_open_is_a_failure", plain, open),
    ]
}

fn tokens(emulator: &Ministack, folder: &Path) -> Result<()> {
    for environment in ["user", "scopes", "key"] {
        let deployed = proved(folder, environment)?;
        let Some(pool) = deployed["outputs"]["UserPoolId"].as_str() else { continue };
        let action = "AWSCognitoIdentityProviderService.ListUsers";
        let endpoint = format!("http://{}", emulator.authority());
        let left = client::call(&endpoint, "cognito-idp", action, &json!({"UserPoolId": pool}))?;
        ensure!(left["Users"] == json!([]), "the user is gone when the proof is done: {left}");
    }
    Ok(())
}

fn signature(_: &Ministack, folder: &Path) -> Result<()> {
    proved(folder, "signed").map(|_| ())
}

fn open(_: &Ministack, folder: &Path) -> Result<()> {
    proved(folder, "open")?;
    let open = xtask(folder, &["deploy", "liar", "--image", IMAGE, "--yes", "--no-smoke"])?.well()?;
    ensure!(open["outputs"]["Authorizer"] == "IAM", "it says that it is closed: {open}");
    let asked = xtask(folder, &["smoke", "liar"])?;
    let said = format!("{}\n{}", asked.json, asked.stderr);
    ensure!(asked.code == Some(1) && asked.json["error"]["kind"] == "open", "and is told that it is not: {said}");
    Ok(())
}

/// Deployed and verified, and then verified on its own.
fn proved(folder: &Path, environment: &str) -> Result<Value> {
    let deploy = ["deploy", environment, "--image", IMAGE, "--yes"];
    let deployed = xtask(folder, &deploy)?.well().with_context(|| environment.to_owned())?;
    ensure!(deployed["smoke"]["status"] == "right", "{environment} is proved: {deployed}");
    let asked = xtask(folder, &["smoke", environment])?.well()?;
    ensure!(asked["smoke"]["status"] == "right", "{environment} is proved again: {asked}");
    Ok(deployed)
}

fn prepare(folder: &TempDir, emulator: &Ministack, backend: &str) -> Result<()> {
    let mut settings =
        "[service]\nname = \"api\"\nsmoke_path = \"/api/greeting\"\nsmoke_contains = \"Hello\"\nversion_path \
                        = \"/version\"\n"
            .to_owned();
    for (environment, parameter) in [
        ("open", ""),
        ("user", "Authorizer = \"COGNITO\""),
        ("scopes", "Authorizer = \"COGNITO\"\nScopes = \"api/access\""),
        ("signed", "Authorizer = \"IAM\""),
        ("key", "ApiKey = \"true\""),
        ("liar", "Claimed = \"IAM\""),
    ] {
        let endpoint = format!("http://{}", emulator.authority());
        settings.push_str(&format!(
            "[environments.{environment}]\nregion = \"eu-central-1\"\nstack = \"sign-in-{environment}\"\ntemplate = \
             \"template.yaml\"\nendpoint = \"{endpoint}\"\nsmoke_url = \
             \"{endpoint}/restapis/{{RestApiId}}/production/_user_request_\"\n[environments.{environment}.parameters]\n\
             Backend = \"{backend}\"\n{parameter}\n"
        ));
    }
    std::fs::write(folder.path().join("deploy.toml"), settings)?;
    std::fs::write(folder.path().join("template.yaml"), include_str!("sign_in.yaml"))?;
    Ok(())
}

/// The service, for as long as this process lives.
fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        let digest = IMAGE.split_once('@').map_or("", |(_, digest)| digest);
        let body = json!({"content": "Hello", "digest": digest}).to_string();
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length:";
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            if stream.read(&mut request).is_ok() {
                drop(write!(stream, "{head} {}\r\n\r\n{body}", body.len()));
            }
        }
    });
    Ok(format!("http://{address}"))
}
