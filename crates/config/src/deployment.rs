//! `deploy.toml`.
