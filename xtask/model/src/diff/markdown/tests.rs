use super::*;
use crate::diff::summary::Image;

pub fn summary(changes: Vec<ResourceChange>) -> Summary {
    Summary {
        environment: "production".to_owned(),
        region: "eu-central-1".to_owned(),
        stack: "rest_api".to_owned(),
        commit: Some("0123456789abcdef0123456789abcdef01234567".to_owned()),
        change: Change::Update,
        image: Some(Image::New),
        changes,
        container: Vec::new(),
        cost: None,
        eta: None,
        warnings: vec!["the change would lose data or identity: Users would be replaced; --allow Users".to_owned()],
        notes: vec!["stack rest_api is UPDATE_IN_PROGRESS".to_owned()],
    }
}

fn change(action: &str, id: &str, replacement: Option<&str>, properties: &[&str]) -> ResourceChange {
    ResourceChange {
        action: action.to_owned(),
        logical_id: id.to_owned(),
        resource_type: "AWS::ECS::Service".to_owned(),
        replacement: replacement.map(str::to_owned),
        properties: properties.iter().map(|path| (*path).to_owned()).collect(),
    }
}

#[test]
fn a_comment_has_all_of_it() {
    let paths = ["Properties.A", "Properties.B.0", "Properties.C", "Properties.D", "Properties.E"];
    let summary = summary(vec![
        change("Add", "New", None, &[]),
        change("Modify", "Service", Some("True"), &paths),
        change("Modify", "Task_1", Some("Conditional"), &["Properties.*"]),
        change("Modify", "Calm", Some("False"), &["Metadata"]),
    ]);
    insta::assert_snapshot!(document(&summary), @r"
    ### production: what a release would change

    Stack **rest\_api** in eu-central-1, from commit 0123456789ab.

    ⚠️ **the change would lose data or identity: Users would be replaced; --allow Users**

    | Change | Resource | Type | What changes |
    | --- | --- | --- | --- |
    | Add | New | AWS::ECS::Service |  |
    | Modify, ⚠️ **replaced** | Service | AWS::ECS::Service | Properties.A, Properties.B.0, Properties.C, Properties.D and 1 more |
    | Modify, ⚠️ perhaps replaced | Task\_1 | AWS::ECS::Service | Properties.\* |
    | Modify | Calm | AWS::ECS::Service | Metadata |

    - Image: a new one; the registry has none of these sources
    - Note: stack rest\_api is UPDATE\_IN\_PROGRESS

    <sub>Computed from the templates, by reading only. `cargo xtask diff production` shows the same; `cargo xtask plan production --out plan.json` asks CloudFormation.</sub>
    ");
}

#[test]
fn no_change_is_reported_as_such() {
    let nothing = Summary { change: Change::None, ..summary(Vec::new()) };
    assert!(document(&nothing).contains("\nNothing would change.\n"));
    let outputs = summary(Vec::new());
    assert!(document(&outputs).contains("\nNo resource would change.\n"));
    assert_eq!(changes(&[]), "");
}

#[test]
fn mentions_and_markup_are_escaped() {
    let escaped = escape("@team <b>`x`</b> | [a](b)\n# *y* ~z~ !");
    assert_eq!(escaped, "&#64;team &lt;b&gt;\\`x\\`&lt;/b&gt; \\| \\[a\\](b) \\# \\*y\\* \\~z\\~ \\!");
    let many: Vec<ResourceChange> = (0..ROWS + 2).map(|number| change("Add", &number.to_string(), None, &[])).collect();
    assert!(changes(&many).ends_with("\n\nand 2 more\n"));
    assert_eq!(changes(&many).lines().filter(|line| line.starts_with("| Add ")).count(), ROWS);
}
