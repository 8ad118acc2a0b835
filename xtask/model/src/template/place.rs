//! Finds the line of something in a template. It knows YAML, not CloudFormation.

use super::yaml::{self, Content, Node};

/// The line, from 1, to which `path` leads through keys and numbers of list items. After the second step, a
/// missing step leaves the line of its parent.
pub(crate) fn line(text: &str, path: &[&str]) -> Option<usize> {
    let root = yaml::read(text).ok()??;
    let mut node = &root;
    let mut line = None;
    for (depth, step) in path.iter().enumerate() {
        match descend(node, step) {
            Some((found, child)) => (line, node) = (Some(found), child),
            None if depth < 2 => return None,
            None => break,
        }
    }
    line
}

/// One step down: the line of the key or item, and its value. Of a key that occurs twice, the last.
fn descend<'a>(node: &'a Node, step: &str) -> Option<(usize, &'a Node)> {
    match &node.content {
        Content::Map(entries) => {
            let entry = entries.iter().rfind(|entry| entry.key == step)?;
            Some((entry.line, &entry.value))
        }
        Content::List(items) => {
            let item = items.get(step.parse::<usize>().ok()?)?;
            Some((item.line, item))
        }
        Content::Function(name, inner) if name == step => Some((node.line, inner)),
        Content::Function(_, inner) => descend(inner, step),
        Content::Scalar(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
Parameters:
  Queue:
    Type: String
Resources:
  # Queue: not here
  Topic: {Type: AWS::SNS::Topic}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      Name: !Sub '${AWS::StackName}-queue'
      Tags: !If
        - Yes
        - - Key: a
            Value: b
        - !Ref AWS::NoValue
Outputs:
  Gone:
    Value: x
";

    #[test]
    fn a_resource_is_found_at_its_declaration_and_not_elsewhere() {
        assert_eq!(line(TEXT, &["Resources", "Queue"]), Some(7));
        assert_eq!(line(TEXT, &["Resources", "Topic"]), Some(6));
    }

    #[test]
    fn a_property_is_found_through_keys_items_and_tags() {
        assert_eq!(line(TEXT, &["Resources", "Queue", "Properties", "Name"]), Some(10));
        assert_eq!(line(TEXT, &["Resources", "Queue", "Properties", "Tags", "1", "0", "Value"]), Some(14));
    }

    #[test]
    fn a_missing_property_leads_to_its_nearest_parent() {
        assert_eq!(line(TEXT, &["Resources", "Queue", "Properties", "Absent", "Deeper"]), Some(9));
        assert_eq!(line(TEXT, &["Resources", "Gone"]), None);
        assert_eq!(line("a: [", &["a", "b"]), None);
    }
}
