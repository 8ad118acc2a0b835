//! Credentials that expire: at each call, and for good.

use super::*;
use crate::fakes::faults::{Fault, Kind};

fn calls() -> usize {
    let after = deploy(world(stack("UPDATE_COMPLETE")));
    assert_eq!(after.ended.code, 0, "{}", after.words());
    let asked = after.fakes.world().asked.clone();
    asked.iter().filter(|call| !call.contains('/')).count()
}

#[test]
fn whatever_call_is_the_first_that_is_refused_the_exit_code_is_true() {
    let cases: Vec<(usize, usize)> = (0..calls()).flat_map(|skip| [(skip, 1), (skip, usize::MAX)]).collect();
    side_by_side(&cases, |(skip, times)| {
        let fault = Fault { skip: *skip, times: *times, ..Fault::of(Kind::Expired, "") };
        let started = Instant::now();
        let after = deploy(World { faults: vec![fault], ..world(stack("UPDATE_COMPLETE")) });
        let about = format!("call {skip}, {times} times: exit {}: {}", after.ended.code, after.words());
        let executed = after.calls().iter().any(|call| call.starts_with("ExecuteChangeSet"));
        let allowed: &[i32] = if executed { &[0, 5] } else { &[1, 3] };
        assert!(allowed.contains(&after.ended.code), "{about}");
        if after.ended.code != 0 {
            assert!(["sign in again", "get new keys"].iter().any(|hint| after.words().contains(hint)), "{about}");
        }
        assert!(started.elapsed() < Duration::from_secs(100), "{about}");
    });
}

#[test]
fn operations_that_continue_without_credentials_are_reported_at_once() {
    // The first poll after the execution is refused, as are all later ones.
    let cases = [
        (&DEPLOY[..], "UPDATE_COMPLETE", "ExecuteChangeSet"),
        (&["destroy", "dev", "--yes"], "UPDATE_COMPLETE", "DeleteStack"),
    ];
    side_by_side(&cases, |(arguments, status, action)| {
        let asked = run(world(stack(status)), arguments).fakes.world().asked.clone();
        let mut calls = asked.iter().filter(|call| !call.contains('/'));
        let at = calls.position(|call| call.ends_with(&format!(":{action}"))).unwrap();
        let fault = Fault { skip: at + 1, ..Fault::of(Kind::Expired, "") };
        let started = Instant::now();
        let timeline = Timeline { step: Duration::from_secs(60), ..stack(status) };
        let after = run(World { faults: vec![fault], ..world(timeline) }, arguments);
        assert_eq!(after.ended.code, 5, "{}", after.words());
        let words = after.words();
        assert!(words.contains("goes on without this tool") && words.contains("sign in again"), "{words}");
        assert!(started.elapsed() < Duration::from_secs(40), "{words}");
    });
}
