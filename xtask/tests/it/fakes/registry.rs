//! The registry's own protocol, as far as something is attached to the one image.

use wiremock::{Request, ResponseTemplate};

use super::{DIGEST, OTHER_DIGEST, World};

/// What [`DIGEST`] and [`OTHER_DIGEST`] are of.
const MANIFESTS: [(&str, &str); 2] = [(DIGEST, "hello\n"), (OTHER_DIGEST, "world\n")];
const KIND: &str = "application/vnd.oci.image.manifest.v1+json";

pub(super) fn answer(world: &mut World, request: &Request) -> ResponseTemplate {
    let user = request.headers.get("authorization").is_some();
    if !user {
        return ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=\"the test\"");
    }
    if request.url.path().contains("/referrers/") {
        return ResponseTemplate::new(404);
    }
    let name = request.url.path().rsplit('/').next().unwrap_or_default().to_owned();
    match request.method.as_str() {
        "POST" => ResponseTemplate::new(202).insert_header("location", "/v2/rest-api/blobs/uploads/1"),
        "PUT" => {
            let digest =
                request.url.query_pairs().find(|(key, _)| key == "digest").map(|(_, digest)| digest.into_owned());
            world.attached.insert(digest.unwrap_or(name), request.body.clone());
            ResponseTemplate::new(201).insert_header("oci-subject", DIGEST)
        }
        _ => {
            let image = MANIFESTS.iter().find(|(digest, _)| *digest == name).map(|(_, text)| text.as_bytes().to_vec());
            match image.or_else(|| world.attached.get(&name).cloned()) {
                Some(bytes) => ResponseTemplate::new(200).set_body_raw(bytes, KIND),
                None => ResponseTemplate::new(404),
            }
        }
    }
}
