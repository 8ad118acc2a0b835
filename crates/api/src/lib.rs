//! The greeting service: what is served, and what the workers share. Everything around it is the chassis'.
//!
//! A library, so that tests run the real server on a port of their own. Nothing here reads the environment or exits.

#[cfg(feature = "postgres")]
pub mod database;
mod error;
mod greeting;
mod handlers;
mod ids;
#[cfg(feature = "postgres")]
mod retry;
pub mod settings;

#[cfg(feature = "postgres")]
use std::error::Error;
use std::io;

use actix_web::web;
use chassis::{About, Chassis, Listeners, readable};
use futures_util::Stream;
use utoipa::OpenApi;

use ids::Ids;
use settings::{Ids as Source, Settings};

/// Which service this is.
pub const ABOUT: About = About { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };

/// What asks for a database, as its user wrote it.
const FOR_IDS: &str = "API_IDS=postgres";

/// What is described in `/openapi.json`: a new handler is named here.
#[derive(OpenApi)]
#[openapi(info(title = "The greeting service"), paths(handlers::greeting))]
struct Description;

/// The service's own resources.
fn routes(config: &mut web::ServiceConfig) {
    config.service(readable("/api/greeting", handlers::greeting));
}

/// The settings ask for what this program cannot do with them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    #[error(
        "{0} needs the feature \"postgres\", which this program was built without; build it with `cargo build --release \
         -p api --features postgres`, or the image with features = [\"postgres\"] under [service] in deploy.toml"
    )]
    NotBuiltIn(&'static str),
    #[error("{0} needs a database: set DATABASE_URL, or PGHOST and PGUSER")]
    NoDatabase(&'static str),
}

/// Why `api migrate` has not done its work.
#[derive(Debug, thiserror::Error)]
pub enum CannotMigrate {
    #[error(transparent)]
    Unusable(#[from] Unusable),
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Failed(#[from] database::MigrationError),
}

/// Whether this program can do what the settings ask for.
///
/// # Errors
/// A database is asked for, and not named, or this program was built without the feature `postgres`.
pub fn supported(settings: &Settings) -> Result<(), Unusable> {
    match settings.ids {
        Source::Memory => Ok(()),
        Source::Postgres { .. } => database_for(settings, FOR_IDS).map(drop),
    }
}

fn database_for<'a>(settings: &'a Settings, what: &'static str) -> Result<&'a settings::Database, Unusable> {
    if !cfg!(feature = "postgres") {
        return Err(Unusable::NotBuiltIn(what));
    }
    settings.database.as_ref().ok_or(Unusable::NoDatabase(what))
}

/// Applies what the schema of the database lacks: `done` is called with each migration, `note` with what is waited for.
///
/// # Errors
/// There is no database, or no connection to it, another process does not finish its migration in time, or one fails.
/// Those before it stay applied.
pub async fn migrate(settings: &Settings, done: impl FnMut(&str), note: impl FnMut(&str)) -> Result<(), CannotMigrate> {
    apply(database_for(settings, "api migrate")?, done, note).await
}

#[cfg(feature = "postgres")]
async fn apply(
    database: &settings::Database,
    mut done: impl FnMut(&str),
    mut note: impl FnMut(&str),
) -> Result<(), CannotMigrate> {
    let report = |step: database::Step| match step {
        database::Step::Applied(_) => done(&step.to_string()),
        database::Step::Waiting { .. } => note(&step.to_string()),
    };
    Ok(database::migrate(database, report).await?)
}

#[cfg(not(feature = "postgres"))]
async fn apply(_: &settings::Database, _: impl FnMut(&str), _: impl FnMut(&str)) -> Result<(), CannotMigrate> {
    Err(Unusable::NotBuiltIn("api migrate").into())
}

/// Serves until a signal arrives; see [`Chassis::serve`].
///
/// # Errors
/// What the operating system says where a listener cannot be used, a file of certificates that cannot be used, and
/// [`Unusable`] settings.
pub async fn run(listeners: Listeners, settings: &Settings, signals: impl Stream<Item = ()> + Unpin) -> io::Result<()> {
    let chassis = Chassis::new(ABOUT, &settings.chassis).describe(Description::openapi());
    let (chassis, ids) = match settings.ids {
        Source::Memory => (chassis, Ids::counted()),
        Source::Postgres { block } => leased(chassis, settings, block).map_err(io::Error::other)?,
    };
    let ids = web::Data::new(ids);
    let ready = ids.clone();
    chassis
        .ready_when(move || ready.have_arrived())
        .serve(listeners, signals, move |config| {
            config.app_data(ids.clone()).configure(routes);
        })
        .await
}

/// Ids from the database, without which the service is not ready.
#[cfg(feature = "postgres")]
fn leased<'a>(
    chassis: Chassis<'a>,
    settings: &Settings,
    block: u32,
) -> Result<(Chassis<'a>, Ids), Box<dyn Error + Send + Sync>> {
    let database = database::Database::connect(database_for(settings, FOR_IDS)?)?;
    let ids = Ids::leased(&database, block);
    Ok((chassis.ready_when(move || database.is_ready()), ids))
}

#[cfg(not(feature = "postgres"))]
fn leased<'a>(_: Chassis<'a>, _: &Settings, _: u32) -> Result<(Chassis<'a>, Ids), Unusable> {
    Err(Unusable::NotBuiltIn(FOR_IDS))
}
