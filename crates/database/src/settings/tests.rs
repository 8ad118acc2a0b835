use std::path::PathBuf;
use std::time::Duration;

use chassis::Secret;
use config::Invalid;

use super::*;

fn read_if(needed: bool, vars: &[(&str, &str)]) -> Result<Option<Settings>, Invalid> {
    let mut reader = Reader::new(vars.iter().map(|(name, value)| (name.to_string(), value.to_string())));
    let settings = Settings::read_if(&mut reader, needed);
    reader.finish(settings)
}

fn read(vars: &[(&str, &str)]) -> Result<Option<Settings>, Invalid> {
    read_if(false, vars)
}

/// The lines of what is wrong.
fn problems(vars: &[(&str, &str)]) -> Vec<String> {
    read_if(true, vars).unwrap_err().to_string().lines().map(str::to_owned).collect()
}

fn database() -> Settings {
    Settings {
        host: "db".to_owned(),
        port: 5432,
        user: "ann".to_owned(),
        password: None,
        name: "ann".to_owned(),
        ssl_mode: SslMode::VerifyFull,
        ssl_root_certificate: None,
        application: "api".to_owned(),
        connections: 5,
        connect: Duration::from_secs(5),
        statement: Duration::from_secs(5),
        idle: Duration::from_secs(60),
        migrate: false,
        migration_wait: Duration::from_secs(300),
    }
}

#[test]
fn nothing_has_to_be_set() {
    assert_eq!(read(&[]).unwrap(), None);
}

#[test]
fn a_database_has_a_host_and_a_role() {
    assert_eq!(read(&[("PGHOST", "db"), ("PGUSER", "ann")]).unwrap(), Some(database()));
    for vars in [&[("PGHOST", "db")][..], &[("PGUSER", "ann")]] {
        assert_eq!(read(vars).unwrap(), None, "no database is needed");
    }
    let missing = problems(&[]);
    assert!(missing.len() == 2 && missing[0].contains("PGHOST is missing") && missing[1].contains("PGUSER is missing"));
}

#[test]
fn every_variable_is_read() {
    let all = [
        ("API_MIGRATE", "on"),
        ("API_MIGRATE_WAIT_SECONDS", "0"),
        ("API_DATABASE_CONNECTIONS", "10"),
        ("API_DATABASE_CONNECT_SECONDS", "1"),
        ("API_DATABASE_STATEMENT_SECONDS", "2"),
        ("API_DATABASE_IDLE_SECONDS", "3"),
        ("PGHOST", "db.example.com"),
        ("PGPORT", "6432"),
        ("PGUSER", "ann"),
        ("PGPASSWORD", "pass word"),
        ("PGDATABASE", "notes"),
        ("PGSSLMODE", "disable"),
        ("PGSSLROOTCERT", "/ca/root.pem"),
        ("PGAPPNAME", "notes"),
    ];
    let expected = Settings {
        host: "db.example.com".to_owned(),
        port: 6432,
        password: Some(Secret::new("pass word".to_owned())),
        name: "notes".to_owned(),
        ssl_mode: SslMode::Disable,
        ssl_root_certificate: Some(PathBuf::from("/ca/root.pem")),
        application: "notes".to_owned(),
        connections: 10,
        connect: Duration::from_secs(1),
        statement: Duration::from_secs(2),
        idle: Duration::from_secs(3),
        migrate: true,
        migration_wait: Duration::ZERO,
        ..database()
    };
    assert_eq!(read(&all).unwrap(), Some(expected.clone()));
    // What a URL has counts more.
    let url = ("DATABASE_URL", "postgres://bob:other@elsewhere:1/things?sslmode=require&sslrootcert=/x.pem");
    let by_url = Settings {
        host: "elsewhere".to_owned(),
        port: 1,
        user: "bob".to_owned(),
        password: Some(Secret::new("other".to_owned())),
        name: "things".to_owned(),
        ssl_mode: SslMode::Require,
        ssl_root_certificate: Some(PathBuf::from("/x.pem")),
        ..expected
    };
    assert_eq!(super::tests::read(&[&all[..], &[url]].concat()).unwrap(), Some(by_url));
    let read: Vec<_> = all.iter().map(|(name, _)| *name).chain([url.0]).collect();
    assert!(VARIABLES.iter().all(|variable| read.contains(&variable.name)) && VARIABLES.len() == read.len());
}

#[test]
fn what_is_refused_is_named_and_no_secret_shown() {
    for (name, value) in [
        ("API_DATABASE_CONNECTIONS", "101"),
        ("API_DATABASE_STATEMENT_SECONDS", "0"),
        ("API_MIGRATE", "yes"),
        ("PGHOST", ""),
        ("PGHOST", "postgres://u:p@h"),
        ("PGHOST", "h/x"),
        ("PGUSER", "a\u{fffd}"),
        ("PGPORT", "0"),
        ("PGPORT", "+5"),
        ("PGSSLMODE", "allow"),
    ] {
        let problems = problems(&[(name, value), ("DATABASE_URL", "postgres://ann@db")]);
        assert!(problems.len() == 1 && problems[0].contains(&format!("{name} is {value:?}")), "{problems:?}");
    }
    for (name, value) in [("DATABASE_URL", "db:hunter2"), ("PGPASSWORD", "hunter2\0")] {
        // Not the missing host too, which a usable URL would have named.
        let problems = problems(&[(name, value), ("PGUSER", "x"), ("PGHOST", "x")]);
        assert!(problems.len() == 1 && problems[0].contains(name) && !problems[0].contains("hunter2"), "{problems:?}");
    }
    assert_eq!(problems(&[("DATABASE_URL", "db:hunter2")]).len(), 1);
    let settings = read(&[("DATABASE_URL", "postgres://ann:hunter2@db")]).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn the_readme_has_the_table_of_settings() {
    let table = chassis::testing::table_of_settings(VARIABLES);
    assert!(include_str!("../../README.md").contains(&table), "README.md should have:\n{table}");
}
