//! The finished tool on a machine that reaches AWS in another way than directly.
#![cfg(target_os = "linux")]

use sha2::{Digest, Sha256};

use crate::fakes::{Fakes, World, proxy};

/// A name that no resolver knows: only a proxy leads there.
const AWS: &str = "http://aws.invalid";

#[test]
fn a_release_goes_through_the_proxy_with_everything_it_asks() {
    let fakes = Fakes::start(World::default());
    let proxy = proxy::Proxy::start(fakes.address(), None);
    fakes.world().url = "http://service.invalid/live".to_owned();
    for (name, other) in [("HTTP_PROXY", "NO_PROXY"), ("all_proxy", "no_proxy")] {
        fakes.world().stack.clear();
        let sandbox = fakes.sandbox().with("AWS_ENDPOINT_URL", AWS).with(name, &proxy.url).with(other, "other");
        let before = proxy.seen().len();
        let ended = sandbox.run(&["release"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        let seen = &proxy.seen()[before..];
        for address in ["POST http://aws.invalid/", "GET http://service.invalid/live/version"] {
            assert!(seen.iter().any(|asked| asked.starts_with(address)), "{address} is not in {seen:?}");
        }
        // The registry, which the emulator plays.
        assert!(before > 0 || seen.iter().any(|asked| asked.contains("aws.invalid/v2/rest-api/")), "{seen:?}");
    }
}

#[test]
fn hosts_in_no_proxy_are_reached_directly() {
    let fakes = Fakes::start(World::default());
    // Leads to this machine, and is none of its loopback addresses.
    let direct = format!("http://0.0.0.0:{}", fakes.address().port());
    let proxy = proxy::Proxy::start(fakes.address(), None);
    let sandbox = fakes.sandbox().with("AWS_ENDPOINT_URL", &direct).with("HTTP_PROXY", &proxy.url);
    assert_eq!(sandbox.run(&["status"]).code, 0);
    let proxied = proxy.seen().len();
    assert!(proxied > 0);
    for none in ["0.0.0.0", "example.com, 0.0.0.0/8", "*"] {
        let sandbox = fakes.sandbox().with("AWS_ENDPOINT_URL", &direct).with("HTTP_PROXY", &proxy.url);
        let ended = sandbox.with("NO_PROXY", none).run(&["status"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert_eq!(proxy.seen().len(), proxied, "{none}");
    }
}

#[test]
fn a_dead_proxy_is_named_without_its_password() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox().with("AWS_ENDPOINT_URL", "https://aws.invalid");
    let ended = sandbox.with("HTTPS_PROXY", "http://ann:hush-hush@127.0.0.1:1").run(&["status"]);
    let reason = "the proxy http://127.0.0.1:1 from HTTPS_PROXY refuses connections";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    assert!(!ended.stderr.contains("hush"), "{}", ended.stderr);
}

#[test]
fn an_authority_of_the_users_own_is_trusted_by_everything() {
    let fakes = Fakes::start(World::default());
    let (tls, pem) = proxy::tls("aws.invalid", fakes.address());
    let proxy = proxy::Proxy::start(fakes.address(), Some(tls));
    let sandbox = || {
        let sandbox = fakes.sandbox().with("AWS_ENDPOINT_URL", "https://aws.invalid");
        sandbox.with("https_proxy", &proxy.url)
    };
    let ended = sandbox().run(&["status"]);
    assert!(ended.code != 0 && ended.stderr.contains("certificate"), "{}", ended.stderr);

    let trusting = sandbox();
    trusting.write("authority.pem", &pem);
    let path = trusting.path().join("authority.pem");
    let trusting = trusting.with("AWS_CA_BUNDLE", path.to_str().unwrap());
    let ended = trusting.run(&["status"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(proxy.seen().iter().all(|asked| asked == "CONNECT aws.invalid:443"), "{:?}", proxy.seen());
    // IAM is asked by hand.
    let ended = trusting.run(&["doctor"]);
    assert!(fakes.world().asked.iter().any(|action| action.starts_with("iam:")), "{}", ended.stderr);
}

#[test]
fn an_answer_of_a_proxy_is_not_taken_for_one_of_aws() {
    let fakes = Fakes::start(World::default());
    let proxy = proxy::Proxy::start(fakes.address(), None);
    // Its tunnels lead nowhere.
    let sandbox = fakes.sandbox().with("AWS_ENDPOINT_URL", "https://aws.invalid");
    let ended = sandbox.with("https_proxy", &proxy.url).run(&["status"]);
    assert!(ended.stderr.contains("from https_proxy cannot reach aws.invalid"), "{}", ended.stderr);
}

#[test]
fn an_engine_behind_tls_is_reached_as_its_context_says() {
    let fakes = Fakes::start(World::default());
    let (tls, authority) = proxy::tls("127.0.0.1", fakes.address());
    let sandbox = fakes.sandbox().without("DOCKER_HOST");
    let id: String = Sha256::digest("far").iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = format!(r#"{{"Name":"far","Endpoints":{{"docker":{{"Host":"tcp://{tls}"}}}}}}"#);
    sandbox.write("home/.docker/config.json", r#"{"currentContext":"far"}"#);
    sandbox.write(&format!("home/.docker/contexts/meta/{id}/meta.json"), &meta);
    let file = |name: &str, text: &str| sandbox.write(&format!("home/.docker/contexts/tls/{id}/docker/{name}"), text);
    let client = rcgen::generate_simple_self_signed(vec!["client".to_owned()]).unwrap();
    file("ca.pem", &authority);
    file("cert.pem", &client.cert.pem());
    let ended = sandbox.run(&["release"]);
    assert!(ended.code == 3 && ended.stderr.contains("has no key.pem"), "{}", ended.stderr);
    file("key.pem", &client.signing_key.serialize_pem());
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    // Another authority than the engine's.
    file("ca.pem", &client.cert.pem());
    let ended = sandbox.run(&["build"]);
    assert!(ended.code == 3 && ended.stderr.contains("certificate"), "{}", ended.stderr);
}
