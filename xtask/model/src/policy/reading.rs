//! What `diff`, `drift` and the image's scan read.

use super::Level;
use super::grants::Grant;
use super::scope::Scope;

pub(super) const GRANTS: &[Grant] = &[
    Grant { sid: "Scan", level: Level::Read, scope: Scope::Repository, actions: &["ecr:DescribeImageScanFindings"] },
    // Public schemas, and the state of a detection, which only has an id.
    Grant {
        sid: "Types",
        level: Level::Read,
        scope: Scope::Any,
        actions: &[
            "cloudformation:BatchDescribeTypeConfigurations",
            "cloudformation:DescribeStackDriftDetectionStatus",
            "cloudformation:DescribeType",
        ],
    },
    Grant {
        sid: "Drift",
        level: Level::Read,
        scope: Scope::Stack,
        actions: &[
            "cloudformation:DescribeStackResourceDrifts",
            "cloudformation:DetectStackDrift",
            // CloudFormation requires it too, for each resource.
            "cloudformation:DetectStackResourceDrift",
        ],
    },
];
