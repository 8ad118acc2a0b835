//! A load balancer's rules, whose weights ECS moves, and which CloudFormation puts back to what the template says.

use super::World;
use super::xml::{escape, tag, tags};

const ONE: &str = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/one/1";
const TWO: &str = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:targetgroup/two/1";
const RULE: &str = "arn:aws:elasticloadbalancing:eu-central-1:111122223333:listener-rule/app/lb/1/1/1";
/// What the rule looks for.
pub(crate) const SECRET: &str = "k8Jw-marker-of-the-origins-secret";
const PARAMETER: &str = "LiveTargetGroup";

/// The two rules, which always have the same weights.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) weights: (u32, u32),
    /// The weights after each update that changed the rules.
    pub(crate) updates: Vec<(u32, u32)>,
}

impl Listener {
    pub(crate) fn of(weights: (u32, u32)) -> Self {
        Self { weights, updates: Vec::new() }
    }
}

pub(super) fn resources() -> [(&'static str, &'static str, &'static str); 3] {
    [
        ("GatewayRule", "AWS::ElasticLoadBalancingV2::ListenerRule", RULE),
        ("TargetGroup", "AWS::ElasticLoadBalancingV2::TargetGroup", ONE),
        ("AlternateTargetGroup", "AWS::ElasticLoadBalancingV2::TargetGroup", TWO),
    ]
}

pub(super) fn rules(world: &World, rule: Option<&String>) -> String {
    assert_eq!(rule.map(String::as_str), Some(RULE), "one rule is asked for");
    let (one, two) = world.listener.as_ref().expect("the test has a listener").weights;
    let group =
        |(arn, weight): (&str, u32)| tag("member", &tags(&[("TargetGroupArn", arn), ("Weight", &weight.to_string())]));
    let groups = tag("TargetGroups", &[(ONE, one), (TWO, two)].map(group).concat());
    let action = tags(&[("Type", "forward")]) + &tag("ForwardConfig", &groups);
    let secret = tag("HttpHeaderConfig", &tag("Values", &tag("member", &escape(SECRET))));
    let rule = tag("Conditions", &tag("member", &secret)) + &tag("Actions", &tag("member", &action));
    tag("Rules", &tag("member", &rule))
}

/// Whether a change set changes the rules: by their text, or by the parameter in it.
pub(super) fn is_touched(world: &World) -> bool {
    world.listener.is_some()
        && world.proposed.as_ref().is_some_and(|(template, parameters)| {
            *template != world.template || parameters.get(PARAMETER) != world.parameters.get(PARAMETER)
        })
}

/// Updates the rules to what `world` has by now, where they were touched.
pub(super) fn update(world: &mut World) {
    let alternate = world.parameters.get(PARAMETER).is_some_and(|value| value == "ALTERNATE");
    let Some(listener) = &mut world.listener else { return };
    listener.weights = if alternate { (0, 1) } else { (1, 0) };
    listener.updates.push(listener.weights);
}
