//! The greeting service as a library, so that tests run the real server on a port of their own.
//!
//! What is served stands in [`routes`], and how long it is served in [`serve`]. Nothing here reads the environment,
//! prints or exits.

mod cross_origin;
mod error;
mod greeting;
mod handlers;
pub mod healthcheck;
pub mod ids;
mod requests;
pub mod telemetry;

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Compat, Condition, from_fn};
use actix_web::{App, Handler, HttpServer, Responder, web};
use config::service::{Origins, Settings};
use futures_util::future::{Either, select};
use futures_util::{FutureExt, Stream, StreamExt};

pub use error::Error;
pub use greeting::NameTooLong;

/// The most bytes a request's body may have.
pub const BODY_LIMIT: usize = 64 * 1024;

/// How long an idle connection stays open. Load balancers keep theirs for a minute: whoever closes first must not be
/// the server, or a request meets a connection that has just gone.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Everything that is served.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/api/greeting", handlers::greeting))
        .service(readable("/health", handlers::health))
        .service(readable("/version", handlers::version));
}

/// A resource that is read with GET and, as HTTP has it, with HEAD.
pub fn readable<F, Args>(path: &str, handler: F) -> actix_web::Resource
where
    F: Handler<Args> + Clone,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path).route(web::get().to(handler.clone())).route(web::head().to(handler))
}

/// What the workers share.
pub(crate) struct State {
    pub(crate) ids: ids::Ids,
    pub(crate) image_digest: Option<String>,
    draining: AtomicBool,
}

impl State {
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Serves [`routes`] until a signal arrives; see [`serve`].
pub async fn run(
    listener: TcpListener,
    settings: &Settings,
    signals: impl Stream<Item = ()> + Unpin,
) -> io::Result<()> {
    serve(listener, settings, signals, routes).await
}

/// Serves some routes until a signal arrives and what is in flight has been answered.
///
/// The first signal starts the drain: `/health` turns to 503, requests are still accepted and every answer closes its
/// connection. At its end, or at a second signal, the listener closes and requests in flight are finished. A third
/// signal gives those up.
pub async fn serve(
    listener: TcpListener,
    settings: &Settings,
    mut signals: impl Stream<Item = ()> + Unpin,
    routes: fn(&mut web::ServiceConfig),
) -> io::Result<()> {
    let state = web::Data::new(State {
        ids: ids::Ids::start(&settings.ids).map_err(io::Error::other)?,
        image_digest: settings.image_digest.clone(),
        draining: AtomicBool::new(false),
    });
    let address = listener.local_addr()?;
    let server = start(listener, settings, state.clone(), routes)?;
    let handle = server.handle();
    let digest = settings.image_digest.as_deref();
    tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), digest, "listening");

    let mut server = pin!(server.fuse());
    if let Either::Left((ended, _)) = select(&mut server, signals.next()).await {
        return ended;
    }
    tracing::info!(seconds = settings.drain.as_secs(), "draining");
    state.draining.store(true, Ordering::Relaxed);
    let drained = pin!(actix_web::rt::time::sleep(settings.drain));
    if let Either::Left((ended, _)) = select(&mut server, select(drained, signals.next())).await {
        return ended;
    }
    tracing::info!(seconds = settings.shutdown.as_secs(), "finishing what is in flight");
    // The order goes out when it is given; its answer would only repeat the end of the server itself.
    drop(handle.stop(true));
    match select(server, signals.next()).await {
        Either::Left((ended, _)) => ended,
        // Dropping the server takes the workers along.
        Either::Right(_) => {
            tracing::warn!("gave up what was in flight");
            Ok(())
        }
    }
}

fn start(
    listener: TcpListener,
    settings: &Settings,
    state: web::Data<State>,
    routes: fn(&mut web::ServiceConfig),
) -> io::Result<Server> {
    let origins = settings.cors_origins.clone();
    let app = move || {
        // The last one is the outermost.
        App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(BODY_LIMIT))
            .wrap(from_fn(requests::contain))
            .wrap(Compat::new(Condition::new(origins != Origins::default(), cross_origin::layer(&origins))))
            .wrap(from_fn(requests::observe))
            .configure(routes)
    };
    let server = HttpServer::new(app)
        .disable_signals()
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(settings.shutdown.as_secs())
        .listen(listener)?;
    Ok(server.run())
}
