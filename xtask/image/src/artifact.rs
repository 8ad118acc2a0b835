//! From source to an image on the engine: compile, compute the content tag, build if the image is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::cargo::{self, Workspace};
use crate::docker::build::{self, DOCKERFILE, Image};
use crate::docker::context::BuildContext;
use crate::docker::{Engine, Owner};
use crate::git;
use crate::precompiled::{self, Handed, Origin};
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters::Platform;
use model::progress::{Progress, Reporter};

/// Prefixes of variables that change what a compiler makes.
const COMPILER_VARIABLES: [&str; 6] = ["AR", "CARGO_BUILD_", "CARGO_PROFILE_", "CC", "CFLAGS", "RUSTC"];

/// The folder of the certificates that the image has besides the program.
pub const AUTHORITIES: &str = "docker/ca";

/// What compiles the service.
#[derive(Debug, Clone, Default)]
pub struct Compiler {
    /// The engine, in the Dockerfile's stage `builder`, instead of this machine's cargo.
    pub is_engine: bool,
    /// Base image of that stage, if not the Dockerfile's.
    pub builder_image: Option<String>,
    /// The folder with the program that an earlier job compiled, instead of compiling.
    pub compiled: Option<PathBuf>,
}

/// Everything that goes into an image, and the tag that names exactly that.
#[derive(Debug, Clone)]
pub struct Artifact {
    context: BuildContext,
    program: Program,
    pub tag: String,
}

/// Where the image's program comes from.
#[derive(Debug, Clone)]
enum Program {
    /// The engine compiles it.
    FromSource,
    /// This machine's cargo compiled it.
    Compiled(PathBuf),
    /// An earlier job compiled it from these sources.
    Handed(Handed),
}

/// Prepares the image's content: compiles with this machine's cargo, or collects the sources for the engine to compile.
///
/// # Errors
/// Code that does not compile, or files that cannot be read.
pub async fn prepare(
    workspace: Workspace<'_>,
    platform: Platform,
    compiler: &Compiler,
    report: Reporter<'_>,
) -> Result<Artifact> {
    let program = match &compiler.compiled {
        Some(folder) => {
            Program::Handed(precompiled::read(folder, platform, source_tag(workspace, platform, compiler).await)?)
        }
        None if compiler.is_engine || !platform.is_host() => Program::FromSource,
        None => Program::Compiled(cargo::compile(workspace, platform, report).await?),
    };
    let dockerfile = workspace.root.join(DOCKERFILE);
    let mut arguments = labels().to_vec();
    let features = workspace.service.features.join(",");
    let mut files = if let Some(binary) = program.file() {
        arguments.push(("BINARY", "prebuilt"));
        let mut files = BuildContext::new(platform.oci(), &arguments);
        files.add("api", binary, true)?;
        files
    } else {
        arguments.extend(compiler.builder_image.as_deref().map(|image| ("BUILDER_IMAGE", image)));
        arguments.extend((!features.is_empty()).then_some(("FEATURES", features.as_str())));
        let mut files = BuildContext::new(platform.oci(), &arguments);
        for path in sources(workspace).await? {
            files.add(&path, &workspace.root.join(&path), false)?;
        }
        files
    };
    files.add(DOCKERFILE, &dockerfile, false)?;
    for path in authorities(workspace.root)? {
        files.add(&path, &workspace.root.join(&path), false)?;
    }
    let tag = format!("content-{}", files.hash().await.context("cannot read what goes into the image")?);
    Ok(Artifact { context: files, program, tag })
}

/// A tag that identifies sources, settings and compiler. If the registry has it, the image is known without compiling.
/// `None` if one of them cannot be read, or if the engine compiles: then the content tag already is one of sources.
pub async fn source_tag(workspace: Workspace<'_>, platform: Platform, compiler: &Compiler) -> Option<String> {
    if compiler.is_engine || !platform.is_host() {
        return None;
    }
    let (files, compiler) = tokio::join!(sources(workspace), cargo::compiler(workspace));
    let compiler = compiler?;
    let variables =
        workspace.vars.iter().filter(|(name, _)| COMPILER_VARIABLES.iter().any(|part| name.starts_with(part)));
    let variables: Vec<String> = variables.map(|(name, value)| format!("{name}={value}")).collect();
    let arguments = [("COMPILER", compiler.as_str()), ("VARIABLES", &variables.join("\n"))];
    let mut content = BuildContext::new(platform.oci(), &[&labels()[..], &arguments].concat());
    let settings = ["rust-toolchain.toml", ".cargo/config.toml"].map(str::to_owned);
    let settings = settings.into_iter().filter(|path| workspace.root.join(path).is_file());
    let authorities = authorities(workspace.root).ok()?;
    for path in files.ok()?.into_iter().chain(settings).chain(authorities).chain([DOCKERFILE.to_owned()]) {
        content.add(&path, &workspace.root.join(&path), false).ok()?;
    }
    Some(format!("source-{}", content.hash().await.ok()?))
}

/// Compiles the service for this machine's platform into a folder, for [`Compiler::compiled`]. Returns the files' names.
///
/// # Errors
/// Code that does not compile, sources that change meanwhile, or a folder that cannot be written.
pub async fn precompile(workspace: Workspace<'_>, folder: &Path, report: Reporter<'_>) -> Result<[&'static str; 2]> {
    let platform = Platform::host().filter(|platform| platform.is_host()).ok_or_else(|| {
        Failure::new(Exit::Usage, FailureKind::Platform, "the service cannot be compiled for other jobs here")
            .reason(format!("its image is for Linux; this is {} on {}", std::env::consts::OS, std::env::consts::ARCH))
            .hint("run this on Linux, or let the Docker engine compile: --from-source")
    })?;
    let compiler = Compiler::default();
    let before = source_tag(workspace, platform, &compiler).await;
    let binary = cargo::compile(workspace, platform, report).await?;
    let after = source_tag(workspace, platform, &compiler).await;
    let source = before.filter(|before| after.as_ref() == Some(before)).ok_or_else(|| {
        Failure::new(Exit::Failed, FailureKind::Compile, "it is not known what the service was compiled from")
            .resource(workspace.root.display().to_string())
            .reason("its sources or their compiler changed meanwhile, or cannot be read")
            .hint("git status, then the same command again")
    })?;
    let covered = is_covered(workspace, &binary).await;
    precompiled::write(folder, &binary, &Origin { platform: platform.oci().to_owned(), source, covered })
}

/// The files of [`AUTHORITIES`], which are part of every image.
fn authorities(root: &Path) -> Result<Vec<String>> {
    let folder = root.join(AUTHORITIES);
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot read {AUTHORITIES}"))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            paths.push(format!("{AUTHORITIES}/{}", entry.file_name().to_string_lossy()));
        }
    }
    paths.sort();
    Ok(paths)
}

/// Build arguments for the image's labels.
fn labels() -> [(&'static str, &'static str); 2] {
    [("VERSION", env!("CARGO_PKG_VERSION")), ("SOURCE", env!("CARGO_PKG_REPOSITORY"))]
}

/// The files that the stage `builder` compiles.
async fn sources(workspace: Workspace<'_>) -> Result<Vec<String>> {
    let files = git::files(workspace.root).await?;
    // Files that are not compiled must not make a new image.
    let wanted = |path: &String| is_compiled(path) || is_manifest(path);
    // Git also lists deleted files until the deletion is committed.
    Ok(files.into_iter().filter(wanted).filter(|path| workspace.root.join(path).is_file()).collect())
}

/// Whether a file of the repository counts as compiled: those of the crates, except tests and Markdown.
fn is_compiled(path: &str) -> bool {
    let inside = path.strip_prefix("crates/").and_then(|path| path.split_once('/'));
    inside.is_some_and(|(_, path)| !path.starts_with("tests/") && !path.ends_with(".md"))
}

/// Whether cargo reads a file before it compiles any crate of the workspace.
fn is_manifest(path: &str) -> bool {
    ["Cargo.toml", "Cargo.lock"].contains(&path) || (path.starts_with("xtask/") && path.ends_with("/Cargo.toml"))
}

/// Macros that compile a variable of the machine into a binary; cargo's own variables follow from the manifests.
const VARIABLES: [&str; 2] = ["option_env!(", "env!(\""];

impl Artifact {
    /// Whether the source tag stands for everything that the program was compiled from.
    pub async fn is_covered(&self, workspace: Workspace<'_>) -> bool {
        match &self.program {
            Program::FromSource => false,
            Program::Compiled(binary) => is_covered(workspace, binary).await,
            Program::Handed(handed) => handed.is_covered,
        }
    }

    /// Whether its program is there, so that the engine compiles nothing.
    pub fn is_compiled(&self) -> bool {
        self.program.file().is_some()
    }

    /// The image on this engine.
    pub fn reference(&self, service: &str) -> String {
        format!("{service}:{}", self.tag)
    }

    /// Builds the image unless the engine has it, for the checkout of `owner`. The second value is whether it was
    /// built.
    ///
    /// # Errors
    /// An engine that fails, or an image for another platform.
    pub async fn image(self, engine: &Engine, owner: &Owner, report: Reporter<'_>) -> Result<(Image, bool)> {
        let reference = self.reference(&owner.service);
        report(Progress::Doing("asking the engine for the image"));
        if let Some(image) = build::inspect(&engine.docker, &reference).await? {
            image.must_be_for(self.context.platform, &reference)?;
            build::claim(&engine.docker, &image, owner).await?;
            return Ok((image, false));
        }
        let image = build::build(&engine.docker, self.context, &reference, &owner.service, report).await?;
        build::claim(&engine.docker, &image, owner).await?;
        Ok((image, true))
    }
}

impl Program {
    fn file(&self) -> Option<&Path> {
        match self {
            Self::FromSource => None,
            Self::Compiled(file) | Self::Handed(Handed { file, .. }) => Some(file),
        }
    }
}

/// Whether all files that cargo read for the binary, by its dep-info file, are part of the source tag.
pub(crate) async fn is_covered(workspace: Workspace<'_>, binary: &Path) -> bool {
    let Ok(dep_info) = tokio::fs::read_to_string(binary.with_extension("d")).await else { return false };
    let Ok(hashed) = sources(workspace).await else { return false };
    let read = dep_info.split_once(": ").map(|(_, files)| files.replace("\\ ", "\u{0}")).unwrap_or_default();
    let mut files = read.split_whitespace().map(|file| file.replace('\u{0}', " ")).peekable();
    files.peek().is_some()
        && files.all(|file| {
            let inside = Path::new(&file).strip_prefix(workspace.root).ok();
            let known = inside.and_then(|path| path.to_str()).is_some_and(|path| hashed.iter().any(|one| one == path));
            known && !reads_variables(&file)
        })
}

/// Whether a source file compiles other variables than cargo's own into the binary.
fn reads_variables(file: &str) -> bool {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let foreign =
        |start: &&str| text.split(start).skip(1).any(|rest| !rest.trim_start_matches('"').starts_with("CARGO_"));
    VARIABLES.iter().any(foreign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compiled_files_count_as_source() {
        for path in
            ["crates/api/src/main.rs", "crates/api/Cargo.toml", "crates/api/src/tests/mod.rs", "crates/api/build.rs"]
        {
            assert!(is_compiled(path), "{path}");
        }
        for path in ["crates/api/tests/it/main.rs", "crates/api/README.md", "xtask/src/main.rs", "README.md"] {
            assert!(!is_compiled(path), "{path}");
        }
    }

    #[test]
    fn every_file_of_the_authorities_is_part_of_the_image() {
        let folder = tempfile::tempdir().unwrap();
        assert!(authorities(folder.path()).unwrap().is_empty());
        let here = folder.path().join(AUTHORITIES);
        std::fs::create_dir_all(here.join("old")).unwrap();
        for name in ["rds.pem", "own.pem"] {
            std::fs::write(here.join(name), "").unwrap();
        }
        assert_eq!(authorities(folder.path()).unwrap(), ["docker/ca/own.pem", "docker/ca/rds.pem"]);
    }

    #[test]
    fn variables_of_the_machine_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let reads = |text: &str| {
            let file = folder.path().join("main.rs");
            std::fs::write(&file, text).unwrap();
            reads_variables(file.to_str().unwrap())
        };
        assert!(!reads("const V: &str = env!(\"CARGO_PKG_VERSION\");"));
        assert!(reads("const V: &str = env!(\"BUILD_HOST\");"));
        assert!(reads("const V: Option<&str> = option_env!(\"BUILD_HOST\");"));
    }
}
