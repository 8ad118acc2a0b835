//! Every environment variable that the chassis reads, as its users see it.

/// One environment variable as its users see it.
#[derive(Debug)]
pub struct Variable {
    pub name: &'static str,
    /// The text that counts when the variable is not set; `None` when its absence has a meaning of its own.
    pub default: Option<&'static str>,
    /// What it does, with its unit.
    pub meaning: &'static str,
    /// Which values are taken.
    pub allowed: &'static str,
}

macro_rules! variables {
    ($($constant:ident = $name:literal, $default:expr, $meaning:literal, $allowed:literal;)+) => {
        $(pub(super) const $constant: Variable =
            Variable { name: $name, default: $default, meaning: $meaning, allowed: $allowed };)+

        /// Every variable that the chassis reads, in the order in which problems are reported.
        pub const VARIABLES: &[&Variable] = &[$(&$constant),+];
    };
}

variables! {
    BIND_ADDRESS = "API_BIND_ADDRESS", Some("0.0.0.0"),
        "address to listen on",
        "an IPv4 or IPv6 address";
    PORT = "API_PORT", Some("8080"),
        "port to listen on; 0 takes a free one, which the first log line names",
        "a whole number from 0 to 65535";
    MANAGEMENT_PORT = "API_MANAGEMENT_PORT", Some("8081"),
        "port of `/metrics`, not to be published; 0 takes a free one",
        "a whole number from 0 to 65535, or off";
    WORKERS = "API_WORKERS", None,
        "threads that answer requests; one for each processor if not set",
        "a whole number from 1 to 512";
    PATH_PREFIX = "API_PATH_PREFIX", None,
        "path below which everything is served too, such as the stage that a gateway leaves in front",
        "a slash and path segments of letters, digits and -._~, such as /production";
    DOCS = "API_DOCS", Some("on"),
        "whether `/openapi.json` and the page `/docs/` are served",
        "on or off";
    CORS_ORIGINS = "API_CORS_ORIGINS", None,
        "origins whose pages may read the answers in a browser; without any, no CORS header is sent",
        "origins as browsers write them, such as https://app.example.com, separated by commas; or * alone";
    TRUSTED_PROXIES = "API_TRUSTED_PROXIES", Some("0"),
        "how many proxies in front add to `X-Forwarded-For`; the caller's address is what the first of them added, with 0 the peer's",
        "a whole number from 0 to 16";
    LOG_FORMAT = "API_LOG_FORMAT", Some("json"),
        "form of a log line on stdout",
        "json or text";
    LOG_LEVEL = "API_LOG_LEVEL", Some("info"),
        "least important level that is logged",
        "error, warn, info, debug or trace";
    DRAIN_SECONDS = "API_DRAIN_SECONDS", Some("2"),
        "seconds after a signal in which `/health` answers 503 and requests are still accepted",
        "a whole number from 0 to 600";
    SHUTDOWN_SECONDS = "API_SHUTDOWN_SECONDS", Some("25"),
        "seconds that requests in flight may still take after the drain, when nothing new is accepted",
        "a whole number from 0 to 600";
    MAX_CONNECTIONS = "API_MAX_CONNECTIONS", Some("2048"),
        "connections that are open at once; for more, idle ones are closed, or they wait in the kernel's queue",
        "a whole number from 1 to 1000000";
    MAX_IN_FLIGHT = "API_MAX_IN_FLIGHT", Some("512"),
        "requests that are answered at once, whose bodies have arrived; more get 503 with `Retry-After`",
        "a whole number from 1 to 1000000";
    MAX_HEADER_BYTES = "API_MAX_HEADER_BYTES", Some("16384"),
        "bytes of a request line with its headers; more get 431",
        "a whole number from 1024 to 131072";
    MAX_URI_BYTES = "API_MAX_URI_BYTES", Some("8192"),
        "bytes of a path with its query; more get 414",
        "a whole number from 256 to 65535";
    MAX_BODY_BYTES = "API_MAX_BODY_BYTES", Some("65536"),
        "bytes of a request's body; more get 413",
        "a whole number from 0 to 10485760";
    MAX_BODIES_BYTES = "API_MAX_BODIES_BYTES", Some("33554432"),
        "bytes of all bodies that are arriving or being answered; more get 503 with `Retry-After`, but one body always fits",
        "a whole number from 0 to 1073741824";
    HEADER_SECONDS = "API_HEADER_SECONDS", Some("5"),
        "seconds in which a request line with its headers has to arrive; 408 after that",
        "a whole number from 1 to 600";
    BODY_SECONDS = "API_BODY_SECONDS", Some("10"),
        "seconds in which a request's body has to arrive, 408 after that, and an answer to be taken",
        "a whole number from 1 to 600";
    REQUEST_SECONDS = "API_REQUEST_SECONDS", Some("25"),
        "seconds in which a handler has to answer, 504 after that; less than API Gateway waits (29) and than the end of the process (`API_SHUTDOWN_SECONDS`)",
        "a whole number from 1 to 3600";
    KEEP_ALIVE_SECONDS = "API_KEEP_ALIVE_SECONDS", Some("75"),
        "seconds that an idle connection stays open; longer than the load balancer keeps its own (60 at AWS)",
        "a whole number from 1 to 4000";
    OIDC_ISSUER = "API_OIDC_ISSUER", None,
        "issuer of the tokens by which handlers know who asks, letter for letter as its tokens name it",
        "an https URL without query, such as https://cognito-idp.REGION.amazonaws.com/POOL; http for loopback only";
    OIDC_AUDIENCE = "API_OIDC_AUDIENCE", None,
        "who a token must be for, with `API_OIDC_ISSUER`: one of its `aud`, or where it has none its `client_id`",
        "names separated by commas";
    OIDC_JWKS_URL = "API_OIDC_JWKS_URL", None,
        "where the issuer's keys are; if not set, its `/.well-known/openid-configuration` names the place",
        "an https URL; http for loopback only";
    OTLP_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT", None,
        "OpenTelemetry collector that gets a span for each request, at `/v1/traces` below this URL; none if not set",
        "an http URL of a host, with or without a port and a path, such as http://localhost:4318";
    OTEL_SERVICE_NAME = "OTEL_SERVICE_NAME", None,
        "`service.name` in spans; the program's name if not set",
        "a text";
    OTEL_RESOURCE_ATTRIBUTES = "OTEL_RESOURCE_ATTRIBUTES", None,
        "attributes of the service in spans",
        "key=value, separated by commas, with percent encoding";
    IMAGE_DIGEST = "IMAGE_DIGEST", None,
        "digest of the image that is running, shown by `/version`; set by what starts the container",
        "sha256: and 64 hexadecimal digits in lower case";
}
