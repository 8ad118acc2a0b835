//! The console output of an instance.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error;
use crate::signed::{Call, EC2, Signed, tag};
use model::outcome::{Exit, Failure, FailureKind};

/// The latest console output of an instance; empty if there is none.
pub async fn console_output(signed: &Signed, instance: &str) -> Result<String, Failure> {
    let call = Call { service: &EC2, action: "ec2:GetConsoleOutput", resource: instance };
    let of = ("InstanceId", instance);
    let answer = match signed.query(call, &[of, ("Latest", "true")]).await {
        // Only some instance types return the latest output; the others only that of the boot.
        Err(failure) if error::code(&failure).starts_with("UnsupportedOperation") => signed.query(call, &[of]).await,
        other => other,
    }?;
    let encoded: String = tag(&answer, "output").unwrap_or_default().split_whitespace().collect();
    let bytes = STANDARD.decode(encoded).map_err(|_| {
        let failure = Failure::new(Exit::Failed, FailureKind::Aws, format!("{} failed", call.action));
        failure.resource(instance).reason("the answer is not base64")
    })?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use wiremock::matchers::{body_string_contains, header_exists};
    use wiremock::{Mock, MockServer, ResponseTemplate};

    use super::*;

    #[tokio::test]
    async fn an_instance_that_returns_only_its_boot_is_read_too() {
        let server = MockServer::start().await;
        let refusal = "<Response><Errors><Error><Code>UnsupportedOperation</Code></Error></Errors></Response>";
        Mock::given(body_string_contains("Latest=true"))
            .respond_with(ResponseTemplate::new(400).set_body_string(refusal))
            .mount(&server)
            .await;
        let output = STANDARD.encode("boot: FAILURE while pulling\n");
        let answer = format!("<GetConsoleOutputResponse><output>{output}\n</output></GetConsoleOutputResponse>");
        Mock::given(header_exists("authorization"))
            .and(body_string_contains("InstanceId=i-1"))
            .respond_with(ResponseTemplate::new(200).set_body_string(answer))
            .mount(&server)
            .await;
        let signed = Signed::at(&server.uri());
        assert_eq!(console_output(&signed, "i-1").await.unwrap(), "boot: FAILURE while pulling\n");
    }

    #[tokio::test]
    async fn a_denied_console_names_action_and_reason() {
        let server = MockServer::start().await;
        let refusal = "<Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>not for you</Message>\
                       </Error></Errors></Response>";
        let answer = ResponseTemplate::new(403).set_body_string(refusal);
        Mock::given(header_exists("authorization")).respond_with(answer).expect(1).mount(&server).await;
        let failure = console_output(&Signed::at(&server.uri()), "i-1").await.unwrap_err();
        assert_eq!(failure.message, "ec2:GetConsoleOutput failed");
        assert_eq!(failure.reason.as_deref(), Some("UnauthorizedOperation: not for you"));
    }
}
