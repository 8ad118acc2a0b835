//! Drift that could not be detected is not "no drift".

use super::*;

fn detected(compared: Vec<&'static str>) -> After {
    let undetected = Some(("AccessDenied for Queue", compared));
    run(World { undetected, ..world(stack("UPDATE_COMPLETE")) }, &["drift", "dev"])
}

#[test]
fn a_missing_comparison_is_a_failure() {
    let after = detected(Vec::new());
    assert_eq!(after.ended.code, 1, "{}", after.words());
    assert!(after.words().contains("error: stack rest-api-dev was not compared"), "{}", after.words());
    assert!(after.words().contains("AccessDenied for Queue"), "{}", after.words());
    assert!(!after.words().contains("matches its template"), "{}", after.words());
}

#[test]
fn a_partial_comparison_is_reported_as_partial() {
    let after = detected(vec!["Topic"]);
    assert_eq!(after.ended.code, 0, "{}", after.words());
    assert!(after.words().contains("matches its template as far as it was compared"), "{}", after.words());
    assert!(after.words().contains("AccessDenied for Queue"), "{}", after.words());
}
