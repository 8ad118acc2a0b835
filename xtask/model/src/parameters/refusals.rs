//! Values that CloudFormation would refuse, as the template alone shows it: by a parameter's type, by its constraints, by
//! the template's rules, and by the sizes of tasks that Fargate runs.

use std::collections::BTreeMap;

use config::deployment::references;
use config::suggestion;
use fancy_regex::Regex;

use super::Value;
use crate::template::evaluate::{self, Pseudo};
use crate::template::value::{text, texts};
use crate::template::{HIDDEN, Template, fargate};

/// Types whose values are ids with a prefix.
const IDS: [(&str, &str); 6] = [
    ("AWS::EC2::Image::Id", "ami-"),
    ("AWS::EC2::Instance::Id", "i-"),
    ("AWS::EC2::SecurityGroup::Id", "sg-"),
    ("AWS::EC2::Subnet::Id", "subnet-"),
    ("AWS::EC2::VPC::Id", "vpc-"),
    ("AWS::EC2::Volume::Id", "vol-"),
];
/// Parts of a pattern that Java reads differently, or the library does not know.
const OF_JAVA: [&str; 16] =
    ["\\p", "\\P", "\\h", "\\H", "\\v", "\\V", "\\R", "\\X", "\\G", "\\K", "\\N", "\\<", "\\>", "--", "~~", "[:"];
/// Parts of a pattern that match other characters than printable ASCII differently: Java's classes and flags are of ASCII,
/// those of the library of Unicode, and Java's dot knows more ends of a line.
const OF_ASCII: [&str; 3] = ["\\", "(?", "."];

/// Why CloudFormation, or the service behind a resource, would refuse the parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedValue {
    Parameter { name: String, reason: String },
    Rule { name: String, description: Option<String> },
    TaskSize { logical_id: String, reason: String },
}

/// Everything that these parameters would be refused for. `before` has the stack's parameters, and `image` is the name of
/// the image's, which has no value yet where none is sent. What is not known here, such as a hidden value or an output of
/// another stack, is not judged.
pub fn refusals<'a>(
    template: &Template,
    image: &str,
    sent: &BTreeMap<String, Value>,
    before: Option<&BTreeMap<String, String>>,
    known: impl Into<Pseudo<'a>>,
) -> Vec<RefusedValue> {
    let known = known.into();
    let mut document = template.document.root.clone();
    let (mut refusals, mut given) = (Vec::new(), BTreeMap::new());
    for (name, default) in &template.parameters {
        let value = match sent.get(name) {
            Some(Value::Is(value)) => Some(value),
            Some(Value::Previous) => before.and_then(|before| before.get(name)),
            None if name == image => None,
            None => default.as_ref(),
        };
        let definition = &mut document["Parameters"][name];
        let Some(value) = value.filter(|value| *value != HIDDEN && references(value).next().is_none()) else {
            // Its default is not what it will be.
            if let Some(definition) = definition.as_object_mut() {
                definition.remove("Default");
            }
            continue;
        };
        given.insert(name.clone(), value.clone());
        if let Some(reason) = refusal(definition, value, template.secret.contains(name)) {
            refusals.push(RefusedValue::Parameter { name: name.clone(), reason });
        }
    }
    let broken = evaluate::broken_rules(&document, &given, known).into_iter();
    refusals.extend(broken.map(|rule| RefusedValue::Rule { name: rule.name, description: rule.description }));
    for (logical_id, resource) in evaluate::resources(&document, &given, known) {
        if resource.kind == "AWS::ECS::TaskDefinition"
            && let Some(reason) = fargate::size_problem(&resource.properties)
        {
            refusals.push(RefusedValue::TaskSize { logical_id, reason });
        }
    }
    refusals
}

/// Why a parameter would not take a value.
fn refusal(definition: &serde_json::Value, value: &str, is_secret: bool) -> Option<String> {
    let kind = definition["Type"].as_str().unwrap_or("String");
    let inner = kind.strip_prefix("List<").and_then(|kind| kind.strip_suffix('>'));
    let reason = if inner.is_some() || kind == "CommaDelimitedList" {
        let mut items = value.split(',').map(str::trim).filter(|_| !value.is_empty());
        items.find_map(|item| refusal_of_one(definition, inner.unwrap_or(kind), item, is_secret))
    } else {
        refusal_of_one(definition, kind, value, is_secret)
    };
    let reason = reason?;
    match definition["ConstraintDescription"].as_str() {
        Some(description) => Some(format!("{reason}: {description}")),
        None => Some(reason),
    }
}

/// Why a value, or an item of a list, is refused.
fn refusal_of_one(definition: &serde_json::Value, kind: &str, value: &str, is_secret: bool) -> Option<String> {
    let shown = if is_secret { "the value".to_owned() } else { format!("{value:?}") };
    let number = value.trim().parse::<f64>().ok().filter(|number| number.is_finite());
    let limit = |name: &str| text(&definition[name])?.parse::<f64>().ok();
    let allowed = texts(&definition["AllowedValues"]);
    let same = |one: &String| one == value || (kind == "Number" && number.is_some() && one.parse().ok() == number);
    if !allowed.is_empty() && !allowed.iter().any(same) {
        // What a secret is like says too much of it.
        let meant = suggestion(value, allowed.iter().map(String::as_str).filter(|_| !is_secret));
        return Some(format!("{shown} is not allowed; allowed: {}{meant}", allowed.join(", ")));
    }
    match kind {
        "Number" => {
            let Some(number) = number else { return Some(format!("{shown} is no number")) };
            if let Some(least) = limit("MinValue").filter(|least| number < *least) {
                return Some(format!("{shown} is too small; allowed: {least} or more"));
            }
            let most = limit("MaxValue").filter(|most| number > *most)?;
            Some(format!("{shown} is too large; allowed: {most} or less"))
        }
        "String" | "CommaDelimitedList" => {
            let length = f64::from(u32::try_from(value.chars().count()).unwrap_or(u32::MAX));
            if let Some(least) = limit("MinLength").filter(|least| length < *least) {
                return Some(format!("{shown} has {length} characters; allowed: {least} or more"));
            }
            if let Some(most) = limit("MaxLength").filter(|most| length > *most) {
                return Some(format!("{shown} has {length} characters; allowed: {most} or fewer"));
            }
            let pattern = definition["AllowedPattern"].as_str()?;
            (matches(pattern, value) == Some(false)).then(|| format!("{shown} does not match {pattern}"))
        }
        _ => {
            let (_, prefix) = IDS.iter().find(|(known, _)| *known == kind)?;
            let id = value.strip_prefix(prefix);
            let fits = id.is_some_and(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()));
            (!fits).then(|| format!("{shown} is no {kind}; allowed: {prefix} and the rest of the id"))
        }
    }
}

/// Whether a whole value matches a pattern, which is one of Java's; `None` if that cannot be judged here.
fn matches(pattern: &str, value: &str) -> Option<bool> {
    let has = |parts: &[&str]| parts.iter().any(|part| pattern.contains(part));
    let is_plain = value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if has(&OF_JAVA) || (!is_plain && has(&OF_ASCII)) {
        return None;
    }
    Regex::new(&format!(r"\A(?:{pattern})\z")).ok()?.is_match(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::tests::matrix::{combinations, template};

    /// Why the value of a parameter with this definition is refused.
    fn refused(definition: &str, value: &str) -> Option<String> {
        let sent = BTreeMap::from([("It".to_owned(), Value::Is(value.to_owned()))]);
        match all(&format!("Parameters: {{It: {{{definition}}}}}\nResources: {{A: {{Type: A::B}}}}\n"), &sent)
            .as_slice()
        {
            [] => None,
            [RefusedValue::Parameter { name, reason }] if name == "It" => Some(reason.clone()),
            others => panic!("{others:?}"),
        }
    }

    fn all(body: &str, sent: &BTreeMap<String, Value>) -> Vec<RefusedValue> {
        let template = Template::read("t.yaml", body.to_owned()).unwrap();
        let before = BTreeMap::from([("Old".to_owned(), "odd".to_owned()), ("Hidden".to_owned(), HIDDEN.to_owned())]);
        refusals(&template, "Image", sent, Some(&before), "eu-central-1")
    }

    #[test]
    fn every_constraint_refuses_and_names_what_is_allowed() {
        let cases = [
            (
                "Type: String, AllowedValues: [small, large]",
                "Large",
                "\"Large\" is not allowed; allowed: small, large; did you mean large?",
            ),
            ("Type: String, AllowedValues: [Yes, No]", "Yes", "\"Yes\" is not allowed; allowed: true, false"),
            ("Type: String, AllowedPattern: '[a-z]+'", "ab1", "\"ab1\" does not match [a-z]+"),
            ("Type: String, AllowedPattern: '(?!admin)[a-z]+'", "admin", "\"admin\" does not match (?!admin)[a-z]+"),
            ("Type: String, AllowedPattern: '[a-z]+'", "ä", "\"ä\" does not match [a-z]+"),
            ("Type: String, AllowedPattern: '\\W+'", "a", "\"a\" does not match \\W+"),
            ("Type: String, MinLength: 3", "äb", "\"äb\" has 2 characters; allowed: 3 or more"),
            ("Type: String, MaxLength: '3'", "abcd", "\"abcd\" has 4 characters; allowed: 3 or fewer"),
            ("Type: Number, MinValue: 1", "0", "\"0\" is too small; allowed: 1 or more"),
            ("Type: Number, MaxValue: 65535", "70000", "\"70000\" is too large; allowed: 65535 or less"),
            ("Type: Number", "many", "\"many\" is no number"),
            ("Type: Number, AllowedValues: [1, 2]", "3", "\"3\" is not allowed; allowed: 1, 2"),
            ("Type: 'List<Number>', MaxValue: 9", "1, 10", "\"10\" is too large; allowed: 9 or less"),
            ("Type: CommaDelimitedList, AllowedValues: [a, b]", "a,c", "\"c\" is not allowed; allowed: a, b"),
            ("Type: CommaDelimitedList, AllowedPattern: '[a-z]'", "a, bc", "\"bc\" does not match [a-z]"),
            (
                "Type: 'AWS::EC2::VPC::Id'",
                "subnet-1",
                "\"subnet-1\" is no AWS::EC2::VPC::Id; allowed: vpc- and the rest of the id",
            ),
            (
                "Type: 'List<AWS::EC2::Subnet::Id>'",
                "subnet-1,",
                "\"\" is no AWS::EC2::Subnet::Id; allowed: subnet- and the rest of the id",
            ),
            ("Type: String, MinLength: 9, NoEcho: true", "hunter2", "the value has 7 characters; allowed: 9 or more"),
            (
                "Type: String, AllowedPattern: 'a', ConstraintDescription: must be an a",
                "b",
                "\"b\" does not match a: must be an a",
            ),
        ];
        for (definition, value, expected) in cases {
            assert_eq!(refused(definition, value).as_deref(), Some(expected), "{definition}");
        }
    }

    #[test]
    fn what_is_allowed_or_cannot_be_judged_passes() {
        let cases = [
            ("Type: String, AllowedValues: [small, large]", "large"),
            ("Type: String, AllowedPattern: '^(|a+)$'", ""),
            ("Type: String, AllowedPattern: '[\\p{Punct}]+'", "$"),
            ("Type: String, AllowedPattern: '[a-'", "b"),
            ("Type: String, AllowedPattern: '\\<a\\>'", "<a>"),
            ("Type: String, AllowedPattern: '\\W+'", "äß"),
            ("Type: String, AllowedPattern: '[^\\w]+'", "äß"),
            ("Type: String, AllowedPattern: '\\D+'", "٣"),
            ("Type: String, AllowedPattern: '\\S+'", "a\u{a0}b"),
            ("Type: String, AllowedPattern: '(?!(?i)k)[^a]'", "\u{212a}"),
            ("Type: String, AllowedPattern: '\\Qa.b\\E'", "a.b"),
            ("Type: String, AllowedPattern: 'a(?=b).'", "ab"),
            ("Type: Number, MinValue: 1, MaxValue: 2", "1.5"),
            ("Type: Number, AllowedValues: [1, 2]", "2.0"),
            ("Type: CommaDelimitedList, AllowedPattern: 'a'", ""),
            ("Type: 'AWS::EC2::VPC::Id'", "vpc-0123456789abcdef0"),
            ("Type: 'AWS::SSM::Parameter::Value<String>', AllowedPattern: 'x'", "/a/b"),
            ("Type: String, MaxLength: 3", "{network.VpcId}"),
        ];
        for (definition, value) in cases {
            assert_eq!(refused(definition, value), None, "{definition} {value}");
        }
    }

    #[test]
    fn defaults_and_kept_values_count_and_hidden_ones_do_not() {
        let constraint = "AllowedValues: [x, y]";
        let body = format!(
            "Parameters:\n  New: {{Type: String, {constraint}, Default: z}}\n  Old: {{Type: String, {constraint}, Default: \
             x}}\n  Hidden: {{Type: String, {constraint}, Default: x}}\nRules: {{R: {{Assertions: [{{Assert: !Equals \
             [!Ref Hidden, x]}}, {{Assert: !Equals [!Ref Old, x], AssertDescription: Old is x}}]}}}}\nResources: {{A: \
             {{Type: A::B}}}}\n"
        );
        let kept = ["Old", "Hidden"].map(|name| (name.to_owned(), Value::Previous)).into();
        let expected = [
            RefusedValue::Parameter {
                name: "New".to_owned(),
                reason: "\"z\" is not allowed; allowed: x, y".to_owned(),
            },
            RefusedValue::Parameter {
                name: "Old".to_owned(),
                reason: "\"odd\" is not allowed; allowed: x, y".to_owned(),
            },
            RefusedValue::Rule { name: "R".to_owned(), description: Some("Old is x".to_owned()) },
        ];
        assert_eq!(all(&body, &kept), expected);
    }

    #[test]
    fn the_default_of_the_image_is_not_judged_in_its_place() {
        let body = "Parameters:\n  Image: {Type: String, AllowedPattern: '.+@.+', Default: none}\nConditions: {None: !Equals \
                    [!Ref Image, none]}\nRules: {R: {Assertions: [{Assert: !Not [!Equals [!Ref Image, \
                    none]]}]}}\nResources:\n  Task:\n    Type: AWS::ECS::TaskDefinition\n    Condition: None\n    Properties: \
                    {RequiresCompatibilities: [FARGATE], Cpu: 512, Memory: 512}\n";
        assert_eq!(all(body, &BTreeMap::new()), []);
        let sent = |image: &str| BTreeMap::from([("Image".to_owned(), Value::Is(image.to_owned()))]);
        assert_eq!(all(body, &sent("none")).len(), 3);
        assert_eq!(all(body, &sent("a@b")), []);
    }

    #[test]
    fn sizes_that_fargate_does_not_run_are_found_by_parameters() {
        let body = "Parameters: {Cpu: {Type: String}, Memory: {Type: String, Default: 512}}\nResources:\n  Task:\n    Type: \
                    AWS::ECS::TaskDefinition\n    Properties: {RequiresCompatibilities: [FARGATE], Cpu: !Ref Cpu, \
                    Memory: !Ref Memory}\n";
        let with = |cpu: &str| all(body, &BTreeMap::from([("Cpu".to_owned(), Value::Is(cpu.to_owned()))]));
        assert_eq!(with("256"), []);
        assert_eq!(with("{other.Cpu}"), []);
        let reason =
            "Fargate does not combine Cpu 512 with Memory 512; allowed with it: 1024, 2048, 3072, 4096".to_owned();
        assert_eq!(with("512"), [RefusedValue::TaskSize { logical_id: "Task".to_owned(), reason }]);
    }

    #[test]
    fn every_combination_of_our_own_templates_is_accepted() {
        let mut judged = 0;
        for matrix in combinations::all().unwrap() {
            let body = std::fs::read_to_string(template::directory().join(&matrix.file)).unwrap();
            let template = Template::read(&matrix.file, body).unwrap();
            for combination in matrix.combinations {
                let region = &combination.parameters["AWS::Region"];
                let given = combination.parameters.iter();
                let sent = given.map(|(name, value)| (name.clone(), Value::Is(value.clone()))).collect();
                let refused = refusals(&template, "ContainerURI", &sent, None, region);
                assert!(refused.is_empty(), "{} with {}: {refused:?}", matrix.file, combination.name);
                judged += 1;
            }
        }
        assert!(judged > 20, "only {judged}");
    }
}
