//! Connections: from the settings (and what the driver itself reads: `PGSSLCERT`, `PGSSLKEY`, `PGOPTIONS`), with every limit, and with errors that name the setting to look at.

use std::io;
use std::path::PathBuf;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{Connection as _, PgConnection, PgPool};
use tokio::time::timeout;

use crate::settings::{Settings, SslMode};

/// What every certificate in PEM begins with.
const CERTIFICATE: &[u8] = b"-----BEGIN CERTIFICATE-----";
/// After which a connection is replaced, so that one that was opened to a former address of the server does not stay.
const LIFETIME: std::time::Duration = std::time::Duration::from_secs(30 * 60);
/// How long a transaction may wait for its client: one whose process is cut off must not keep its locks.
const IDLE_IN_TRANSACTION: &str = "60s";
/// Limits of a session; PgBouncer and RDS Proxy refuse them as parameters of the connection.
const LIMITS: &str =
    "SELECT set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $2, false)";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    #[error("cannot read the file {path} that PGSSLROOTCERT names")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the file {path} that PGSSLROOTCERT names contains no certificate in PEM")]
    NoCertificate { path: PathBuf },
    /// The reason is the TLS library's.
    #[error(
        "the certificate of {place} cannot be verified ({reason}); PGSSLROOTCERT names the file that has the certificate \
         of its authority, and the host has to be one of the certificate's names with PGSSLMODE=verify-full"
    )]
    Untrusted { place: String, reason: rustls::Error },
    #[error("{place} does not encrypt connections, and PGSSLMODE={mode} demands it")]
    Unencrypted { place: String, mode: &'static str },
    #[error("{place} refuses this connection, which is not encrypted (PGSSLMODE=disable): {cause}")]
    Plain { place: String, cause: sqlx::Error },
    // The library's errors name their causes themselves.
    #[error("no connection to {place}: {cause}")]
    Failed { place: String, cause: sqlx::Error },
    #[error("no connection to {place} within {seconds} s")]
    Silent { place: String, seconds: u64 },
}

/// Connections that are opened when they are needed.
pub(super) fn pool(settings: &Settings) -> Result<PgPool, ConnectError> {
    let limit = settings.connect;
    let statement = format!("{}ms", settings.statement.as_millis());
    let options = PgPoolOptions::new()
        .max_connections(settings.connections)
        .acquire_timeout(limit)
        .idle_timeout(settings.idle)
        .max_lifetime(LIFETIME)
        .after_connect(move |connection, _| {
            let limits = sqlx::query(LIMITS).bind(statement.clone()).bind(IDLE_IN_TRANSACTION);
            Box::pin(async move { limits.execute(connection).await.map(drop) })
        })
        .after_release(move |connection, _| {
            // The pool would ask this itself, and wait for ever where the network is silent: the place of a connection
            // that was dropped in the middle of a call would be lost.
            Box::pin(async move {
                let answer = timeout(limit, connection.ping()).await;
                answer.map_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()), |pong| pong.map(|()| true))
            })
        });
    Ok(options.connect_lazy_with(self::options(settings)?))
}

/// One connection without the pool, which would hide why there is none.
pub(super) async fn single(settings: &Settings) -> Result<PgConnection, ConnectError> {
    let options = options(settings)?;
    match timeout(settings.connect, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected.map_err(|cause| refused(settings, cause)),
        Err(_) => Err(ConnectError::Silent { place: settings.place(), seconds: settings.connect.as_secs() }),
    }
}

fn options(settings: &Settings) -> Result<PgConnectOptions, ConnectError> {
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&settings.host)
        .port(settings.port)
        .username(&settings.user)
        .database(&settings.name)
        .application_name(&settings.application)
        .ssl_mode(ssl_mode(settings));
    if let Some(password) = &settings.password {
        options = options.password(password.expose());
    }
    if let Some(path) = &settings.ssl_root_certificate {
        let text = std::fs::read(path).map_err(|source| ConnectError::Unreadable { path: path.clone(), source })?;
        // The driver takes a file without any for one that adds nothing.
        if !text.windows(CERTIFICATE.len()).any(|part| part == CERTIFICATE) {
            return Err(ConnectError::NoCertificate { path: path.clone() });
        }
        options = options.ssl_root_cert_from_pem(text);
    }
    Ok(options)
}

fn ssl_mode(settings: &Settings) -> PgSslMode {
    match settings.ssl_mode {
        // As libpq has it: a local socket is never encrypted.
        _ if settings.host.starts_with('/') => PgSslMode::Disable,
        SslMode::Disable => PgSslMode::Disable,
        SslMode::Prefer => PgSslMode::Prefer,
        // As libpq has it, and as the driver does not: authorities that are named are asked for.
        SslMode::Require if settings.ssl_root_certificate.is_some() => PgSslMode::VerifyCa,
        SslMode::Require => PgSslMode::Require,
        SslMode::VerifyCa => PgSslMode::VerifyCa,
        SslMode::VerifyFull => PgSslMode::VerifyFull,
    }
}

/// Sorts out what a setting can change.
fn refused(settings: &Settings, cause: sqlx::Error) -> ConnectError {
    let place = settings.place();
    if let sqlx::Error::Io(error) = &cause
        && let Some(reason) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
        && matches!(reason, rustls::Error::InvalidCertificate(_))
    {
        return ConnectError::Untrusted { place, reason: reason.clone() };
    }
    match &cause {
        // What else fails about TLS shows in the handshake, as an error of input and output.
        sqlx::Error::Tls(_) => match settings.ssl_mode {
            SslMode::Require => ConnectError::Unencrypted { place, mode: "require" },
            SslMode::VerifyCa => ConnectError::Unencrypted { place, mode: "verify-ca" },
            SslMode::VerifyFull => ConnectError::Unencrypted { place, mode: "verify-full" },
            SslMode::Disable | SslMode::Prefer => ConnectError::Failed { place, cause },
        },
        // invalid_authorization_specification: pg_hba.conf has no line for such a connection.
        sqlx::Error::Database(error)
            if error.code().as_deref() == Some("28000") && settings.ssl_mode == SslMode::Disable =>
        {
            ConnectError::Plain { place, cause }
        }
        _ => ConnectError::Failed { place, cause },
    }
}
