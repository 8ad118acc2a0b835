//! The greeting service: what is served, and what the workers share. Everything around it is the chassis'.
//!
//! A library, so that tests run the real server on a port of their own. Nothing here reads the environment or exits.

mod error;
mod greeting;
mod handlers;
mod ids;
pub mod settings;

use std::io;

use actix_web::web;
use chassis::{About, Chassis, Listeners, resource};
#[cfg(feature = "postgres")]
use database::{Database, Migration};
use futures_util::Stream;
use utoipa::OpenApi;

use ids::Ids;
use settings::{Ids as Source, Settings};

/// Which service this is.
pub const ABOUT: About = About { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") };

/// What the database has to have; a new file is named here.
#[cfg(feature = "postgres")]
pub const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: "ids", text: include_str!("../migrations/0001_ids.sql") }];

/// What is described in `/openapi.json`: a new handler is named here.
#[derive(OpenApi)]
#[openapi(
    info(title = "The greeting service", description = "It greets, and numbers its greetings."),
    paths(handlers::greeting)
)]
struct Description;

/// The service's own resources.
fn routes(config: &mut web::ServiceConfig) {
    config.service(resource("/api/greeting").get(handlers::greeting));
}

/// Serves until a signal arrives; see [`Chassis::serve`].
///
/// # Errors
/// What the operating system says where a listener cannot be used, and a file of certificates that cannot be used.
pub async fn run(listeners: Listeners, settings: &Settings, signals: impl Stream<Item = ()> + Unpin) -> io::Result<()> {
    let chassis = Chassis::new(ABOUT, &settings.chassis).describe(Description::openapi());
    let (chassis, ids) = match settings.ids {
        Source::Memory => (chassis, Ids::counted()),
        #[cfg(feature = "postgres")]
        Source::Postgres { block } => {
            let place = settings.database.as_ref().ok_or_else(|| io::Error::other("no database is named"))?;
            let database = Database::connect(place, MIGRATIONS).map_err(io::Error::other)?;
            let ids = Ids::leased(&database, block);
            (chassis.ready_when(move || database.is_ready()), ids)
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_resource_is_described() {
        chassis::testing::assert_described(routes, &Description::openapi());
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn every_file_of_the_folder_is_applied_in_its_order() {
        use std::fs::{read_dir, read_to_string};

        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/migrations");
        let mut files: Vec<_> = read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let read = files
            .iter()
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), read_to_string(path).unwrap()));
        let listed = (1..).zip(MIGRATIONS).map(|(number, migration)| {
            assert_eq!(migration.number, number);
            (format!("{number:04}_{}.sql", migration.name), migration.text.to_owned())
        });
        assert!(read.eq(listed));
    }
}
