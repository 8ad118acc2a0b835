//! A database that is away, slow, restarted, or used up: no id rather than a wrong one, and ids again by themselves.

use std::io::Write;
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use chassis::testing::eventually;
use postgres_server::{Server, Stop, UNENCRYPTED};

use crate::door::{Door, Way};
use crate::instance::{Instance, assert_unique};
use crate::site::Site;
use crate::{NamedServerTrial, NamedTrial};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("a_network_that_is_cut", |server| network(server, Way::Cut)),
    ("a_network_that_is_silent", |server| network(server, Way::Silent)),
    ("answers_that_are_lost", |server| network(server, Way::AnswerLost)),
    ("a_connection_that_goes_dead", |server| network(server, Way::AnswerHeld)),
    ("a_row_that_is_locked", a_row_that_is_locked),
    ("a_row_that_is_missing", a_row_that_is_missing),
    ("the_last_ids_of_all", the_last_ids_of_all),
];

pub(crate) const ON_OWN_SERVER: &[NamedServerTrial] = &[
    ("a_server_that_restarts_under_load", a_server_that_restarts_under_load),
    ("a_crash_loses_no_lease", a_crash_loses_no_lease),
];

const FAILED: &str = "no ids are leased; trying again";
const AGAIN: &str = "ids are leased again";
const BLOCK: u64 = 20;

fn network(server: &Server, way: Way) {
    let site = Site::migrated(server);
    let door = Door::to(server.address());
    let port = door.address.port().to_string();
    let limits = [("API_DATABASE_CONNECT_SECONDS", "2"), ("API_DATABASE_STATEMENT_SECONDS", "2"), ("PGPORT", &port)];
    // The proxy has to find the lease.
    let plain = [&limits[..], &[("PGUSER", UNENCRYPTED), ("PGSSLMODE", "disable"), ("API_DATABASE_CONNECTIONS", "1")]];
    let (plain, sees_leases) = (plain.concat(), matches!(way, Way::AnswerLost | Way::AnswerHeld));
    let changes = if sees_leases { &plain[..] } else { &limits[..] };
    let instance = Instance::ready(&site, BLOCK, changes);
    let ids = outages(&site, &instance, &|| door.set(way), &|| door.set(Way::Open));
    let highest = *ids.iter().max().unwrap();
    let count = assert_unique(ids) as u64;
    // Blocks whose answers were lost are skipped.
    assert!(!sees_leases || highest > count, "{highest} {count} {:?}", instance.reasons(FAILED));
}

/// Ids last for a block or two, then there are none, then they are back; twice.
fn outages(site: &Site, instance: &Instance, begin: &dyn Fn(), end: &dyn Fn()) -> Vec<u64> {
    let mut ids = vec![instance.id().unwrap()];
    for outage in 1..=2 {
        eventually("a block is there to begin with", || site.leased() >= ids.last().unwrap() + BLOCK);
        begin();
        let left = use_up(instance, outage);
        assert!(!left.is_empty() && left.len() as u64 <= 3 * BLOCK, "{left:?}");
        ids.extend(left);
        assert!((0..20).all(|_| instance.id().is_none()), "there are no ids to give");
        // What was there before is still healthy: all instances share the database.
        assert_eq!(instance.get("/health").0, 200);
        end();
        let mut next = None;
        let found = std::cell::RefCell::new(&mut next);
        eventually("ids are back", || {
            **found.borrow_mut() = instance.id();
            found.borrow().is_some()
        });
        ids.extend(next);
        eventually("the end is logged", || instance.events(AGAIN).len() == outage);
        assert_eq!(instance.events(FAILED).len(), outage, "an outage is logged once");
    }
    ids
}

/// Takes ids until this many outages are logged and none is left. There may be none for a moment before that, while a lease
/// that began before the outage still comes.
fn use_up(instance: &Instance, outage: usize) -> Vec<u64> {
    let mut ids = Vec::new();
    eventually("the reason is logged", || {
        // Asked first: what is taken after it are all that are left.
        let is_logged = instance.events(FAILED).len() == outage;
        ids.extend(iter::from_fn(|| instance.id()));
        is_logged
    });
    ids
}

/// Somebody's transaction stays open: the server ends the lease that waits for it, and says why.
fn a_row_that_is_locked(server: &Server) {
    let site = Site::migrated(server);
    let instance = Instance::ready(&site, BLOCK, &[("API_DATABASE_STATEMENT_SECONDS", "1")]);
    eventually("a block is there to begin with", || site.leased() >= BLOCK);
    let mut other = server.session(&site.name);
    let mut input = other.stdin.take().unwrap();
    input.write_all(b"BEGIN; SELECT leased FROM id_counters FOR UPDATE; \\echo locked\n").unwrap();
    let locked = "SELECT count(*) FROM pg_locks WHERE relation = 'id_counters'::regclass AND mode = 'RowShareLock'";
    eventually("the row is locked", || site.query(locked) == "1");
    assert!(!use_up(&instance, 1).is_empty());
    let reason = instance.reasons(FAILED).remove(0);
    assert!(reason.contains("statement timeout"), "{reason}");
    drop(input);
    other.wait().unwrap();
    eventually("ids are back", || instance.id().is_some());
}

fn a_row_that_is_missing(server: &Server) {
    let site = Site::migrated(server);
    site.query("DELETE FROM id_counters");
    let instance = Instance::start(&site, BLOCK, &[]);
    eventually("the reason is logged", || !instance.events(FAILED).is_empty());
    let reason = instance.reasons(FAILED).remove(0);
    assert!(reason.contains("`greetings` is missing") && reason.contains(&site.name), "{reason}");
    assert_eq!((instance.id(), instance.get("/health").0), (None, 503));
}

fn the_last_ids_of_all(server: &Server) {
    let site = Site::migrated(server);
    let largest = (1_u64 << 53) - 1;
    site.query(&format!("UPDATE id_counters SET leased = {}", largest - BLOCK));
    let instance = Instance::ready(&site, BLOCK, &[]);
    let ids = use_up(&instance, 1);
    assert_eq!((ids.len() as u64, ids.last()), (BLOCK, Some(&largest)));
    assert!(instance.reasons(FAILED)[0].contains("used up"));
    assert_eq!(site.leased(), largest);
}

fn a_server_that_restarts_under_load(server: Server) {
    let site = Site::migrated(&server);
    let instances = [(); 2].map(|()| Instance::ready(&site, 50, &[]));
    let done = AtomicBool::new(false);
    let ids = thread::scope(|scope| {
        let take = |instance: &Instance| {
            let mut ids = Vec::new();
            while !done.load(Ordering::Relaxed) {
                match instance.id() {
                    Some(id) => ids.push(id),
                    // The server has more to do on a small machine than to answer this.
                    None => thread::sleep(Duration::from_millis(20)),
                }
            }
            ids
        };
        let takers = instances.each_ref().map(|instance| scope.spawn(move || take(instance)));
        // Also where an assertion fails, or the takers would go on for ever.
        let end = Ended(&done);
        for _ in 0..3 {
            server.down(Stop::Immediate);
            // One that has not found back from the outage before does not log this one by itself.
            let is_out = |instance: &Instance| instance.events(FAILED).len() > instance.events(AGAIN).len();
            eventually("the outage is noticed", || instances.iter().all(is_out));
            server.up();
            let before = site.leased();
            eventually("blocks are leased again", || site.leased() > before);
        }
        drop(end);
        takers.into_iter().flat_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(assert_unique(ids) > 50);
}

/// Sets what it holds when it is dropped.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// In a database that answers before a commit is on the disk, a lease is the exception.
fn a_crash_loses_no_lease(server: Server) {
    let site = Site::migrated(&server);
    server.query("postgres", "ALTER SYSTEM SET synchronous_commit = off").unwrap();
    server.query("postgres", "ALTER SYSTEM SET wal_writer_delay = '10s'").unwrap();
    server.down(Stop::Fast);
    server.up();
    let mut ids = Vec::new();
    for _ in 0..3 {
        {
            let instance = Instance::ready(&site, 5, &[]);
            ids.extend((0..40).map_while(|_| {
                eventually("an id is there", || site.leased() > 0);
                instance.id()
            }));
        }
        server.down(Stop::Immediate);
        server.up();
    }
    assert!(ids.len() >= 15, "{ids:?}");
    assert_unique(ids);
}
