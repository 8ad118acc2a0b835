//! Commands for machines, with their long help.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_iam_policy() {
    assert_snapshot!(of("iam-policy", "--help"), @r"
    Print the IAM policy that this tool needs for an environment, and no more

    It covers the calls that the tool makes itself. What CloudFormation needs to create the template's
    resources is another matter: the caller's own permissions, or those of an execution role, have to
    cover them.

    Usage: cargo xtask iam-policy [OPTIONS] [ENV]

    Arguments:
      [ENV]
              An environment of deploy.toml

              [default: dev]

    Options:
          --for <LEVEL>
              For whoever only looks, also publishes and plans, or also releases

              Possible values:
              - read:    Look: no log line, no secret, nothing that writes
              - plan:    Publish an image and have change sets made, without executing one
              - release: Everything that this tool does

              [default: release]

      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn of_completions() {
    assert_snapshot!(of("completions", "--help"), @r"
    Print a completion script

    It completes the word `xtask`; with bash or zsh, for example: alias xtask='cargo xtask'

    Usage: cargo xtask completions [OPTIONS] <SHELL>

    Arguments:
      <SHELL>
              The shell it is for

              [possible values: bash, elvish, fish, powershell, zsh]

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
}
