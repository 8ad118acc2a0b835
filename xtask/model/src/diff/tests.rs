mod matrix;

use super::*;

const TEMPLATE: &str = "
Parameters:
  ContainerURI: {Type: String}
  Tasks: {Type: Number, Default: 2}
  Table: {Type: String, Default: 'false'}
Conditions:
  HasTable: !Equals [!Ref Table, 'true']
Resources:
  Task:
    Type: AWS::ECS::TaskDefinition
    Properties:
      ContainerDefinitions: [{Name: api, Image: !Ref ContainerURI}]
      Cpu: 256
  Service:
    Type: AWS::ECS::Service
    Properties:
      TaskDefinition: !Ref Task
      DesiredCount: !Ref Tasks
      Cluster: !Ref Cluster
  Cluster: {Type: AWS::ECS::Cluster, Properties: {Tags: [{Key: a, Value: b}]}}
  Data: {Type: AWS::DynamoDB::Table, Condition: HasTable, Properties: {TableName: data}}
  Board: {Type: AWS::CloudWatch::Dashboard, Properties: {Body: !Sub 'of ${Service.Name}'}}
";

fn given(parameters: &[(&str, &str)]) -> BTreeMap<String, String> {
    parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// As in AWS's public schemas.
fn schemas() -> BTreeMap<String, Schema> {
    let schema = |kind: &str, only: &str| {
        let text = format!(r#"{{"properties": {{}}, "handlers": {{"update": {{}}}}, "createOnlyProperties": {only}}}"#);
        (kind.to_owned(), Schema::read(&text).unwrap())
    };
    [
        schema("AWS::ECS::TaskDefinition", r#"["/properties/ContainerDefinitions", "/properties/Cpu"]"#),
        schema("AWS::ECS::Service", r#"["/properties/Cluster", "/properties/ServiceName"]"#),
        schema("AWS::ECS::Cluster", r#"["/properties/ClusterName"]"#),
        schema("AWS::CloudWatch::Dashboard", r#"["/properties/DashboardName"]"#),
    ]
    .into()
}

/// Each change as one line.
fn lines(changes: &[ResourceChange]) -> Vec<String> {
    let line = |change: &ResourceChange| {
        let ResourceChange { action, logical_id, replacement, properties, .. } = change;
        let parts = [action, logical_id, replacement.as_deref().unwrap_or_default(), &properties.join(" ")];
        parts.join(" ").trim().to_owned()
    };
    changes.iter().map(line).collect()
}

fn compared(after: &str, parameters: &[(&str, &str)], schemas: &BTreeMap<String, Schema>) -> Vec<String> {
    let before = given(&[("ContainerURI", "a")]);
    let before = Side { body: TEMPLATE, parameters: &before };
    let parameters = given(&[&[("ContainerURI", "a")], parameters].concat());
    let after = Side { body: after, parameters: &parameters };
    lines(&Comparison::of(Some(before), after, "eu-central-1").unwrap().changes(schemas))
}

#[test]
fn equal_results_are_no_change() {
    assert!(compared(TEMPLATE, &[], &schemas()).is_empty());
    assert!(compared(&TEMPLATE.replace("!Ref Tasks", "'2'"), &[], &schemas()).is_empty());
    assert!(compared(&TEMPLATE.replace("Cpu: 256", "Cpu: '256'"), &[], &schemas()).is_empty());
}

#[test]
fn another_image_replaces_the_task_definition_and_changes_what_refers_to_it() {
    let expected = [
        "Modify Board False Properties.Body",
        "Modify Service False Properties.TaskDefinition",
        "Modify Task True Properties.ContainerDefinitions.0.Image",
    ];
    assert_eq!(compared(TEMPLATE, &[("ContainerURI", "b")], &schemas()), expected);
}

#[test]
fn without_schemas_every_change_may_be_a_replacement() {
    let expected = [
        "Modify Board Conditional Properties.Body",
        "Modify Service Conditional Properties.TaskDefinition",
        "Modify Task Conditional Properties.ContainerDefinitions.0.Image",
    ];
    assert_eq!(compared(TEMPLATE, &[("ContainerURI", "b")], &BTreeMap::new()), expected);
}

#[test]
fn a_change_in_place_reaches_references_to_attributes_only() {
    // The board refers to an attribute of the service; the cluster is only referred to by its name.
    let expected = ["Modify Board False Properties.Body", "Modify Service False Properties.DesiredCount"];
    assert_eq!(compared(TEMPLATE, &[("Tasks", "3")], &schemas()), expected);
    let retagged = TEMPLATE.replace("Value: b", "Value: c");
    assert_eq!(compared(&retagged, &[], &schemas()), ["Modify Cluster False Properties.Tags.0.Value"]);
}

#[test]
fn a_replacement_may_replace_resources_that_refer_to_it() {
    let named = TEMPLATE.replace("Properties: {Tags", "Properties: {ClusterName: x, Tags");
    let expected = [
        "Modify Board Conditional Properties.Body",
        "Modify Cluster True Properties.ClusterName",
        "Modify Service True Properties.Cluster",
    ];
    let mut schemas = schemas();
    schemas.remove("AWS::CloudWatch::Dashboard");
    let found = compared(&named, &[], &schemas);
    // The service is replaced; without a schema, what refers to it may be replaced too.
    assert_eq!(found, expected);
}

#[test]
fn additions_and_removals_follow_the_conditions() {
    assert_eq!(compared(TEMPLATE, &[("Table", "true")], &schemas()), ["Add Data"]);
    let after = given(&[("ContainerURI", "a")]);
    let before = given(&[("ContainerURI", "a"), ("Table", "true")]);
    let [before, after] = [&before, &after].map(|parameters| Side { body: TEMPLATE, parameters });
    let changes = Comparison::of(Some(before), after, "eu-central-1").unwrap().changes(&schemas());
    assert_eq!(lines(&changes), ["Remove Data"]);
    let changes = Comparison::of(None, after, "eu-central-1").unwrap().changes(&schemas());
    assert_eq!(lines(&changes), ["Add Board", "Add Cluster", "Add Service", "Add Task"]);
}

#[test]
fn a_policy_is_a_change_in_place_and_another_type_is_a_new_resource() {
    let kept = TEMPLATE.replace("AWS::ECS::Cluster,", "AWS::ECS::Cluster, DeletionPolicy: Retain,");
    assert_eq!(compared(&kept, &[], &schemas()), ["Modify Cluster False DeletionPolicy"]);
    let ordered = TEMPLATE.replace("AWS::ECS::Cluster,", "AWS::ECS::Cluster, DependsOn: Board,");
    assert!(compared(&ordered, &[], &schemas()).is_empty());
    let other = TEMPLATE.replace("AWS::ECS::Cluster,", "AWS::Other::Cluster,");
    assert!(compared(&other, &[], &schemas()).contains(&"Modify Cluster True".to_owned()));
}

#[test]
fn a_parameter_inside_a_function_of_aws_counts() {
    let joined = TEMPLATE.replace("'of ${Service.Name}'", "'of ${Service.Name} ${Table}'");
    let before = given(&[("ContainerURI", "a")]);
    let after = given(&[("ContainerURI", "a"), ("Table", "no")]);
    let [before, after] = [&before, &after].map(|parameters| Side { body: &joined, parameters });
    let changes = Comparison::of(Some(before), after, "eu-central-1").unwrap().changes(&schemas());
    assert_eq!(lines(&changes), ["Modify Board False Properties.Body"]);
}

#[test]
fn an_unknown_condition_neither_adds_nor_removes() {
    let unknown = TEMPLATE.replace("!Equals [!Ref Table, 'true']", "!Equals [!Ref AWS::AccountId, '1']");
    let parameters = given(&[("ContainerURI", "a")]);
    let [before, after] = [TEMPLATE, unknown.as_str()].map(|body| Side { body, parameters: &parameters });
    let comparison = Comparison::of(Some(before), after, "eu-central-1").unwrap();
    assert!(comparison.changes(&schemas()).is_empty());
    assert_eq!(comparison.uncertain(), ["Data"].into());
}

/// What another text of the same template changes.
fn between(before: &str, after: &str) -> (Vec<String>, Vec<String>) {
    let parameters = BTreeMap::new();
    let [before, after] = [before, after].map(|body| Side { body, parameters: &parameters });
    let known = Pseudo { region: "eu-central-1", account: Some("111122223333"), stack: Some("rest-api") };
    let comparison = Comparison::of(Some(before), after, known).unwrap();
    (lines(&comparison.changes(&schemas())), comparison.notes())
}

#[test]
fn two_ways_to_write_the_same_are_no_change() {
    let queue =
        |name: &str| format!("Resources:\n  Key: {{Type: A::B}}\n  Queue:\n    Type: C::D\n    Properties: {name}\n");
    let same = [
        ("{R: !GetAtt Key.Arn}", "{R: {'Fn::GetAtt': [Key, Arn]}}"),
        ("{N: !Join ['-', [!Ref Key, x]]}", "{N: !Sub '${Key}-x'}"),
        ("{N: !Sub '${AWS::AccountId}-${AWS::StackName}'}", "{N: 111122223333-rest-api}"),
        ("{F: Yes, P: 0600}", "{F: true, P: 384}"),
        ("{A: [\n x,\n'y\nz'\n]}", "{A: [x, 'y z']}"),
    ];
    for (before, after) in same {
        assert_eq!(between(&queue(before), &queue(after)), (vec![], vec![]), "{before} {after}");
    }
    let json =
        r#"{"Resources": {"Key": {"Type": "A::B"}, "Queue": {"Type": "C::D", "Properties": {"N": "\ud83d\ude80"}}}}"#;
    assert_eq!(between(json, &queue("{N: 🚀}")), (vec![], vec![]));
}

#[test]
fn notes_say_which_text_repeats_a_key_and_what_aws_expands() {
    let twice = "Resources:\n  Box:\n    Type: A::B\n    Properties: {Name: one,\n      Name: two}\n";
    let once = "Resources: {Box: {Type: A::B, Properties: {Name: two}}}";
    let note = |which: &str| {
        format!("in the {which} template Resources.Box.Properties.Name is there twice; the one of line 5 counts")
    };
    assert_eq!(between(twice, once), (vec![], vec![note("deployed")]));
    assert_eq!(between(once, twice), (vec![], vec![note("new")]));
    let looped = "Transform: AWS::LanguageExtensions\nResources: {'Fn::ForEach::B': [N, [a], {'${N}': {Type: A::B}}]}";
    let note = "AWS expands AWS::LanguageExtensions, Fn::ForEach::B; what comes of it is not compared";
    assert_eq!(between(looped, looped), (vec![], vec![note.to_owned()]));
}

#[test]
fn an_unreadable_text_is_named() {
    let none = BTreeMap::new();
    let [good, bad] = ["Resources: {}", "a: ["].map(|body| Side { body, parameters: &none });
    let error = |before, after| Comparison::of(Some(before), after, "eu-central-1").unwrap_err();
    assert!(error(bad, good).starts_with("the deployed template is not YAML: line 1"));
    assert!(error(good, bad).starts_with("the new template is not YAML: line 1"));
}

#[test]
fn text_names_everything_but_no_value() {
    let changes = Comparison::of(
        Some(Side { body: TEMPLATE, parameters: &given(&[("ContainerURI", "a-value")]) }),
        Side { body: TEMPLATE, parameters: &given(&[("ContainerURI", "another-value")]) },
        "eu-central-1",
    );
    let summary = markdown::tests::summary(changes.unwrap().changes(&schemas()));
    let text = summary.text();
    insta::assert_snapshot!(text, @r"
    stack rest_api in eu-central-1 would be updated
    image: a new one; the registry has none of these sources
    Modify Board (AWS::CloudWatch::Dashboard)
           Properties.Body
    Modify Service (AWS::ECS::Service)
           Properties.TaskDefinition
    Modify Task (AWS::ECS::TaskDefinition)  replaced
           Properties.ContainerDefinitions.0.Image
    warning: the change would lose data or identity: Users would be replaced; --allow Users
    note: stack rest_api is UPDATE_IN_PROGRESS
    ");
    assert!(!text.contains("-value") && !markdown::document(&summary).contains("-value"));
}
