//! What is served on the management port, for the operator and nobody else.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};

use crate::{Error, State, handlers, metrics, readable};

pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/metrics", metrics))
        .service(readable("/health", handlers::health))
        .service(readable("/livez", handlers::livez));
}

/// `GET /metrics`
async fn metrics(state: web::Data<State>) -> Result<HttpResponse, Error> {
    let text = state.metrics.text().map_err(|error| Error::Internal(error.into()))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}
