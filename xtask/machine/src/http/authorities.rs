//! The certificate authorities of `AWS_CA_BUNDLE`. Without the feature `tls` there is nothing to trust.

use std::collections::BTreeMap;

use reqwest::ClientBuilder;

#[derive(Debug, Clone, Default)]
pub(super) struct Authorities {
    #[cfg(feature = "tls")]
    certificates: Vec<reqwest::Certificate>,
}

#[cfg(feature = "tls")]
impl Authorities {
    /// # Errors
    /// The variable whose file cannot be used, and the reason.
    pub(super) fn of(vars: &BTreeMap<String, String>) -> Result<Self, (&'static str, String)> {
        const NAME: &str = "AWS_CA_BUNDLE";
        let Some(path) = vars.get(NAME).filter(|path| !path.is_empty()) else { return Ok(Self::default()) };
        let unusable = |reason: String| (NAME, format!("{path}: {reason}"));
        let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("it holds no certificates".to_owned()));
        }
        Ok(Self { certificates })
    }

    /// Trusts these only, if there are any.
    pub(super) fn alone(&self, builder: ClientBuilder) -> ClientBuilder {
        match self.certificates.as_slice() {
            [] => builder,
            only => builder.tls_certs_only(only.to_vec()),
        }
    }

    /// Trusts these and the machine's.
    pub(super) fn besides_the_machines(&self, builder: ClientBuilder) -> ClientBuilder {
        builder.tls_certs_merge(self.certificates.clone())
    }
}

#[cfg(not(feature = "tls"))]
#[expect(clippy::unnecessary_wraps, clippy::unused_self, reason = "as with TLS")]
impl Authorities {
    pub(super) fn of(_: &BTreeMap<String, String>) -> Result<Self, (&'static str, String)> {
        Ok(Self::default())
    }

    pub(super) fn alone(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
    }

    pub(super) fn besides_the_machines(&self, builder: ClientBuilder) -> ClientBuilder {
        builder
    }
}
