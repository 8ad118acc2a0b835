//! Every combination of the matrix has a price, and two ways of evaluating a template agree on it.

#[expect(dead_code, reason = "when what exists is the rendered suite's concern")]
#[path = "../../../../tests/infra/combinations.rs"]
pub mod combinations;
#[path = "../../../../tests/infra/pairs.rs"]
mod pairs;
#[path = "../../../../tests/infra/render.rs"]
pub mod render;
#[path = "../../../../tests/infra/resolve.rs"]
mod resolve;
#[path = "../../../../tests/infra/template.rs"]
pub mod template;

use std::collections::BTreeMap;

use crate::cost::monthly;

/// The suite's renderer refuses unknown functions; the tool's evaluation keeps them. Each checks the other.
#[test]
fn every_combination_costs_the_same_rendered_or_not() {
    for matrix in combinations::all().unwrap() {
        let path = template::directory().join(&matrix.file);
        let (body, parsed) = (std::fs::read_to_string(&path).unwrap(), template::load(&path).unwrap());
        for combination in matrix.combinations {
            let region = &combination.parameters["AWS::Region"];
            let raw = monthly(&body, &combination.parameters, region).unwrap();
            let rendered = render::render(&parsed, &combination.parameters).unwrap();
            let rendered = monthly(&rendered.to_string(), &BTreeMap::new(), region).unwrap();
            assert_eq!(raw, rendered, "{} with {}", matrix.file, combination.name);
            let is_known = |reason: &str| reason == "Container Insights is billed by metric";
            assert!(raw.unknown.iter().all(|one| is_known(&one.reason)), "{}: {:?}", matrix.file, raw.unknown);
        }
    }
}
