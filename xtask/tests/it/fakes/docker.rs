//! The part of a Docker engine that a release to a registry asks: the image is there already, and can be pushed.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::{DIGEST, World};

/// `path` is what follows the version of the API.
pub(super) fn answer(world: &mut World, path: &str, request: &Request) -> ResponseTemplate {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        ["version"] => ok(&json!({"Version": "29.0.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44"})),
        ["info"] => ok(&json!({"DockerRootDir": "/nonexistent/docker", "SecurityOptions": ["name=seccomp"]})),
        ["containers", "json"] => ok(&json!([])),
        ["images", .., "tag"] => ResponseTemplate::new(201),
        ["images", .., "push"] => push(world, request),
        // The tool asks the registry meanwhile; it shall have begun to when this answer comes.
        ["images", .., "json"] => {
            let host = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            let architecture = world.architecture.unwrap_or(host);
            let image = json!({"Id": DIGEST, "Os": "linux", "Architecture": architecture, "Size": 2_000_000});
            ok(&image).set_delay(Duration::from_millis(300))
        }
        ["distribution", .., "json"] => {
            ok(&json!({"Descriptor": {"mediaType": "application/json", "digest": DIGEST, "size": 1}, "Platforms": []}))
        }
        _ => ResponseTemplate::new(500).set_body_json(json!({"message": format!("the test's engine has no {path}")})),
    }
}

/// The registry's answer comes inside the stream, also a refusal.
fn push(world: &mut World, request: &Request) -> ResponseTemplate {
    let header = request.headers.get("x-registry-auth").unwrap().to_str().unwrap();
    let bytes = URL_SAFE.decode(header).or_else(|_| STANDARD.decode(header)).unwrap();
    world.logins.push(String::from_utf8(bytes).unwrap());
    let expired = "denied: Your authorization token has expired. Reauthenticate and try again.";
    let refusal = if world.expired_pushes > 0 { Some(expired) } else { world.push_refusal.as_deref() };
    world.expired_pushes = world.expired_pushes.saturating_sub(1);
    if let Some(refusal) = refusal {
        let messages = [json!({"status": "Preparing"}), json!({"errorDetail": {"message": refusal}, "error": refusal})];
        return stream(&messages);
    }
    let (_, tag) = request.url.query_pairs().find(|(name, _)| name == "tag").unwrap();
    world.repository.get_or_insert_default().insert(tag.into_owned(), DIGEST.to_owned());
    let progress = |status, current| json!({"status": status, "progressDetail": {"current": current, "total": 1_900_000}, "id": "5f70bf18a086"});
    stream(&[progress("Pushing", 1), progress("Pushing", 1_900_000), json!({"status": "Pushed", "id": "5f70bf18a086"})])
}

fn stream(messages: &[Value]) -> ResponseTemplate {
    let lines: String = messages.iter().map(|message| format!("{message}\r\n")).collect();
    ResponseTemplate::new(200).set_body_raw(lines, "application/json")
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}
