use super::{Deployment, Severity};

const GOOD: &str = r#"
[service]
name = "rest-api"
smoke_path = "/api/greeting"
smoke_contains = "Hello"
version_path = "/version"

[environments.dev]
region = "eu-central-1"
stack = "rest-api-dev"
template = "infra/api-backend.yaml"

[environments.dev.parameters]
Architecture = "arm64"
DesiredCount = 2
Zones = ["a", "b"]
"#;

#[test]
fn defaults_fill_what_is_not_said() {
    let deployment = Deployment::parse("deploy.toml", GOOD).unwrap();
    assert_eq!(deployment.service.port, 8080);
    assert!(deployment.service.features.is_empty());
    assert_eq!(deployment.service.health_path, "/health");
    let dev = &deployment.environments["dev"];
    assert!(!dev.protected);
    assert_eq!(dev.watch_minutes, 0);
    assert_eq!(dev.account, None);
    assert_eq!(dev.parameters["DesiredCount"], "2");
    assert_eq!(dev.parameters["Zones"], "a,b");
}

#[test]
fn every_problem_is_reported_at_once_with_file_key_value_and_what_is_allowed() {
    let text = r#"
surprise = 1
[service]
name = "Rest API"
port = 70000
health_path = "health"
[environments.dev]
regoin = "eu-central-1"
account = 111122223333
stack = "1st"
template = "../elsewhere.yaml"
protected = "yes"
registry = "https://127.0.0.1"
watch_minutes = 181
execution_role = "arn:aws:iam::111122223333:user/somebody"
[environments.dev.parameters]
"Not-A-Name" = "x"
When = 2026-11-22
[environments.local]
region = "frankfurt"
stack = "s"
template = "t"
"#;
    let error = Deployment::parse("deploy.toml", text).unwrap_err();
    let lines = error.to_string();
    let expected = [
        r#"service.name is "Rest API"; allowed: 2 to 256 lower-case letters"#,
        r#"service.port is "70000"; allowed: a port from 1 to 65535"#,
        r#"service.health_path is "health"; allowed: a path that starts with /"#,
        "environments.dev.region is missing; allowed: an AWS region such as eu-central-1",
        "environments.dev.regoin is no setting; allowed: protected, region, account, ",
        r#"environments.dev.account is "111122223333"; allowed: an account id of 12 digits, in quotes"#,
        r#"environments.dev.stack is "1st""#,
        r#"environments.dev.template is "../elsewhere.yaml""#,
        r#"environments.dev.protected is "yes"; allowed: true or false"#,
        r#"environments.dev.registry is "https://127.0.0.1"; allowed: HOST or HOST:PORT"#,
        r#"environments.dev.watch_minutes is "181"; allowed: minutes from 0 to 180"#,
        r#"environments.dev.execution_role is "arn:aws:iam::111122223333:user/somebody"; allowed: a role's ARN"#,
        "environments.dev.parameters.Not-A-Name",
        "environments.dev.parameters.When",
        r#"environments.local is "local"; allowed: a name that is"#,
        r#"environments.local.region is "frankfurt""#,
        "surprise is no setting; allowed: service, local, environments",
    ];
    for text in expected {
        assert!(lines.contains(&format!("deploy.toml: {text}")), "{text} not in\n{lines}");
    }
    assert_eq!(error.0.len(), expected.len(), "{lines}");
    assert!(lines.contains(", block_severity; did you mean region?\n"), "{lines}");
}

#[test]
fn alarms_are_watched_for_as_long_as_is_said() {
    let minutes = |value: &str| {
        let text = GOOD.replace("[environments.dev.p", &format!("watch_minutes = {value}\n[environments.dev.p"));
        Deployment::parse("deploy.toml", &text).map(|deployment| deployment.environments["dev"].watch_minutes)
    };
    assert_eq!((minutes("15"), minutes("180"), minutes("0")), (Ok(15), Ok(180), Ok(0)));
    for wrong in ["-1", "181", "70000", "\"15\"", "1.5"] {
        assert!(minutes(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_protected_environment_keeps_critical_findings_out_unless_it_says_otherwise() {
    let severity = |lines: &str| {
        let text = GOOD.replace("[environments.dev.p", &format!("{lines}\n[environments.dev.p"));
        Deployment::parse("deploy.toml", &text).map(|deployment| deployment.environments["dev"].block_severity)
    };
    let asks = "protected = true\nblock_severity = ";
    assert_eq!((severity(""), severity("protected = true")), (Ok(None), Ok(Some(Severity::Critical))));
    assert_eq!(severity("block_severity = \"low\""), Ok(Some(Severity::Low)));
    assert_eq!(severity(&format!("{asks}\"high\"")), Ok(Some(Severity::High)));
    assert_eq!(severity(&format!("{asks}\"none\"")), Ok(None));
    for wrong in ["\"CRITICAL\"", "\"informational\"", "\"\"", "true"] {
        assert!(severity(&format!("{asks}{wrong}")).is_err(), "{wrong}");
    }
}

#[test]
fn features_are_a_list_of_names() {
    let features = |value: &str| {
        let text = GOOD.replace("smoke_path", &format!("features = {value}\nsmoke_path"));
        Deployment::parse("deploy.toml", &text).map(|deployment| deployment.service.features)
    };
    assert_eq!(features(r#"["postgres", "a-b_1"]"#), Ok(vec!["postgres".to_owned(), "a-b_1".to_owned()]));
    for wrong in [r#""postgres""#, r#"["a b"]"#, r#"["a,b"]"#, r#"["--all"]"#, r#"[""]"#, "[1]"] {
        assert!(features(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_role_is_named_by_its_arn() {
    let role = |value: &str| {
        let text = GOOD.replace("[environments.dev.p", &format!("execution_role = \"{value}\"\n[environments.dev.p"));
        Deployment::parse("deploy.toml", &text).map(|deployment| deployment.environments["dev"].execution_role.clone())
    };
    for good in ["arn:aws:iam::111122223333:role/xtask/x-1", "arn:aws-us-gov:iam::111122223333:role/x+=,.@_-"] {
        assert_eq!(role(good), Ok(Some(good.to_owned())));
    }
    for wrong in [
        "",
        "x",
        "arn:aws:iam::111122223333:role/",
        "arn:aws:iam::1111:role/x",
        "arn:aws:iam:eu-central-1:111122223333:role/x",
        "arn:aws:sts::111122223333:assumed-role/x/y",
        "arn:gcp:iam::111122223333:role/x",
        "arn:aws:iam::111122223333:role/x y",
    ] {
        assert!(role(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_syntax_error_names_its_line() {
    let error = Deployment::parse("deploy.toml", "[service]\nname = rest\n").unwrap_err();
    assert_eq!(error.0.len(), 1);
    assert_eq!(error.0[0].key, "line 2");
    assert_eq!(error.0[0].given, crate::Given::Value("name = rest".into()));
}

#[test]
fn missing_tables_are_problems() {
    let error = Deployment::parse("deploy.toml", "").unwrap_err();
    let keys: Vec<&str> = error.0.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(keys, ["service", "environments"]);
    let error = Deployment::parse("deploy.toml", "[service]\nname = \"rest-api\"\n[environments]\n").unwrap_err();
    assert_eq!(error.0[0].key, "environments");
}

/// An environment of which there are many, beside `dev`.
fn many(stack: &str, region: &str) -> String {
    format!(
        "{GOOD}\n[environments.preview]\nregion = \"{region}\"\nstack = \"{stack}\"\ntemplate = \"t.yaml\"\n\
         instances = true\nwatch_minutes = 3\n"
    )
}

#[test]
fn an_instance_has_its_own_name_and_stack_and_nothing_else_of_its_own() {
    let deployment = Deployment::parse("deploy.toml", &many("rest-api-preview", "eu-central-1")).unwrap();
    let preview = &deployment.environments["preview"];
    let one = preview.instance("pr-12").unwrap();
    assert_eq!((one.name.as_str(), one.stack.as_str()), ("preview/pr-12", "rest-api-preview-pr-12"));
    assert_eq!((one.section(), one.stacks().as_str(), one.instances), ("preview", "rest-api-preview-pr-12", false));
    assert_eq!((preview.section(), preview.stacks().as_str()), ("preview", "rest-api-preview-*"));
    assert_eq!((one.watch_minutes, &one.template, &one.parameters), (3, &preview.template, &preview.parameters));
    assert_eq!(deployment.environments["dev"].stacks(), "rest-api-dev");
    for wrong in ["", "PR-12", "pr_12", "pr/12", "pr 12", "*", "a23456789012345678901"] {
        assert!(preview.instance(wrong).unwrap_err().contains("1 to 20 lower-case letters"), "{wrong}");
    }
    assert!(preview.instance("a2345678901234567890").is_ok());
    let long = super::Environment { stack: "s".repeat(113), ..preview.clone() };
    assert!(long.instance("pr-1").is_ok());
    assert!(long.instance("pr-12").unwrap_err().contains("longer than 118"));
}

#[test]
fn no_instance_can_come_to_have_another_environments_stack() {
    for (stack, region, fits) in [
        ("rest-api-preview", "eu-central-1", true),
        ("rest-api", "eu-central-1", false),
        ("rest-api-dev", "eu-central-1", false),
        ("rest-api-de", "eu-central-1", true),
        ("rest-api", "eu-west-1", true),
    ] {
        let parsed = Deployment::parse("deploy.toml", &many(stack, region));
        let error = parsed.err().map(|error| error.to_string());
        assert_eq!(error.is_none(), fits, "{stack}: {error:?}");
        if let Some(error) = error {
            let said = format!(
                "environments.dev.stack is \"rest-api-dev\"; allowed: a stack that no instance of preview can be, whose stacks are {stack}-*"
            );
            assert!(error.contains(&said), "{error}");
        }
    }
}

/// Environments by name, each with what else its table says; `GOOD` has `dev` besides.
fn with_environments(all: &[(&str, &str)]) -> Result<Deployment, String> {
    let table = |(name, rest): &(&str, &str)| {
        format!("[environments.{name}]\nregion = \"eu-central-1\"\nstack = \"s-{name}\"\ntemplate = \"t\"\n{rest}\n")
    };
    let text = format!("{GOOD}\n{}", all.iter().map(table).collect::<String>());
    Deployment::parse("deploy.toml", &text).map_err(|error| error.to_string())
}

#[test]
fn needs_come_in_their_order_each_once_and_after_their_own() {
    let deployment = with_environments(&[
        ("network", ""),
        ("users", ""),
        ("database", "needs = [\"network\"]"),
        ("production", "needs = [\"users\", \"database\", \"network\"]"),
    ])
    .unwrap();
    let names = |name: &str| -> Vec<&str> {
        let needs = deployment.needs_of(&deployment.environments[name]);
        needs.into_iter().map(|need| need.name.as_str()).collect()
    };
    assert_eq!(names("production"), ["users", "network", "database"]);
    assert_eq!(names("database"), ["network"]);
    assert!(names("network").is_empty() && names("dev").is_empty());
}

#[test]
fn needs_that_cannot_be_kept_are_reported_all_at_once() {
    let text = with_environments(&[
        ("network", "endpoint = \"http://127.0.0.1:1\""),
        ("many", "instances = true"),
        ("elsewhere", "account = \"111122223333\""),
        ("a", "needs = [\"b\"]"),
        ("b", "needs = [\"c\", \"dev\"]"),
        ("c", "needs = [\"a\"]"),
        ("outside", "needs = [\"a\"]"),
        (
            "production",
            "account = \"444455556666\"\n\
             needs = [\"netwrok\", \"production\", \"dev\", \"dev\", \"many\", \"network\", \"elsewhere\"]",
        ),
        ("wrong", "needs = \"dev\""),
    ])
    .unwrap_err();
    let all = "a, b, c, dev, elsewhere, many, network, outside, production, wrong";
    let expected = [
        format!(r#"production.needs is "netwrok"; allowed: an environment of this file, {all}; did you mean network?"#),
        r#"production.needs is "production"; allowed: other environments than itself"#.to_owned(),
        r#"production.needs is "dev"; allowed: each environment once"#.to_owned(),
        r#"production.needs is "many"; allowed: environments without instances"#.to_owned(),
        r#"production.needs is "network"; allowed: environments with the same endpoint"#.to_owned(),
        r#"production.needs is "elsewhere"; allowed: environments in the same account"#.to_owned(),
        r#"a.needs is "b"; allowed: no circle, which this is: a needs b needs c needs a"#.to_owned(),
        r#"wrong.needs is "dev"; allowed: a list of environments, such as ["network"]"#.to_owned(),
    ];
    for said in &expected {
        assert!(text.contains(&format!("deploy.toml: environments.{said}")), "{said} not in\n{text}");
    }
    assert_eq!(text.lines().count(), expected.len(), "{text}");
}

#[test]
fn outputs_of_needs_replace_their_references_and_nothing_else() {
    let value =
        r#"a-{network.VpcId}-{network.None} {network} {{resolve:ssm:/a.b}} {"a":"{network.VpcId}"} {net work.X} {"#;
    let found: Vec<_> = super::references(value).map(|found| (found.environment, found.output)).collect();
    assert_eq!(found, [("network", "VpcId"), ("network", "None"), ("network", "VpcId")]);
    let deployment = with_environments(&[
        ("network", ""),
        (
            "production",
            &format!("needs = [\"network\"]\n[environments.production.parameters]\nText = '{value}'\nPort = 1"),
        ),
    ]);
    let deployment = deployment.unwrap();
    let production = deployment.environments["production"]
        .with_outputs(|reference| (reference.output == "VpcId").then(|| "vpc-{network.None}".to_owned()));
    assert_eq!(
        production.parameters["Text"],
        r#"a-vpc-{network.None}-{network.None} {network} {{resolve:ssm:/a.b}} {"a":"vpc-{network.None}"} {net work.X} {"#
    );
    assert_eq!(production.parameters["Port"], "1");
}

#[test]
fn references_are_to_needs_only() {
    let parsed = |needs: &str, value: &str| {
        let rest = format!("needs = [{needs}]\n[environments.production.parameters]\nVpcId = \"{value}\"");
        with_environments(&[("network", ""), ("production", &rest)]).map(drop)
    };
    assert_eq!(parsed("\"network\"", "{network.VpcId}"), Ok(()));
    assert_eq!(
        parsed("", "{network.VpcId}").unwrap_err(),
        "deploy.toml: environments.production.parameters.VpcId is \"{network.VpcId}\"; allowed: references to its \
         needs; add \"network\" to environments.production.needs"
    );
    assert_eq!(
        parsed("\"network\"", "{netwrok.VpcId}").unwrap_err(),
        "deploy.toml: environments.production.parameters.VpcId is \"{netwrok.VpcId}\"; allowed: {ENV.VpcId} of an \
         environment of this file, dev, network, production; did you mean network?"
    );
}

#[test]
fn only_what_is_alike_is_suggested() {
    let known = ["network", "production", "dev"];
    assert_eq!(crate::similar("prodution", known), Some("production"));
    assert_eq!(crate::similar("Network", known), Some("network"));
    assert_eq!(crate::similar("users", known), None);
    assert_eq!(crate::similar("de", known), Some("dev"));
    assert_eq!(crate::similar("x", []), None);
    assert_eq!(crate::similar("Prod", known), Some("production"));
    assert_eq!(crate::similar("pr", known), None, "too short to be a beginning");
    assert_eq!(crate::similar("prod", ["production", "production-edge"]), None, "the beginning of two");
}

#[test]
fn a_template_may_call_its_image_and_endpoint_what_it_likes() {
    let deployment = with_environments(&[("own", "image_parameter = \"ImageUri\"\nurl_output = \"Url\"")]).unwrap();
    let names = |name: &str| {
        let environment = &deployment.environments[name];
        (environment.image_parameter.as_str(), environment.url_output.as_str())
    };
    assert_eq!((names("own"), names("dev")), (("ImageUri", "Url"), ("ContainerURI", "ApiGatewayURL")));
    for wrong in ["image_parameter = \"image-uri\"", "url_output = \"\"", "url_output = 1"] {
        assert!(with_environments(&[("own", wrong)]).is_err(), "{wrong}");
    }
}
