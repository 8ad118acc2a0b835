//! `comment`: posts or updates one comment on a pull request.

use anyhow::{Context as _, Result};

use crate::context::Context;
use crate::github;
use crate::github::Api;
use local::cli::Comment;
use local::ui::Ui;
use model::outcome::{Exit, Failure, FailureKind};

pub(super) async fn run(arguments: &Comment, context: &Context, ui: &Ui) -> Result<()> {
    let mut texts = Vec::new();
    for file in &arguments.files {
        let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
        texts.push(text.trim().to_owned());
    }
    let text = texts.join("\n\n");
    let number = arguments.pull_request.or_else(|| github::pull_request(&context.vars)).ok_or_else(|| {
        Failure::new(Exit::Usage, FailureKind::Github, "no pull request was given")
            .reason("GITHUB_EVENT_PATH is not the event of a pull request")
            .hint("--pull-request NUMBER")
    })?;
    let api = Api::of(&context.vars)?;
    let mark = format!("<!-- xtask:{} -->", arguments.name);
    let posted = api.comment(number, &mark, &text).await?;
    ui.line(if posted.updated { "the comment was updated" } else { "a comment was added" });
    ui.result(&posted.url);
    ui.note(|report| report.url = Some(posted.url));
    Ok(())
}
