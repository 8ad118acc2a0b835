//! What the renderer refuses, and that the combinations contain every pair.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use serde_json::Value;

use super::{pairs, render, template, test};

const TEMPLATE: &str = r#"
Parameters:
  Size: {Type: String, Default: small, AllowedValues: [small, large]}
  Count: {Type: Number, Default: 2, MinValue: 1, MaxValue: 9}
  Zones: {Type: CommaDelimitedList, Default: '', AllowedPattern: "^[a-z0-9-]+$"}
  Path: {Type: String, Default: /, AllowedPattern: "^/[a-z]*$"}
  Given: {Type: String}
Mappings:
  Types:
    eu-central-1: {small: t3.micro}
Rules:
  LargeIsMany:
    RuleCondition: !Equals [!Ref Size, large]
    Assertions:
      - {Assert: !Not [!Equals [!Ref Count, '1']], AssertDescription: large ones come in numbers}
Conditions:
  Small: !Equals [!Ref Size, small]
  Pair: !And [!Condition Small, !Equals [!Ref Count, 2]]
  Either: !Or [!Not [!Condition Small], !Condition Pair]
Resources:
  Always: {Type: A::B}
  Sometimes: {Type: A::B, Condition: Small}
  It:
    Type: A::B
    Properties:
"#;

pub(crate) fn tests() -> Vec<Trial> {
    vec![
        test("render::a_reference_to_nothing_is_refused", dangling),
        test("render::parameters_keep_their_limits_and_rules", limits),
        test("pairs::every_two_values_meet_in_few_rows", meeting),
    ]
}

/// The property `It` of a template that is otherwise as above.
fn rendered(property: &str, parameters: &[(&str, &str)]) -> Result<Value> {
    let body = format!("{TEMPLATE}      It: {property}\nOutputs: {{}}\n");
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(body.as_bytes())?;
    let mut given: BTreeMap<_, _> =
        parameters.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
    given.entry("AWS::Region".to_owned()).or_insert_with(|| "eu-central-1".to_owned());
    given.entry("Given".to_owned()).or_default();
    let whole = render::render(&template::load(file.path())?, &given)?;
    Ok(whole["Resources"]["It"]["Properties"]["It"].clone())
}

fn dangling() -> Result<()> {
    refused("!Ref Nothing", &[], "Nothing")?;
    for property in
        ["!Ref Sometimes", "!GetAtt Sometimes.Arn", "!Sub 'a ${Sometimes.Arn}'", "!Sub ['${A}', {A: !Ref Sometimes}]"]
    {
        rendered(property, &[])?;
        refused(property, &[("Size", "large")], "It to Sometimes")?;
    }
    refused("1\n    DependsOn: [Always, Sometimes]", &[("Size", "large")], "It to Sometimes")?;
    refused("!If [NoSuch, 1, 2]", &[], "no condition NoSuch")?;
    refused("!FindInMap [Types, sa-east-1, small]", &[], "no /Mappings/Types/sa-east-1/small")?;
    refused("!Transform {Name: x}", &[], "unknown tag")?;
    refused("!Cidr [10.0.0.0/24, 4, 8]", &[], "is full")
}

fn limits() -> Result<()> {
    refused("1", &[("Sise", "small")], "there is no parameter Sise")?;
    refused("1", &[("Size", "huge")], "Size must not be 'huge'")?;
    refused("1", &[("Count", "10")], "Count must not be '10'")?;
    refused("1", &[("Path", "/A")], "Path must not be '/A'")?;
    refused("1", &[("Zones", "a, B")], "Zones must not be 'B'")?;
    rendered("1", &[("Zones", "a, b")])?;
    refused("1", &[("Size", "large"), ("Count", "1")], "large ones come in numbers")?;
    rendered("1", &[("Size", "large"), ("Path", "/a")]).map(drop)
}

fn refused(property: &str, parameters: &[(&str, &str)], expected: &str) -> Result<()> {
    match rendered(property, parameters) {
        Ok(value) => anyhow::bail!("{property} with {parameters:?} should have been refused, and is {value}"),
        Err(error) => {
            let text = format!("{error:#}");
            ensure!(text.contains(expected), "{property}: {text}");
            Ok(())
        }
    }
}

fn meeting() -> Result<()> {
    for sizes in [vec![2, 2], vec![4, 4, 5, 3, 3, 2, 2, 2, 2, 2, 2, 2], vec![1, 3, 1], vec![3]] {
        let rows = pairs::cover(&sizes);
        ensure!(rows == pairs::cover(&sizes), "not the same rows twice");
        let mut met = BTreeSet::new();
        for row in &rows {
            ensure!(row.len() == sizes.len() && row.iter().zip(&sizes).all(|(value, size)| value < size), "{row:?}");
            for (left, one) in row.iter().enumerate() {
                met.extend(row.iter().enumerate().skip(left + 1).map(|(right, other)| ((left, one), (right, other))));
            }
        }
        let all: usize =
            (0..sizes.len()).map(|left| sizes[left + 1..].iter().map(|size| size * sizes[left]).sum::<usize>()).sum();
        ensure!(met.len() == all, "{} of {all} pairs of {sizes:?}", met.len());
        // Twice the least that is possible, the product of the two largest.
        let mut largest = sizes.clone();
        largest.sort_unstable();
        let least: usize = largest.iter().rev().take(2).product();
        ensure!(rows.len() <= 2 * least, "{} rows for {sizes:?}", rows.len());
    }
    Ok(())
}
