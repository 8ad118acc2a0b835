use super::*;
use model::outcome::{Exit, FailureKind, Place};
use model::record::Change;
use model::report::{Need, PhaseRecord};
use model::stack::ResourceChange;

fn change(action: &str, id: &str, replacement: Option<&str>) -> ResourceChange {
    let replacement = replacement.map(str::to_owned);
    ResourceChange {
        action: action.to_owned(),
        logical_id: id.to_owned(),
        resource_type: "AWS::T::U".to_owned(),
        replacement,
        properties: Vec::new(),
    }
}

#[test]
fn a_release_shows_where_it_answers_and_what_it_did() {
    let phase = |name, seconds, skipped| PhaseRecord { name, seconds, skipped };
    let report = Report {
        ok: true,
        environment: Some("dev".to_owned()),
        url: Some("https://a.example/production".to_owned()),
        change: Some(Change::Update),
        changes: Some(vec![change("Modify", "Task", Some("True")), change("Remove", "Old|One", None)]),
        phases: vec![phase("compile", 1.0, true), phase("stack", 61.234, false)],
        seconds: 70.0,
        ..Report::default()
    };
    insta::assert_snapshot!(markdown("cargo xtask release dev", &report), @r"
    ### <code>cargo xtask release dev</code>: done

    |  |  |
    | --- | --- |
    | environment | <code>dev</code> |
    | URL | <https://a.example/production> |
    | change | <code>update</code> |

    | Change | Resource | Type | What changes |
    | --- | --- | --- | --- |
    | Modify, ⚠️ **replaced** | Task | AWS::T::U |  |
    | Remove | Old\|One | AWS::T::U |  |

    | phase | seconds |
    | --- | --- |
    | compile | skipped |
    | stack | 61.2 |
    | total | 70.0 |
    ");
}

#[test]
fn a_failure_shows_its_diagnosis_and_nothing_that_renders() {
    let error = Failure::new(Exit::RolledBack, FailureKind::RolledBack, "stack <b>dev</b> failed")
        .resource("Service")
        .reason("```\n@everyone")
        .place(Some(Place { file: "infra/a.yaml".to_owned(), line: 3 }))
        .log(vec!["panic: no database".to_owned()])
        .console(Some("https://console.example/x".to_owned()))
        .note("see #12")
        .hint("cargo xtask logs dev");
    let report = Report { error: Some(error), seconds: 1.0, ..Report::default() };
    insta::assert_snapshot!(markdown("cargo xtask apply plan.json", &report), @r"
    ### <code>cargo xtask apply plan.json</code>: failed

    > [!CAUTION]
    > stack &lt;b&gt;dev&lt;/b&gt; failed

    |  |  |
    | --- | --- |
    | resource | <code>Service</code> |
    | place | <code>infra/a.yaml:3</code> |
    | next | <code>cargo xtask logs dev</code> |
    | console | <https://console.example/x> |

    ````text
    ```
    @everyone
    ````

    The last log lines:

    ```text
    panic: no database
    ```

    - see \#12

    | phase | seconds |
    | --- | --- |
    | total | 1.0 |
    ");
}

#[test]
fn without_facts_there_is_no_summary() {
    assert_eq!(markdown("cargo xtask completions bash", &Report { ok: true, ..Report::default() }), "");
}

#[test]
fn a_cell_stays_in_its_row() {
    assert_eq!(code("a|b\nc<d>"), "<code>a&#124;b c&lt;d&gt;</code>");
    assert_eq!(link("javascript:alert(1)"), "<code>javascript:alert(1)</code>");
    assert_eq!(table(&["a"], Vec::new()), "");
}

#[test]
fn needs_are_listed_with_what_became_of_them() {
    let need = |environment: &str, change| Need {
        environment: environment.to_owned(),
        stack: format!("rest-api-{environment}"),
        change,
        changes: None,
        cost: None,
    };
    let needs = vec![need("network", Some(Change::Update)), need("dev", None)];
    let report = Report { ok: true, environment: Some("edge".to_owned()), needs, ..Report::default() };
    let text = markdown("cargo xtask deploy edge", &report);
    let table = "| needs | stack | change |\n| --- | --- | --- |\n\
                 | network | <code>rest-api-network</code> | <code>update</code> |\n| dev | <code>rest-api-dev</code> |  |\n";
    assert!(text.contains(table), "{text}");
}
