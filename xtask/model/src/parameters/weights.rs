//! The parameter that has the weights of the listener rules which AWS shifts during a deployment.
//!
//! It stays as it is: an update then changes no rule, neither forward nor when it is rolled back, and the weights remain as
//! AWS has left them. Only an update that changes a rule for another reason needs the weights that the rule has by then.

use std::collections::BTreeMap;

use super::Value;
use crate::template::Template;

/// Keeps the parameter with the weights as the stack has it, whatever was recorded or set. `current` are the stack's
/// parameters, `None` for a stack that does not exist yet.
pub fn keep_weights(
    template: &Template,
    current: Option<&BTreeMap<String, String>>,
    values: &mut BTreeMap<String, Value>,
) {
    let Some(weights) = &template.weights else { return };
    values.remove(&weights.parameter);
    if current.is_some_and(|current| current.contains_key(&weights.parameter)) {
        values.insert(weights.parameter.clone(), Value::Previous);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Metadata: {Release: {Weights: {Parameter: Live, Rules: [Rule], Values: {MAIN: One, OTHER: Two}}}}
Parameters:
  ContainerURI: {Type: String}
  Live: {Type: String, Default: MAIN}
Resources: {Rule: {Type: AWS::ElasticLoadBalancingV2::ListenerRule}}
Outputs: {ApiGatewayURL: {Value: x}}
";

    #[test]
    fn the_weights_stay_as_the_stack_has_them_also_on_the_way_back_to_a_recorded_release() {
        let template = Template::read("t", TEMPLATE.to_owned()).unwrap();
        let sent = |current: Option<&[(&str, &str)]>| {
            let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            let current: Option<BTreeMap<_, _>> = current.map(|current| current.iter().map(owned).collect());
            let mut values = [("Live".to_owned(), Value::Is("MAIN".to_owned()))].into();
            keep_weights(&template, current.as_ref(), &mut values);
            values.remove("Live")
        };
        assert_eq!(sent(Some(&[("Live", "OTHER")])), Some(Value::Previous));
        assert_eq!(sent(Some(&[])), None, "an older template has none");
        assert_eq!(sent(None), None, "a new stack has the default");
    }
}
