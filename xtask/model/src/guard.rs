//! Which changes must be allowed for each resource by name: those that lose data or identity, or revert what AWS has
//! changed since.
//!
//! Pure: judges a change set.

use std::collections::BTreeMap;

use crate::outcome::{Exit, Failure, FailureKind};
use crate::stack::{Resource, ResourceChange};
use crate::template::Template;

/// Types whose replacement or removal loses something irretrievable: data, or an identity that others use.
const PRECIOUS: [(&str, &str); 26] = [
    ("AWS::ApiGateway::RestApi", "its id is part of the public URL"),
    ("AWS::ApiGatewayV2::Api", "its id is part of the public URL"),
    ("AWS::ApiGateway::DomainName", "clients know its target"),
    ("AWS::CloudFormation::Stack", "what it holds is not shown"),
    ("AWS::CloudFront::Distribution", "its domain name is known outside"),
    ("AWS::Cognito::IdentityPool", "its identities are lost"),
    ("AWS::Cognito::UserPool", "its users are lost"),
    ("AWS::Cognito::UserPoolClient", "its client id is known to the application"),
    ("AWS::Cognito::UserPoolDomain", "its address is known to the application"),
    ("AWS::DocDB::DBCluster", "its data is lost"),
    ("AWS::DynamoDB::GlobalTable", "its data is lost"),
    ("AWS::DynamoDB::Table", "its data is lost"),
    (VPC, "what runs in it cannot move to another one"),
    ("AWS::EC2::Volume", "its data is lost"),
    ("AWS::ECR::Repository", "its images are lost"),
    ("AWS::EFS::FileSystem", "its data is lost"),
    ("AWS::Kinesis::Stream", "its records are lost"),
    ("AWS::KMS::Key", "what it encrypts cannot be read any more"),
    ("AWS::Neptune::DBCluster", "its data is lost"),
    ("AWS::OpenSearchService::Domain", "its data is lost"),
    ("AWS::RDS::DBCluster", "its data is lost"),
    ("AWS::RDS::DBInstance", "its data is lost"),
    ("AWS::Route53::HostedZone", "its name servers are known to the registrar"),
    ("AWS::S3::Bucket", "its data is lost, or its name to another account"),
    ("AWS::SecretsManager::Secret", "its value is lost"),
    ("AWS::SQS::Queue", "its messages are lost"),
];

/// Loses nothing with a whole stack, for what runs in it goes first.
const VPC: &str = "AWS::EC2::VPC";

/// Why a listener rule must not change (<https://github.com/aws/aws-cdk/issues/36649>).
const MOVED: &str = "ECS has moved its weights, and an update puts them back, perhaps to tasks that are gone";

/// Why a change loses something irretrievable; `None` if it does not.
pub fn loss(change: &ResourceChange) -> Option<&'static str> {
    // Anything else may lose something. `Dynamic`: CloudFormation does not know yet what it will do.
    let is_kept = match change.action.as_str() {
        "Add" | "Import" => true,
        "Modify" => change.replacement.as_deref() == Some("False"),
        _ => false,
    };
    why(&change.resource_type).filter(|_| !is_kept)
}

/// What is lost with a resource of this type, if it is irretrievable.
fn why(resource_type: &str) -> Option<&'static str> {
    PRECIOUS.iter().find(|(kind, _)| *kind == resource_type).map(|(_, why)| *why)
}

/// Refuses the deletion of a stack with irretrievable resources, unless they are allowed by name.
///
/// # Errors
/// One failure that names all of them.
pub fn check_deletion(stack: &str, resources: &[Resource], allowed: &[String]) -> Result<(), Failure> {
    let lost = resources.iter().filter(|resource| resource.exists() && resource.resource_type != VPC);
    let changes = lost.map(|resource| ResourceChange {
        action: "Remove".to_owned(),
        logical_id: resource.logical_id.clone(),
        resource_type: resource.resource_type.clone(),
        replacement: None,
        properties: Vec::new(),
    });
    check(stack, &changes.collect::<Vec<_>>(), &[], allowed)
}

/// The listener rules whose change would revert what AWS has moved. Where the stack has a parameter for their weights
/// (`parameters` are the stack's own), a change is made with the right ones, and reverts nothing.
pub fn moved(template: &Template, parameters: Option<&BTreeMap<String, String>>) -> Vec<String> {
    let right = template.weights.as_ref().filter(|it| parameters.is_some_and(|has| has.contains_key(&it.parameter)));
    let right = right.map(|weights| weights.rules.as_slice()).unwrap_or_default();
    let rules = template.gate.iter().flat_map(|gate| &gate.rules);
    rules.filter(|rule| !right.contains(rule)).cloned().collect()
}

/// Refuses changes that lose data or identity, or change what AWS has `moved`, unless they are allowed by name.
///
/// # Errors
/// One failure that names all of them.
pub fn check(stack: &str, changes: &[ResourceChange], moved: &[String], allowed: &[String]) -> Result<(), Failure> {
    let changes = changes.iter().filter(|change| !allowed.contains(&change.logical_id));
    let losses: Vec<(&ResourceChange, String)> = losses(changes, moved).collect();
    if losses.is_empty() {
        return Ok(());
    }
    let (flags, list): (Vec<String>, Vec<String>) =
        losses.into_iter().map(|(change, text)| (format!("--allow {}", change.logical_id), text)).unzip();
    Err(Failure::new(Exit::Failed, FailureKind::Guard, "the change would lose data or identity")
        .resource(format!("stack {stack}"))
        .reason(list.join("\n"))
        .hint(format!("if that is meant, repeat the command with {}", flags.join(" "))))
}

/// The changes that lose data or identity, or change what AWS has `moved`, each in words.
pub fn losses<'a>(
    changes: impl IntoIterator<Item = &'a ResourceChange>,
    moved: &[String],
) -> impl Iterator<Item = (&'a ResourceChange, String)> {
    let reverts =
        |change: &ResourceChange| (change.action == "Modify" && moved.contains(&change.logical_id)).then_some(MOVED);
    changes.into_iter().filter_map(move |change| {
        let why = loss(change).or_else(|| reverts(change))?;
        let what = match change.replacement.as_deref() {
            _ if change.action == "Remove" => "would be removed",
            Some("True") => "would be replaced",
            _ if why == MOVED => "would be changed",
            _ => "may be replaced",
        };
        Some((change, format!("{} ({}) {what}: {why}", change.logical_id, change.resource_type)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: &str, kind: &str, replacement: Option<&str>) -> ResourceChange {
        ResourceChange {
            action: action.to_owned(),
            logical_id: "Thing".to_owned(),
            resource_type: kind.to_owned(),
            replacement: replacement.map(str::to_owned),
            properties: Vec::new(),
        }
    }

    #[test]
    fn replacing_or_removing_data_or_identity_is_refused_unless_allowed_by_name() {
        for (action, replacement, words) in [
            ("Remove", None, "would be removed"),
            ("Modify", Some("True"), "would be replaced"),
            ("Modify", Some("Conditional"), "may be replaced"),
            ("Modify", None, "may be replaced"),
            ("A new word", None, "may be replaced"),
        ] {
            for kind in [
                "AWS::ApiGateway::RestApi",
                "AWS::Cognito::UserPool",
                "AWS::ECR::Repository",
                "AWS::RDS::DBCluster",
                "AWS::RDS::DBInstance",
                "AWS::SecretsManager::Secret",
                VPC,
            ] {
                let changes = [change(action, kind, replacement)];
                let failure = check("s", &changes, &[], &[]).unwrap_err();
                assert!(failure.reason.unwrap().contains(words));
                assert!(failure.hint.unwrap().contains("--allow Thing"));
                assert!(check("s", &changes, &[], &["Other".to_owned()]).is_err());
                assert!(check("s", &changes, &[], &["Thing".to_owned()]).is_ok());
            }
        }
    }

    #[test]
    fn reverting_a_listener_rule_is_refused_unless_allowed_by_name() {
        let rule = change("Modify", "AWS::ElasticLoadBalancingV2::ListenerRule", Some("False"));
        let moved = ["Thing".to_owned()];
        let failure = check("s", std::slice::from_ref(&rule), &moved, &[]).unwrap_err();
        assert!(failure.reason.unwrap().contains("would be changed: ECS has moved its weights"));
        assert!(check("s", std::slice::from_ref(&rule), &moved, &moved).is_ok());
        assert!(check("s", &[rule], &[], &[]).is_ok(), "another template's rules are its own");
        let new = change("Add", "AWS::ElasticLoadBalancingV2::ListenerRule", None);
        assert!(check("s", &[new], &moved, &[]).is_ok());
    }

    #[test]
    fn a_rule_whose_weights_the_stack_has_by_parameter_may_change() {
        let template = "
Metadata:
  Release:
    Proof: {Service: Service, Secret: Key, Header: X, Rules: [Rule, Other]}
    Weights: {Parameter: Live, Rules: [Rule], Values: {MAIN: One}}
Parameters: {ContainerURI: {Type: String}, Live: {Type: String, Default: MAIN}}
Resources: {Rule: {Type: AWS::ElasticLoadBalancingV2::ListenerRule}}
Outputs: {ApiGatewayURL: {Value: x}}
";
        let template = Template::read("t.yaml", template.to_owned()).unwrap();
        let has = |name: &str| BTreeMap::from([(name.to_owned(), "MAIN".to_owned())]);
        assert_eq!(moved(&template, Some(&has("Live"))), ["Other"]);
        assert_eq!(moved(&template, Some(&has("Older"))), ["Rule", "Other"]);
        assert_eq!(moved(&template, None), ["Rule", "Other"]);
    }

    #[test]
    fn deleting_a_failed_stack_with_data_is_refused_unless_allowed_by_name() {
        let resource = |kind: &str, status: &str| Resource {
            logical_id: "Table".to_owned(),
            physical_id: Some("rest-api-Table-1".to_owned()),
            resource_type: kind.to_owned(),
            status: status.to_owned(),
        };
        let table = |status: &str| resource("AWS::DynamoDB::Table", status);
        assert!(check_deletion("s", &[table("DELETE_FAILED")], &[]).is_err());
        assert!(check_deletion("s", &[table("DELETE_FAILED")], &["Table".to_owned()]).is_ok());
        assert!(check_deletion("s", &[table("DELETE_COMPLETE")], &[]).is_ok());
        assert!(check_deletion("s", &[resource(VPC, "DELETE_FAILED")], &[]).is_ok(), "nothing runs in it any more");
    }

    #[test]
    fn changes_that_lose_nothing_are_allowed() {
        for change in [
            change("Add", "AWS::Cognito::UserPool", None),
            change("Modify", "AWS::ApiGateway::RestApi", Some("False")),
            change("Remove", "AWS::EC2::Instance", None),
            change("Modify", "AWS::ECS::TaskDefinition", Some("True")),
            // Another major version of PostgreSQL has a parameter group of its own.
            change("Modify", "AWS::RDS::DBParameterGroup", Some("True")),
            change("Modify", "AWS::RDS::DBInstance", Some("False")),
        ] {
            assert!(check("s", &[change], &[], &[]).is_ok());
        }
    }
}
