//! The whole release on an emulator: registry, change set, rolling tasks, load balancer, gateway.
//!
//! `deploy.toml`'s environment `rehearsal` is taken as it is, moved to the emulator's port.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use libtest_mimic::Trial;
use requirements::{GIT, Programs, Requirement, Suite};
use serde_json::{Value, json};

use crate::checkout::{Checkout, Ended};
use crate::client::{self, Steady, Tally, get};
use crate::ministack::{self, Ministack, Names};

pub(crate) const ENVIRONMENT: &str = "rehearsal";
const ORIGIN_HEADER: &str = "X-Origin-Verify";
/// Largest image of a program without optimization; a changed layer cannot be larger.
const IMAGE_LIMIT: u64 = 8_000_000;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let test = |name: &str, names: Names, run: fn(&Checkout, &Ministack) -> Result<()>| {
        suite.test(name, &needed(names, &[]), move |programs| prepared(programs, names, run))
    };
    vec![
        test("rehearsal::nothing_then_everything_then_the_change_only", Names::Machine, releases),
        test("rehearsal::a_service_that_crashes_is_reported_within_seconds_and_its_fix_is_not", Names::Machine, crash),
        test("rehearsal::an_attested_image_is_deployed_and_no_other", Names::Machine, attested),
        test("rehearsal::the_gateway_leads_to_the_tasks_and_nothing_else_does", Names::Own, gateway),
    ]
}

/// What [`prepared`] takes, and more.
pub(crate) fn needed(names: Names, more: &[Requirement]) -> Vec<Requirement> {
    [ministack::needed(names), &[GIT], more].concat()
}

pub(crate) fn prepared(programs: &Programs, names: Names, run: fn(&Checkout, &Ministack) -> Result<()>) -> Result<()> {
    let checkout = Checkout::fresh(programs)?;
    let emulator = Ministack::start(programs, names)?;
    checkout.rehearse_at(&emulator.authority())?;
    run(&checkout, &emulator).with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
}

fn releases(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let first = release(checkout, &[])?;
    let digest = text(&first, "/digest")?;
    let base = smoke_base(emulator, &first)?;
    ensure!(first["change"] == "create" && pushed(&first)? > 0, "the first release creates and pushes: {first}");
    ensure!(first["smoke"]["served_digest"] == digest, "the pushed digest is proved: {first}");
    settled(emulator, &first)?;

    let again = release(checkout, &[])?;
    ensure!(again["change"] == "none" && pushed(&again)? == 0, "nothing is pushed or changed: {again}");
    ensure!(again["digest"] == digest, "the image is the same: {again}");
    let skipped: Vec<&Value> =
        again["phases"].as_array().into_iter().flatten().filter(|p| p["skipped"] == true).collect();
    let names: Vec<&str> = skipped.iter().filter_map(|phase| phase["name"].as_str()).collect();
    let needs = ["stack", "stack"];
    ensure!(
        names == [&needs[..], &["compile", "image", "push", "stack"]].concat(),
        "only these had nothing to do: {names:?}"
    );
    ensure!(again["smoke"]["served_digest"] == digest, "it is proved all the same: {again}");

    checkout.edit("crates/chassis/src/health.rs", r#"Health { status: "ok" }"#, r#"Health { status: "fine" }"#)?;
    checkout.commit("Change the service")?;
    let user = Steady::start(&base, None);
    let changed = release(checkout, &[]).and_then(|changed| settled(emulator, &changed).map(|()| changed));
    let tally = user.stop()?;
    let changed = changed?;
    let new_digest = text(&changed, "/digest")?;
    ensure!(changed["change"] == "update" && new_digest != digest, "the stack is updated: {changed}");
    ensure!((1..=IMAGE_LIMIT).contains(&pushed(&changed)?), "only what changed is pushed: {changed}");
    ensure!(changed["smoke"]["served_digest"] == new_digest, "the new digest is proved: {changed}");
    undisturbed(&tally, &[&digest, &new_digest])?;
    ensure!(get(&format!("{base}/health"), &[])?.body.contains("fine"), "the change is served");

    returns(checkout, emulator, &digest, &new_digest)?;

    checkout.xtask(&["destroy", ENVIRONMENT, "--yes"])?.well()?;
    ensure!(emulator.containers()? == 0, "no task outlives the stack");
    Ok(())
}

/// Back to the first release, and forward again by two at once, of which one waits and finds it done.
fn returns(checkout: &Checkout, emulator: &Ministack, old: &str, new: &str) -> Result<()> {
    let back = checkout.xtask(&["rollback", ENVIRONMENT, "--yes"])?.well()?;
    ensure!(back["change"] == "update" && back["digest"] == old, "the first release is deployed again: {back}");
    ensure!(back["smoke"]["served_digest"] == old, "it is proved like any release: {back}");
    ensure!(back.get("pushed_bytes").is_none(), "nothing is built or pushed: {back}");
    settled(emulator, &back)?;

    let forward = || checkout.xtask(&["rollback", ENVIRONMENT, "2", "--yes", "--wait"]).and_then(Ended::well);
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(forward);
        (forward(), other.join())
    });
    let both = [one?, other.map_err(|_| anyhow!("a thread panicked"))??];
    let mut changes: Vec<&str> = both.iter().filter_map(|ended| ended["change"].as_str()).collect();
    changes.sort_unstable();
    ensure!(changes == ["none", "update"], "one changes the stack, the other finds it done: {both:?}");
    ensure!(both.iter().all(|ended| ended["smoke"]["served_digest"] == new), "both prove it: {both:?}");
    settled(emulator, &both[0])?;
    let status = checkout.xtask(&["status", ENVIRONMENT])?.well()?;
    let releases = status["releases"].as_array().context("no releases")?;
    ensure!(releases.len() == 4 && status.get("locked_by").is_none(), "each is recorded once, no lock stays: {status}");
    Ok(())
}

fn crash(checkout: &Checkout, _: &Ministack) -> Result<()> {
    let template = "infra/api-backend-fargate.yaml";
    let [good, bad] = ["json", "nonsense"].map(log_format);
    checkout.edit(template, &good, &bad)?;
    checkout.commit("Set what the service does not take")?;
    let ended = checkout.xtask(&["release", ENVIRONMENT, "--yes"])?;
    let said = format!("{}\n{}", ended.json, ended.stderr);
    ensure!(ended.code == Some(5), "a crash needs a human: {said}");
    let reason = text(&ended.json, "/error/reason")?;
    ensure!(reason.contains("exit code"), "the exit code is told: {said}");
    ensure!(ended.json["error"]["log"].to_string().contains("API_LOG_FORMAT"), "and what the container said: {said}");
    ensure!(ended.json["error"]["place"]["file"] == template, "and where it is declared: {said}");
    let phases = ended.json["phases"].as_array().into_iter().flatten();
    let waited = phases.filter(|phase| phase["name"] == "smoke").find_map(|phase| phase["seconds"].as_f64());
    ensure!(waited.is_some_and(|seconds| seconds < 30.0), "nobody waits for it: {said}");

    // The old tasks go on crashing until the new ones are there.
    checkout.edit(template, &bad, &good)?;
    checkout.commit("Fix it")?;
    let fixed = release(checkout, &[])?;
    ensure!(fixed["smoke"]["status"] == "right", "the fix is proved: {fixed}");
    Ok(())
}

/// An environment that accepts only images with an SBOM and a provenance.
fn attested(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let stack = "stack = \"rest-api-rehearsal\"";
    checkout.edit("deploy.toml", stack, &format!("{stack}\nattested = true\nblock_severity = \"high\""))?;
    checkout.commit("Demand attestations")?;
    let ended = checkout.xtask(&["release", ENVIRONMENT, "--yes"])?;
    ensure!(ended.stderr.contains("does not scan images"), "the emulator's lack is told: {}", ended.stderr);
    let first = ended.well()?;
    let (digest, image) = (text(&first, "/digest")?, text(&first, "/image")?);
    both(&first)?;
    for target in [ENVIRONMENT, &image] {
        let verified = checkout.xtask(&["verify", target])?.well()?;
        both(&verified)?;
        let checks = verified["checks"].as_array().into_iter().flatten();
        let names: Vec<&str> = checks.filter_map(|check| check["name"].as_str()).collect();
        ensure!(names == ["image", "sbom", "provenance", "repository", "commit"], "{verified}");
    }
    let other = checkout.xtask(&["verify", ENVIRONMENT, "--repository", "https://github.com/somebody/else"])?;
    ensure!(other.code == Some(3) && other.json.to_string().contains("another repository"), "{}", other.json);

    // Somebody takes them away: nothing that is new to the stack gets through without them.
    remove_attestations(emulator, &digest)?;
    ensure!(checkout.xtask(&["verify", ENVIRONMENT])?.code == Some(3), "there is nothing to verify any more");
    checkout.edit("deploy.toml", "MaxTasks = 2", "LogLevel = \"debug\"\nMaxTasks = 2")?;
    checkout.commit("Change a parameter")?;
    let refused = checkout.xtask(&["deploy", ENVIRONMENT, "--image", &image, "--yes"])?;
    ensure!(refused.code == Some(3), "what is not attested is refused: {}", refused.json);
    let said = refused.json["error"].to_string();
    ensure!(said.contains("no SBOM") && said.contains("no provenance"), "all of it is told: {said}");
    ensure!(checkout.xtask(&["status", ENVIRONMENT])?.well()?.get("locked_by").is_none(), "a lock is left");

    // The source tag is there, and does not save the compilation: compiling the same sources again may attach what is missing.
    let healed = release(checkout, &[])?;
    ensure!(healed["digest"] == digest && healed["change"] == "update", "the same image is deployed: {healed}");
    both(&healed)?;
    settled(emulator, &healed)?;
    let again = release(checkout, &[])?;
    let phases = again["phases"].as_array().into_iter().flatten();
    let compiled = phases.filter(|phase| phase["name"] == "compile").any(|phase| phase["skipped"] == false);
    ensure!(!compiled && again["change"] == "none", "nothing is left to do: {again}");
    Ok(())
}

/// That an SBOM and a provenance were verified.
fn both(result: &Value) -> Result<()> {
    let attestations = result["attestations"].as_array().into_iter().flatten();
    let kinds: Vec<&str> = attestations.filter_map(|one| one["kind"].as_str()).collect();
    ensure!(kinds == ["sbom", "provenance"], "both are told: {result}");
    ensure!(result["attestations"][0]["packages"].as_u64().is_some_and(|packages| packages > 50), "{result}");
    ensure!(result["attestations"][1]["builder"] == "urn:xtask:builder:local", "{result}");
    Ok(())
}

/// Removes what is attached to an image, and the list of it.
fn remove_attestations(emulator: &Ministack, digest: &str) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let tag = digest.replace(':', "-");
    let tags = [tag.clone(), format!("{tag}.sbom"), format!("{tag}.provenance")];
    let ids: Vec<Value> = tags.iter().map(|tag| json!({ "imageTag": tag })).collect();
    let action = "AmazonEC2ContainerRegistry_V20150921.BatchDeleteImage";
    let gone = client::call(&endpoint, "ecr", action, &json!({ "repositoryName": "rest-api", "imageIds": ids }))?;
    ensure!(gone["imageIds"].as_array().map(Vec::len) == Some(3), "there were three: {gone}");
    Ok(())
}

fn gateway(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let first = release(checkout, &[])?;
    let digest = text(&first, "/digest")?;
    let (balancer, gateway) = (smoke_base(emulator, &first)?, gateway_base(emulator, &first)?);
    emulator.resolve(&text(&first, "/outputs/LoadBalancerAddress")?)?;

    let proof = checkout.xtask(&["smoke", &gateway, "--digest", &digest])?.well()?;
    ensure!(proof.to_string().contains(&digest), "the gateway leads to the pushed image: {proof}");
    let greeting = get(&format!("{gateway}/api/greeting?name=Rehearsal"), &[])?;
    ensure!(greeting.body.contains("Hello, Rehearsal!"), "the query arrives: {greeting:?}");

    // As it is on AWS: there is no access without the header. Another level of logging rolls the tasks by the way.
    checkout.edit(
        "deploy.toml",
        r#"DirectAccessCidr = "127.0.0.1/32""#,
        "DirectAccessCidr = \"\"\nLogLevel = \"debug\"",
    )?;
    let secret = text(&first, "/outputs/OriginSecret")?;
    let secret =
        client::call(&endpoint, "secretsmanager", "secretsmanager.GetSecretValue", &json!({"SecretId": secret}))?;
    let secret = text(&secret, "/SecretString")?;
    let user = Steady::start(&gateway, Some((ORIGIN_HEADER, secret.clone())));
    let closed = release(checkout, &["--no-smoke"]).and_then(|closed| settled(emulator, &closed).map(|()| closed));
    let tally = user.stop()?;
    let closed = closed?;
    ensure!(closed["change"] == "update" && pushed(&closed)? == 0, "the stack alone is updated: {closed}");
    undisturbed(&tally, &[&digest])?;
    for base in [&balancer, &gateway] {
        let url = format!("{base}/version");
        ensure!(get(&url, &[])?.status == 403, "{url} is closed without the header");
        ensure!(get(&url, &[(ORIGIN_HEADER, "guess")])?.status == 403, "{url} is closed with a wrong one");
        ensure!(get(&url, &[(ORIGIN_HEADER, &secret)])?.body.contains(&digest), "{url} is open with it");
    }
    Ok(())
}

/// How the template sets the format of the service's log.
pub(crate) fn log_format(value: &str) -> String {
    format!("            - Name: API_LOG_FORMAT\n              Value: {value}\n")
}

pub(crate) fn release(checkout: &Checkout, arguments: &[&str]) -> Result<Value> {
    checkout.xtask(&[&["release", ENVIRONMENT, "--yes"], arguments].concat())?.well()
}

/// Waits until a service's replacement is complete: on the emulator the stack says so too early.
pub(crate) fn settled(emulator: &Ministack, release: &Value) -> Result<()> {
    until(emulator, release, "two tasks and no others were to be left", |deployments| {
        // A failed one stays in the list.
        let others: Vec<&Value> = deployments.iter().filter(|one| one["rolloutState"] != "FAILED").collect();
        Ok(others.len() == 1 && others.into_iter().all(is_complete) && emulator.containers()? == 2)
    })
}

/// Whether a deployment has both of its tasks.
pub(crate) fn is_complete(deployment: &Value) -> bool {
    deployment["rolloutState"] == "COMPLETED" && deployment["runningCount"] == 2
}

/// Waits until the deployments of a released service are as they should be.
pub(crate) fn until(
    emulator: &Ministack,
    release: &Value,
    expected: &str,
    is_so: impl Fn(&[Value]) -> Result<bool>,
) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let (cluster, service) = (text(release, "/outputs/ClusterName")?, text(release, "/outputs/ServiceName")?);
    let action = "AmazonEC2ContainerServiceV20141113.DescribeServices";
    let mut answer = Value::Null;
    for _ in 0..120 {
        answer = client::call(&endpoint, "ecs", action, &json!({"cluster": cluster, "services": [service]}))?;
        if let Some(deployments) = answer.pointer("/services/0/deployments").and_then(Value::as_array)
            && is_so(deployments)?
        {
            return Ok(());
        }
        sleep(Duration::from_millis(500));
    }
    bail!("{expected}: {answer}")
}

pub(crate) fn undisturbed(tally: &Tally, digests: &[&str]) -> Result<()> {
    ensure!(tally.failed.is_empty(), "{} of {} requests failed: {:?}", tally.failed.len(), tally.asked, tally.failed);
    ensure!(tally.asked >= 100, "only {} requests were made", tally.asked);
    let seen: Vec<&str> = tally.digests.keys().map(String::as_str).collect();
    ensure!(digests.iter().all(|digest| seen.contains(digest)), "these answered: {:?}", tally.digests);
    Ok(())
}

pub(crate) fn smoke_base(emulator: &Ministack, release: &Value) -> Result<String> {
    Ok(format!("http://{}/_alb/{}", emulator.authority(), text(release, "/outputs/LoadBalancerName")?))
}

/// Where the emulator serves the API that has been released.
pub(crate) fn gateway_base(emulator: &Ministack, release: &Value) -> Result<String> {
    let api = text(release, "/outputs/RestApiId")?;
    Ok(format!("http://{}/restapis/{api}/production/_user_request_", emulator.authority()))
}

fn pushed(release: &Value) -> Result<u64> {
    release["pushed_bytes"].as_u64().with_context(|| format!("no pushed_bytes in {release}"))
}

pub(crate) fn text(json: &Value, pointer: &str) -> Result<String> {
    let value = json.pointer(pointer).and_then(Value::as_str);
    Ok(value.with_context(|| format!("no {pointer} in {json}"))?.to_owned())
}
