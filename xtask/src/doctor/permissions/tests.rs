//! The simulator asked, and its answers read.

use super::*;
use crate::doctor::tests::{World, lines, refusal, says};

const USER: &str = "arn:aws:iam::111122223333:user/ann";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/deploy/GitHubActions";

/// Every action of the policy, and what the simulator says of it.
fn simulated(denied: &[&str]) -> String {
    let world = config::deployment::Deployment::parse(
        "deploy.toml",
        "[service]\nname = \"api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"one\"\ntemplate = \"t.yaml\"\n\
         execution_role = \"arn:aws:iam::111122223333:role/xtask/execution\"\n",
    );
    let world = world.unwrap();
    let environment = &world.environments["dev"];
    let questions =
        policy::policy(&world, environment, &[], policy::Level::Release).questions(environment, "111122223333");
    let result = |action: &&str| {
        let decision = if denied.contains(action) { "implicitDeny" } else { "allowed" };
        format!(
            "<member><EvalDecision>{decision}</EvalDecision><EvalResourceName>r</EvalResourceName>\
             <EvalActionName>{action}</EvalActionName></member>"
        )
    };
    questions.iter().flat_map(|question| question.actions.iter()).map(result).collect()
}

#[tokio::test]
async fn a_denied_action_is_reported_once_with_the_policy_that_allows_it() {
    let world = World::of(USER, &[("SimulatePrincipalPolicy", says(&simulated(&[])))]).await;
    let found = permissions(&world.session()).await.unwrap().unwrap();
    assert!(
        matches!(&found, CheckResult::Passed(text) if text.ends_with(" actions of a release are allowed, according to IAM's policy simulator")),
        "{found:?}"
    );
    let asked = world.asked();
    assert!(asked.iter().all(|(_, form)| form["PolicySourceArn"] == USER));
    // What a policy may want to know of every call is always said.
    let context = |form: &std::collections::BTreeMap<String, String>| {
        [form["ContextEntries.member.1.ContextKeyName"].clone(), form["ContextEntries.member.2.ContextKeyName"].clone()]
    };
    assert!(asked.iter().all(|(_, form)| context(form) == ["aws:RequestedRegion", "cloudformation:RoleArn"]));

    let answer = simulated(&["ecr:PutImage", "ssm:PutParameter"]);
    let world = World::of(USER, &[("SimulatePrincipalPolicy", says(&answer))]).await;
    let found = permissions(&world.session()).await.unwrap().unwrap();
    assert_eq!(
        lines(&[found]),
        [
            "!! the caller lacks permissions that a release needs: ecr:PutImage, ssm:PutParameter -> cargo xtask iam-policy dev \
             prints what arn:aws:iam::111122223333:user/ann needs"
        ]
    );
}

#[tokio::test]
async fn a_session_is_simulated_as_its_role_with_the_path() {
    let role = says("<Role><Arn>arn:aws:iam::111122223333:role/xtask/deploy</Arn></Role>");
    let world =
        World::of(SESSION, &[("GetRole deploy", role), ("SimulatePrincipalPolicy", says(&simulated(&[])))]).await;
    assert!(matches!(permissions(&world.session()).await, Ok(Some(CheckResult::Passed(_)))));
    let (_, form) = world.asked().pop().unwrap();
    assert_eq!(form["PolicySourceArn"], "arn:aws:iam::111122223333:role/xtask/deploy");
}

#[tokio::test]
async fn an_incomplete_response_does_not_count_as_allowed() {
    let world = World::of(USER, &[("SimulatePrincipalPolicy", says("<EvaluationResults/>"))]).await;
    let failure = permissions(&world.session()).await.unwrap_err();
    assert_eq!(failure.message, "the policy simulator's response cannot be read");
}

#[tokio::test]
async fn the_execution_role_exists_and_cloudformation_may_assume_it() {
    const ARN: &str = "arn:aws:iam::111122223333:role/xtask/execution";
    let role = |arn: &str, trusted: &str| {
        says(&format!(
            "<Role><AssumeRolePolicyDocument>%7B{trusted}%7D</AssumeRolePolicyDocument><Arn>{arn}</Arn></Role>"
        ))
    };
    let moved = "arn:aws:iam::111122223333:role/execution";
    for (answer, expected) in [
        (role(ARN, "cloudformation.amazonaws.com"), format!("ok CloudFormation may assume {ARN}")),
        (role(ARN, "ec2.amazonaws.com"), format!("!! CloudFormation may not assume {ARN}: ")),
        (
            role(moved, "cloudformation.amazonaws.com"),
            format!("!! {ARN} does not exist: the role execution is {moved}"),
        ),
        (refusal("NoSuchEntity"), format!("!! {ARN} does not exist: deploy.toml names it")),
    ] {
        let world = World::of(USER, &[("GetRole execution", answer)]).await;
        let found = execution_role(&world.session()).await.unwrap().unwrap();
        let [line] = lines(&[found]).try_into().unwrap();
        assert!(line.starts_with(&expected), "{line}");
        assert_eq!(world.asked().len(), 1);
    }
}
