//! Environments of which there are many, such as one for each pull request.

use std::collections::BTreeMap;

use super::Environment;
use super::reader::Reader;

/// As many characters of a stack's name leave room for the names that the templates make of it.
const LONGEST_STACK: usize = 118;
/// As many characters say which instance it is.
const LONGEST: usize = 20;

impl Environment {
    /// The name in `deploy.toml`: an instance's without what says which one it is.
    #[must_use]
    pub fn section(&self) -> &str {
        self.name.split('/').next().unwrap_or_default()
    }

    /// The environment's stack, or a pattern of its instances' stacks, as IAM understands it.
    #[must_use]
    pub fn stacks(&self) -> String {
        if self.instances { format!("{}-*", self.stack) } else { self.stack.clone() }
    }

    /// One of the instances: with a name and a stack of its own, and everything else as it is here.
    ///
    /// # Errors
    /// What such a name has to be.
    pub fn instance(&self, which: &str) -> Result<Self, String> {
        let (name, stack) = (format!("{}/{which}", self.name), format!("{}-{which}", self.stack));
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if which.is_empty() || which.len() > LONGEST || !which.bytes().all(letters) {
            return Err(format!("an instance is {}/ and 1 to {LONGEST} lower-case letters, digits and -", self.name));
        }
        if stack.len() > LONGEST_STACK {
            return Err(format!("its stack would be {stack}, which is longer than {LONGEST_STACK} characters"));
        }
        Ok(Self { name, stack, instances: false, ..self.clone() })
    }
}

/// Reports stacks that instances of another environment could come to have: who may change those could change these too.
pub(super) fn check(root: &Reader, environments: &BTreeMap<String, Environment>) {
    for many in environments.values().filter(|environment| environment.instances) {
        let start = format!("{}-", many.stack);
        for other in environments.values().filter(|other| other.name != many.name && other.region == many.region) {
            if other.stack == many.stack || other.stack.starts_with(&start) {
                root.problem(
                    &format!("environments.{}.stack", other.name),
                    Some(other.stack.clone()),
                    &format!("a stack that no instance of {} can be, whose stacks are {start}*", many.name),
                );
            }
        }
    }
}
