//! Which properties' changes replace a resource, by its type's public schema
//! (<https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html>).

use serde_json::Value;

/// Whether a change of a property replaces the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recreation {
    Never,
    Perhaps,
    Always,
}

/// The part of a type's schema about replacement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Schema {
    /// Paths of properties that cannot be updated.
    create_only: Vec<Vec<String>>,
    /// Paths of properties that only some updates can change.
    conditional: Vec<Vec<String>>,
    /// Whether it cannot be updated at all.
    immutable: bool,
}

impl Schema {
    /// Reads a schema's JSON; `None` for anything else.
    pub fn read(text: &str) -> Option<Self> {
        let schema: Value = serde_json::from_str(text).ok()?;
        let handlers = schema.get("handlers").and_then(Value::as_object);
        let paths = |name: &str| -> Vec<Vec<String>> {
            let listed = schema[name].as_array().into_iter().flatten().filter_map(Value::as_str);
            listed.filter_map(|path| Some(steps(path.strip_prefix("/properties/")?, '/'))).collect()
        };
        schema.get("properties")?;
        Some(Self {
            create_only: paths("createOnlyProperties"),
            conditional: paths("conditionalCreateOnlyProperties"),
            immutable: handlers.is_some_and(|handlers| !handlers.contains_key("update")),
        })
    }

    /// The effect of a change at `path`, such as `Volumes.0.Name`.
    pub fn recreation(&self, path: &str) -> Recreation {
        let path = steps(path, '.');
        let meets = |paths: &[Vec<String>]| paths.iter().filter_map(|listed| meets(listed, &path)).max();
        match (meets(&self.create_only), meets(&self.conditional)) {
            _ if self.immutable => Recreation::Always,
            (Some(Depth::Within), _) => Recreation::Always,
            (Some(Depth::Around), _) | (_, Some(_)) => Recreation::Perhaps,
            (None, None) => Recreation::Never,
        }
    }
}

/// The relation of a changed path to a listed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Depth {
    /// A parent changes; the listed part of it may or may not.
    Around,
    /// The listed property or a part of it.
    Within,
}

fn meets(listed: &[String], path: &[String]) -> Option<Depth> {
    let mut path = path.iter().peekable();
    for step in listed {
        // Some schemas leave out the `*` of a list's items.
        while step != "*" && path.peek().is_some_and(|next| is_number(next)) {
            path.next();
        }
        match path.next() {
            None => return Some(Depth::Around),
            Some(next) if next == step || (step == "*" && is_number(next)) => {}
            Some(_) => return None,
        }
    }
    Some(Depth::Within)
}

fn is_number(step: &str) -> bool {
    step.bytes().all(|byte| byte.is_ascii_digit())
}

fn steps(path: &str, separator: char) -> Vec<String> {
    path.split(separator).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_properties_and_their_parts_replace_the_resource() {
        let schema = Schema::read(
            r#"{"properties": {}, "handlers": {"update": {}}, "createOnlyProperties": ["/properties/Name",
            "/properties/Network/Subnets", "/properties/Volumes/*/Id", "/properties/Disks/Id"],
            "conditionalCreateOnlyProperties": ["/properties/Data"]}"#,
        );
        let schema = schema.unwrap();
        for (path, expected) in [
            ("Name", Recreation::Always),
            ("Name.Part", Recreation::Always),
            ("Names", Recreation::Never),
            ("Network", Recreation::Perhaps),
            ("Network.Subnets.0", Recreation::Always),
            ("Network.Groups", Recreation::Never),
            ("Volumes.3.Id", Recreation::Always),
            ("Volumes.3.Size", Recreation::Never),
            ("Volumes", Recreation::Perhaps),
            ("Disks.0.Id", Recreation::Always),
            ("Data.0", Recreation::Perhaps),
        ] {
            assert_eq!(schema.recreation(path), expected, "{path}");
        }
    }

    #[test]
    fn a_type_without_updates_is_always_replaced_and_other_text_is_no_schema() {
        let schema = Schema::read(r#"{"properties": {}, "handlers": {"create": {}}}"#).unwrap();
        assert_eq!(schema.recreation("Anything"), Recreation::Always);
        assert_eq!(Schema::read("{}"), None);
        assert_eq!(Schema::read("nonsense"), None);
    }
}
