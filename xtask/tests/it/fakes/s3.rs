//! The bucket for templates, and the templates that CloudFormation reads there.

use wiremock::{Request, ResponseTemplate};

use super::World;
use super::xml::tags;

pub(crate) const BUCKET: &str = "/xtask-templates-111122223333-eu-central-1-an";

/// The answer of the bucket.
pub(super) fn answer(world: &mut World, request: &Request) -> ResponseTemplate {
    assert_eq!(request.headers["x-amz-expected-bucket-owner"], "111122223333", "only the account's own bucket is ours");
    let key = request.url.path()[BUCKET.len()..].trim_start_matches('/');
    let (action, name) = if request.method == "PUT" {
        ("PutObject", "s3:PutObject")
    } else {
        ("GetBucketLocation", "s3:GetBucketLocation")
    };
    world.asked.push(name.to_owned());
    let error = |status, code| {
        ResponseTemplate::new(status).set_body_string(format!("<Error>{}</Error>", tags(&[("Code", code)])))
    };
    match &mut world.bucket {
        _ if world.denied == Some(action) => error(403, "AccessDenied"),
        None => error(404, "NoSuchBucket"),
        Some(objects) => {
            if action == "PutObject" {
                objects.insert(key.to_owned(), String::from_utf8(request.body.clone()).unwrap());
            }
            ResponseTemplate::new(200)
        }
    }
}
