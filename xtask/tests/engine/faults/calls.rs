//! The rows of the table: every call that a release makes, every way in which it can fail.

use std::time::Duration;

use serde_json::{Value, json};

use super::link::Way;
use super::service::Behaviour;

/// What there is when the release begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Neither repository nor stack.
    Nothing,
    /// The image is in the registry; there is no stack.
    Image,
    /// As `Image`, and made of sources that the registry has no name for.
    Sources,
    /// A stack that runs this very image, as some other tool has made it.
    Unrecorded,
    /// A stack that runs another image.
    Other,
}

/// Where a call goes, and how it is recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    /// AWS: service and operation as microburst calls them, and what the body must hold (JMESPath).
    Aws(&'static str, &'static str, Option<&'static str>),
    /// The engine sends a layer to the registry.
    Registry,
    /// The smoke test calls the endpoint.
    Endpoint,
}

/// One step of a release that can fail.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) phase: &'static str,
    pub(crate) to: To,
    pub(crate) start: Start,
    /// Whether it changes something, so that its answer can be lost.
    pub(crate) changes: bool,
    /// Whether the tool waits much longer than the suite can for what may pass.
    pub(crate) slow: bool,
    /// Longest that a run may take: the SDK's six attempts, or what the tool and the engine say that they wait.
    pub(crate) deadline: Duration,
}

const fn aws(phase: &'static str, service: &'static str, operation: &'static str, start: Start) -> Call {
    let to = To::Aws(service, operation, None);
    Call { phase, to, start, changes: false, slow: false, deadline: Duration::from_secs(60) }
}

impl Call {
    const fn changing(self) -> Self {
        Self { changes: true, ..self }
    }

    const fn slow(self) -> Self {
        Self { slow: true, ..self }
    }

    const fn within(self, seconds: u64) -> Self {
        Self { deadline: Duration::from_secs(seconds), ..self }
    }

    const fn where_body(self, filter: &'static str) -> Self {
        let To::Aws(service, operation, _) = self.to else { return self };
        Self { to: To::Aws(service, operation, Some(filter)), ..self }
    }

    const fn to(self, to: To) -> Self {
        Self { to, ..self }
    }

    /// As the table names it.
    pub(crate) fn name(&self) -> String {
        match self.to {
            To::Aws(service, operation, _) => format!("{service}:{operation}"),
            To::Registry => "registry upload".to_owned(),
            To::Endpoint => "HTTP GET".to_owned(),
        }
    }
}

const ECR: &str = "ecr";
const STACKS: &str = "cloudformation";
const MEMORY: &str = "ssm";

/// Nothing is waited for in a row of attempts longer than this.
const WATCHED: u64 = 230;
/// An execution without an answer is looked for on the stack for a minute and a half, after the attempts to execute.
const DOUBT: u64 = 180;

/// In the order of a release. The stack is named by its ARN once it is being watched.
pub(crate) const CALLS: [Call; 24] = [
    aws("identity", "sts", "GetCallerIdentity", Start::Image),
    aws("stack look", STACKS, "DescribeStacks", Start::Image).where_body("!starts_with(StackName, 'arn:')"),
    aws("memory look", MEMORY, "GetParameters", Start::Image),
    aws("template look", STACKS, "GetTemplate", Start::Unrecorded),
    aws("registry look", ECR, "DescribeRepositories", Start::Sources),
    aws("registry look", ECR, "BatchGetImage", Start::Image),
    aws("repository creation", ECR, "CreateRepository", Start::Nothing).changing(),
    aws("repository creation", ECR, "PutLifecyclePolicy", Start::Nothing).changing(),
    aws("registry token", ECR, "GetAuthorizationToken", Start::Nothing),
    aws("push", "", "", Start::Nothing).to(To::Registry).within(150),
    aws("naming of sources", ECR, "PutImage", Start::Sources).changing(),
    aws("lock", MEMORY, "PutParameter", Start::Image).where_body("ends_with(Name, '/lock')").changing(),
    aws("change set made", STACKS, "CreateChangeSet", Start::Image).changing(),
    aws("change set made", STACKS, "CreateChangeSet", Start::Other).changing(),
    aws("change set read", STACKS, "DescribeChangeSet", Start::Image),
    aws("lock checked", MEMORY, "GetParameter", Start::Image).within(WATCHED),
    aws("execution", STACKS, "ExecuteChangeSet", Start::Image).changing().within(DOUBT),
    aws("execution", STACKS, "ExecuteChangeSet", Start::Other).changing().within(DOUBT),
    aws("following", STACKS, "DescribeStacks", Start::Image)
        .where_body("starts_with(StackName, 'arn:')")
        .slow()
        .within(WATCHED),
    aws("following", STACKS, "DescribeStackEvents", Start::Image).within(WATCHED),
    aws("smoke", "", "", Start::Image).to(To::Endpoint).within(WATCHED),
    aws("inputs kept", MEMORY, "PutParameter", Start::Image).where_body("contains(Name, '/inputs/')").changing(),
    aws("recording", MEMORY, "PutParameter", Start::Image).where_body("ends_with(Name, '/releases')").changing(),
    aws("unlock", MEMORY, "DeleteParameter", Start::Image).changing(),
];

/// Asked only where something takes long, to tell why, which no release of the suite does; and before an image is pushed
/// into a repository that exists, which goes on without an answer.
pub(crate) const ASIDE: [&str; 2] = ["cloudformation:ListStackResources", "ecr:GetLifecyclePolicy"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Killed,
    Cut,
    AnswerLost,
    Throttled(Strength),
    ServerError(Strength),
    Denied,
    /// This call alone is refused, as where a session ends and another one begins.
    Expired,
    /// From this call on every call to AWS is refused.
    ExpiredForGood,
}

/// Whether a fault stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    Twice,
    Always,
}

pub(crate) const FAULTS: [Fault; 10] = [
    Fault::Killed,
    Fault::Cut,
    Fault::AnswerLost,
    Fault::Throttled(Strength::Twice),
    Fault::Throttled(Strength::Always),
    Fault::ServerError(Strength::Twice),
    Fault::ServerError(Strength::Always),
    Fault::Denied,
    Fault::Expired,
    Fault::ExpiredForGood,
];

/// How long the first refusal is held, so that the rule for all later calls is there before it is answered.
const HELD: u32 = 1500;
const EXPIRED: &str = "The security token included in the request is expired";

impl Fault {
    /// As the table names it.
    pub(crate) fn name(self, call: &Call) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Cut if call.slow => "network cut for 15 attempts",
            Self::Throttled(Strength::Always) if call.slow => "throttled for 15 attempts",
            Self::ServerError(Strength::Always) if call.slow => "500 for 15 attempts",
            Self::Cut => "network cut",
            Self::AnswerLost => "answer lost once",
            Self::Throttled(Strength::Twice) => "throttled twice",
            Self::Throttled(Strength::Always) => "throttled",
            Self::ServerError(Strength::Twice) => "500 twice",
            Self::ServerError(Strength::Always) => "500",
            Self::Denied => "denied",
            Self::Expired => "expired token",
            Self::ExpiredForGood => "credentials expired for good",
        }
    }

    /// Whether it can happen to a call.
    pub(crate) fn applies_to(self, call: &Call) -> bool {
        match self {
            Self::AnswerLost => call.changes,
            Self::ExpiredForGood => matches!(call.to, To::Aws(..)),
            _ => true,
        }
    }

    /// How often it happens.
    pub(crate) fn times(self, call: &Call) -> u32 {
        match self {
            Self::Throttled(Strength::Twice) | Self::ServerError(Strength::Twice) => 2,
            Self::AnswerLost => 1,
            Self::Cut | Self::Throttled(_) | Self::ServerError(_) if call.slow => 15,
            _ => 1_000_000,
        }
    }

    /// As a rule of microburst; `None` where the call is not one of AWS. Each protocol has its own names of the same
    /// errors.
    pub(crate) fn rule(self, call: &Call) -> Option<Value> {
        let To::Aws(service, operation, filter) = call.to else { return None };
        let json_protocol = !["sts", "cloudformation"].contains(&service);
        let pick = |query: &'static str, json: &'static str| if json_protocol { json } else { query };
        let error = |code: &str, status: u16, message: &str| json!({ "error": { "code": code, "status": status, "message": message } });
        let mut rule = match self {
            // The call is held, and never reaches AWS: the tool is killed meanwhile.
            Self::Killed => json!({ "timeout_ms": 600_000 }),
            Self::Cut => json!({ "reset": true }),
            Self::AnswerLost => json!({ "response": { "abort_bytes": 0 } }),
            Self::Throttled(_) => error(pick("Throttling", "ThrottlingException"), 400, "Rate exceeded"),
            Self::ServerError(_) => {
                error(pick("InternalFailure", "InternalServerException"), 500, "An internal error occurred")
            }
            Self::Denied => {
                let code = pick("AccessDenied", "AccessDeniedException");
                error(
                    code,
                    if json_protocol { 400 } else { 403 },
                    &format!("not authorized to perform: {service}:{operation}"),
                )
            }
            Self::Expired | Self::ExpiredForGood => {
                let code = pick("ExpiredToken", "ExpiredTokenException");
                error(code, if json_protocol { 400 } else { 403 }, EXPIRED)
            }
        };
        if self == Self::ExpiredForGood {
            rule["latency"] = HELD.into();
        }
        rule["service"] = service.into();
        rule["operation"] = operation.into();
        rule["times"] = self.times(call).into();
        if let Some(filter) = filter {
            rule["body"] = filter.into();
        }
        Some(rule)
    }

    /// What happens to every call to AWS once the first one has been refused.
    pub(crate) fn rule_for_all_later(self) -> Option<Value> {
        (self == Self::ExpiredForGood)
            .then(|| json!({ "service": "*", "error": { "code": "ExpiredToken", "status": 403, "message": EXPIRED } }))
    }

    /// On the way to the registry.
    pub(crate) fn way(self) -> Way {
        match self {
            Self::Killed => Way::Held,
            Self::Cut | Self::AnswerLost => Way::Cut,
            Self::Throttled(_) => Way::Barred(429, "toomanyrequests: Rate exceeded"),
            Self::ServerError(_) => Way::Barred(500, "an internal error occurred"),
            Self::Denied => Way::Barred(403, "denied: not authorized to perform: ecr:InitiateLayerUpload"),
            Self::Expired | Self::ExpiredForGood => {
                Way::Barred(403, "denied: Your authorization token has expired. Reauthenticate and try again.")
            }
        }
    }

    /// At the endpoint.
    pub(crate) fn behaviour(self) -> Behaviour {
        match self {
            Self::Killed => Behaviour::Silent,
            Self::Cut | Self::AnswerLost => Behaviour::HangsUp,
            Self::Throttled(_) => Behaviour::Status(429),
            Self::ServerError(_) => Behaviour::Status(500),
            Self::Denied => Behaviour::Status(403),
            Self::Expired | Self::ExpiredForGood => Behaviour::Status(401),
        }
    }
}
