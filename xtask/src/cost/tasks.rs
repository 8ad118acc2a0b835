//! What the tasks of an ECS service cost on Fargate.

use std::collections::BTreeMap;

use serde_json::Value;

use super::charges::{is, number, referenced};
use super::evaluate::Resource;
use super::prices::{self, Prices};

/// The parts of a service's price; none where its tasks run on machines that are counted themselves.
///
/// # Errors
/// Why the price cannot be told.
pub(super) fn service(
    properties: &Value,
    all: &BTreeMap<String, Resource>,
    prices: &Prices,
) -> Result<Vec<(f64, String)>, String> {
    let providers = properties["CapacityProviderStrategy"].as_array().into_iter().flatten();
    let providers: Vec<&Value> = providers.map(|strategy| &strategy["CapacityProvider"]).collect();
    if providers.iter().any(|provider| is(provider, "FARGATE_SPOT")) {
        return Err("Fargate Spot has no list price".to_owned());
    }
    if !is(&properties["LaunchType"], "FARGATE") && !providers.iter().any(|provider| is(provider, "FARGATE")) {
        return Ok(Vec::new());
    }
    let definition =
        referenced(&properties["TaskDefinition"], all).ok_or("its task definition is not in the template")?;
    let definition = &definition.properties;
    let platform = &definition["RuntimePlatform"];
    if platform["OperatingSystemFamily"].as_str().is_some_and(|family| family.starts_with("WINDOWS")) {
        return Err("no price for Windows tasks".to_owned());
    }
    let size = |name: &str| number(&definition[name]).map(|units| units / 1024.0);
    let (vcpu, memory) = size("Cpu").zip(size("Memory")).ok_or("the size of its tasks is not in the template")?;
    let tasks = number(&properties["DesiredCount"]).or_else(|| scaled(all)).unwrap_or(1.0);
    let arm = is(&platform["CpuArchitecture"], "ARM64");
    let processor = if arm { "arm64" } else { "x86_64" };
    let what = format!("{tasks} × Fargate {vcpu} vCPU {memory} GB {processor}");
    let mut parts = vec![(prices.task(vcpu, memory, arm) * tasks, what)];
    if is(&properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"], "ENABLED") {
        parts.push((prices::ADDRESS * tasks, format!("{tasks} public IPv4 addresses")));
    }
    Ok(parts)
}

/// With auto scaling a template leaves the number out; the least there may be is what it surely costs.
fn scaled(all: &BTreeMap<String, Resource>) -> Option<f64> {
    let targets = all.values().filter(|resource| resource.kind == "AWS::ApplicationAutoScaling::ScalableTarget");
    let mut of_ecs = targets.filter(|target| is(&target.properties["ServiceNamespace"], "ecs"));
    of_ecs.find_map(|target| number(&target.properties["MinCapacity"]))
}
