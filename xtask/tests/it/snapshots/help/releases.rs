//! Commands that build, deploy and roll back.

use insta::assert_snapshot;

use super::of;

#[test]
fn of_doctor() {
    assert_snapshot!(of("doctor", "-h"), @r"
    Find what is missing before a release can work, all of it at once

    Usage: cargo xtask doctor [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --token <FILE|->  Hold this token's claims against the deploy role's trust; - reads stdin; a
                            job on GitHub takes its own
      -h, --help            Print help (see more with '--help')
    ");
}

#[test]
fn of_build() {
    assert_snapshot!(of("build", "-h"), @r"
    Compile the service and build its image

    Usage: cargo xtask build [OPTIONS]

    Options:
          --platform <OS/ARCH>     Platform of the image: linux/amd64 or linux/arm64 [default: this
                                   machine's architecture]
          --from-source            Compile inside the engine (stage `builder`) instead of with this
                                   machine's cargo
          --builder-image <IMAGE>  Base image of the stage `builder`, where another than
                                   docker/Dockerfile's is wanted
      -h, --help                   Print help (see more with '--help')
    ");
}

#[test]
fn of_release() {
    assert_snapshot!(of("release", "-h"), @r"
    Compile, build, push, deploy and prove that the pushed image answers

    Usage: cargo xtask release [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --local                   Release to this machine's Docker engine; no account is needed and
                                    nothing leaves the machine
          --smoke-url <URL>         Base URL for the smoke test, where the stack's own does not lead;
                                    may name outputs as {OutputKey}
          --no-smoke                Do not prove that the endpoint runs the image
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --wait                    Wait for whoever holds the environment, instead of stopping
          --no-follow               Stop where an operation of the stack is under way, instead of
                                    following it to its end first
          --allow <LOGICAL_ID>      Allow this resource, which holds data or identity, to be replaced or
                                    removed; may be repeated
          --allow-finding <CVE>     Let this finding of the image's scan pass, as CVE-2026-1; may be
                                    repeated
          --keep-failed             Leave a release that cannot be proved where it is, instead of going
                                    back to the one before
          --from-source             Compile inside the engine (stage `builder`) instead of with this
                                    machine's cargo
          --builder-image <IMAGE>   Base image of the stage `builder`, where another than
                                    docker/Dockerfile's is wanted
          --dry-run                 Say what would be done and change nothing (the service is still
                                    compiled, to know the image's tag)
      -h, --help                    Print help (see more with '--help')
    ");
}

#[test]
fn of_plan() {
    assert_snapshot!(of("plan", "-h"), @r"
    Publish the image and write down what a release would do, as one reviewable file

    Usage: cargo xtask plan [OPTIONS] --out <FILE> <ENV>

    Arguments:
      <ENV>  An environment of deploy.toml

    Options:
          --out <FILE>              Where the plan is written
          --smoke-url <URL>         Base URL for the smoke test, where the stack's own does not lead;
                                    may name outputs as {OutputKey}
          --no-smoke                Do not prove that the endpoint runs the image
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --wait                    Wait for whoever holds the environment, instead of stopping
          --no-follow               Stop where an operation of the stack is under way, instead of
                                    following it to its end first
          --allow <LOGICAL_ID>      Allow this resource, which holds data or identity, to be replaced or
                                    removed; may be repeated
          --allow-finding <CVE>     Let this finding of the image's scan pass, as CVE-2026-1; may be
                                    repeated
          --from-source             Compile inside the engine (stage `builder`) instead of with this
                                    machine's cargo
          --builder-image <IMAGE>   Base image of the stage `builder`, where another than
                                    docker/Dockerfile's is wanted
      -h, --help                    Print help (see more with '--help')
    ");
}

#[test]
fn of_diff() {
    assert_snapshot!(of("diff", "-h"), @r"
    Show what a release would change, by reading only

    Usage: cargo xtask diff [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --image <URI>             The image, where it is not this work tree's:
                                    HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
          --out <FILE>              Also write it to a file, as Markdown
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --from-source             Compile inside the engine (stage `builder`) instead of with this
                                    machine's cargo
          --builder-image <IMAGE>   Base image of the stage `builder`, where another than
                                    docker/Dockerfile's is wanted
      -h, --help                    Print help (see more with '--help')
    ");
}

#[test]
fn of_apply() {
    assert_snapshot!(of("apply", "-h"), @r"
    Do exactly what a plan file says, or refuse

    Usage: cargo xtask apply [OPTIONS] <FILE>

    Arguments:
      <FILE>  A file that `plan` wrote

    Options:
          --smoke-url <URL>      Base URL for the smoke test, where the stack's own does not lead; may
                                 name outputs as {OutputKey}
          --no-smoke             Do not prove that the endpoint runs the image
          --wait                 Wait for whoever holds the environment, instead of stopping
          --allow-finding <CVE>  Let this finding of the image's scan pass, as CVE-2026-1; may be
                                 repeated
      -h, --help                 Print help
    ");
}

#[test]
fn of_deploy() {
    assert_snapshot!(of("deploy", "-h"), @r"
    Deploy an image that is there already, and prove it; or a template without one

    Usage: cargo xtask deploy [OPTIONS] [ENV]

    Arguments:
      [ENV]  An environment of deploy.toml [default: dev]

    Options:
          --image <URI>             The image: HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG; none for
                                    a template that runs none
          --smoke-url <URL>         Base URL for the smoke test, where the stack's own does not lead;
                                    may name outputs as {OutputKey}
          --no-smoke                Do not prove that the endpoint runs the image
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --wait                    Wait for whoever holds the environment, instead of stopping
          --no-follow               Stop where an operation of the stack is under way, instead of
                                    following it to its end first
          --allow <LOGICAL_ID>      Allow this resource, which holds data or identity, to be replaced or
                                    removed; may be repeated
          --allow-finding <CVE>     Let this finding of the image's scan pass, as CVE-2026-1; may be
                                    repeated
          --keep-failed             Leave a release that cannot be proved where it is, instead of going
                                    back to the one before
          --dry-run                 Say what would be done and change nothing
      -h, --help                    Print help
    ");
}

#[test]
fn of_rollback() {
    assert_snapshot!(of("rollback", "-h"), @r"
    Go back to an earlier release: image, template and parameters, without a rebuild

    Usage: cargo xtask rollback [OPTIONS] [ENV] [RELEASE]

    Arguments:
      [ENV]      An environment of deploy.toml [default: dev]
      [RELEASE]  The release's number, as `status` shows it [default: the one before the release that
                 runs]

    Options:
          --smoke-url <URL>         Base URL for the smoke test, where the stack's own does not lead;
                                    may name outputs as {OutputKey}
          --no-smoke                Do not prove that the endpoint runs the image
          --registry <HOST[:PORT]>  The registry's real host, where the repository's URI names another
                                    (an emulator)
          --wait                    Wait for whoever holds the environment, instead of stopping
          --no-follow               Stop where an operation of the stack is under way, instead of
                                    following it to its end first
          --allow <LOGICAL_ID>      Allow this resource, which holds data or identity, to be replaced or
                                    removed; may be repeated
          --allow-finding <CVE>     Let this finding of the image's scan pass, as CVE-2026-1; may be
                                    repeated
          --dry-run                 Say what would be done and change nothing
      -h, --help                    Print help
    ");
}

#[test]
fn of_verify() {
    assert_snapshot!(of("verify", "-h"), @r"
    Check an image's bill of materials and provenance

    Usage: cargo xtask verify [OPTIONS] [IMAGE|ENV]

    Arguments:
      [IMAGE|ENV]  An image, HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG, or the environment that
                   runs it [default: dev]

    Options:
          --repository <URL>  The repository that it must come from [default: the pipeline's, git's
                              remote origin, or Cargo.toml's]
      -h, --help              Print help
    ");
}

#[test]
fn of_smoke() {
    assert_snapshot!(of("smoke", "-h"), @r"
    Prove that an endpoint answers, and with which image

    Usage: cargo xtask smoke [OPTIONS] [ENV|URL]

    Arguments:
      [ENV|URL]  An environment of deploy.toml, or a base URL [default: dev]

    Options:
          --digest <sha256:…>  The digest that must answer [default for ENV: the one its stack names]
          --smoke-url <URL>    Base URL, where the stack's own does not lead; may name outputs as
                               {OutputKey}
      -h, --help               Print help (see more with '--help')
    ");
}
