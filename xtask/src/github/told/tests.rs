use super::*;
use model::outcome::{Exit, FailureKind, Place, preflight};
use model::record::Change;

fn failure() -> Failure {
    Failure::new(Exit::RolledBack, FailureKind::RolledBack, "stack rest-api-dev failed, and is rolled back")
        .resource("Service (AWS::ECS::Service)")
        .reason("100% of the tasks failed:\nexit code 1")
        .place(Some(Place { file: "infra/a,b.yaml".to_owned(), line: 12 }))
        .hint("cargo xtask logs dev")
}

#[test]
fn an_annotation_stands_at_the_line_of_the_template() {
    let [annotation] = &annotations(&failure())[..] else { panic!("one failure is one annotation") };
    assert_eq!(
        annotation,
        "::error file=infra/a%2Cb.yaml,line=12,title=stack rest-api-dev failed%2C and is rolled back::Service \
         (AWS::ECS::Service)%0A100%25 of the tasks failed:%0Aexit code 1%0Anext: cargo xtask logs dev"
    );
}

#[test]
fn every_problem_of_several_has_its_own() {
    let problems = ["one", "two"].map(|name| Failure::new(Exit::Preflight, FailureKind::Docker, name));
    let annotations = annotations(&preflight(&problems));
    assert_eq!(annotations, ["::error title=one::one", "::error title=two::two"]);
}

#[test]
fn outputs_are_a_line_each_and_name_nothing_else() {
    let report = Report {
        url: Some("https://a.example/production".to_owned()),
        image: Some("evil\nurl=https://b.example".to_owned()),
        change: Some(Change::Update),
        ..Report::default()
    };
    assert_eq!(outputs(&report), "url=https://a.example/production\nchange=update\n");
}
