//! What this service needs to start: the chassis' settings and its own.

use config::Invalid;
#[cfg(feature = "postgres")]
use config::service::values::number;
use config::service::{self, Reader, Variable};

/// Every variable of the service's own.
pub const VARIABLES: &[&Variable] = &[
    &IDS,
    #[cfg(feature = "postgres")]
    &IDS_BLOCK,
];

/// Every variable that is read, in groups.
pub const GROUPS: &[&[&Variable]] = &[
    service::VARIABLES,
    VARIABLES,
    #[cfg(feature = "postgres")]
    database::VARIABLES,
];

const IDS: Variable = Variable {
    name: "API_IDS",
    default: Some("memory"),
    meaning: "where the numbers of greetings come from: counted by this process, or leased in blocks from a database that \
        instances share",
    #[cfg(feature = "postgres")]
    allowed: "memory or postgres",
    #[cfg(not(feature = "postgres"))]
    allowed: "memory; or postgres in a program that is built with `cargo build --release -p api --features postgres`, or \
        an image with features = [\"postgres\"] under [service] in deploy.toml",
};
#[cfg(feature = "postgres")]
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
    #[cfg(feature = "postgres")]
    pub database: Option<database::Settings>,
}

/// Where the numbers of greetings come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// Counted by the process itself.
    Memory,
    /// Leased in blocks of so many from the database, which all instances share.
    #[cfg(feature = "postgres")]
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
        let ids = Ids::read(&mut reader);
        let settings = Self {
            chassis,
            #[cfg(feature = "postgres")]
            database: database::Settings::read_if(&mut reader, ids != Ids::Memory),
            ids,
        };
        reader.finish(settings)
    }
}

impl Ids {
    #[cfg(feature = "postgres")]
    fn read(reader: &mut Reader) -> Self {
        let shared = reader.value(&IDS, |text| match text {
            "memory" => Some(false),
            "postgres" => Some(true),
            _ => None,
        });
        // In any case, so that a wrong one shows before it is needed.
        let block = reader.value(&IDS_BLOCK, number(1..=1_000_000));
        if shared { Self::Postgres { block } } else { Self::Memory }
    }

    #[cfg(not(feature = "postgres"))]
    fn read(reader: &mut Reader) -> Self {
        reader.value(&IDS, |text| (text == "memory").then_some(Self::Memory))
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests;
