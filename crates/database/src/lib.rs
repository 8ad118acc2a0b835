//! PostgreSQL for a service: settings, a pool of connections, and a schema that is new enough.
//!
//! A process starts whether the database is there or not, and is ready once it has found every migration that it knows
//! to be applied. A newer schema is fine, or no release could go back to the one before. After that nothing here asks
//! the database again, and connections that nothing uses are closed: a database that stops while nobody is connected
//! (Aurora Serverless) may stop.

mod command;
mod connect;
mod migrations;
mod retry;
mod settings;

use std::time::Duration;

use actix_web::rt;
use chassis::telemetry::with_causes;
use sqlx::PgPool;
use tokio::sync::watch;

pub use command::{COMMAND, migrate_and_report};
pub use connect::ConnectError;
pub use migrations::{Migration, MigrationError, Step, migrate};
pub use retry::{LONGEST_PAUSE, pause};
pub use settings::{Settings, SslMode, VARIABLES};

/// What is logged counts as the chassis' own, whose events are logged from `INFO` on.
const LOG: &str = "chassis::database";

/// A database and the connections to it. Clones share both.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    ready: watch::Receiver<bool>,
    place: String,
    statement: Duration,
}

impl Database {
    /// Begins to look for the schema, which has to have these migrations, as long as the runtime lives in which this is called; with
    /// [`migrate`](Settings::migrate) also applies what is missing.
    ///
    /// # Errors
    /// The file of root certificates cannot be used. A server that is away is no error: it is tried again, after pauses
    /// of up to 5 seconds.
    pub fn connect(settings: &Settings, migrations: &'static [Migration]) -> Result<Self, ConnectError> {
        let pool = connect::pool(settings)?;
        let (found, ready) = watch::channel(false);
        let settings = settings.clone();
        let (place, statement) = (settings.place(), settings.statement);
        drop(rt::spawn(async move {
            prepare(&settings, migrations).await;
            found.send_replace(true);
        }));
        Ok(Self { pool, ready, place, statement })
    }

    /// The connections. What takes one waits for it no longer than the settings say, and the server ends a statement
    /// that takes longer than they allow.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether the schema has been found new enough. It does not turn back: a database that goes away is missing to all
    /// instances, and a load balancer that turned away from all of them would only hide the reason.
    pub fn is_ready(&self) -> bool {
        *self.ready.borrow()
    }

    /// Waits until [`is_ready`](Self::is_ready).
    pub async fn ready(&self) {
        let mut ready = self.ready.clone();
        if ready.wait_for(|ready| *ready).await.is_err() {
            // The runtime that looks for the schema has ended, and this one will too.
            std::future::pending().await
        }
    }

    /// Where it is, for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// How long the server works on one statement.
    pub fn statement_limit(&self) -> Duration {
        self.statement
    }
}

/// Tries until the schema is new enough, and logs each reason once.
async fn prepare(settings: &Settings, migrations: &[Migration]) {
    let (mut failures, mut reported) = (0, None);
    loop {
        let attempt = if settings.migrate {
            migrate(settings, migrations, |step| tracing::info!(target: LOG, "{step}")).await
        } else {
            migrations::check(settings, migrations).await
        };
        let Err(error) = attempt else {
            tracing::info!(target: LOG, failures, "the schema of {} is new enough", settings.place());
            return;
        };
        let error = with_causes(&error);
        if reported.as_ref() == Some(&error) {
            tracing::debug!(target: LOG, error, "the database is still not ready");
        } else {
            tracing::error!(target: LOG, error, "the database is not ready; trying again");
            reported = Some(error);
        }
        rt::time::sleep(pause(failures)).await;
        failures += 1;
    }
}
