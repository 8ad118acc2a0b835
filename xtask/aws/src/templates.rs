//! Templates that are too long for a call, in the account's bucket for them. CloudFormation reads one there while it creates
//! a change set, with the caller's permission, and keeps the text itself from then on.

use anyhow::Result;
use reqwest::Method;

use crate::Clients;
use crate::error::is_missing;
use crate::signed::{Call, S3};
use model::outcome::Failure;
use model::templates::{bucket, key};

/// Whether the account has its bucket for templates in this region.
///
/// # Errors
/// A refused or lost call, such as for a bucket that is another account's.
pub async fn find_bucket(clients: &Clients, account: &str, region: &str) -> Result<bool> {
    let bucket = bucket(account, region);
    let call = Call { service: &S3, action: "s3:GetBucketLocation", resource: &bucket };
    let headers = vec![("x-amz-expected-bucket-owner", account)];
    match clients.signed.send(call, Method::GET, &format!("/{bucket}?location"), headers, String::new()).await {
        Ok(_) => Ok(true),
        Err(failure) if is_missing(&failure) => Ok(false),
        Err(failure) => Err(failure.into()),
    }
}

/// Stores the template of a stack, and returns its address for CloudFormation; `None` without the bucket.
///
/// The object is written again where it is there already: then it expires later, not between this call and CloudFormation's.
///
/// # Errors
/// A refused or lost call.
pub async fn store(
    clients: &Clients,
    account: &str,
    region: &str,
    stack: &str,
    body: &str,
) -> Result<Option<String>, Failure> {
    let path = format!("/{}/{}", bucket(account, region), key(stack, body));
    let call = Call { service: &S3, action: "s3:PutObject", resource: &path[1..] };
    let headers = vec![("content-type", "text/plain; charset=utf-8"), ("x-amz-expected-bucket-owner", account)];
    match clients.signed.send(call, Method::PUT, &path, headers, body.to_owned()).await {
        Ok(_) => Ok(Some(clients.signed.public_address(&S3) + &path)),
        Err(failure) if is_missing(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_cloudformation::Client;
    use wiremock::matchers::{body_string, header, header_exists, method, path, query_param};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    const BUCKET: &str = "/xtask-templates-111122223333-eu-central-1-an";
    const OWN: (&str, &str) = ("111122223333", "eu-central-1");
    const NO_BUCKET: &str =
        "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>";

    fn at(server: &MockServer) -> Clients {
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        Clients::with_cloudformation(Client::new(&config)).with_signed_at(&server.uri())
    }

    #[tokio::test]
    async fn a_template_is_stored_under_its_hash_and_only_in_the_callers_own_bucket() {
        let server = MockServer::start().await;
        let path = path(format!("{BUCKET}/{}", key("rest-api-dev", "Resources: {}")));
        Mock::given(method("PUT"))
            .and(path)
            .and(body_string("Resources: {}"))
            .and(header("x-amz-expected-bucket-owner", "111122223333"))
            // The hash of the body, which S3 compares with what arrives.
            .and(header("x-amz-content-sha256", "6983703a8fa98a921cf6a11048021ceb65f10d1004736266b8878658097ec65e"))
            .and(header_exists("authorization"))
            .respond_with(ResponseTemplate::new(200))
            .mount(&server)
            .await;
        let url = store(&at(&server), OWN.0, OWN.1, "rest-api-dev", "Resources: {}").await.unwrap().unwrap();
        assert_eq!(url, format!("{}{BUCKET}/{}", server.uri(), key("rest-api-dev", "Resources: {}")));
    }

    #[tokio::test]
    async fn whether_there_is_a_bucket_is_known_and_a_foreign_one_is_none_of_ours() {
        let denied = "<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>";
        for (status, body) in [(200, "<LocationConstraint/>"), (404, NO_BUCKET), (403, denied)] {
            let server = MockServer::start().await;
            let answer = ResponseTemplate::new(status).set_body_string(body);
            let asked = Mock::given(path(BUCKET)).and(query_param("location", ""));
            asked.and(header("x-amz-expected-bucket-owner", "111122223333")).respond_with(answer).mount(&server).await;
            match (status, find_bucket(&at(&server), OWN.0, OWN.1).await) {
                (200, found) => assert!(found.unwrap()),
                (404, found) => assert!(!found.unwrap()),
                (_, found) => {
                    let failure = Failure::of(&found.unwrap_err());
                    assert_eq!(failure.hint.as_deref(), Some("allow s3:GetBucketLocation for this role or user"));
                }
            }
        }
    }

    #[tokio::test]
    async fn without_the_bucket_nothing_is_stored() {
        let server = MockServer::start().await;
        let answer = ResponseTemplate::new(404).set_body_string(NO_BUCKET);
        Mock::given(method("PUT")).respond_with(answer).mount(&server).await;
        assert_eq!(store(&at(&server), OWN.0, OWN.1, "rest-api-dev", "x").await.unwrap(), None);
    }
}
