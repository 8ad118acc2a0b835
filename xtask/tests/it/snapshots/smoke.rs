//! `smoke`, against endpoints that are right and others that are not.

use insta::assert_snapshot;

use crate::fakes::{DIGEST, Fakes, OTHER_DIGEST, World};
use crate::sandbox::{Ended, Sandbox};

fn serving(digest: &str) -> Fakes {
    Fakes::start(World { serves: Some(digest.to_owned()), ..World::default() })
}

#[test]
fn an_endpoint_that_is_right() {
    let fakes = serving(DIGEST);
    let url = fakes.url();
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["smoke", &url, "--digest", DIGEST]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live answers correctly
    --- stderr
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    ");
    assert_snapshot!(sandbox.run(&["smoke", &url, "--quiet"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live answers correctly
    ");
    assert_snapshot!(sandbox.run(&["smoke", &url, "--verbose"]).snapshot(), @r"
    exit 0
    --- stdout
    http://127.0.0.1:[port]/live answers correctly
    --- stderr
      smoke     ...
                correct, 1 of 5
                correct, 2 of 5
                correct, 3 of 5
                correct, 4 of 5
                correct, 5 of 5
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 ([time])
    ");
    let ended = sandbox.run(&["smoke", &url, "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 0
    --- stdout
    {"format":1,"ok":true,"url":"http://127.0.0.1:[port]/live","smoke":{"status":"right","served_digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},"phases":[{"name":"smoke","seconds":0,"skipped":false}],"seconds":0}
    --- stderr
    ok smoke     http://127.0.0.1:[port]/live is right and runs sha256:5891b5b522d5 ([time])
    "#);
}

#[test]
fn colour_is_the_users_choice() {
    let fakes = serving(DIGEST);
    let url = fakes.url();
    let has_colour = |sandbox: &Sandbox, when: &str| {
        let ended = sandbox.run(&["smoke", &url, "--color", when]);
        assert_eq!(ended.code, 0);
        assert!(!ended.stdout.contains('\u{1b}'), "a result is for programs too: {:?}", ended.stdout);
        ended.stderr.contains('\u{1b}')
    };
    assert!(!has_colour(&Sandbox::new(), "auto"), "no terminal, no colour");
    assert!(has_colour(&Sandbox::new(), "always"));
    assert!(!has_colour(&Sandbox::new(), "never"));
    let plain = Sandbox::new().with("NO_COLOR", "1");
    assert!(!has_colour(&plain, "auto"));
    assert!(has_colour(&plain, "always"), "an option that is given wins over a variable");
    let ended = Sandbox::new().run(&["status", "staging", "--color", "always"]);
    assert_snapshot!(ended.snapshot(), @r#"
    exit 2
    --- stderr
    ␛[31merror:␛[0m there is no environment "staging"
      ␛[1mresource␛[0m: deploy.toml
      ␛[1mreason␛[0m: it has dev, production
      ␛[1mnext␛[0m: add [environments.staging] or use one of these
    "#);
}

/// Each of these waits for its endpoint to become right, so all wait together.
#[test]
fn endpoints_that_are_not_right() {
    let old = serving(OTHER_DIGEST);
    let broken = Fakes::start(World::default());
    let smoke = |url: String| {
        std::thread::spawn(move || Sandbox::new().run(&["smoke", &url, "--digest", DIGEST, "--json", "--quiet"]))
    };
    let runs = [smoke(old.url()), smoke(broken.url()), smoke("http://127.0.0.1:1".to_owned())];
    let [old, broken, nobody] = runs.map(|run| run.join().unwrap());
    let status = |ended: &Ended| ended.json()["smoke"]["status"].as_str().unwrap().to_owned();
    assert_eq!([&old, &broken, &nobody].map(status), ["old-version", "not-answering", "not-answering"]);
    assert_snapshot!(old.snapshot(), @r#"
    exit 1
    --- stdout
    {"format":1,"ok":false,"digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","url":"http://127.0.0.1:[port]/live","smoke":{"status":"old-version","served_digest":"sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317"},"phases":[{"name":"smoke","seconds":0,"skipped":false}],"seconds":0,"error":{"kind":"old-version","message":"another version is still serving","resource":"http://127.0.0.1:[port]/live","reason":"sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317 answers, sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 was deployed","hint":"wait and ask again with cargo xtask smoke; if it stays, look at the service's log"}}
    --- stderr
    error: another version is still serving
      resource: http://127.0.0.1:[port]/live
      reason: sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317 answers, sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03 was deployed
      next: wait and ask again with cargo xtask smoke; if it stays, look at the service's log
    "#);
    assert_snapshot!(broken.snapshot(), @r#"
    exit 1
    --- stdout
    {"format":1,"ok":false,"digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","url":"http://127.0.0.1:[port]/live","smoke":{"status":"not-answering"},"phases":[{"name":"smoke","seconds":0,"skipped":false}],"seconds":0,"error":{"kind":"not-answering","message":"the endpoint does not give the right answer","resource":"http://127.0.0.1:[port]/live","reason":"http://127.0.0.1:[port]/live/api/greeting answers 502 Bad Gateway Bad Gateway","hint":"look at the service's log, then ask again with cargo xtask smoke"}}
    --- stderr
    error: the endpoint does not give the right answer
      resource: http://127.0.0.1:[port]/live
      reason: http://127.0.0.1:[port]/live/api/greeting answers 502 Bad Gateway Bad Gateway
      next: look at the service's log, then ask again with cargo xtask smoke
    "#);
    assert_snapshot!(nobody.snapshot(), @r#"
    exit 1
    --- stdout
    {"format":1,"ok":false,"digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03","url":"http://127.0.0.1:[port]","smoke":{"status":"not-answering"},"phases":[{"name":"smoke","seconds":0,"skipped":false}],"seconds":0,"error":{"kind":"not-answering","message":"no connection to the endpoint","resource":"http://127.0.0.1:[port]","reason":"http://127.0.0.1:[port]/api/greeting cannot be reached: client error (Connect): tcp connect error: Connection refused (os error [number])","hint":"check the URL and that the service runs, then ask again with cargo xtask smoke"}}
    --- stderr
    error: no connection to the endpoint
      resource: http://127.0.0.1:[port]
      reason: http://127.0.0.1:[port]/api/greeting cannot be reached: client error (Connect): tcp connect error: Connection refused (os error [number])
      next: check the URL and that the service runs, then ask again with cargo xtask smoke
    "#);
}
