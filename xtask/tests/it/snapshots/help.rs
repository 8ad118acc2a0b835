//! Help, of the tool and of every command.

mod automation;
mod pipeline;
mod releases;
mod stacks;

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

fn help(arguments: &[&str]) -> String {
    let ended = Sandbox::new().run(arguments);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
    ended.stdout
}

/// A command's help, without the options that every command has.
fn of(command: &str, flag: &str) -> String {
    const GLOBAL: &str = "\nGlobal options:\n";
    let text = help(&[command, flag]);
    let (own, global) = text.split_once(GLOBAL).unwrap_or_else(|| panic!("no global options: {text}"));
    let tool = help(&["--help"]);
    let (_, expected) = tool.split_once(GLOBAL).unwrap();
    // The same words; a command with a long help has them on more lines.
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<String>>();
    assert!(words(expected).starts_with(&words(global)), "{command} has other global options:\n{global}");
    own.lines().map(str::trim_end).collect::<Vec<&str>>().join("\n")
}

#[test]
fn of_the_tool() {
    assert_snapshot!(help(&["--help"]), @r"
    Release the service: image, registry, stack, proof

    Usage: cargo xtask [OPTIONS] <COMMAND>

    Commands:
      doctor       Find what is missing before a release can work, all of it at once
      build        Compile the service and build its image
      release      Compile, build, push, deploy and prove that the pushed image answers
      plan         Publish the image and write down what a release would do, as one reviewable file
      diff         Show what a release would change, by reading only
      apply        Do exactly what a plan file says, or refuse
      deploy       Deploy an image that is there already, and prove it; or a template without one
      rollback     Go back to an earlier release: image, template and parameters, without a rebuild
      smoke        Prove that an endpoint answers, and with which image
      verify       Check an image's bill of materials and provenance
      status       Show the stack's state, the running image and the releases one can go back to
      drift        Show what is no longer as the template says, and the findings of the image
      events       Show the stack's events; follow an operation that is under way
      logs         Show what the service has logged
      cancel       Cancel the update that is under way, or remove the stack that is being created
      recover      Bring a stack that is stuck half-way back to where it was
      unlock       Take the environment's lock away from whoever holds it
      prune        Remove images and records that no environment runs and no release goes back to
      destroy      Remove the stack, or what `release --local` started
      bootstrap    Make what a first release needs: repository, roles, and GitHub's way in
      iam-policy   Print the IAM policy that this tool needs for an environment, and no more
      comment      Say something on a pull request, in one comment that is updated and not repeated
      version      Tell which version comes next, by what the changelog has under Unreleased
      announce     Publish a release of this repository on GitHub, with the changelog's notes
      completions  Print a completion script
      help         Print this message or the help of the given subcommand(s)

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
fn every_command_has_a_snapshot_here() {
    let tool = help(&["--help"]);
    let list = tool.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = list.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() > 10, "{names:?}");
    let here = [
        include_str!("help/automation.rs"),
        include_str!("help/pipeline.rs"),
        include_str!("help/releases.rs"),
        include_str!("help/stacks.rs"),
    ];
    for name in names.iter().filter(|name| **name != "help") {
        let call = format!("of(\"{name}\", ");
        assert!(here.iter().any(|file| file.contains(&call)), "the help of {name} has no snapshot");
    }
}
