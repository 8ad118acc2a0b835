//! Parameters that change the API, and only those, make a new deployment.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::templates::template;

/// What a deployment of API Gateway freezes.
const FROZEN: [&str; 5] = ["Authorizer", "GatewayResponse", "Method", "Resource", "RestApi"];

#[test]
fn a_parameter_that_changes_the_api_makes_a_new_deployment() {
    let template = template::load(&template::directory().join("api-backend-fargate.yaml")).unwrap();
    let redeploy = &template["Metadata"]["Release"]["Redeploy"];
    let listed: BTreeSet<&str> = redeploy["When"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let mut needed = BTreeSet::new();
    for resource in template["Resources"].as_object().unwrap().values() {
        let kind = resource["Type"].as_str().unwrap().strip_prefix("AWS::ApiGateway::");
        if kind.is_some_and(|kind| FROZEN.contains(&kind)) {
            decides(resource, &template, &mut needed);
        }
    }
    assert!(needed.contains("Authorizer"), "{needed:?}: nothing was looked at");
    assert_eq!(listed, needed, "Metadata.Release.Redeploy.When names the parameters that the API is made of");
}

#[test]
fn the_stage_shows_the_deployment_that_the_parameter_chooses() {
    let template = template::load(&template::directory().join("api-backend-fargate.yaml")).unwrap();
    let redeploy = &template["Metadata"]["Release"]["Redeploy"];
    let parameter = redeploy["Parameter"].as_str().unwrap();
    assert_eq!(template["Parameters"][parameter]["AllowedValues"], redeploy["Values"]);
    let choice = &template["Resources"]["ApiGatewayStage"]["Properties"]["DeploymentId"]["Fn::If"];
    for (index, value) in redeploy["Values"].as_array().unwrap().iter().enumerate() {
        let deployment = choice[index + 1]["Ref"].as_str().unwrap();
        let condition = template["Resources"][deployment]["Condition"].as_str().unwrap();
        let chosen = &template["Conditions"][condition]["Fn::Equals"];
        assert_eq!((&chosen[0]["Ref"], &chosen[1]), (&redeploy["Parameter"], value), "{deployment}");
        assert!(index > 0 || choice[0] == condition, "the stage's choice is {deployment}'s condition");
    }
}

/// The parameters that decide on `value`, through references and conditions.
fn decides<'a>(value: &'a Value, template: &'a Value, found: &mut BTreeSet<&'a str>) {
    let note = |name: &'a str, found: &mut BTreeSet<&'a str>| {
        if template["Parameters"][name].is_object() {
            found.insert(name);
        }
    };
    match value {
        Value::Object(object) => {
            for (key, argument) in object {
                match (key.as_str(), argument) {
                    ("Ref", Value::String(name)) => note(name, found),
                    ("Fn::Sub", Value::String(text)) => {
                        text.split("${")
                            .skip(1)
                            .filter_map(|rest| rest.split('}').next())
                            .for_each(|name| note(name, found));
                    }
                    ("Condition", Value::String(name)) => decides(&template["Conditions"][name], template, found),
                    ("Fn::If", Value::Array(parts)) => {
                        let condition = parts[0].as_str().expect("a condition's name");
                        decides(&template["Conditions"][condition], template, found);
                    }
                    _ => {}
                }
                decides(argument, template, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| decides(item, template, found)),
        _ => {}
    }
}
