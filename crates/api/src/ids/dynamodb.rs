//! The table that all instances lease their ids from: one item, whose number is the last id that was ever leased.
//!
//! A lease adds the size of a block to that number, in one call that needs no reading before: of two instances that call
//! at the same moment, each gets a block, and an item that does not exist yet counts as 0, so that the first id is 1. A
//! call whose answer is lost may have leased a block. It is repeated like one that failed, by the SDK or by the caller:
//! the lost block is skipped, and never used twice.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The table's partition key, a string.
const KEY: &str = "counter";
/// The item that counts.
const ITEM: &str = "greetings";
/// Its attribute, a number: the last id that was leased.
const LAST: &str = "leased";
/// The largest id: what every JSON parser reads exactly, JavaScript's included (2^53 - 1).
const LARGEST: u64 = (1 << 53) - 1;
/// What a lease asks for. Anything else than a counter with room for the block stays as it is.
const CONDITION: &str = "attribute_not_exists(#last) OR #last BETWEEN :zero AND :room";

/// How long a connection may take to come about, and how long one attempt.
const CONNECT: Duration = Duration::from_secs(1);
const ATTEMPT: Duration = Duration::from_secs(2);
/// How many attempts a lease has: a moment's throttling is no outage.
const ATTEMPTS: u32 = 3;

/// Why no block was leased.
#[derive(Debug, thiserror::Error)]
pub(super) enum LeaseError {
    #[error(
        "cannot lease ids from the table {table} in {region}; it needs the partition key `{KEY}` of type S, and this \
         process the permission dynamodb:UpdateItem"
    )]
    Call { table: String, region: String, source: Box<SdkError<UpdateItemError>> },
    #[error(
        "the item `{ITEM}` of the table {table} has no room for a block in `{LAST}`: that is no number from 0, or the \
         ids up to {LARGEST} are used up"
    )]
    NoRoom { table: String },
    #[error("the table {table} answers a lease with {answer}, which is no counter")]
    Answer { table: String, answer: String },
}

/// A table, and how many ids a lease takes from it.
pub(super) struct Table {
    client: Client,
    name: String,
    region: String,
    size: u64,
}

impl Table {
    /// Finds out where the table is and who asks, as every AWS SDK does; a mistake shows with the first lease.
    pub(super) async fn open(name: String, size: u64) -> Self {
        let retries = RetryConfig::standard()
            .with_max_attempts(ATTEMPTS)
            .with_initial_backoff(Duration::from_millis(50))
            .with_max_backoff(Duration::from_millis(500));
        let timeouts = TimeoutConfig::builder().connect_timeout(CONNECT).operation_attempt_timeout(ATTEMPT).build();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .retry_config(retries)
            .timeout_config(timeouts)
            .load()
            .await;
        let region = config.region().map_or_else(|| "no region (set AWS_REGION)".to_owned(), Region::to_string);
        Self { client: Client::new(&config), name, region, size }
    }

    /// Leases a block that nobody else is given, and returns its first id.
    pub(super) async fn lease(&self) -> Result<u64, LeaseError> {
        let number = |number: u64| AttributeValue::N(number.to_string());
        let update = self
            .client
            .update_item()
            .table_name(&self.name)
            .key(KEY, AttributeValue::S(ITEM.to_owned()))
            .update_expression("ADD #last :block")
            .condition_expression(CONDITION)
            .expression_attribute_names("#last", LAST)
            .expression_attribute_values(":block", number(self.size))
            .expression_attribute_values(":zero", number(0))
            .expression_attribute_values(":room", number(LARGEST - self.size))
            .return_values(ReturnValue::UpdatedNew);
        match update.send().await {
            Ok(output) => self.first(output.attributes().and_then(|item| item.get(LAST))),
            Err(error)
                if error.as_service_error().is_some_and(|error| error.is_conditional_check_failed_exception()) =>
            {
                Err(LeaseError::NoRoom { table: self.name.clone() })
            }
            Err(error) => {
                Err(LeaseError::Call { table: self.name.clone(), region: self.region.clone(), source: Box::new(error) })
            }
        }
    }

    /// The first id of the block that ends with this one.
    fn first(&self, last: Option<&AttributeValue>) -> Result<u64, LeaseError> {
        let number = last.and_then(|last| last.as_n().ok()).and_then(|text| text.parse::<u64>().ok());
        let whole = number.filter(|last| (self.size..=LARGEST).contains(last));
        whole.map(|last| last - self.size + 1).ok_or_else(|| LeaseError::Answer {
            table: self.name.clone(),
            answer: last.map_or_else(|| "nothing".to_owned(), |last| format!("{last:?}")),
        })
    }
}

/// A client that trusts Mozilla's authorities: the image holds no list of any.
fn http_client() -> aws_sdk_dynamodb::config::SharedHttpClient {
    let certificate =
        |der: &&[u8]| format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", STANDARD.encode(der));
    let authorities = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(AsRef::as_ref);
    let pem: String = authorities.map(|der: &[u8]| certificate(&der)).collect();
    let trust = TrustStore::empty().with_pem_certificate(pem);
    let context = TlsContext::builder().with_trust_store(trust).build().expect("the authorities are compiled in");
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .tls_context(context)
        .build_https()
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn table() -> Table {
        Table::open("ids".to_owned(), 10).await
    }

    #[tokio::test]
    async fn a_block_ends_with_the_number_that_the_table_answers() {
        let table = table().await;
        let first = |text: &str| table.first(Some(&AttributeValue::N(text.to_owned())));
        assert_eq!((first("10").unwrap(), first("9007199254740991").unwrap()), (1, 9_007_199_254_740_982));
        for wrong in ["0", "9", "-1", "10.5", "1E1", "9007199254740992", ""] {
            assert!(first(wrong).is_err(), "{wrong}");
        }
        let error = table.first(None).unwrap_err();
        assert_eq!(error.to_string(), "the table ids answers a lease with nothing, which is no counter");
        assert!(table.first(Some(&AttributeValue::S("10".to_owned()))).is_err());
    }
}
