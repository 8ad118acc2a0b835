//! Against a fake registry. `tests/engine` has a real one, without `referrers`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use secrecy::SecretString;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use machine::http::Http;
use model::credentials::Credentials;
use model::reference::ImageReference;

const KIND: &str = "application/vnd.example+json";
/// The image that the registry has at the start.
const IMAGE: &[u8] = br#"{"schemaVersion":2}"#;

/// Behaviour in which registries differ.
#[derive(Clone, Copy, Default)]
struct Ways {
    /// Lists the referrers of an image.
    lists: bool,
    /// Requires a token, which it issues for a password.
    asks: bool,
    /// Refuses the first of every two requests as overloaded.
    busy: bool,
}

#[derive(Default)]
struct Store {
    blobs: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, (String, Vec<u8>)>,
    tags: BTreeMap<String, String>,
    asked: Vec<String>,
}

#[derive(Clone)]
struct Model {
    ways: Ways,
    store: Arc<Mutex<Store>>,
}

impl Respond for Model {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut store = self.store.lock().unwrap();
        let path = request.url.path().to_owned();
        store.asked.push(format!("{} {path}", request.method));
        if self.ways.busy && store.asked.len() % 2 == 1 {
            return ResponseTemplate::new(503);
        }
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if path == "/token" {
            let fits = header("authorization") == "Basic QVdTOnMzY3JldA=="
                && request.url.query() == Some("scope=repository%3Ateam%2Frest-api%3Apull&service=model");
            return if fits {
                ResponseTemplate::new(200).set_body_json(json!({ "token": "t0ken" }))
            } else {
                ResponseTemplate::new(401)
            };
        }
        if self.ways.asks && header("authorization") != "Bearer t0ken" {
            let realm = format!(
                r#"Bearer realm="http://{}/token",service="model",scope="repository:team/rest-api:pull""#,
                header("host")
            );
            return ResponseTemplate::new(401).insert_header("www-authenticate", realm.as_str());
        }
        let rest = path.strip_prefix("/v2/team/rest-api/").expect("the repository's name is known").to_owned();
        store.answer(request.method.as_str(), &rest, request, self.ways)
    }
}

impl Store {
    fn answer(&mut self, method: &str, rest: &str, request: &Request, ways: Ways) -> ResponseTemplate {
        let found = |bytes: Option<&Vec<u8>>, kind: &str| match bytes {
            Some(bytes) => ResponseTemplate::new(200).set_body_raw(bytes.clone(), kind),
            None => ResponseTemplate::new(404),
        };
        let (part, name) = rest.split_once('/').unwrap();
        match (method, part) {
            ("POST", "blobs") => {
                ResponseTemplate::new(202).insert_header("location", "/v2/team/rest-api/blobs/uploads/1?state=s")
            }
            ("PUT", "blobs") => {
                let wanted = request.url.query_pairs().find(|(key, _)| key == "digest").unwrap().1.into_owned();
                assert_eq!(wanted, digest(&request.body));
                self.blobs.insert(wanted, request.body.clone());
                ResponseTemplate::new(201)
            }
            (_, "blobs") => found(self.blobs.get(name), "application/octet-stream"),
            ("PUT", "manifests") => {
                let digest = digest(&request.body);
                if self.tags.get(name).is_some_and(|other| *other != digest) {
                    let error = json!({ "errors": [{ "code": "TAG_INVALID", "message": "the tag is immutable" }] });
                    return ResponseTemplate::new(400).set_body_json(error);
                }
                let kind = request.headers["content-type"].to_str().unwrap().to_owned();
                self.tags.insert(name.to_owned(), digest.clone());
                self.manifests.insert(digest.clone(), (kind, request.body.clone()));
                let answer = ResponseTemplate::new(201);
                if ways.lists { answer.insert_header("oci-subject", digest.as_str()) } else { answer }
            }
            (_, "manifests") => {
                let name = self.tags.get(name).map_or(name, String::as_str);
                let stored = self.manifests.get(name);
                found(stored.map(|(_, bytes)| bytes), stored.map_or("", |(kind, _)| kind))
            }
            (_, "referrers") if ways.lists => {
                let about = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
                let all = self.manifests.iter().filter(|(_, (_, bytes))| about(bytes)["subject"]["digest"] == name);
                let all: Vec<Value> = all
                    .map(|(digest, (kind, bytes))| {
                        let artifact = about(bytes)["artifactType"].clone();
                        json!({ "mediaType": kind, "digest": digest, "size": bytes.len(), "artifactType": artifact })
                    })
                    .collect();
                // One per page.
                let page: usize = request.url.query().and_then(|query| query.parse().ok()).unwrap_or_default();
                let shown: Vec<Value> = all.get(page).cloned().into_iter().collect();
                let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": shown });
                let answer = ResponseTemplate::new(200).set_body_raw(body.to_string(), INDEX);
                if page + 1 < all.len() {
                    answer.insert_header(
                        "link",
                        format!("</v2/team/rest-api/{rest}?{}>; rel=\"next\"", page + 1).as_str(),
                    )
                } else {
                    answer
                }
            }
            _ => ResponseTemplate::new(404),
        }
    }
}

async fn registry(ways: Ways) -> (Registry, Arc<Mutex<Store>>, MockServer) {
    let server = MockServer::start().await;
    let store = Arc::new(Mutex::new(Store::default()));
    store.lock().unwrap().manifests.insert(digest(IMAGE), (MANIFEST.to_owned(), IMAGE.to_vec()));
    Mock::given(any()).respond_with(Model { ways, store: Arc::clone(&store) }).mount(&server).await;
    let image: ImageReference = format!("{}/team/rest-api@{}", server.address(), digest(IMAGE)).parse().unwrap();
    let credentials = Credentials { user: "AWS".into(), password: SecretString::from("s3cret") };
    (Registry::new(&image, Some(credentials), true, &Http::of(&BTreeMap::new()).unwrap()).unwrap(), store, server)
}

fn subject() -> Digest {
    digest(IMAGE).parse().unwrap()
}

fn document(tag: &str, text: &str) -> Document {
    Document { kind: KIND, tag: tag.to_owned(), bytes: text.as_bytes().to_vec() }
}

#[tokio::test]
async fn attached_documents_are_found_by_list_and_by_tag_and_attached_once() {
    for ways in [Ways::default(), Ways { lists: true, ..Ways::default() }, Ways { asks: true, ..Ways::default() }] {
        let (registry, store, _server) = registry(ways).await;
        let documents = || vec![document("one", "{\"a\":1}"), document("two", "{\"a\":2}")];
        assert_eq!(registry.attach(&subject(), documents()).await.unwrap(), 2);
        let listed = registry.referrers(&subject()).await.unwrap();
        assert_eq!(listed.len(), 2, "{listed:?}");
        assert!(listed.iter().all(|one| one.artifact_type.as_deref() == Some(KIND)));
        assert_eq!(store.lock().unwrap().tags.contains_key(&subject().referrers_tag()), !ways.lists);
        let found = registry.attached(&subject(), KIND, "one").await.unwrap();
        let texts: Vec<&[u8]> = found.iter().map(|one| one.bytes.as_slice()).collect();
        assert!(texts.len() == 2 && texts.contains(&&b"{\"a\":1}"[..]), "{texts:?}");
        assert!(registry.attached(&subject(), "application/json", "one").await.unwrap().is_empty());

        // Another document under the same tag: the first one stays.
        assert_eq!(registry.attach(&subject(), vec![document("one", "{}")]).await.unwrap(), 0);
        assert_eq!(registry.attached(&subject(), KIND, "one").await.unwrap().len(), 2);
        let manifest: Value = {
            let store = store.lock().unwrap();
            serde_json::from_slice(&store.manifests[&store.tags["one"]].1).unwrap()
        };
        assert_eq!((&manifest["artifactType"], &manifest["layers"][0]["mediaType"]), (&json!(KIND), &json!(KIND)));
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.oci.empty.v1+json");
        assert_eq!(manifest["subject"], json!({ "mediaType": MANIFEST, "digest": digest(IMAGE), "size": IMAGE.len() }));
    }
}

#[tokio::test]
async fn a_tag_that_names_something_else_is_reported_and_not_moved() {
    let (registry, store, _server) = registry(Ways::default()).await;
    registry.put_manifest("one", MANIFEST, IMAGE.to_vec()).await.unwrap();
    let failure = registry.attach(&subject(), vec![document("one", "{}")]).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Attestation);
    assert_eq!(registry.put_manifest("one", MANIFEST, b"{}".to_vec()).await.unwrap(), Put::Taken);
    assert_eq!(store.lock().unwrap().tags["one"], digest(IMAGE));
}

#[tokio::test]
async fn nothing_is_attached_to_a_missing_image() {
    let (registry, store, _server) = registry(Ways::default()).await;
    let other: Digest = digest(b"other").parse().unwrap();
    let failure = registry.attach(&other, vec![document("one", "{}")]).await.unwrap_err();
    assert_eq!(failure.message, "the registry does not have the image");
    assert!(store.lock().unwrap().blobs.is_empty());
}

#[tokio::test]
async fn an_overloaded_registry_is_asked_again() {
    let (registry, store, _server) = registry(Ways { busy: true, ..Ways::default() }).await;
    assert!(registry.manifest(&digest(IMAGE)).await.unwrap().is_some());
    assert_eq!(store.lock().unwrap().asked.len(), 2);
}

#[tokio::test]
async fn content_with_another_digest_is_refused() {
    let (registry, store, _server) = registry(Ways::default()).await;
    let (named, other) = (digest(b"one"), b"two".to_vec());
    store.lock().unwrap().manifests.insert(named.clone(), (MANIFEST.to_owned(), other.clone()));
    store.lock().unwrap().blobs.insert(named.clone(), other);
    assert!(registry.manifest(&named).await.unwrap_err().message.contains("another manifest"));
    let mut blob = Descriptor { media_type: KIND.to_owned(), digest: named, size: 3, artifact_type: None };
    assert!(registry.blob(&blob).await.unwrap_err().message.contains("another blob"));
    blob.size = u64::MAX;
    assert!(registry.blob(&blob).await.unwrap_err().message.contains("too long"));
}

#[tokio::test]
async fn a_refusal_has_the_registrys_message_and_never_the_password() {
    let server = MockServer::start().await;
    let error = json!({ "errors": [{ "code": "DENIED", "message": "not authorized to perform: ecr:PutImage" }] });
    Mock::given(any()).respond_with(ResponseTemplate::new(403).set_body_json(error)).mount(&server).await;
    let image: ImageReference = format!("{}/rest-api:one", server.address()).parse().unwrap();
    let credentials = Credentials { user: "AWS".into(), password: SecretString::from("s3cret") };
    let registry = Registry::new(&image, Some(credentials), true, &Http::of(&BTreeMap::new()).unwrap()).unwrap();
    let failure = registry.put_manifest("one", MANIFEST, b"{}".to_vec()).await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("HTTP 403: DENIED: not authorized to perform: ecr:PutImage"));
    assert!(failure.hint.unwrap().contains("refused the credentials"));
    server.reset().await;
    let page = ResponseTemplate::new(403).set_body_string("<html><h1>Blocked by policy</h1></html>");
    Mock::given(any()).respond_with(page).mount(&server).await;
    let failure = registry.put_manifest("one", MANIFEST, b"{}".to_vec()).await.unwrap_err();
    assert_eq!(failure.reason.as_deref(), Some("HTTP 403: Blocked by policy"));
    server.reset().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(401).insert_header("www-authenticate", "Basic realm=x"))
        .mount(&server)
        .await;
    let failure = registry.manifest("one").await.unwrap_err();
    assert!(
        !format!("{failure:?}").contains("s3cret") && failure.reason.as_deref() == Some("HTTP 401: "),
        "{failure:?}"
    );
}
