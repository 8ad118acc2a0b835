//! Takes values out of a TOML table and collects what is wrong with them instead of stopping at the first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

use toml::{Table, Value};

use super::references;
use super::rules::{self, Rule};
use super::secrets::{self, SecretReference};
use crate::{Given, Problem, suggestion};

/// One table of the file. What is left in it at `finish` is unknown.
pub(super) struct Reader {
    source: String,
    prefix: String,
    table: Table,
    known: Vec<&'static str>,
    problems: Rc<RefCell<Vec<Problem>>>,
}

impl Reader {
    pub(super) fn new(source: &str, table: Table) -> Self {
        Self { source: source.to_owned(), prefix: String::new(), table, known: Vec::new(), problems: Rc::default() }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        self.problems.borrow().clone()
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(&mut self) {
        for key in std::mem::take(&mut self.table).keys() {
            let meant = suggestion(key, self.known.iter().copied());
            self.note(key, Given::UnknownName, &format!("{}{meant}", self.known.join(", ")));
        }
    }

    pub(super) fn check_name(&self, name: &str, rule: Rule) {
        if !(rule.holds)(name) {
            let allowed = format!("a name that is {}", rule.allowed);
            self.problems.borrow_mut().push(Problem {
                source: self.source.clone(),
                key: self.prefix.trim_end_matches('.').to_owned(),
                given: Given::Value(name.to_owned()),
                allowed,
            });
        }
    }

    pub(super) fn table(&mut self, key: &'static str, required: bool) -> Option<Reader> {
        match self.take(key) {
            Some(Value::Table(table)) => Some(self.child(key, table)),
            Some(other) => {
                self.problem(key, Some(show(&other)), "a table");
                None
            }
            None => {
                if required {
                    self.problem(key, None, "a table");
                }
                None
            }
        }
    }

    /// A table of at least one table.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(String, Reader)> {
        let Some(mut outer) = self.table(key, true) else { return Vec::new() };
        if outer.table.is_empty() {
            self.problem(key, None, "at least one environment, such as [environments.dev]");
        }
        let mut readers = Vec::new();
        for (name, value) in std::mem::take(&mut outer.table) {
            match value {
                Value::Table(table) => {
                    let reader = outer.child(&name, table);
                    readers.push((name, reader));
                }
                other => outer.problem(&name, Some(show(&other)), "a table"),
            }
        }
        readers
    }

    /// A string that is required when there is no default. A problem yields the default or an empty string.
    pub(super) fn string(&mut self, key: &'static str, default: Option<&str>, rule: Rule) -> String {
        match self.optional(key, rule) {
            Some(text) => text,
            None => {
                let reported = self.problems.borrow().iter().any(|p| p.key == format!("{}{key}", self.prefix));
                if default.is_none() && !reported {
                    self.problem(key, None, rule.allowed);
                }
                default.unwrap_or_default().to_owned()
            }
        }
    }

    pub(super) fn optional(&mut self, key: &'static str, rule: Rule) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if (rule.holds)(&text) => Some(text),
            other => {
                self.problem(key, Some(show(&other)), rule.allowed);
                None
            }
        }
    }

    /// One of a few words.
    pub(super) fn word(&mut self, key: &'static str, words: &[&str]) -> Option<String> {
        match self.take(key)? {
            Value::String(text) if words.contains(&text.as_str()) => Some(text),
            other => {
                let given = show(&other);
                let meant = suggestion(&given, words.iter().copied());
                self.problem(key, Some(given), &format!("{}{meant}", words.join(", ")));
                None
            }
        }
    }

    /// Strings that each keep a rule; none where there is no list.
    pub(super) fn list(&mut self, key: &'static str, rule: Rule) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let text = |item: &Value| item.as_str().filter(|text| (rule.holds)(text)).map(str::to_owned);
        match value.as_array().and_then(|items| items.iter().map(text).collect()) {
            Some(list) => list,
            None => {
                self.problem(key, Some(show(&value)), rule.allowed);
                Vec::new()
            }
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        match self.take(key) {
            None => default,
            Some(Value::Boolean(value)) => value,
            Some(other) => {
                self.problem(key, Some(show(&other)), "true or false");
                default
            }
        }
    }

    pub(super) fn port(&mut self, key: &'static str, default: u16) -> u16 {
        self.number(key, default, 1..=65535, "a port from 1 to 65535")
    }

    pub(super) fn number(
        &mut self,
        key: &'static str,
        default: u16,
        range: RangeInclusive<u16>,
        allowed: &'static str,
    ) -> u16 {
        match self.take(key) {
            None => default,
            Some(Value::Integer(number)) if u16::try_from(number).is_ok_and(|number| range.contains(&number)) => {
                u16::try_from(number).expect("the range was checked")
            }
            Some(other) => {
                self.problem(key, Some(show(&other)), allowed);
                default
            }
        }
    }

    /// Stack parameters: strings, numbers and booleans as themselves, lists joined by commas as CloudFormation takes
    /// them.
    pub(super) fn parameters(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let allowed = "text, a number, true, false or a list of these, 4096 bytes";
        self.map(key, rules::PARAMETER, allowed, |text| text.len() <= 4096)
    }

    /// Names with values, all as text.
    pub(super) fn map(
        &mut self,
        key: &'static str,
        name: Rule,
        allowed: &str,
        fits: fn(&str) -> bool,
    ) -> BTreeMap<String, String> {
        let Some(mut inner) = self.table(key, false) else { return BTreeMap::new() };
        let mut read = BTreeMap::new();
        for (key, value) in std::mem::take(&mut inner.table) {
            match parameter_value(&value).filter(|text| fits(text)) {
                _ if !(name.holds)(&key) => inner.problem(&key, Some(show(&value)), name.allowed),
                Some(text) => drop(read.insert(key, text)),
                None => inner.problem(&key, Some(show(&value)), allowed),
            }
        }
        read
    }

    /// Names with references to secrets. What is none is not shown: it may be the secret.
    pub(super) fn secrets(&mut self, key: &'static str) -> BTreeMap<String, String> {
        let Some(mut inner) = self.table(key, false) else { return BTreeMap::new() };
        let mut read = BTreeMap::new();
        for (key, value) in std::mem::take(&mut inner.table) {
            // A reference to an output is judged when its value is known.
            let fits = |text: &&str| references(text).next().is_some() || SecretReference::parse(text).is_some();
            match value.as_str().filter(fits) {
                _ if !(rules::VARIABLE.holds)(&key) => inner.hidden(&key, rules::VARIABLE.allowed),
                Some(text) => drop(read.insert(key, text.to_owned())),
                None => inner.hidden(&key, secrets::ALLOWED),
            }
        }
        read
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.table.remove(key)
    }

    fn child(&self, key: &str, table: Table) -> Reader {
        Reader {
            source: self.source.clone(),
            prefix: format!("{}{key}.", self.prefix),
            table,
            known: Vec::new(),
            problems: Rc::clone(&self.problems),
        }
    }

    pub(super) fn problem(&self, key: &str, value: Option<String>, allowed: &str) {
        self.note(key, value.into(), allowed);
    }

    fn hidden(&self, key: &str, allowed: &str) {
        self.note(key, Given::Secret, allowed);
    }

    fn note(&self, key: &str, given: Given, allowed: &str) {
        let (source, key) = (self.source.clone(), format!("{}{key}", self.prefix));
        self.problems.borrow_mut().push(Problem { source, key, given, allowed: allowed.to_owned() });
    }
}

fn parameter_value(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Array(items) => items.iter().map(parameter_value).collect::<Option<Vec<_>>>().map(|v| v.join(",")),
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

fn show(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string().trim_end().to_owned(),
    }
}
