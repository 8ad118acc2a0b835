//! Templates that are too long for a call: through the bucket, and the same text all the way.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;

use insta::assert_snapshot;
use sha2::{Digest as _, Sha256};

use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

const FILE: &str = "infra/backend.yaml";

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A template that runs an image, with as many bytes, most of them in a description that hardly compresses.
fn template(bytes: usize, name: &str) -> String {
    let mut text = format!(
        "Parameters:\n  ContainerURI: {{Type: String}}\n  ContainerPort: {{Type: Number, Default: 80}}\nResources:\n  \
         Gateway: {{Type: AWS::ApiGateway::RestApi, Properties: {{Name: {name}}}}}\nOutputs:\n  ApiGatewayURL: {{Value: \
         !Sub 'https://${{Gateway}}.example'}}\n"
    );
    for number in 0_u32.. {
        let line = format!("# {}\n", hash(&number.to_be_bytes()));
        if text.len() + line.len() > bytes {
            break;
        }
        text.push_str(&line);
    }
    let rest = bytes - text.len();
    text + &"#".repeat(rest)
}

/// An environment whose template has 200 kB, in an account that may have the bucket for it.
fn start(bucket: bool, text: &str) -> (Fakes, Sandbox) {
    let bucket = bucket.then(BTreeMap::new);
    let fakes = Fakes::start(World { bucket, ..World::default() });
    let sandbox = fakes.sandbox();
    sandbox.write(FILE, text);
    (fakes, sandbox)
}

fn objects(fakes: &Fakes) -> Vec<String> {
    fakes.world().bucket.iter().flat_map(|objects| objects.values().cloned()).collect()
}

#[test]
fn a_long_template_goes_through_the_bucket_under_its_hash() {
    let text = template(200_000, "long");
    let (fakes, sandbox) = start(true, &text);
    let first = sandbox.run(&["release", "--json"]);
    assert_eq!((first.code, &first.json()["change"]), (0, &"create".into()), "{}", first.stderr);
    let key = format!("rest-api-dev/{}.template", hash(text.as_bytes()));
    assert_eq!(fakes.world().bucket.clone().unwrap(), [(key, text.clone())].into());
    assert_eq!(fakes.world().template, text, "CloudFormation has what the file has");
    // A run that changes nothing stores nothing.
    fakes.world().bucket = Some(BTreeMap::new());
    assert_eq!(sandbox.run(&["release", "--json"]).json()["change"], "none");
    assert!(objects(&fakes).is_empty());
    // What fits goes with the call.
    let text = template(51_200, "short");
    sandbox.write(FILE, &text);
    assert_eq!(sandbox.run(&["release", "--json"]).json()["change"], "update");
    assert!(objects(&fakes).is_empty() && fakes.world().template == text);
}

#[test]
fn without_the_bucket_both_ways_out_are_named_and_nothing_is_built() {
    let (fakes, sandbox) = start(false, &template(51_201, "long"));
    assert_snapshot!(sandbox.run(&["release"]).whole(), @r"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: the template is too long for a call, and there is no bucket for it
      resource: infra/backend.yaml
      reason: it has 51201 bytes; CloudFormation accepts 51200 in a call, and reads longer ones from the bucket xtask-templates-111122223333-eu-central-1-an, which this account does not have
      next: cargo xtask bootstrap dev makes the bucket; or move a part of the template to a stack of its own
    ");
    let asked = fakes.world().asked.clone();
    assert!(!asked.iter().any(|action| action.contains("build") || action.ends_with("CreateChangeSet")), "{asked:?}");
    let dry = sandbox.run(&["release", "--dry-run"]);
    assert_eq!(dry.code, 3, "{}", dry.stderr);
    let doctor = sandbox.run(&["doctor", "--json"]).json();
    let check = doctor["checks"].as_array().unwrap().iter().find(|check| check["name"] == "template bucket").unwrap();
    assert_eq!((&check["ok"], check["hint"].as_str().unwrap().contains("bootstrap dev")), (&false.into(), true));
}

#[test]
fn a_bucket_that_a_need_will_make_is_no_problem_beforehand() {
    let (fakes, sandbox) = start(false, &template(60_000, "long"));
    let (dev, rest) = DEPLOY_TOML.split_once("\n[environments.production]").unwrap();
    let (region, template) = ("region = \"eu-central-1\"", "template = \"infra/bootstrap.yaml\"");
    let first = format!("[environments.first]\n{region}\nstack = \"rest-api-production-first\"\n{template}\n");
    sandbox.write("deploy.toml", &format!("{dev}needs = [\"first\"]\n\n{first}\n[environments.production]{rest}"));
    sandbox.write("infra/bootstrap.yaml", "Resources: {Templates: {Type: AWS::S3::Bucket}}\n");
    let dry = sandbox.run(&["release", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains("store infra/backend.yaml"), "{}{}", dry.stdout, dry.stderr);
    assert!(!fakes.world().asked.iter().any(|action| action.starts_with("s3:")));
}

#[test]
fn a_template_above_all_limits_is_refused() {
    let (_fakes, sandbox) = start(true, &template(1_000_001, "longest"));
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 3);
    let reason = "infra/backend.yaml has 1000001 bytes; CloudFormation accepts at most 1000000";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
}

#[test]
fn what_only_reads_stores_nothing_and_says_where_the_template_would_go() {
    let (fakes, sandbox) = start(true, &template(200_000, "long"));
    let step = "store infra/backend.yaml in xtask-templates-111122223333-eu-central-1-an: 200000 bytes";
    let dry = sandbox.run(&["release", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains(step), "{}{}", dry.stdout, dry.stderr);
    let doctor = sandbox.run(&["doctor"]);
    let line = "infra/backend.yaml goes through xtask-templates-111122223333-eu-central-1-an";
    assert!(doctor.stdout.contains(line), "{}{}", doctor.stdout, doctor.stderr);
    let diff = sandbox.run(&["diff"]);
    assert_eq!(diff.code, 0, "{}", diff.stderr);
    assert!(objects(&fakes).is_empty());
    // Where the bucket cannot be looked for, doctor says so and goes on.
    fakes.world().denied = Some("GetBucketLocation");
    let doctor = sandbox.run(&["doctor"]);
    assert!(doctor.stdout.contains("allow s3:GetBucketLocation"), "{}{}", doctor.stdout, doctor.stderr);
}

#[test]
fn a_missing_permission_on_the_bucket_is_named() {
    let (fakes, sandbox) = start(true, &template(200_000, "long"));
    for (denied, hint) in [
        ("PutObject", "next: allow s3:PutObject for this role or user"),
        ("GetObject", "next: allow s3:GetObject on http"),
    ] {
        fakes.world().denied = Some(denied);
        let ended = sandbox.run(&["release"]);
        assert!(ended.code == 1 && ended.stderr.contains(hint), "{denied}: {}", ended.stderr);
        assert!(!fakes.world().journal.keys().any(|name| name.ends_with("/lock")), "{denied}: a lock is left");
    }
    fakes.world().denied = None;
    fakes.world().refused = vec!["s3:PutObject"];
    let doctor = sandbox.run(&["doctor"]);
    assert!(doctor.stdout.contains("s3:PutObject"), "{}{}", doctor.stdout, doctor.stderr);
}

#[test]
fn a_text_that_is_not_the_files_is_never_deployed() {
    let (fakes, sandbox) = start(true, &template(200_000, "long"));
    fakes.world().swapped = Some("Resources: {Spy: {Type: AWS::IAM::User}}");
    let ended = sandbox.run(&["release"]);
    assert_eq!(ended.code, 1);
    for words in ["CloudFormation has read another template", "is not the text of infra/backend.yaml"] {
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let world = fakes.world();
    assert!(world.changes == 0 && world.proposed.is_none(), "the change set is deleted");
}

#[test]
fn a_plan_is_applied_with_its_own_text_and_no_other() {
    let text = template(200_000, "long");
    let (fakes, sandbox) = start(true, &text);
    assert_eq!(sandbox.run(&["plan", "dev", "--out", "plan.json"]).code, 0);
    // The file is another one by now.
    sandbox.write(FILE, &template(200_000, "other"));
    let moved = sandbox.run(&["apply", "plan.json"]);
    assert!(moved.code == 1 && moved.stderr.contains("content of infra/backend.yaml"), "{}", moved.stderr);
    // The change set is another one.
    sandbox.write(FILE, &text);
    let own = std::mem::replace(&mut fakes.world().proposed.as_mut().unwrap().0, template(200_000, "other"));
    let moved = sandbox.run(&["apply", "plan.json"]);
    assert!(moved.code == 1 && moved.stderr.contains("it is of another template"), "{}", moved.stderr);
    assert_eq!(fakes.world().changes, 0);
    // Neither is; and the object is not needed any more.
    fakes.world().proposed.as_mut().unwrap().0 = own;
    fakes.world().bucket = Some(BTreeMap::new());
    let applied = sandbox.run(&["apply", "plan.json"]);
    assert_eq!(applied.code, 0, "{}", applied.stderr);
    let world = fakes.world();
    assert_eq!((world.changes, &world.template), (1, &text));
}

#[test]
fn a_stack_that_is_as_the_file_says_is_not_as_a_plan_of_another_text_says() {
    let text = template(2_000, "one");
    let (fakes, sandbox) = start(false, &text);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    sandbox.write(FILE, &template(2_000, "other"));
    assert_eq!(sandbox.run(&["plan", "dev", "--out", "plan.json"]).code, 0);
    sandbox.write(FILE, &text);
    let moved = sandbox.run(&["apply", "plan.json"]);
    assert!(moved.code == 1 && moved.stderr.contains("content of infra/backend.yaml"), "{}", moved.stderr);
    assert_eq!(fakes.world().changes, 1);
}

#[test]
fn one_goes_back_to_a_long_template_that_has_expired_in_the_bucket() {
    let text = template(200_000, "long");
    let (fakes, sandbox) = start(true, &text);
    assert_eq!(sandbox.run(&["release"]).code, 0);
    sandbox.write(FILE, &template(2_000, "short"));
    assert_eq!(sandbox.run(&["release"]).code, 0);
    fakes.world().bucket = Some(BTreeMap::new());
    let dry = sandbox.run(&["rollback", "--dry-run"]);
    assert!(dry.code == 0 && objects(&fakes).is_empty() && dry.stdout.contains("store infra/backend.yaml"));
    let back = sandbox.run(&["rollback"]);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert_eq!((objects(&fakes), &fakes.world().template), (vec![text.clone()], &text));
    let journal = fakes.world().journal.clone();
    let longest = journal.values().flatten().map(|version| version.value.len()).max();
    assert!(longest <= Some(4096), "Systems Manager takes no longer value: {longest:?}");
}

#[test]
fn a_template_without_an_image_goes_the_same_way() {
    let text = template(60_000, "long").replace("  ContainerURI: {Type: String}\n", "");
    let (fakes, sandbox) = start(false, &text);
    let refused = sandbox.run(&["deploy", "--dry-run"]);
    assert!(refused.code == 3 && refused.stderr.contains("cargo xtask bootstrap dev"), "{}", refused.stderr);
    fakes.world().bucket = Some(BTreeMap::new());
    let dry = sandbox.run(&["deploy", "--dry-run"]);
    assert!(dry.code == 0 && dry.stdout.contains("store infra/backend.yaml") && objects(&fakes).is_empty());
    assert_eq!(sandbox.run(&["deploy"]).code, 0);
    assert_eq!((objects(&fakes), &fakes.world().template), (vec![text.clone()], &text));
}
