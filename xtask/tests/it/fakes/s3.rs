//! The bucket for templates, and the templates that CloudFormation reads there.

use std::collections::BTreeMap;

use wiremock::{Request, ResponseTemplate};

use super::World;
use super::xml::tags;

pub(crate) const BUCKET: &str = "/xtask-templates-111122223333-eu-central-1-an";
/// The most bytes of a template in a call.
const IN_CALL: usize = 51_200;

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

/// Gives a call the text of its template, as CloudFormation reads it.
pub(super) fn resolve(world: &World, form: &mut BTreeMap<String, String>) -> Result<(), (&'static str, &'static str)> {
    if form.get("TemplateBody").is_some_and(|body| body.len() > IN_CALL) {
        return Err(("ValidationError", "Member must have length less than or equal to 51200"));
    }
    if form.get("UsePreviousTemplate").is_some_and(|flag| flag == "true") {
        form.insert("TemplateBody".to_owned(), world.template.clone());
    }
    let Some(url) = form.remove("TemplateURL") else { return Ok(()) };
    let key = url.split_once(&format!("{BUCKET}/")).map(|(_, key)| key);
    let object = key.and_then(|key| world.bucket.as_ref()?.get(key)).map(String::as_str);
    let text = world.swapped.or(object).filter(|_| world.denied != Some("GetObject"));
    let text = text.ok_or(("ValidationError", "S3 error: Access Denied"))?;
    form.insert("TemplateBody".to_owned(), text.to_owned());
    Ok(())
}
