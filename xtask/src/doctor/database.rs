//! The databases that an environment needs: whether each one is available, and whether the service's tasks reach it.
//!
//! Where both exist, their networks and security groups at AWS are compared, otherwise those of their templates.

use std::collections::BTreeSet;

use futures_util::future::{join_all, try_join_all};
use serde_json::Value;

use super::template::PlannedResources;
use super::{CheckResult, not_checked};
use crate::engine::observe::{Observed, base};
use crate::session::Session;
use aws::ecs::{self, Network, Service};
use aws::signed::{Call, EC2, RDS, tag};
use aws::stack;
use config::deployment::Environment;
use model::outcome::{Exit, Failure, FailureKind};
use model::parameters as plan;
use model::stack::Resource;
use model::template::evaluate::Pseudo;

const INSTANCE: &str = "AWS::RDS::DBInstance";
const CLUSTER: &str = "AWS::RDS::DBCluster";
const SERVICE: &str = "AWS::ECS::Service";

/// States in which a database takes connections, and states that end by themselves
/// (<https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/accessing-monitoring.html>).
const USABLE: [&str; 5] =
    ["available", "backing-up", "modifying", "resetting-master-credentials", "storage-optimization"];
const PASSING: [&str; 7] = ["creating", "maintenance", "rebooting", "renaming", "starting", "stopping", "upgrading"];

/// An instance as RDS describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Database {
    id: String,
    status: String,
    port: u16,
    vpc: String,
    groups: Vec<String>,
}

/// Where the tasks of the service run.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tasks {
    groups: Vec<String>,
    vpcs: BTreeSet<String>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    group: String,
    is_egress: bool,
    protocol: String,
    ports: (i32, i32),
    /// The group that it is about; `None` for a range of addresses.
    other: Option<String>,
}

/// A need whose template has a database, and what that template results in.
struct Need<'a> {
    environment: &'a Environment,
    planned: PlannedResources,
}

/// Checks every database that the environment needs.
///
/// # Errors
/// A call about the service fails. One about a database is reported with that database.
pub(super) async fn databases(
    session: &Session<'_>,
    planned: &PlannedResources,
    seen: Option<&Observed>,
) -> Result<Vec<CheckResult>, Failure> {
    let needs = needs(session);
    // An emulator's databases have no network.
    if needs.is_empty() || session.is_emulator() {
        return Ok(Vec::new());
    }
    let tasks = tasks(session, seen).await?;
    let tasks = tasks.as_ref();
    let checks = needs.iter().map(|need| async move {
        let found = check_need(session, need, planned, tasks).await;
        found.unwrap_or_else(|failure| vec![CheckResult::unknown(&failure)])
    });
    Ok(join_all(checks).await.concat())
}

/// Not the needs of its needs: what stands before a service reaches no database itself.
fn needs<'a>(session: &Session<'a>) -> Vec<Need<'a>> {
    let environments = &session.context.deployment.environments;
    let read = |name: &String| {
        let environment = environments.get(name)?;
        let template = session.context.other_template(environment).ok()?;
        let value = |name: &String| Some((name.clone(), plan::value(environment, &template, None, name)?));
        let given = template.parameters.keys().filter_map(value).collect();
        let (region, stack) = (&environment.region, &environment.stack);
        let known = Pseudo { region, account: Some(&session.identity.account), stack: Some(stack) };
        let planned = PlannedResources::of(&template.body, &given, known, BTreeSet::new())?;
        let has = |kind| planned.all(kind).next().is_some();
        (has(INSTANCE) || has(CLUSTER)).then_some(Need { environment, planned })
    };
    session.environment.needs.iter().filter_map(read).collect()
}

async fn check_need(
    session: &Session<'_>,
    need: &Need<'_>,
    planned: &PlannedResources,
    tasks: Option<&Tasks>,
) -> Result<Vec<CheckResult>, Failure> {
    let theirs = Session::open(session.context, need.environment, session.ui).await?;
    let databases = instances(&theirs).await?;
    let states = databases.iter().filter_map(|database| state(database, &need.environment.region));
    let mut found: Vec<CheckResult> = states.collect();
    match tasks {
        Some(tasks) if !databases.is_empty() => {
            let groups: BTreeSet<&String> =
                databases.iter().flat_map(|database| &database.groups).chain(&tasks.groups).collect();
            let rules = rules(&theirs, &groups).await?;
            found.extend(databases.iter().map(|database| reaches(database, tasks, &rules)));
        }
        _ => found.push(will_reach(&need.environment.name, &need.planned, planned)),
    }
    Ok(found)
}

/// The tasks of the environment's service; `None` before there is one.
async fn tasks(session: &Session<'_>, seen: Option<&Observed>) -> Result<Option<Tasks>, Failure> {
    let Some(stack) = seen.and_then(Observed::settled) else { return Ok(None) };
    let services = existing(session, &stack.id, SERVICE).await?;
    let Some(service) = services.iter().find_map(|arn| Service::of_arn(arn)) else { return Ok(None) };
    let Some(network) = ecs::network(&session.clients.ecs, &service).await? else { return Ok(None) };
    let Network { security_groups: groups, subnets } = network;
    let numbered = subnets.iter().zip(1..).map(|(id, number)| (format!("SubnetId.{number}"), id.as_str()));
    let answer = ec2(session, "ec2:DescribeSubnets", &service.name, numbered.collect()).await?;
    Ok(Some(Tasks { groups, vpcs: texts(&answer, "vpcId").collect() }))
}

/// The database instances of a need's stack; none before there is one.
async fn instances(session: &Session<'_>) -> Result<Vec<Database>, Failure> {
    let found = stack::describe(&session.clients.cloudformation, &session.environment.stack).await;
    let found = found.map_err(|error| Failure::of(&error))?;
    let Some(stack) = base(found.as_ref()) else { return Ok(Vec::new()) };
    let ids = existing(session, &stack.id, INSTANCE).await?;
    let each = ids.iter().map(|id| async move {
        let call = Call { service: &RDS, action: "rds:DescribeDBInstances", resource: id };
        let answer = session.clients.signed.query(call, &[("DBInstanceIdentifier", id)]).await?;
        database(id, &answer).ok_or_else(|| unreadable(id))
    });
    try_join_all(each).await
}

/// The physical ids of a stack's resources of this type.
async fn existing(session: &Session<'_>, stack: &str, kind: &str) -> Result<Vec<String>, Failure> {
    let resources = stack::resources(&session.clients.cloudformation, stack).await;
    let resources = resources.map_err(|error| Failure::of(&error))?.into_iter().filter(Resource::exists);
    Ok(resources
        .filter(|resource| resource.resource_type == kind)
        .filter_map(|resource| resource.physical_id)
        .collect())
}

async fn rules(session: &Session<'_>, groups: &BTreeSet<&String>) -> Result<Vec<Rule>, Failure> {
    let values = groups.iter().zip(1..).map(|(id, number)| (format!("Filter.1.Value.{number}"), id.as_str()));
    let fields = [("Filter.1.Name".to_owned(), "group-id")].into_iter().chain(values).collect();
    let answer = ec2(session, "ec2:DescribeSecurityGroupRules", "the security groups", fields).await?;
    // Tags are items too.
    let rest = |part: &str| part.split_once("</tagSet>").map_or_else(String::new, |(_, rest)| rest.to_owned());
    let mut parts = answer.split("<tagSet>");
    let first = parts.next().unwrap_or_default().to_owned();
    let answer = first + &parts.map(rest).collect::<String>();
    Ok(answer.split("<item>").skip(1).filter_map(rule).collect())
}

async fn ec2(
    session: &Session<'_>,
    action: &str,
    resource: &str,
    fields: Vec<(String, &str)>,
) -> Result<String, Failure> {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    session.clients.signed.query(Call { service: &EC2, action, resource }, &fields).await
}

fn unreadable(id: &str) -> Failure {
    Failure::new(Exit::Failed, FailureKind::Aws, "RDS's description of a database cannot be read").resource(id)
}

fn database(id: &str, answer: &str) -> Option<Database> {
    let port = tag(answer, "Endpoint").and_then(|endpoint| tag(endpoint, "Port")?.parse().ok());
    Some(Database {
        id: id.to_owned(),
        status: tag(answer, "DBInstanceStatus")?.to_owned(),
        // It has no endpoint before it is created.
        port: port.unwrap_or(5432),
        vpc: tag(answer, "VpcId")?.to_owned(),
        groups: texts(answer, "VpcSecurityGroupId").collect(),
    })
}

/// A rule; `None` for one that lets nothing anywhere: a group without any rule for its way out would let out everything.
fn rule(item: &str) -> Option<Rule> {
    if tag(item, "cidrIpv4").is_some_and(|range| range.starts_with("127.")) {
        return None;
    }
    let referenced = tag(item, "referencedGroupInfo").unwrap_or_default();
    let own = item.replace(referenced, "");
    let port = |name: &str| tag(&own, name).and_then(|port| port.parse().ok()).unwrap_or(-1);
    Some(Rule {
        group: tag(&own, "groupId")?.to_owned(),
        is_egress: tag(&own, "isEgress")? == "true",
        protocol: tag(&own, "ipProtocol")?.to_owned(),
        ports: (port("fromPort"), port("toPort")),
        other: tag(referenced, "groupId").map(str::to_owned),
    })
}

/// The texts of all elements with this name.
fn texts(answer: &str, name: &str) -> impl Iterator<Item = String> {
    let start = format!("<{name}>");
    let parts: Vec<String> =
        answer.split(&start).skip(1).filter_map(|rest| Some(rest.split('<').next()?.to_owned())).collect();
    parts.into_iter()
}

impl Rule {
    /// Whether it is about connections to this port.
    fn covers(&self, port: u16) -> bool {
        let (from, to) = self.ports;
        self.protocol == "-1" || (self.protocol == "tcp" && (from..=to).contains(&i32::from(port)))
    }
}

/// What is to be said of a database that is not available.
fn state(database: &Database, region: &str) -> Option<CheckResult> {
    let Database { id, status, .. } = database;
    if USABLE.contains(&status.as_str()) || status.starts_with("configuring-") {
        return None;
    }
    if PASSING.contains(&status.as_str()) {
        return Some(CheckResult::Note(
            format!("{id} is {status}; until that has ended it takes no connections"),
            None,
        ));
    }
    let hint = if status == "stopped" {
        format!("aws rds start-db-instance --region {region} --db-instance-identifier {id}")
    } else {
        format!("aws rds describe-events --region {region} --source-type db-instance --source-identifier {id}")
    };
    Some(CheckResult::problem(format!("{id} is {status}"), "it takes no connections", hint))
}

/// Whether the security groups and the network of both let the tasks connect.
fn reaches(database: &Database, tasks: &Tasks, rules: &[Rule]) -> CheckResult {
    let Database { id, port, vpc, groups, .. } = database;
    if tasks.vpcs.iter().any(|other| other != vpc) {
        let other = tasks.vpcs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let message = format!("{id} and the service's tasks are in different networks");
        return CheckResult::problem(message, format!("{vpc}, and {other}"), SAME_NETWORK);
    }
    let of = |groups: &[String], is_egress: bool| {
        let own = rules.iter().filter(move |rule| rule.is_egress == is_egress && rule.covers(*port));
        own.filter(|rule| groups.contains(&rule.group)).collect::<Vec<_>>()
    };
    let ingress = of(groups, false);
    let lets_in = ingress.iter().any(|rule| rule.other.as_ref().is_some_and(|other| tasks.groups.contains(other)));
    if !lets_in {
        if ingress.iter().any(|rule| rule.other.is_none()) {
            let detail = format!("could not be checked: {id} lets in ranges of addresses on port {port}");
            return CheckResult::Note(detail, None);
        }
        let sources: Vec<&str> = ingress.iter().filter_map(|rule| rule.other.as_deref()).collect();
        let sources = if sources.is_empty() { "nobody".to_owned() } else { sources.join(", ") };
        let reason = format!("port {port} is open to {sources}; the tasks are in {}", tasks.groups.join(", "));
        return CheckResult::problem(format!("{id} does not let in the service's tasks"), reason, SAME_NETWORK);
    }
    // To addresses, among which the database's are, or to its group.
    let goes_there = |rule: &&Rule| rule.other.as_ref().is_none_or(|other| groups.contains(other));
    if !of(&tasks.groups, true).iter().any(goes_there) {
        let reason =
            format!("none of their security groups, {}, lets them out to port {port}", tasks.groups.join(", "));
        let hint = "allow it in SecurityGroupEgress of the service's template";
        return CheckResult::problem(format!("the service's tasks do not reach {id}"), reason, hint);
    }
    CheckResult::Passed(format!("{id} is {}, and lets in the service's tasks on port {port}", database.status))
}

const SAME_NETWORK: &str =
    "NetworkStack, or VpcId and ClientSecurityGroupId, must be the same for both environments in deploy.toml";

/// Whether what the templates result in will let the tasks connect: the database names a group that they join.
fn will_reach(need: &str, theirs: &PlannedResources, own: &PlannedResources) -> CheckResult {
    let unknown = |why: &str| {
        let failure = Failure::new(Exit::Failed, FailureKind::Aws, format!("{need}: {why}"));
        CheckResult::Note(not_checked(&failure), None)
    };
    let lists =
        own.all(SERVICE).map(|service| &service["NetworkConfiguration"]["AwsvpcConfiguration"]["SecurityGroups"]);
    let joined: Vec<&Value> = lists.filter_map(Value::as_array).flatten().collect();
    if joined.is_empty() {
        return unknown("which security groups the service is in is not in its template");
    }
    let Some(sources) = sources(theirs) else { return unknown("whom it lets in is only known at AWS") };
    let joined: BTreeSet<String> = joined.into_iter().filter_map(name).collect();
    match sources.intersection(&joined).next() {
        Some(group) => CheckResult::Passed(format!("{need} will let in the service's tasks, by {group}")),
        None => {
            let list = |names: &BTreeSet<String>| match names.is_empty() {
                true => "no group that others know".to_owned(),
                false => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            };
            let reason = format!("it lets in {}; the tasks will be in {}", list(&sources), list(&joined));
            CheckResult::problem(format!("{need} would not let in the service's tasks"), reason, SAME_NETWORK)
        }
    }
}

/// The groups that the databases of a template let in; `None` if one of them is only known at AWS.
fn sources(planned: &PlannedResources) -> Option<BTreeSet<String>> {
    let instances = planned.all(INSTANCE).map(|instance| &instance["VPCSecurityGroups"]);
    let groups = instances.chain(planned.all(CLUSTER).map(|cluster| &cluster["VpcSecurityGroupIds"]));
    let mut sources = BTreeSet::new();
    for group in groups.filter_map(Value::as_array).flatten() {
        for rule in planned.referred(group)?["SecurityGroupIngress"].as_array()? {
            sources.insert(name(&rule["SourceSecurityGroupId"])?);
        }
    }
    Some(sources)
}

/// What a group is called in both templates: its identifier, or the export that has it.
fn name(group: &Value) -> Option<String> {
    match group {
        // An output of another environment that is not known yet.
        Value::String(id) if id.contains('{') => None,
        Value::String(id) => Some(id.clone()),
        other => Some(other["Fn::ImportValue"].as_str()?.to_owned()),
    }
}

#[cfg(test)]
mod tests;
