//! Passwords of registries, as `docker login` stores them: in a credential helper, the credential store, or the docker
//! command's configuration (<https://docs.docker.com/reference/cli/docker/login/>).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::call::LOOKUP;
use super::cli_config::{self, SavedLogin};
use model::credentials::Credentials;
use model::outcome::{Exit, Failure, FailureKind};

/// A helper's message without a login for a registry
/// (<https://github.com/docker/docker-credential-helpers/blob/v0.9.3/credentials/error.go>).
const NOT_FOUND: &str = "credentials not found in native keychain";
/// The user name that marks an identity token instead of a password.
const TOKEN_USER: &str = "<token>";

/// A helper's output.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperAnswer {
    username: String,
    secret: String,
}

/// User and password for the registry at `host`; `None` without a login.
///
/// # Errors
/// A helper that is missing or fails, with its own message.
pub async fn credentials(vars: &BTreeMap<String, String>, host: &str) -> Result<Option<Credentials>, Failure> {
    let (config, _) = cli_config::load(vars);
    let server = match host {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => "https://index.docker.io/v1/",
        host => host,
    };
    let named = |name: &String| !name.is_empty();
    let helper = config.cred_helpers.unwrap_or_default().remove(server).or(config.creds_store).filter(named);
    let found = match helper {
        Some(helper) => from_helper(&format!("docker-credential-{helper}"), server, vars).await?,
        None => {
            let mut logins = config.auths.unwrap_or_default().into_iter();
            // Older versions stored the registry's URL.
            let login = logins.find(|(key, _)| key == server || host_of(key) == host);
            login.and_then(|(_, login)| saved(&login))
        }
    };
    match found {
        Some(Credentials { user, .. }) if user == TOKEN_USER => {
            Err(login_failure(host, "the login is an identity token, which cannot be used here".to_owned()).hint(
                format!("log in with a user and a password or access token: docker login --username USER {host}"),
            ))
        }
        found => Ok(found),
    }
}

fn host_of(key: &str) -> &str {
    let rest = key.trim_start_matches("https://").trim_start_matches("http://");
    rest.split('/').next().unwrap_or(rest)
}

fn saved(login: &SavedLogin) -> Option<Credentials> {
    if let Some(token) = login.identity_token.as_deref().filter(|token| !token.is_empty()) {
        return Some(Credentials { user: TOKEN_USER.to_owned(), password: SecretString::from(token) });
    }
    let bytes = STANDARD.decode(login.auth.as_deref()?).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials { user: user.to_owned(), password: SecretString::from(password) })
}

/// Asks a credential helper (<https://docs.docker.com/reference/cli/docker/login/#credential-helper-protocol>).
async fn from_helper(
    program: &str,
    server: &str,
    vars: &BTreeMap<String, String>,
) -> Result<Option<Credentials>, Failure> {
    let mut command = Command::new(program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command.envs(vars.get("PATH").map(|path| ("PATH", path)));
    let answer = async {
        let mut child = command.spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // A helper that ends without reading reports why itself.
            drop(stdin.write_all(server.as_bytes()).await);
        }
        child.wait_with_output().await
    };
    let fail = |reason: String| {
        login_failure(server, format!("{program}: {reason}"))
            .hint(format!("check the helper: echo {server} | {program} get, or log in again: docker login {server}"))
    };
    let output = match tokio::time::timeout(LOOKUP, answer).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == ErrorKind::NotFound => {
            return Err(login_failure(server, format!("{program} is not installed"))
                .hint("install it, or remove it from credsStore or credHelpers in ~/.docker/config.json"));
        }
        Ok(Err(error)) => return Err(fail(error.to_string())),
        Err(_) => return Err(fail(format!("no answer within {} s", LOOKUP.as_secs()))),
    };
    if !output.status.success() {
        // Helpers print their failures to stdout.
        let message = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).trim().to_owned());
        let message = message.into_iter().find(|text| !text.is_empty()).unwrap_or_else(|| output.status.to_string());
        return if message == NOT_FOUND { Ok(None) } else { Err(fail(message)) };
    }
    let answer: HelperAnswer =
        serde_json::from_slice(&output.stdout).map_err(|_| fail("its output cannot be read".to_owned()))?;
    Ok(Some(Credentials { user: answer.username, password: SecretString::from(answer.secret) }))
}

fn login_failure(host: &str, reason: String) -> Failure {
    Failure::new(Exit::Failed, FailureKind::RegistryLogin, "the registry's password cannot be read")
        .resource(host)
        .reason(reason)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    struct Home(tempfile::TempDir);

    impl Home {
        fn new(config: &serde_json::Value) -> Self {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
            Self(folder)
        }

        #[cfg(unix)]
        fn helper(&self, name: &str, script: &str) {
            use std::os::unix::fs::PermissionsExt as _;
            let file = self.0.path().join(format!("docker-credential-{name}"));
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }

        async fn login(&self, host: &str) -> Result<Option<(String, String)>, Failure> {
            let path = self.0.path().to_str().unwrap();
            let vars = [("DOCKER_CONFIG", path.to_owned()), ("PATH", format!("{path}:/usr/bin:/bin"))];
            let vars = vars.map(|(name, value)| (name.to_owned(), value)).into();
            let found = credentials(&vars, host).await?;
            Ok(found.map(|found| (found.user, found.password.expose_secret().to_owned())))
        }
    }

    fn pair(user: &str, password: &str) -> Option<(String, String)> {
        Some((user.to_owned(), password.to_owned()))
    }

    #[tokio::test]
    async fn a_login_is_found_by_its_host() {
        let auth = STANDARD.encode("somebody:s3cret:2");
        let login = || serde_json::json!({"auth": auth});
        let home = Home::new(&serde_json::json!({ "auths": {
            "ghcr.io": login(), "https://old.example/v1/": login(), "https://index.docker.io/v1/": login(),
            "kept.example": {}, "token.example": {"identitytoken": "t0ken"},
        }}));
        for host in ["ghcr.io", "old.example", "docker.io"] {
            assert_eq!(home.login(host).await.unwrap(), pair("somebody", "s3cret:2"), "{host}");
        }
        for nobody in ["kept.example", "example"] {
            assert_eq!(home.login(nobody).await.unwrap(), None, "{nobody}");
        }
        let token = home.login("token.example").await.unwrap_err();
        assert!(token.hint.is_some_and(|hint| hint.contains("docker login")) && !token.message.contains("t0ken"));
        assert!(credentials(&BTreeMap::new(), "ghcr.io").await.unwrap().is_none());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn helpers_and_the_store_are_asked_and_fail_with_their_own_message() {
        let home = Home::new(&serde_json::json!({
            "credsStore": "store", "credHelpers": {"own.example": "own", "gone.example": "gone", "bad.example": "bad"},
        }));
        home.helper("store", r#"if [ "$(cat)" = found.example ]; then echo '{"ServerURL":"x","Username":"u","Secret":"s3cret"}'; else echo 'credentials not found in native keychain'; exit 1; fi"#);
        home.helper("own", r#"echo '{"ServerURL":"x","Username":"own","Secret":"p"}'"#);
        home.helper("bad", "echo 'the keychain is locked'; exit 1");
        assert_eq!(home.login("found.example").await.unwrap(), pair("u", "s3cret"));
        assert_eq!(home.login("elsewhere.example").await.unwrap(), None);
        assert_eq!(home.login("own.example").await.unwrap(), pair("own", "p"));
        let reason = |failure: Failure| failure.reason.unwrap();
        assert_eq!(reason(home.login("gone.example").await.unwrap_err()), "docker-credential-gone is not installed");
        let bad = home.login("bad.example").await.unwrap_err();
        assert_eq!(reason(bad), "docker-credential-bad: the keychain is locked");
    }
}
