//! The choice of a source, and its failures. `tests/it` covers the binary.

use super::*;

/// The source with this configuration file and these variables.
async fn source(config: &str, set: &[(&str, &str)]) -> Result<CredentialSource, Failure> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config");
    std::fs::write(&file, config).unwrap();
    let mut vars: BTreeMap<String, String> =
        set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    vars.insert("AWS_CONFIG_FILE".to_owned(), file.to_str().unwrap().to_owned());
    vars.insert("AWS_SHARED_CREDENTIALS_FILE".to_owned(), "/no/such/credentials".to_owned());
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \"t\"\n";
    let deployment = config::deployment::Deployment::parse("deploy.toml", text).unwrap();
    CredentialSource::of(&deployment.environments["dev"], &vars).await
}

const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "secret")];
const SEVERAL: &str = "\
[default]
region = eu-central-1
[profile sso]
sso_session = company
[profile console]
login_session = arn:aws:iam::111122223333:user/ann
[profile program]
credential_process = \"/opt/my tools/keys\" --token hush-hush
[profile factor]
role_arn = arn:aws:iam::111122223333:role/deploy
mfa_serial = arn:aws:iam::111122223333:mfa/ann
source_profile = sso
";

#[tokio::test]
async fn a_missing_profile_is_an_error_if_it_would_be_used() {
    for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
        let failure = source(SEVERAL, &[(name, "wrok")]).await.unwrap_err();
        assert_eq!((failure.exit, failure.message.as_str()), (Exit::Preflight, "there is no AWS profile \"wrok\""));
        let reason = failure.reason.unwrap();
        assert!(reason.contains("/config and /no/such/credentials have these: console, default"), "{reason}");
    }
    let with_keys = [KEYS[0], KEYS[1], ("AWS_PROFILE", "wrok")];
    assert_eq!(source(SEVERAL, &with_keys).await.unwrap(), CredentialSource::Keys);
    assert_eq!(source("", &[]).await.unwrap(), CredentialSource::Machine);
}

#[test]
fn keys_that_have_expired_are_not_blamed_on_a_profile() {
    let failure = CredentialSource::Keys.unusable(Problem::Expired, String::new(), &BTreeMap::new());
    assert_eq!(failure.resource.as_deref(), Some("AWS_ACCESS_KEY_ID"));
    assert!(failure.hint.unwrap().starts_with("get new keys and export them"));
}

#[tokio::test]
async fn incomplete_keys_are_an_error() {
    for (set, unset) in [(KEYS[0], KEYS[1].0), (KEYS[1], KEYS[0].0)] {
        let failure = source(SEVERAL, &[set]).await.unwrap_err();
        assert_eq!(failure.reason.unwrap(), format!("{} is set, and {unset} is not", set.0));
    }
}

#[tokio::test]
async fn the_hint_fits_the_profile() {
    let no = CredentialsError::provider_error("it cannot");
    for (profile, message, hint) in [
        ("sso", "the SSO session of the AWS profile sso has ended", "aws sso login --profile sso"),
        ("factor", "the SSO session of the AWS profile factor has ended", "aws sso login --profile factor"),
        ("console", "the AWS profile console has no sign-in session", "aws login --profile console"),
        (
            "program",
            "the credential process /opt/my tools/keys returned no AWS credentials",
            "run it on its own to see its error: aws configure export-credentials --profile program",
        ),
    ] {
        let source = source(SEVERAL, &[("AWS_PROFILE", profile)]).await.unwrap();
        let failure = source.provider_error(&no, &BTreeMap::new());
        assert_eq!((failure.message.as_str(), failure.hint.as_deref()), (message, Some(hint)));
        assert_eq!((failure.exit, failure.kind), (Exit::Preflight, FailureKind::Credentials));
    }
}

#[tokio::test]
async fn a_role_that_requires_mfa_says_how_to_provide_it() {
    let source = source(SEVERAL, &[("AWS_PROFILE", "factor")]).await.unwrap();
    let denied = AssumeRoleError::generic(
        aws_sdk_sts::error::ErrorMetadata::builder().code("AccessDenied").message("not for you").build(),
    );
    let failure = source.provider_error(&CredentialsError::provider_error(denied), &BTreeMap::new());
    assert_eq!(failure.message, "the role of the AWS profile cannot be assumed");
    assert_eq!(
        failure.hint.as_deref(),
        Some(
            "it requires MFA: eval \"$(aws configure export-credentials --profile factor --format env)\" asks for the code"
        )
    );
}

#[tokio::test(start_paused = true)]
async fn a_credential_process_that_hangs_is_named() {
    #[derive(Debug)]
    struct Hanging;
    impl ProvideCredentials for Hanging {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            future::ProvideCredentials::new(std::future::pending())
        }
    }
    let error = WithTimeout(SharedCredentialsProvider::new(Hanging)).provide_credentials().await.unwrap_err();
    let kind = ProfileKind { base: Base::Process(program("keys --token hush-hush")), ..ProfileKind::default() };
    let source = CredentialSource::Profile { name: "program".to_owned(), kind };
    let failure = source.provider_error(&error, &BTreeMap::new());
    assert_eq!(failure.message, "the credential process keys did not answer within 30 s");
    assert!(!format!("{failure:?}").contains("hush"));
}
