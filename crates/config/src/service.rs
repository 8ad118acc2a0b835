//! What the service needs to start.
