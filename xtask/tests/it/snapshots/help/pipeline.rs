//! Help of the commands that speak to GitHub.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_those_that_speak_to_github() {
    assert_snapshot!(of("comment", "--help"), @r"
    Post a comment on a pull request, or update the existing one

    Needs the variables that GitHub sets in every job, and a GITHUB_TOKEN with the permission
    `pull-requests: write`.

    Usage: cargo xtask comment [OPTIONS] <FILE>...

    Arguments:
      <FILE>...
              Markdown files, which make up the comment in this order

    Options:
          --name <NAME>
              Name of the comment: there is one comment for each name

              [default: plan]

          --pull-request <NUMBER>
              The pull request [default: the one that the job runs for]

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask comment diff.md                    # on the job's pull request
      cargo xtask comment diff.md --pull-request 12  # on another one
    ");
    assert_snapshot!(of("compile", "--help"), @r"
    Put this tool, and the service if wanted, into a folder for jobs that compile nothing

    The list of the files, SHA256SUMS, has a digest, which is printed. `.ci/tool DIGEST` runs the tool
    of the folder target/tool if its files and their list are those.

    Usage: cargo xtask compile [OPTIONS] --out <FOLDER>

    Options:
          --out <FOLDER>
              The folder to write to

          --service
              Compile the service as well, for `--compiled` of the commands that make its image

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask compile --out target/tool            # for .ci/tool DIGEST
      cargo xtask compile --out target/tool --service  # for a release as well
    ");
    assert_snapshot!(of("sweep", "--help"), @r"
    Delete the instances of an environment whose pull requests are closed or have lost their label

    These are instances with names such as `pr-12`. Needs the variables that GitHub sets in every job,
    and a GITHUB_TOKEN with the permission `pull-requests: read`. One that cannot be deleted does not
    keep the others.

    Usage: cargo xtask sweep [OPTIONS] <ENV>

    Arguments:
      <ENV>
              An environment of deploy.toml with `instances`

    Options:
          --label <NAME>
              The label of the pull requests whose instances are kept

              [default: preview]

          --dry-run
              Show what would be removed and remove nothing

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask sweep preview --dry-run  # what would be deleted
      cargo xtask sweep preview --yes      # every night, in a job on GitHub
    ");
    assert_snapshot!(of("version", "--help"), @r"
    Print the next version, as the changelog's Unreleased section determines it

    Removals and entries marked **Breaking** make a major version (before 1.0.0 a minor one), additions
    and changes a minor one, everything else a patch.

    Usage: cargo xtask version [OPTIONS]

    Options:
          --write
              Write the version to the changelog, with today's date, the manifest and the lock files

          --set <X.Y.Z>
              Use this version instead of the one that the changelog determines

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask version                      # prints it
      cargo xtask version --write              # writes it to changelog and manifest
      cargo xtask version --write --set 2.0.0  # another one than by the changelog
    ");
    assert_snapshot!(of("announce", "--help"), @r"
    Publish a GitHub release of this repository, with notes from the changelog

    Needs the variables that GitHub sets in every job, and a GITHUB_TOKEN with the permission `contents:
    write`.

    Usage: cargo xtask announce [OPTIONS] <TAG>

    Arguments:
      <TAG>
              The tag: v followed by the version in Cargo.toml

    Options:
          --dry-run
              Only check that tag, manifest and changelog agree, and print the notes

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      cargo xtask announce v1.2.0 --dry-run  # prints the notes
      cargo xtask announce v1.2.0            # publishes them
    ");
}
