//! What the template says of load balancer and tasks, as the emulator's CloudFormation has understood it.

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::client::{self, call};
use crate::ministack::Ministack;
use crate::rehearsal::text;

/// The numbers by which a target group and its tasks live.
#[derive(Debug)]
pub(crate) struct Numbers {
    pub(crate) health_path: String,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) healthy: u32,
    pub(crate) unhealthy: u32,
    pub(crate) deregistration: Duration,
    /// How long the load balancer keeps an idle connection.
    pub(crate) idle: Duration,
    pub(crate) stop_timeout: Duration,
    pub(crate) drain: Duration,
    pub(crate) port: u16,
    pub(crate) user: String,
    /// The container's environment, without the digest.
    pub(crate) environment: Vec<(String, String)>,
}

impl Numbers {
    pub(crate) fn of(emulator: &Ministack, release: &Value) -> Result<Self> {
        let endpoint = format!("http://{}", emulator.authority());
        let (cluster, service) = (text(release, "/outputs/ClusterName")?, text(release, "/outputs/ServiceName")?);
        let ask = |action: &str, body: Value| {
            call(&endpoint, "ecs", &format!("AmazonEC2ContainerServiceV20141113.{action}"), &body)
        };
        let service = ask("DescribeServices", json!({"cluster": cluster, "services": [service]}))?;
        let group = text(&service, "/services/0/loadBalancers/0/targetGroupArn")?;
        let definition = text(&service, "/services/0/taskDefinition")?;
        let definition = ask("DescribeTaskDefinition", json!({"taskDefinition": definition}))?;
        let container = definition.pointer("/taskDefinition/containerDefinitions/0").context("no container")?;

        let balance = |fields: &[(&str, &str)]| -> Result<String> {
            let fields = [fields, &[("Version", "2015-12-01")]].concat();
            Ok(client::form(&endpoint, "elasticloadbalancing", &fields)?.body)
        };
        let groups = balance(&[("Action", "DescribeTargetGroups"), ("TargetGroupArns.member.1", &group)])?;
        let attributes = balance(&[("Action", "DescribeTargetGroupAttributes"), ("TargetGroupArn", &group)])?;
        let name = text(release, "/outputs/LoadBalancerName")?;
        let balancers = balance(&[("Action", "DescribeLoadBalancers"), ("Names.member.1", &name)])?;
        let balancer = element(&balancers, "LoadBalancerArn")?;
        let balancer = balance(&[("Action", "DescribeLoadBalancerAttributes"), ("LoadBalancerArn", &balancer)])?;
        let number = |name: &str| -> Result<u64> { Ok(element(&groups, name)?.parse()?) };

        let pairs = container["environment"].as_array().context("no environment")?;
        let environment: Vec<(String, String)> = pairs
            .iter()
            .filter_map(|pair| Some((pair["name"].as_str()?.to_owned(), pair["value"].as_str()?.to_owned())))
            .filter(|(name, _)| name != "IMAGE_DIGEST")
            .collect();
        let drain = environment.iter().find(|(name, _)| name == "API_DRAIN_SECONDS").context("no drain")?;
        let seconds = Duration::from_secs;
        Ok(Self {
            health_path: element(&groups, "HealthCheckPath")?,
            interval: seconds(number("HealthCheckIntervalSeconds")?),
            timeout: seconds(number("HealthCheckTimeoutSeconds")?),
            healthy: u32::try_from(number("HealthyThresholdCount")?)?,
            unhealthy: u32::try_from(number("UnhealthyThresholdCount")?)?,
            deregistration: attribute(&attributes, "deregistration_delay.timeout_seconds")?,
            idle: attribute(&balancer, "idle_timeout.timeout_seconds")?,
            stop_timeout: seconds(whole(&container["stopTimeout"])?),
            drain: seconds(drain.1.parse()?),
            port: u16::try_from(whole(&container["portMappings"][0]["containerPort"])?)?,
            user: container["user"].as_str().context("no user")?.to_owned(),
            environment,
        })
    }
}

/// A number that the emulator keeps as a number or as text.
fn whole(value: &Value) -> Result<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok()).with_context(|| format!("{value} is no number"))
}

/// What stands in the first element of this name.
fn element(xml: &str, name: &str) -> Result<String> {
    let text = xml.split_once(&format!("<{name}>")).and_then(|(_, rest)| rest.split_once(&format!("</{name}>")));
    Ok(text.with_context(|| format!("no {name} in {xml}"))?.0.to_owned())
}

/// The value that follows a key.
fn attribute(xml: &str, key: &str) -> Result<Duration> {
    let (_, rest) = xml.split_once(&format!("<Key>{key}</Key>")).with_context(|| format!("no {key} in {xml}"))?;
    Ok(Duration::from_secs(element(rest, "Value")?.parse()?))
}
