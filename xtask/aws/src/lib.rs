//! The AWS services that the release tool uses, one module for each.

mod clients;
mod connector;
mod credentials;
pub mod ec2;
pub mod ecr;
pub mod ecs;
pub mod error;
pub mod github_token;
pub mod journal;
pub mod listener;
pub mod logs;
pub mod secrets;
pub mod signed;
pub mod stack;
pub mod templates;

pub use clients::{Clients, Identity, clients, identity};
pub use error::{code, failure, is_denied, is_expired, is_lost, is_missing, is_refusal, is_throttled};
