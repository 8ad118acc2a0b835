//! Fakes of AWS, a Docker engine and the released service on one loopback port, with one shared state.
//!
//! They keep only the state that a release needs. What AWS and engines really do is for the tests that use real
//! ones or modelled answers.

mod aws;
pub(crate) mod database;
mod docker;
pub(crate) mod evidence;
pub(crate) mod faults;
mod iam;
mod inspection;
pub(crate) mod listener;
pub(crate) mod one_off;
pub(crate) mod proxy;
mod registry;
pub(crate) mod s3;
pub(crate) mod service;
pub(crate) mod ssm;
pub(crate) mod staged;
pub(crate) mod timeline;
pub(crate) mod timing;
mod xml;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::sandbox::Sandbox;

/// The digest that pushes land with.
pub(crate) const DIGEST: &str = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
pub(crate) const OTHER_DIGEST: &str = "sha256:e258d248fda94c63753607f7c4494ee0fcbe92f1a76bfdac795c9d84101eb317";
pub(crate) const REPOSITORY: &str = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/rest-api";

/// What becomes of a change set that is executed.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    #[default]
    Complete,
    RolledBack,
    /// It goes on for longer than any test, or until its deployment is answered.
    Never,
}

/// The state of the fakes.
#[derive(Default, Clone)]
pub(crate) struct World {
    /// Status of the one stack; empty when there is none.
    pub(crate) stack: String,
    /// Its name, where it is not rest-api-dev.
    pub(crate) name: Option<&'static str>,
    pub(crate) parameters: BTreeMap<String, String>,
    pub(crate) template: String,
    /// What happens to the stack in real time, in place of `stack`, `parameters`, `template` and `ending`.
    pub(crate) timeline: Option<timeline::Timeline>,
    /// What goes wrong on the way to AWS.
    pub(crate) faults: Vec<faults::Fault>,
    /// What an update of its service leads to, in ECS's own words.
    pub(crate) service: Option<service::Service>,
    /// What failures leave behind.
    pub(crate) evidence: evidence::Evidence,
    /// Whether the stack has no output with its URL.
    pub(crate) no_url: bool,
    /// How often a change set was executed.
    pub(crate) changes: u32,
    /// Template and parameters of the change set that waits.
    pub(crate) proposed: Option<(String, BTreeMap<String, String>)>,
    /// What the last change set was allowed to do.
    pub(crate) capabilities: Vec<String>,
    /// What executing a change set leads to.
    pub(crate) ending: Ending,
    /// The deployment that the service goes through; `None` where it has no stages.
    pub(crate) staged: Option<staged::Staged>,
    /// Digests by tag; `None` when there is no repository.
    pub(crate) repository: Option<BTreeMap<String, String>>,
    /// Whether its tags can be moved.
    pub(crate) mutable: bool,
    /// The manifest of every image, as ECR gives it; `None` is one for either processor.
    pub(crate) manifest: Option<String>,
    /// Digests of images that were pushed long ago.
    pub(crate) old_images: Vec<String>,
    /// The password in ECR's token.
    pub(crate) password: String,
    /// The processor of the image that the engine has, where it is not this machine's.
    pub(crate) architecture: Option<&'static str>,
    /// What the registry answers to a push, instead of taking it.
    pub(crate) push_refusal: Option<String>,
    /// How many pushes get the error that ECR's token has expired.
    pub(crate) expired_pushes: u32,
    /// What is attached to the image: blobs and manifests, by digest and tag.
    pub(crate) attached: BTreeMap<String, Vec<u8>>,
    /// The database of its stack; `None` without one.
    pub(crate) database: Option<database::Database>,
    /// The load balancer's rules; `None` without a load balancer.
    pub(crate) listener: Option<listener::Listener>,
    /// Objects by key in the bucket for templates; `None` without the bucket.
    pub(crate) bucket: Option<BTreeMap<String, String>>,
    /// What CloudFormation reads there in place of what was stored.
    pub(crate) swapped: Option<&'static str>,
    /// Tasks that run one command; `None` where ECS knows none.
    pub(crate) tasks: Option<one_off::Tasks>,
    /// What Systems Manager keeps.
    pub(crate) journal: ssm::Journal,
    /// Outputs of the stack besides its URL.
    pub(crate) outputs: BTreeMap<String, String>,
    /// Other stacks by name, each as the one of a world of its own; they export their outputs as `STACK-OUTPUT`.
    pub(crate) others: BTreeMap<&'static str, World>,
    /// The stacks that import an export.
    pub(crate) imports: BTreeMap<&'static str, Vec<&'static str>>,
    /// Whether the account has an identity provider for GitHub.
    pub(crate) provider: bool,
    /// The role that API Gateway logs with.
    pub(crate) logging_role: Option<&'static str>,
    /// The document of every policy.
    pub(crate) boundary: serde_json::Value,
    /// Actions that the simulator says no to.
    pub(crate) refused: Vec<&'static str>,
    /// A text, and the targets or paths of the requests that have it.
    pub(crate) marked: Option<(&'static str, Vec<String>)>,
    /// The code with which a secret's value is refused, in words that repeat it.
    pub(crate) refused_value: Option<&'static str>,
    /// An action that is denied.
    pub(crate) denied: Option<&'static str>,
    /// Resources that are not as the template says: their names and properties, each as it is.
    pub(crate) drifted: Vec<(&'static str, &'static str, &'static str)>,
    /// Why not all resources could be compared, and those that could and are as they should be.
    pub(crate) undetected: Option<(&'static str, Vec<&'static str>)>,
    /// What ECR has found in the image; `None` where it was not scanned.
    pub(crate) findings: Option<serde_json::Value>,
    /// What the service has logged; `None` when the stack names no log group.
    pub(crate) log: Option<Vec<String>>,
    /// The digest that the service says it runs; `None` answers 502.
    pub(crate) serves: Option<String>,
    /// Whether the repository has a lifecycle policy.
    pub(crate) lifecycle: bool,
    /// Whether operations take some polls.
    pub(crate) slow: bool,
    pub(crate) under_way: Option<timing::UnderWay>,
    /// The number of the request that found the last operation ended.
    pub(crate) ended_at: usize,
    /// Every request, as `METHOD path service:Action`; the first is number 1.
    pub(crate) requests: Vec<String>,
    /// The request that a test waits for.
    pub(crate) watched: Option<timing::Watched>,
    /// Every request, as `METHOD path` or `service:Action`.
    pub(crate) asked: Vec<String>,
    /// The credentials that came with pushes, decoded.
    pub(crate) logins: Vec<String>,
    /// Where the service is, behind a path as behind a gateway's stage.
    pub(crate) url: String,
}

pub(crate) struct Fakes {
    server: MockServer,
    world: Arc<Mutex<World>>,
}

impl Fakes {
    pub(crate) fn start(world: World) -> Self {
        let world = Arc::new(Mutex::new(world));
        let server = serve(Answers(Arc::clone(&world)));
        world.lock().unwrap().url = format!("{}/live", server.uri());
        Self { server, world }
    }

    /// A sandbox whose AWS and engine are these.
    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::new()
            .with("AWS_ENDPOINT_URL", &self.server.uri())
            .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .with("AWS_SECRET_ACCESS_KEY", "secret")
            .with("DOCKER_HOST", &self.server.uri().replace("http", "tcp"))
    }

    /// As [`Fakes::sandbox`], with a way to AWS that is cut at this action.
    pub(crate) fn cut(&self, action: &'static str, times: usize, done: bool) -> Sandbox {
        self.sandbox().with("AWS_ENDPOINT_URL", &faults::cutting(&self.server.uri(), action, times, done))
    }

    /// The one port.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.server.address()
    }

    /// Where the service is.
    pub(crate) fn url(&self) -> String {
        self.world().url.clone()
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

/// A server with this answer to every request.
pub(crate) fn serve(answers: impl Respond + 'static) -> MockServer {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The server runs in a thread of its own; the runtime only starts it.
    runtime.block_on(async {
        let server = MockServer::builder().start().await;
        Mock::given(any()).respond_with(answers).mount(&server).await;
        server
    })
}

impl Drop for Fakes {
    /// What AWS was asked must be in the policy that the tool prints for itself.
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let asked = self.world().asked.clone();
        let allowed = crate::policy::allowed();
        let beyond: Vec<&String> =
            asked.iter().filter(|action| !action.contains('/') && !allowed.contains(*action)).collect();
        assert!(beyond.is_empty(), "asked without being in `iam-policy`: {beyond:?}");
    }
}

struct Answers(Arc<Mutex<World>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut world = self.0.lock().unwrap();
        let answer = route(&mut world, request);
        timing::note(&mut world, request, answer)
    }
}

fn route(world: &mut World, request: &Request) -> ResponseTemplate {
    if let Some((mark, found)) = &mut world.marked {
        let whole = format!("{} {:?} {}", request.url, request.headers, String::from_utf8_lossy(&request.body));
        if whole.contains(*mark) {
            let target = request.headers.get("x-amz-target").map(|target| target.to_str().unwrap());
            found.push(target.unwrap_or(request.url.path()).to_owned());
        }
    }
    if let Some(echo) = staged::echo(world, request) {
        return echo;
    }
    match request.url.path() {
        "/" => aws::answer(world, request),
        "/account" => {
            world.asked.push("apigateway:GET".to_owned());
            ResponseTemplate::new(200).set_body_json(serde_json::json!({"cloudwatchRoleArn": world.logging_role}))
        }
        "/live/api/greeting" => service(world, r#"{"id":1,"content":"Hello, World!"}"#.to_owned()),
        "/live/version" => {
            let digest = staged::served(world, request).unwrap_or_default();
            service(world, serde_json::json!({"name": "api", "digest": digest}).to_string())
        }
        path if path.starts_with(s3::BUCKET) => s3::answer(world, request),
        path if path.starts_with("/v2/rest-api/") => registry::answer(world, request),
        path => {
            let version = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/'));
            let path = version.map_or(path.trim_start_matches('/'), |(_, path)| path);
            world.asked.push(format!("{} /{path}", request.method));
            docker::answer(world, path, request)
        }
    }
}

fn service(world: &World, body: String) -> ResponseTemplate {
    match world.serves {
        Some(_) => ResponseTemplate::new(200).set_body_raw(body, "application/json"),
        None => ResponseTemplate::new(502).set_body_string("Bad Gateway"),
    }
}
