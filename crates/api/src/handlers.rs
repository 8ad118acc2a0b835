//! HTTP in, HTTP out: takes a request apart, asks the domain, puts the answer together.

use actix_web::{HttpResponse, Responder, web};
use serde::{Deserialize, Serialize};

use crate::greeting::{Greeting, Name};
use crate::{Error, State};

/// Unknown parameters are passed over; the same one twice is the caller's mistake.
#[derive(Deserialize)]
pub(crate) struct GreetingQuery {
    name: Option<String>,
}

/// `GET /api/greeting?name=`
pub(crate) async fn greeting(
    state: web::Data<State>,
    query: web::Query<GreetingQuery>,
) -> Result<impl Responder, Error> {
    let name = Name::new(query.into_inner().name)?;
    Ok(web::Json(Greeting::new(state.ids.take()?, &name)))
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// `GET /health`: may this process be sent requests?
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

/// `GET /livez`: is this process at work? For whoever restarts it; that it drains is no reason to.
pub(crate) async fn livez() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok" })
}

#[derive(Serialize)]
struct Version<'a> {
    name: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<&'a str>,
}

/// `GET /version`: what is running; a release reads the digest to prove that it is the one it pushed.
pub(crate) async fn version(state: web::Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(Version {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        digest: state.image_digest.as_deref(),
    })
}
