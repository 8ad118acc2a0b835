//! The greeting service: what is served, and what the workers share. Everything around it is the chassis'.
//!
//! A library, so that tests run the real server on a port of their own. Nothing here reads the environment or exits.

mod error;
mod greeting;
mod handlers;
pub mod ids;
pub mod settings;

use std::io;

use actix_web::web;
use chassis::{About, Chassis, Listeners, readable};
use futures_util::Stream;
use utoipa::OpenApi;

use ids::Ids;
use settings::Settings;

/// Which service this is.
pub const ABOUT: About = About { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };

/// What is described in `/openapi.json`: a new handler is named here.
#[derive(OpenApi)]
#[openapi(info(title = "The greeting service"), paths(handlers::greeting))]
struct Description;

/// The service's own resources.
fn routes(config: &mut web::ServiceConfig) {
    config.service(readable("/api/greeting", handlers::greeting));
}

/// Serves until a signal arrives; see [`Chassis::serve`].
///
/// # Errors
/// What the operating system says where a listener cannot be used.
pub async fn run(listeners: Listeners, settings: &Settings, signals: impl Stream<Item = ()> + Unpin) -> io::Result<()> {
    let ids = web::Data::new(Ids::start(&settings.ids).map_err(io::Error::other)?);
    let ready = ids.clone();
    Chassis::new(ABOUT, &settings.chassis)
        .describe(Description::openapi())
        .ready_when(move || ready.have_arrived())
        .serve(listeners, signals, move |config| {
            config.app_data(ids.clone()).configure(routes);
        })
        .await
}
