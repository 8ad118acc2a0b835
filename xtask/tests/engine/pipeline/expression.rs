//! The expressions of workflows, as far as ours go
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/expressions>). What it does not know fails.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// A text in which every `${{ … }}` is replaced by what it means.
pub(super) fn text(text: &str, contexts: &Value) -> Result<String> {
    let mut parts = text.split("${{");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (inside, rest) = part.split_once("}}").with_context(|| format!("an expression without end: {text}"))?;
        out.push_str(&as_text(&value(inside, contexts)?));
        out.push_str(rest);
    }
    Ok(out)
}

/// Whether the condition of a job or step holds; `failed` is whether something before it has. Without one of the
/// functions that look at that, it runs after success only.
pub(super) fn holds(condition: &Value, contexts: &Value, failed: bool) -> Result<bool> {
    let Some(condition) = condition.as_str() else { return Ok(!failed) };
    let condition = condition.trim();
    let inside = condition.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(condition);
    let looks = ["cancelled()", "always()", "failure()"].iter().any(|name| inside.contains(name));
    Ok((looks || !failed) && is_true(&value(inside, contexts)?))
}

/// What an expression means.
pub(super) fn value(expression: &str, contexts: &Value) -> Result<Value> {
    let mut reader = Reader { tokens: tokens(expression)?, at: 0, contexts };
    let value = reader.either()?;
    ensure!(reader.at == reader.tokens.len(), "more than one expression in {expression:?}");
    Ok(value)
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Text(String),
    Number(f64),
    /// A path such as `github.event.number`, or a function's name.
    Word(String),
    Sign(&'static str),
}

const SIGNS: [&str; 9] = ["&&", "||", "==", "!=", "!", "(", ")", ",", "<"];

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.into_iter().find(|sign| rest.starts_with(sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if first == '\'' {
            let (inside, after) =
                rest[1..].split_once('\'').with_context(|| format!("a text without end in {text}"))?;
            tokens.push(Token::Text(inside.to_owned()));
            rest = after;
        } else {
            let end = rest.find(|char: char| !(char.is_ascii_alphanumeric() || "_-.*".contains(char)));
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            ensure!(!word.is_empty(), "{first:?} is not understood in {text}");
            tokens.push(word.parse().map_or_else(|_| Token::Word(word.to_owned()), Token::Number));
            rest = after;
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

struct Reader<'a> {
    tokens: Vec<Token>,
    at: usize,
    contexts: &'a Value,
}

impl Reader<'_> {
    fn takes(&mut self, sign: &str) -> bool {
        let found = self.tokens.get(self.at).is_some_and(|token| matches!(token, Token::Sign(one) if *one == sign));
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Result<Value> {
        let mut left = self.both()?;
        while self.takes("||") {
            let right = self.both()?;
            left = if is_true(&left) { left } else { right };
        }
        Ok(left)
    }

    fn both(&mut self) -> Result<Value> {
        let mut left = self.equal()?;
        while self.takes("&&") {
            let right = self.equal()?;
            left = if is_true(&left) { right } else { left };
        }
        Ok(left)
    }

    fn equal(&mut self) -> Result<Value> {
        let left = self.single()?;
        Ok(if self.takes("==") {
            same(&left, &self.single()?).into()
        } else if self.takes("!=") {
            (!same(&left, &self.single()?)).into()
        } else {
            left
        })
    }

    fn single(&mut self) -> Result<Value> {
        if self.takes("!") {
            return Ok((!is_true(&self.single()?)).into());
        }
        if self.takes("(") {
            let value = self.either()?;
            ensure!(self.takes(")"), "a bracket is not closed");
            return Ok(value);
        }
        let token = self.tokens.get(self.at).cloned().context("the expression ends too early")?;
        self.at += 1;
        match token {
            Token::Text(text) => Ok(text.into()),
            Token::Number(number) => Ok(number.into()),
            Token::Word(name) if self.takes("(") => self.function(&name),
            Token::Word(word) if word == "true" || word == "false" => Ok((word == "true").into()),
            Token::Word(path) => self.found(&path),
            Token::Sign(sign) => bail!("{sign} stands where a value should"),
        }
    }

    fn function(&mut self, name: &str) -> Result<Value> {
        let mut arguments = Vec::new();
        while !self.takes(")") {
            arguments.push(self.either()?);
            self.takes(",");
        }
        Ok(match (name, &arguments[..]) {
            ("cancelled", []) => false.into(),
            ("contains", [Value::Array(all), one]) => all.iter().any(|other| same(other, one)).into(),
            ("contains", [all, one]) => as_text(all).contains(&as_text(one)).into(),
            // Only ever part of a cache's key.
            ("hashFiles", [_, ..]) => "0123456789abcdef".into(),
            _ => bail!("the function {name} with {} arguments is not known", arguments.len()),
        })
    }

    /// What a path leads to; nothing where it leads nowhere. Its first part must be a context that there is.
    fn found(&self, path: &str) -> Result<Value> {
        let (name, rest) = path.split_once('.').with_context(|| format!("{path} is no context"))?;
        let mut found = vec![self.contexts.get(name).with_context(|| format!("there is no context {name}"))?];
        let mut many = false;
        for part in rest.split('.') {
            if part == "*" {
                many = true;
                found = found.into_iter().filter_map(Value::as_array).flatten().collect();
            } else {
                found = found.into_iter().filter_map(|value| value.get(part)).collect();
            }
        }
        Ok(if many { json!(found) } else { found.first().map_or(Value::Null, |value| (*value).clone()) })
    }
}

fn is_true(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Bool(false)) && *value != json!("") && value.as_f64() != Some(0.0)
}

/// Texts are compared without regard to case, and nothing is the same as an empty text.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::String(_) | Value::Null, Value::String(_) | Value::Null) => {
            as_text(left).eq_ignore_ascii_case(&as_text(right))
        }
        _ => left == right,
    }
}

pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
