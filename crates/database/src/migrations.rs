//! The schema: files that are applied once each, in their order, by one process at a time.
//!
//! Each file is one transaction, so one that fails leaves nothing behind; a file whose first line is `-- no-transaction`
//! is applied without one (for `CREATE INDEX CONCURRENTLY`), and then consists of one statement that may be repeated.
//!
//! Processes that migrate at the same moment wait for an advisory lock of PostgreSQL. The driver's own way is a
//! statement that waits, without limit, and its transaction with it: `CREATE INDEX CONCURRENTLY` waits for all
//! transactions, so that two of them end in a deadlock. Here the lock is asked for again and again, nothing is open in
//! between, and there is a limit. It goes with its connection, also where its process is killed.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use actix_web::rt;
use sqlx::migrate::{self, MigrateError, MigrationType, Migrator};
use sqlx::{Connection as _, PgConnection, SqlSafeStr as _};
use tokio::time::{Instant, timeout};

use super::connect::{ConnectError, single};
use crate::settings::Settings;

/// A change of the schema, which is applied once and never changed again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its place in the order, from 1.
    pub number: i64,
    /// What it does, in a word or two.
    pub name: &'static str,
    /// Its statements: `include_str!` of a file that is called `NNNN_NAME.sql`.
    pub text: &'static str,
}

/// What the driver calls its table of applied migrations.
const APPLIED: &str = "SELECT version FROM _sqlx_migrations WHERE success";
/// `undefined_table` of PostgreSQL.
const NO_TABLE: &str = "42P01";
/// A number that other programs in the same database are not likely to lock: "api migr" in ASCII.
const LOCK: i64 = 0x6170_6920_6d69_6772;
/// How long a migration waits for a table that others use, for every statement that comes after it waits too; and probes of
/// the server, or a proxy would forget a connection on which a long migration says nothing. Set anew for each file, which
/// may set a time of its own.
const LIMITS: &str = "SELECT set_config('lock_timeout', '10s', false), set_config('tcp_keepalives_idle', '60', false)";
/// How often the advisory lock is asked for.
const POLL: Duration = Duration::from_millis(250);

/// Why the schema is not as new as this program needs it.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the schema of {place} lacks {}; the command `migrate` adds it", .missing.join(", "))]
    Missing { place: String, missing: Vec<String> },
    #[error("another migration of {place} is still running after {seconds} s; see API_MIGRATE_WAIT_SECONDS")]
    Busy { place: String, seconds: u64 },
    #[error(
        "the migration {migration} was changed after it had been applied to {place}; undo the change, and put what is to \
         be different into a new file"
    )]
    Changed { place: String, migration: String },
    #[error("the migration {migration} of {place} failed: {cause}")]
    Failed { place: String, migration: String, cause: sqlx::Error },
    // The library's errors name their causes themselves.
    #[error("cannot use {place}: {cause}")]
    Call { place: String, cause: sqlx::Error },
    #[error("cannot migrate {place}: {cause}")]
    Other { place: String, cause: MigrateError },
    #[error("{place} did not answer within {seconds} s")]
    Silent { place: String, seconds: u64 },
}

/// What a migration does, as it goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Another process holds the lock.
    Waiting {
        seconds: u64,
    },
    Applied(String),
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting { seconds } => write!(formatter, "waiting up to {seconds} s for another migration to end"),
            Self::Applied(migration) => write!(formatter, "applied {migration}"),
        }
    }
}

/// Whether every migration is applied.
pub(super) async fn check(settings: &Settings, migrations: &[Migration]) -> Result<(), MigrationError> {
    let mut connection = single(settings).await?;
    let applied = within(settings, applied(&mut connection)).await?;
    close(settings, connection).await;
    let missing: Vec<_> = pending(migrations, &applied).map(label).collect();
    if missing.is_empty() { Ok(()) } else { Err(MigrationError::Missing { place: settings.place(), missing }) }
}

/// Applies what is missing; where nothing is, that is fine too.
///
/// # Errors
/// There is no connection, another migration does not end, or a file fails. What was applied before it stays.
pub async fn migrate(
    settings: &Settings,
    migrations: &[Migration],
    mut report: impl FnMut(Step),
) -> Result<(), MigrationError> {
    let mut connection = single(settings).await?;
    lock(settings, &mut connection, &mut report).await?;
    let known = within(settings, applied(&mut connection)).await?;
    let migrator = migrator(migrations);
    for file in migrations {
        within(settings, async { sqlx::query(LIMITS).execute(&mut connection).await.map(drop) }).await?;
        let done = migrator.run_to(file.number, &mut connection).await;
        done.map_err(|error| failed(settings, label(file), error))?;
        if !known.contains(&file.number) {
            report(Step::Applied(label(file)));
        }
    }
    close(settings, connection).await;
    Ok(())
}

fn migrator(migrations: &[Migration]) -> Migrator {
    let migration = |Migration { number, name, text }: &Migration| {
        let alone = text.starts_with("-- no-transaction");
        migrate::Migration::new(*number, (*name).into(), MigrationType::Simple, (*text).into_sql_str(), alone)
    };
    let mut migrator = Migrator::with_migrations(migrations.iter().map(migration).collect());
    migrator.set_locking(false);
    // What a newer version has applied.
    migrator.set_ignore_missing(true);
    migrator
}

fn failed(settings: &Settings, migration: String, error: MigrateError) -> MigrationError {
    let place = settings.place();
    match error {
        MigrateError::ExecuteMigration(cause, _) => MigrationError::Failed { place, migration, cause },
        MigrateError::Execute(cause) => MigrationError::Call { place, cause },
        MigrateError::VersionMismatch(_) => MigrationError::Changed { place, migration },
        cause => MigrationError::Other { place, cause },
    }
}

/// Takes the lock that lets one process migrate at a time.
async fn lock(
    settings: &Settings,
    connection: &mut PgConnection,
    report: &mut impl FnMut(Step),
) -> Result<(), MigrationError> {
    let (started, limit) = (Instant::now(), settings.migration_wait);
    let mut waiting = false;
    loop {
        let attempt = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut *connection);
        if within(settings, attempt).await? {
            return Ok(());
        }
        if started.elapsed() >= limit {
            return Err(MigrationError::Busy { place: settings.place(), seconds: limit.as_secs() });
        }
        if !waiting {
            report(Step::Waiting { seconds: limit.as_secs() });
            waiting = true;
        }
        rt::time::sleep(POLL).await;
    }
}

/// The numbers of what is applied; none where there is no table of them yet.
async fn applied(connection: &mut PgConnection) -> Result<BTreeSet<i64>, sqlx::Error> {
    match sqlx::query_scalar(APPLIED).fetch_all(connection).await {
        Ok(versions) => Ok(versions.into_iter().collect()),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(NO_TABLE) => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn pending<'a>(migrations: &'a [Migration], applied: &BTreeSet<i64>) -> impl Iterator<Item = &'a Migration> {
    migrations.iter().filter(|migration| !applied.contains(&migration.number))
}

/// A file as it is called in its folder, without the ending.
fn label(Migration { number, name, .. }: &Migration) -> String {
    format!("{number:04}_{name}")
}

/// A short call, with the limit of a statement: the network may be silent where the server is not.
async fn within<T>(
    settings: &Settings,
    call: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, MigrationError> {
    let limit = settings.statement;
    match timeout(limit, call).await {
        Ok(answer) => answer.map_err(|cause| MigrationError::Call { place: settings.place(), cause }),
        Err(_) => Err(MigrationError::Silent { place: settings.place(), seconds: limit.as_secs() }),
    }
}

/// Ends the connection as the protocol has it, or the server would log a client that was lost.
async fn close(settings: &Settings, connection: PgConnection) {
    if let Err(error) = within(settings, connection.close()).await {
        tracing::debug!(%error, "the connection did not close");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIGRATIONS: [Migration; 2] =
        [Migration { number: 1, name: "notes", text: "" }, Migration { number: 2, name: "tags", text: "" }];

    #[test]
    fn what_is_pending_does_not_mind_newer_migrations() {
        let labels =
            |applied: &[i64]| pending(&MIGRATIONS, &applied.iter().copied().collect()).map(label).collect::<Vec<_>>();
        assert_eq!(labels(&[]), ["0001_notes", "0002_tags"]);
        assert_eq!(labels(&[1]), ["0002_tags"]);
        assert_eq!(labels(&[1, 2, 9999]), <[String; 0]>::default());
    }
}
