//! A service with everything that the page has to show: it answers with what it was asked, and notes it down.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE};
use actix_web::rt::time;
use actix_web::web::{self, Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use chassis::{About, Chassis, resource, testing};
use config::service::Settings;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};

/// How many numbers a search for "long" is answered with.
pub(crate) const LONG: usize = 125_000;
const ABOUT: About = About { name: "notes", version: "1.2.3" };

/// What the service has received of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// Path and query as they were sent.
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    pub(crate) api_key: Option<String>,
    pub(crate) tenant: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) body: String,
}

/// A running service, for as long as the test's process lives.
pub(crate) struct Notes {
    address: SocketAddr,
    log: web::Data<Log>,
}

#[derive(Debug, Default)]
struct Log {
    received: Mutex<Vec<Received>>,
    /// Whether a search for "slow" is answered.
    released: AtomicBool,
}

impl Notes {
    pub(crate) fn start(vars: &[(&str, &str)]) -> Self {
        let log = web::Data::new(Log::default());
        let shared = log.clone();
        let routes = move |config: &mut ServiceConfig| {
            config.app_data(shared.clone()).configure(routes);
        };
        let address = testing::start(vars, async |listeners, vars| {
            let settings = Settings::from_vars(vars).unwrap();
            let chassis = Chassis::new(ABOUT, &settings).describe(Description::openapi());
            chassis.serve(listeners, stream::pending(), routes).await
        });
        Self { address, log }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Lets searches for "slow" be answered, which wait until then.
    pub(crate) fn release(&self) {
        self.log.released.store(true, Ordering::Relaxed);
    }

    /// The last request that a handler has seen.
    pub(crate) fn last(&self) -> Received {
        self.log.received.lock().unwrap().last().cloned().unwrap()
    }
}

impl Log {
    fn add(&self, request: &HttpRequest, body: &Bytes) -> Received {
        let header = |name| Some(request.headers().get(name)?.to_str().unwrap().to_owned());
        let received = Received {
            method: request.method().to_string(),
            target: request.uri().to_string(),
            authorization: header(AUTHORIZATION.as_str()),
            api_key: header("x-api-key"),
            tenant: header("x-tenant"),
            content_type: header(CONTENT_TYPE.as_str()),
            body: String::from_utf8(body.to_vec()).unwrap(),
        };
        self.received.lock().unwrap().push(received.clone());
        received
    }
}

#[derive(OpenApi)]
#[openapi(
    info(title = "The notes service", version = "1.2.3", description = "Notes.\n\nTwo paragraphs."),
    paths(list, create, change, replace, delete),
    components(schemas(State))
)]
struct Description;

fn routes(config: &mut ServiceConfig) {
    config
        .service(resource("/notes").get(list).post(create))
        .service(resource("/notes/{id}").patch(change).delete(delete))
        .service(resource("/notes/{id}/text").put(replace));
}

/// Whether a note is done.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum State {
    Open,
    Done,
}

#[expect(dead_code, reason = "only described: the service answers with what it was asked")]
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Words that a note must have
    #[param(max_length = 5000, example = "milk")]
    search: Option<String>,
    state: Option<State>,
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
    tags: Option<Vec<String>>,
}

#[expect(dead_code, reason = "only described: the service answers with what it was asked")]
#[derive(Deserialize, ToSchema)]
struct Note {
    #[schema(read_only)]
    id: u64,
    /// What is to be remembered
    #[schema(min_length = 1, max_length = 2000, example = "buy milk")]
    text: String,
    state: State,
    #[schema(format = "date", example = "2026-12-01")]
    due: Option<String>,
    author: Option<Author>,
    #[schema(max_items = 5)]
    tags: Vec<String>,
}

#[expect(dead_code, reason = "only described: the service answers with what it was asked")]
#[derive(Deserialize, ToSchema)]
struct Author {
    name: String,
}

#[expect(dead_code, reason = "only described: the service answers with what it was asked")]
#[derive(Deserialize, ToSchema)]
struct Change {
    text: Option<String>,
    state: Option<State>,
}

/// Lists notes.
///
/// Newest first.
///
/// There may be none.
#[utoipa::path(
    get, path = "/notes", tag = "Notes",
    params(
        Filter,
        ("X-Tenant" = Option<String>, Header, description = "Whose notes"),
        ("Authorization" = Option<String>, Header, description = "Ignored, as OpenAPI demands"),
        ("session" = Option<String>, Cookie, description = "What a script cannot send"),
    ),
    responses(
        (status = 200, description = "The notes", body = Vec<Note>),
        (status = 401, description = "Authentication is required"),
    ),
)]
async fn list(log: web::Data<Log>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let received = log.add(&request, &body);
    if received.target.contains("search=long") {
        return HttpResponse::Ok().json(vec![0; LONG]);
    }
    while received.target.contains("search=slow") && !log.released.load(Ordering::Relaxed) {
        time::sleep(Duration::from_millis(20)).await;
    }
    // More digits than a number of JavaScript has, and everything that a layout could get wrong.
    let json = serde_json::to_string(&received.target).unwrap();
    let body = format!(
        r#"{{"target":{json},"big":12345678901234567890123,"none":[],"text":"a, \"b\": {{c}} [d]","list":[1,{{}}]}}"#
    );
    HttpResponse::Ok().content_type("application/json").body(body)
}

/// Creates a note.
#[utoipa::path(post, path = "/notes", tag = "Notes", request_body = Note, responses(
    (status = 201, description = "The new note", body = Note),
    (status = 422, description = "A field has a value that is not allowed"),
))]
async fn create(log: web::Data<Log>, request: HttpRequest, body: Bytes) -> HttpResponse {
    HttpResponse::Created().json(log.add(&request, &body))
}

/// Changes the given fields of a note.
#[utoipa::path(
    patch, path = "/notes/{id}", tag = "Notes",
    params(("id" = String, Path, description = "The note's id", example = "7")),
    request_body(content = Change, content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The note as it is now", body = Note),
        (status = 404, description = "There is no note with this id"),
    ),
)]
async fn change(log: web::Data<Log>, request: HttpRequest, body: Bytes) -> Result<HttpResponse, Missing> {
    let received = log.add(&request, &body);
    match request.match_info().get("id") {
        Some("7") => Ok(HttpResponse::Ok().json(received)),
        other => Err(Missing(other.unwrap_or_default().to_owned())),
    }
}

/// Replaces the text of a note.
#[utoipa::path(
    put, path = "/notes/{id}/text", tag = "Notes",
    params(("id" = String, Path, description = "The note's id")),
    request_body(content = String, content_type = "text/plain", description = "The new text"),
    responses((status = 204, description = "The text is replaced")),
)]
async fn replace(log: web::Data<Log>, request: HttpRequest, body: Bytes) -> HttpResponse {
    log.add(&request, &body);
    HttpResponse::NoContent().finish()
}

/// Deletes a note.
#[utoipa::path(
    delete, path = "/notes/{id}", tag = "Notes",
    params(("id" = String, Path, description = "The note's id")),
    responses((status = 204, description = "The note is deleted")),
)]
async fn delete(log: web::Data<Log>, request: HttpRequest, body: Bytes) -> HttpResponse {
    log.add(&request, &body);
    HttpResponse::NoContent().finish()
}

#[derive(Debug, thiserror::Error)]
#[error("there is no note {0:?}")]
struct Missing(String);

impl ResponseError for Missing {
    fn status_code(&self) -> StatusCode {
        StatusCode::NOT_FOUND
    }

    fn error_response(&self) -> HttpResponse {
        chassis::problem::answer(self)
    }
}
