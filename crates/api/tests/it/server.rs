//! The real server inside the test's own process.

use std::net::{SocketAddr, TcpListener};
use std::thread;

use actix_web::rt::System;
use api::Listeners;
use config::service::Settings;
use futures_util::stream;

/// Serves what the service serves, for as long as the test's process lives.
pub(crate) fn start() -> SocketAddr {
    let (address, listeners, settings) = prepare(&[]);
    thread::spawn(move || System::new().block_on(api::run(listeners, &settings, stream::pending())).unwrap());
    address
}

/// Serves with other settings, or other routes.
pub(crate) fn start_with(vars: &[(&str, &str)], routes: impl api::Routes) -> SocketAddr {
    let (address, listeners, settings) = prepare(vars);
    thread::spawn(move || System::new().block_on(api::serve(listeners, &settings, stream::pending(), routes)).unwrap());
    address
}

fn prepare(vars: &[(&str, &str)]) -> (SocketAddr, Listeners, Settings) {
    // In a test's own process the log would only stand between its results.
    let vars =
        [("API_LOG_LEVEL", "error")].iter().chain(vars).map(|(name, value)| (name.to_string(), value.to_string()));
    let settings = Settings::from_vars(vars).unwrap();
    let service = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = service.local_addr().unwrap();
    (address, Listeners { service, management: None }, settings)
}
