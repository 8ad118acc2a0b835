//! The bucket for templates that are too long for a call: its name, its keys and the address that CloudFormation reads.
//!
//! An account has one in each region, whichever environment's `bootstrap` made it.

use sha2::{Digest as _, Sha256};

use crate::reference::hex;

/// The bucket's name. Its end puts it into the account's own namespace, so that no other account can have the name
/// (<https://docs.aws.amazon.com/AmazonS3/latest/userguide/gpbucketnamespaces.html>).
pub fn bucket(account: &str, region: &str) -> String {
    format!("xtask-templates-{account}-{region}-an")
}

/// The key of a stack's template: the same text has the same key.
pub fn key(stack: &str, body: &str) -> String {
    format!("{stack}/{}.template", hex(&Sha256::digest(body)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_one_place_for_each_account_region_stack_and_text() {
        assert_eq!(bucket("111122223333", "eu-central-1"), "xtask-templates-111122223333-eu-central-1-an");
        // S3's limit; the longest name of a region has 14 characters.
        assert!(bucket("111122223333", "ap-southeast-1").len() <= 63);
        let one = key("rest-api-dev", "Resources: {}");
        assert_eq!(one, key("rest-api-dev", "Resources: {}"));
        assert!(one.starts_with("rest-api-dev/") && one.ends_with(".template") && one.len() == 13 + 64 + 9, "{one}");
        assert_ne!(one, key("rest-api-dev", "Resources: {} "));
        assert_ne!(one, key("rest-api-production", "Resources: {}"));
    }
}
