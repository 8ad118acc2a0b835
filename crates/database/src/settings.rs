//! Where the database is, and how much of it this process may take up.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::Duration;

use chassis::Secret;
use config::service::values::{number, seconds, switch};
use config::service::{Reader, Variable};

mod url;

/// Every variable that is read.
pub const VARIABLES: &[&Variable] = &[
    &MIGRATE,
    &MIGRATE_WAIT_SECONDS,
    &CONNECTIONS,
    &CONNECT_SECONDS,
    &STATEMENT_SECONDS,
    &IDLE_SECONDS,
    &URL,
    &HOST,
    &PORT,
    &USER,
    &PASSWORD,
    &NAME,
    &SSL_MODE,
    &SSL_ROOT_CERTIFICATE,
    &APPLICATION,
];

const MIGRATE: Variable = Variable {
    name: "API_MIGRATE",
    default: Some("off"),
    meaning: "whether a start applies what the schema of the database lacks, as the command `migrate` does; for a laptop",
    allowed: "on or off",
};
const MIGRATE_WAIT_SECONDS: Variable = Variable {
    name: "API_MIGRATE_WAIT_SECONDS",
    default: Some("300"),
    meaning: "seconds that a migration waits for another one to end",
    allowed: "a whole number from 0 to 3600",
};
const CONNECTIONS: Variable = Variable {
    name: "API_DATABASE_CONNECTIONS",
    default: Some("5"),
    meaning: "connections to the database that are open at once; more calls wait for one",
    allowed: "a whole number from 1 to 100",
};
const CONNECT_SECONDS: Variable = Variable {
    name: "API_DATABASE_CONNECT_SECONDS",
    default: Some("5"),
    meaning: "seconds in which a connection to the database has to be there, opened or waited for",
    allowed: "a whole number from 1 to 600",
};
const STATEMENT_SECONDS: Variable = Variable {
    name: "API_DATABASE_STATEMENT_SECONDS",
    default: Some("5"),
    meaning: "seconds after which the database ends a statement (`statement_timeout`); not one of a migration",
    allowed: "a whole number from 1 to 600",
};
const IDLE_SECONDS: Variable = Variable {
    name: "API_DATABASE_IDLE_SECONDS",
    default: Some("60"),
    meaning: "seconds that a connection to the database stays open which nothing uses, up to twice as long",
    allowed: "a whole number from 1 to 3600",
};
const URL: Variable = Variable {
    name: "DATABASE_URL",
    default: None,
    meaning: "the PostgreSQL database; what it leaves out comes from the variables below, as with every PostgreSQL client",
    allowed: "postgres://USER:PASSWORD@HOST:PORT/DATABASE with sslmode and sslrootcert behind a question mark, special \
        characters as %40",
};
const HOST: Variable = Variable {
    name: "PGHOST",
    default: None,
    meaning: "host of the database, or the folder of a local server's socket",
    allowed: "a name, an address, or a path that begins with a slash, without @",
};
const PORT: Variable = Variable {
    name: "PGPORT",
    default: Some("5432"),
    meaning: "port of the database",
    allowed: "a whole number from 1 to 65535",
};
const USER: Variable =
    Variable { name: "PGUSER", default: None, meaning: "role that connects to the database", allowed: "a name" };
const PASSWORD: Variable = Variable {
    name: "PGPASSWORD",
    default: None,
    meaning: "password of the role; no message and no log line shows it",
    allowed: "a text",
};
const NAME: Variable = Variable {
    name: "PGDATABASE",
    default: None,
    meaning: "name of the database; the role's if not set",
    allowed: "a name",
};
const SSL_MODE: Variable = Variable {
    name: "PGSSLMODE",
    default: Some("verify-full"),
    meaning: "whether connections to the database are encrypted, and its certificate and host name verified",
    allowed: "disable, prefer, require, verify-ca or verify-full",
};
const APPLICATION: Variable = Variable {
    name: "PGAPPNAME",
    default: Some("api"),
    meaning: "name by which the database's administrator sees the connections",
    allowed: "a text",
};
const SSL_ROOT_CERTIFICATE: Variable = Variable {
    name: "PGSSLROOTCERT",
    default: None,
    meaning: "file of the authorities that the database's certificate is verified by, beside the public ones",
    allowed: "a path to certificates in PEM",
};

/// A PostgreSQL server, one of its databases, and the limits of the pool of connections to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// A name, an address, or the folder of a local server's socket.
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub name: String,
    pub ssl_mode: SslMode,
    /// A file of certificates in PEM, trusted beside the public authorities.
    pub ssl_root_certificate: Option<PathBuf>,
    /// By which its administrator sees the connections.
    pub application: String,
    /// How many connections are open at most.
    pub connections: u32,
    /// In which a connection has to be there, whether it is opened or waited for.
    pub connect: Duration,
    /// How long the server works on one statement.
    pub statement: Duration,
    /// How long a connection that nothing uses stays open.
    pub idle: Duration,
    /// Whether a start changes the schema.
    pub migrate: bool,
    /// How long a migration waits for another one to end.
    pub migration_wait: Duration,
}

/// What a connection does about encryption; libpq's `sslmode` without `allow`, which the driver does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    #[default]
    VerifyFull,
}

pub(super) fn ssl_mode(text: &str) -> Option<SslMode> {
    match text {
        "disable" => Some(SslMode::Disable),
        "prefer" => Some(SslMode::Prefer),
        "require" => Some(SslMode::Require),
        "verify-ca" => Some(SslMode::VerifyCa),
        "verify-full" => Some(SslMode::VerifyFull),
        _ => None,
    }
}

/// A host, without what would be a part of a URL: that may be a password.
fn host(text: &str) -> Option<String> {
    self::text(text).filter(|host| !host.contains('@') && (host.starts_with('/') || !host.contains('/')))
}

/// A text that is not empty, was Unicode, and has no zero byte, which ends texts in PostgreSQL's protocol.
pub(super) fn text(text: &str) -> Option<String> {
    (!text.is_empty() && !text.contains(['\0', char::REPLACEMENT_CHARACTER])).then(|| text.to_owned())
}

impl Settings {
    /// Reads the variables of a service that cannot do without a database.
    ///
    /// What is wrong or missing is reported by [`Reader::finish`], which then lets no settings out.
    pub fn read(reader: &mut Reader) -> Self {
        Self::read_if(reader, true).unwrap_or_default()
    }

    /// Reads the variables of a service that may need a database: none is `None`, unless it is `needed`. All of them are
    /// read in any case, so that a wrong one shows before it is needed.
    pub fn read_if(reader: &mut Reader, needed: bool) -> Option<Self> {
        // A URL that is refused would have named what is missing.
        let refused = Cell::new(false);
        let url = reader.secret(&URL, |text| {
            let parts = url::parts(text);
            refused.set(parts.is_none());
            parts
        });
        let url = url.unwrap_or_default();
        let host = reader.optional(&HOST, self::host);
        let port = reader.value(&PORT, number(1..=65_535));
        let user = reader.optional(&USER, text);
        let password = reader.secret(&PASSWORD, text).map(Secret::new);
        let name = reader.optional(&NAME, text);
        let ssl_mode = reader.value(&SSL_MODE, self::ssl_mode);
        let ssl_root_certificate = reader.optional(&SSL_ROOT_CERTIFICATE, text).map(PathBuf::from);
        let application = reader.value(&APPLICATION, text);
        let connections = reader.value(&CONNECTIONS, number(1..=100));
        let connect = reader.value(&CONNECT_SECONDS, seconds(1..=600));
        let statement = reader.value(&STATEMENT_SECONDS, seconds(1..=600));
        let idle = reader.value(&IDLE_SECONDS, seconds(1..=3600));
        let migrate = reader.value(&MIGRATE, switch);
        let migration_wait = reader.value(&MIGRATE_WAIT_SECONDS, seconds(0..=3600));
        let (host, user) = (url.host.or(host), url.user.or(user));
        if needed && !refused.get() {
            for (_, variable) in [(&host, &HOST), (&user, &USER)].into_iter().filter(|(given, _)| given.is_none()) {
                reader.problem(variable, None);
            }
        }
        let (host, user) = (host?, user?);
        Some(Self {
            port: url.port.unwrap_or(port),
            password: url.password.or(password),
            name: url.name.or(name).unwrap_or_else(|| user.clone()),
            ssl_mode: url.ssl_mode.unwrap_or(ssl_mode),
            application,
            ssl_root_certificate: url.ssl_root_certificate.or(ssl_root_certificate),
            host,
            user,
            connections,
            connect,
            statement,
            idle,
            migrate,
            migration_wait,
        })
    }

    /// Where the database is, for messages.
    pub fn place(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("the database {} at {host}:{}", self.name, self.port)
    }
}

#[cfg(test)]
mod tests;
