use serde_json::json;

use super::*;

const TEMPLATE: &str = r#"
Parameters:
  Size: {Type: String, Default: small}
  Count: {Type: Number, Default: 2}
  Zones: {Type: CommaDelimitedList, Default: ''}
  Ami: {Type: AWS::SSM::Parameter::Value<String>, Default: /some/name}
  Given: {Type: String}
Mappings:
  Types:
    eu-central-1: {small: t3.micro, Number: 7}
Conditions:
  Small: !Equals [!Ref Size, small]
  Two: {'Fn::Equals': [{Ref: Count}, '2']}
  Later: !And [!Condition Earlier, {Condition: Two}]
  Earlier: !Not [!Equals [!Ref AWS::Region, us-east-1]]
  Either: !Or [!Condition Circle, !Condition Small]
  Neither: !Or [!Not [!Condition Small], !Not [!Condition Two]]
  HasZones: !Not [!Equals [!Select [0, !Ref Zones], '']]
  Circle: !Not [!Condition Circle]
  OfAws: !Equals [!Ref AWS::AccountId, '1']
  OfTheStore: !Equals [!Ref Ami, /some/name]
  WithoutValue: !Equals [!Ref Given, x]
Resources:
"#;

/// The properties of one resource.
fn resolved(properties: &str, parameters: &[(&str, &str)]) -> Value {
    let body = format!("{TEMPLATE}  It:\n    Type: A::B\n    Properties: {properties}\n");
    let given = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    evaluate(&body, &given, "eu-central-1").unwrap().resources["It"].properties.clone()
}

/// Whether a resource with the condition exists; `None` if that is not known.
fn exists(condition: &str, parameters: &[(&str, &str)]) -> Option<bool> {
    let body = format!("{TEMPLATE}  It:\n    Type: A::B\n    Condition: {condition}\n");
    let given = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let evaluated = evaluate(&body, &given, "eu-central-1").unwrap();
    if evaluated.uncertain.is_empty() { Some(evaluated.resources.contains_key("It")) } else { None }
}

#[test]
fn conditions_decide_what_exists() {
    assert_eq!(exists("Small", &[]), Some(true));
    assert_eq!(exists("Small", &[("Size", "large")]), Some(false));
    assert_eq!(exists("Two", &[]), Some(true), "a number equals its text");
    assert_eq!(exists("Two", &[("Count", "3")]), Some(false));
    assert_eq!(exists("Later", &[]), Some(true), "a condition may refer to a later one");
    assert_eq!(exists("Later", &[("Count", "3")]), Some(false));
    assert_eq!(exists("Neither", &[]), Some(false));
    assert_eq!(exists("Neither", &[("Count", "3")]), Some(true));
    assert_eq!(exists("HasZones", &[]), Some(false));
    assert_eq!(exists("HasZones", &[("Zones", "a,b")]), Some(true));
}

#[test]
fn conditions_that_only_aws_knows_stay_open() {
    assert_eq!(exists("OfAws", &[]), None);
    assert_eq!(exists("OfTheStore", &[]), None);
    assert_eq!(exists("WithoutValue", &[]), None);
    assert_eq!(exists("WithoutValue", &[("Given", "x")]), Some(true));
    assert_eq!(exists("NoSuchCondition", &[]), None);
    assert_eq!(exists("Circle", &[]), None, "and ends");
    assert_eq!(exists("Either", &[]), Some(true), "one that is known settles it");
}

#[test]
fn functions_are_evaluated_in_both_forms() {
    let cases = [
        ("!Ref Count", json!("2")),
        ("{Ref: Count}", json!("2")),
        ("!If [Small, !Ref Size, other]", json!("small")),
        ("{'Fn::If': [Two, [1, 2], other]}", json!([1, 2])),
        ("!FindInMap [Types, !Ref AWS::Region, !Ref Size]", json!("t3.micro")),
        ("!FindInMap [Types, none, none, {DefaultValue: 3}]", json!(3)),
        ("!Select [1, [a, b]]", json!("b")),
        ("!Select [0, !Split ['|', 'x|y']]", json!("x")),
        ("!Join ['-', [a, !Ref Size, 1]]", json!("a-small-1")),
        ("!Sub 'com.${AWS::Region}.${Size}.${!kept}'", json!("com.eu-central-1.small.${kept}")),
        ("!Sub ['${Own}-${Size}', {Own: !Ref Count}]", json!("2-small")),
        ("{'Fn::Length': [a, b]}", json!(2)),
        ("[a, !If [Small, !Ref AWS::NoValue, b], c]", json!(["a", "c"])),
        ("{Kept: 1, Gone: !Ref AWS::NoValue}", json!({"Kept": 1})),
        ("!Ref AWS::Partition", json!("aws")),
    ];
    for (properties, expected) in cases {
        assert_eq!(resolved(properties, &[]), expected, "{properties}");
    }
    assert_eq!(resolved("!Ref Zones", &[("Zones", "a, b")]), json!(["a", "b"]));
}

#[test]
fn functions_that_only_aws_can_evaluate_stay_with_evaluated_arguments() {
    let cases = [
        ("!Ref Elsewhere", json!({"Ref": "Elsewhere"})),
        ("!Select [0, !GetAZs '']", json!({"Fn::Select": [0, {"Fn::GetAZs": ""}]})),
        ("!If [OfAws, 1, 2]", json!({"Fn::If": ["OfAws", 1, 2]})),
        ("!If [OfAws, !Ref Count, 2]", json!({"Fn::If": ["OfAws", "2", 2]})),
        ("!Join ['-', [a, !If [OfAws, b, !Ref AWS::NoValue]]]", {
            let item = json!({"Fn::If": ["OfAws", "b", {"Ref": "AWS::NoValue"}]});
            json!({"Fn::Join": ["-", ["a", item]]})
        }),
        ("!Join [',', !GetAtt A.List]", json!({"Fn::Join": [",", {"Fn::GetAtt": ["A", "List"]}]})),
        ("{'Fn::Length': [!If [OfAws, 1, 2]]}", json!({"Fn::Length": [{"Fn::If": ["OfAws", 1, 2]}]})),
        (
            "!Select [1, [!If [OfAws, 1, !Ref AWS::NoValue], 2]]",
            json!({"Fn::Select": [1, [{"Fn::If": ["OfAws", 1, {"Ref": "AWS::NoValue"}]}, 2]]}),
        ),
        ("!Base64 {'Fn::Sub': '${Count}'}", json!({"Fn::Base64": "2"})),
        ("!Ref Ami", json!({"Fn::Stored": "/some/name"})),
        ("!FindInMap [Types, none, none]", json!({"Fn::FindInMap": ["Types", "none", "none"]})),
    ];
    for (properties, expected) in cases {
        assert_eq!(resolved(properties, &[]), expected, "{properties}");
    }
}

#[test]
fn what_means_the_same_is_the_same() {
    let same: [&[&str]; 6] = [
        &["!GetAtt A.B", "{'Fn::GetAtt': [A, B]}", "!Sub '${A.B}'", "!Join ['', [!GetAtt A.B]]"],
        &["!GetAtt A.Outputs.B", "!GetAtt [A, Outputs.B]", "!GetAtt [A, Outputs, B]"],
        &["!Ref A", "!Sub '${A}'", "!Sub ['${Own}', {Own: !Ref A}]", "!Join [':', [!Ref A]]"],
        &[
            "!Sub '${A.Arn}/${Count}/${!kept}'",
            "!Join ['/', [!GetAtt A.Arn, !Ref Count, '${kept}']]",
            "!Join ['', [!Sub '${A.Arn}/', 2, !Join ['/', ['', '${kept}']]]]",
            "!Sub ['${Whole}/${!kept}', {Whole: !Sub '${A.Arn}/2'}]",
        ],
        &["!Sub 'a-${AWS::Region}'", "!Join ['-', [a, !Ref AWS::Region]]", "a-eu-central-1"],
        &["!Sub ''", "!Join ['', []]", "''"],
    ];
    for group in same {
        let first = resolved(group[0], &[]);
        group.iter().for_each(|properties| assert_eq!(resolved(properties, &[]), first, "{properties}"));
    }
    assert_eq!(
        resolved("!Sub '${A.Arn}/${Count}'", &[]),
        json!({"Fn::Join": ["", [{"Fn::GetAtt": ["A", "Arn"]}, "/2"]]})
    );
}

#[test]
fn known_pseudo_parameters_are_filled_in() {
    let body = "Resources: {It: {Type: A::B, Properties: !Sub '${AWS::AccountId} ${AWS::StackName} ${AWS::StackId}'}}";
    let known = Pseudo { region: "eu-central-1", account: Some("111122223333"), stack: Some("rest-api") };
    let evaluated = evaluate(body, &BTreeMap::new(), known).unwrap();
    let expected = json!({"Fn::Join": ["", ["111122223333 rest-api ", {"Ref": "AWS::StackId"}]]});
    assert_eq!(evaluated.resources["It"].properties, expected);
    let evaluated = evaluate(body, &BTreeMap::new(), "eu-central-1").unwrap();
    assert!(evaluated.resources["It"].properties.to_string().contains("AWS::AccountId"));
}

#[test]
fn what_aws_expands_is_named_and_is_no_resource() {
    let body = "
Transform: [AWS::LanguageExtensions, Mine]
Resources:
  It: {Type: A::B}
  Fn::ForEach::Buckets: [Name, [a, b], {'${Name}': {Type: AWS::S3::Bucket}}]
";
    let evaluated = evaluate(body, &BTreeMap::new(), "eu-central-1").unwrap();
    assert_eq!(evaluated.resources.keys().collect::<Vec<_>>(), ["It"]);
    assert_eq!(evaluated.expanded, ["AWS::LanguageExtensions", "Mine", "Fn::ForEach::Buckets"]);
    let uncounted: Vec<&str> = evaluated.uncounted.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(uncounted, ["Mine", "Fn::ForEach::Buckets"]);
}

#[test]
fn a_partition_follows_its_region() {
    let body = "Resources: {It: {Type: A::B, Properties: [!Ref AWS::Partition, !Ref AWS::URLSuffix]}}";
    let of =
        |region: &'static str| evaluate(body, &BTreeMap::new(), region).unwrap().resources["It"].properties.clone();
    assert_eq!(of("cn-north-1"), json!(["aws-cn", "amazonaws.com.cn"]));
    assert_eq!(of("us-gov-west-1"), json!(["aws-us-gov", "amazonaws.com"]));
    assert_eq!(of("us-isob-east-1"), json!(["aws-iso-b", "sc2s.sgov.gov"]));
    assert_eq!(of("eu-isoe-west-1"), json!(["aws-iso-e", "cloud.adc-e.uk"]));
    assert_eq!(of("eusc-de-east-1"), json!(["aws-eusc", "amazonaws.eu"]));
    assert_eq!(of("eu-central-1"), json!(["aws", "amazonaws.com"]));
    assert_eq!(of("xx-new-1"), json!([{"Ref": "AWS::Partition"}, {"Ref": "AWS::URLSuffix"}]));
}

/// Time that doubles with each function in another one would have no end.
#[test]
fn nested_functions_that_stay_open_end_soon() {
    // The published way to make a text upper case.
    let upper = ('a'..='z').fold("!Ref AWS::StackId".to_owned(), |inner, letter| {
        format!("!Join [{}, !Split [{letter}, {inner}]]", letter.to_ascii_uppercase())
    });
    let text = resolved(&upper, &[]).to_string();
    assert_eq!((text.matches("Fn::Join").count(), text.matches("Fn::Split").count()), (26, 26));
    let deeper = |inner: String, _| format!("!And [!Or [{inner}, !Condition Neither]]");
    let deep = (0..20).fold("!Condition OfAws".to_owned(), deeper);
    let template = TEMPLATE.replace("Conditions:", &format!("Conditions:\n  Deep: {deep}"));
    let body = format!("{template}  It: {{Type: A::B, Condition: Deep}}\n");
    assert_eq!(evaluate(&body, &BTreeMap::new(), "eu-central-1").unwrap().uncertain.len(), 1);
}

#[test]
fn json_is_read_and_other_text_is_refused() {
    let body = r#"{"Resources": {"It": {"Type": "A::B"}, "Odd": 3}}"#;
    let evaluated = evaluate(body, &BTreeMap::new(), "eu-central-1").unwrap();
    assert_eq!(evaluated.resources["It"].kind, "A::B");
    assert_eq!(evaluated.resources["Odd"].kind, "no type");
    assert!(evaluate("a: [", &BTreeMap::new(), "eu-central-1").unwrap_err().contains("not YAML"));
    assert!(evaluate("", &BTreeMap::new(), "eu-central-1").unwrap().resources.is_empty());
}

#[test]
fn attributes_are_evaluated_too() {
    let body = "Resources: {It: {Type: A::B, DependsOn: C, DeletionPolicy: Retain, Metadata: {Of: !Ref AWS::Region}}}";
    let evaluated = evaluate(body, &BTreeMap::new(), "eu-central-1").unwrap();
    let attributes = &evaluated.resources["It"].attributes;
    assert_eq!(attributes.keys().collect::<Vec<_>>(), ["DeletionPolicy", "Metadata"]);
    assert_eq!(attributes["Metadata"], json!({"Of": "eu-central-1"}));
}
