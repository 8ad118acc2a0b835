//! The description of the service for programs: OpenAPI 3.1, drawn from the handlers and the types that they answer with.
//!
//! A handler's annotation says what is its own; what all answers have in common is added here, once.

use actix_web::http::StatusCode;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::Operation;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
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
/// A handler whose annotation names the scheme [`BEARER`] gets the answers to a request without a token that holds. The
/// scheme itself is there if the service has an issuer, or a handler names it.
pub(crate) fn whole(about: About, mut description: OpenApi, has_issuer: bool) -> OpenApi {
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
    let is_named = description.paths.paths.values_mut().flat_map(operations).any(|operation| is_guarded(operation));
    if has_issuer || is_named {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("JWT")
            .description(Some("A token of the service's issuer (RFC 6750)"));
        let components = description.components.get_or_insert_default();
        components.add_security_scheme(BEARER, SecurityScheme::Http(scheme.build()));
    }
    description
}

/// Under which name handlers ask for a token: `security(("bearer" = ["notes/write"]))`.
const BEARER: &str = "bearer";

/// Whether it is reached with a token only.
fn is_guarded(operation: &Operation) -> bool {
    let names = |requirement: &SecurityRequirement| {
        serde_json::to_value(requirement).is_ok_and(|requirement| requirement.get(BEARER).is_some())
    };
    operation.security.iter().flatten().any(names)
}

/// What every answer carries, and what can happen to a request before a handler sees it.
struct Common;

/// Answers that a handler behind a token need not name.
const REFUSALS: [(StatusCode, &str); 2] = [
    (StatusCode::UNAUTHORIZED, "There is no token, or not one that holds"),
    (StatusCode::FORBIDDEN, "The token does not allow this"),
];

/// Answers that no handler need name.
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
        let is_guarded_somewhere = document.paths.paths.values_mut().flat_map(operations).any(|it| is_guarded(it));
        let refusals = if is_guarded_somewhere { &REFUSALS[..] } else { &[] };
        let shared = &mut document.components.get_or_insert_with(Components::new).responses;
        for &(status, description) in FAILURES.iter().chain(refusals) {
            let mut answer = Response::new(description);
            complete(status, &mut answer);
            shared.insert(name(status), answer.into());
        }
        for operation in document.paths.paths.values_mut().flat_map(operations) {
            let refusals = if is_guarded(operation) { &REFUSALS[..] } else { &[] };
            let answers = &mut operation.responses.responses;
            for (status, answer) in answers.iter_mut() {
                let status = StatusCode::from_bytes(status.as_bytes()).unwrap_or_default();
                if let RefOr::T(answer) = answer {
                    complete(status, answer);
                }
            }
            for (status, _) in FAILURES.iter().chain(refusals) {
                let shared = || Ref::from_response_name(name(*status)).into();
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
        if status == StatusCode::UNAUTHORIZED {
            answer.headers.insert("WWW-Authenticate".to_owned(), challenge().into());
        }
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

fn challenge() -> Header {
    let challenge = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^Bearer"));
    header("What to send, and what is wrong with the token that was sent (RFC 6750, section 3)", challenge.build())
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
