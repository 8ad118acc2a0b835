//! What users of other tools suffer from: a cause that is hidden, and a failure that takes for ever.

mod causes;
mod crashes;
mod world;

use config::deployment::{Deployment, Environment};

use crate::aws::Clients;
use crate::outcome::{Exit, Failure};
use crate::stack::follow::{Followed, Following, Watch, Watched, to_end};
use crate::stack::{self, events};
use crate::template::Template;
use crate::ui::Ui;
use world::{STACK, World};

const TEMPLATE: &str = "\
Parameters: {ContainerURI: {Type: String}}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: a b
  Service: {Type: AWS::ECS::Service}
  EC2Instance: {Type: AWS::EC2::Instance}
Outputs: {ApiGatewayURL: {Value: x}}
";

fn environment() -> Environment {
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \
                \"rest-api\"\ntemplate = \"t.yaml\"\n";
    Deployment::parse("deploy.toml", text).unwrap().environments["dev"].clone()
}

fn template() -> Template {
    Template::parse("infra/t.yaml", TEMPLATE.to_owned()).unwrap()
}

fn plain() -> Failure {
    Failure::new(Exit::RolledBack, "rolled-back", "it failed").reason("no more is known")
}

fn watch(until_hopeless: bool) -> Watch<'static> {
    Watch { until_hopeless, ..Watch::of(STACK, None, events::Mark::nothing()) }
}

/// Follows the story to its end and explains it.
async fn explained(world: &World) -> (Followed, Failure) {
    let (clients, ui) = (world.clients(), Ui::silent());
    let followed = to_end(&clients, watch(false), &ui.phase("stack")).await.unwrap();
    let failure = super::explain(&clients, &environment(), Some(&template()), STACK, &followed, plain()).await;
    (followed, failure)
}

/// Explains what was over before anyone looked.
async fn looked_back(clients: &Clients) -> Failure {
    let stack = stack::describe(&clients.cloudformation, STACK).await.unwrap().unwrap();
    super::earlier(clients, &stack).await.unwrap().onto(plain(), Some(&template()))
}

/// Follows the story until it ends or can only fail.
async fn watched(world: &World) -> Watched {
    let ui = Ui::silent();
    Following::new(&world.clients(), watch(true)).watch(&ui.phase("stack")).await.unwrap()
}
