//! Which proxy a URL is requested through, by the environment's variables.

use std::collections::BTreeMap;

use hyper_util::client::proxy::matcher::Matcher;
use url::{Host, Url};

/// The proxies that the environment names.
#[derive(Debug)]
pub(super) struct Proxies {
    http: Option<Proxy>,
    https: Option<Proxy>,
    /// Intercepts every host that `NO_PROXY` does not name.
    exempt: Matcher,
}

/// A proxy, and the variable that names it.
#[derive(Clone)]
pub(super) struct Proxy {
    /// With user and password, if it has them.
    pub(super) address: Url,
    variable: &'static str,
}

impl Proxies {
    /// # Errors
    /// The variable with an invalid value, and the reason; without the value, which may hold a password.
    pub(super) fn of(vars: &BTreeMap<String, String>) -> Result<Self, (&'static str, String)> {
        // An empty lower-case variable disables the upper-case one.
        let set = |names: [&'static str; 2]| {
            let (name, value) = names.into_iter().find_map(|name| Some((name, vars.get(name)?)))?;
            Some((name, value.trim())).filter(|(_, value)| !value.is_empty())
        };
        let proxy = |names| set(names).map(|(name, value)| Proxy::read(name, value)).transpose();
        let none = set(["no_proxy", "NO_PROXY"]).map(|(_, value)| value).unwrap_or_default();
        // As curl and Go read it: separated by commas or blanks, and `*.` means the same as a leading dot.
        let none = none.split([',', ' ']).map(|host| host.strip_prefix('*').filter(|h| !h.is_empty()).unwrap_or(host));
        let none: Vec<&str> = none.collect();
        // The matcher applies a star to names only, not to addresses.
        let none_at_all = none.contains(&"*");
        let proxy = |names| if none_at_all { Ok(None) } else { proxy(names) };
        let all = proxy(["all_proxy", "ALL_PROXY"])?;
        Ok(Self {
            http: proxy(["http_proxy", "HTTP_PROXY"])?.or_else(|| all.clone()),
            https: proxy(["https_proxy", "HTTPS_PROXY"])?.or(all),
            exempt: Matcher::builder().all("http://proxy").no(none.join(",")).build(),
        })
    }

    pub(super) fn of_url(&self, url: &Url) -> Option<&Proxy> {
        let proxy = match url.scheme() {
            "http" => self.http.as_ref(),
            "https" => self.https.as_ref(),
            _ => None,
        };
        let proxied = || self.exempt.intercept(&url.as_str().parse().ok()?);
        proxy.filter(|_| !is_local(url) && proxied().is_some())
    }
}

impl Proxy {
    fn read(variable: &'static str, value: &str) -> Result<Self, (&'static str, String)> {
        let whole = if value.contains("://") { value.to_owned() } else { format!("http://{value}") };
        let address = Url::parse(&whole).map_err(|error| (variable, error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https" | "socks4" | "socks4a" | "socks5" | "socks5h") {
            return Err((variable, format!("the proxy scheme {}:// is not supported", address.scheme())));
        }
        if address.host_str().is_none_or(str::is_empty) {
            return Err((variable, "it names no host".to_owned()));
        }
        Ok(Self { address, variable })
    }

    /// Why `url` could not be reached through it.
    pub(super) fn reason(&self, url: &Url, reason: &str) -> String {
        let proxy = format!("the proxy {} from {}", self.redacted(), self.variable);
        if reason.contains("Connection refused") {
            return format!("{proxy} refuses connections");
        }
        format!("{proxy} cannot reach {}: {reason}", url.host_str().unwrap_or_default())
    }

    /// Without user and password.
    fn redacted(&self) -> String {
        let port = self.address.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{}{port}", self.address.scheme(), self.address.host_str().unwrap_or_default())
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ({})", self.redacted(), self.variable)
    }
}

/// Whether the address means another machine when a proxy requests it.
fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback() || address.is_link_local(),
        Some(Host::Ipv6(address)) => {
            // The last is that of EC2's instance metadata.
            address.is_loopback() || address.is_unicast_link_local() || address.segments()[..2] == [0xfd00, 0xec2]
        }
        None => false,
    }
}
