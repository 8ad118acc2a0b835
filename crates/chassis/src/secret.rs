//! A text that is shown to nobody.

use std::fmt;

/// A secret, such as a password: `Debug` hides it, and there is neither `Display` nor a way to serialize it.
///
/// ```
/// let password = chassis::Secret::new("hunter2".to_owned());
/// assert_eq!(format!("{password:?}"), "[hidden]");
/// assert_eq!(password.expose(), "hunter2");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for what needs it; never for a message or a log line.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[hidden]")
    }
}
