//! The real server inside the test's own process.

use std::net::SocketAddr;

use api::settings::Settings;
use futures_util::stream;

/// Serves for as long as the test's process lives.
pub(crate) fn start() -> SocketAddr {
    start_with(&[])
}

/// Serves with other settings.
pub(crate) fn start_with(vars: &[(&str, &str)]) -> SocketAddr {
    chassis::testing::start(vars, async |listeners, vars| {
        api::run(listeners, &Settings::from_vars(vars).unwrap(), stream::pending()).await
    })
}
