//! `compile`: the tool and the service as files, for jobs with rights, which compile nothing.

use std::env;
use std::fs;

use anyhow::{Context as _, Result};

use crate::context::Context;
use image::{artifact, oci};
use local::cli::Compile;
use local::ui::Ui;

/// The name of the tool's file.
const TOOL: &str = "xtask";
/// What `sha256sum` writes and checks.
const LIST: &str = "SHA256SUMS";

pub(super) async fn run(arguments: &Compile, context: &Context, ui: &Ui) -> Result<()> {
    let folder = &arguments.out;
    let phase = ui.phase("compile");
    let in_folder = |what: &str| format!("cannot write {what} into {}", folder.display());
    fs::create_dir_all(folder).with_context(|| in_folder("anything"))?;
    let own = env::current_exe().context("this program does not know its own file")?;
    fs::copy(&own, folder.join(TOOL)).with_context(|| in_folder(TOOL))?;
    let mut names = vec![TOOL];
    if arguments.service {
        names.extend(artifact::precompile(context.workspace(), folder, &|step| phase.report(step)).await?);
    }
    let mut list = String::new();
    for name in &names {
        let digest = oci::digest(&fs::read(folder.join(name)).with_context(|| format!("cannot read {name} again"))?);
        list.push_str(&format!("{}  {name}\n", digest.trim_start_matches("sha256:")));
    }
    fs::write(folder.join(LIST), &list).with_context(|| in_folder(LIST))?;
    phase.done(&format!("{} in {}", names.join(", "), folder.display()));
    let digest = oci::digest(list.as_bytes());
    ui.result(&digest);
    ui.note(|report| report.digest = Some(digest));
    Ok(())
}
