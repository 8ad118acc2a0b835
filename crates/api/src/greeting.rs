//! The domain: what a greeting is. Knows nothing of HTTP.

use std::borrow::Cow;

use serde::Serialize;
use utoipa::ToSchema;

/// A greeting with its number.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Greeting {
    // The fields are serialized in this order.
    #[schema(minimum = 1, example = 1)]
    id: u64,
    #[schema(min_length = 9, max_length = 108, example = "Hello, Ada!")]
    content: String,
}

impl Greeting {
    pub(crate) fn new(id: u64, name: &Name) -> Self {
        Self { id, content: format!("Hello, {}!", name.0) }
    }
}

/// Whom to greet: any text of bounded length, never empty.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Name(Cow<'static, str>);

impl Name {
    /// Counted in Unicode scalar values, so that the limit is the same in every script.
    const LONGEST: usize = 100;

    /// Takes the name as given; nobody in particular, and the empty name, is the world.
    pub(crate) fn new(given: Option<String>) -> Result<Self, NameTooLong> {
        let name = given.filter(|name| !name.is_empty()).map_or(Cow::Borrowed("World"), Cow::Owned);
        match name.chars().count() {
            0..=Self::LONGEST => Ok(Self(name)),
            characters => Err(NameTooLong { characters }),
        }
    }
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the name has {characters} characters, {} are allowed", Name::LONGEST)]
pub(crate) struct NameTooLong {
    characters: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Result<Name, NameTooLong> {
        Name::new(Some(text.to_owned()))
    }

    #[test]
    fn nobody_in_particular_is_the_world() {
        for name in [Name::new(None), name("")] {
            assert_eq!(Greeting::new(1, &name.unwrap()).content, "Hello, World!");
        }
    }

    #[test]
    fn a_name_is_greeted_as_it_is() {
        for text in ["Ada", " ", "\0", "מרים", "👩‍🚀"] {
            assert_eq!(Greeting::new(7, &name(text).unwrap()).content, format!("Hello, {text}!"));
        }
    }

    #[test]
    fn the_limit_counts_characters_not_bytes() {
        for character in ["a", "ß", "語", "👋"] {
            assert!(name(&character.repeat(100)).is_ok());
            let error = name(&character.repeat(101)).unwrap_err();
            assert_eq!(error.to_string(), "the name has 101 characters, 100 are allowed");
        }
    }
}
