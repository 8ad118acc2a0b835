//! A fake AWS that answers as configured and records its requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use config::deployment::Deployment;
use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use super::*;
use crate::session::Session;
use ::machine::interrupt::Interrupt;
use aws::{Clients, Identity};
use local::ui::Ui;

const SETTINGS: &str = "[service]\nname = \"api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \"one\"\n\
    template = \"t.yaml\"\nexecution_role = \"arn:aws:iam::111122223333:role/xtask/execution\"\n";

/// Answers by action; without one, access is denied.
type Answers = BTreeMap<&'static str, (u16, String)>;

/// The requested actions in order, each with its form.
type Asked = Vec<(String, BTreeMap<String, String>)>;

/// A test's AWS account.
pub(super) struct World {
    server: MockServer,
    context: Context,
    ui: Ui,
    clients: Clients,
    identity: Identity,
    asked: Arc<Mutex<Asked>>,
}

struct Account {
    answers: Answers,
    asked: Arc<Mutex<Asked>>,
}

impl Respond for Account {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let target = request.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
        let action = match target {
            Some(target) => target.rsplit('.').next().unwrap().to_owned(),
            None => form.get("Action").cloned().unwrap_or_else(|| request.url.path().to_owned()),
        };
        self.asked.lock().unwrap().push((action.clone(), form));
        // `GetRole NAME` takes precedence over `GetRole`, as does the code of a quota.
        let input: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let of = input["QuotaCode"].as_str().map(str::to_owned);
        let of = of.or_else(|| self.asked.lock().unwrap().last().unwrap().1.get("RoleName").cloned());
        let exact = of.map(|of| format!("{action} {of}"));
        let answer = exact.as_deref().and_then(|exact| self.answers.get(exact)).or_else(|| self.answers.get(&*action));
        match answer {
            Some((status, body)) => ResponseTemplate::new(*status).set_body_string(body),
            None => ResponseTemplate::new(403)
                .set_body_string("<Error><Code>AccessDenied</Code><Message>not for you</Message></Error>"),
        }
    }
}

pub(super) fn refusal(code: &str) -> (u16, String) {
    (400, format!("<Error><Code>{code}</Code><Message>no</Message></Error>"))
}

pub(super) fn says(body: &str) -> (u16, String) {
    (200, body.to_owned())
}

impl World {
    pub(super) async fn of(arn: &str, answers: &[(&'static str, (u16, String))]) -> Self {
        let (server, asked) = (MockServer::start().await, Arc::default());
        let account = Account { answers: answers.iter().cloned().collect(), asked: Arc::clone(&asked) };
        Mock::given(any()).respond_with(account).mount(&server).await;
        let deployment = Deployment::parse("deploy.toml", SETTINGS).unwrap();
        let context = Context::without_repository(deployment, Interrupt::never());
        let cloudformation = aws_sdk_cloudformation::Client::from_conf(
            aws_sdk_cloudformation::Config::builder().behavior_version_latest().build(),
        );
        let clients = Clients::with_cloudformation(cloudformation).with_signed_at(&server.uri());
        Self { server, context, ui: Ui::silent(), clients, identity: Identity::of("111122223333", arn), asked }
    }

    pub(super) fn session(&self) -> Session<'_> {
        let environment = &self.context.deployment.environments["dev"];
        let (clients, identity) = (self.clients.clone(), self.identity.clone());
        Session { context: &self.context, environment, clients, identity, ui: &self.ui }
    }

    /// The requested actions, which must all be reads.
    pub(super) fn asked(&self) -> Asked {
        let asked = self.asked.lock().unwrap().clone();
        for (action, _) in &asked {
            let reads = ["Get", "Describe", "Simulate", "/account"].iter().any(|start| action.starts_with(start));
            assert!(reads, "{action} at {} is not a read", self.server.uri());
        }
        asked
    }
}

/// The resources of a template for a stack that does not exist.
pub(super) fn planned(body: &str, given: &[(&str, &str)]) -> PlannedResources {
    let given = given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    PlannedResources::of(body, &given, "eu-central-1", BTreeSet::new()).unwrap()
}

/// Mark, detail and hint of each result on one line.
pub(super) fn lines(found: &[CheckResult]) -> Vec<String> {
    let line = |found: &CheckResult| {
        let check = found.to_check("check");
        let mark = if !check.ok {
            "!!"
        } else if check.note {
            "??"
        } else {
            "ok"
        };
        let hint = check.hint.map(|hint| format!(" -> {hint}")).unwrap_or_default();
        format!("{mark} {}{hint}", check.detail)
    };
    found.iter().map(line).collect()
}

const USER: &str = "arn:aws:iam::111122223333:user/ann";
const CLUSTER: &str = "Resources: {Cluster: {Type: AWS::ECS::Cluster}, Link: {Type: AWS::ApiGatewayV2::VpcLink}}";

#[tokio::test]
async fn a_missing_service_role_is_reported_with_its_command() {
    let role = says("<Role><Arn>arn</Arn></Role>");
    let world = World::of(USER, &[("GetRole", role)]).await;
    let found = account::service_roles(&world.session(), &planned(CLUSTER, &[])).await.unwrap();
    assert_eq!(lines(&found), ["ok all 2 that the template needs exist"]);
    assert_eq!(world.asked().len(), 2);

    let world = World::of(USER, &[("GetRole", refusal("NoSuchEntity"))]).await;
    let found = account::service_roles(&world.session(), &planned(CLUSTER, &[])).await.unwrap();
    assert_eq!(
        lines(&found),
        [
            "!! the role AWSServiceRoleForECS does not exist: the service creates it on first use, and that first use may fail \
             -> aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com",
            "?? AWSServiceRoleForAPIGateway does not exist; CloudFormation creates it if permitted (iam:CreateServiceLinkedRole) -> aws iam create-service-linked-role --aws-service-name \
             ops.apigateway.amazonaws.com",
        ]
    );
}

#[tokio::test]
async fn a_check_without_permission_is_reported_and_hides_nothing() {
    let world = World::of(USER, &[]).await;
    let session = world.session();
    let session = &session;
    let planned = planned(CLUSTER, &[]);
    let (roles, permissions) = tokio::join!(
        several("service roles", account::service_roles(session, &planned)),
        one("permissions", permissions::permissions(session)),
    );
    let found: Vec<CheckResult> = roles.into_iter().chain(permissions).map(|(_, found)| found).collect();
    assert_eq!(
        lines(&found),
        [
            "?? could not be checked: iam:GetRole failed: AccessDenied: not for you -> allow iam:GetRole for this role \
             or user",
            "?? could not be checked: iam:SimulatePrincipalPolicy failed: AccessDenied: not for you -> allow \
             iam:SimulatePrincipalPolicy for this role or user",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_does_not_end_is_abandoned() {
    let found = one("quotas", std::future::pending()).await;
    let found: Vec<CheckResult> = found.into_iter().map(|(_, found)| found).collect();
    assert_eq!(lines(&found), ["?? could not be checked: no response within 30 s"]);
}

#[tokio::test]
async fn a_stage_with_logs_needs_the_accounts_role() {
    const STAGE: &str =
        "Resources: {Stage: {Type: AWS::ApiGateway::Stage, Properties: {AccessLogSetting: {Format: x}}}}";
    let none = says(&json!({"throttleSettings": {}}).to_string());
    let world = World::of(USER, &[("/account", none)]).await;
    let found = account::gateway_logs(&world.session(), &planned(STAGE, &[])).await.unwrap();
    assert_eq!(
        lines(&found.into_iter().collect::<Vec<_>>()),
        [
            "!! API Gateway has no role for writing logs: the template's stage writes logs, and the account has no such role in eu-central-1 -> cargo xtask bootstrap dev --api-gateway-logs"
        ]
    );
    let set = says(&json!({"cloudwatchRoleArn": "arn:aws:iam::111122223333:role/logs"}).to_string());
    let world = World::of(USER, &[("/account", set)]).await;
    let found = account::gateway_logs(&world.session(), &planned(STAGE, &[])).await.unwrap();
    assert!(matches!(found, Some(CheckResult::Passed(_))));
    let found = account::gateway_logs(&world.session(), &planned("Resources: {}", &[])).await.unwrap();
    assert!(found.is_none() && world.asked().len() == 1);
}
