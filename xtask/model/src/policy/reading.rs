//! What is read besides, to tell what a release would change, what has drifted and what is wrong with an image.

use super::Level;
use super::grants::Grant;
use super::scope::Scope;

pub(super) const GRANTS: &[Grant] = &[
    Grant { sid: "Scan", level: Level::Read, scope: Scope::Repository, actions: &["ecr:DescribeImageScanFindings"] },
    // Public schemas, and the state of a detection that only its number names.
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
            // CloudFormation asks for it too when it looks at each resource.
            "cloudformation:DetectStackResourceDrift",
        ],
    },
];
