//! The part of a Docker engine that runs containers. All of them answer at the one address of the fakes.

use serde_json::{Value, json};
use url::Url;
use wiremock::{Request, ResponseTemplate};

use super::World;

#[derive(Clone)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    /// As it was asked for.
    pub(crate) body: Value,
    pub(crate) running: bool,
}

impl Container {
    pub(crate) fn image(&self) -> &str {
        self.body["Image"].as_str().unwrap()
    }

    /// Whether it wants this very port.
    fn bindings(&self) -> Vec<String> {
        let bindings = self.body["HostConfig"]["PortBindings"].as_object().into_iter().flatten();
        let ports = bindings.filter_map(|(_, list)| list[0]["HostPort"].as_str());
        ports.filter(|port| !matches!(*port, "" | "0")).map(str::to_owned).collect()
    }
}

pub(super) fn answer(world: &mut World, parts: &[&str], request: &Request) -> ResponseTemplate {
    let query =
        |wanted: &str| request.url.query_pairs().find(|(key, _)| key == wanted).map(|(_, value)| value.into_owned());
    let done = || ResponseTemplate::new(204);
    if let ["json"] = parts {
        let filters: Value = query("filters").map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        let listed: Vec<Value> = world.containers.iter().filter(|one| fits(one, &filters)).map(listed).collect();
        return ResponseTemplate::new(200).set_body_json(listed);
    }
    if let ["create"] = parts {
        let name = query("name").unwrap();
        if world.containers.iter().any(|one| one.name == name) {
            return refused(409, "Conflict. The container name is already in use");
        }
        world.created += 1;
        let (id, body) = (format!("{:064x}", world.created), serde_json::from_slice(&request.body).unwrap());
        world.containers.push(Container { id: id.clone(), name, body, running: false });
        return ResponseTemplate::new(201).set_body_json(json!({"Id": id, "Warnings": []}));
    }
    let (which, what) = (parts[0], parts.get(1).copied().unwrap_or_default());
    let Some(at) = world.containers.iter().position(|one| one.id == which || one.name == which) else {
        return refused(404, "No such container");
    };
    let answer = match what {
        "json" => ResponseTemplate::new(200).set_body_json(inspected(&world.containers[at], &world.url)),
        "logs" => ResponseTemplate::new(200),
        "start" => {
            let wanted = world.containers[at].bindings();
            let taken = world
                .containers
                .iter()
                .any(|other| other.running && other.bindings().iter().any(|port| wanted.contains(port)));
            if taken && !world.containers[at].running {
                return refused(500, "driver failed programming external connectivity: port is already allocated");
            }
            world.containers[at].running = true;
            done()
        }
        "stop" | "kill" => {
            world.containers[at].running = false;
            done()
        }
        "rename" => {
            let name = query("name").unwrap();
            if world.containers.iter().any(|one| one.name == name) {
                return refused(409, "Conflict. The container name is already in use");
            }
            world.containers[at].name = name;
            done()
        }
        "" if request.method.as_str() == "DELETE" => {
            world.containers.remove(at);
            done()
        }
        other => return refused(500, &format!("the test's engine has no {other} of a container")),
    };
    // The newest answers.
    let serving = world.containers.iter().rev().find(|one| one.running);
    world.serves = serving.map(|one| one.image().to_owned());
    answer
}

fn fits(container: &Container, filters: &Value) -> bool {
    let wanted = filters["label"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let labels = &container.body["Labels"];
    wanted.into_iter().all(|label| match label.split_once('=') {
        Some((key, value)) => labels[key] == value,
        None => labels.get(label).is_some(),
    })
}

fn state(container: &Container) -> &'static str {
    if container.running { "running" } else { "exited" }
}

fn listed(container: &Container) -> Value {
    json!({
        "Id": container.id, "Names": [format!("/{}", container.name)], "Image": container.image(),
        "ImageID": container.image(), "Labels": container.body["Labels"], "State": state(container)
    })
}

fn inspected(container: &Container, url: &str) -> Value {
    let port = url.parse::<Url>().unwrap().port().unwrap().to_string();
    let exposed =
        container.body["HostConfig"]["PortBindings"].as_object().into_iter().flatten().filter(|_| container.running);
    let ports: Value = exposed
        .map(|(inside, _)| (inside.clone(), json!([{"HostIp": "127.0.0.1", "HostPort": port}])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({
        "Id": container.id, "Name": format!("/{}", container.name), "Image": container.image(),
        "Created": "2026-01-02T03:04:05Z",
        "State": {"Status": state(container), "Running": container.running, "ExitCode": 0},
        "Config": {"Env": container.body["Env"], "Labels": container.body["Labels"], "Image": container.image()},
        "HostConfig": container.body["HostConfig"], "NetworkSettings": {"Ports": ports}
    })
}

fn refused(status: u16, message: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(json!({"message": message}))
}
