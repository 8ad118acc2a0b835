use config::deployment::Deployment;

use super::*;

#[test]
fn the_console_is_the_partitions_own_and_an_emulator_has_none() {
    let text = "[service]\nname = \"rest-api\"\n[environments.dev]\nregion = \"eu-central-1\"\nstack = \
                \"rest-api\"\ntemplate = \"t.yaml\"\n";
    let dev = Deployment::parse("deploy.toml", text).unwrap().environments["dev"].clone();
    let of = |region: &str, endpoint: Option<&str>| {
        let endpoint = endpoint.map(str::to_owned);
        let environment = Environment { region: region.to_owned(), endpoint, ..dev.clone() };
        console(&environment, "a/b").map(|url| url.split("/cloudformation").next().unwrap().to_owned())
    };
    assert_eq!(of("cn-north-1", None).unwrap(), "https://cn-north-1.console.amazonaws.cn");
    assert_eq!(of("us-gov-west-1", None).unwrap(), "https://us-gov-west-1.console.amazonaws-us-gov.com");
    assert_eq!(of("us-east-1", None).unwrap(), "https://us-east-1.console.aws.amazon.com");
    assert_eq!(of("us-east-1", Some("http://127.0.0.1:1")), None);
}
