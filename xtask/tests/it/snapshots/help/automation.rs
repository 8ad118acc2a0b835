//! Commands for machines, with their long help.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_iam_policy() {
    assert_snapshot!(of("iam-policy", "--help"), @r"
    Print the least-privilege IAM policy that this tool needs for an environment

    It covers the calls that the tool itself makes. The permissions with which CloudFormation creates
    the template's resources are separate: they come from the caller or from an execution role.

    Usage: cargo xtask iam-policy [OPTIONS] [ENV]

    Arguments:
      [ENV]
              An environment of deploy.toml

              [default: dev]

    Options:
          --for <LEVEL>
              Permissions to read only, to publish and plan as well, or to release as well

              Possible values:
              - read:    Look: no log line, no secret, nothing that writes
              - plan:    Publish an image and have change sets made, without executing one
              - release: Everything that this tool does

              [default: release]

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask iam-policy dev             # for releases
      cargo xtask iam-policy dev --for read  # for those who only watch
    ");
}

#[test]
fn of_completions() {
    assert_snapshot!(of("completions", "--help"), @r"
    Print a completion script

    For bash, zsh and fish it completes `cargo xtask`, with the environments of deploy.toml, and leaves
    what else cargo can do to cargo's own completions. In every shell it completes an alias `xtask`,
    too.

    Usage: cargo xtask completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>
              The shell

              [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Examples:
      source <(cargo xtask completions bash)  # in ~/.bashrc, after cargo's own
      source <(cargo xtask completions zsh)   # in ~/.zshrc
      cargo xtask completions fish | source   # in config.fish
    ");
}
