//! The real server inside the test's own process.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use actix_web::rt::System;
use actix_web::web::ServiceConfig;
use api::Listeners;
use config::service::Settings;
use futures_util::stream;

/// Serves what the service serves.
pub(crate) fn start() -> SocketAddr {
    start_with(&[], api::routes)
}

/// Serves other routes, for as long as the test's process lives.
pub(crate) fn start_with(vars: &[(&str, &str)], routes: fn(&mut ServiceConfig)) -> SocketAddr {
    // In a test's own process the log would only stand between its results.
    let vars =
        [("API_LOG_LEVEL", "error")].iter().chain(vars).map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = Settings::from_vars(vars).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listeners = Listeners { service: listener, management: None };
    thread::spawn(move || {
        System::new().block_on(api::serve(listeners, &settings, stream::pending(), routes)).unwrap();
    });
    address
}
