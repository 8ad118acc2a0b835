//! The gateway for real, on the emulator: what is asked through it, what comes back, and who gets in.

mod sign_in;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{DOCKER, Programs, Suite, TAR};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::boot::images;
use crate::checkout::Checkout;
use crate::client::{self, Reply, ask_for};
use crate::ministack::{Ministack, Names};
use crate::registry::run;
use crate::rehearsal::{ENVIRONMENT, gateway_base, needed, prepared, release, settled, smoke_base, text};
use sign_in::Users;

const ORIGIN: &str = "https://app.example.com";
/// Where `deploy.toml` takes more parameters of the rehearsal.
const LAST_PARAMETER: &str = r#"DirectAccessCidr = "127.0.0.1/32""#;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let needed = needed(Names::Own, &[DOCKER, TAR]);
    let test = |name: &str, run: fn(&Checkout, &Ministack) -> Result<()>| {
        suite.test(name, &needed, move |programs| prepared(programs, Names::Own, run))
    };
    vec![
        test("gateway::requests_and_answers_pass_unchanged", arrives),
        test("gateway::an_allowed_origin_may_call_and_only_signed_in_users_are_answered", signed_in),
        test("gateway::a_token_needs_the_scope_and_a_request_the_key", keys_and_scopes),
    ]
}

fn arrives(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let image = echo(checkout.programs(), emulator)?;
    let deployed = checkout.xtask(&["deploy", ENVIRONMENT, "--image", &image, "--no-smoke", "--yes"])?.well()?;
    settled(emulator, &deployed)?;
    let balancer = smoke_base(emulator, &deployed)?;
    let gateway = gateway_base(emulator, &deployed)?;
    emulator.resolve(&text(&deployed, "/outputs/LoadBalancerAddress")?)?;

    let line = |base: &str, target: &str| -> Result<String> {
        let reply = ask_for("GET", &format!("{base}{target}"), &[], &[])?;
        ensure!(reply.status == 200, "{target}: {reply:?}");
        Ok(String::from_utf8_lossy(&reply.body).lines().next().unwrap_or_default().to_owned())
    };
    // The emulator's gateway hands on the decoded path; what a URL cannot have unencoded does not get through there.
    for (target, through_the_gateway) in [
        ("/", Some("/")),
        ("/a/b.c/~d_e-f", Some("/a/b.c/~d_e-f")),
        ("/a%2Bb;c=1@d", Some("/a+b;c=1@d")),
        ("/a%2Fb", Some("/a/b")),
        ("/with%20space/%C3%A9/%25", None),
        ("/production/x", Some("/production/x")),
        ("/a?x=1&x=2&y=", Some("/a?x=1&x=2&y=")),
        ("/a?x=%C3%A9%26%20b&%F0%9F%91%8B=%2F", Some("/a?x=%C3%A9%26+b&%F0%9F%91%8B=%2F")),
    ] {
        // The emulator ignores the listener's rewrites: a path of the stage's name stays.
        let seen = line(&balancer, target)?;
        ensure!(seen == format!("GET {target} HTTP/1.1"), "{target} arrives from the load balancer as {seen}");
        if let Some(path) = through_the_gateway {
            let seen = line(&gateway, target)?;
            ensure!(seen == format!("GET {path} HTTP/1.1"), "{target} arrives from the gateway as {seen}");
        }
    }

    // Every byte there is, in an order that is no text in any encoding.
    let bytes: Vec<u8> = (0..=255).rev().chain(0..=255).collect();
    for base in [&balancer, &gateway] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let kind = [("content-type", "application/octet-stream")];
            let reply = ask_for(method, &format!("{base}/echo"), &kind, &bytes)?;
            ensure!(reply.status == 200 && reply.body == bytes, "{method} at {base}: {} bytes", reply.body.len());
        }
    }
    Ok(())
}

/// Puts a service that echoes into the emulator's registry, and answers with its name by digest.
fn echo(programs: &Programs, emulator: &Ministack) -> Result<String> {
    let folder = TempDir::new()?;
    let tagged = format!("{}/rest-api:echo", emulator.authority());
    let endpoint = format!("http://{}", emulator.authority());
    let action = "AmazonEC2ContainerRegistry_V20150921.CreateRepository";
    client::call(&endpoint, "ecr", action, &json!({"repositoryName": "rest-api"}))?;
    images::build(programs, folder.path(), "serves", &tagged)?;
    run(programs.command(DOCKER).args(["push", "--quiet", &tagged]))?;
    let digest = run(programs.command(DOCKER).args(["inspect", "--format", "{{index .RepoDigests 0}}", &tagged]))?;
    Ok(digest.trim().to_owned())
}

fn signed_in(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let users = Users::create(&endpoint, "users", &checkout.read("infra/users.yaml")?, &[])?;
    with(checkout, &format!("Authorizer = \"COGNITO\"\nUsersStack = \"users\"\nCorsOrigin = \"{ORIGIN}\""))?;
    let first = release(checkout, &["--no-smoke"])?;
    settled(emulator, &first)?;
    emulator.resolve(&text(&first, "/outputs/LoadBalancerAddress")?)?;
    let url = format!("{}/version", gateway_base(emulator, &first)?);
    let balancer = format!("{}/version", smoke_base(emulator, &first)?);

    // The service answers a preflight; the emulator's gateway drops the headers of what it answers.
    ensure!(preflight(&url)?.status == 200, "a preflight needs no token");
    may_put(&preflight(&balancer)?)?;
    let origin = ("origin", ORIGIN);
    for headers in [&[origin][..], &[origin, ("authorization", "Bearer guess")]] {
        let reply = ask_for("GET", &url, headers, &[])?;
        ensure!(reply.status == 401, "{headers:?}: {reply:?}");
        ensure!(reply.header("access-control-allow-origin") == ORIGIN, "the page is not told why: {reply:?}");
    }
    let user = users.sign_in()?;
    // One letter of the signature is another one.
    let forged = user.id.chars().rev().enumerate().map(|(at, letter)| {
        if at != 9 {
            letter
        } else if letter == 'x' {
            'y'
        } else {
            'x'
        }
    });
    let forged: String = forged.collect::<Vec<_>>().into_iter().rev().collect();
    for (token, status) in [(&forged, 401), (&user.id, 200)] {
        let reply = ask_for("GET", &url, &[origin, ("authorization", &format!("Bearer {token}"))], &[])?;
        ensure!(reply.status == status, "{status} was to come: {reply:?}");
    }
    let reply = ask_for("GET", &balancer, &[origin], &[])?;
    ensure!(reply.status == 200 && reply.header("access-control-allow-origin") == ORIGIN, "{reply:?}");
    Ok(())
}

/// A browser's preflight request.
fn preflight(url: &str) -> Result<Reply> {
    let headers = [
        ("origin", ORIGIN),
        ("access-control-request-method", "PUT"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    ask_for("OPTIONS", url, &headers, &[])
}

fn may_put(reply: &Reply) -> Result<()> {
    ensure!(reply.status == 200 && reply.header("access-control-allow-origin") == ORIGIN, "{reply:?}");
    let allows = |header: &str, wanted: &str| {
        reply.header(header).split(',').any(|value| value.trim().eq_ignore_ascii_case(wanted))
    };
    ensure!(allows("access-control-allow-methods", "PUT"), "{reply:?}");
    for header in ["authorization", "content-type"] {
        ensure!(allows("access-control-allow-headers", header), "{header}: {reply:?}");
    }
    Ok(())
}

fn keys_and_scopes(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let template = checkout.read("infra/users.yaml")?;
    let users = Users::create(&endpoint, "users", &template, &[("SmokeScopes", "api/access")])?;
    // Of the same pool by another client, for a machine has no identity.
    let others = users.with_passwords()?;
    with(
        checkout,
        "Authorizer = \"COGNITO\"\nUsersStack = \"users\"\nAuthorizationScopes = \"api/access\"\nApiKey = \"true\"",
    )?;
    let first = release(checkout, &["--no-smoke"])?;
    settled(emulator, &first)?;
    emulator.resolve(&text(&first, "/outputs/LoadBalancerAddress")?)?;
    let url = format!("{}/version", gateway_base(emulator, &first)?);

    let key = api_key(&endpoint, &text(&first, "/outputs/ApiKeyId")?)?;
    let bearer = format!("Bearer {}", users.machine_token("api/access")?);
    let id = format!("Bearer {}", others.sign_in()?.id);
    for (headers, status) in [
        (vec![], 401),
        (vec![("x-api-key", key.as_str())], 401),
        (vec![("authorization", id.as_str()), ("x-api-key", key.as_str())], 401),
        (vec![("authorization", bearer.as_str())], 403),
        (vec![("authorization", bearer.as_str()), ("x-api-key", "guess")], 403),
        (vec![("authorization", bearer.as_str()), ("x-api-key", key.as_str())], 200),
    ] {
        let reply = ask_for("GET", &url, &headers, &[])?;
        ensure!(reply.status == status, "{status} was to come with {} headers: {reply:?}", headers.len());
    }
    Ok(())
}

/// The key's value, which only who may read keys gets to know.
fn api_key(endpoint: &str, id: &str) -> Result<String> {
    let scope = "AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/apigateway/aws4_request";
    let reply =
        ask_for("GET", &format!("{endpoint}/apikeys/{id}?includeValue=true"), &[("authorization", scope)], &[])?;
    let key: Value = serde_json::from_slice(&reply.body).with_context(|| format!("{reply:?}"))?;
    text(&key, "/value")
}

/// Sets parameters of the rehearsal.
fn with(checkout: &Checkout, parameters: &str) -> Result<()> {
    checkout.edit("deploy.toml", LAST_PARAMETER, &format!("{LAST_PARAMETER}\n{parameters}"))?;
    checkout.commit("Set parameters")
}
