//! How resources are declared, so that they answer `HEAD`, name their methods and are counted under their pattern.

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, guard, web};

/// What sets up each worker's resources: a function, or a closure that brings along what the workers share.
pub trait Routes: Fn(&mut ServiceConfig) + Clone + Send + 'static {}

impl<T: Fn(&mut ServiceConfig) + Clone + Send + 'static> Routes for T {}

/// A resource that is read with `GET` and, as HTTP has it (RFC 9110, section 9.1), with `HEAD`.
///
/// `OPTIONS` is answered with 204 and any other method with 405, both with `Allow`.
pub fn readable<F, Args>(path: &'static str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    // One route whose guard is a function: actix notes what other guards ask for with every request, to list it for
    // those that it refuses.
    let reads = guard::fn_guard(|context| matches!(context.head().method, Method::GET | Method::HEAD));
    let others = || async { HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish() };
    resource(path).route(web::route().guard(reads).to(handler)).default_service(web::to(others))
}

/// A resource whose requests are counted under its pattern.
pub fn resource(pattern: &'static str) -> Resource {
    web::resource(pattern).app_data(Route(pattern))
}

/// The pattern of the resource that a request was for.
#[derive(Clone, Copy)]
pub(crate) struct Route(pub(crate) &'static str);
