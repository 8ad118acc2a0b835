//! What stands around an HTTP service, so that a service's own crate has nothing but its own matter.
//!
//! [`Chassis::serve`] runs resources behind limits for connections, requests and their times, with an access log,
//! metrics, request ids and traces, problem details (RFC 9457) for every error, CORS, health checks, `/version`, an
//! OpenAPI document with a page to try it, and an end that loses no request. [`program`] is the command line that goes
//! with it. Settings are those of [`config::service`]; nothing here reads the environment or exits, and nothing but the
//! log prints.
//!
//! Features: `client` has an HTTP client for handlers, `identity` (with `client`) says who asks by a token that it verifies,
//! `otel` sends spans, and `testing` helps the tests of services. Without the first two a program carries no TLS.
//!
//! A whole service (`cargo run -p chassis --example minimal`):
//!
//! ```no_run
#![doc = include_str!("../examples/minimal.rs")]
//! ```

mod access_log;
mod admission;
mod body;
mod caller;
#[cfg(feature = "client")]
pub mod client;
mod connection;
mod cross_origin;
mod current;
mod docs;
mod health;
mod healthcheck;
#[cfg(feature = "identity")]
pub mod identity;
mod last_call;
mod management;
mod metrics;
mod open_files;
mod openapi;
mod output;
pub mod problem;
pub mod program;
mod requests;
mod routes;
mod secret;
mod serve;
mod server;
#[cfg(feature = "otel")]
mod spans;
mod state;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;

use std::io;
use std::net::TcpListener;

use actix_web::web;
use config::service::Settings;
use futures_util::Stream;
use utoipa::openapi::OpenApi;

pub use current::carry;
pub use routes::{Resource, Routes, readable, resource};
pub use secret::Secret;

use state::{Ready, State};

/// Which service this is: what `/version`, the metrics and the command line say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct About {
    /// The program's name, such as `env!("CARGO_PKG_NAME")`.
    pub name: &'static str,
    /// Its version, such as `env!("CARGO_PKG_VERSION")`.
    pub version: &'static str,
}

/// Where the service is asked, and where its operator asks.
#[derive(Debug)]
pub struct Listeners {
    /// For everybody.
    pub service: TcpListener,
    /// For `/metrics`; not to be published.
    pub management: Option<TcpListener>,
}

/// A service that is not served yet.
pub struct Chassis<'a> {
    about: About,
    settings: &'a Settings,
    description: OpenApi,
    ready: Vec<Ready>,
}

impl<'a> Chassis<'a> {
    /// A service with these settings, without a description of its own, and ready as soon as it listens.
    pub fn new(about: About, settings: &'a Settings) -> Self {
        Self { about, settings, description: OpenApi::default(), ready: Vec::new() }
    }

    /// Describes the service's own resources in `/openapi.json`.
    ///
    /// The chassis' resources, what every answer carries and every error that a request can meet before a handler sees
    /// it are added; an error without a body of its own gets problem details.
    #[must_use]
    pub fn describe(mut self, description: OpenApi) -> Self {
        self.description = description;
        self
    }

    /// Lets `/health` answer 503 `{"status":"starting"}` for as long as this, or another such condition, does not hold.
    ///
    /// It is asked with every `GET /health`, on a worker's thread: it must not wait for anything.
    #[must_use]
    pub fn ready_when(mut self, ready: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.ready.push(Box::new(ready));
        self
    }

    /// Serves until a signal arrives and what is in flight has been answered.
    ///
    /// The first signal starts the drain: `/health` turns to 503, requests are still accepted and every answer closes
    /// its connection. At its end, or at a second signal, the listener takes no new connections, those that the kernel
    /// has taken are answered, and requests in flight are finished. A third signal gives those up.
    ///
    /// # Errors
    /// What the operating system says where a listener cannot be used. Settings that ask for what the program was built
    /// without are an error, too.
    pub async fn serve(
        self,
        listeners: Listeners,
        signals: impl Stream<Item = ()> + Unpin,
        routes: impl Routes,
    ) -> io::Result<()> {
        supported(self.settings).map_err(io::Error::other)?;
        let Self { about, settings, description, ready } = self;
        let document = docs::Document::new(openapi::whole(about, description, settings.identity.is_some()));
        let state = web::Data::new(State::new(about, settings, ready)?);
        let served = serve::until_stopped(listeners, settings, document, signals, routes, &state).await;
        #[cfg(feature = "otel")]
        if let Some(spans) = &state.spans {
            spans.finish();
        }
        telemetry::finish();
        served
    }
}

/// This program was built without what the settings ask for.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{setting} is set, but this program was built without the feature \"{feature}\"; build it with \
     `cargo build --release --features {feature}`, or the image with features = [\"{feature}\"] under [service] \
     in deploy.toml"
)]
pub struct NotBuiltIn {
    setting: &'static str,
    feature: &'static str,
}

/// Whether this program was built with everything that the settings ask for.
///
/// # Errors
/// [`NotBuiltIn`] for an issuer without the feature `identity`, and for a collector without the feature `otel`.
pub fn supported(settings: &Settings) -> Result<(), NotBuiltIn> {
    if settings.identity.is_some() && !cfg!(feature = "identity") {
        return Err(NotBuiltIn { setting: "API_OIDC_ISSUER", feature: "identity" });
    }
    if settings.spans.is_some() && !cfg!(feature = "otel") {
        return Err(NotBuiltIn { setting: "OTEL_EXPORTER_OTLP_ENDPOINT", feature: "otel" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_without_its_code_is_an_error() {
        let settings = |vars: &[(&str, &str)]| {
            Settings::from_vars(vars.iter().map(|(name, value)| (name.to_string(), value.to_string()))).unwrap()
        };
        assert_eq!(supported(&settings(&[])), Ok(()));
        let set = supported(&settings(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318")]));
        assert_eq!(set.is_ok(), cfg!(feature = "otel"), "{set:?}");
    }
}
