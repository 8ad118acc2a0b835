//! What a load balancer, a supervisor and a release ask of every service.

use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::readable;
use crate::state::State;

/// What is asked for ever, and answered however much there is to do.
pub(crate) const PROBES: [&str; 2] = ["/health", "/livez"];

/// Their description.
#[derive(OpenApi)]
#[openapi(paths(health, livez, version))]
pub(crate) struct Document;

/// All three, for the service's own port.
pub(crate) fn routes(config: &mut ServiceConfig) {
    probes(config);
    config.service(readable("/version", version));
}

/// The first two, for either port.
pub(crate) fn probes(config: &mut ServiceConfig) {
    config.service(readable("/health", health)).service(readable("/livez", livez));
}

#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
struct Health {
    status: &'static str,
}

/// Tells whether this process may be sent requests.
#[utoipa::path(get, path = "/health", tag = "Operation", responses(
    (status = 200, description = "It may", body = Health),
    (status = 503, description = "It is starting, or has been asked to stop", body = Health, example = json!({"status": "draining"})),
))]
async fn health(state: web::Data<State>) -> HttpResponse {
    let unavailable = |status| HttpResponse::ServiceUnavailable().json(Health { status });
    if state.is_draining() {
        unavailable("draining")
    } else if !state.is_ready() {
        unavailable("starting")
    } else {
        HttpResponse::Ok().json(Health { status: "ok" })
    }
}

/// Tells that this process is at work.
///
/// For a supervisor that restarts it; that it is about to stop is no reason to.
#[utoipa::path(get, path = "/livez", tag = "Operation", responses(
    (status = 200, description = "It is", body = Health),
))]
async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

#[derive(Serialize, ToSchema)]
struct Version<'a> {
    #[schema(example = "api")]
    name: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Of the image; only there if the container was started with `IMAGE_DIGEST`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, pattern = "^sha256:[0-9a-f]{64}$")]
    digest: Option<&'a str>,
}

/// Tells what is running.
///
/// A release reads the digest to prove that it is the one it pushed.
#[utoipa::path(get, path = "/version", tag = "Operation", responses(
    (status = 200, description = "Name, version and image", body = Version),
))]
async fn version(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(Version {
        name: state.about.name,
        version: state.about.version,
        digest: state.image_digest.as_deref(),
    })
}
