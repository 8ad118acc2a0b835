//! What an ECS service costs: its tasks on Fargate. Tasks on instances cost nothing beside their instances.

use serde_json::Value;

use super::known::{known_list, known_number, known_text, target};
use super::prices::{self, Prices};
use crate::template::evaluate::Resources;
use crate::template::fargate::TaskSize;
use crate::template::value::{function, text};

/// GiB of a task's disk that its price includes.
const DISK: f64 = 20.0;
const STRATEGY: &str = "DefaultCapacityProviderStrategy";

/// The parts of a service's price; none if its tasks run on instances.
///
/// # Errors
/// Why the price is not known.
pub(super) fn service(
    id: &str,
    properties: &Value,
    all: &Resources,
    prices: &Prices,
) -> Result<Vec<(f64, String)>, String> {
    if !known_list(&properties["VolumeConfigurations"], "whether its tasks have volumes")?.is_empty() {
        return Err("no price for the volumes of its tasks".to_owned());
    }
    let definition = target(&properties["TaskDefinition"]).and_then(|id| all.get(id));
    let definition = definition.map(|resource| &resource.properties);
    let Some(providers) = providers(properties, definition, all)? else { return Ok(Vec::new()) };
    let definition = definition.ok_or("its task definition is not in the template")?;
    let platform = &definition["RuntimePlatform"];
    if known_text(&platform["OperatingSystemFamily"], "its operating system")?
        .is_some_and(|family| family.starts_with("WINDOWS"))
    {
        return Err("no price for Windows tasks".to_owned());
    }
    if known_number(&definition["EphemeralStorage"]["SizeInGiB"], "its disk")?.is_some_and(|size| size > DISK) {
        return Err(format!("no price for a disk of more than {DISK} GiB"));
    }
    let TaskSize { cpu, memory } = TaskSize::read(definition).ok_or("the size of its tasks is not in the template")?;
    let (vcpu, memory) = (cpu / 1024.0, memory / 1024.0);
    let tasks = number_of_tasks(id, properties, all)?;
    let spot = spot_share(&providers, tasks);
    let architecture = known_text(&platform["CpuArchitecture"], "its processor architecture")?;
    let arm = architecture.as_deref() == Some("ARM64");
    let processor = if arm { "arm64" } else { "x86_64" };
    let mut what = format!("{tasks} × Fargate {vcpu} vCPU {memory} GB {processor}");
    if spot > 0.0 {
        what.push_str(&format!(", {:.0} % of them on Spot", spot * 100.0));
    }
    let paid = 1.0 - spot + spot * prices::SPOT;
    let mut parts = vec![(prices.task(vcpu, memory, arm) * paid * tasks, what)];
    let network = &properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"];
    if known_text(network, "whether its tasks have public addresses")?.as_deref() == Some("ENABLED") {
        parts.push((prices::ADDRESS * tasks, format!("{tasks} public IPv4 addresses")));
    }
    Ok(parts)
}

/// A capacity provider of Fargate in a strategy.
struct Provider {
    is_spot: bool,
    /// How many tasks it gets first.
    base: f64,
    /// Its share of the others.
    weight: f64,
}

/// The providers of a service's tasks; `None` if they run on instances.
fn providers(properties: &Value, definition: Option<&Value>, all: &Resources) -> Result<Option<Vec<Provider>>, String> {
    if is_given(&properties["CapacityProviderStrategy"]) {
        return strategy(&properties["CapacityProviderStrategy"], all);
    }
    if known_text(&properties["DeploymentController"]["Type"], "its deployment controller")?.as_deref()
        == Some("EXTERNAL")
    {
        return Err("its tasks are those of task sets".to_owned());
    }
    match known_text(&properties["LaunchType"], "its launch type")?.as_deref() {
        Some("FARGATE") => Ok(Some(vec![Provider { is_spot: false, base: 0.0, weight: 1.0 }])),
        Some("EC2" | "EXTERNAL") => Ok(None),
        Some(other) => Err(format!("no price for tasks of launch type {other}")),
        None if definition.is_some_and(needs_instances) => Ok(None),
        None => of_cluster(&properties["Cluster"], all),
    }
}

/// Fargate demands the network mode awsvpc and a size of the task.
fn needs_instances(definition: &Value) -> bool {
    ["NetworkMode", "Cpu", "Memory"].iter().any(|name| definition[*name].is_null())
}

/// The default strategy of a service's cluster. Without one, ECS takes instances.
fn of_cluster(cluster: &Value, all: &Resources) -> Result<Option<Vec<Provider>>, String> {
    let found = target(cluster).and_then(|id| all.get_key_value(id));
    let Some((id, cluster)) = found else {
        return Err("the default capacity providers of its cluster are not in the template".to_owned());
    };
    let mut associations = all.values().filter(|one| one.kind == "AWS::ECS::ClusterCapacityProviderAssociations");
    let associated = associations.find(|one| target(&one.properties["Cluster"]) == Some(id.as_str()));
    let default = &associated.unwrap_or(cluster).properties[STRATEGY];
    if is_given(default) { strategy(default, all) } else { Ok(None) }
}

fn is_given(strategy: &Value) -> bool {
    !strategy.is_null() && strategy.as_array().is_none_or(|items| !items.is_empty())
}

/// The providers of a strategy that get tasks; `None` if they are instances.
fn strategy(strategy: &Value, all: &Resources) -> Result<Option<Vec<Provider>>, String> {
    let unknown = "which capacity providers it uses is only known at AWS";
    let items = strategy.as_array().ok_or(unknown)?;
    let (mut fargate, mut has_others) = (Vec::new(), false);
    for item in items {
        let name = &item["CapacityProvider"];
        let own = target(name).and_then(|id| all.get(id)).is_some_and(|one| one.kind == "AWS::ECS::CapacityProvider");
        if function(item).is_some() || (text(name).is_none() && !own) {
            return Err(unknown.to_owned());
        }
        // The default weight is 0, but a single provider gets all tasks.
        let alone = if items.len() == 1 { 1.0 } else { 0.0 };
        let part = |name: &str| known_number(&item[name], "the weight of its capacity providers");
        let (weight, base) = (part("Weight")?.unwrap_or(alone), part("Base")?.unwrap_or(0.0));
        match text(name).as_deref() {
            _ if weight + base <= 0.0 => {}
            Some("FARGATE") => fargate.push(Provider { is_spot: false, base, weight }),
            Some("FARGATE_SPOT") => fargate.push(Provider { is_spot: true, base, weight }),
            _ => has_others = true,
        }
    }
    match (fargate.is_empty(), has_others) {
        (false, false) => Ok(Some(fargate)),
        (true, true) => Ok(None),
        (false, true) => Err("its tasks are divided between Fargate and instances".to_owned()),
        (true, false) => Err("no capacity provider of it has a weight".to_owned()),
    }
}

/// The share of tasks on Spot.
fn spot_share(providers: &[Provider], tasks: f64) -> f64 {
    let (mut left, mut on_spot) = (tasks, 0.0);
    for provider in providers {
        let first = provider.base.min(left);
        left -= first;
        on_spot += if provider.is_spot { first } else { 0.0 };
    }
    let sum = |spot: bool| providers.iter().filter(|one| one.is_spot || !spot).map(|one| one.weight).sum::<f64>();
    let weight = if sum(false) > 0.0 { sum(true) / sum(false) } else { 0.0 };
    if tasks > 0.0 { (on_spot + left * weight) / tasks } else { weight }
}

/// How many tasks a service begins with: its own number, and no fewer than auto scaling keeps.
fn number_of_tasks(id: &str, properties: &Value, all: &Resources) -> Result<f64, String> {
    let own = known_number(&properties["DesiredCount"], "the number of its tasks")?;
    let mut targets = all.values().filter(|one| one.kind == "AWS::ApplicationAutoScaling::ScalableTarget");
    let scaled = match targets.find(|one| scales(&one.properties, id, properties)) {
        Some(found) => known_number(&found.properties["MinCapacity"], "the least number of its tasks")?,
        None => None,
    };
    Ok(match (own, scaled) {
        (Some(own), Some(scaled)) => own.max(scaled),
        (own, scaled) => own.or(scaled).unwrap_or(1.0),
    })
}

/// Whether a scalable target names this service: `service/CLUSTER/SERVICE`.
fn scales(properties: &Value, id: &str, service: &Value) -> bool {
    if text(&properties["ServiceNamespace"]).as_deref() != Some("ecs") {
        return false;
    }
    let name = text(&service["ServiceName"]);
    let ends_with_name = |path: &str| name.as_ref().is_some_and(|name| path.ends_with(&format!("/{name}")));
    match &properties["ResourceId"] {
        Value::String(path) => ends_with_name(path),
        joined => {
            let pieces = joined["Fn::Join"][1].as_array().map_or(&[][..], Vec::as_slice);
            let last = pieces.last();
            last.and_then(target) == Some(id) || last.and_then(Value::as_str).is_some_and(ends_with_name)
        }
    }
}
