//! Promises of the workflows that no linter checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use ::requirements::{BASH, GIT, Programs, Suite};
use libtest_mimic::Arguments;
use serde_json::Value;

use crate::sources::root;
use crate::templates::template;

/// Each workflow with its name.
fn workflows() -> Vec<(String, Value)> {
    let files = fs::read_dir(root().join(".github/workflows")).unwrap().map(|file| file.unwrap().path());
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let all: Vec<_> = files.map(|path| (name(&path), template::load(&path).unwrap())).collect();
    assert!(all.len() >= 5, "only {} workflows were found", all.len());
    all
}

/// Each job with its workflow's name and its own.
fn jobs() -> Vec<(String, Value)> {
    let of = |(file, workflow): (String, Value)| {
        let jobs = workflow["jobs"].as_object().unwrap().clone();
        jobs.into_iter().map(move |(id, job)| (format!("{file}: {id}"), job))
    };
    workflows().into_iter().flat_map(of).collect()
}

fn actions(job: &Value) -> Vec<&str> {
    steps(job).filter_map(|step| step["uses"].as_str()).collect()
}

/// The steps of a job; one that calls a workflow has none.
fn steps(job: &Value) -> impl Iterator<Item = &Value> {
    job["steps"].as_array().into_iter().flatten()
}

#[test]
fn every_job_declares_its_permissions() {
    for (name, workflow) in workflows() {
        assert_eq!(workflow["permissions"], serde_json::json!({}), "{name}");
    }
    for (name, job) in jobs() {
        let permissions = job["permissions"].as_object().unwrap_or_else(|| panic!("{name} says none"));
        let writes: BTreeSet<&str> =
            permissions.iter().filter(|(_, may)| *may == "write").map(|(what, _)| what.as_str()).collect();
        assert!(writes.len() <= 1, "{name} writes more than one thing: {writes:?}");
        assert!(job["uses"].is_string() || job["timeout-minutes"].is_u64(), "{name} may run for ever");
    }
}

#[test]
fn every_action_is_a_commit() {
    for (name, job) in jobs() {
        for action in actions(&job) {
            let (_, commit) = action.split_once('@').unwrap();
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit, "{name}: {action}");
            assert!(action.starts_with("actions/"), "{name}: {action} is somebody else's");
        }
    }
}

/// A job that wrote a cache needed less approval than one that may change an environment.
#[test]
fn a_job_that_may_change_something_restores_no_cache_and_is_not_cut_off() {
    let mut seen = 0;
    for (name, workflow) in workflows() {
        for (id, job) in workflow["jobs"].as_object().unwrap() {
            if job["environment"].is_null() {
                continue;
            }
            seen += 1;
            assert!(!actions(job).iter().any(|action| action.starts_with("actions/cache")), "{name}: {id}");
            assert_eq!(workflow["concurrency"]["cancel-in-progress"], false, "{name}");
        }
    }
    assert!(seen >= 6, "only {seen} jobs have an environment");
}

/// What compiles runs the build scripts and macros of every dependency.
#[test]
fn no_job_with_rights_compiles() {
    let mut seen = 0;
    for (name, job) in jobs() {
        let writes = job["permissions"].as_object().unwrap().values().any(|may| may == "write");
        if !writes && job["environment"].is_null() {
            continue;
        }
        for command in steps(&job).filter_map(|step| step["run"].as_str()) {
            seen += 1;
            assert!(command.starts_with(r#".ci/tool "$DIGEST" "#), "{name}: {command}");
        }
        let digests = steps(&job).filter(|step| step["run"].is_string()).map(|step| &step["env"]["DIGEST"]);
        digests.for_each(|digest| assert_eq!(digest, "${{ needs.tool.outputs.digest }}", "{name}"));
    }
    assert!(seen >= 10, "only {seen} commands were found");
}

#[test]
fn the_scripts_that_jobs_run() {
    let suite = Suite::new();
    let trial = |name: &str, check: fn(&Programs)| {
        suite.test(name, &[BASH, GIT], move |programs| {
            check(programs);
            Ok::<(), String>(())
        })
    };
    let trials = vec![
        trial("tool", another_tool_than_the_one_that_was_compiled_is_not_run),
        trial("scope", a_pull_request_runs_what_its_files_need),
    ];
    assert!(!libtest_mimic::run(&Arguments::default(), trials).has_failed());
}

/// What a job with rights runs is what the job without rights has made, to the byte.
fn another_tool_than_the_one_that_was_compiled_is_not_run(_: &Programs) {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("target/tool");
    fs::create_dir_all(&tool).unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join("text");
        fs::write(&file, text).unwrap();
        copy(&file, &tool.join(name));
    };
    let digest = |text: &str| image::oci::digest(text.as_bytes());
    let program = "#!/bin/sh\necho \"ran with $*\"\n";
    let list = format!("{}  xtask\n", digest(program).trim_start_matches("sha256:"));
    let run = |digest: &str| {
        let mut command = Command::new(root().join(".ci/tool"));
        let output = command.args([digest, "status", "dev"]).current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let refused = |got: (Option<i32>, String)| got.0 == Some(1) && !got.1.contains("ran with");
    assert!(refused(run(&digest(&list))), "there are no files");
    write("xtask", program);
    write("SHA256SUMS", &list);
    assert_eq!(run(&digest(&list)), (Some(0), "ran with status dev\n".to_owned()));
    assert!(refused(run(&digest("another"))), "the list is another");
    assert!(refused(run("")), "there is no digest");
    write("xtask", &format!("{program}# changed\n"));
    assert!(refused(run(&digest(&list))), "the tool is another");
}

/// Copies a program. Processes that other tests start meanwhile would hold it open for writing, if this process wrote it,
/// and then nobody may run it.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("sh").args(["-c", r#"cp -p "$0" "$1""#]).args([from, to]).status().unwrap();
    assert!(copied.success());
}

/// A pull request of documents alone runs what reads them, one with a label everything.
fn a_pull_request_runs_what_its_files_need(programs: &Programs) {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let mut git = programs.command(GIT);
        let known = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        assert!(git.args(known).args(arguments).current_dir(folder.path()).output().unwrap().status.success());
    };
    fs::create_dir(folder.path().join(".ci")).unwrap();
    let script = folder.path().join(".ci/scope");
    copy(&root().join(".ci/scope"), &script);
    git(&["init", "--quiet"]);
    let commit = |path: &str| {
        fs::write(folder.path().join(path), "").unwrap();
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", path]);
    };
    let steps = |event: &str, whole: &str| {
        let mut scope = Command::new(&script);
        scope.env_remove("GITHUB_OUTPUT").envs([("GITHUB_EVENT_NAME", event), ("WHOLE", whole)]);
        let output = scope.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().trim_start_matches("steps=").to_owned()
    };
    commit("first.rs");
    commit("second.md");
    assert_eq!(steps("pull_request", "false"), "documents");
    assert_eq!(steps("pull_request", "true"), "");
    assert_eq!((steps("push", ""), steps("schedule", "")), (String::new(), String::new()));
    commit("third.rs");
    assert_eq!(steps("pull_request", "false"), "templates workflows most absent openapi");
    git(&["commit", "--quiet", "--allow-empty", "--message", "nothing"]);
    assert_eq!(steps("pull_request", "false"), "templates workflows most absent openapi");
}

/// GitHub keeps 10 GB; the caches of pull requests would displace that of main, which all of them restore.
#[test]
fn only_main_keeps_a_cache() {
    for (name, job) in jobs() {
        for step in steps(&job) {
            let action = step["uses"].as_str().unwrap_or_default();
            let saves = action.starts_with("actions/cache@") || action.starts_with("actions/cache/save@");
            let condition = step["if"].as_str().unwrap_or_default();
            assert!(!saves || condition.starts_with("github.ref == 'refs/heads/main' && "), "{name}: {step}");
        }
    }
}

/// So every check runs with the oldest Rust that is promised, and a new one turns nothing red by itself.
#[test]
fn the_rust_that_everything_is_checked_with_is_the_oldest_that_is_promised() {
    let line = |path: &str, start: &str| {
        let text = fs::read_to_string(root().join(path)).unwrap();
        text.lines().find_map(|line| line.strip_prefix(start)).unwrap().trim_matches('"').to_owned()
    };
    let (promised, pinned) = (line("Cargo.toml", "rust-version = "), line("rust-toolchain.toml", "channel = "));
    assert_eq!(pinned, format!("{promised}.0"));
}

/// GitHub replaces what waits in a group, and a release may wait for its approval for days.
#[test]
fn a_rollback_waits_for_no_approval() {
    let groups: BTreeSet<String> = workflows()
        .into_iter()
        .filter(|(name, _)| ["release.yml", "rollback.yml"].contains(&name.as_str()))
        .map(|(_, workflow)| workflow["concurrency"]["group"].as_str().unwrap().split('$').next().unwrap().to_owned())
        .collect();
    assert_eq!(groups, BTreeSet::from(["release-".to_owned(), "rollback-".to_owned()]));
}

/// From the push or the form to AWS nothing leads past the check of what CI said.
#[test]
fn only_what_ci_has_passed_is_released() {
    let (_, release) = workflows().into_iter().find(|(name, _)| name == "release.yml").unwrap();
    for (job, needs) in [("plan", "passed"), ("apply", "plan"), ("announce", "apply")] {
        assert!(release["jobs"][job]["needs"].as_array().unwrap().iter().any(|one| one == needs), "{job}");
    }
    let steps = release["jobs"]["passed"]["steps"].as_array().unwrap();
    assert!(steps.iter().any(|step| step["run"] == r#".ci/passed "$GITHUB_SHA""#), "{steps:?}");
}

/// The place where it is planned, where it is applied and what waits for it are worked out in three places.
#[test]
fn a_release_goes_where_it_was_planned_for() {
    let (_, release) = workflows().into_iter().find(|(name, _)| name == "release.yml").unwrap();
    let apply = release["jobs"]["apply"]["environment"]["name"].as_str().unwrap();
    assert_eq!(release["jobs"]["plan"]["environment"]["name"], format!("{apply}-plan"));
    assert_eq!(release["jobs"]["plan"]["env"]["ENVIRONMENT"], apply);
    assert_eq!(release["concurrency"]["group"], format!("release-{apply}"));
}
