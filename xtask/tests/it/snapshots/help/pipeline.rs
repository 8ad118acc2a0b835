//! Help of the commands that speak to GitHub.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_those_that_speak_to_github() {
    assert_snapshot!(of("comment", "--help"), @r"
    Say something on a pull request, in one comment that is updated and not repeated

    It needs what GitHub sets in every job, and GITHUB_TOKEN with the permission `pull-requests: write`.

    Usage: cargo xtask comment [OPTIONS] <FILE>...

    Arguments:
      <FILE>...
              Markdown files; what they say stands in one comment, in this order

    Options:
          --name <NAME>
              What the comment is about: there is one comment for each name

              [default: plan]

          --pull-request <NUMBER>
              The pull request [default: the one that the job runs for]

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(of("version", "--help"), @r"
    Tell which version comes next, by what the changelog has under Unreleased

    What was removed or is marked **Breaking** makes a major version (before 1.0.0 a minor one), what
    was added or changed a minor one, everything else a patch.

    Usage: cargo xtask version [OPTIONS]

    Options:
          --write
              Write it down: in the changelog with today's date, in the manifest and in the lock files

          --set <X.Y.Z>
              The version, where it is not to be the one that the changelog asks for

      -h, --help
              Print help (see a summary with '-h')
    ");
    assert_snapshot!(of("announce", "--help"), @r"
    Publish a release of this repository on GitHub, with the changelog's notes

    It needs what GitHub sets in every job, and GITHUB_TOKEN with the permission `contents: write`.

    Usage: cargo xtask announce [OPTIONS] <TAG>

    Arguments:
      <TAG>
              The tag, v and the version that Cargo.toml has

    Options:
          --dry-run
              Only see whether tag, manifest and changelog belong together, and print the notes

      -h, --help
              Print help (see a summary with '-h')
    ");
}
