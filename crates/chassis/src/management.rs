//! What is served on the management port, for the operator and nobody else.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use crate::problem::Error;
use crate::state::State;
use crate::{health, metrics, readable};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    health::probes(config);
    config.service(readable("/metrics", metrics));
}

/// `GET /metrics`
async fn metrics(state: web::Data<State>) -> Result<HttpResponse, Error> {
    let text = state.metrics.text().map_err(Error::Metrics)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}
