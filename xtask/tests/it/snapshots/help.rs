//! Help, of the tool and of every command.

mod automation;
mod pipeline;
mod releases;
mod stacks;

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

/// Where the options begin that every command has.
const GLOBAL: &str = "\nGlobal options:\n";
/// The end of every `-h`.
const SHORT: &str = "\nAlso --json, -q, -y, -v and --color WHEN: --help describes all, with examples.\n";

fn help(arguments: &[&str]) -> String {
    let ended = Sandbox::new().run(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout
}

/// A command's help, without what every command has: the global options, the exit codes, and what `-h` says of them.
fn of(command: &str, flag: &str) -> String {
    const CODES: &str = "\n\nExit codes:\n";
    let words: Vec<&str> = command.split(' ').chain([flag]).collect();
    let text = help(&words);
    let own = match flag {
        "-h" => text.strip_suffix(SHORT).unwrap_or_else(|| panic!("another end: {text}")).to_owned(),
        _ => {
            let parts = text.split_once(GLOBAL).and_then(|(own, rest)| Some((own, rest.split_once(CODES)?)));
            let (own, (global, rest)) = parts.unwrap_or_else(|| panic!("no global options or exit codes: {text}"));
            let (_, examples) = rest.split_once("\n\n").unwrap_or_else(|| panic!("no examples: {text}"));
            let release = help(&["release", "--help"]);
            assert!(release.contains(&format!("{GLOBAL}{global}{CODES}")), "{command} has other ones:\n{global}");
            format!("{}\n\n{examples}", own.trim_end())
        }
    };
    own.lines().map(str::trim_end).collect::<Vec<&str>>().join("\n")
}

#[test]
fn of_the_tool() {
    assert_snapshot!(help(&["--help"]), @r"
    Release the service: build its image, push it, deploy its stack, verify the result

    Usage: cargo xtask [OPTIONS] <COMMAND>

    Commands:
      doctor       Check everything that a release needs, and report all problems at once
      build        Compile the service and build its image
      release      Compile, build, push, deploy, and verify that the endpoint runs the pushed image
      plan         Publish the image and write what a release would do to a plan file for review
      diff         Show what a release would change, without changing anything
      template     Print the template as it would be deployed
      apply        Apply a plan file exactly, or refuse if the environment has changed
      deploy       Deploy an existing image and verify it, or deploy a template that runs no image
      rollback     Return to an earlier release: its image, template and parameters, without rebuilding
      smoke        Verify that an endpoint answers correctly, and which image answers
      verify       Check an image's SBOM and provenance
      status       Show the stack's state, the running image and the releases that can be rolled back to
      drift        Show drift from the template, and vulnerabilities of the running image
      secret       Store, list and remove the container's secrets
      events       Show the stack's events, or follow an operation in progress
      logs         Show the service's log
      run          Run a command once, in a task of its own with the released image
      cancel       Cancel the update in progress, or delete the stack that is being created
      recover      Roll back a stack whose update or rollback is stuck
      unlock       Remove the environment lock
      prune        Remove images and release records that are neither in use nor needed for a rollback
      destroy      Delete the stack, or what `release --local` started
      bootstrap    Create what a first release needs: repository, roles, and access for GitHub Actions
      iam-policy   Print the least-privilege IAM policy that this tool needs for an environment
      comment      Post a comment on a pull request, or update the existing one
      version      Print the next version, as the changelog's Unreleased section determines it
      announce     Publish a GitHub release of this repository, with notes from the changelog
      completions  Print a completion script
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Global options:
          --json          Print exactly one JSON object on stdout, also on failure
      -q, --quiet         Print results and errors only
      -y, --yes           Answer yes to every question
          --color <WHEN>  When to use colors; NO_COLOR is respected [default: auto] [possible values:
                          auto, always, never]
      -v, --verbose       Show the output of the compiler, the Docker engine and AWS as it arrives

    Exit codes:
      0    done, or nothing to do
      1    failed; the environment's stack was not changed
      2    usage
      3    preflight: something is missing, all of it is listed
      4    failed and rolled back
      5    needs a human
      130  interrupted; says what still runs and how to re-attach
    A command that `run` has started ends it with its own exit code.
    ");
}

#[test]
fn of_the_tool_is_the_same_however_it_is_asked_for() {
    let tool = help(&["--help"]);
    assert_eq!((help(&["-h"]), help(&["help"])), (tool.clone(), tool.clone()));
    let narrow = Sandbox::new().with("COLUMNS", "80").run(&["--help"]).stdout;
    assert_eq!(narrow, tool);
    assert!(narrow.lines().count() <= 23 && narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
}

#[test]
fn of_a_release_fits_a_small_terminal() {
    let narrow = Sandbox::new().with("COLUMNS", "80").run(&["release", "-h"]).stdout;
    assert!(narrow.lines().count() <= 23 && narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
}

#[test]
fn of_the_options_of_every_command() {
    let text = help(&["status", "--help"]);
    assert_snapshot!(text.split_once(GLOBAL).unwrap().1, @r"");
}

#[test]
fn of_a_command_is_the_same_both_ways() {
    assert_eq!(help(&["release", "--help"]), help(&["help", "release"]));
    assert!(help(&["--version"]).starts_with("cargo xtask "));
}

#[test]
fn every_command_has_a_snapshot_here() {
    let tool = help(&["--help"]);
    let table = tool.split("\n\n").nth(2).unwrap();
    // Groups, commands and their summaries: a command is what has a help of its own.
    let words = table.split_whitespace().filter(|word| word.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    let names: Vec<&str> = words.filter(|word| Sandbox::new().run(&[word, "--help"]).code == 0).collect();
    assert!(names.len() > 25, "{names:?}");
    let here = [
        include_str!("help/automation.rs"),
        include_str!("help/pipeline.rs"),
        include_str!("help/releases.rs"),
        include_str!("help/stacks.rs"),
    ];
    for name in names {
        let call = format!("of(\"{name}\", ");
        assert!(here.iter().any(|file| file.contains(&call)), "the help of {name} has no snapshot");
    }
}
