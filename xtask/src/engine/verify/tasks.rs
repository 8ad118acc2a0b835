//! What ECS says that its tasks run, where the service itself does not say which image it is.

use aws::ecs::{self, Service, Task};
use aws::{Clients, stack};
use model::outcome::Failure;
use model::reference::{Digest, ImageReference};
use model::stack::Stack;

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
pub(super) async fn running(
    clients: &Clients,
    stack: &Stack,
    image: Option<&ImageReference>,
    wanted: &Digest,
) -> Result<Running, Failure> {
    let resources = stack::resources(&clients.cloudformation, &stack.id).await.map_err(|error| Failure::of(&error))?;
    let services = resources.iter().filter(|resource| resource.resource_type == "AWS::ECS::Service");
    let mut tasks = Vec::new();
    for service in services.filter_map(|service| Service::of_arn(service.physical_id.as_deref()?)) {
        tasks.extend(ecs::tasks(&clients.ecs, &service, false).await?);
    }
    Ok(judge(&tasks, image, wanted))
}

/// Only containers of the image's repository count: others stand beside it.
fn judge(tasks: &[Task], image: Option<&ImageReference>, wanted: &Digest) -> Running {
    let Some(name) = image.map(ImageReference::name) else { return Running::Unknown };
    let containers = tasks.iter().filter(|task| task.is_running).flat_map(|task| &task.containers);
    let ours = containers.filter_map(|container| {
        let image: ImageReference = container.image.parse().ok()?;
        let digest = Some(container.digest.clone()).filter(|digest| !digest.is_empty());
        // Of an index, ECS names the manifest that it chose from it; its task definition names the index.
        let named = image.digest.as_ref().map(ToString::to_string);
        let right = [&digest, &named].iter().any(|one| one.as_deref() == Some(wanted.as_str()));
        (image.name() == name).then_some((right, digest.or(named)))
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
    use aws_sdk_cloudformation::operation::list_stack_resources::ListStackResourcesOutput;
    use aws_sdk_cloudformation::types::StackResourceSummary;
    use aws_sdk_ecs::operation::describe_tasks::DescribeTasksOutput;
    use aws_sdk_ecs::operation::list_tasks::ListTasksOutput;
    use aws_smithy_mocks::{mock, mock_client};

    use super::*;
    use aws::ecs::Container;

    #[tokio::test]
    async fn ecs_is_asked_for_the_digests_of_the_stacks_services() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let image = format!("registry.example/rest-api@{digest}");
        let resources = mock!(aws_sdk_cloudformation::Client::list_stack_resources).then_output(|| {
            let service = StackResourceSummary::builder()
                .logical_resource_id("Service")
                .resource_type("AWS::ECS::Service")
                .physical_resource_id("arn:aws:ecs:eu-central-1:111122223333:service/main/api");
            ListStackResourcesOutput::builder().stack_resource_summaries(service.build()).build()
        });
        let list = mock!(aws_sdk_ecs::Client::list_tasks)
            .match_requests(|asked| asked.cluster() == Some("main") && asked.service_name() == Some("api"))
            .then_output(|| ListTasksOutput::builder().task_arns("arn:aws:ecs:::task/main/1").build());
        let (named, name) = (digest.clone(), image.clone());
        let describe = mock!(aws_sdk_ecs::Client::describe_tasks).then_output(move || {
            let container = aws_sdk_ecs::types::Container::builder().image(&name).image_digest(&named).build();
            let task = aws_sdk_ecs::types::Task::builder().last_status("RUNNING").containers(container).build();
            DescribeTasksOutput::builder().tasks(task).build()
        });
        let mut clients = Clients::with_cloudformation(mock_client!(aws_sdk_cloudformation, [&resources]));
        clients.ecs = mock_client!(aws_sdk_ecs, [&list, &describe]);
        let (image, wanted) = (image.parse().unwrap(), digest.parse().unwrap());
        let running = running(&clients, &Stack::default(), Some(&image), &wanted).await;
        assert_eq!(running.unwrap(), Running::Right(1));
    }

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
        assert_eq!(judged(std::slice::from_ref(&old)), Running::Other { served: digest("b"), all: true });
        assert_eq!(judged(&[right, old]), Running::Other { served: digest("b"), all: false });
        assert_eq!(judged(&[]), Running::Unknown);
        assert_eq!(judged(&[task("registry.example/other:1", &digest("a"))]), Running::Unknown);
    }
}
