//! What every template in `infra/` has to fulfil.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

#[path = "../infra/template.rs"]
pub(crate) mod template;

/// What a Deployment freezes; a change here has no effect without a new Deployment.
const API_DEFINITION: [&str; 7] = [
    "AWS::ApiGateway::Authorizer",
    "AWS::ApiGateway::GatewayResponse",
    "AWS::ApiGateway::Method",
    "AWS::ApiGateway::Model",
    "AWS::ApiGateway::RequestValidator",
    "AWS::ApiGateway::Resource",
    "AWS::ApiGateway::RestApi",
];

#[test]
fn a_template_has_no_moving_tag() {
    for path in paths() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(":latest"), "{}: a tag that moves deploys nothing", path.display());
    }
}

#[test]
fn a_service_template_takes_an_image_by_digest_and_gives_a_url() {
    for (name, template) in services() {
        let image = &template["Parameters"]["ContainerURI"];
        assert!(image.is_object(), "{name}: no parameter ContainerURI");
        assert!(image["Default"].is_null(), "{name}: an image by default is never the right one");
        assert!(image["ConstraintDescription"].is_string(), "{name}: says not what ContainerURI must look like");
        assert!(template["Outputs"]["ApiGatewayURL"].is_object(), "{name}: no output ApiGatewayURL");
        let pattern = image["AllowedPattern"].as_str().unwrap_or_else(|| panic!("{name}: no AllowedPattern"));
        let (registry, digest) = ("111111111111.dkr.ecr.eu-central-1.amazonaws.com", "0123456789abcdef".repeat(4));
        for repository in [format!("{registry}/rest-api"), format!("{registry}/a/b-c/d"), "127.0.0.1:4570/api".into()] {
            let image = format!("{repository}@sha256:{digest}");
            assert!(matches(pattern, &image), "{name}: refuses {image}");
        }
        for wrong in [
            format!("{registry}/rest-api:v1"),
            format!("{registry}/rest-api:v1@sha256:{digest}"),
            format!("{registry}/rest-api@sha256:{}", &digest[1..]),
            format!("{registry}/rest-api@sha256:{digest}'; reboot"),
            format!("rest-api@sha256:{digest}"),
        ] {
            assert!(!matches(pattern, &wrong), "{name}: accepts {wrong}");
        }
    }
}

#[test]
fn an_api_proxies_the_root_and_every_path() {
    for (name, template) in services() {
        let methods = of_types(&template, &["AWS::ApiGateway::Method"]);
        let root = methods.iter().any(|(_, method)| {
            method["Properties"]["ResourceId"]["Fn::GetAtt"][1] == "RootResourceId"
                && method["Properties"]["Integration"]["Type"] == "HTTP_PROXY"
        });
        assert!(root, "{name}: {{proxy+}} does not match the root path, which has no method of its own");
        for (id, method) in &methods {
            let properties = &method["Properties"];
            let passes_path = properties["Integration"]["Uri"].to_string().contains("{proxy}");
            let mapped = properties["RequestParameters"]["method.request.path.proxy"] == true
                && properties["Integration"]["RequestParameters"]["integration.request.path.proxy"]
                    == "method.request.path.proxy";
            assert_eq!(passes_path, mapped, "{name}: {id}: {{proxy}} in the Uri and its two mappings go together");
        }
    }
}

/// `rtb-…|0.0.0.0/0`: AWS takes no `|` in a tag, and finds out when the stack is created.
#[test]
fn a_tag_is_not_the_reference_of_a_route() {
    fn refers<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(map) if map.contains_key("Fn::Split") => {}
            Value::Object(map) => {
                found.extend(map.get("Ref").and_then(Value::as_str));
                map.values().for_each(|value| refers(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| refers(value, found)),
            _ => {}
        }
    }
    for (name, template) in services() {
        let routes = of_types(&template, &["AWS::EC2::Route"]);
        for (id, resource) in template["Resources"].as_object().unwrap() {
            let mut found = Vec::new();
            refers(&resource["Properties"]["Tags"], &mut found);
            let route = found.iter().find(|name| routes.iter().any(|(route, _)| route == *name));
            assert_eq!(route, None, "{name}: a tag of {id}");
        }
    }
}

/// A target group's port cannot be changed: another one makes another group, which is empty at first.
#[test]
fn a_new_port_of_the_container_makes_no_new_target_group() {
    for (name, template) in services() {
        for (id, group) in of_types(&template, &["AWS::ElasticLoadBalancingV2::TargetGroup"]) {
            assert!(group["Properties"]["Port"].is_number(), "{name}: {id}: Port is not a literal");
        }
    }
}

/// The tool has CloudFormation roll back an update at these; one that goes off without traffic would block every release.
#[test]
fn a_rollback_alarm_is_quiet_without_traffic() {
    for (name, template) in services() {
        let outputs = template["Outputs"].as_object().unwrap();
        let alarms: Vec<_> = outputs.iter().filter(|(output, _)| output.starts_with("RollbackAlarm")).collect();
        assert!((1..=5).contains(&alarms.len()), "{name}: has {} alarms to turn back at", alarms.len());
        for (output, definition) in alarms {
            let arn = &definition["Value"]["Fn::GetAtt"];
            let alarm = &template["Resources"][arn[0].as_str().unwrap_or_default()];
            assert_eq!(
                (&alarm["Type"], &arn[1]),
                (&json!("AWS::CloudWatch::Alarm"), &json!("Arn")),
                "{name}: {output}"
            );
            assert_eq!(alarm["Properties"]["TreatMissingData"], "notBreaching", "{name}: {output}");
        }
    }
}

#[test]
fn a_changed_api_has_a_new_deployment() {
    for (name, template) in services() {
        let deployments = of_types(&template, &["AWS::ApiGateway::Deployment"]);
        assert!(!deployments.is_empty(), "{name}: no Deployment");
        for (id, deployment) in deployments {
            let api = &deployment["Properties"]["RestApiId"];
            let split = id.len().saturating_sub(8);
            let stem = if id[split..].chars().all(|digit| digit.is_ascii_hexdigit()) { &id[..split] } else { id };
            let expected = format!("{stem}{}", fingerprint(&template, api));
            assert_eq!(
                id, &expected,
                "{name}: the API's definition has changed and nobody would see it. Rename the Deployment, and what \
                 refers to it, from {id} to {expected}"
            );
            assert!(
                deployment["Properties"]["StageName"].is_null(),
                "{name}: {id}: a stage of its own is unmanageable"
            );
            let methods: Vec<_> = definition(&template, api)
                .into_iter()
                .filter(|(_, resource)| resource["Type"] == "AWS::ApiGateway::Method")
                .map(|(method, _)| method.as_str())
                .collect();
            let awaited: Vec<_> = match &deployment["DependsOn"] {
                Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
                one => one.as_str().into_iter().collect(),
            };
            for method in methods {
                assert!(awaited.contains(&method), "{name}: {id} may be made before {method}: it belongs in DependsOn");
            }
        }
    }
}

#[test]
fn user_data_reaches_a_new_instance() {
    for (name, template) in services() {
        for (id, instance) in of_types(&template, &["AWS::EC2::Instance"]) {
            let properties = &instance["Properties"];
            assert!(properties["UserData"].is_null(), "{name}: {id}: changed user data restarts, it is not run again");
            let version = &properties["LaunchTemplate"]["Version"]["Fn::GetAtt"][1];
            assert_eq!(version, "LatestVersionNumber", "{name}: {id}: no other version is seen to change");
            assert!(instance["CreationPolicy"]["ResourceSignal"].is_object(), "{name}: {id}: nothing is waited for");
        }
    }
}

#[test]
fn the_fingerprint_follows_the_definition_only() {
    let api = json!({"Ref": "Api"});
    let template = |uri: &str, chosen: &str, retention: u32| {
        json!({
            "Conditions": {"Chosen": {"Fn::Equals": [{"Ref": "Mode"}, chosen]}},
            "Resources": {
                "Api": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": "api"}},
                "Other": {"Type": "AWS::ApiGateway::RestApi", "Properties": {"Name": uri}},
                "Method": {"Type": "AWS::ApiGateway::Method", "Properties": {
                    "RestApiId": api, "Integration": {"Uri": uri, "Type": {"Fn::If": ["Chosen", "A", "B"]}}}},
                "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": retention}},
            },
        })
    };
    let fingerprint_of = |template: Value| fingerprint(&template, &api);
    let first = fingerprint_of(template("http://a/", "x", 1));
    assert_eq!(first, fingerprint_of(template("http://a/", "x", 2)), "logs are no part of an API");
    assert_ne!(first, fingerprint_of(template("http://b/", "x", 1)));
    assert_ne!(first, fingerprint_of(template("http://a/", "y", 1)), "a condition decides on the definition");
    assert_eq!(first.len(), 8);
}

/// Eight hex digits over everything that a Deployment of this API freezes.
fn fingerprint(template: &Value, api: &Value) -> String {
    let mut frozen = Map::new();
    for (id, resource) in definition(template, api) {
        let mut resource = resource.clone();
        if let Some(properties) = resource["Properties"].as_object_mut() {
            properties.remove("Tags");
        }
        frozen.insert(id.clone(), resource);
    }
    let mut named = Map::new();
    for (function, section) in [("Fn::If", "Conditions"), ("Fn::FindInMap", "Mappings")] {
        for name in first_arguments(&Value::Object(frozen.clone()), function) {
            named.insert(format!("{section} {name}"), template[section][&name].clone());
        }
    }
    let mut text = String::new();
    canonical(&json!([frozen, named]), &mut text);
    Sha256::digest(text)[..4].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

fn definition<'a>(template: &'a Value, api: &Value) -> Vec<(&'a String, &'a Value)> {
    let belongs =
        |(id, resource): &(&String, &Value)| api["Ref"] == id.as_str() || &resource["Properties"]["RestApiId"] == api;
    of_types(template, &API_DEFINITION).into_iter().filter(belongs).collect()
}

fn of_types<'a>(template: &'a Value, types: &[&str]) -> Vec<(&'a String, &'a Value)> {
    let resources = template["Resources"].as_object().expect("a template has resources");
    resources.iter().filter(|(_, it)| it["Type"].as_str().is_some_and(|kind| types.contains(&kind))).collect()
}

fn first_arguments(value: &Value, function: &str) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| first_arguments(item, function)).collect(),
        Value::Object(object) => {
            let own = object.get(function).and_then(|arguments| arguments[0].as_str()).map(str::to_owned);
            own.into_iter().chain(object.values().flat_map(|item| first_arguments(item, function))).collect()
        }
        _ => Vec::new(),
    }
}

/// The same text for the same value, in whatever order the template has its keys.
fn canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for item in items {
                canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            text.push('{');
            for (key, item) in entries {
                write!(text, "{key:?}:").expect("a String takes all");
                canonical(item, text);
                text.push(',');
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

/// The templates that run a service, by file name.
fn services() -> Vec<(String, Value)> {
    let name = |path: &PathBuf| path.file_name().expect("a file").to_string_lossy().into_owned();
    let services = paths().into_iter().filter(|path| name(path).starts_with("api-backend"));
    services.map(|path| (name(&path), template::load(&path).expect("a template"))).collect()
}

fn paths() -> Vec<PathBuf> {
    let files = fs::read_dir(template::directory()).expect("infra/").map(|entry| entry.expect("a file").path());
    let templates: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert!(!templates.is_empty(), "no template found");
    templates
}

fn matches(pattern: &str, text: &str) -> bool {
    use std::io::Write as _;
    let mut grep = Command::new("grep").args(["-qE", pattern]).stdin(Stdio::piped()).spawn().expect("grep");
    writeln!(grep.stdin.take().expect("a pipe"), "{text}").expect("grep reads");
    grep.wait().expect("grep").success()
}
