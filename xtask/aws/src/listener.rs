//! Listener rules of a load balancer, of which ECS moves the weights.
//!
//! A rule also shows the headers that it looks for, which may be secrets: no failure has a part of the answer.

use crate::Clients;
use crate::error::unreadable_response;
use crate::signed::{Call, ELASTIC_LOAD_BALANCING, tag};
use model::outcome::Failure;

/// The target groups that get requests by a rule, by their ARNs.
///
/// # Errors
/// A refused or lost call, or an answer without weights.
pub async fn receivers(clients: &Clients, rule: &str) -> Result<Vec<String>, Failure> {
    let call = Call { service: &ELASTIC_LOAD_BALANCING, action: "elasticloadbalancing:DescribeRules", resource: rule };
    let answer = clients.signed.query(call, &[("RuleArns.member.1", rule)]).await?;
    weights(&answer)
        .map(|groups| groups.into_iter().filter(|(_, weight)| *weight > 0).map(|(group, _)| group).collect())
        .ok_or_else(|| unreadable_response(call.action, rule, "the answer has no weights".to_owned()))
}

/// The target groups of the first rule that forwards, with their weights.
fn weights(answer: &str) -> Option<Vec<(String, u32)>> {
    let groups = tag(tag(answer, "ForwardConfig")?, "TargetGroups")?;
    let pair = |member: &str| Some((tag(member, "TargetGroupArn")?.to_owned(), tag(member, "Weight")?.parse().ok()?));
    groups.split("</member>").filter(|member| member.contains("<member>")).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, SdkConfig};
    use aws_sdk_cloudformation::Client;
    use wiremock::matchers::body_string_contains;
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    /// As AWS answers, the conditions first.
    fn rule(one: &str, other: &str) -> String {
        let group = |arn: &str, weight: &str| {
            format!("<member>\n<TargetGroupArn>{arn}</TargetGroupArn>\n<Weight>{weight}</Weight>\n</member>\n")
        };
        format!(
            "<DescribeRulesResponse><DescribeRulesResult><Rules><member><Conditions><member><HttpHeaderConfig><Values>\
             <member>hush-hush</member></Values></HttpHeaderConfig></member></Conditions><Actions><member>\
             <Type>forward</Type><ForwardConfig><TargetGroups>{}{}</TargetGroups></ForwardConfig></member></Actions>\
             </member></Rules></DescribeRulesResult></DescribeRulesResponse>",
            group("arn:one", one),
            group("arn:two", other)
        )
    }

    async fn asked(answer: String) -> Result<Vec<String>, Failure> {
        let server = MockServer::start().await;
        let by_arn = Mock::given(body_string_contains("RuleArns.member.1=arn%3Arule"));
        by_arn.respond_with(ResponseTemplate::new(200).set_body_string(answer)).mount(&server).await;
        let config = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
        let clients = Clients::with_cloudformation(Client::new(&config)).with_signed_at(&server.uri());
        receivers(&clients, "arn:rule").await
    }

    #[tokio::test]
    async fn a_rule_shows_where_requests_go_and_never_its_secret() {
        assert_eq!(asked(rule("0", "100")).await.unwrap(), ["arn:two"]);
        assert_eq!(asked(rule("1", "0")).await.unwrap(), ["arn:one"]);
        assert_eq!(asked(rule("90", "10")).await.unwrap(), ["arn:one", "arn:two"]);
        let failure = asked(rule("many", "0")).await.unwrap_err();
        assert!(!format!("{failure:?}").contains("hush"), "{failure:?}");
    }
}
