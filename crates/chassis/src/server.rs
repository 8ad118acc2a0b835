//! From a listener to running workers: which layers a request passes, and under which limits connections stand.

use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::rc::Rc;
#[cfg(feature = "identity")]
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::{Compat, Condition, from_fn};
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use config::service::{Origins, Settings};
use socket2::SockRef;

use crate::admission::Admission;
use crate::connection::{Connection, Patience};
use crate::metrics::Tally;
use crate::requests::Observation;
use crate::state::{State, Worker};
use crate::{Routes, body, cross_origin, docs, health, management};

/// How many connections wait in the kernel's queue before it lets clients repeat their first packet; Linux makes it no
/// more than `net.core.somaxconn`, which is 4096.
const BACKLOG: i32 = 1024;

/// The service itself. Built from actix-web's parts instead of its `HttpServer`, which leaves no place for
/// [`Connection`].
pub(crate) fn service(
    listener: TcpListener,
    settings: &Settings,
    document: docs::Document,
    state: web::Data<State>,
    routes: impl Routes,
) -> io::Result<Server> {
    let origins = settings.cors_origins.clone();
    let docs = settings.docs;
    let workers = settings.workers.map_or_else(processors, |workers| workers.get().into());
    let connections = settings.limits.connections.div_ceil(workers);
    // The standard library listens with 128.
    SockRef::from(&listener).listen(BACKLOG)?;
    let builder = Server::build()
        .workers(workers)
        .max_concurrent_connections(connections)
        .shutdown_timeout(settings.shutdown.as_secs())
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let each_worker = move || {
        let limits = &state.limits;
        let patience = Patience::start(limits, connections, state.metrics.clone());
        let worker = Rc::new(Worker { log: state.log.worker(), tally: Tally::default() });
        let (admission, observation) =
            (Admission { state: state.clone() }, Observation { state: state.clone(), worker });
        // The last one is the outermost.
        let app = App::new()
            .app_data(state.clone())
            .app_data(web::PayloadConfig::new(limits.body_bytes))
            .app_data(body::json(limits.body_bytes))
            .wrap(from_fn(move |request, inner| admission.clone().pass(request, inner)))
            .wrap(Compat::new(Condition::new(origins != Origins::default(), cross_origin::layer(&origins))))
            .wrap(from_fn(move |request, inner| observation.clone().pass(request, inner)))
            .configure(health::routes)
            .configure(&routes);
        #[cfg(feature = "identity")]
        let app = match &state.verifier {
            Some(verifier) => app.app_data(web::Data::from(Arc::clone(verifier))),
            None => app,
        };
        let document = document.clone();
        let app = if docs { app.configure(|config| docs::routes(config, document)) } else { app };
        let app = app.into_factory().map_err(|error: actix_web::Error| error.error_response());
        let stopping = stopping.clone();
        let http = HttpService::build()
            // `Connection` has the times for both.
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .on_connect_ext(|connection: &Connection, data| {
                data.insert(Rc::clone(&connection.watch));
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let accepted = move |stream: TcpStream| {
            let connection = Connection::new(stream, &patience);
            let peer = connection.peer;
            async move { Ok((connection, peer)) }
        };
        fn_service(accepted).and_then(http)
    };
    Ok(builder.listen("service", listener, each_worker)?.run())
}

/// What is for the operator alone, on a thread of its own, so that it answers whatever the workers are at.
pub(crate) fn management(listener: TcpListener, state: web::Data<State>) -> io::Result<actix_web::dev::Server> {
    let app = move || App::new().app_data(state.clone()).configure(management::routes);
    let server = actix_web::HttpServer::new(app).workers(1).max_connections(64).disable_signals();
    Ok(server.listen(listener)?.run())
}

/// As many as may be used, where a container is given only some.
fn processors() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}
