//! Commands that read, repair or remove an environment.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_status() {
    assert_snapshot!(of("status", "-h"), @r"
    Show the stack's state, the running image and the releases that can be rolled back to

    Usage: cargo xtask status [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help (see more with '--help')
    ");
}

#[test]
fn of_drift() {
    assert_snapshot!(of("drift", "--help"), @r"
    Show drift from the template, and vulnerabilities of the running image

    CloudFormation detects the drift; nothing is changed. Drift, or a vulnerability of severity high or
    critical, ends the command with exit code 1. Values that AWS changes by design, such as traffic
    weights during a deployment and task counts under auto scaling, are reported and do not count.

    Usage: cargo xtask drift [OPTIONS] [ENV]

    Arguments:
      [ENV]
              An environment of deploy.toml

              [default: dev]

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask drift production         # exit code 1 if there is any
      cargo xtask drift production --json  # for a program
    ");
}

#[test]
fn of_template() {
    assert_snapshot!(of("template", "--help"), @r"
    Print the template as it would be deployed

    That is the file that deploy.toml names, with the variables, secrets and permissions of the
    environment added to its container. Secrets are references; no value is in it.

    Usage: cargo xtask template [OPTIONS] [ENV]

    Arguments:
      [ENV]
              An environment of deploy.toml

              [default: dev]

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask template dev                                 # on the screen
      cargo xtask template production --quiet > template.yaml  # into a file
    ");
}

#[test]
fn of_secret() {
    assert_snapshot!(of("secret", "-h"), @r"
    Store, list and remove the container's secrets

    Usage: cargo xtask secret [OPTIONS] <COMMAND>

    Commands:
      set     Store a value as the secret's next version, and print its line for deploy.toml
      list    List the secrets with their versions, and whether the running service has the newest
      remove  Delete a secret that neither deploy.toml nor the deployed stack names
      help    Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help (see more with '--help')
    ");
    assert_snapshot!(of("secret set", "--help"), @r"
    Store a value as the secret's next version, and print its line for deploy.toml

    The value is asked for, without showing it, or read from standard input, where one line break at its
    end does not count. It has at most 4,096 bytes. The container gets it with the next release.

    Usage: cargo xtask secret set [OPTIONS] <ENV> <NAME>

    Arguments:
      <ENV>
              An environment of deploy.toml; a secret is for all of its instances

      <NAME>
              The variable that the container gets it in

    Options:
      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask secret set dev PGPASSWORD         # asks for the value
      cargo xtask secret set dev PGPASSWORD < FILE  # takes it from a file
    ");
    assert_snapshot!(of("secret list", "-h"), @r"
    List the secrets with their versions, and whether the running service has the newest

    Usage: cargo xtask secret list [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help (see more with '--help')
    ");
    assert_snapshot!(of("secret remove", "-h"), @r"
    Delete a secret that neither deploy.toml nor the deployed stack names

    Usage: cargo xtask secret remove [OPTIONS] <ENV> <NAME>

    Arguments:
      <ENV>   An environment of deploy.toml; a secret is for all of its instances
      <NAME>  The variable that the container would get it in

    Options:
      -h, --help  Print help (see more with '--help')
    ");
}

#[test]
fn of_events() {
    assert_snapshot!(of("events", "-h"), @r"
    Show the stack's events, or follow an operation in progress

    Usage: cargo xtask events [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -f, --follow     Follow the operation in progress until it ends
          --limit <N>  Maximum number of events to show, the newest ones [default: 50]
      -h, --help       Print help (see more with '--help')
    ");
}

#[test]
fn of_logs() {
    assert_snapshot!(of("logs", "-h"), @r"
    Show the service's log

    Usage: cargo xtask logs [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -f, --follow       Show new lines until interrupted
          --since <AGE>  How far back to start: a number followed by s, m, h or d [default: 1h]
          --limit <N>    Maximum number of lines to show, the newest ones [default: 200]
          --raw          Show each line as the log group has it, with its stream
      -h, --help         Print help (see more with '--help')
    ");
}

#[test]
fn of_cancel() {
    assert_snapshot!(of("cancel", "-h"), @r"
    Cancel the update in progress, or delete the stack that is being created

    Usage: cargo xtask cancel [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help (see more with '--help')
    ");
}

#[test]
fn of_recover() {
    assert_snapshot!(of("recover", "-h"), @r"
    Roll back a stack whose update or rollback is stuck

    Usage: cargo xtask recover [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --skip <LOGICAL_ID>  Skip this resource, which cannot be rolled back; may be repeated
      -h, --help               Print help (see more with '--help')
    ");
}

#[test]
fn of_unlock() {
    assert_snapshot!(of("unlock", "-h"), @r"
    Remove the environment lock

    Usage: cargo xtask unlock [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help (see more with '--help')
    ");
}

#[test]
fn of_prune() {
    assert_snapshot!(of("prune", "-h"), @r"
    Remove images and release records that are neither in use nor needed for a rollback

    Usage: cargo xtask prune [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --keep <N>  Number of successful releases of the environment to keep for rollbacks [default:
                      10]
          --dry-run   Show what would be removed and remove nothing
      -h, --help      Print help (see more with '--help')
    ");
}

#[test]
fn of_destroy() {
    assert_snapshot!(of("destroy", "-h"), @r"
    Delete the stack, or what `release --local` started

    Usage: cargo xtask destroy [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml

    Options:
          --local    Remove what `release --local` started from this checkout
          --images   Also remove the images: the whole repository, or with --local those of this
                     checkout
          --wait     Wait for the environment lock instead of failing
          --dry-run  Show what would be removed and remove nothing
      -h, --help     Print help (see more with '--help')
    ");
}

#[test]
fn of_bootstrap() {
    assert_snapshot!(of("bootstrap", "-h"), @r"
    Create what a first release needs: repository, roles, and access for GitHub Actions

    Usage: cargo xtask bootstrap [OPTIONS] <ENV>

    Arguments:
      <ENV>  An environment of deploy.toml

    Options:
          --github <OWNER/REPO>         The GitHub repository whose pipeline may release, as GitHub
                                        spells it [default: unchanged, at first none]
          --github-id <ID>              GitHub's id of the repository: gh api repos/OWNER/REPO --jq .id
          --owner-id <ID>               GitHub's id of the owner: gh api repos/OWNER/REPO --jq .owner.id
          --github-environment <NAME>   The GitHub environment in which the deploying job must run
                                        [default: ENV]
          --plan-environment <NAME>     The GitHub environment of the jobs that publish and plan
                                        [default: that of --github-environment with -plan]
          --default-branch <NAME>       The branch whose jobs may read without a GitHub environment, as
                                        pull requests may [default: main]
          --github-workflow <FILE@REF>  The only workflow that may plan and release,
                                        OWNER/REPO/.github/workflows/FILE@REF [default: any]
          --api-gateway-logs            Set up API Gateway's role for logs in this account and region if
                                        there is none
          --service-action <ACTION>     An AWS action that the service itself may be allowed, such as
                                        s3:GetObject; may be repeated
          --check-token <FILE|->        Only compare a token's claims with the trust policy, that of
                                        --github or else the stack's; - reads stdin
          --dry-run                     Show what would be created and change nothing
      -h, --help                        Print help (see more with '--help')
    ");
}
