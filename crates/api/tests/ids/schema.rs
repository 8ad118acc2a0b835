//! The schema: applied once, by one process at a time; found too old, new enough, or newer.

use chassis::testing::eventually;
use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Instant;

use postgres_server::Server;

use crate::NamedTrial;
use crate::instance::Instance;
use crate::site::{Site, text};

pub(crate) const TRIALS: &[NamedTrial] = &[
    ("a_schema_that_comes_later", a_schema_that_comes_later),
    ("a_newer_schema_is_fine", a_newer_schema_is_fine),
    ("a_start_migrates_where_a_setting_says_so", a_start_migrates_where_a_setting_says_so),
    ("a_migration_that_fails_leaves_nothing", a_migration_that_fails_leaves_nothing),
    ("three_migrators_at_once", three_migrators_at_once),
    ("a_migrator_waits_for_another_one_and_not_for_ever", a_migrator_waits_and_not_for_ever),
    ("a_waiting_migrator_stops_no_index", a_waiting_migrator_stops_no_index),
    ("a_migration_that_was_changed_is_refused", a_migration_that_was_changed_is_refused),
    ("the_service_needs_no_right_to_change_the_schema", the_service_needs_no_right_to_change_the_schema),
];

const NOT_READY: &str = "the database is not ready; trying again";
const BLOCK: u64 = 20;
/// What the lock is in PostgreSQL's terms.
const LOCK: i64 = 0x6170_6920_6d69_6772;

fn a_schema_that_comes_later(server: &Server) {
    let site = Site::empty(server);
    let instance = Instance::start(&site, BLOCK, &[]);
    eventually("the reason is logged", || !instance.events(NOT_READY).is_empty());
    let reason = instance.reasons(NOT_READY).remove(0);
    for part in [&*site.name, "0001_ids", "`migrate`"] {
        assert!(reason.contains(part), "{part} is not in {reason}");
    }
    let (status, answer) = instance.get("/health");
    assert!(status == 503 && answer.contains(r#""status":"starting""#), "{answer}");
    // It is alive, and says which version it is; it has no ids to give.
    assert_eq!((instance.id(), instance.get("/livez").0, instance.get("/version").0), (None, 200, 200));
    let migrated = site.run(&["migrate"], &[]);
    assert_eq!((migrated.status.code(), &*text(&migrated)), (Some(0), "applied 0001_ids\n"));
    eventually("the service gets ready by itself", || instance.get("/health").0 == 200);
    assert_eq!((instance.id(), instance.events(NOT_READY).len()), (Some(1), 1), "a reason is logged once");
    let again = site.run(&["migrate"], &[]);
    assert_eq!((again.status.code(), &*text(&again)), (Some(0), "nothing to do\n"));
}

/// What a later version has made: a rollback to this one works.
fn a_newer_schema_is_fine(server: &Server) {
    let site = Site::migrated(server);
    site.query(
        "ALTER TABLE id_counters ADD COLUMN note text; INSERT INTO _sqlx_migrations (version, description, success, \
         checksum, execution_time) VALUES (9999, 'later', true, '\\x00', 1)",
    );
    let instance = Instance::ready(&site, BLOCK, &[]);
    assert_eq!(instance.id(), Some(1));
    let migrated = site.run(&["migrate"], &[]);
    assert_eq!((migrated.status.code(), &*text(&migrated)), (Some(0), "nothing to do\n"));
}

fn a_start_migrates_where_a_setting_says_so(server: &Server) {
    let site = Site::empty(server);
    let instance = Instance::ready(&site, BLOCK, &[("API_MIGRATE", "on")]);
    assert_eq!(instance.id(), Some(1));
    assert_eq!(instance.events("applied 0001_ids").len(), 1);
}

/// The first statement of the file succeeds, the second does not.
fn a_migration_that_fails_leaves_nothing(server: &Server) {
    let site = Site::empty(server);
    site.query(
        "CREATE FUNCTION meddle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF to_regclass('id_counters') IS \
         NOT NULL THEN INSERT INTO id_counters (name) VALUES ('greetings'); END IF; END $$; CREATE EVENT TRIGGER \
         meddle ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION meddle()",
    );
    let failed = site.run(&["migrate"], &[]);
    assert_eq!(failed.status.code(), Some(1));
    let text = text(&failed);
    assert!(text.contains("0001_ids") && text.contains("duplicate key"), "{text}");
    assert_eq!(site.query("SELECT to_regclass('id_counters') IS NULL"), "t", "the table is still there");
    assert_eq!(site.query("SELECT count(*) FROM _sqlx_migrations"), "0");
    site.query("DROP EVENT TRIGGER meddle");
    assert!(site.run(&["migrate"], &[]).status.success());
    assert_eq!(site.leased(), 0);
}

fn three_migrators_at_once(server: &Server) {
    let site = Site::empty(server);
    // So slow that they meet.
    site.query(
        "CREATE FUNCTION dawdle() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN IF to_regclass('id_counters') IS \
         NOT NULL THEN PERFORM pg_sleep(1); END IF; END $$; CREATE EVENT TRIGGER dawdle ON ddl_command_end WHEN TAG IN \
         ('CREATE TABLE') EXECUTE FUNCTION dawdle()",
    );
    let outputs: Vec<_> = thread::scope(|scope| {
        let migrators = [(); 3].map(|()| scope.spawn(|| site.run(&["migrate"], &[])));
        migrators.into_iter().map(|migrator| migrator.join().unwrap()).collect()
    });
    let mut said: Vec<_> = outputs.iter().map(|output| String::from_utf8(output.stdout.clone()).unwrap()).collect();
    said.sort();
    assert_eq!(said, ["applied 0001_ids\n", "nothing to do\n", "nothing to do\n"], "{outputs:?}");
    assert!(outputs.iter().all(|output| output.status.success()), "{outputs:?}");
    let waited = outputs.iter().filter(|output| text(output).contains("another migration")).count();
    assert_eq!(waited, 2, "two have waited for one: {outputs:?}");
}

fn a_migrator_waits_and_not_for_ever(server: &Server) {
    let site = Site::empty(server);
    let other = server.session(&site.name);
    let mut input = other.stdin.as_ref().unwrap();
    input.write_all(format!("SELECT pg_advisory_lock({LOCK});\n").as_bytes()).unwrap();
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database \
                WHERE datname = current_database())";
    eventually("the lock is held", || site.query(held) == "1");
    let started = Instant::now();
    let failed = site.run(&["migrate"], &[("API_MIGRATE_WAIT_SECONDS", "1")]);
    assert_eq!(failed.status.code(), Some(1));
    let text = text(&failed);
    assert!(text.contains("another migration") && text.contains("API_MIGRATE_WAIT_SECONDS"), "{text}");
    assert!((1..20).contains(&started.elapsed().as_secs()));
    assert_eq!(site.query("SELECT to_regclass('id_counters') IS NULL"), "t");
    // It ends with its input, and its lock with it.
    other.wait_with_output().unwrap();
    assert!(site.run(&["migrate"], &[]).status.success());
}

/// The process that has the lock builds an index, which waits for every transaction: a migrator that waited for the lock
/// in one would wait for it in turn.
fn a_waiting_migrator_stops_no_index(server: &Server) {
    let site = Site::empty(server);
    let mut first = server.session(&site.name);
    let mut input = first.stdin.take().unwrap();
    let mut run = |statement: &str| input.write_all(format!("{statement};\n").as_bytes()).unwrap();
    run(&format!("SELECT pg_advisory_lock({LOCK})"));
    run("CREATE TABLE things (id int)");
    eventually("the lock is held", || site.query("SELECT to_regclass('things') IS NOT NULL") == "t");
    let second = site.command(&["migrate"], &[]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    eventually("the second one has come", || site.connections() == 2);
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'service' AND datname = current_database() AND \
                   query LIKE '%advisory_lock%'";
    eventually("it waits", || site.query(waiting) == "1");
    run("CREATE INDEX CONCURRENTLY things_id ON things (id)");
    drop(input);
    let output = first.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'things_id'::regclass"), "t");
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success() && text(&output).contains("applied 0001_ids"), "{output:?}");
}

fn a_migration_that_was_changed_is_refused(server: &Server) {
    let site = Site::migrated(server);
    site.query("UPDATE _sqlx_migrations SET checksum = '\\x00'");
    let failed = site.run(&["migrate"], &[]);
    assert_eq!(failed.status.code(), Some(1));
    let text = text(&failed);
    assert!(text.contains("0001_ids was changed") && text.contains("new file"), "{text}");
}

fn the_service_needs_no_right_to_change_the_schema(server: &Server) {
    let site = Site::migrated(server);
    let role = format!("reader_{}", site.name);
    site.query(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD '{}'; GRANT SELECT ON _sqlx_migrations TO {role}; GRANT SELECT, UPDATE ON \
         id_counters TO {role}",
        server.password()
    ));
    let instance = Instance::ready(&site, BLOCK, &[("PGUSER", &role)]);
    assert_eq!(instance.id(), Some(1));
}
