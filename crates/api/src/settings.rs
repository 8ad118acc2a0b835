//! What this service needs to start: the chassis' settings and its own.

use config::Invalid;
use config::service::values::number;
use config::service::{self, Reader, Variable};

/// Every variable of the service's own.
pub const VARIABLES: &[&Variable] = &[&IDS, &IDS_TABLE, &IDS_BLOCK];

const IDS: Variable = Variable {
    name: "API_IDS",
    default: Some("memory"),
    meaning: "where the numbers of greetings come from: counted by this process, or leased in blocks from a table that \
        instances share",
    allowed: "memory or dynamodb",
};
const IDS_TABLE: Variable = Variable {
    name: "API_IDS_TABLE",
    default: None,
    meaning: "name or ARN of the DynamoDB table, with `API_IDS=dynamodb`",
    allowed: "a name of 3 to 255 letters, digits and -_. or an ARN",
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
}

/// Where the numbers of greetings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ids {
    /// Counted by the process itself.
    Memory,
    /// Leased in blocks from a table that all instances share.
    DynamoDb { table: String, block: u64 },
}

impl Settings {
    /// Reads environment variables.
    ///
    /// # Errors
    /// Every problem at once: values that are not allowed, and names with our prefix that nobody reads.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Result<Self, Invalid> {
        let mut reader = Reader::new(vars);
        let settings = Self { chassis: service::Settings::read(&mut reader), ids: ids(&mut reader) };
        reader.finish(settings)
    }
}

/// The table is read in any case, so that a wrong name shows before it is needed.
fn ids(reader: &mut Reader) -> Ids {
    let shared = reader.value(&IDS, |text| match text {
        "memory" => Some(false),
        "dynamodb" => Some(true),
        _ => None,
    });
    let table = reader.optional(&IDS_TABLE, table);
    let block = reader.value(&IDS_BLOCK, number(1..=1_000_000));
    match (shared, table) {
        (true, Some(table)) => Ids::DynamoDb { table, block },
        (true, None) => {
            reader.problem(&IDS_TABLE, None);
            Ids::Memory
        }
        (false, _) => Ids::Memory,
    }
}

fn table(text: &str) -> Option<String> {
    let fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    (text.len() >= 3 && text.bytes().all(fit)).then(|| text.to_owned())
}
