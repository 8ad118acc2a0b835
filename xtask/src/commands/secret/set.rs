//! `secret set`: stores a value that is typed without being shown, or piped in.

use anyhow::Result;
use aws::secrets;
use config::deployment::Environment;
use model::outcome::{self, Exit, Failure, FailureKind};
use model::report;
use secrecy::SecretString;

use super::{is_of, parameter};
use crate::context::Context;
use crate::engine::consent;
use crate::session::Session;
use local::ui::Ui;

/// The longest value of a parameter that costs nothing, in bytes
/// (<https://docs.aws.amazon.com/general/latest/gr/ssm.html#parameter-store>).
const LONGEST: usize = 4096;

pub(super) async fn run(environment: &str, name: &str, context: &Context, ui: &Ui) -> Result<()> {
    let environment = context.section(environment)?;
    ui.about(environment);
    let parameter = parameter(environment, name);
    let Environment { name: section, region, protected, secrets_key, .. } = environment;
    let question = protected.then(|| format!("{section} is protected. Store a new value in {parameter} in {region}?"));
    consent::can_be_asked(question.as_deref(), ui)?;
    let session = Session::open(context, environment, ui).await?;
    if let Some(question) = &question
        && !ui.confirm(question).await?
    {
        return Err(outcome::declined("the value was not stored", format!("parameter {parameter}")).into());
    }
    // With room for the line break at its end.
    let typed = ui.secret(&format!("Value of {name} for {section} (not shown):"), LONGEST + 2).await?;
    let value = value(typed).map_err(|failure| failure.resource(format!("parameter {parameter}")))?;
    let stored = secrets::store(&session.clients, &parameter, secrets_key.as_deref(), &value).await;
    let version = stored.map_err(|failure| match aws::is_lost(&failure) {
        true => failure.hint(format!("cargo xtask secret list {section} shows whether it was stored")),
        false => failure,
    })?;
    ui.line(&format!("stored as version {version}; {}", what_is_next(environment, name, &parameter)));
    ui.result(&format!("{name} = \"{parameter}\""));
    let secret = report::Secret {
        name: name.to_owned(),
        declared: environment.secrets.get(name).is_some_and(|text| is_of(text, &parameter)),
        reference: parameter,
        encrypted: Some(true),
        version: Some(version.to_string()),
        ..report::Secret::default()
    };
    ui.note(|report| report.secrets = Some(vec![secret]));
    Ok(())
}

/// What is left to do, so that the container gets the value.
fn what_is_next(environment: &Environment, name: &str, parameter: &str) -> String {
    let section = &environment.name;
    let of_all = if environment.instances { ", which is for all of its instances" } else { "" };
    match environment.secrets.get(name) {
        Some(text) if is_of(text, parameter) => {
            format!("deploy.toml has its line, so the next release of {section} takes it{of_all}")
        }
        Some(_) => format!("[environments.{section}.secrets] has another reference for {name}: this line replaces it"),
        None if environment.env.contains_key(name) => {
            format!("[environments.{section}.env] has {name}, too: move it to [environments.{section}.secrets] as")
        }
        None => format!("add its line to [environments.{section}.secrets] in deploy.toml{of_all}"),
    }
}

/// The value among the bytes that were read.
///
/// # Errors
/// What no environment variable, or no parameter, can have.
fn value(mut bytes: Vec<u8>) -> Result<SecretString, Failure> {
    let refuse = |reason: &str, hint: &str| {
        Err(Failure::new(Exit::Usage, FailureKind::Input, "the value cannot be stored").reason(reason).hint(hint))
    };
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    if bytes.is_empty() {
        return refuse("it is empty", "type it when asked, or pass it as standard input: < FILE");
    }
    if bytes.len() > LONGEST {
        let hint = "keep it in Secrets Manager, and name the secret's ARN in deploy.toml";
        return refuse("it has more than 4,096 bytes", hint);
    }
    match String::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => Ok(text.into()),
        Ok(_) => refuse("it has a NUL byte, which no variable can have", "encode it, for example with base64"),
        Err(_) => refuse("it is not UTF-8", "encode it, for example with base64"),
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn one_line_break_at_the_end_does_not_count() {
        for (bytes, expected) in [
            ("a", "a"),
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            (" a\tb\nc ", " a\tb\nc "),
            ("\u{e4}\n", "\u{e4}"),
        ] {
            assert_eq!(value(bytes.into()).unwrap().expose_secret(), expected, "{bytes:?}");
        }
        let longest = "x".repeat(LONGEST);
        for end in ["", "\n", "\r\n"] {
            assert_eq!(value(format!("{longest}{end}").into()).unwrap().expose_secret(), longest);
        }
    }

    #[test]
    fn what_cannot_be_a_variable_is_refused_without_being_shown() {
        let long = "x".repeat(LONGEST + 1);
        for (bytes, reason) in [
            (&b""[..], "it is empty"),
            (b"\r\n", "it is empty"),
            (b"hunter\0two", "it has a NUL byte, which no variable can have"),
            (b"hunter\xff", "it is not UTF-8"),
            (long.as_bytes(), "it has more than 4,096 bytes"),
        ] {
            let failure = value(bytes.to_vec()).unwrap_err();
            assert_eq!(failure.reason.as_deref(), Some(reason));
            assert!(!format!("{failure:?}").contains("hunter"), "{failure:?}");
        }
    }
}
