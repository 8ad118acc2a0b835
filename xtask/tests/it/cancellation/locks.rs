//! Locks, and what else is made in more than one step, over the wire.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::cases::{LOCK, lock_of, released};
use crate::fakes::timing::Watched;
use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Ended, Sandbox};

fn is_locked(fakes: &Fakes) -> bool {
    fakes.world().journal.contains_key(LOCK)
}

/// The number of the first such request in a run of the command, and the world in which it is yet to run.
fn number_of(request: &str, arguments: &[&str], world: &World) -> usize {
    let fakes = Fakes::start(World { requests: Vec::new(), ..world.clone() });
    assert_eq!(fakes.sandbox().run(arguments).code, 0);
    let number = fakes.world().requests.iter().position(|asked| asked.ends_with(request));
    number.unwrap_or_else(|| panic!("it does not ask {request}")) + 1
}

/// A first release that gets two signals while this request is being answered.
fn interrupted_twice_at(request: &str) -> (Fakes, Ended) {
    let world = World { slow: true, ..World::default() };
    let number = number_of(request, &["release"], &world);
    let (arrived, arrival) = mpsc::channel();
    let fakes = Fakes::start(World { watched: Some(Watched { number, arrived }), ..world });
    let sandbox = fakes.sandbox();
    let tool = sandbox.start(&["release"]);
    arrival.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(is_locked(&fakes));
    for _ in 0..2 {
        kill_process(Pid::from_child(&tool), Signal::INT).unwrap();
        thread::sleep(Duration::from_millis(50));
    }
    let ended = sandbox.end(tool);
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(!is_locked(&fakes) && !ended.stderr.contains("left behind"), "{}", ended.stderr);
    (fakes, ended)
}

/// Field case A3: a second signal leaves no lock either.
#[test]
fn a_second_signal_leaves_no_lock_and_says_what_may_still_run() {
    interrupted_twice_at("ssm:PutParameter");
    let (fakes, ended) = interrupted_twice_at(":ExecuteChangeSet");
    assert!(fakes.world().under_way.is_some());
    for part in ["a call that was under way may still be carried out", "goes on without this tool"] {
        assert!(ended.stderr.contains(part), "{}", ended.stderr);
    }
}

/// Field case A3: and where it cannot be given back, that is what is said.
#[test]
fn a_lock_that_cannot_be_released_is_reported() {
    let world = World { denied: Some("DeleteParameter"), ..World::default() };
    let fakes = Fakes::start(world);
    let ended = fakes.sandbox().run(&["release"]);
    assert_eq!((ended.code, is_locked(&fakes)), (0, true));
    let told = "warning: the lock of rest-api-dev is left behind (ssm:DeleteParameter failed: AccessDeniedException";
    assert!(ended.stderr.contains(told) && ended.stderr.contains("cargo xtask unlock dev"), "{}", ended.stderr);
}

/// Field case A5: another release takes the lock between the confirmation and the removal.
#[test]
fn unlock_removes_no_other_lock_than_it_showed() {
    let mut world = released();
    world.journal.insert(LOCK.to_owned(), vec![lock_of("one")]);
    let number = number_of("ssm:GetParameter", &["unlock", "--yes"], &world);
    let (arrived, arrival) = mpsc::channel();
    world.requests.clear();
    world.watched = Some(Watched { number, arrived });
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    let tool = sandbox.start(&["unlock", "--yes"]);
    arrival.recv_timeout(Duration::from_secs(60)).unwrap();
    fakes.world().journal.insert(LOCK.to_owned(), vec![lock_of("two")]);
    let ended = sandbox.end(tool);
    assert_eq!((ended.code, is_locked(&fakes)), (1, true), "{}", ended.stderr);
    assert!(ended.stderr.contains("the lock changed before it could be removed"), "{}", ended.stderr);
}

/// Field case A5: right after it was taken, and before the stack is changed.
#[test]
fn a_release_whose_lock_was_taken_away_at_once_changes_nothing() {
    let number = number_of("ssm:PutParameter", &["release"], &World::default());
    let (arrived, arrival) = mpsc::channel();
    let fakes = Fakes::start(World { watched: Some(Watched { number, arrived }), ..World::default() });
    let sandbox = fakes.sandbox();
    let tool = sandbox.start(&["release"]);
    arrival.recv_timeout(Duration::from_secs(60)).unwrap();
    fakes.world().journal.insert(LOCK.to_owned(), vec![lock_of("two")]);
    let ended = sandbox.end(tool);
    assert_eq!((ended.code, fakes.world().changes), (1, 0), "{}", ended.stderr);
    assert!(ended.stderr.contains("the environment lock was lost"), "{}", ended.stderr);
    assert!(is_locked(&fakes), "it is somebody else's");
    assert!(fakes.world().proposed.is_none());
}

/// Field case A5.
#[test]
fn destroy_has_the_lock_while_the_stack_is_deleted() {
    let fakes = Fakes::start(World { requests: Vec::new(), ..released() });
    let ended = fakes.sandbox().run(&["destroy", "dev", "--yes"]);
    assert_eq!((ended.code, is_locked(&fakes)), (0, false), "{}", ended.stderr);
    let world = fakes.world();
    let at = |action: &str| world.requests.iter().position(|request| request.ends_with(action)).unwrap();
    assert!(at("ssm:PutParameter") < at(":DeleteStack") && at(":DeleteStack") < at("ssm:DeleteParameter"));
    drop(world);
    // It waits for the lock with --wait.
    let mut world = released();
    world.journal.insert(LOCK.to_owned(), vec![lock_of("one")]);
    let fakes = Fakes::start(world);
    let sandbox = fakes.sandbox();
    assert_eq!(sandbox.run(&["destroy", "dev", "--yes"]).code, 1);
    let tool = sandbox.start(&["destroy", "dev", "--yes", "--wait"]);
    thread::sleep(Duration::from_secs(2));
    assert!(!fakes.world().stack.is_empty());
    fakes.world().journal.remove(LOCK);
    assert_eq!(sandbox.end(tool).code, 0);
    assert!(fakes.world().stack.is_empty());
}

/// Field case A6.
#[test]
fn a_repository_without_a_policy_is_given_one_and_another_policy_is_left_alone() {
    let put = |lifecycle: bool| {
        let world = World { repository: Some(std::collections::BTreeMap::new()), lifecycle, ..World::default() };
        let fakes = Fakes::start(world);
        let ended = fakes.sandbox().run(&["release"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let world = fakes.world();
        assert!(world.lifecycle);
        world.asked.iter().any(|asked| asked == "ecr:PutLifecyclePolicy")
    };
    assert_eq!((put(false), put(true)), (true, false));
}

/// Field case A9: a store of inputs that was cut short, and then a template with another name.
#[test]
fn partially_stored_inputs_do_not_spoil_later_ones() {
    // Text that hardly compresses, so that there are several pieces.
    let noise: String = (0..6000_u32).map(|number| format!("{:08x}", number.wrapping_mul(2_654_435_761))).collect();
    let template = |sandbox: &Sandbox| {
        let text = std::fs::read_to_string(sandbox.path().join("infra/backend.yaml")).unwrap();
        if text.contains("# ") { text } else { format!("{text}# {noise}\n") }
    };
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    let text = template(&sandbox);
    sandbox.write("infra/backend.yaml", &text);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    {
        // As if it had been killed before the last piece.
        let mut world = fakes.world();
        let before = world.journal.len();
        world.journal.retain(|name, _| !name.ends_with("end") && !name.ends_with("/releases"));
        assert!(world.journal.len() > 1 && world.journal.len() == before - 2, "{:?}", world.journal.keys());
    }
    sandbox.write("infra/renamed.yaml", &text);
    let renamed = DEPLOY_TOML.replace("infra/backend.yaml", "infra/renamed.yaml");
    sandbox.write("deploy.toml", &renamed);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    sandbox.write("deploy.toml", &renamed.replace("name = \"rest-api\"\n", "name = \"rest-api\"\nport = 9090\n"));
    assert_eq!(sandbox.run(&["release"]).code, 0);
    let back = sandbox.run(&["rollback"]);
    assert_eq!((back.code, fakes.world().parameters["ContainerPort"].as_str()), (0, "8080"), "{}", back.stderr);
}
