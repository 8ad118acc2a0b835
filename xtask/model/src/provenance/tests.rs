use super::*;

const HEX: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn vars(set: &[(&str, &str)]) -> BTreeMap<String, String> {
    set.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// As GitHub sets them for a push.
fn pipeline() -> BTreeMap<String, String> {
    vars(&[
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "octo/notes"),
        ("GITHUB_REF", "refs/heads/main"),
        ("GITHUB_WORKFLOW_REF", "octo/notes/.github/workflows/release.yml@refs/heads/main"),
        ("GITHUB_RUN_ID", "42"),
    ])
}

fn about(vars: &BTreeMap<String, String>, commit: Option<&str>) -> Value {
    let image = format!("127.0.0.1:5000/rest-api@sha256:{HEX}").parse().unwrap();
    let repository = source_repository(vars, Some("git@github.com:octo/notes.git"));
    let facts = Facts {
        image: &image,
        repository: &repository,
        commit,
        lock: "beef".to_owned(),
        platform: "linux/amd64",
        features: &["postgres".to_owned()],
        content: "content-0123456789ab",
    };
    statement(vars, &facts)
}

#[test]
fn a_pipelines_statement_names_builder_image_and_commit() {
    let statement = about(&pipeline(), Some(COMMIT));
    assert_eq!(statement["_type"], "https://in-toto.io/Statement/v1");
    assert_eq!(statement["subject"][0]["name"], "127.0.0.1:5000/rest-api");
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(
        definition["externalParameters"],
        json!({
            "repository": "https://github.com/octo/notes",
            "ref": "refs/heads/main",
            "workflow": { "path": ".github/workflows/release.yml", "ref": "refs/heads/main" },
        })
    );
    assert_eq!(
        definition["resolvedDependencies"],
        json!([
            { "uri": "git+https://github.com/octo/notes@refs/heads/main", "digest": { "gitCommit": COMMIT } },
            { "name": "Cargo.lock", "digest": { "sha256": "beef" } },
        ])
    );
    let provenance = read(statement.to_string().as_bytes()).unwrap();
    let run = "https://github.com/octo/notes/actions/runs/42".to_owned();
    let builder = "https://github.com/octo/notes/.github/workflows/release.yml@refs/heads/main".to_owned();
    let repository = "https://github.com/octo/notes".to_owned();
    let (digests, commit) = (vec![HEX.to_owned()], Some(COMMIT.to_owned()));
    assert_eq!(provenance, Provenance { digests, builder, repository, commit, run: Some(run) });
}

#[test]
fn outside_a_pipeline_the_builder_is_local() {
    // Variables that were set by hand make no pipeline.
    let mut by_hand = pipeline();
    by_hand.remove("GITHUB_ACTIONS");
    for vars in [vars(&[]), by_hand] {
        let provenance = read(about(&vars, None).to_string().as_bytes()).unwrap();
        assert_eq!((provenance.builder.as_str(), provenance.commit.as_deref()), (LOCAL, None));
        assert_eq!(provenance.repository, "https://github.com/octo/notes");
    }
}

#[test]
fn other_documents_are_not_read() {
    let good = about(&pipeline(), None);
    for (key, value) in
        [("_type", json!("https://in-toto.io/Statement/v0.1")), ("predicateType", json!("x")), ("predicate", json!({}))]
    {
        let mut other = good.clone();
        other[key] = value;
        assert_eq!(read(other.to_string().as_bytes()), None, "{key}");
    }
    assert_eq!(read(b"{"), None);
}

#[test]
fn all_forms_of_an_address_are_one_page_without_a_password() {
    for address in [
        "https://github.com/octo/notes",
        "https://github.com/octo/notes.git",
        "https://somebody:s3cret@github.com/octo/notes.git/",
        "git@github.com:octo/notes.git",
        "ssh://git@github.com:22/octo/notes.git",
        "git://github.com/octo/notes",
    ] {
        assert_eq!(page(address).as_deref(), Some("https://github.com/octo/notes"), "{address}");
        assert!(is_same(address, "https://github.com/Octo/Notes"));
    }
    assert_eq!(page("https://git.example:8443/a/b.git").as_deref(), Some("https://git.example:8443/a/b"));
    for folder in ["/srv/git/notes.git", "../notes", "file:///srv/notes", ""] {
        assert_eq!(page(folder), None, "{folder}");
    }
    assert!(!is_same("https://github.com/octo/notes", "https://github.com/octo/notes-2"));
    assert_eq!(source_repository(&vars(&[]), Some("/srv/git/notes.git")), env!("CARGO_PKG_REPOSITORY"));
}
