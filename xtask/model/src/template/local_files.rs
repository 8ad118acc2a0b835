//! Local files that a template names. `sam package` and `aws cloudformation package` upload them and write their addresses
//! into another template; CloudFormation itself reads S3 only.

use serde_json::Value;

use super::document::Document;
use super::value::entries;

/// The properties that `package` uploads, by type
/// (<https://docs.aws.amazon.com/cli/latest/reference/cloudformation/package.html>).
const UPLOADED: [(&str, &[&str]); 19] = [
    ("AWS::ApiGateway::RestApi", &["BodyS3Location"]),
    ("AWS::AppSync::FunctionConfiguration", RESOLVER),
    ("AWS::AppSync::GraphQLSchema", &["DefinitionS3Location"]),
    ("AWS::AppSync::Resolver", RESOLVER),
    ("AWS::CloudFormation::ModuleVersion", &["ModulePackage"]),
    ("AWS::CloudFormation::ResourceVersion", &["SchemaHandlerPackage"]),
    ("AWS::CloudFormation::Stack", &["TemplateURL"]),
    ("AWS::CloudFormation::StackSet", &["TemplateURL"]),
    ("AWS::ElasticBeanstalk::ApplicationVersion", &["SourceBundle"]),
    ("AWS::Glue::Job", &["Command.ScriptLocation"]),
    ("AWS::Lambda::Function", &["Code"]),
    ("AWS::Lambda::LayerVersion", &["Content"]),
    ("AWS::Serverless::Api", &["DefinitionUri"]),
    ("AWS::Serverless::Application", &["Location"]),
    ("AWS::Serverless::Function", &["CodeUri"]),
    ("AWS::Serverless::GraphQLApi", &["CodeUri", "SchemaUri"]),
    ("AWS::Serverless::HttpApi", &["DefinitionUri"]),
    ("AWS::Serverless::LayerVersion", &["ContentUri"]),
    ("AWS::Serverless::StateMachine", &["DefinitionUri"]),
];
const RESOLVER: &[&str] = &["RequestMappingTemplateS3Location", "ResponseMappingTemplateS3Location", "CodeS3Location"];

/// A local file, and the path of the property that names it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LocalFile {
    pub(super) path: Vec<String>,
    pub(super) file: String,
}

/// All local files. None if a macro of the user's own may replace their names.
pub(super) fn find(document: &Document) -> Vec<LocalFile> {
    if document.expansion.has_own_macros() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (id, resource) in entries(&document.root["Resources"]) {
        let kind = resource["Type"].as_str().unwrap_or_default();
        let uploaded = UPLOADED.iter().filter(|(known, _)| *known == kind).flat_map(|(_, properties)| *properties);
        for property in uploaded {
            let steps: Vec<&str> =
                ["Resources", id.as_str(), "Properties"].into_iter().chain(property.split('.')).collect();
            let value = steps.iter().fold(&document.root, |value, step| &value[*step]);
            note(&steps, value, &mut found);
        }
    }
    included(&mut Vec::new(), &document.root, &mut found);
    found.sort();
    found
}

/// The files of `AWS::Include`.
fn included(path: &mut Vec<String>, value: &Value, found: &mut Vec<LocalFile>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(number, item)| (number.to_string(), item)).collect(),
        _ => return,
    };
    for (step, child) in children {
        path.push(step);
        if child["Name"].as_str() == Some("AWS::Include") {
            let location = ["Parameters", "Location"];
            let steps: Vec<&str> = path.iter().map(String::as_str).chain(location).collect();
            note(&steps, &child["Parameters"]["Location"], found);
        }
        included(path, child, found);
        path.pop();
    }
}

/// Notes a value that is the name of a file. What a function makes of it is not judged.
fn note(path: &[&str], value: &Value, found: &mut Vec<LocalFile>) {
    let remote = ["s3://", "https://", "http://", "{{resolve:", "arn:"];
    let Some(file) = value.as_str().filter(|file| !remote.iter().any(|begin| file.starts_with(begin))) else { return };
    found.push(LocalFile { path: path.iter().map(|step| (*step).to_owned()).collect(), file: file.to_owned() });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(body: &str) -> Vec<String> {
        let files = find(&Document::read(body).unwrap());
        files.into_iter().map(|file| format!("{} {}", file.path.join("."), file.file)).collect()
    }

    #[test]
    fn files_of_this_machine_are_found() {
        let body = "
Transform: AWS::Serverless-2016-10-31
Resources:
  Job: {Type: AWS::Serverless::Function, Properties: {CodeUri: src/}}
  Plain: {Type: AWS::Lambda::Function, Properties: {Code: build/plain.zip}}
  Nested: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: ../net.yaml}}
  Etl: {Type: AWS::Glue::Job, Properties: {Command: {ScriptLocation: ./etl.py}}}
  Rest:
    Type: AWS::Serverless::Api
    Properties: {DefinitionBody: {'Fn::Transform': {Name: AWS::Include, Parameters: {Location: api.yaml}}}}
";
        let expected = [
            "Resources.Etl.Properties.Command.ScriptLocation ./etl.py",
            "Resources.Job.Properties.CodeUri src/",
            "Resources.Nested.Properties.TemplateURL ../net.yaml",
            "Resources.Plain.Properties.Code build/plain.zip",
            "Resources.Rest.Properties.DefinitionBody.Fn::Transform.Parameters.Location api.yaml",
        ];
        assert_eq!(found(body), expected);
    }

    #[test]
    fn addresses_functions_and_the_users_own_macros_are_left_alone() {
        let body = "
Resources:
  Job: {Type: AWS::Serverless::Function, Properties: {CodeUri: s3://bucket/key}}
  Plain: {Type: AWS::Lambda::Function, Properties: {Code: {ZipFile: 'x'}}}
  Nested: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: https://example.com/net.yaml}}
  Given: {Type: AWS::CloudFormation::Stack, Properties: {TemplateURL: !Ref Address}}
  Other: {Type: AWS::S3::Bucket, Properties: {CodeUri: src/}}
";
        assert!(found(body).is_empty());
        let own = "Transform: Mine\nResources: {Job: {Type: AWS::Lambda::Function, Properties: {Code: x.zip}}}\n";
        assert!(found(own).is_empty());
    }
}
