use serde_json::json;

use super::*;

const NOW: i64 = 1_793_000_000;

fn pipeline(repository: &Repository) -> Pipeline<'_> {
    Pipeline { repository, id: Some(70), owner_id: Some(7), environment: "production", workflow: None }
}

fn repository() -> Repository {
    "Octo/shop-api".parse().unwrap()
}

/// What a job's token says, with some claims changed; null takes one away.
fn claims(changed: Value) -> Claims {
    let mut claims = json!({
        "iss": "https://token.actions.githubusercontent.com",
        "aud": "sts.amazonaws.com",
        "sub": "repo:Octo/shop-api:environment:production",
        "repository": "Octo/shop-api",
        "repository_id": "70",
        "repository_owner_id": "7",
        "environment": "production",
        "job_workflow_ref": "Octo/shop-api/.github/workflows/release.yml@refs/heads/main",
        "exp": NOW + 300,
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    token(&claims)
}

fn token(claims: &Value) -> Claims {
    Claims::read(&format!("e30.{}.c2lnbmF0dXJl\n", URL_SAFE_NO_PAD.encode(claims.to_string()))).unwrap()
}

/// The claims that do not fit, with what is to be done.
fn misfits(trust: &Trust, changed: Value) -> Vec<(&'static str, String)> {
    let findings = trust.check(&claims(changed), NOW, "live");
    let misfit = |finding: Finding| (!finding.fits).then(|| (finding.claim, finding.fix.expect("a fix")));
    findings.into_iter().filter_map(misfit).collect()
}

#[test]
fn both_forms_of_the_subject_fit_where_the_numbers_are_known() {
    let repository = repository();
    let numbered = "repo:Octo@7/shop-api@70:environment:production";
    let both = Trust::of(&pipeline(&repository));
    let old = Trust::of(&Pipeline { owner_id: None, ..pipeline(&repository) });
    for (trust, sub, fits) in [
        (&both, "repo:Octo/shop-api:environment:production", true),
        (&both, numbered, true),
        (&old, "repo:Octo/shop-api:environment:production", true),
        (&old, numbered, false),
        // Nothing that only looks like it.
        (&both, "repo:Octo@7/shop-api@71:environment:production", false),
        (&both, "repo:Octo@8/shop-api@70:environment:production", false),
        (&both, "repo:Octo/shop-api:environment:production2", false),
        (&both, "repo:Octo/shop-api2:environment:production", false),
        (&both, "repo:Octo/shop-api:environment:*", false),
        (&both, "", false),
    ] {
        assert_eq!(misfits(trust, json!({"sub": sub})).is_empty(), fits, "{sub:?}");
    }
}

#[test]
fn every_claim_that_does_not_fit_says_what_to_do() {
    let repository = repository();
    let workflow = Some("Octo/shop-api/.github/workflows/release.yml@refs/heads/main");
    let trust = Trust::of(&Pipeline { workflow, ..pipeline(&repository) });
    assert_eq!(misfits(&trust, json!({})), []);
    for (changed, claim, fix) in [
        (json!({"iss": "https://gitlab.com"}), "iss", "inside a job of GitHub Actions"),
        (json!({"aud": "https://github.com/Octo"}), "aud", "with the audience sts.amazonaws.com"),
        (json!({"aud": null}), "aud", "sts.amazonaws.com"),
        (json!({"sub": "repo:octo/shop-api:environment:production"}), "sub", "upper and lower case count"),
        (json!({"sub": "repo:Octo/shop-api:ref:refs/heads/main"}), "sub", "add `environment: production` to it"),
        (json!({"sub": "repo:Octo/shop-api:pull_request"}), "sub", "runs in no GitHub environment"),
        (json!({"sub": "repo:Octo/other:environment:production"}), "sub", "if this pipeline is to release"),
        (json!({"repository_id": "71"}), "repository_id", "--github-id 71"),
        (json!({"environment": "staging"}), "environment", "--github-environment staging"),
        (
            json!({"job_workflow_ref": "Octo/shop-api/.github/workflows/ci.yml@refs/heads/x"}),
            "job_workflow_ref",
            "--github-environment production --github-workflow ci.yml@refs/heads/x",
        ),
        (json!({"exp": NOW}), "exp", "take a new token"),
        (json!({"exp": null}), "exp", "take a new token"),
    ] {
        let misfits = misfits(&trust, changed.clone());
        let [(found, said)] = misfits.as_slice() else { panic!("{changed}: {misfits:?}") };
        assert_eq!(*found, claim, "{changed}");
        assert!(said.contains(fix), "{changed}: {said}");
    }
    // A list of audiences is enough if AWS is among them.
    assert_eq!(misfits(&trust, json!({"aud": ["somebody", "sts.amazonaws.com"]})), []);
}

#[test]
fn what_is_not_asked_for_is_not_looked_at() {
    let parameters = [("Subjects", "repo:a/b:environment:c,repo:a@1/b@2:environment:c"), ("RepositoryId", "")];
    let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let trust = Trust::deployed(&parameters).unwrap();
    let changed = json!({"sub": "repo:a@1/b@2:environment:c", "repository_id": null, "environment": null});
    assert_eq!(misfits(&trust, changed), []);
    assert_eq!(Trust::deployed(&BTreeMap::new()), None);
}

#[test]
fn what_is_deployed_is_what_was_asked_for() {
    let repository = repository();
    let workflow = Some("Octo/shop-api/.github/workflows/release.yml@refs/heads/main");
    let trust = Trust::of(&Pipeline { workflow, ..pipeline(&repository) });
    let parameters = trust.parameters().map(|(name, value)| (name.to_owned(), value)).into();
    assert_eq!(Trust::deployed(&parameters), Some(trust));
}

#[test]
fn a_token_is_read_bare_and_as_github_hands_it_out_and_never_repeated() {
    let bare = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(r#"{"sub":"a?>"}"#));
    for text in [bare.clone(), json!({"count": 1, "value": bare}).to_string()] {
        assert_eq!(Claims::read(&text).unwrap().text("sub"), "a?>");
    }
    for (text, why) in [
        ("", "three parts"),
        ("geheim", "three parts"),
        ("a.geheim!.c", "not base64"),
        ("a.Z2VoZWlt.c", "no JSON object"),
    ] {
        let error = Claims::read(text).unwrap_err();
        assert!(error.contains(why) && !error.contains("geheim"), "{error}");
    }
}

#[test]
fn a_repository_is_its_owner_and_name() {
    assert_eq!(repository(), Repository { owner: "Octo".to_owned(), name: "shop-api".to_owned() });
    for wrong in ["", "octo", "octo/", "/shop", "a/b/c", "a/*", "a,b/c", "https://github.com/a/b"] {
        assert!(wrong.parse::<Repository>().is_err(), "{wrong}");
    }
}
