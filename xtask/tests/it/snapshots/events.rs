//! `events` and `logs`, which only look.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::fakes::{Fakes, World};

fn at_work() -> Fakes {
    Fakes::start(World { stack: "UPDATE_IN_PROGRESS".to_owned(), ..World::default() })
}

/// Waits until the tool has polled the stack's events twice: it then follows them.
fn until_it_follows(fakes: &Fakes) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let looks = || fakes.world().asked.iter().filter(|asked| asked.ends_with(":DescribeStackEvents")).count();
    while looks() < 2 {
        assert!(Instant::now() < deadline, "it never followed the stack");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn interrupt(tool: &Child) {
    let signal = format!("kill -INT {}", tool.id());
    assert!(Command::new("sh").args(["-c", &signal]).status().unwrap().success());
}

#[test]
fn events_of_a_stack_that_is_not_there_and_of_one_at_rest() {
    let none = Fakes::start(World::default());
    assert_snapshot!(none.sandbox().run(&["events", "dev"]).snapshot(), @r"
    exit 1
    --- stderr
    error: there is no stack rest-api-dev
      resource: environment dev
      reason: the account has none of that name in eu-central-1
      next: cargo xtask release dev creates it
    ");
    let fakes = Fakes::start(World { stack: "UPDATE_COMPLETE".to_owned(), ..World::default() });
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["events", "dev"]).snapshot(), @r"
    exit 0
    --- stdout
    2026-01-02T03:04:05Z UPDATE_COMPLETE              Gateway (AWS::ApiGateway::RestApi)
    2026-01-02T03:04:05Z UPDATE_COMPLETE              rest-api-dev (AWS::CloudFormation::Stack)
    ");
    let newest = sandbox.run(&["events", "dev", "--limit", "1", "--json"]).json();
    assert_eq!(newest["events"].as_array().unwrap().len(), 1);
    assert_eq!(newest["events"][0]["logical_id"], "rest-api-dev");
    let ended = sandbox.run(&["events", "dev", "--follow", "--limit", "1", "--json"]);
    ended.lines("Event");
    assert_snapshot!(ended.snapshot(), @r#"
    exit 0
    --- stdout
    {"time":"2026-01-02T03:04:05Z","status":"UPDATE_COMPLETE","logical_id":"rest-api-dev","resource_type":"AWS::CloudFormation::Stack","physical_id":"arn:aws:cloudformation:eu-central-1:111122223333:stack/rest-api-dev/1"}
    {"format":1,"ok":true,"environment":"dev","stack":"rest-api-dev","stack_status":"UPDATE_COMPLETE","seconds":0}
    "#);
}

#[test]
#[cfg(target_os = "linux")]
fn an_operation_that_is_followed_ends_as_its_release_would_have() {
    let fakes = at_work();
    let sandbox = fakes.sandbox();
    let tool = sandbox.start(&["events", "dev", "--follow"]);
    until_it_follows(&fakes);
    fakes.world().stack = "UPDATE_ROLLBACK_COMPLETE".to_owned();
    assert_snapshot!(sandbox.end(tool).snapshot(), @r"
    exit 4
    --- stdout
    2026-01-02T03:04:05Z UPDATE_IN_PROGRESS           Gateway (AWS::ApiGateway::RestApi)
    2026-01-02T03:04:05Z UPDATE_IN_PROGRESS           rest-api-dev (AWS::CloudFormation::Stack)
    2026-01-02T03:04:05Z CREATE_FAILED                Gateway (AWS::ApiGateway::RestApi)  the account has too many gateways
    2026-01-02T03:04:05Z UPDATE_ROLLBACK_COMPLETE     rest-api-dev (AWS::CloudFormation::Stack)
    --- stderr
    !! stack     not finished ([time])
    error: stack rest-api-dev failed and is rolled back; the previous release runs (UPDATE_ROLLBACK_COMPLETE)
      resource: Gateway (AWS::ApiGateway::RestApi)
      reason: the account has too many gateways
      place: infra/backend.yaml:5
      console: https://eu-central-1.console.aws.amazon.com/cloudformation/home?region=eu-central-1#/stacks/events?stackId=arn%3Aaws%3Acloudformation%3Aeu-central-1%3A111122223333%3Astack%2Frest-api-dev%2F1
      next: fix the cause, then repeat the command; cargo xtask status dev shows what runs
    ");
}

#[test]
#[cfg(target_os = "linux")]
fn an_interrupted_follow_reports_what_still_runs() {
    let fakes = at_work();
    let sandbox = fakes.sandbox();
    let tool = sandbox.start(&["events", "dev", "--follow", "--json"]);
    until_it_follows(&fakes);
    interrupt(&tool);
    let ended = sandbox.end(tool);
    let (lines, object) = ended.lines("Event");
    assert_eq!((ended.code, lines.len()), (130, 2), "{}", ended.stdout);
    assert!(object["error"]["hint"].as_str().unwrap().contains("continues without this tool"), "{object}");
}

#[test]
#[cfg(target_os = "linux")]
fn logs_newest_last_and_then_whatever_comes() {
    let log = Some(["starting", "listening\n  on 8080", "\u{1b}[31mred"].map(str::to_owned).to_vec());
    let fakes = Fakes::start(World { stack: "UPDATE_COMPLETE".to_owned(), log, ..World::default() });
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["logs", "dev", "--limit", "2"]).snapshot(), @r"
    exit 0
    --- stdout
    2026-01-02 (UTC)
    03:04:06.000 listening
    03:04:06.000   on 8080
    03:04:07.000 [31mred
    ");
    assert_snapshot!(sandbox.run(&["logs", "dev", "--limit", "1", "--raw"]).snapshot(), @r"
    exit 0
    --- stdout
    2026-01-02T03:04:07Z api/api/1 [31mred
    ");
    let one = sandbox.run(&["logs", "dev", "--limit", "1", "--json"]).json();
    assert_eq!(one["logs"][0]["message"], "\u{1b}[31mred");
    let tool = sandbox.start(&["logs", "dev", "--follow", "--limit", "1", "--json"]);
    std::thread::sleep(Duration::from_millis(1500));
    interrupt(&tool);
    let (lines, _) = sandbox.end(tool).lines("Line");
    assert_eq!(lines.len(), 1);
    let tool = sandbox.start(&["logs", "dev", "--follow", "--limit", "1"]);
    std::thread::sleep(Duration::from_millis(1500));
    fakes.world().log.as_mut().unwrap().push("later".to_owned());
    std::thread::sleep(Duration::from_millis(3500));
    interrupt(&tool);
    assert_snapshot!(sandbox.end(tool).snapshot(), @r"
    exit 0
    --- stdout
    2026-01-02 (UTC)
    03:04:07.000 [31mred
    03:04:08.000 later
    ");
}

#[test]
fn json_lines_of_a_log_are_shown_short_and_in_colour() {
    let line = r#"{"timestamp":"2026-01-02T03:04:05.5Z","level":"ERROR","message":"failed","status":500}"#;
    let log = Some(vec![line.to_owned()]);
    let fakes = Fakes::start(World { stack: "UPDATE_COMPLETE".to_owned(), log, ..World::default() });
    let sandbox = fakes.sandbox();
    assert_snapshot!(sandbox.run(&["logs", "dev"]).snapshot(), @r"
    exit 0
    --- stdout
    2026-01-02 (UTC)
    03:04:05.000 ERROR failed status=500
    ");
    assert!(sandbox.run(&["logs", "dev", "--color", "always"]).stdout.contains("\u{1b}[31mERROR\u{1b}[0m"));
}

#[test]
fn a_stack_without_a_log_group_has_no_logs() {
    let fakes = Fakes::start(World { stack: "UPDATE_COMPLETE".to_owned(), ..World::default() });
    assert_snapshot!(fakes.sandbox().run(&["logs", "dev"]).snapshot(), @r"
    exit 1
    --- stderr
    error: stack rest-api-dev has no log group
      resource: infra/backend.yaml
      reason: it has neither an output LogGroupName nor a resource AWS::Logs::LogGroup
      next: name the service's log group in an output LogGroupName of the template
    ");
}
