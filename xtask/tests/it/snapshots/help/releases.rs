//! Commands that build, deploy and roll back.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_doctor() {
    assert_snapshot!(of("doctor", "-h"), @r"
    Check everything that a release needs, and report all problems at once

    Usage: cargo xtask doctor [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --token <FILE|->  Compare this token's claims with the deploy role's trust policy; - reads
                            stdin [default: the GitHub job's own token]
      -h, --help            Print help (see more with '--help')
    ");
}

#[test]
fn of_build() {
    assert_snapshot!(of("build", "-h"), @r"
    Compile the service and build its image

    Usage: cargo xtask build [OPTIONS]

    Options:
          --platform <OS/ARCH>  Platform of the image: linux/amd64 or linux/arm64 [default: this
                                machine's architecture]
          --from-source         Compile in the Docker engine instead of with cargo
      -h, --help                Print help (see more with '--help')
    ");
}

#[test]
fn of_template() {
    assert_snapshot!(of("template", "-h"), @r"
    Print the template as it would be deployed

    Usage: cargo xtask template [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
      -h, --help  Print help (see more with '--help')
    ");
}

#[test]
fn of_release() {
    assert_snapshot!(of("release", "-h"), @r"
    Compile, build, push, deploy, and verify that the endpoint runs the pushed image

    Usage: cargo xtask release [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --local        Release to this machine's Docker engine
          --from-source  Compile in the Docker engine instead of with cargo
          --dry-run      Show what would be done and change nothing
      -h, --help         Print help (see more with '--help')

    Deployment options:
          --smoke-url <URL>      Base URL for the smoke test, instead of the stack's
          --no-smoke             Skip the test of which image the endpoint runs
          --wait                 Wait for the environment lock instead of failing
          --no-follow            Fail if an operation of the stack is in progress
          --allow <LOGICAL_ID>   Allow this resource to be replaced or removed
          --allow-finding <CVE>  Accept this finding of the image scan
          --keep-failed          Keep a release that fails verification
    ");
}

#[test]
fn of_plan() {
    assert_snapshot!(of("plan", "-h"), @r"
    Publish the image and write what a release would do to a plan file for review

    Usage: cargo xtask plan [OPTIONS] --out <FILE> <ENV>

    Arguments:
      <ENV>  An environment of deploy.toml

    Options:
          --out <FILE>   The plan file to write
          --from-source  Compile in the Docker engine instead of with cargo
      -h, --help         Print help (see more with '--help')

    Deployment options:
          --smoke-url <URL>      Base URL for the smoke test, instead of the stack's
          --no-smoke             Skip the test of which image the endpoint runs
          --wait                 Wait for the environment lock instead of failing
          --no-follow            Fail if an operation of the stack is in progress
          --allow <LOGICAL_ID>   Allow this resource to be replaced or removed
          --allow-finding <CVE>  Accept this finding of the image scan
    ");
}

#[test]
fn of_diff() {
    assert_snapshot!(of("diff", "-h"), @r"
    Show what a release would change, without changing anything

    Usage: cargo xtask diff [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --image <URI>             The image to compare, HOST/REPOSITORY@sha256:… or
                                    HOST/REPOSITORY:TAG [default: this work tree's]
          --out <FILE>              Also write the result to a file, as Markdown
          --registry <HOST[:PORT]>  The registry's actual host, if the repository's URI names another
                                    (an emulator)
          --from-source             Compile in the Docker engine instead of with cargo
      -h, --help                    Print help (see more with '--help')
    ");
}

#[test]
fn of_apply() {
    assert_snapshot!(of("apply", "-h"), @r"
    Apply a plan file exactly, or refuse if the environment has changed

    Usage: cargo xtask apply [OPTIONS] <FILE>

    Arguments:
      <FILE>  A file that `plan` wrote

    Options:
      -h, --help  Print help (see more with '--help')

    Deployment options:
          --smoke-url <URL>      Base URL for the smoke test, instead of the stack's
          --no-smoke             Skip the test of which image the endpoint runs
          --wait                 Wait for the environment lock instead of failing
          --allow-finding <CVE>  Accept this finding of the image scan
    ");
}

#[test]
fn of_deploy() {
    assert_snapshot!(of("deploy", "-h"), @r"
    Deploy an existing image and verify it, or deploy a template that runs no image

    Usage: cargo xtask deploy [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --image <URI>  The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG; leave it out for a
                         template that runs none
          --dry-run      Show what would be done and change nothing
      -h, --help         Print help (see more with '--help')

    Deployment options:
          --smoke-url <URL>      Base URL for the smoke test, instead of the stack's
          --no-smoke             Skip the test of which image the endpoint runs
          --wait                 Wait for the environment lock instead of failing
          --no-follow            Fail if an operation of the stack is in progress
          --allow <LOGICAL_ID>   Allow this resource to be replaced or removed
          --allow-finding <CVE>  Accept this finding of the image scan
          --keep-failed          Keep a release that fails verification
    ");
}

#[test]
fn of_rollback() {
    assert_snapshot!(of("rollback", "-h"), @r"
    Return to an earlier release: its image, template and parameters, without rebuilding

    Usage: cargo xtask rollback [OPTIONS] [ENV] [RELEASE]

    Arguments:
      [ENV]      An environment of deploy.toml [default: dev]
      [RELEASE]  The release's number, as `status` shows it [default: the one before the running
                 release]

    Options:
          --dry-run  Show what would be done and change nothing
      -h, --help     Print help (see more with '--help')

    Deployment options:
          --smoke-url <URL>      Base URL for the smoke test, instead of the stack's
          --no-smoke             Skip the test of which image the endpoint runs
          --wait                 Wait for the environment lock instead of failing
          --no-follow            Fail if an operation of the stack is in progress
          --allow <LOGICAL_ID>   Allow this resource to be replaced or removed
          --allow-finding <CVE>  Accept this finding of the image scan
    ");
}

#[test]
fn of_verify() {
    assert_snapshot!(of("verify", "-h"), @r"
    Check an image's SBOM and provenance

    Usage: cargo xtask verify [OPTIONS] [IMAGE|ENV]

    Arguments:
      [IMAGE|ENV]  An image, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG, or the environment that
                   runs it [default: dev]

    Options:
          --repository <URL>  The source repository that it must come from [default: the pipeline's,
                              git's remote origin, or Cargo.toml's]
      -h, --help              Print help (see more with '--help')
    ");
}

#[test]
fn of_smoke() {
    assert_snapshot!(of("smoke", "-h"), @r"
    Verify that an endpoint answers correctly, and which image answers

    Usage: cargo xtask smoke [OPTIONS] [ENV|URL]

    Arguments:
      [ENV|URL]  An environment of deploy.toml, or a base URL [default: dev]

    Options:
          --digest <sha256:…>  The image digest that must answer [default for ENV: its stack's image]
          --smoke-url <URL>    Base URL, if the stack's own is not reachable; may contain outputs as
                               {OutputKey}
      -h, --help               Print help (see more with '--help')
    ");
}

#[test]
fn of_run() {
    assert_snapshot!(of("run", "--help"), @r"
    Run a command once, in a task of its own with the released image

    The task has the variables, secrets, network and roles of the service, in an environment that runs
    it on ECS. Its log is printed as it is written, and its exit code, which may be any number, becomes
    that of this command. A failure before the task starts has the codes below. Ctrl-C stops the task.
    No lock is taken: a release may go on meanwhile. The words after -- are the whole command of an
    image without an entry point, as docker/Dockerfile makes one; an image with an entry point gets them
    as its arguments.

    Usage: cargo xtask run [OPTIONS] <ENV> -- <COMMAND>...

    Arguments:
      <ENV>
              An environment of deploy.toml

      <COMMAND>...
              The command with its arguments, after --

    Options:
          --image <URI>
              Run this image instead of the released one: HOST/REPOSITORY@sha256:… or
              HOST/REPOSITORY:TAG

          --detach
              Do not wait for the task: print its ARN, and how to follow it

          --timeout <AGE>
              How long the command may take before its task is stopped: a number followed by s, m, h or
              d

              [default: 1h]

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask run dev -- /api migrate              # with the released image
      cargo xtask run dev --timeout 4h -- /api import  # for longer than an hour
      cargo xtask run dev --detach -- /api import      # without waiting for it
    ");
}
