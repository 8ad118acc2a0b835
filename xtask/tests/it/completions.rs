//! What bash completes with the script of `completions bash`, for `cargo xtask` and for every other word after cargo.

use std::process::Stdio;

use ::requirements::{BASH, Programs, Suite};
use libtest_mimic::Arguments;

use crate::sandbox::Sandbox;

/// Completes the command line of its arguments as bash does, and prints the candidates in one line.
const COMPLETED: &str = r#"
completed() {
    local function
    function=$(complete -p "$1")
    function=${function#*-F }
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
    "${function%% *}" "$1" "${*: -1}" "${*: -2:1}"
    echo "${COMPREPLY[*]}"
}
"#;
/// cargo's own completions.
const OWN: &str = "_cargo() { COMPREPLY=(\"own-$2\"); }\ncomplete -F _cargo cargo\n";
const SOURCE: &str = "source ./completions.bash\n";

#[test]
fn bash_completes_the_tool_and_leaves_the_rest_to_cargo() {
    let trial = Suite::new().test("bash", &[BASH], |programs| {
        check(programs);
        Ok::<(), String>(())
    });
    assert!(!libtest_mimic::run(&Arguments::default(), vec![trial]).has_failed());
}

fn check(programs: &Programs) {
    let sandbox = Sandbox::new();
    let script = sandbox.run(&["completions", "bash"]).stdout;
    sandbox.write("completions.bash", &script);
    let bash = |start: &str, line: &str| {
        let mut command = programs.command(BASH);
        command.args(["--noprofile", "--norc", "-c", &format!("{start}{COMPLETED}{line}")]);
        let output = command.current_dir(sandbox.path()).stdin(Stdio::null()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && errors.is_empty(), "{line}: {errors}");
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    };
    let before = format!("{OWN}{SOURCE}");
    for (words, expected) in [
        ("cargo xtask rel", "release"),
        ("cargo xtask release d", "dev"),
        ("cargo +nightly xtask release --dry-run p", "production"),
        ("cargo xtask smoke prod", "production"),
        ("cargo xtask secret set d", "dev"),
        ("cargo xtask release --smo", "--smoke-url"),
        ("cargo xtask status --color a", "auto always"),
        ("cargo xtask completions ba", "bash"),
        ("xtask status p", "production"),
        // The file's name is left to bash itself.
        ("cargo xtask apply pl", ""),
        ("cargo bu", "own-bu"),
        ("cargo x", "own-x"),
        ("cargo build xtask", "own-xtask"),
    ] {
        assert_eq!(bash(&before, &format!("completed {words}")), expected, "{words}");
        assert_eq!(bash(&format!("{before}{SOURCE}"), &format!("completed {words}")), expected, "{words}, twice");
    }
    let inside = "mkdir -p 'a b' && cd 'a b' && completed cargo xtask diff ''";
    assert_eq!(bash(&before, inside), "dev production");
    assert_eq!(bash(&before, "cd / && completed cargo xtask diff ''"), "");

    // bash-completion loads cargo's own at the first use.
    let later = format!("{SOURCE}__load_completion() {{\n{OWN}}}\n");
    let twice = "completed cargo bu; completed cargo te; completed cargo xtask rel";
    assert_eq!(bash(&later, twice), "own-bu\nown-te\nrelease");
    assert_eq!(bash(SOURCE, "completed cargo bu; completed cargo xtask rel"), "\nrelease");
}
