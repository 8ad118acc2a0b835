//! What ECS says that its tasks run, where the service itself does not say which image it is.

use crate::aws::Clients;
use crate::aws::ecs::{self, Service, Task};
use crate::image::{Digest, ImageReference};
use crate::outcome::Failure;
use crate::stack::{self, Stack};

/// What the running tasks are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Running {
    /// So many, and all of them run the image.
    Right(usize),
    /// At least one runs another image.
    Other { served: String, all: bool },
    /// ECS names no task, or no image of one.
    Unknown,
}

/// Asks ECS about the services of a stack.
///
/// # Errors
/// What AWS says.
pub(super) async fn running(clients: &Clients, stack: &Stack, wanted: &Digest) -> Result<Running, Failure> {
    let resources = stack::resources(&clients.cloudformation, &stack.id).await.map_err(|error| Failure::of(&error))?;
    let services = resources.iter().filter(|resource| resource.resource_type == "AWS::ECS::Service");
    let mut tasks = Vec::new();
    for service in services.filter_map(|service| Service::of_arn(service.physical_id.as_deref()?)) {
        tasks.extend(ecs::tasks(&clients.ecs, &service, false).await?);
    }
    Ok(judge(&tasks, stack.container_uri().and_then(|uri| uri.parse().ok()).as_ref(), wanted))
}

/// Only containers of the image's repository count: others stand beside it.
fn judge(tasks: &[Task], image: Option<&ImageReference>, wanted: &Digest) -> Running {
    let Some(name) = image.map(ImageReference::name) else { return Running::Unknown };
    let containers = tasks.iter().filter(|task| task.is_running).flat_map(|task| &task.containers);
    let ours = containers.filter_map(|container| {
        let image: ImageReference = container.image.parse().ok()?;
        let digest = Some(container.digest.clone()).filter(|digest| !digest.is_empty());
        // Of an index, ECS names the manifest that it chose from it; the task was told the index.
        let told = image.digest.as_ref().map(ToString::to_string);
        let right = [&digest, &told].iter().any(|one| one.as_deref() == Some(wanted.as_str()));
        (image.name() == name).then_some((right, digest.or(told)))
    });
    let (right, other): (Vec<_>, Vec<_>) = ours.partition(|(right, _)| *right);
    match other.into_iter().find_map(|(_, digest)| digest) {
        Some(served) => Running::Other { served, all: right.is_empty() },
        None if right.is_empty() => Running::Unknown,
        None => Running::Right(right.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::ecs::Container;

    #[test]
    fn the_digests_of_the_tasks_say_what_runs() {
        let digest = |letter: &str| format!("sha256:{}", letter.repeat(64));
        let wanted: Digest = digest("a").parse().unwrap();
        let image: ImageReference = format!("registry.example/rest-api@{wanted}").parse().unwrap();
        let task = |image: &str, digest: &str| Task {
            is_running: true,
            containers: vec![
                Container { image: image.to_owned(), digest: digest.to_owned(), ..Container::default() },
                Container { image: "registry.example/sidecar:1".to_owned(), ..Container::default() },
            ],
            ..Task::default()
        };
        let judged = |tasks: &[Task]| judge(tasks, Some(&image), &wanted);
        let right = task(&image.to_string(), &digest("a"));
        let index = task(&image.to_string(), &digest("c"));
        let old = task("registry.example/rest-api:v1", &digest("b"));
        assert_eq!(judged(&[right.clone(), index]), Running::Right(2));
        assert_eq!(judged(&[old.clone()]), Running::Other { served: digest("b"), all: true });
        assert_eq!(judged(&[right, old]), Running::Other { served: digest("b"), all: false });
        assert_eq!(judged(&[]), Running::Unknown);
        assert_eq!(judged(&[task("registry.example/other:1", &digest("a"))]), Running::Unknown);
    }
}
