//! What can go wrong in a handler.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::greeting::NameTooLong;
use crate::ids::OutOfIds;

/// Why a handler did not answer as asked; its status decides what the caller learns ([`chassis::problem::answer`]).
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error(transparent)]
    Name(#[from] NameTooLong),
    /// It passes by itself: the caller is asked to come again.
    #[error(transparent)]
    Ids(#[from] OutOfIds),
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Name(_) => StatusCode::BAD_REQUEST,
            Self::Ids(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        chassis::problem::answer(self)
    }
}
