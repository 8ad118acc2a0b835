//! Commands that read, repair or remove an environment.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_status() {
    assert_snapshot!(of("status", "-h"), @r"
    Show the stack's state, the running image and the releases one can go back to

    Usage: cargo xtask status [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help
    ");
}

#[test]
fn of_drift() {
    assert_snapshot!(of("drift", "--help"), @r"
    Show what is no longer as the template says, and the findings of the image

    CloudFormation compares; nothing changes. Drift, and a finding of severity high or critical, end it
    with exit code 1. What AWS moves by itself, weights that ECS shifts and counts that scaling sets, is
    told and does not count.

    Usage: cargo xtask drift [OPTIONS] [ENV]

    Arguments:
      [ENV]
              An environment of deploy.toml

              [default: dev]

    Options:
      -h, --help
              Print help (see a summary with '-h')
    ");
}

#[test]
fn of_events() {
    assert_snapshot!(of("events", "-h"), @r"
    Show the stack's events; follow an operation that is under way

    Usage: cargo xtask events [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -f, --follow     Go on until the operation that is under way comes to its end
          --limit <N>  Most events to show, the newest ones [default: 50]
      -h, --help       Print help
    ");
}

#[test]
fn of_logs() {
    assert_snapshot!(of("logs", "-h"), @r"
    Show what the service has logged

    Usage: cargo xtask logs [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -f, --follow       Go on until interrupted
          --since <AGE>  How far back to begin: a number and s, m, h or d [default: 1h]
          --limit <N>    Most lines to show, the newest ones [default: 200]
      -h, --help         Print help
    ");
}

#[test]
fn of_cancel() {
    assert_snapshot!(of("cancel", "-h"), @r"
    Cancel the update that is under way, or remove the stack that is being created

    Usage: cargo xtask cancel [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help
    ");
}

#[test]
fn of_recover() {
    assert_snapshot!(of("recover", "-h"), @r"
    Bring a stack that is stuck half-way back to where it was

    Usage: cargo xtask recover [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --skip <LOGICAL_ID>  Give up this resource, which cannot be brought back; may be repeated
      -h, --help               Print help
    ");
}

#[test]
fn of_unlock() {
    assert_snapshot!(of("unlock", "-h"), @r"
    Take the environment's lock away from whoever holds it

    Usage: cargo xtask unlock [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help
    ");
}

#[test]
fn of_prune() {
    assert_snapshot!(of("prune", "-h"), @r"
    Remove images and records that no environment runs and no release goes back to

    Usage: cargo xtask prune [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --keep <N>  Successful releases of the environment that one can still go back to afterwards
                      [default: 10]
          --dry-run   Say what would be removed and remove nothing
      -h, --help      Print help
    ");
}

#[test]
fn of_destroy() {
    assert_snapshot!(of("destroy", "-h"), @r"
    Remove the stack, or what `release --local` started

    Usage: cargo xtask destroy [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml

    Options:
          --local    Remove what `release --local` started from this checkout
          --images   Remove the images too: the whole repository, or with --local those of this checkout
          --wait     Wait for the environment lock, instead of stopping where somebody else holds it
          --dry-run  Say what would be removed and remove nothing
      -h, --help     Print help
    ");
}

#[test]
fn of_bootstrap() {
    assert_snapshot!(of("bootstrap", "-h"), @r"
    Make what a first release needs: repository, roles, and GitHub's way in

    Usage: cargo xtask bootstrap [OPTIONS] <ENV>

    Arguments:
      <ENV>  An environment of deploy.toml

    Options:
          --github <OWNER/REPO>         The repository on GitHub whose pipeline may release, as GitHub
                                        spells it [default: as it is, at first none]
          --github-id <ID>              GitHub's number of the repository: gh api repos/OWNER/REPO --jq
                                        .id
          --owner-id <ID>               GitHub's number of the owner: gh api repos/OWNER/REPO --jq
                                        .owner.id
          --github-environment <NAME>   The GitHub environment that the pipeline's job has to run in
                                        [default: ENV]
          --plan-environment <NAME>     The GitHub environment of the jobs that publish and plan
                                        [default: that of --github-environment with -plan]
          --default-branch <NAME>       The branch whose jobs may look without a GitHub environment, as
                                        pull requests may [default: main]
          --github-workflow <FILE@REF>  The one workflow that may plan and release,
                                        OWNER/REPO/.github/workflows/FILE@REF [default: any]
          --api-gateway-logs            Have API Gateway log in this account and region, where it does
                                        not yet
          --service-action <ACTION>     Something that the service itself may come to do at AWS, such as
                                        s3:GetObject; may be repeated
          --check-token <FILE|->        Only hold a token's claims against the trust, that of --github
                                        or else the stack's; - reads stdin
          --dry-run                     Say what would be made and change nothing
      -h, --help                        Print help (see more with '--help')
    ");
}
