//! A production template that has grown to 200 kB, on an emulator: through the bucket, and back from the journal.

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::Suite;
use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::client;
use crate::ministack::{Ministack, Names};
use crate::rehearsal::{ENVIRONMENT, needed, prepared, release, settled, text};

const FILE: &str = "infra/api-backend-fargate.yaml";
const SIZE: usize = 200_000;
const VARIABLES: usize = 20;

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let names = Names::Machine;
    let name = "large_template::a_template_of_200_kb_is_released_through_the_bucket_and_gone_back_to";
    vec![suite.test(name, &needed(names, &[]), move |programs| prepared(programs, names, run))]
}

fn run(checkout: &Checkout, emulator: &Ministack) -> Result<()> {
    let small = checkout.read(FILE)?;
    let large = grown(&small)?;
    checkout.write(FILE, &large)?;
    checkout.commit("Let the template grow")?;
    let first = release(checkout, &[])?;
    settled(emulator, &first)?;
    ensure!(first["change"] == "create" && first["smoke"]["status"] == "right", "it is proved: {first}");
    deployed(emulator, &large)?;
    ensure!(variables(emulator, &first)? == VARIABLES, "the containers have the new variables");
    ensure!(release(checkout, &[])?["change"] == "none", "nothing is left to do");

    // Another one, and back: the text comes from the journal.
    let other = large.replacen("value-1\n", "changed\n", 1);
    checkout.write(FILE, &other)?;
    checkout.commit("Change the template")?;
    settled(emulator, &release(checkout, &[])?)?;
    deployed(emulator, &other)?;
    let back = checkout.xtask(&["rollback", ENVIRONMENT, "--yes"])?.well()?;
    settled(emulator, &back)?;
    deployed(emulator, &large)?;

    // A plan holds what it was made of.
    checkout.write(FILE, &other)?;
    checkout.xtask(&["plan", ENVIRONMENT, "--out", "plan.json"])?.well()?;
    checkout.write(FILE, &large)?;
    let moved = checkout.xtask(&["apply", "plan.json", "--yes"])?;
    ensure!(moved.code == Some(1) && moved.json["error"]["kind"] == "moved", "another text: {}", moved.json);
    checkout.write(FILE, &other)?;
    let applied = checkout.xtask(&["apply", "plan.json", "--yes"])?.well()?;
    settled(emulator, &applied)?;
    deployed(emulator, &other)?;
    checkout.xtask(&["destroy", ENVIRONMENT, "--yes"])?.well()?;
    Ok(())
}

/// The template with more variables, a table, and as much text as makes it large.
fn grown(template: &str) -> Result<String> {
    let mut lines: Vec<String> = template.lines().map(str::to_owned).collect();
    let place = lines.iter().position(|line| line.contains("Name: API_LOG_FORMAT")).context("no variable")?;
    let indent = " ".repeat(lines[place].find("- ").context("no list")?);
    let variables =
        (1..=VARIABLES).map(|number| format!("{indent}- Name: EXTRA_{number}\n{indent}  Value: value-{number}"));
    lines.splice(place..place, variables);
    let outputs = lines.iter().position(|line| line == "Outputs:").context("no outputs")?;
    let table = "  NotesTable:\n    Type: AWS::DynamoDB::Table\n    Properties:\n      BillingMode: PAY_PER_REQUEST\n      \
                 AttributeDefinitions:\n        - AttributeName: id\n          AttributeType: S\n      KeySchema:\n        - \
                 AttributeName: id\n          KeyType: HASH\n";
    lines.insert(outputs, table.to_owned());
    let mut text = lines.join("\n") + "\n";
    for number in 0_u64.. {
        let line = format!("# {:016x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        if text.len() + line.len() > SIZE {
            break;
        }
        text.push_str(&line);
    }
    Ok(text)
}

/// That the stack has this text.
fn deployed(emulator: &Ministack, template: &str) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let fields = [("Action", "GetTemplate"), ("StackName", "rest-api-rehearsal"), ("TemplateStage", "Original")];
    let answer = client::form(&endpoint, "cloudformation", &fields)?.body;
    let has = answer.contains("EXTRA_20") && answer.contains("Value: changed") == template.contains("Value: changed");
    ensure!(has && answer.len() >= SIZE, "the stack has another template of {} bytes", answer.len());
    Ok(())
}

/// How many of the new variables the service's containers have.
fn variables(emulator: &Ministack, release: &Value) -> Result<usize> {
    let endpoint = format!("http://{}", emulator.authority());
    let ecs = |action: &str, input: Value| {
        client::call(&endpoint, "ecs", &format!("AmazonEC2ContainerServiceV20141113.{action}"), &input)
    };
    let (cluster, service) = (text(release, "/outputs/ClusterName")?, text(release, "/outputs/ServiceName")?);
    let services = ecs("DescribeServices", json!({"cluster": cluster, "services": [service]}))?;
    let definition = text(&services, "/services/0/taskDefinition")?;
    let definition = ecs("DescribeTaskDefinition", json!({"taskDefinition": definition}))?;
    let environment = definition.pointer("/taskDefinition/containerDefinitions/0/environment");
    let names = environment.and_then(Value::as_array).into_iter().flatten().filter_map(|it| it["name"].as_str());
    Ok(names.filter(|name| name.starts_with("EXTRA_")).count())
}
