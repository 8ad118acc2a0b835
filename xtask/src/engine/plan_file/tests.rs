use super::*;
use crate::engine::desired::ParameterSource;
use config::deployment::{Deployment, Environment};
use model::parameters::Value;

const TEMPLATE: &str = "
Parameters:
  ContainerURI: {Type: String}
  Zone: {Type: String, Default: a}
  Password: {Type: String, NoEcho: true}
Resources: {A: {Type: A::B}}
Outputs: {ApiGatewayURL: {Value: x}}
";

fn environment() -> Environment {
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"s\"\ntemplate = \"t\"\n";
    Deployment::parse("deploy.toml", text).unwrap().environments["dev"].clone()
}

fn desired<'a>(environment: &'a Environment, template: &str, zone: &str, password: &str) -> Desired<'a> {
    let values = [("Zone", zone), ("Password", password)];
    let values = values.map(|(name, value)| (name.to_owned(), Value::Is(value.to_owned()))).into();
    let image = format!("example.com/rest-api@sha256:{}", "a".repeat(64)).parse().unwrap();
    let template = Template::read("t", template.to_owned()).unwrap();
    Desired::new(environment, Some(image), template, ParameterSource::Recorded(values), None)
}

fn stack(updated: &str) -> Stack {
    Stack {
        status: "UPDATE_COMPLETE".to_owned(),
        parameters: [("ContainerURI".to_owned(), "example.com/rest-api@sha256:old".to_owned())].into(),
        updated: Some(updated.to_owned()),
        ..Stack::default()
    }
}

fn plan(desired: &Desired<'_>, before: Option<&Stack>) -> PlanFile {
    PlanFile::new(desired, "111122223333", None, before, None)
}

#[test]
fn a_plan_is_the_same_after_reading_and_shows_no_secret() {
    let environment = environment();
    let plan = plan(&desired(&environment, TEMPLATE, "a", "hunter2"), Some(&stack("then")));
    let text = plan.text();
    assert!(!text.contains("hunter2") && text.contains("\"Zone\": \"a\""), "{text}");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &text).unwrap();
    assert_eq!(PlanFile::read(file.path()).unwrap(), plan);
}

#[test]
fn what_is_no_plan_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for text in ["", "[]", "not json", r#"{"format": 1}"#] {
        std::fs::write(file.path(), text).unwrap();
        assert_eq!(PlanFile::read(file.path()).unwrap_err().exit, Exit::Usage, "{text}");
    }
    assert!(PlanFile::read(Path::new("/nonexistent")).is_err());
}

#[test]
fn a_plan_of_another_version_is_refused_whatever_else_it_has() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (text, reason) in [
        (r#"{"made": "then"}"#, "older version"),
        (r#"{"format": 2, "news": []}"#, "its format is 2, of a newer version"),
        (r#"{"format": 0}"#, "its format is 0; version"),
        (r#"{"format": "one"}"#, r#"its format is "one"; version"#),
    ] {
        std::fs::write(file.path(), text).unwrap();
        let failure = PlanFile::read(file.path()).unwrap_err();
        assert_eq!(failure.exit, Exit::Preflight, "{text}");
        assert!(failure.reason.as_ref().unwrap().contains(reason), "{failure:?}");
        assert!(failure.hint.unwrap().contains("cargo xtask plan"), "{text}");
    }
}

#[test]
fn a_plan_holds_while_nothing_has_moved() {
    let environment = environment();
    let desired = desired(&environment, TEMPLATE, "a", "hunter2");
    let plan = plan(&desired, Some(&stack("then")));
    assert_eq!(plan.moved("111122223333", &desired, Some(&stack("then"))), <[String; 0]>::default());
}

#[test]
fn everything_that_moved_is_named() {
    let environment = environment();
    let planned = desired(&environment, TEMPLATE, "a", "hunter2");
    let plan = plan(&planned, Some(&stack("then")));
    let moved =
        |account: &str, desired: &Desired<'_>, stack: Option<&Stack>| plan.moved(account, desired, stack).join("\n");
    assert!(moved("999999999999", &planned, Some(&stack("then"))).contains("account: 111122223333 when planned"));
    assert!(moved("111122223333", &planned, Some(&stack("now"))).contains("last change of the stack: then when"));
    assert!(moved("111122223333", &planned, None).contains("image that runs"));
    let other = desired(&environment, &TEMPLATE.replace("Default: a", "Default: b"), "a", "hunter2");
    assert!(moved("111122223333", &other, Some(&stack("then"))).contains("content of t"));
    let other = desired(&environment, TEMPLATE, "b", "hunter2");
    assert!(moved("111122223333", &other, Some(&stack("then"))).contains("parameters: Zone differ"));
    let other = desired(&environment, TEMPLATE, "a", "hunter3");
    let text = moved("111122223333", &other, Some(&stack("then")));
    assert!(text.contains("parameters: a secret value differ") && !text.contains("hunter"), "{text}");
}

#[test]
fn a_plan_to_create_holds_beside_the_empty_stack_that_it_made() {
    let environment = environment();
    let desired = desired(&environment, TEMPLATE, "a", "hunter2");
    let plan = plan(&desired, None);
    let review = Stack { status: "REVIEW_IN_PROGRESS".to_owned(), ..Stack::default() };
    assert_eq!(plan.moved("111122223333", &desired, Some(&review)), <[String; 0]>::default());
}
