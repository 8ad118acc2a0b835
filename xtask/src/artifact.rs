//! From source to an image on the engine: compile, find the content tag, build unless it is there.

use anyhow::{Context as _, Result};

use crate::cli::Source;
use crate::context::Context;
use crate::docker::build::{self, DOCKERFILE, Image};
use crate::docker::context::BuildContext;
use crate::docker::{Engine, megabytes};
use crate::outcome::{Exit, Failure};
use crate::plan::Platform;
use crate::ui::Ui;
use crate::{cargo, git};

/// Variables by which a compiler's result differs.
const COMPILER_VARIABLES: [&str; 6] = ["AR", "CARGO_BUILD_", "CARGO_PROFILE_", "CC", "CFLAGS", "RUSTC"];

/// Everything that goes into an image, and the tag that names exactly that.
#[derive(Debug, Clone)]
pub(crate) struct Artifact {
    context: BuildContext,
    pub(crate) tag: String,
}

/// Prepares the image's content: compiles with this machine's cargo, or gathers the sources where the engine compiles.
///
/// # Errors
/// Code that does not compile, or files that cannot be read.
pub(crate) async fn prepare(context: &Context, platform: Platform, source: &Source, ui: &Ui) -> Result<Artifact> {
    let from_source = source.from_source || !platform.is_host();
    let dockerfile = context.root.join(DOCKERFILE);
    let phase = ui.phase("compile");
    let mut arguments = labels().to_vec();
    let mut files = if from_source {
        arguments.extend(source.builder_image.as_deref().map(|image| ("BUILDER_IMAGE", image)));
        let mut files = BuildContext::new(platform.oci(), &arguments);
        for path in sources(context).await? {
            files.add(&path, &context.root.join(&path), false)?;
        }
        files
    } else {
        let binary = cargo::compile(context, platform, &phase).await?;
        arguments.push(("BINARY", "prebuilt"));
        let mut files = BuildContext::new(platform.oci(), &arguments);
        files.add("api", &binary, true)?;
        files
    };
    files.add(DOCKERFILE, &dockerfile, false)?;
    let tag = format!("content-{}", files.hash().await.context("cannot read what goes into the image")?);
    if from_source {
        phase.skipped(&format!("the engine compiles for {}; {tag}", platform.oci()));
    } else {
        phase.done(&format!("{}, {tag}", platform.triple()));
    }
    Ok(Artifact { context: files, tag })
}

/// A tag that names what would be compiled: sources, settings and compiler. Where the registry has it, nothing needs to be
/// compiled to know the image. `None` where that cannot be told, or where the content tag already is one of sources.
pub(crate) async fn source_tag(context: &Context, platform: Platform, source: &Source) -> Option<String> {
    if source.from_source || !platform.is_host() {
        return None;
    }
    let (files, compiler) = tokio::join!(sources(context), cargo::compiler(context));
    let compiler = compiler?;
    let variables =
        context.vars.iter().filter(|(name, _)| COMPILER_VARIABLES.iter().any(|part| name.starts_with(part)));
    let variables: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
    let arguments = [("COMPILER", compiler.as_str()), ("VARIABLES", &variables.join("\n"))];
    let mut content = BuildContext::new(platform.oci(), &[&labels()[..], &arguments].concat());
    let settings = ["rust-toolchain.toml", ".cargo/config.toml"].map(str::to_owned);
    let settings = settings.into_iter().filter(|path| context.root.join(path).is_file());
    for path in files.ok()?.into_iter().chain(settings).chain([DOCKERFILE.to_owned()]) {
        content.add(&path, &context.root.join(&path), false).ok()?;
    }
    Some(format!("source-{}", content.hash().await.ok()?))
}

/// What the image's labels say, whoever compiles.
fn labels() -> [(&'static str, &'static str); 2] {
    [("VERSION", env!("CARGO_PKG_VERSION")), ("SOURCE", env!("CARGO_PKG_REPOSITORY"))]
}

/// The files that the stage `builder` compiles.
async fn sources(context: &Context) -> Result<Vec<String>> {
    let files = git::files(&context.root).await.ok_or_else(|| {
        Failure::new(Exit::Preflight, "git", "git does not tell which files belong to the source")
            .resource(context.root.display().to_string())
            .hint("install git, and work in a clone")
    })?;
    // What is not compiled must not make a new image.
    let compiled = |path: &str| path.starts_with("crates/") && !path.ends_with(".md") && !path.contains("/tests/");
    let wanted =
        |path: &String| compiled(path) || ["Cargo.toml", "Cargo.lock", "xtask/Cargo.toml"].contains(&path.as_str());
    // Git also lists files that were deleted and not yet committed so.
    Ok(files.into_iter().filter(wanted).filter(|path| context.root.join(path).is_file()).collect())
}

impl Artifact {
    /// The image on this engine.
    pub(crate) fn reference(&self, service: &str) -> String {
        format!("{service}:{}", self.tag)
    }

    /// Builds the image unless the engine has it. The second value tells whether it was built.
    ///
    /// # Errors
    /// What the engine says.
    pub(crate) async fn image(self, engine: &Engine, service: &str, ui: &Ui) -> Result<(Image, bool)> {
        let phase = ui.phase("image");
        let reference = self.reference(service);
        if let Some(image) = build::inspect(&engine.docker, &reference).await? {
            image.must_be_for(self.context.platform, &reference)?;
            phase.skipped(&format!("{reference} is there, {}", megabytes(image.size)));
            return Ok((image, false));
        }
        let image = build::build(&engine.docker, self.context, &reference, service, &phase).await?;
        phase.done(&format!("{reference}, {}, {}", image.platform, megabytes(image.size)));
        Ok((image, true))
    }
}
