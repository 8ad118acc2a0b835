//! Help, of the tool and of every command.

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

fn help(arguments: &[&str]) -> String {
    let ended = Sandbox::new().run(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout
}

#[test]
fn of_the_tool() {
    assert_snapshot!(help(&["--help"]), @r"
    Release the service: image, registry, stack, proof

    Usage: cargo xtask [OPTIONS] <COMMAND>

    Commands:
      doctor   Find what is missing before a release can work, all of it at once
      build    Compile the service and build its image
      release  Compile, build, push, deploy and prove that the pushed image answers
      deploy   Deploy an image that is already in the registry, and prove it
      smoke    Prove that an endpoint answers, and with which image
      status   Show the stack's state and the running image
      destroy  Remove the stack, or what `release --local` started
      help     Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work

    Exit codes:
      0    done, or nothing to do
      1    failed; no stack was changed
      2    usage
      3    preflight: something is missing, all of it is listed
      4    failed and rolled back
      5    needs a human
      130  interrupted; says what still runs and how to re-attach
    ");
}

#[test]
fn of_a_command_is_the_same_both_ways() {
    assert_eq!(help(&["release", "--help"]), help(&["help", "release"]));
    assert!(help(&["--version"]).starts_with("cargo xtask "));
}

#[test]
fn of_doctor() {
    assert_snapshot!(help(&["doctor", "-h"]), @r"
    Find what is missing before a release can work, all of it at once

    Usage: cargo xtask doctor [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}

#[test]
fn of_build() {
    assert_snapshot!(help(&["build", "-h"]), @r"
    Compile the service and build its image

    Usage: cargo xtask build [OPTIONS]

    Options:
          --platform <OS/ARCH>     Platform of the image: linux/amd64 or linux/arm64 [default: this
                                   machine's architecture]
          --from-source            Compile inside the engine (stage `builder`) instead of with this
                                   machine's cargo
          --builder-image <IMAGE>  Base image of the stage `builder`, where another than
                                   docker/Dockerfile's is wanted
      -h, --help                   Print help (see more with '--help')

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}

#[test]
fn of_release() {
    assert_snapshot!(help(&["release", "-h"]), @r"
    Compile, build, push, deploy and prove that the pushed image answers

    Usage: cargo xtask release [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --local                   Release to this machine's Docker engine; no account is needed and
                                    nothing leaves the machine
          --smoke-url <URL>         Base URL for the smoke test, where the stack's own does not lead;
                                    may name outputs as {OutputKey}
          --no-smoke                Do not prove that the endpoint runs the image
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --dry-run                 Say what would be done and change nothing (release still compiles,
                                    to know the image's tag)
          --from-source             Compile inside the engine (stage `builder`) instead of with this
                                    machine's cargo
          --builder-image <IMAGE>   Base image of the stage `builder`, where another than
                                    docker/Dockerfile's is wanted
      -h, --help                    Print help (see more with '--help')

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}

#[test]
fn of_deploy() {
    assert_snapshot!(help(&["deploy", "-h"]), @r"
    Deploy an image that is already in the registry, and prove it

    Usage: cargo xtask deploy [OPTIONS] --image <URI> [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --image <URI>             The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
          --smoke-url <URL>         Base URL for the smoke test, where the stack's own does not lead;
                                    may name outputs as {OutputKey}
          --no-smoke                Do not prove that the endpoint runs the image
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --dry-run                 Say what would be done and change nothing (release still compiles,
                                    to know the image's tag)
      -h, --help                    Print help

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}

#[test]
fn of_smoke() {
    assert_snapshot!(help(&["smoke", "-h"]), @r"
    Prove that an endpoint answers, and with which image

    Usage: cargo xtask smoke [OPTIONS] [ENV|URL]

    Arguments:
      [ENV|URL]  An environment of deploy.toml, or a base URL [default: dev]

    Options:
          --digest <sha256:…>  The digest that must answer [default for ENV: the one its stack names]
          --smoke-url <URL>    Base URL, where the stack's own does not lead; may name outputs as
                               {OutputKey}
      -h, --help               Print help

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}

#[test]
fn of_status() {
    assert_snapshot!(help(&["status", "-h"]), @r"
    Show the stack's state and the running image

    Usage: cargo xtask status [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}

#[test]
fn of_destroy() {
    assert_snapshot!(help(&["destroy", "-h"]), @r"
    Remove the stack, or what `release --local` started

    Usage: cargo xtask destroy [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml

    Options:
          --local    Remove what `release --local` started
          --images   Remove the images too: the whole repository, or this machine's
          --dry-run  Say what would be removed and remove nothing
      -h, --help     Print help

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer every question with yes
          --color <WHEN>  When to colour; NO_COLOR is respected [default: auto] [possible values: auto,
                          always, never]
      -v, --verbose       Show what the compiler, the engine and AWS say while they work
    ");
}
