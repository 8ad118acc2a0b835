//! What browsers are told about pages of other origins (CORS). It keeps nobody out: that is an authorizer's part.

use actix_cors::Cors;
use actix_web::http::Method;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use config::service::Origins;

use crate::trace::{REQUEST_ID, TRACEPARENT};

/// What API Gateway wants of who has a key, or signs.
const FOR_THE_GATEWAY: [HeaderName; 4] = [
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-amz-content-sha256"),
    HeaderName::from_static("x-amz-date"),
    HeaderName::from_static("x-amz-security-token"),
];
/// How many seconds a browser need not ask again.
const PREFLIGHT_SECONDS: usize = 3600;

/// The middleware for these origins.
pub(crate) fn layer(origins: &Origins) -> Cors {
    let cors = match origins {
        Origins::Only(some) => some.iter().fold(Cors::default(), |cors, origin| cors.allowed_origin(origin)),
        Origins::Any => Cors::default().allow_any_origin().send_wildcard(),
    };
    let methods = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
    let cors = cors
        .allowed_methods(methods)
        .allowed_headers([AUTHORIZATION, CONTENT_TYPE, REQUEST_ID, TRACEPARENT])
        .allowed_headers(FOR_THE_GATEWAY);
    cors.expose_headers([REQUEST_ID, RETRY_AFTER]).max_age(PREFLIGHT_SECONDS)
}
