//! The object that `--json` prints, as programs may rely on it.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::fakes::{Ending, Fakes, World};
use crate::sandbox::Sandbox;

/// What a release may say, at most.
const RELEASE: [&str; 17] = [
    "ok",
    "format",
    "environment",
    "image",
    "digest",
    "pushed_bytes",
    "stack",
    "change",
    "changes",
    "cost",
    "release",
    "outputs",
    "url",
    "smoke",
    "phases",
    "seconds",
    "error",
];

#[test]
fn several_problems_are_listed_one_by_one() {
    let sandbox = Sandbox::new();
    sandbox.remove("infra/backend.yaml");
    for command in ["release", "doctor"] {
        let object = sandbox.run(&[command, "--json"]).json();
        let problems = object["error"]["problems"].as_array().unwrap();
        let kinds: BTreeSet<&str> = problems.iter().map(|problem| problem["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, BTreeSet::from(["docker", "credentials", "template"]), "{command}");
        for problem in problems {
            let (message, hint) = (problem["message"].as_str().unwrap(), problem["hint"].as_str().unwrap());
            let text = object["error"]["reason"].as_str().unwrap();
            assert!(text.contains(message) && text.contains(hint), "{problem} is not in {text}");
        }
    }
}

fn keys(object: &Value) -> BTreeSet<&str> {
    object.as_object().unwrap_or_else(|| panic!("no object: {object}")).keys().map(String::as_str).collect()
}

#[cfg(target_os = "linux")]
#[test]
fn a_release_reports_everything_but_an_error() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    for (change, nothing_to_do) in [("create", false), ("none", true)] {
        let object = sandbox.run(&["release", "--json"]).json();
        let unsaid = |key: &&str| *key == "error" || (nothing_to_do && ["changes", "cost", "release"].contains(key));
        assert_eq!(keys(&object), RELEASE.into_iter().filter(|key| !unsaid(key)).collect());
        assert_eq!(object["change"], change);
        assert_eq!(object["pushed_bytes"] == 0, nothing_to_do, "{object}");
        assert_eq!(object["smoke"]["status"], "right");
        assert_eq!(object["smoke"]["served_digest"], object["digest"]);
        assert!(object["image"].as_str().unwrap().ends_with(object["digest"].as_str().unwrap()), "{object}");
        assert_eq!(object["url"], object["outputs"]["ApiGatewayURL"]);
        for phase in object["phases"].as_array().unwrap() {
            assert_eq!(keys(phase), BTreeSet::from(["name", "seconds", "skipped"]));
        }
        let mut phases = object["phases"].as_array().unwrap().iter();
        let skipped = phases.any(|phase| phase["name"] == "stack" && phase["skipped"] == true);
        assert_eq!(skipped, nothing_to_do, "{object}");
    }
}

#[test]
fn a_failed_release_reports_what_was_known_by_then() {
    let broken = Fakes::start(World { ending: Ending::RolledBack, ..World::default() });
    let refused =
        Fakes::start(World { push_refusal: Some("no basic auth credentials".to_owned()), ..World::default() });
    for (sandbox, known) in
        [(broken.sandbox(), "digest"), (refused.sandbox(), "phases"), (Sandbox::new(), "environment")]
    {
        let object = sandbox.run(&["release", "--json"]).json();
        assert!(object.get(known).is_some(), "no {known}: {object}");
    }
}

#[test]
fn a_script_of_completions_is_the_result_alone() {
    let sandbox = Sandbox::new();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef xtask"), ("fish", "complete -c xtask")] {
        let ended = sandbox.run(&["completions", shell]);
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
        for word in [sign, "release", "smoke-url"] {
            assert!(ended.stdout.contains(word), "no {word} in {}", ended.stdout);
        }
        let object = sandbox.run(&["completions", shell, "--json"]).json();
        assert_eq!(object["completions"].as_str().unwrap().trim_end(), ended.stdout.trim_end());
    }
    assert_eq!(sandbox.run(&["completions", "csh"]).code, 2);
}
