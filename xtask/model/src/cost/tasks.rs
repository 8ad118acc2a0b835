//! What the tasks of an ECS service cost on Fargate.

use std::collections::BTreeMap;

use serde_json::Value;

use super::prices::{self, Prices};
use super::{is, number, referenced};
use crate::template::evaluate::TemplateResource;

/// The parts of a service's price; none where its tasks run on machines that are counted themselves.
///
/// # Errors
/// Why the price cannot be told.
pub(super) fn service(
    properties: &Value,
    all: &BTreeMap<String, TemplateResource>,
    prices: &Prices,
) -> Result<Vec<(f64, String)>, String> {
    let Some(spot) = spot(properties) else { return Ok(Vec::new()) };
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
    let mut what = format!("{tasks} × Fargate {vcpu} vCPU {memory} GB {processor}");
    if spot > 0.0 {
        what.push_str(&format!(", {:.0} % of them on Spot", spot * 100.0));
    }
    let paid = 1.0 - spot + spot * prices::SPOT;
    let mut parts = vec![(prices.task(vcpu, memory, arm) * paid * tasks, what)];
    if is(&properties["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"], "ENABLED") {
        parts.push((prices::ADDRESS * tasks, format!("{tasks} public IPv4 addresses")));
    }
    Ok(parts)
}

/// The share of tasks on spare capacity; `None` where they do not run on Fargate.
fn spot(properties: &Value) -> Option<f64> {
    let strategy = properties["CapacityProviderStrategy"].as_array().map_or(&[][..], Vec::as_slice);
    let weight = |name: &str| -> f64 {
        let of_name = strategy.iter().filter(|item| is(&item["CapacityProvider"], name));
        // Where none is given a weight counts 0, but a provider that is alone takes all.
        let alone = if strategy.len() == 1 { 1.0 } else { 0.0 };
        of_name.map(|item| number(&item["Weight"]).unwrap_or(alone)).sum()
    };
    let (on_demand, spare) = (weight("FARGATE"), weight("FARGATE_SPOT"));
    if on_demand + spare > 0.0 {
        Some(spare / (on_demand + spare))
    } else {
        is(&properties["LaunchType"], "FARGATE").then_some(0.0)
    }
}

/// With auto scaling a template leaves the number out; the least there may be is what it surely costs.
fn scaled(all: &BTreeMap<String, TemplateResource>) -> Option<f64> {
    let targets = all.values().filter(|resource| resource.kind == "AWS::ApplicationAutoScaling::ScalableTarget");
    let mut of_ecs = targets.filter(|target| is(&target.properties["ServiceNamespace"], "ecs"));
    of_ecs.find_map(|target| number(&target.properties["MinCapacity"]))
}
