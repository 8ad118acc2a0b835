//! The description of the service for programs: OpenAPI 3.1, drawn from the handlers and the types that they answer with.
//!
//! A handler's annotation says what is its own; what all answers have in common is added here, once.

use actix_web::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::{Components, ContentBuilder, Header, OpenApi, PathItem, Ref, RefOr, Response, Server};
use utoipa::{Modify, OpenApi as _, PartialSchema, ToSchema};

use crate::About;
use crate::health;
use crate::problem::Problem;

const COMMON: &str = "\
Every resource that answers GET answers HEAD in the same way, without the body, and every resource answers OPTIONS. \
Any other method gets 405 with the header Allow, any other path 404. Errors are problem details (RFC 9457).";

/// The whole document of a service whose own resources are described so.
///
/// A title and a description that it has stay; its version is the program's, its server is where it was read from.
pub(crate) fn whole(about: About, mut description: OpenApi) -> OpenApi {
    description.merge(health::Document::openapi());
    // Relative to the document, so that it is right at the root and below any prefix.
    description.servers = Some(vec![Server::new(".")]);
    let info = &mut description.info;
    info.version = about.version.to_owned();
    if info.title.is_empty() {
        info.title = about.name.to_owned();
    }
    let own = info.description.take().map(|own| own + "\n\n").unwrap_or_default();
    info.description = Some(own + COMMON);
    let schemas = &mut description.components.get_or_insert_default().schemas;
    schemas.insert(Problem::name().into_owned(), Problem::schema());
    Common.modify(&mut description);
    description
}

/// What every answer carries, and what can happen to a request before a handler sees it.
struct Common;

/// Answers that a handler need not name.
const FAILURES: [(StatusCode, &str); 8] = [
    (StatusCode::BAD_REQUEST, "The request cannot be read"),
    (StatusCode::REQUEST_TIMEOUT, "The request did not arrive in time"),
    (StatusCode::PAYLOAD_TOO_LARGE, "The body is longer than the service takes"),
    (StatusCode::URI_TOO_LONG, "The target is longer than the service takes"),
    (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "The head is longer than the service takes"),
    (StatusCode::INTERNAL_SERVER_ERROR, "The service failed; its log has the reason"),
    (StatusCode::SERVICE_UNAVAILABLE, "The service cannot take this request now"),
    (StatusCode::GATEWAY_TIMEOUT, "The service took too long to answer"),
];

impl Modify for Common {
    fn modify(&self, document: &mut OpenApi) {
        let shared = &mut document.components.get_or_insert_with(Components::new).responses;
        for (status, description) in FAILURES {
            let mut answer = Response::new(description);
            complete(status, &mut answer);
            shared.insert(name(status), answer.into());
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            let answers = &mut operation.responses.responses;
            for (status, answer) in answers.iter_mut() {
                let status = StatusCode::from_bytes(status.as_bytes()).unwrap_or_default();
                if let RefOr::T(answer) = answer {
                    complete(status, answer);
                }
            }
            for (status, _) in FAILURES {
                let shared = || Ref::from_response_name(name(status)).into();
                answers.entry(status.as_str().to_owned()).or_insert_with(shared);
            }
        }
    }
}

/// Adds the id, and to an error without a body of its own the problem details.
fn complete(status: StatusCode, answer: &mut Response) {
    answer.headers.insert("X-Request-Id".to_owned(), request_id().into());
    if (status.is_client_error() || status.is_server_error()) && answer.content.is_empty() {
        let problem = Problem::new(status, &answer.description);
        let example = serde_json::to_value(problem).expect("text and a number are always JSON");
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(Problem::name()))).example(Some(example));
        answer.content.insert("application/problem+json".to_owned(), content.build().into());
        if status == StatusCode::SERVICE_UNAVAILABLE {
            answer.headers.insert("Retry-After".to_owned(), retry_after().into());
        }
    }
}

/// What a shared answer is called among the components: `BadRequest`.
fn name(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or_default().split(' ').collect()
}

fn request_id() -> Header {
    let id = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9A-Za-z._:=+/@-]{1,128}$"));
    header("The id of the request in the log: the caller's own if it was fit for that", id.build())
}

fn retry_after() -> Header {
    let seconds = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0));
    header("Seconds after which another try is worth it", seconds.build())
}

fn header(description: &str, schema: Object) -> Header {
    HeaderBuilder::new().schema(Some(schema)).description(Some(description)).build()
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    [get, put, post, delete, patch].into_iter().flatten()
}
