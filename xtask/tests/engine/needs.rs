//! Stacks that build on each other, on an emulator that knows exports and who imports them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::Suite;

use crate::checkout::xtask;
use crate::ministack::{self, Ministack, Names};

const IMAGE: &str = "registry.example/api@sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";

const NETWORK: &str = "
Resources:
  Vpc: {Type: AWS::EC2::VPC, Properties: {CidrBlock: 10.0.0.0/16}}
  Queue: {Type: AWS::SQS::Queue}
Outputs:
  VpcId: {Value: !Ref Vpc, Export: {Name: !Sub '${AWS::StackName}-VpcId'}}
";

/// It takes the network both ways: by a parameter, and by an export.
const SERVICE: &str = "
Parameters:
  ContainerURI: {Type: String}
  VpcId: {Type: String}
Resources:
  Group:
    Type: AWS::EC2::SecurityGroup
    Properties: {GroupDescription: Of the service, VpcId: !Ref VpcId}
Outputs:
  ApiGatewayURL: {Value: !Sub 'http://127.0.0.1/${Group}'}
  Imported: {Value: !ImportValue needs-network-VpcId}
  Given: {Value: !Ref VpcId}
";

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let name = "needs::a_network_comes_before_the_service_and_goes_after_it";
    vec![suite.test(name, ministack::needed(Names::Machine), |programs| {
        let (emulator, folder) = (Ministack::start(programs, Names::Machine)?, tempfile::tempdir()?);
        prepare(folder.path(), &emulator)?;
        test(folder.path()).with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
    })]
}

fn prepare(folder: &Path, emulator: &Ministack) -> Result<()> {
    let common = format!("region = \"eu-central-1\"\nendpoint = \"http://{}\"", emulator.authority());
    let settings = format!(
        "[service]\nname = \"api\"\n[environments.network]\n{common}\nstack = \"needs-network\"\ntemplate = \
         \"network.yaml\"\n[environments.service]\n{common}\nstack = \"needs-service\"\ntemplate = \
         \"service.yaml\"\nneeds = [\"network\"]\n[environments.service.parameters]\nVpcId = \"{{network.VpcId}}\"\n"
    );
    for (name, text) in [("deploy.toml", settings.as_str()), ("network.yaml", NETWORK), ("service.yaml", SERVICE)] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

fn test(folder: &Path) -> Result<()> {
    let deploy = ["deploy", "service", "--image", IMAGE, "--no-smoke"];
    let deployed = xtask(folder, &deploy)?.well()?;
    ensure!(deployed["needs"][0]["change"] == "create" && deployed["change"] == "create", "both are made: {deployed}");
    let outputs = &deployed["outputs"];
    ensure!(
        outputs["Given"].as_str().is_some_and(|id| id.starts_with("vpc-")) && outputs["Given"] == outputs["Imported"],
        "they are of the same network: {outputs}"
    );
    let again = xtask(folder, &deploy)?.well()?;
    ensure!(again["needs"][0]["change"] == "none" && again["change"] == "none", "nothing is left to do: {again}");
    fs::write(folder.join("network.yaml"), NETWORK.replace("  Queue: {Type: AWS::SQS::Queue}\n", ""))?;
    let guarded = xtask(folder, &deploy)?;
    let hint = guarded.json["error"]["hint"].as_str().unwrap_or_default();
    ensure!(guarded.code == Some(1) && hint.ends_with("--allow Queue"), "a need is guarded too: {}", guarded.json);
    let allowed = xtask(folder, &[&deploy[..], &["--allow", "Queue"]].concat())?.well()?;
    ensure!(allowed["needs"][0]["change"] == "update" && allowed["change"] == "none", "only it is changed: {allowed}");
    let refused = xtask(folder, &["destroy", "network", "--yes"])?;
    let reason = refused.json["error"]["reason"].as_str().unwrap_or_default();
    ensure!(refused.code == Some(1) && refused.json["error"]["kind"] == "needed", "it is needed: {}", refused.json);
    for said in [
        "environment service (stack needs-service) needs it",
        "stack needs-service imports its export needs-network-VpcId",
    ] {
        ensure!(reason.contains(said), "{said:?} is not said: {reason}");
    }
    for environment in ["service", "network"] {
        xtask(folder, &["destroy", environment, "--yes"])?.well()?;
    }
    Ok(())
}
