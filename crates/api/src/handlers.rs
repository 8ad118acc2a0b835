//! HTTP in, HTTP out: takes a request apart, asks the domain, puts the answer together.

use actix_web::{HttpResponse, Responder, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::greeting::{Greeting, Name};
use crate::{Error, State};

/// Unknown parameters are passed over; the same one twice is the caller's mistake.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct GreetingQuery {
    /// Whom to greet; nobody in particular is the world.
    #[param(max_length = 100, example = "Ada")]
    name: Option<String>,
}

/// Greets somebody.
#[utoipa::path(get, path = "/api/greeting", tag = "Greetings", params(GreetingQuery), responses(
    (status = 200, description = "A greeting with its number", body = Greeting),
    (status = 400, description = "The name is too long or there are two"),
))]
pub(crate) async fn greeting(
    state: web::Data<State>,
    query: web::Query<GreetingQuery>,
) -> Result<impl Responder, Error> {
    let name = Name::new(query.into_inner().name)?;
    Ok(web::Json(Greeting::new(state.ids.take()?, &name)))
}

#[derive(Serialize, ToSchema)]
#[schema(example = json!({"status": "ok"}))]
struct Health {
    status: &'static str,
}

/// Tells whether this process may be sent requests.
#[utoipa::path(get, path = "/health", tag = "Operation", responses(
    (status = 200, description = "It may", body = Health),
    (status = 503, description = "It is starting, or has been told to stop", body = Health, example = json!({"status": "draining"})),
))]
pub(crate) async fn health(state: web::Data<State>) -> HttpResponse {
    let unavailable = |status| HttpResponse::ServiceUnavailable().json(Health { status });
    if state.is_draining() {
        unavailable("draining")
    } else if !state.ids.have_arrived() {
        unavailable("starting")
    } else {
        HttpResponse::Ok().json(Health { status: "ok" })
    }
}

/// Tells that this process is at work.
///
/// For whoever restarts it; that it is about to stop is no reason to.
#[utoipa::path(get, path = "/livez", tag = "Operation", responses(
    (status = 200, description = "It is", body = Health),
))]
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

#[derive(Serialize, ToSchema)]
struct Version<'a> {
    #[schema(example = "api")]
    name: &'static str,
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Of the image; only there if whoever started the container has told it.
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
pub(crate) async fn version(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        digest: state.image_digest.as_deref(),
    })
}
