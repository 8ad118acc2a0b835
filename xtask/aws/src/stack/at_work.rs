//! The services of a stack that its events leave at work.

use std::collections::{BTreeMap, HashMap};

use crate::ecs::{Deployment, Service, State};
use crate::stack::evidence::SERVICE_TYPE;
use model::stack::Event;

pub(super) const TASK_DEFINITION_TYPE: &str = "AWS::ECS::TaskDefinition";

/// A service that is being created or updated.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Working {
    pub(super) service: Service,
    pub(super) arn: String,
    pub(super) since: f64,
    /// Whether it is new, so that nobody uses it yet.
    pub(super) is_new: bool,
    /// The newest task definitions of the stack.
    task_definitions: Vec<String>,
}

impl Working {
    /// What can be told without asking for the service.
    pub(super) fn state(&self) -> Option<State> {
        let deployment = |task_definition: &String| Deployment {
            task_definition: task_definition.clone(),
            created: self.since,
            ..Deployment::default()
        };
        let deployments: Vec<Deployment> = self.task_definitions.iter().map(deployment).collect();
        (!deployments.is_empty()).then(|| State { deployments, ..State::default() })
    }
}

/// The services that the events leave at work, with the time at which that began.
pub(super) fn working<'a>(events: impl Iterator<Item = &'a Event>) -> BTreeMap<String, Working> {
    let mut working: BTreeMap<String, Working> = BTreeMap::new();
    let mut begun: HashMap<&str, f64> = HashMap::new();
    let mut definitions: HashMap<&str, String> = HashMap::new();
    for event in events {
        let at_work = matches!(event.status.as_str(), "CREATE_IN_PROGRESS" | "UPDATE_IN_PROGRESS");
        match (event.resource_type.as_str(), &event.physical_id) {
            (TASK_DEFINITION_TYPE, Some(arn)) if !event.status.starts_with("DELETE") => {
                definitions.insert(&event.logical_id, arn.clone());
            }
            (SERVICE_TYPE, _) if !at_work => {
                begun.remove(event.logical_id.as_str());
                working.remove(&event.logical_id);
            }
            (SERVICE_TYPE, arn) => {
                let since = *begun.entry(&event.logical_id).or_insert(event.seconds);
                // The first event of a creation comes before there is anything to ask for.
                let Some(arn) = arn.clone() else { continue };
                if let Some(service) = Service::of_arn(&arn) {
                    let (is_new, task_definitions) = (event.status.starts_with("CREATE"), Vec::new());
                    let found = Working { service, arn, since, is_new, task_definitions };
                    working.insert(event.logical_id.clone(), found);
                }
            }
            _ => {}
        }
    }
    for working in working.values_mut() {
        working.task_definitions = definitions.values().cloned().collect();
    }
    working
}
