use super::*;
use aws::{Clients, Identity};
use local::ui::Ui;

#[test]
fn only_this_machine_is_reached_without_tls() {
    for host in ["127.0.0.1:5000", "localhost", "localhost:4570"] {
        assert!(is_loopback(host), "{host}");
    }
    for host in ["localhost.example", "registry.local:5000", "10.0.0.1:5000", "127.0.0.1.example"] {
        assert!(!is_loopback(host), "{host}");
    }
}

#[tokio::test]
async fn ecrs_password_goes_to_the_environments_own_registry_only() {
    use aws_sdk_ecr::Client;
    use aws_sdk_ecr::operation::describe_repositories::DescribeRepositoriesOutput;
    use aws_sdk_ecr::operation::get_authorization_token::GetAuthorizationTokenOutput;
    use aws_sdk_ecr::types::{AuthorizationData, Repository};
    use aws_smithy_mocks::{mock, mock_client};

    let own = "111122223333.dkr.ecr.eu-central-1.amazonaws.com";
    let find = mock!(Client::describe_repositories)
        .sequence()
        .output(move || {
            let repository =
                Repository::builder().repository_name("rest-api").repository_uri(format!("{own}/rest-api"));
            DescribeRepositoriesOutput::builder().repositories(repository.build()).build()
        })
        .repeatedly()
        .build();
    let token = mock!(Client::get_authorization_token)
        .sequence()
        .output(|| {
            // base64 of AWS:s3cret
            let data = AuthorizationData::builder().authorization_token("QVdTOnMzY3JldA==").build();
            GetAuthorizationTokenOutput::builder().authorization_data(data).build()
        })
        .repeatedly()
        .build();
    let mut clients = Clients::with_cloudformation(mock_client!(aws_sdk_cloudformation, []));
    clients.ecr = mock_client!(aws_sdk_ecr, aws_smithy_mocks::RuleMode::MatchAny, [&find, &token]);
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \"t\"\n";
    let deployment = config::deployment::Deployment::parse("deploy.toml", text).unwrap();
    let context = Context::without_repository(deployment, machine::interrupt::Interrupt::never());
    let environment = &context.deployment.environments["dev"];
    let (ui, identity) = (Ui::silent(), Identity::of("111122223333", "arn:aws:iam::111122223333:user/ann"));
    let session = Session { context: &context, environment, clients, identity, ui: &ui };
    let image = |host: &str| ImageReference::tagged(host, "rest-api", "one");
    for (host, named, asked) in [
        (own, None, 1),
        ("ghcr.io", None, 1),
        ("111122223333.dkr.ecr.eu-central-1.amazonaws.com.example", None, 1),
        ("127.0.0.1:5000", Some("127.0.0.1:5000"), 2),
    ] {
        environment_registry(&session, &image(host), named).await.unwrap();
        assert_eq!(token.num_calls(), asked, "{host}");
    }
}
