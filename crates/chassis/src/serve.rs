//! How long a service is served: from its listeners to the last answer.

use std::io;
use std::net::TcpListener;
use std::pin::pin;

use actix_web::{rt, web};
use config::service::Settings;
use futures_util::future::{Either, select};
use futures_util::{FutureExt, Stream, StreamExt};

use crate::state::State;
use crate::{Listeners, Routes, docs, last_call, server};

/// Serves until a signal arrives and what is in flight has been answered; see [`crate::Chassis::serve`].
pub(crate) async fn until_stopped(
    Listeners { service, management }: Listeners,
    settings: &Settings,
    document: docs::Document,
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
    let server = server::service(service, settings, document, state.clone(), routes)?;
    let handle = server.handle();
    let digest = settings.image_digest.as_deref();
    let management_address = management_address.map(tracing::field::display);
    tracing::info!(%address, management = management_address, version = state.about.version, digest, "listening");

    let mut server = pin!(server.fuse());
    if let Either::Left((ended, _)) = select(&mut server, signals.next()).await {
        return ended;
    }
    tracing::info!(seconds = settings.drain.as_secs(), "draining");
    state.drain();
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
