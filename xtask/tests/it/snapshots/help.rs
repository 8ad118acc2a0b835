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
    Build the service's image, push it, deploy its stack and verify the result

    Usage: cargo xtask <COMMAND> [ENV] [OPTIONS]

    daily     release    Build, deploy, verify   plan        Write a plan to review
              apply      Deploy as planned       deploy      Deploy an image again
              rollback   Return to a release     diff        Show what would change
              template   Print the template      status      Show state and releases
              logs       Show the service's log  events      Show the stack's events
              smoke      Verify the endpoint
    backend   secret     Store and list secrets  run         Run a command once
    trouble   cancel     Cancel an update        recover     Roll back a stuck stack
              unlock     Remove the lock         drift       Show drift and findings
    upkeep    prune      Remove old images       destroy     Delete the stack
              sweep      Delete old previews     verify      Check SBOM, provenance
    set-up    doctor     Check what is missing   bootstrap   Create roles, registry
              iam-policy Print the permissions   completions Print a shell script
              build      Build the image only
    pipeline  compile    Hand the tool over      comment     Comment a pull request
              version    Print the next version  announce    Publish on GitHub

    Every command takes --json, -q (quiet), -y (yes), -v (verbose), --color WHEN.
    Options, exit codes and examples of a command: cargo xtask help COMMAND
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
    assert_snapshot!(text.split_once(GLOBAL).unwrap().1, @r"
          --json
              Print exactly one JSON object on stdout, also on failure

      -q, --quiet
              Print results and errors only

      -y, --yes
              Answer yes to every question

          --color <WHEN>
              When to use colors; NO_COLOR is respected
              
              [default: auto]
              [possible values: auto, always, never]

      -v, --verbose
              Show the output of the compiler, the Docker engine and AWS as it arrives

    Exit codes:
      0    done, or nothing to do
      1    failed; the environment's stack was not changed
      2    usage
      3    preflight: something is missing, all of it is listed
      4    failed and rolled back
      5    needs a human
      130  interrupted; says what still runs and how to re-attach
    A command that `run` has started ends it with its own exit code.

    Examples:
      cargo xtask status                    # of dev
      cargo xtask status production --json  # for a program
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
