//! What is refused before any call, and preflight.

use insta::assert_snapshot;

use crate::fakes::{Fakes, World};
use crate::sandbox::{DEPLOY_TOML, Sandbox};

#[test]
fn a_command_line_that_cannot_be_understood() {
    let sandbox = Sandbox::new();
    assert_snapshot!(sandbox.run(&["relaese"]).snapshot(), @r"
    exit 2
    --- stderr
    error: unrecognized subcommand 'relaese'

      tip: a similar subcommand exists: 'release'

    Usage: cargo xtask [OPTIONS] <COMMAND>

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["release", "--local", "dev"]).snapshot(), @r"
    exit 2
    --- stderr
    error: the argument '--local' cannot be used with '[ENV]'

    Usage: cargo xtask release --local [ENV]

    For more information, try '--help'.
    ");
    let ended = sandbox.run(&["deploy", "dev", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 2
    --- stdout
    {"format":1,"ok":false,"environment":"dev","stack":"rest-api-dev","seconds":0,"error":{"kind":"image","message":"which image to deploy is not said","resource":"infra/backend.yaml","reason":"the template runs one: it has the parameter ContainerURI","hint":"name it with --image, or use cargo xtask release"}}
    --- stderr
    error: which image to deploy is not said
      resource: infra/backend.yaml
      reason: the template runs one: it has the parameter ContainerURI
      next: name it with --image, or use cargo xtask release
    "#);
    let ended = sandbox.run(&[]);
    assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "help that nobody asked for is no result");
}

#[test]
fn an_environment_that_is_not_there() {
    let ended = Sandbox::new().run(&["release", "staging", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 2
    --- stdout
    {"format":1,"ok":false,"seconds":0,"error":{"kind":"environment","message":"there is no environment \"staging\"","resource":"deploy.toml","reason":"it has dev, production","hint":"add [environments.staging] or use one of these"}}
    --- stderr
    error: there is no environment "staging"
      resource: deploy.toml
      reason: it has dev, production
      next: add [environments.staging] or use one of these
    "#);
}

#[test]
fn what_was_meant_is_suggested() {
    let sandbox = Sandbox::new();
    sandbox
        .write("deploy.toml", &DEPLOY_TOML.replace("protected = true", "protcted = true\nblock_severity = \"hihg\""));
    let settings = sandbox.run(&["status"]).stderr;
    assert!(settings.contains("block_severity; did you mean protected?\n"), "{settings}");
    assert!(settings.contains("allowed: critical, high, medium, low, none; did you mean high?\n"), "{settings}");
    let sandbox = Sandbox::new();
    for (arguments, expected) in [
        (&["release", "dve"][..], "next: did you mean dev? Otherwise add [environments.dve]"),
        (&["status", "prod"], "next: did you mean production? Otherwise add [environments.prod]"),
        (&["release", "--dry-rnu"], "tip: a similar argument exists: '--dry-run'"),
        (&["status", "--color", "alwys"], "tip: a similar value exists: 'always'"),
        (&["iam-policy", "--for", "paln"], "tip: a similar value exists: 'plan'"),
        (&["secret", "lst"], "tip: a similar subcommand exists: 'list'"),
    ] {
        let ended = sandbox.run(arguments);
        assert!(ended.code == 2 && ended.stderr.contains(expected), "{}", ended.stderr);
    }
}

#[test]
fn a_folder_without_settings() {
    let sandbox = Sandbox::new();
    sandbox.remove("deploy.toml");
    assert_snapshot!(sandbox.run(&["status"]).snapshot(), @r"
    exit 2
    --- stderr
    error: there is no deploy.toml here or above
      resource: [folder]
      next: go to the repository's folder
    ");
}

#[test]
fn settings_with_several_problems_name_all_of_them() {
    let sandbox = Sandbox::new();
    let text = DEPLOY_TOML
        .replace("protected = true", "protected = \"yes\"\ncolour = \"red\"")
        .replace("region = \"eu-central-1\"\nstack = \"rest-api-dev\"", "region = \"Frankfurt\"\nstack = \"rest_api\"");
    sandbox.write("deploy.toml", &text);
    let ended = sandbox.run(&["release", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 2
    --- stdout
    {"format":1,"ok":false,"seconds":0,"error":{"kind":"settings","message":"deploy.toml cannot be used","reason":"deploy.toml: environments.dev.region is \"Frankfurt\"; allowed: an AWS region such as eu-central-1\ndeploy.toml: environments.dev.stack is \"rest_api\"; allowed: at most 128 letters, digits and -, starting with a letter\ndeploy.toml: environments.production.protected is \"yes\"; allowed: true or false\ndeploy.toml: environments.production.colour is no setting; allowed: protected, region, account, stack, instances, execution_role, template, needs, image_parameter, url_output, parameters, env, secrets, secrets_key, permissions, watch_minutes, endpoint, registry, smoke_url, attested, block_severity","hint":"fix deploy.toml"}}
    --- stderr
    error: deploy.toml cannot be used
      reason: deploy.toml: environments.dev.region is "Frankfurt"; allowed: an AWS region such as eu-central-1
        deploy.toml: environments.dev.stack is "rest_api"; allowed: at most 128 letters, digits and -, starting with a letter
        deploy.toml: environments.production.protected is "yes"; allowed: true or false
        deploy.toml: environments.production.colour is no setting; allowed: protected, region, account, stack, instances, execution_role, template, needs, image_parameter, url_output, parameters, env, secrets, secrets_key, permissions, watch_minutes, endpoint, registry, smoke_url, attested, block_severity
      next: fix deploy.toml
    "#);
    sandbox.write("deploy.toml", "[service\n");
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r#"
    exit 2
    --- stderr
    error: deploy.toml cannot be used
      reason: deploy.toml: line 1 is "[service"; allowed: TOML (unclosed table, expected `]`)
      next: fix deploy.toml
    "#);
}

#[test]
fn everything_that_is_missing_comes_in_one_list() {
    let sandbox = Sandbox::new()
        .with("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
        .with("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .with("AWS_SECRET_ACCESS_KEY", "secret");
    sandbox.remove("infra/backend.yaml");
    assert_snapshot!(sandbox.run(&["release"]).snapshot(), @r"
    exit 3
    --- stderr
    !! preflight not finished ([time])
    error: 3 things are missing
      reason: - the Docker engine does not answer
          resource: unix:///nonexistent/docker.sock
          reason: Socket not found: /nonexistent/docker.sock
          next: install Docker (https://docs.docker.com/engine/install/) and start it (sudo systemctl start docker), or point DOCKER_HOST at a running engine
        - sts:GetCallerIdentity failed
          resource: the caller's identity
          reason: client error (Connect): tcp connect error: Connection refused (os error [number])
          next: check the network and, with an emulator, that it runs at the endpoint
        - the template cannot be used
          resource: infra/backend.yaml
          reason: No such file or directory (os error [number])
          next: fix it, or environments.dev.template in deploy.toml
    ");
    let ended = sandbox.run(&["release", "--json"]);
    let object = ended.json();
    assert_eq!((ended.code, object["error"]["kind"].as_str()), (3, Some("preflight")));
    assert_snapshot!(sandbox.run(&["doctor"]).snapshot(), @r"
    exit 3
    --- stdout
    !! docker      the Docker engine does not answer: Socket not found: /nonexistent/docker.sock
    !! template    the template cannot be used: No such file or directory (os error [number])
    !! account     sts:GetCallerIdentity failed: client error (Connect): tcp connect error: Connection refused (os error [number])
    --- stderr
    error: 3 things are missing
      reason: - the Docker engine does not answer
          resource: unix:///nonexistent/docker.sock
          reason: Socket not found: /nonexistent/docker.sock
          next: install Docker (https://docs.docker.com/engine/install/) and start it (sudo systemctl start docker), or point DOCKER_HOST at a running engine
        - the template cannot be used
          resource: infra/backend.yaml
          reason: No such file or directory (os error [number])
          next: fix it, or environments.dev.template in deploy.toml
        - sts:GetCallerIdentity failed
          resource: the caller's identity
          reason: client error (Connect): tcp connect error: Connection refused (os error [number])
          next: check the network and, with an emulator, that it runs at the endpoint
    ");
}

#[test]
fn credentials_that_are_not_there() {
    let ended = Sandbox::new().run(&["status", "--json"]);
    let object = ended.json();
    assert_eq!(ended.code, 3);
    // The reason is the SDK's own text.
    let part = |name: &str| object["error"][name].as_str().unwrap().to_owned();
    assert_eq!(part("message"), "there are no AWS credentials");
    assert_snapshot!(part("hint"), @"sign in with `aws login` or `aws configure sso`, then set AWS_PROFILE; or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
}

#[test]
fn without_a_terminal_confirmation_is_refused_before_any_call() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["release", "production"]).snapshot(), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: production is protected. Change stack rest-api-production in eu-central-1?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
    let ended = sandbox.run(&["deploy", "production", "--image", "example.com/rest-api:v1", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 3
    --- stdout
    {"format":1,"ok":false,"environment":"production","stack":"rest-api-production","seconds":0,"error":{"kind":"confirmation","message":"confirmation is required, and there is no terminal: production is protected. Change stack rest-api-production in eu-central-1?","reason":"stdin or stderr is not a terminal","hint":"repeat the command with --yes to confirm"}}
    --- stderr
    error: confirmation is required, and there is no terminal: production is protected. Change stack rest-api-production in eu-central-1?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    "#);
    assert_snapshot!(sandbox.run(&["destroy", "dev", "--images"]).snapshot(), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: Delete stack rest-api-dev in eu-central-1 with everything in it, and repository rest-api with every image in it?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
    assert_snapshot!(sandbox.run(&["destroy", "--local"]).snapshot(), @r"
    exit 3
    --- stderr
    error: confirmation is required, and there is no terminal: Remove the local containers of rest-api?
      reason: stdin or stderr is not a terminal
      next: repeat the command with --yes to confirm
    ");
    assert_eq!(fakes.world().asked, <[String; 0]>::default());
}

#[test]
fn values_that_cannot_be_used() {
    let sandbox = Sandbox::new();
    let deploy = |image| sandbox.run(&["deploy", "dev", "--image", image]).snapshot();
    assert_snapshot!(deploy("rest-api:v1"), @r#"
    exit 2
    --- stderr
    error: "rest-api:v1" is not an image reference: it has no host; a good one is HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    "#);
    assert_snapshot!(deploy("example.com/rest-api@sha256:12"), @r#"
    exit 2
    --- stderr
    error: "example.com/rest-api@sha256:12" is not an image reference: a digest has 64 lower-case hexadecimal digits; a good one is HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    "#);
    let ended = sandbox.run(&["deploy", "dev", "--image", "example.com/rest-api", "--json"]);
    ended.json();
    assert_snapshot!(ended.snapshot(), @r#"
    exit 2
    --- stdout
    {"format":1,"ok":false,"seconds":0,"error":{"kind":"image","message":"\"example.com/rest-api\" is not an image reference: it has neither tag nor digest; a good one is HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG"}}
    --- stderr
    error: "example.com/rest-api" is not an image reference: it has neither tag nor digest; a good one is HOST/REPOSITORY@sha256:… or HOST/REPOSITORY:TAG
    "#);
    assert_snapshot!(sandbox.run(&["build", "--platform", "windows/amd64"]).snapshot(), @r"
    exit 2
    --- stderr
    error: no image can be built for windows/amd64
      next: use --platform linux/amd64 or linux/arm64
    ");
    assert_snapshot!(sandbox.run(&["smoke", "http://["]).snapshot(), @r"
    exit 2
    --- stderr
    error: this URL cannot be tested
      resource: http://[
      reason: invalid IPv6 address
    ");
    assert_snapshot!(sandbox.run(&["smoke", "dev", "--digest", "latest"]).snapshot(), @r"
    exit 2
    --- stderr
    error: --digest cannot be used: a digest starts with sha256:
    ");
    assert_snapshot!(sandbox.run(&["smoke", "ftp://example.com"]).snapshot(), @r"
    exit 2
    --- stderr
    error: this URL cannot be tested
      resource: ftp://example.com
      reason: the URL must start with http:// or https://
    ");
    assert_snapshot!(sandbox.run(&["release", "--smoke-url", "example.com/v1"]).snapshot(), @r"
    exit 2
    --- stderr
    error: invalid value 'example.com/v1' for '--smoke-url <URL>': a URL starts with http:// or https://, or with an output, {OutputKey}

    For more information, try '--help'.
    ");
    assert_snapshot!(sandbox.run(&["release", "--registry", "https://example.com"]).snapshot(), @r"
    exit 2
    --- stderr
    error: invalid value 'https://example.com' for '--registry <HOST[:PORT]>': a registry is HOST or HOST:PORT, without a scheme

    For more information, try '--help'.
    ");
}

#[test]
fn git_says_itself_why_it_does_not_read_a_folder() {
    let fakes = Fakes::start(World::default());
    let sandbox = fakes.sandbox();
    let words = "fatal: detected dubious ownership in repository at '/srv/api'\nTo add an exception for this directory, \
                 call:\n\n\tgit config --global --add safe.directory /srv/api";
    sandbox.write("bin/git", &format!("#!/bin/sh\n/bin/cat >&2 <<'END'\n{words}\nEND\nexit 128\n"));
    let ended = sandbox.run(&["build", "--from-source"]);
    let said = words.replace('\n', "\n    ");
    let next = "git config --global --add safe.directory /srv/api";
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("  reason: {said}\n  next: {next}\n")), "{}", ended.stderr);
    // The same on the way to an image, where only a commit is noted.
    let ended = sandbox.run(&["release", "dev", "--dry-run"]);
    assert!(ended.stderr.contains("warning: no commit is recorded: git cannot read the repository: fatal: detected"));
}
