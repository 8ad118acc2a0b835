//! A service whose resources are the chassis' and one of the tests'.

use std::net::SocketAddr;

use actix_web::web::ServiceConfig;
use chassis::{About, Chassis, Routes, readable, testing};
use config::service::Settings;
use futures_util::stream;

const ABOUT: About = About { name: "test", version: "1.2.3" };

/// What is served where a test needs nothing else.
pub(crate) fn routes(config: &mut ServiceConfig) {
    config.service(readable("/hello", async || actix_web::web::Json(serde_json::json!({"hello": "World"}))));
}

pub(crate) fn start() -> SocketAddr {
    start_with(&[], routes)
}

/// Serves with other settings, or other routes.
pub(crate) fn start_with(vars: &[(&str, &str)], routes: impl Routes) -> SocketAddr {
    testing::start(vars, async |listeners, vars| {
        let settings = Settings::from_vars(vars).unwrap();
        Chassis::new(ABOUT, &settings).serve(listeners, stream::pending(), routes).await
    })
}
