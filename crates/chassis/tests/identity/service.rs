//! A service some of whose resources are for callers that are known.

use std::net::SocketAddr;

use actix_web::web::{Json, ServiceConfig};
use actix_web::{Error, Responder};
use chassis::identity::{Caller, OptionalCaller};
use chassis::testing::{self, Answer, Method, ask, eventually, get};
use chassis::{About, Chassis, readable};
use config::service::Settings;
use futures_util::stream;
use serde_json::json;
use utoipa::OpenApi;

/// Whom its tokens must be for.
pub(crate) const AUDIENCE: &str = "web, phone";

/// Starts it with an issuer, if there is to be one.
pub(crate) fn start(issuer: Option<&str>, more: &[(&str, &str)]) -> SocketAddr {
    let identity = issuer.map(|issuer| [("API_OIDC_ISSUER", issuer), ("API_OIDC_AUDIENCE", AUDIENCE)]);
    let vars: Vec<_> = identity.into_iter().flatten().chain(more.iter().copied()).collect();
    testing::start(&vars, async |listeners, vars| {
        let settings = Settings::from_vars(vars).unwrap();
        let chassis = Chassis::new(About { name: "test", version: "1.2.3" }, &settings);
        chassis.describe(Description::openapi()).serve(listeners, stream::pending(), routes).await
    })
}

/// Starts it, and waits until it is healthy.
pub(crate) fn ready(issuer: &str) -> SocketAddr {
    let server = start(Some(issuer), &[]);
    eventually("the service is ready", || get(server, "/health").status == 200);
    server
}

/// Asks with a token.
pub(crate) fn with_token(server: SocketAddr, path: &str, token: &str) -> Answer {
    ask(server, Method::GET, path, &[("authorization", &format!("Bearer {token}"))])
}

#[derive(OpenApi)]
#[openapi(paths(me))]
struct Description;

fn routes(config: &mut ServiceConfig) {
    config
        .service(readable("/me", me))
        .service(readable("/write", write))
        .service(readable("/administer", administer))
        .service(readable("/perhaps", perhaps))
        .service(readable("/open", async || "open"));
}

#[utoipa::path(get, path = "/me", security(("bearer" = [])), responses((status = 200, description = "Who asks")))]
async fn me(caller: Caller) -> impl Responder {
    Json(json!({
        "subject": caller.subject(),
        "issuer": caller.issuer(),
        "client": caller.client_id(),
        "scopes": caller.scopes().collect::<Vec<_>>(),
        "groups": caller.groups().collect::<Vec<_>>(),
        "mail": caller.claims().get("email"),
    }))
}

async fn write(caller: Caller) -> Result<&'static str, Error> {
    caller.require_scope("notes/write")?;
    Ok("written")
}

async fn administer(caller: Caller) -> Result<&'static str, Error> {
    caller.require_group("admins")?;
    Ok("done")
}

async fn perhaps(OptionalCaller(caller): OptionalCaller) -> String {
    caller.map_or("nobody".to_owned(), |caller| caller.subject().to_owned())
}
