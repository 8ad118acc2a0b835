//! IAM from both sides, on an emulator that enforces it: the roles of the templates are made there, and each makes the
//! calls that it needs and those that it must not make. What the emulator does not check is left to the evaluator, which
//! has to agree with it on all the rest.

mod attempt;
mod bootstrap;
#[path = "../iam/cases.rs"]
mod cases;
#[path = "../iam/evaluate.rs"]
mod evaluate;
#[path = "../iam/roles.rs"]
mod roles;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use requirements::{Programs, Suite};
use serde_json::json;

use crate::boot::{resolve, template};
use crate::client::Answer;
use crate::ministack::{self, Ministack, Names};
use crate::signed::Caller;
use cases::{Case, Who};
pub(crate) use roles::Role;
use roles::Roles;

pub(crate) const ACCOUNT: &str = "000000000000";
const EVERYBODY: [Who; 7] =
    [Who::Reader, Who::Planner, Who::Pipeline, Who::CloudFormation, Who::Task, Who::TaskExecution, Who::Instance];

pub(crate) fn tests(suite: &Suite) -> Vec<Trial> {
    let name = "permissions::every_role_does_what_it_has_to_and_is_refused_the_rest";
    let needed = ministack::needed(Names::Machine);
    vec![
        suite.test(name, needed, enforced),
        suite.test("permissions::bootstrap_makes_everything_and_then_nothing", needed, bootstrap::test),
    ]
}

fn enforced(programs: &Programs) -> Result<()> {
    let emulator = Ministack::enforcing(programs)?;
    compare(&emulator).with_context(|| format!("the emulator's last words:\n{}", emulator.log()))
}

fn compare(emulator: &Ministack) -> Result<()> {
    let endpoint = format!("http://{}", emulator.authority());
    let root = Caller { endpoint, id: "test".to_owned(), secret: "test".to_owned(), session: None };
    let roles = Roles::of(ACCOUNT)?;
    let seen = tried(&root, &roles, "", cases::cases(&roles))?;
    ensure!(seen[0] >= 80 && seen[1] >= 60, "only {} refusals and {} permissions were seen", seen[0], seen[1]);
    let many = Roles::many(ACCOUNT)?;
    let seen = tried(&root, &many, "Many", cases::levels::of_one(&many))?;
    ensure!(seen[0] >= 30 && seen[1] >= 15, "of many: {} refusals and {} permissions were seen", seen[0], seen[1]);
    Ok(())
}

/// Makes the roles and has each try its cases; how many refusals and permissions were seen.
fn tried(root: &Caller, roles: &Roles, prefix: &str, cases: Vec<Case>) -> Result<[usize; 2]> {
    let take = |who: &Who| Ok((*who, taken(root, &format!("{prefix}{who:?}"), who.role(roles))?));
    let callers: Vec<(Who, Caller)> = EVERYBODY.iter().map(take).collect::<Result<_>>()?;
    let (mut seen, mut wrong) = ([0, 0], Vec::new());
    for case in cases {
        let role = case.who.role(roles);
        let evaluated = evaluate::allows(&role.policies, role.boundary.as_ref(), &case.request());
        ensure!(evaluated == case.allowed, "the evaluator says otherwise: {case:?}");
        let caller = callers.iter().find(|(who, _)| *who == case.who).map(|(_, caller)| caller).context("everybody")?;
        let Some(answer) = attempt::make(caller, &case)? else { continue };
        seen[usize::from(case.allowed)] += 1;
        if is_denied(&answer) == case.allowed {
            wrong.push(format!("{case:?}\n  {answer:?}"));
        }
    }
    ensure!(wrong.is_empty(), "{} attempts ended otherwise:\n{}", wrong.len(), wrong.join("\n"));
    Ok(seen)
}

/// Makes the role and takes it. Its own trust policy is left out, since there is no GitHub or AWS service here; the evaluator
/// checks it.
pub(crate) fn taken(root: &Caller, name: &str, role: &Role) -> Result<Caller> {
    let everybody = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": format!("arn:aws:iam::{ACCOUNT}:root")}},
    ]});
    let everybody = everybody.to_string();
    let mut fields = vec![("RoleName", name), ("AssumeRolePolicyDocument", everybody.as_str())];
    ensure!(role.trust["Statement"][0]["Effect"] == "Allow", "{name} trusts nobody");
    let (boundary, document);
    if let Some(policy) = &role.boundary {
        (boundary, document) = (format!("{name}Boundary"), policy.to_string());
        iam(root, "CreatePolicy", &[("PolicyName", &boundary), ("PolicyDocument", &document)])?;
        let arn = format!("arn:aws:iam::{ACCOUNT}:policy/{boundary}");
        fields.push(("PermissionsBoundary", &arn));
        iam(root, "CreateRole", &fields)?;
    } else {
        iam(root, "CreateRole", &fields)?;
    }
    for (number, policy) in role.policies.iter().enumerate() {
        let (number, document) = (format!("policy{number}"), policy.to_string());
        let fields = [("RoleName", name), ("PolicyName", &number), ("PolicyDocument", &document)];
        iam(root, "PutRolePolicy", &fields)?;
    }
    let arn = format!("arn:aws:iam::{ACCOUNT}:role/{name}");
    let fields = [("Action", "AssumeRole"), ("Version", "2011-06-15"), ("RoleArn", &arn), ("RoleSessionName", "suite")];
    let answer = well(root.form("sts", &fields)?, "AssumeRole")?;
    let part = |name: &str| {
        let (_, rest) = answer.split_once(&format!("<{name}>"))?;
        Some(rest.split_once('<')?.0.to_owned())
    };
    Ok(Caller {
        endpoint: root.endpoint.clone(),
        id: part("AccessKeyId").context("no key")?,
        secret: part("SecretAccessKey").context("no secret")?,
        session: part("SessionToken"),
    })
}

pub(crate) fn iam(root: &Caller, action: &str, fields: &[(&str, &str)]) -> Result<()> {
    let fields = [&[("Action", action), ("Version", "2010-05-08")], fields].concat();
    well(root.form("iam", &fields)?, action).map(drop)
}

fn well(answer: Answer, action: &str) -> Result<String> {
    ensure!(answer.status == 200, "{action}: {answer:?}");
    Ok(answer.body)
}

/// Whether it was the permission that was missing; a thing that is not there was asked for with permission.
fn is_denied(answer: &Answer) -> bool {
    let words = ["AccessDenied", "UnauthorizedOperation", "not authorized to perform"];
    answer.status >= 400 && words.iter().any(|word| answer.body.contains(word))
}

/// Whether the emulator decides by more than what it knows.
fn is_beyond(case: &Case) -> bool {
    !case.context.is_empty()
}
