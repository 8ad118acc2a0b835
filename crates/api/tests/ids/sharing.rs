//! Several instances of one database, at full speed.

use chassis::testing::eventually;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres_server::Server;

use crate::NamedTrial;
use crate::instance::{Instance, assert_unique};
use crate::site::Site;

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("two_processes_never_give_the_same_id", two_processes_never_give_the_same_id),
    ("processes_that_start_at_the_same_moment_share_a_new_database", processes_that_start_at_the_same_moment),
    ("a_process_that_is_killed_takes_its_ids_along", a_process_that_is_killed_takes_its_ids_along),
];

fn two_processes_never_give_the_same_id(server: &Server) {
    let site = Site::migrated(server);
    // Of two sizes, as while a setting is changed.
    let blocks = [5000, 3000];
    // A lease that is only slow is no failure here.
    let patient = [("API_DATABASE_CONNECT_SECONDS", "60"), ("API_DATABASE_STATEMENT_SECONDS", "60")];
    let instances = blocks.map(|block| Instance::ready(&site, block, &patient));
    let end = Instant::now() + Duration::from_secs(3);
    let ids: Vec<_> = thread::scope(|scope| {
        let takers = instances.each_ref().map(|instance| scope.spawn(|| instance.take_until(|| Instant::now() >= end)));
        takers.into_iter().map(|taker| taker.join().unwrap()).collect()
    });
    let counts = ids.iter().map(Vec::len).collect::<Vec<_>>();
    assert!(counts.iter().all(|count| *count > 1000), "{counts:?}");
    let ids = ids.concat();
    assert!(ids.contains(&1), "the first id of all is 1");
    let highest = *ids.iter().max().unwrap();
    let count = assert_unique(ids);
    // What was leased and not given is a block in use and the one after it, for each instance.
    let leased = site.leased();
    assert!(
        highest <= leased && leased <= count as u64 + 2 * blocks.iter().sum::<u64>(),
        "{highest}, {leased}, {count}"
    );
    assert!(instances.iter().all(|instance| instance.events("no ids are leased; trying again").is_empty()));
}

fn processes_that_start_at_the_same_moment(server: &Server) {
    for _ in 0..3 {
        let site = Site::empty(server);
        let ids: Vec<u64> = thread::scope(|scope| {
            let start = || {
                let instance = Instance::ready(&site, 10, &[("API_MIGRATE", "on")]);
                (0..5).map(|_| instance.id().unwrap()).collect::<Vec<_>>()
            };
            let instances: Vec<_> = (0..4).map(|_| scope.spawn(start)).collect();
            instances.into_iter().flat_map(|instance| instance.join().unwrap()).collect()
        });
        assert_eq!(assert_unique(ids), 20);
    }
}

fn a_process_that_is_killed_takes_its_ids_along(server: &Server) {
    let site = Site::migrated(server);
    let survivor = Instance::ready(&site, 100, &[]);
    let done = AtomicBool::new(false);
    let ids = thread::scope(|scope| {
        let others = scope.spawn(|| survivor.take_until(|| done.load(Ordering::Relaxed)));
        let mut ids = Vec::new();
        for _ in 0..8 {
            let instance = Instance::ready(&site, 100, &[]);
            let taken = thread::scope(|scope| {
                let taker = scope.spawn(|| instance.take_until(|| false));
                thread::sleep(Duration::from_millis(100));
                instance.kill();
                taker.join().unwrap()
            });
            assert!(!taken.is_empty());
            ids.extend(taken);
        }
        done.store(true, Ordering::Relaxed);
        ids.extend(others.join().unwrap());
        ids
    });
    assert_unique(ids);
    eventually("the survivor goes on", || survivor.id().is_some());
}
