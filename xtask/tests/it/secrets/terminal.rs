//! A value that is typed: it is not shown, and the terminal is afterwards as it was.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

use crate::fakes::{Fakes, World};
use crate::sandbox::{Ended, Sandbox};
use crate::snapshots::secret::PARAMETER;

const VALUE: &str = "typed-horse-battery-staple";
const PROMPT: &str = "Value of PASSWORD for dev (not shown): ";

/// A terminal: the side that a user has, and the side that programs have.
struct Terminal {
    user: File,
    program: OwnedFd,
}

impl Terminal {
    fn open() -> Self {
        let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let name = ptsname(&user, Vec::new()).unwrap();
        let path = OsStr::from_bytes(name.as_bytes());
        let program = open(path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        Self { user: user.into(), program }
    }

    fn types(&mut self, text: &str) {
        self.user.write_all(text.as_bytes()).unwrap();
    }

    fn echoes(&self) -> bool {
        tcgetattr(&self.program).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// What the terminal has shown.
    fn shown(&mut self) -> String {
        fcntl_setfl(&self.user, OFlags::NONBLOCK).unwrap();
        let mut shown = [0; 4096];
        let read = self.user.read(&mut shown).unwrap_or_default();
        String::from_utf8_lossy(&shown[..read]).into_owned()
    }
}

/// Runs `secret set` on a terminal; `act` does something when the value is asked for.
fn set(sandbox: &Sandbox, terminal: &mut Terminal, act: impl FnOnce(&mut Terminal, Pid)) -> Ended {
    let mut command = sandbox.command();
    let stdin = Stdio::from(terminal.program.try_clone().unwrap());
    let mut tool = command.args(["secret", "set", "dev", "PASSWORD"]).stdin(stdin).spawn().unwrap();
    let (mut stderr, mut said, mut byte) = (tool.stderr.take().unwrap(), Vec::new(), [0]);
    while !said.ends_with(PROMPT.as_bytes()) && stderr.read(&mut byte).unwrap() == 1 {
        said.push(byte[0]);
    }
    act(terminal, Pid::from_child(&tool));
    stderr.read_to_end(&mut said).unwrap();
    let mut ended = sandbox.end(tool);
    assert!(terminal.echoes(), "the terminal stays silent");
    ended.stderr = String::from_utf8(said).unwrap();
    ended
}

#[test]
fn a_value_is_typed_without_being_shown() {
    let fakes = Fakes::start(World { marked: Some((VALUE, Vec::new())), ..World::default() });
    let (sandbox, mut terminal) = (fakes.sandbox(), Terminal::open());
    let ended = set(&sandbox, &mut terminal, |terminal, _| {
        assert!(!terminal.echoes(), "the terminal would show it");
        terminal.types(&format!("{VALUE}\n"));
    });
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(fakes.world().journal[PARAMETER][0].value, VALUE);
    assert!(ended.stderr.starts_with(&format!("{PROMPT}\n")), "{}", ended.stderr);
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains(VALUE));
    assert_eq!(terminal.shown(), "");
    assert_eq!(sandbox.files_with(VALUE), <[std::path::PathBuf; 0]>::default());
    assert_eq!(fakes.world().marked.clone().unwrap().1, ["AmazonSSM.PutParameter"]);
}

#[test]
fn a_terminal_shows_again_what_is_typed_after_an_interruption() {
    let fakes = Fakes::start(World::default());
    let (sandbox, mut terminal) = (fakes.sandbox(), Terminal::open());
    let ended = set(&sandbox, &mut terminal, |terminal, tool| {
        assert!(!terminal.echoes(), "the terminal would show it");
        kill_process(tool, Signal::INT).unwrap();
    });
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("nothing is under way any more"), "{}", ended.stderr);
    assert!(fakes.world().journal.is_empty());
}

#[test]
fn a_value_that_a_terminal_does_not_hand_on_whole_is_refused() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    let long = format!("{}\n", "x".repeat(1500));
    for (typed, reason) in
        [("one\ntwo\n", "a prompt takes one"), (long.as_str(), "a terminal may cut lines of 1023 bytes")]
    {
        let mut terminal = Terminal::open();
        terminal.types(typed);
        let ended = set(&sandbox, &mut terminal, |_, _| ());
        assert!(ended.code == 2 && ended.stderr.contains(reason), "{}", ended.stderr);
        assert!(ended.stderr.contains("next: write it into a file"), "{}", ended.stderr);
        // Nor does the rest become the shell's next command.
        let left = rustix::io::ioctl_fionread(&terminal.program).unwrap();
        assert_eq!(left, 0);
    }
    assert!(fakes.world().journal.is_empty());
}
