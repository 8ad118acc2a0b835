//! The command line: types and help, nothing else.

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::image::ImageReference;
use crate::outcome::EXIT_CODES;

/// Release the service: image, registry, stack, proof
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version, after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Print exactly one JSON object on stdout, also on failure
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print results and errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Answer every question with yes
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// When to colour; NO_COLOR is respected
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
    /// Show what the compiler, the engine and AWS say while they work
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find what is missing before a release can work, all of it at once
    Doctor {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Compile the service and build its image
    Build(Build),
    /// Compile, build, push, deploy and prove that the pushed image answers
    Release(Release),
    /// Deploy an image that is already in the registry, and prove it
    Deploy(Deploy),
    /// Prove that an endpoint answers, and with which image
    Smoke(Smoke),
    /// Show the stack's state and the running image
    Status {
        #[command(flatten)]
        environment: EnvironmentArg,
    },
    /// Remove the stack, or what `release --local` started
    Destroy(Destroy),
}

#[derive(Debug, Args)]
pub(crate) struct EnvironmentArg {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", default_value = "dev")]
    pub(crate) environment: String,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Source {
    /// Compile inside the engine (stage `builder`) instead of with this machine's cargo
    ///
    /// Always so where this machine is not Linux of the image's architecture.
    #[arg(long)]
    pub(crate) from_source: bool,
    /// Base image of the stage `builder`, where another than docker/Dockerfile's is wanted
    #[arg(long, value_name = "IMAGE", requires = "from_source")]
    pub(crate) builder_image: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Platform of the image: linux/amd64 or linux/arm64 [default: this machine's architecture]
    #[arg(long, value_name = "OS/ARCH")]
    pub(crate) platform: Option<String>,
    #[command(flatten)]
    pub(crate) source: Source,
}

/// Where and whether the deployment is proved.
#[derive(Debug, Clone, Args)]
pub(crate) struct Proof {
    /// Base URL for the smoke test, where the stack's own does not lead; may name outputs as {OutputKey}
    #[arg(long, value_name = "URL", conflicts_with = "no_smoke", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
    /// Do not prove that the endpoint runs the image
    #[arg(long)]
    pub(crate) no_smoke: bool,
    /// The registry's real host, where the repository's URI names another (an emulator)
    #[arg(long, value_name = "HOST[:PORT]", value_parser = registry)]
    pub(crate) registry: Option<String>,
    /// Say what would be done and change nothing (release still compiles, to know the image's tag)
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// Release to this machine's Docker engine; no account is needed and nothing leaves the machine
    #[arg(long, conflicts_with_all = ["environment", "smoke_url", "registry"])]
    pub(crate) local: bool,
    #[command(flatten)]
    pub(crate) proof: Proof,
    #[command(flatten)]
    pub(crate) source: Source,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    pub(crate) environment: EnvironmentArg,
    /// The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    #[arg(long, value_name = "URI")]
    pub(crate) image: String,
    #[command(flatten)]
    pub(crate) proof: Proof,
}

#[derive(Debug, Args)]
pub(crate) struct Smoke {
    /// An environment of deploy.toml, or a base URL
    #[arg(value_name = "ENV|URL", default_value = "dev")]
    pub(crate) target: String,
    /// The digest that must answer [default for ENV: the one its stack names]
    #[arg(long, value_name = "sha256:…")]
    pub(crate) digest: Option<String>,
    /// Base URL, where the stack's own does not lead; may name outputs as {OutputKey}
    #[arg(long, value_name = "URL", value_parser = smoke_url)]
    pub(crate) smoke_url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Destroy {
    /// An environment of deploy.toml
    #[arg(value_name = "ENV", required_unless_present = "local")]
    pub(crate) environment: Option<String>,
    /// Remove what `release --local` started
    #[arg(long, conflicts_with = "environment")]
    pub(crate) local: bool,
    /// Remove the images too: the whole repository, or this machine's
    #[arg(long)]
    pub(crate) images: bool,
    /// Say what would be removed and remove nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// A base URL, or a pattern that begins with an output.
fn smoke_url(text: &str) -> Result<String, &'static str> {
    let starts = ["http://", "https://", "{"].iter().any(|start| text.starts_with(start));
    if starts && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(text.to_owned())
    } else {
        Err("a URL starts with http:// or https://, or with an output as {OutputKey}")
    }
}

/// What may stand before the `/` of an image's name.
fn registry(text: &str) -> Result<String, &'static str> {
    let parsed = format!("{text}/name:tag").parse::<ImageReference>();
    match parsed {
        Ok(image) if image.host == text => Ok(image.host),
        _ => Err("a registry is HOST or HOST:PORT, without a scheme"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
