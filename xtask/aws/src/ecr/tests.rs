use aws_sdk_ecr::operation::batch_get_image::{BatchGetImageError, BatchGetImageOutput};
use aws_sdk_ecr::operation::describe_images::DescribeImagesOutput;
use aws_sdk_ecr::operation::describe_repositories::{DescribeRepositoriesError, DescribeRepositoriesOutput};
use aws_sdk_ecr::operation::get_authorization_token::GetAuthorizationTokenOutput;
use aws_sdk_ecr::types::error::RepositoryNotFoundException;
use aws_sdk_ecr::types::{AuthorizationData, Image};
use aws_smithy_mocks::{mock, mock_client};
use secrecy::ExposeSecret;

use super::*;

fn not_found() -> RepositoryNotFoundException {
    let meta = aws_sdk_ecr::error::ErrorMetadata::builder().code("RepositoryNotFoundException").build();
    RepositoryNotFoundException::builder().meta(meta).build()
}

#[tokio::test]
async fn a_missing_repository_is_none_and_has_no_images() {
    let describe = mock!(Client::describe_repositories)
        .then_error(|| DescribeRepositoriesError::RepositoryNotFoundException(not_found()));
    let get =
        mock!(Client::batch_get_image).then_error(|| BatchGetImageError::RepositoryNotFoundException(not_found()));
    let client = mock_client!(aws_sdk_ecr, [&describe, &get]);
    assert_eq!(find_repository(&client, "rest-api").await.unwrap(), None);
    assert_eq!(find_image(&client, "rest-api", "a").await.unwrap(), None);
}

#[tokio::test]
async fn the_host_comes_from_the_repository_unless_a_registry_is_set() {
    let describe = mock!(Client::describe_repositories).then_output(|| {
        let repository = Described::builder()
            .repository_name("team/rest-api")
            .repository_uri("111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/team/rest-api")
            .build();
        DescribeRepositoriesOutput::builder().repositories(repository).build()
    });
    let client = mock_client!(aws_sdk_ecr, [&describe]);
    let repository = find_repository(&client, "team/rest-api").await.unwrap().unwrap();
    let image = repository.image("v1", None);
    assert_eq!(image.to_string(), "111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn/team/rest-api:v1");
    assert_eq!(repository.image("v1", Some("127.0.0.1:1")).to_string(), "127.0.0.1:1/team/rest-api:v1");
}

#[tokio::test]
async fn the_digest_does_not_depend_on_the_tag_in_the_response() {
    let wanted = format!("sha256:{}", "a".repeat(64));
    let answer = wanted.clone();
    let get = mock!(Client::batch_get_image).match_requests(|request| request.image_ids().len() == 1).then_output(
        move || {
            let id = ImageIdentifier::builder().image_tag("another").image_digest(&answer).build();
            BatchGetImageOutput::builder().images(Image::builder().image_id(id).build()).build()
        },
    );
    let client = mock_client!(aws_sdk_ecr, [&get]);
    assert_eq!(find_image(&client, "rest-api", "one").await.unwrap().unwrap().digest.as_str(), wanted);
}

#[tokio::test]
async fn a_missing_image_is_reported_with_the_command_that_lists_them() {
    let get = mock!(Client::batch_get_image).then_output(|| BatchGetImageOutput::builder().build());
    let client = mock_client!(aws_sdk_ecr, [&get]);
    let image = "example.com/rest-api:v9".parse().unwrap();
    let failure = Failure::of(&resolve_image(&client, &image).await.unwrap_err());
    assert_eq!(failure.reason.as_deref(), Some("repository rest-api has no tag v9"));
    assert!(failure.hint.unwrap().contains("list-images --repository-name rest-api"));
}

#[tokio::test]
async fn the_token_is_decoded_and_never_shown() {
    let token = mock!(Client::get_authorization_token).then_output(|| {
        let data = AuthorizationData::builder().authorization_token(STANDARD.encode("AWS:s3cret")).build();
        GetAuthorizationTokenOutput::builder().authorization_data(data).build()
    });
    let client = mock_client!(aws_sdk_ecr, [&token]);
    let credentials = credentials(&client).await.unwrap();
    assert_eq!((credentials.user.as_str(), credentials.password.expose_secret()), ("AWS", "s3cret"));
    assert!(!format!("{credentials:?}").contains("s3cret"));
    let broken = decode(&STANDARD.encode("s3cret")).unwrap_err();
    assert!(!format!("{broken:?}").contains("s3cret"));
}

#[tokio::test]
async fn the_subject_comes_from_the_manifest_or_the_tag() {
    let hex = "a".repeat(64);
    let tag = format!("sha256-{hex}.sbom");
    let describe = mock!(Client::describe_images).then_output(move || {
        let image = |digest: &str| ImageDetail::builder().image_digest(digest);
        DescribeImagesOutput::builder()
            .image_details(image("sha256:1").image_tags("content-0123456789ab").build())
            .image_details(image("sha256:2").subject_manifest_digest("sha256:1").build())
            .image_details(image("sha256:3").image_tags("latest").image_tags(&tag).build())
            .build()
    });
    let client = mock_client!(aws_sdk_ecr, [&describe]);
    let subjects: Vec<_> =
        list_images(&client, "rest-api").await.unwrap().into_iter().map(|image| image.subject).collect();
    assert_eq!(subjects, [None, Some("sha256:1".to_owned()), Some(format!("sha256:{hex}"))]);
}

#[test]
fn the_lifecycle_policy_only_expires_untagged_images() {
    let policy: serde_json::Value = serde_json::from_str(LIFECYCLE).unwrap();
    for rule in policy["rules"].as_array().unwrap() {
        assert_eq!(rule["selection"]["tagStatus"], "untagged");
    }
}
