//! STS and CloudFormation (query protocol, XML) and ECR (JSON), for one stack and one repository.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wiremock::{Request, ResponseTemplate};

use super::xml::{self, escape, tag, tags};
use super::{
    DIGEST, Ending, OTHER_DIGEST, REPOSITORY, World, database, evidence, faults, iam, inspection, listener, one_off,
    s3, service, ssm, staged, timeline, timing,
};

const JSON: &str = "application/x-amz-json-1.1";

/// The name of a world's stack.
fn stack_name(world: &World) -> &'static str {
    world.name.unwrap_or("rest-api-dev")
}

fn stack_id(world: &World) -> String {
    format!("arn:aws:cloudformation:eu-central-1:111122223333:stack/{}/1", stack_name(world))
}

/// The answer of AWS, or of what stands in its way.
pub(super) fn answer(world: &mut World, request: &Request) -> ResponseTemplate {
    let target = request.headers.get("x-amz-target").map(|target| target.to_str().unwrap().to_owned());
    let form = || url::form_urlencoded::parse(&request.body).find(|(name, _)| name == "Action");
    let action = match &target {
        Some(target) => target.rsplit('.').next().unwrap_or_default().to_owned(),
        None => form().map(|(_, action)| action.into_owned()).unwrap_or_default(),
    };
    match faults::meets(&mut world.faults, &action) {
        Some(fault) => {
            if fault.done {
                own_answer(world, request);
            }
            faults::answer(fault.kind, target.is_some())
        }
        None => own_answer(world, request),
    }
}

fn own_answer(world: &mut World, request: &Request) -> ResponseTemplate {
    if let Some(target) = request.headers.get("x-amz-target") {
        let action = target.to_str().unwrap().rsplit('.').next().unwrap().to_owned();
        if ["FilterLogEvents", "GetLogEvents"].contains(&action.as_str()) {
            world.asked.push(format!("logs:{action}"));
            let input = serde_json::from_slice(&request.body).unwrap();
            if let Some(tasks) = world.tasks.as_ref().filter(|_| action == "GetLogEvents") {
                return one_off::log(tasks, &input);
            }
            return evidence::logs(&world.evidence, &action, &input).unwrap_or_else(|| log(world));
        }
        if let Some(service) = staged::service(target.to_str().unwrap()) {
            world.asked.push(format!("{service}:{action}"));
            let input = serde_json::from_slice(&request.body).unwrap();
            if let Some(service_state) = world.service.as_ref().filter(|_| service == "ecs") {
                let status = world.timeline.as_ref().map(timeline::Timeline::truth).unwrap_or_default();
                return service::answer(service_state, &status, &action, &input);
            }
            if let Some(tasks) = world.tasks.as_mut().filter(|_| service == "ecs") {
                return one_off::answer(tasks, &action, &input);
            }
            return staged::answer(world, &action, &input);
        }
        if target.to_str().unwrap().starts_with("AmazonSSM") {
            world.asked.push(format!("ssm:{action}"));
            let input: Value = serde_json::from_slice(&request.body).unwrap();
            if world.denied == Some(action.as_str()) {
                let error = json!({"__type": "AccessDeniedException", "message": "not authorized to perform it"});
                return ResponseTemplate::new(400).set_body_json(error);
            }
            if let Some(code) = world.refused_value.filter(|_| input["Type"] == "SecureString") {
                let message = format!("Value {} at 'value' failed to satisfy a constraint", input["Value"]);
                return ResponseTemplate::new(400).set_body_json(json!({"__type": code, "message": message}));
            }
            return match ssm::answer(&mut world.journal, &action, &input) {
                Ok(output) => ResponseTemplate::new(200).set_body_raw(output.to_string(), JSON),
                Err(code) => ResponseTemplate::new(400).set_body_json(json!({"__type": code, "message": ""})),
            };
        }
        world.asked.push(format!("ecr:{action}"));
        return ecr(world, &action, &serde_json::from_slice(&request.body).unwrap());
    }
    let mut form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
    let action = form["Action"].clone();
    let action = action.as_str();
    let service = match action {
        "GetCallerIdentity" => "sts",
        "GetOpenIDConnectProvider" | "GetPolicy" | "GetPolicyVersion" | "GetRole" | "SimulatePrincipalPolicy" => "iam",
        "GetConsoleOutput" => "ec2",
        "DescribeRules" => "elasticloadbalancing",
        _ => database::ACTIONS.iter().find(|(known, _)| *known == action).map_or("cloudformation", |(_, of)| of),
    };
    world.asked.push(format!("{service}:{action}"));
    match s3::resolve(world, &mut form).and_then(|()| query(world, action, &form)) {
        Ok(result) => {
            let body = format!("<{action}Response><{action}Result>{result}</{action}Result></{action}Response>");
            ResponseTemplate::new(200).set_body_raw(body, "text/xml")
        }
        Err((code, message)) => {
            let error = format!("<Type>Sender</Type><Code>{code}</Code><Message>{message}</Message>");
            let body = format!("<ErrorResponse><Error>{error}</Error><RequestId>1</RequestId></ErrorResponse>");
            ResponseTemplate::new(400).set_body_raw(body, "text/xml")
        }
    }
}

fn query(
    world: &mut World,
    action: &str,
    form: &BTreeMap<String, String>,
) -> Result<String, (&'static str, &'static str)> {
    let asked = form.get("StackName").map(|name| name.split('/').nth(1).unwrap_or(name));
    if let Some(other) = asked.and_then(|name| world.others.get_mut(name)) {
        let was_at_work = other.under_way.is_some();
        let answer = query(other, action, form);
        if was_at_work && other.under_way.is_none() {
            world.ended_at = world.requests.len() + 1;
        }
        return answer;
    }
    if action == "DescribeStacks" {
        timing::poll(world);
    }
    if world.denied != Some(action)
        && let Some(answer) = timeline::query(world, action, form)
    {
        return answer;
    }
    match action {
        _ if world.denied == Some(action) => Err(("AccessDenied", "releaser is not authorized to perform it")),
        "GetOpenIDConnectProvider" if world.provider => Ok(tag("ClientIDList", &tag("member", "sts.amazonaws.com"))),
        "GetOpenIDConnectProvider" => Err(("NoSuchEntity", "there is none")),
        "GetPolicy" => Ok(tag("Policy", &tag("DefaultVersionId", "v7"))),
        "GetPolicyVersion" => Ok(tag("PolicyVersion", &tag("Document", &iam::encoded(&world.boundary)))),
        "SimulatePrincipalPolicy" => Ok(iam::simulation(world, form)),
        "GetCallerIdentity" => Ok(tags(&[
            ("Arn", "arn:aws:iam::111122223333:user/releaser"),
            ("UserId", "AIDAEXAMPLE"),
            ("Account", "111122223333"),
        ])),
        "DescribeStacks"
            if world.stack.is_empty() || (world.name.is_none() && form["StackName"].contains("production")) =>
        {
            Err(("ValidationError", "Stack with id rest-api does not exist"))
        }
        "DescribeStacks" => Ok(stack(world)),
        "GetTemplate" if form.contains_key("ChangeSetName") => match &world.proposed {
            Some((template, _)) => Ok(tag("TemplateBody", &escape(template))),
            None => Err(("ChangeSetNotFound", "there is no such change set")),
        },
        "GetTemplate" => Ok(tag("TemplateBody", &escape(&world.template))),
        "CreateChangeSet" => {
            let allowed = (1..).map_while(|number| form.get(&format!("Capabilities.member.{number}")).cloned());
            world.capabilities = allowed.collect();
            world.proposed = Some((form["TemplateBody"].clone(), parameters(form, &world.parameters)));
            Ok(tags(&[
                ("Id", "arn:aws:cloudformation:eu-central-1:111122223333:changeSet/x/1"),
                ("StackId", &stack_id(world)),
            ]))
        }
        "ListImports" => {
            let names = world.imports.get(form["ExportName"].as_str()).into_iter().flatten();
            let members: String = names.map(|name| tag("member", name)).collect();
            match members.is_empty() {
                false => Ok(tag("Imports", &members)),
                true => Err(("ValidationError", "Export is not imported by any stack.")),
            }
        }
        "ListStacks" => {
            let there = world.others.iter().filter(|(_, other)| !other.stack.is_empty());
            let members = there.map(|(name, other)| {
                tag("member", &tags(&[("StackName", name), ("StackStatus", other.stack.as_str())]))
            });
            Ok(tag("StackSummaries", &members.collect::<String>()))
        }
        "DescribeChangeSet" => Ok(change_set(world)),
        "DeleteChangeSet" => {
            world.proposed = None;
            Ok(String::new())
        }
        "ExecuteChangeSet" => {
            execute(world);
            timing::begin(world);
            Ok(String::new())
        }
        "DescribeStackEvents" => Ok(events(world)),
        "ListStackResources" => Ok(tag("StackResourceSummaries", &resources(world))),
        "DeleteStack" => {
            world.stack.clear();
            timing::begin(world);
            Ok(String::new())
        }
        "DescribeEvents" => Ok(evidence::failed(world)),
        "GetConsoleOutput" => Ok(evidence::console(world)),
        "DescribeRules" => Ok(listener::rules(world, form.get("RuleArns.member.1"))),
        _ => match database::query(world, action) {
            Some(answer) => Ok(answer),
            None => inspection::query(world, action, form),
        },
    }
}

fn execute(world: &mut World) {
    let first = world.stack.is_empty();
    let touched = listener::is_touched(world);
    // What only moves weights to where they are cannot fail.
    let same = world.proposed.as_ref().is_some_and(|(template, _)| *template == world.template);
    let ending = if touched && same { Ending::Complete } else { world.ending };
    let status = match (ending, first) {
        (Ending::Complete, true) => "CREATE_COMPLETE",
        (Ending::Complete, false) => "UPDATE_COMPLETE",
        (Ending::RolledBack, true) => "ROLLBACK_COMPLETE",
        (Ending::RolledBack, false) => "UPDATE_ROLLBACK_COMPLETE",
        (Ending::Never, true) => "CREATE_IN_PROGRESS",
        (Ending::Never, false) => "UPDATE_IN_PROGRESS",
    };
    world.stack = status.to_owned();
    world.changes += 1;
    let (template, parameters) = world.proposed.take().unwrap();
    if let (Some(staged), Some(image)) = (&mut world.staged, world.parameters.get("ContainerURI")) {
        staged.before.clone_from(image);
    }
    if first || ending != Ending::RolledBack {
        (world.template, world.parameters) = (template, parameters);
    }
    if touched {
        listener::update(world);
    }
    if ending == Ending::Complete {
        let image = ["ContainerURI", "ImageUri"].iter().find_map(|name| world.parameters.get(*name)?.split_once('@'));
        world.serves = image.map(|(_, digest)| digest.to_owned());
    }
}

fn stack(world: &World) -> String {
    let group = world.log.as_ref().map(|_| ("LogGroupName", "rest-api"));
    let others = world.outputs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let url = [("ApiGatewayURL", world.url.as_str())].into_iter().filter(|_| !world.no_url);
    let outputs: Vec<_> = url.chain(group).chain(others).collect();
    let id = stack_id(world);
    let own = (id.as_str(), stack_name(world), world.stack.as_str());
    xml::stack(own, world.changes, false, &world.parameters, &outputs, world.no_url)
}

fn resources(world: &World) -> String {
    let resource = |(logical, kind, physical)| xml::resource((logical, kind, physical, "UPDATE_COMPLETE"));
    let staged = world.staged.iter().flat_map(|_| staged::resources().map(resource));
    let databases = world.database.iter().flat_map(|_| database::resources().map(resource));
    let tasks = world.tasks.iter().flat_map(|_| one_off::resources(world)).map(resource);
    let staged = staged.chain(tasks).chain(databases);
    staged.chain(world.listener.iter().flat_map(|_| listener::resources().map(resource))).collect()
}

fn change_set(world: &World) -> String {
    let change = tags(&[
        ("Action", "Add"),
        ("LogicalResourceId", "Gateway"),
        ("ResourceType", "AWS::ApiGateway::RestApi"),
        ("Scope", ""),
    ]);
    let rule = tags(&[
        ("Action", "Modify"),
        ("LogicalResourceId", "GatewayRule"),
        ("ResourceType", "AWS::ElasticLoadBalancingV2::ListenerRule"),
        ("Replacement", "False"),
    ]);
    let same = world.proposed.as_ref().is_some_and(|(template, _)| *template == world.template);
    let changes = match listener::is_touched(world) {
        true if same => vec![rule],
        true => vec![change, rule],
        false => vec![change],
    };
    let removed = removed(world);
    let changes = if removed.is_empty() { changes } else { removed };
    let member = |change: &String| tag("member", &(tag("Type", "Resource") + &tag("ResourceChange", change)));
    let changes: String = changes.iter().map(member).collect();
    let execution = if world.proposed.is_some() { "AVAILABLE" } else { "EXECUTE_COMPLETE" };
    let status = tags(&[("StackId", &stack_id(world)), ("Status", "CREATE_COMPLETE"), ("ExecutionStatus", execution)]);
    let parameters = world.proposed.as_ref().map(|(_, parameters)| xml::parameters(parameters));
    let status = status + &parameters.unwrap_or_else(|| tag("Parameters", ""));
    status + &tag("Changes", &changes)
}

/// The resources of `bootstrap.yaml` that the waiting change set takes out of the stack.
fn removed(world: &World) -> Vec<String> {
    let Some((_, after)) = &world.proposed else { return Vec::new() };
    let resources = [
        ("CreateTemplatesBucket", "TemplatesBucket", "AWS::S3::Bucket"),
        ("CreateRepository", "Repository", "AWS::ECR::Repository"),
    ];
    let value = |of: &BTreeMap<String, String>, parameter: &str| of.get(parameter).cloned().unwrap_or_default();
    let leaves = |parameter: &str| value(&world.parameters, parameter) == "true" && value(after, parameter) == "false";
    let leaving = resources.into_iter().filter(|(parameter, ..)| leaves(parameter));
    let change =
        |(_, resource, kind)| tags(&[("Action", "Remove"), ("LogicalResourceId", resource), ("ResourceType", kind)]);
    leaving.map(change).collect()
}

/// Newest first; none before there is a stack.
fn events(world: &World) -> String {
    let (gateway, end, reason) = match world.stack.as_str() {
        "" => return tag("StackEvents", ""),
        status @ ("CREATE_COMPLETE" | "CREATE_IN_PROGRESS" | "UPDATE_COMPLETE" | "UPDATE_IN_PROGRESS") => {
            (status, status, "")
        }
        other if world.staged.is_some() => ("UPDATE_COMPLETE", other, ""),
        other => ("CREATE_FAILED", other, "the account has too many gateways"),
    };
    let event = |id: &str, logical, kind, status, reason| {
        let staged = staged::resources().into_iter().find(|(_, staged, _)| kind == *staged);
        let id_of_stack = stack_id(world);
        let own = kind == "AWS::CloudFormation::Stack";
        let physical = if own { id_of_stack.as_str() } else { staged.map_or("", |(.., arn)| arn) };
        let fields = tags(&[
            // What happens later is another event.
            ("EventId", &format!("{id}-{status}-{}", world.changes)),
            ("PhysicalResourceId", physical),
            ("StackId", &id_of_stack),
            ("StackName", stack_name(world)),
            ("LogicalResourceId", logical),
            ("ResourceType", kind),
            ("ResourceStatus", status),
            ("ResourceStatusReason", reason),
            ("Timestamp", "2026-01-02T03:04:05Z"),
        ]);
        tag("member", &fields)
    };
    let events = [
        event("2", stack_name(world), "AWS::CloudFormation::Stack", end, ""),
        event("1", "Gateway", "AWS::ApiGateway::RestApi", gateway, reason),
    ];
    let service = world.staged.as_ref().filter(|_| !end.contains("CREATE")).map(|_| match end {
        "UPDATE_ROLLBACK_COMPLETE" => event("3", "Service", "AWS::ECS::Service", "UPDATE_FAILED", "it was rolled back"),
        status => event("3", "Service", "AWS::ECS::Service", status, ""),
    });
    tag("StackEvents", &(events.concat() + &service.unwrap_or_default()))
}

/// One line a second.
fn log(world: &World) -> ResponseTemplate {
    let lines = world.log.iter().flatten().zip(0..);
    let event = |(text, second): (&String, i64)| {
        let time = 1_767_323_045_000 + second * 1000;
        json!({"logStreamName": "api/api/1", "timestamp": time, "message": text, "eventId": second.to_string()})
    };
    let events: Vec<Value> = lines.map(event).collect();
    ResponseTemplate::new(200).set_body_raw(json!({"events": events}).to_string(), JSON)
}

pub(super) fn parameters(
    form: &BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let pair = |number: usize| {
        let part = |name: &str| form.get(&format!("Parameters.member.{number}.Parameter{name}")).cloned();
        let name = part("Key")?;
        // Without a value the one before is meant.
        let value = part("Value").or_else(|| before.get(&name).cloned()).unwrap_or_default();
        Some((name, value))
    };
    (1..).map_while(pair).collect()
}

fn ecr(world: &mut World, action: &str, input: &Value) -> ResponseTemplate {
    let mutability = if world.mutable { "MUTABLE" } else { "IMMUTABLE" };
    let repository =
        json!({"repositoryName": "rest-api", "repositoryUri": REPOSITORY, "imageTagMutability": mutability});
    let body = match (action, &world.repository) {
        ("GetAuthorizationToken", _) => {
            let token = STANDARD.encode(format!("AWS:{}", world.password));
            json!({"authorizationData": [{"authorizationToken": token}]})
        }
        ("GetLifecyclePolicy", _) if !world.lifecycle => {
            let error = json!({"__type": "LifecyclePolicyNotFoundException", "message": "there is none"});
            return ResponseTemplate::new(400).set_body_json(error);
        }
        ("PutLifecyclePolicy", _) => {
            world.lifecycle = true;
            json!({})
        }
        ("DeleteRepository", _) => {
            (world.repository, world.lifecycle) = (None, false);
            json!({})
        }
        ("CreateRepository", Some(_)) => {
            let error = json!({"__type": "RepositoryAlreadyExistsException", "message": "there is one"});
            return ResponseTemplate::new(400).set_body_json(error);
        }
        ("CreateRepository", _) => {
            world.repository = Some(BTreeMap::new());
            // The image is looked up meanwhile, and always ends first.
            return ResponseTemplate::new(200)
                .set_delay(Duration::from_millis(1000))
                .set_body_raw(json!({"repository": repository}).to_string(), JSON);
        }
        ("DescribeRepositories" | "BatchGetImage", None) => {
            let error = json!({"__type": "RepositoryNotFoundException", "message": "there is none"});
            return ResponseTemplate::new(400).set_body_json(error);
        }
        ("DescribeImages", Some(_)) => {
            let image =
                |digest: &String| json!({"imageDigest": digest, "imagePushedAt": 1.0, "imageSizeInBytes": 1_000_000});
            json!({"imageDetails": world.old_images.iter().map(image).collect::<Vec<_>>()})
        }
        ("BatchDeleteImage", Some(_)) => {
            let gone = input["imageIds"].as_array().unwrap().iter().map(|id| id["imageDigest"].as_str().unwrap());
            let gone: Vec<&str> = gone.collect();
            world.old_images.retain(|digest| !gone.contains(&digest.as_str()));
            json!({})
        }
        ("PutImage", Some(tags)) => {
            let manifest: Value = serde_json::from_str(input["imageManifest"].as_str().unwrap()).unwrap_or_default();
            let digest = manifest["annotations"]["digest"].as_str().unwrap_or(DIGEST).to_owned();
            let mut tags = tags.clone();
            tags.entry(input["imageTag"].as_str().unwrap().to_owned()).or_insert(digest);
            world.repository = Some(tags);
            json!({})
        }
        ("DescribeRepositories", Some(_)) => json!({"repositories": [repository]}),
        ("BatchGetImage", Some(tags)) => json!({"images": images(tags, &world.manifest, input)}),
        ("DescribeImageScanFindings", _) => return inspection::findings(world),
        _ => json!({}),
    };
    ResponseTemplate::new(200).set_body_raw(body.to_string(), JSON)
}

/// A manifest of an image for either processor, by which a later `PutImage` knows the image.
fn index(digest: &str) -> String {
    let parts =
        ["amd64", "arm64"].map(|architecture| json!({"platform": {"os": "linux", "architecture": architecture}}));
    json!({"schemaVersion": 2, "manifests": parts, "annotations": {"digest": digest}}).to_string()
}

/// The wanted images that there are.
fn images(tags: &BTreeMap<String, String>, manifest: &Option<String>, input: &Value) -> Vec<Value> {
    let wanted = input["imageIds"].as_array().unwrap().iter();
    let image = |id: &Value| {
        let tag = id["imageTag"].as_str();
        let digest = match tag {
            Some(tag) => tags.get(tag).cloned(),
            None => [DIGEST, OTHER_DIGEST]
                .map(str::to_owned)
                .into_iter()
                .find(|digest| id["imageDigest"] == digest.as_str()),
        };
        let digest = digest?;
        let manifest = manifest.clone().unwrap_or_else(|| index(&digest));
        Some(json!({"imageId": {"imageTag": tag, "imageDigest": digest}, "imageManifest": manifest}))
    };
    wanted.filter_map(image).collect()
}
