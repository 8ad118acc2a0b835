//! What this service needs to start: the chassis' settings and its own.

pub mod database;
mod database_url;

use config::Invalid;
use config::service::values::number;
use config::service::{self, Reader, Variable};

pub use database::{Database, SslMode};

/// Every variable of the service's own.
pub const VARIABLES: &[&Variable] = &[
    &IDS,
    &IDS_BLOCK,
    &database::MIGRATE,
    &database::MIGRATE_WAIT_SECONDS,
    &database::CONNECTIONS,
    &database::CONNECT_SECONDS,
    &database::STATEMENT_SECONDS,
    &database::IDLE_SECONDS,
    &database::URL,
    &database::HOST,
    &database::PORT,
    &database::USER,
    &database::PASSWORD,
    &database::NAME,
    &database::SSL_MODE,
    &database::SSL_ROOT_CERTIFICATE,
];

const IDS: Variable = Variable {
    name: "API_IDS",
    default: Some("memory"),
    meaning: "where the numbers of greetings come from: counted by this process, or leased in blocks from a database that \
        instances share",
    allowed: "memory or postgres",
};
const IDS_BLOCK: Variable = Variable {
    name: "API_IDS_BLOCK",
    default: Some("10000"),
    meaning: "numbers in a block that is leased; up to two blocks are lost when a process ends",
    allowed: "a whole number from 1 to 1000000",
};

/// What the service needs to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub chassis: service::Settings,
    pub ids: Ids,
    /// The database, where one is named.
    pub database: Option<Database>,
}

/// Where the numbers of greetings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Counted by the process itself.
    Memory,
    /// Leased in blocks of so many from the database, which all instances share.
    Postgres { block: u32 },
}

impl Settings {
    /// Reads environment variables.
    ///
    /// # Errors
    /// Every problem at once: values that are not allowed, names with our prefix that nobody reads, and a database that
    /// is needed and not named.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let mut reader = Reader::new(vars);
        let chassis = service::Settings::read(&mut reader);
        let ids = ids(&mut reader);
        let database = database::read(&mut reader, matches!(ids, Ids::Postgres { .. }));
        reader.finish(Self { chassis, ids, database })
    }
}

/// The size of a block is read in any case, so that a wrong one shows before it is needed.
fn ids(reader: &mut Reader) -> Ids {
    let shared = reader.value(&IDS, |text| match text {
        "memory" => Some(false),
        "postgres" => Some(true),
        _ => None,
    });
    let block = reader.value(&IDS_BLOCK, number(1..=1_000_000));
    if shared { Ids::Postgres { block } } else { Ids::Memory }
}

#[cfg(test)]
mod tests;
