//! Our templates with neighbouring sets of parameters: the comparison agrees with that of strictly rendered templates.

use std::collections::BTreeMap;

use super::{Comparison, Side, lines};
use crate::cost::tests::matrix::{combinations, render, template};

/// The renderer evaluates everything before the comparison, so that no reference has to be followed.
#[test]
fn neighbours_in_the_matrix_differ_rendered_or_not() {
    let none = BTreeMap::new();
    let (mut seen, mut same) = (0, 0);
    for matrix in combinations::all().unwrap() {
        let path = template::directory().join(&matrix.file);
        let (body, parsed) = (std::fs::read_to_string(&path).unwrap(), template::load(&path).unwrap());
        for pair in matrix.combinations.windows(2) {
            let [then, now] = pair else { continue };
            let region = &now.parameters["AWS::Region"];
            if then.parameters["AWS::Region"] != *region {
                continue;
            }
            let rendered = [then, now].map(|one| render::render(&parsed, &one.parameters).unwrap().to_string());
            let [before, after] = [then, now].map(|one| Side { body: &body, parameters: &one.parameters });
            let raw = Comparison::of(Some(before), after, region).unwrap();
            let [before, after] = [&rendered[0], &rendered[1]].map(|body| Side { body, parameters: &none });
            let rendered = Comparison::of(Some(before), after, region).unwrap();
            let (raw, rendered) = (lines(&raw.changes(&BTreeMap::new())), lines(&rendered.changes(&BTreeMap::new())));
            assert_eq!(raw, rendered, "{}: {} after {}", matrix.file, now.name, then.name);
            seen += 1;
            same += usize::from(raw.is_empty());
        }
    }
    assert!(seen > 20 && same < seen / 2, "{seen} pairs, of which {same} do not differ");
}
