//! JSON bodies: what a handler's `web::Json` takes, and how one that it cannot take is refused.

use actix_web::ResponseError;
use actix_web::error::JsonPayloadError;
use actix_web::http::StatusCode;
use actix_web::web::JsonConfig;

/// Why a body is not what the handler takes.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("the body is to be sent as Content-Type: application/json")]
    OtherType,
    #[error("the body is not JSON: {0}")]
    Malformed(serde_json::Error),
    #[error("the body cannot be taken: {0}")]
    OtherShape(serde_json::Error),
    #[error(transparent)]
    Unread(JsonPayloadError),
}

/// For every worker's app; the limit is the one that the body has been read under.
pub(crate) fn json(limit: usize) -> JsonConfig {
    JsonConfig::default().limit(limit).error_handler(|error, _| Unfit::from(error).into())
}

impl From<JsonPayloadError> for Unfit {
    fn from(error: JsonPayloadError) -> Self {
        match error {
            JsonPayloadError::ContentType => Self::OtherType,
            JsonPayloadError::Deserialize(error) if error.is_data() => Self::OtherShape(error),
            JsonPayloadError::Deserialize(error) => Self::Malformed(error),
            error => Self::Unread(error),
        }
    }
}

impl ResponseError for Unfit {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::OtherType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::OtherShape(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Unread(error) => error.status_code(),
        }
    }
}
