//! A fake engine that keeps containers and images. A running container answers on its port.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wiremock::{MockServer, Request, Respond, ResponseTemplate};

use crate::fakes::serve;
use crate::sandbox::Sandbox;

pub(super) const OLD: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
pub(super) const NEW: &str = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
/// Its container ends as soon as it is started.
pub(super) const BAD: &str = "sha256:3333333333333333333333333333333333333333333333333333333333333333";

pub(super) struct Engine {
    server: MockServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
pub(super) struct State {
    containers: BTreeMap<String, Container>,
    created: u32,
    /// The image that `content-…` names.
    pub(super) image: &'static str,
    /// Names of images, by id.
    pub(super) tags: BTreeMap<String, Vec<String>>,
    /// It answers `/version` and nothing else.
    pub(super) hangs: bool,
    pub(super) refuse_creation: Option<&'static str>,
    refused_port: Option<(u16, &'static str)>,
    /// Calls that are left until the tool gets the signal.
    signal: Option<(usize, Signal)>,
    tool: Option<u32>,
    signalled: Option<String>,
}

struct Container {
    name: String,
    created: u32,
    labels: HashMap<String, String>,
    image: String,
    environment: Vec<String>,
    asked: u16,
    started: bool,
    service: Option<Service>,
    touched: bool,
}

/// What runs in a container: it answers every request with its digest.
struct Service {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    pub(super) fn start() -> Self {
        let state = Arc::new(Mutex::new(State { image: OLD, ..State::default() }));
        Self { server: serve(Answers(Arc::clone(&state))), state }
    }

    pub(super) fn host(&self) -> String {
        self.server.uri().replace("http", "tcp")
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Makes a context of the docker command the current one.
pub(super) fn context(sandbox: &Sandbox, name: &str, host: &str) {
    let id: String = Sha256::digest(name.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    let meta = json!({"Name": name, "Endpoints": {"docker": {"Host": host}}});
    sandbox.write(&format!("home/.docker/contexts/meta/{id}/meta.json"), &meta.to_string());
    sandbox.write("home/.docker/config.json", &json!({"currentContext": name}).to_string());
}

impl State {
    /// A container that the user has started, without labels of ours.
    pub(super) fn user_container(&mut self, name: &str) {
        self.created += 1;
        let container = Container {
            name: name.to_owned(),
            created: self.created,
            labels: HashMap::from([("xtask.service".to_owned(), "rest-api".to_owned())]),
            image: "sha256:user".to_owned(),
            environment: Vec::new(),
            asked: 0,
            started: true,
            service: None,
            touched: false,
        };
        self.containers.insert(format!("user{}", self.created), container);
    }

    pub(super) fn untouched(&self, name: &str) -> bool {
        self.containers.values().any(|container| container.name == name && is_users(container) && !container.touched)
    }

    /// Image and port of every container that the tool has started.
    pub(super) fn ours(&self) -> Vec<(String, Option<u16>)> {
        let ours = self.containers.values().filter(|container| !is_users(container));
        ours.map(|container| (container.image.clone(), container.service.as_ref().map(|service| service.port)))
            .collect()
    }

    /// Their names.
    pub(super) fn names(&self) -> Vec<String> {
        let ours = self.containers.values().filter(|container| !is_users(container));
        ours.map(|container| container.name.clone()).collect()
    }

    pub(super) fn stop_all(&mut self) {
        self.containers.values_mut().for_each(|container| container.service = None);
    }

    pub(super) fn refuse_port(&mut self, port: u16, words: &'static str) {
        self.refused_port = Some((port, words));
    }

    pub(super) fn tag(&mut self, image: &str, name: &str) {
        let tags = self.tags.entry(image.to_owned()).or_default();
        if !tags.iter().any(|tag| tag == name) {
            tags.push(name.to_owned());
        }
    }

    pub(super) fn signal_at(&mut self, call: usize, signal: Signal) {
        (self.signal, self.tool, self.signalled) = (Some((call, signal)), None, None);
    }

    pub(super) fn tool(&mut self, process: u32) {
        self.tool = Some(process);
    }

    /// The call at which the tool got the signal.
    pub(super) fn signalled(&mut self) -> Option<String> {
        self.signal = None;
        self.signalled.take()
    }

    fn container(&mut self, key: &str) -> Option<(String, &mut Container)> {
        let mut found = self.containers.iter_mut();
        found.find(|(id, container)| *id == key || container.name == key).map(|(id, container)| (id.clone(), container))
    }
}

fn is_users(container: &Container) -> bool {
    !container.labels.contains_key("xtask.local")
}

struct Answers(Arc<Mutex<State>>);

impl Respond for Answers {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let path = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/')).map_or(path, |(_, path)| path);
        let path = path.trim_start_matches('/');
        if path == "version" {
            return ok(&json!({"Version": "29.0.0", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}));
        }
        let mut state = loop {
            let state = self.0.lock().unwrap();
            // The test passes the process right after its start.
            if state.signal.is_none() || state.tool.is_some() {
                break state;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(1));
        };
        if state.hangs {
            return ResponseTemplate::new(200).set_delay(Duration::from_secs(3600));
        }
        let answer = answer(&mut state, path, request);
        if let Some((left, signal)) = state.signal.as_mut() {
            *left -= 1;
            if *left == 0 {
                let (signal, process) = (*signal, state.tool.unwrap());
                state.signal = None;
                state.signalled = Some(format!("{} /{path}", request.method));
                kill_process(Pid::from_raw(process.try_into().unwrap()).unwrap(), signal).unwrap();
                // It is gone before it could read the answer.
                std::thread::sleep(Duration::from_millis(30));
            }
        }
        answer
    }
}

fn answer(state: &mut State, path: &str, request: &Request) -> ResponseTemplate {
    let query: HashMap<String, String> = request.url.query_pairs().into_owned().collect();
    let parts: Vec<&str> = path.split('/').collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["info"]) => ok(&json!({"DockerRootDir": "/nonexistent/docker"})),
        ("GET", ["containers", "json"]) => list(state, &query),
        ("POST", ["containers", "create"]) => create(state, &query["name"], &request.body_json().unwrap()),
        ("GET", ["containers", key, "json"]) => match state.container(key) {
            Some((id, container)) => ok(&inspected(&id, container)),
            None => no_such(key),
        },
        ("GET", ["containers", _, "logs"]) => ResponseTemplate::new(200),
        ("POST", ["containers", key, "start"]) => start(state, key),
        ("POST", ["containers", key, "stop"]) => change(state, key, |container| container.service = None),
        ("POST", ["containers", key, "rename"]) => match state.container(&query["name"]) {
            Some(_) => conflict(&query["name"]),
            None => change(state, key, |container| container.name.clone_from(&query["name"])),
        },
        ("DELETE", ["containers", key]) => match state.container(key) {
            Some((id, container)) => {
                container.touched = true;
                state.containers.remove(&id);
                ResponseTemplate::new(204)
            }
            None => no_such(key),
        },
        ("GET", ["images", "json"]) => {
            let images = state.tags.iter().map(|(id, tags)| json!({"Id": id, "RepoTags": tags, "ParentId": "", "RepoDigests": [], "Created": 0, "Size": 1, "SharedSize": -1, "Labels": {}, "Containers": -1}));
            ok(&images.collect())
        }
        ("GET", ["images", name, "json"]) => {
            let image = state.image;
            state.tag(image, name);
            let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
            ok(
                &json!({"Id": image, "Os": "linux", "Architecture": architecture, "Size": 2_000_000, "RepoTags": state.tags[image]}),
            )
        }
        ("POST", ["images", _, "tag"]) => {
            let image = state.image;
            state.tag(image, &format!("{}:{}", query["repo"], query["tag"]));
            ResponseTemplate::new(201)
        }
        ("DELETE", ["images", name]) => {
            state.tags.values_mut().for_each(|tags| tags.retain(|tag| tag != name));
            state.tags.retain(|_, tags| !tags.is_empty());
            ok(&json!([]))
        }
        (method, _) => refuse(500, &format!("the test's engine has no {method} {path}")),
    }
}

fn list(state: &State, query: &HashMap<String, String>) -> ResponseTemplate {
    let filters: Value = serde_json::from_str(&query["filters"]).unwrap();
    let matches = |container: &Container| match (filters["label"][0].as_str(), filters["ancestor"][0].as_str()) {
        (Some(label), _) => {
            let (name, value) = label.split_once('=').unwrap();
            container.labels.get(name).is_some_and(|own| own == value)
        }
        (None, ancestor) => ancestor == Some(container.image.as_str()),
    };
    let found = state.containers.iter().filter(|(_, container)| matches(container));
    ok(&found
        .map(|(id, container)| json!({"Id": id, "Names": [format!("/{}", container.name)], "Labels": container.labels}))
        .collect())
}

fn create(state: &mut State, name: &str, body: &Value) -> ResponseTemplate {
    if let Some(words) = state.refuse_creation {
        return refuse(500, words);
    }
    if state.container(name).is_some() {
        return conflict(name);
    }
    state.created += 1;
    let ports = body["HostConfig"]["PortBindings"].as_object().unwrap();
    let asked = ports.values().next().unwrap()[0]["HostPort"].as_str().unwrap().parse().unwrap();
    let container = Container {
        name: name.to_owned(),
        created: state.created,
        labels: serde_json::from_value(body["Labels"].clone()).unwrap(),
        image: body["Image"].as_str().unwrap().to_owned(),
        environment: serde_json::from_value(body["Env"].clone()).unwrap(),
        asked,
        started: false,
        service: None,
        touched: false,
    };
    let id = format!("id{}", state.created);
    state.containers.insert(id.clone(), container);
    ResponseTemplate::new(201).set_body_json(json!({"Id": id, "Warnings": []}))
}

fn start(state: &mut State, key: &str) -> ResponseTemplate {
    let refused = state.refused_port;
    let Some((_, container)) = state.container(key) else { return no_such(key) };
    container.touched = true;
    if container.service.is_some() {
        return ResponseTemplate::new(304);
    }
    if let Some((port, words)) = refused
        && container.asked == port
    {
        return refuse(500, words);
    }
    container.started = true;
    if container.image == BAD {
        return ResponseTemplate::new(204);
    }
    match Service::start(container.asked, &container.environment) {
        Ok(service) => {
            container.service = Some(service);
            ResponseTemplate::new(204)
        }
        Err(_) => refuse(500, &format!("Bind for 127.0.0.1:{} failed: port is already allocated", container.asked)),
    }
}

fn change(state: &mut State, key: &str, change: impl FnOnce(&mut Container)) -> ResponseTemplate {
    match state.container(key) {
        Some((_, container)) => {
            container.touched = true;
            change(container);
            ResponseTemplate::new(204)
        }
        None => no_such(key),
    }
}

fn inspected(id: &str, container: &Container) -> Value {
    let status = match (&container.service, container.started) {
        (Some(_), _) => "running",
        (None, true) => "exited",
        (None, false) => "created",
    };
    let binding = |port: u16| json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": port.to_string()}]});
    json!({
        "Id": id,
        "Name": format!("/{}", container.name),
        "Created": format!("2026-01-01T00:00:{:02}Z", container.created),
        "Image": container.image,
        "State": {"Status": status, "Running": container.service.is_some(), "Paused": false, "ExitCode": 0},
        "Config": {"Env": container.environment, "Labels": container.labels},
        "HostConfig": {"PortBindings": binding(container.asked)},
        "NetworkSettings": {"Ports": container.service.as_ref().map(|service| binding(service.port))},
    })
}

impl Service {
    fn start(port: u16, environment: &[String]) -> std::io::Result<Self> {
        let listener = bind(port)?;
        let port = listener.local_addr()?.port();
        let digest = environment.iter().find_map(|pair| pair.strip_prefix("IMAGE_DIGEST=")).unwrap_or_default();
        let body = json!({"name": "api", "digest": digest, "content": "Hello, World!"}).to_string();
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                for client in listener.incoming().flatten() {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    respond(client, &answer);
                }
            }
        });
        Ok(Self { port, stop, thread: Some(thread) })
    }
}

/// A listener that was let go of is held a moment longer by a process that another test is starting.
fn bind(port: u16) -> std::io::Result<TcpListener> {
    let begun = Instant::now();
    loop {
        match TcpListener::bind(("127.0.0.1", port)) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && begun.elapsed() < Duration::from_secs(1) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            bound => return bound,
        }
    }
}

fn respond(client: TcpStream, answer: &str) {
    drop(client.set_read_timeout(Some(Duration::from_secs(1))));
    let mut lines = BufReader::new(&client).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    drop((&client).write_all(answer.as_bytes()));
}

impl Drop for Service {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn ok(body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(body)
}

fn refuse(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"message": message}))
}

fn no_such(name: &str) -> ResponseTemplate {
    refuse(404, &format!("No such container: {name}"))
}

fn conflict(name: &str) -> ResponseTemplate {
    refuse(409, &format!("Conflict. The container name \"/{name}\" is already in use"))
}
