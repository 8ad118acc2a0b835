//! The greeting service as a library, so that tests run the real server on a port of their own.
//!
//! What is served stands in [`routes`], and how long it is served in [`serve`]. Nothing here reads the environment or
//! exits, and nothing but the log prints.

mod access_log;
mod admission;
mod body;
mod caller;
mod connection;
mod cross_origin;
mod docs;
mod error;
mod greeting;
mod handlers;
pub mod healthcheck;
pub mod ids;
mod last_call;
mod layer;
mod management;
mod metrics;
pub mod open_files;
mod openapi;
mod requests;
mod server;
pub mod telemetry;
mod trace;

use std::io;
use std::net::TcpListener;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::Method;
use actix_web::http::header::ALLOW;
use actix_web::{Handler, HttpResponse, Responder, guard, rt, web};
use config::service::{Limits, Settings};
use futures_util::future::{Either, select};
use futures_util::{FutureExt, Stream, StreamExt};

pub use error::Error;
pub use greeting::NameTooLong;

/// Everything that is served.
pub fn routes(config: &mut web::ServiceConfig) {
    config
        .service(readable("/api/greeting", handlers::greeting))
        .service(readable("/health", handlers::health))
        .service(readable("/livez", handlers::livez))
        .service(readable("/version", handlers::version));
}

/// What is asked for ever, and answered however much there is to do.
pub(crate) const PROBES: [&str; 2] = ["/health", "/livez"];

/// What sets up each worker's resources: a function, or a closure that brings along what they share.
pub trait Routes: Fn(&mut web::ServiceConfig) + Clone + Send + 'static {}

impl<T: Fn(&mut web::ServiceConfig) + Clone + Send + 'static> Routes for T {}

/// A resource that is read with GET and, as HTTP has it, with HEAD.
pub fn readable<F, Args>(path: &'static str, handler: F) -> actix_web::Resource
where
    F: Handler<Args>,
    Args: actix_web::FromRequest + 'static,
    F::Output: Responder + 'static,
{
    // One route whose guard is a function: actix notes what other guards ask for with every request, to list it for
    // those that it refuses.
    let reads = guard::fn_guard(|context| matches!(context.head().method, Method::GET | Method::HEAD));
    let others = || async { HttpResponse::MethodNotAllowed().insert_header((ALLOW, "GET, HEAD")).finish() };
    resource(path).route(web::route().guard(reads).to(handler)).default_service(web::to(others))
}

/// A resource whose requests are counted under its pattern.
pub fn resource(pattern: &'static str) -> actix_web::Resource {
    web::resource(pattern).app_data(Route(pattern))
}

/// The pattern of the resource that a request was for.
#[derive(Clone, Copy)]
pub(crate) struct Route(pub(crate) &'static str);

/// What the workers share.
pub(crate) struct State {
    pub(crate) ids: ids::Ids,
    pub(crate) image_digest: Option<String>,
    pub(crate) limits: Limits,
    pub(crate) path_prefix: Option<String>,
    pub(crate) trusted_proxies: usize,
    pub(crate) metrics: Arc<metrics::Metrics>,
    pub(crate) log: access_log::AccessLog,
    draining: AtomicBool,
}

/// What a worker has for itself.
pub(crate) struct Worker {
    pub(crate) log: access_log::WorkerLog,
    pub(crate) tally: metrics::Tally,
}

impl State {
    fn new(settings: &Settings, ids: ids::Ids) -> Self {
        Self {
            ids,
            image_digest: settings.image_digest.clone(),
            limits: settings.limits.clone(),
            path_prefix: settings.path_prefix.clone(),
            trusted_proxies: settings.trusted_proxies,
            metrics: Arc::new(metrics::Metrics::new(settings.image_digest.as_deref())),
            log: access_log::AccessLog::new(settings.log_format, settings.log_level),
            draining: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

/// Where the service is asked, and where its operator asks.
pub struct Listeners {
    pub service: TcpListener,
    pub management: Option<TcpListener>,
}

/// Serves [`routes`] until a signal arrives; see [`serve`].
pub async fn run(listeners: Listeners, settings: &Settings, signals: impl Stream<Item = ()> + Unpin) -> io::Result<()> {
    serve(listeners, settings, signals, routes).await
}

/// Serves some routes until a signal arrives and what is in flight has been answered.
///
/// The first signal starts the drain: `/health` turns to 503, requests are still accepted and every answer closes its
/// connection. At its end, or at a second signal, the listener takes no new connections, those that the kernel has
/// taken are answered, and requests in flight are finished. A third signal gives those up.
pub async fn serve(
    listeners: Listeners,
    settings: &Settings,
    signals: impl Stream<Item = ()> + Unpin,
    routes: impl Routes,
) -> io::Result<()> {
    let ids = ids::Ids::start(&settings.ids).map_err(io::Error::other)?;
    let state = web::Data::new(State::new(settings, ids));
    let served = serve_until_stopped(listeners, settings, signals, routes, &state).await;
    state.log.finish();
    served
}

async fn serve_until_stopped(
    Listeners { service, management }: Listeners,
    settings: &Settings,
    mut signals: impl Stream<Item = ()> + Unpin,
    routes: impl Routes,
    state: &web::Data<State>,
) -> io::Result<()> {
    let address = service.local_addr()?;
    let last_call = last_call::prepare(&service)?;
    let management_address = management.as_ref().map(TcpListener::local_addr).transpose()?;
    // Ends with the service, whatever it is at.
    let management = management.map(|listener| server::management(listener, state.clone())).transpose()?;
    let management = management.map(|server| {
        let handle = server.handle();
        rt::spawn(server);
        handle
    });
    let server = server::service(service, settings, state.clone(), routes)?;
    let handle = server.handle();
    let digest = settings.image_digest.as_deref();
    let management_address = management_address.map(tracing::field::display);
    tracing::info!(%address, management = management_address, version = env!("CARGO_PKG_VERSION"), digest, "listening");

    let mut server = pin!(server.fuse());
    if let Either::Left((ended, _)) = select(&mut server, signals.next()).await {
        return ended;
    }
    tracing::info!(seconds = settings.drain.as_secs(), "draining");
    state.draining.store(true, Ordering::Relaxed);
    let drained = pin!(rt::time::sleep(settings.drain));
    if let Either::Left((ended, _)) = select(&mut server, select(drained, signals.next())).await {
        return ended;
    }
    tracing::info!(seconds = settings.shutdown.as_secs(), "finishing what is in flight");
    let last_call = pin!(last_call.take());
    if let Either::Left((ended, _)) = select(&mut server, last_call).await {
        return ended;
    }
    // The order goes out when it is given; its answer would only repeat the end of the server itself.
    drop(handle.stop(true));
    let ended = match select(server, signals.next()).await {
        Either::Left((ended, _)) => ended,
        // Dropping the server takes the workers along.
        Either::Right(_) => {
            tracing::warn!("gave up what was in flight");
            Ok(())
        }
    };
    if let Some(management) = management {
        management.stop(false).await;
    }
    ended
}
