//! Input and output of the process besides text: bytes that are no text, a full disk, a terminal's commands.
#![cfg(target_os = "linux")]

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

use insta::assert_snapshot;

use crate::fakes::{DIGEST, Fakes, World};
use crate::sandbox::Sandbox;

#[test]
fn arguments_that_are_not_text_are_a_matter_of_usage() {
    let sandbox = Sandbox::new();
    for json in [false, true] {
        let mut command = sandbox.command();
        command.arg("status").arg(OsStr::from_bytes(b"\xff"));
        let ended = sandbox.end(command.args(json.then_some("--json")).spawn().unwrap());
        assert_eq!(ended.code, 2, "{}", ended.stderr);
        if json {
            assert_eq!(ended.json()["error"]["kind"], "usage");
        }
    }
}

#[test]
fn a_choice_that_is_not_text_is_not_taken_for_none() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command();
    command.args(["status", "dev"]).env("AWS_PROFILE", OsStr::from_bytes(b"caf\xe9"));
    // Nobody has asked for this one.
    command.env("LS_COLORS", OsStr::from_bytes(b"\xff"));
    assert_snapshot!(sandbox.end(command.spawn().unwrap()).snapshot(), @r"
    exit 2
    --- stderr
    error: the environment variable AWS_PROFILE is not UTF-8
      next: unset AWS_PROFILE
    ");
}

#[test]
fn a_folder_whose_name_is_not_text_is_refused() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path().join(OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(sandbox.path().join("deploy.toml"), folder.join("deploy.toml")).unwrap();
    let mut command = sandbox.command();
    let ended = sandbox.end(command.args(["status", "dev"]).current_dir(&folder).spawn().unwrap());
    assert_eq!(ended.code, 2);
    assert!(ended.stderr.contains("the repository's folder has a name that is not UTF-8"), "{}", ended.stderr);
}

#[test]
fn results_that_cannot_be_written_are_a_failure() {
    let world = World { stack: "UPDATE_COMPLETE".to_owned(), serves: Some(DIGEST.to_owned()), ..World::default() };
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    for arguments in [&["status", "dev"][..], &["status", "dev", "--json"], &["completions", "bash"], &["--help"]] {
        let mut command = sandbox.command();
        let full = File::options().write(true).open("/dev/full").unwrap();
        let ended = sandbox.end(command.args(arguments).stdout(full).spawn().unwrap());
        assert_eq!(ended.code, 1, "{arguments:?}: {}", ended.stderr);
        if arguments == ["status", "dev"] {
            assert_snapshot!(ended.snapshot(), @r"
            exit 1
            --- stderr
            error: the result cannot be written
              resource: standard output
              reason: No space left on device (os error [number])
              next: what the command does is done, except for the output; write it elsewhere
            ");
        }
    }
}

#[test]
fn a_terminal_obeys_nothing_that_others_have_said() {
    let world = World {
        stack: "UPDATE_COMPLETE".to_owned(),
        serves: Some("\u{1b}]0;pwned\u{7}\u{202e}\u{9b}2J".to_owned()),
        log: Some(vec!["\u{1b}[2Jred".to_owned()]),
        ..World::default()
    };
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    let url = fakes.url();
    for arguments in
        [&["smoke", &url, "--verbose"][..], &["smoke", &url, "--json"], &["logs", "dev", "--since", "9000d"]]
    {
        let ended = sandbox.run(arguments);
        for stream in [&ended.stdout, &ended.stderr] {
            let obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
            assert!(!stream.contains(obeyed), "{stream:?}");
        }
        let shown = if arguments[0] == "logs" { "[2Jred" } else { "\\u001b]0;pwned\\u0007\\u202e\\u009b2J" };
        assert!(format!("{}{}", ended.stdout, ended.stderr).contains(shown), "{}{}", ended.stdout, ended.stderr);
    }
}
