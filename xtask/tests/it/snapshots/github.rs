//! What a job of GitHub Actions gets to see, and what the commands for it say.

use std::fs;

use insta::assert_snapshot;

use crate::sandbox::Sandbox;

const LOG: &str = "# Changelog\n\n## Unreleased\n\n### Added\n- One.\n\n## 0.1.0 - 2026-01-02\n\n- First.\n";
const MANIFEST: &str = "[workspace.package]\nversion = \"0.1.0\"\n";

fn repository() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("CHANGELOG.md", LOG);
    sandbox.write("Cargo.toml", MANIFEST);
    sandbox.write("Cargo.lock", "[[package]]\nname = \"api\"\nversion = \"0.1.0\"\n");
    sandbox
}

fn job(sandbox: Sandbox) -> Sandbox {
    let file = |name: &str| sandbox.path().join(name).to_str().unwrap().to_owned();
    let (summary, output) = (file("summary"), file("output"));
    sandbox
        .with("GITHUB_ACTIONS", "true")
        .with("GITHUB_REPOSITORY", "octo/shop")
        .with("GITHUB_STEP_SUMMARY", &summary)
        .with("GITHUB_OUTPUT", &output)
}

#[test]
fn a_job_without_an_account_to_keep_to_is_refused_before_anything() {
    assert_snapshot!(job(Sandbox::new()).run(&["release", "dev", "--yes"]).snapshot(), @r#"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: 2 things are missing
      reason: - the Docker engine does not answer
          resource: unix:///nonexistent/docker.sock
          reason: Socket not found: /nonexistent/docker.sock
          next: install Docker (https://docs.docker.com/engine/install/) and start it (sudo systemctl start docker), or point DOCKER_HOST at a running engine
        - a pipeline needs the account that it may change
          resource: environment dev
          reason: otherwise the job's variables would decide where it releases to
          next: account = "…" under [environments.dev] in deploy.toml
    ::error title=the Docker engine does not answer::unix:///nonexistent/docker.sock%0ASocket not found: /nonexistent/docker.sock%0Anext: install Docker (https://docs.docker.com/engine/install/) and start it (sudo systemctl start docker), or point DOCKER_HOST at a running engine
    ::error title=a pipeline needs the account that it may change::environment dev%0Aotherwise the job's variables would decide where it releases to%0Anext: account = "…" under [environments.dev] in deploy.toml
    "#);
}

#[test]
fn a_job_finds_its_failure_in_its_summary() {
    let sandbox = job(Sandbox::new());
    sandbox.write("deploy.toml", "[service]\n");
    sandbox.run(&["status", "dev"]);
    let summary = fs::read_to_string(sandbox.path().join("summary")).unwrap();
    let (told, times) = summary.split_once("| phase |").unwrap();
    assert!(times.contains("| total |"), "{times}");
    assert_snapshot!(told, @r"
    ### <code>cargo xtask status dev</code>: failed

    > [!CAUTION]
    > deploy.toml cannot be used

    |  |  |
    | --- | --- |
    | next | <code>fix deploy.toml</code> |

    ```text
    deploy.toml: service.name is missing; allowed: 2 to 256 lower-case letters, digits and ._-/ , as an ECR repository is named
    deploy.toml: environments is missing; allowed: a table
    ```
    ");
    assert!(!sandbox.path().join("output").exists(), "there is nothing to hand on");
}

#[test]
fn without_a_job_no_workflow_commands_are_printed() {
    let sandbox = Sandbox::new();
    let summary = sandbox.path().join("summary");
    let sandbox = sandbox.with("GITHUB_STEP_SUMMARY", summary.to_str().unwrap());
    let ended = sandbox.run(&["status", "nowhere"]);
    assert!(!summary.exists() && !ended.stderr.contains("::error"), "{}", ended.stderr);
}

#[test]
fn a_job_without_permissions_sees_which_are_missing() {
    let account = "[environments.dev]\naccount = \"111122223333\"";
    let settings = crate::sandbox::DEPLOY_TOML.replace("[environments.dev]", account);
    let roleless = job(Sandbox::new());
    roleless.write("deploy.toml", &settings);
    let said = roleless.run(&["status", "dev"]).stderr;
    assert!(said.contains("this job has no AWS role") && said.contains("vars.AWS_ROLE_ARN"), "{said}");
    let tokenless = job(Sandbox::new()).with("AWS_ROLE_ARN", "arn:aws:iam::111122223333:role/xtask/deploy");
    tokenless.write("deploy.toml", &settings);
    let said = tokenless.run(&["status", "dev"]).stderr;
    assert!(said.contains("may not request a token from GitHub") && said.contains("id-token: write"), "{said}");
}

#[test]
fn the_next_version_follows_from_the_changelog() {
    let sandbox = repository();
    assert_snapshot!(sandbox.run(&["version"]).snapshot(), @r"
    exit 0
    --- stdout
    0.2.0
    --- stderr
    the version after 0.1.0 is 0.2.0: something was added, changed or deprecated; --write writes it to the files
    ");
    assert_eq!(fs::read_to_string(sandbox.path().join("CHANGELOG.md")).unwrap(), LOG);
    assert_snapshot!(sandbox.run(&["version", "--set", "0.0.9"]).snapshot(), @r"
    exit 2
    --- stderr
    error: 0.0.9 is not higher than 0.1.0
      next: cargo xtask version --set 0.2.0
    ");
    assert_snapshot!(sandbox.run(&["version", "--write"]).snapshot(), @r"
    exit 0
    --- stdout
    0.2.0
    --- stderr
    version 0.2.0 was written to CHANGELOG.md, Cargo.toml, Cargo.lock; something was added, changed or deprecated
    next: git commit --all --message 'Version 0.2.0', and after its review: git tag v0.2.0 && git push origin v0.2.0
    ");
    assert!(fs::read_to_string(sandbox.path().join("Cargo.toml")).unwrap().contains("version = \"0.2.0\""));
    assert!(fs::read_to_string(sandbox.path().join("Cargo.lock")).unwrap().contains("version = \"0.2.0\""));
    assert_snapshot!(sandbox.run(&["version"]).snapshot(), @r"
    exit 1
    --- stderr
    error: there is nothing to release
      resource: CHANGELOG.md
      reason: the section Unreleased is empty
    ");
    assert_snapshot!(sandbox.run(&["announce", "v0.2.0", "--dry-run"]).snapshot(), @r"
    exit 0
    --- stdout
    ### Added
    - One.
    ");
    assert_eq!(sandbox.run(&["announce", "v0.2.0", "--dry-run", "--json"]).json()["version"], "0.2.0");
    assert_snapshot!(sandbox.run(&["announce", "v0.1.0"]).snapshot(), @r"
    exit 2
    --- stderr
    error: v0.1.0 is not this version's tag
      reason: Cargo.toml says 0.2.0, whose tag is v0.2.0
      next: cargo xtask version --write, commit, and tag that commit
    ");
}

#[test]
fn without_github_nothing_is_published() {
    let sandbox = repository();
    assert_snapshot!(sandbox.run(&["announce", "v0.1.0"]).snapshot(), @r"
    exit 2
    --- stderr
    error: GITHUB_REPOSITORY is not set
      reason: this command calls GitHub on behalf of a job
      next: GitHub sets it in every job; elsewhere: export GITHUB_REPOSITORY=…
    ");
    sandbox.write("plan.md", "changes");
    assert_snapshot!(sandbox.run(&["comment", "plan.md"]).snapshot(), @r"
    exit 2
    --- stderr
    error: no pull request was given
      reason: GITHUB_EVENT_PATH is not the event of a pull request
      next: --pull-request NUMBER
    ");
    assert_snapshot!(sandbox.run(&["comment", "none.md"]).snapshot(), @r"
    exit 1
    --- stderr
    error: none.md cannot be read
      reason: No such file or directory (os error [number])
    ");
}
