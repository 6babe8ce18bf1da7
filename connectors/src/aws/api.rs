//! The calls that are made in accounts, each with the pace that AWS and its owner's other programs can bear.

use std::time::Duration;

/// A call to AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Api {
    AssumeRole,
    GetCallerIdentity,
    DescribeRegions,
    DescribeInstances,
    DescribeImages,
    DescribeSnapshots,
    DescribeSnapshotAttribute,
    ModifySnapshotAttribute,
    CopyImage,
    DeregisterImage,
    CopySnapshot,
    DeleteSnapshot,
    CreateVolume,
    DescribeVolumes,
    AttachVolume,
    DeleteVolume,
    RunInstances,
    TerminateInstances,
    ModifyInstanceAttribute,
    CreateTags,
    ListSnapshotBlocks,
    GetSnapshotBlock,
    ReceiveMessage,
    DeleteMessage,
    DescribeTrails,
    GetTrailStatus,
    GetEventSelectors,
    CreateTrail,
    UpdateTrail,
    PutEventSelectors,
    StartLogging,
    DeleteTrail,
    LookupEvents,
}

/// How often an API is called in one account and region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls that may be made at once after a rest.
    pub burst: u32,
    /// Time between calls from then on.
    pub every: Duration,
}

impl Api {
    /// The action as in policies.
    pub const fn action(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts:AssumeRole",
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::DescribeRegions => "ec2:DescribeRegions",
            Self::DescribeInstances => "ec2:DescribeInstances",
            Self::DescribeImages => "ec2:DescribeImages",
            Self::DescribeSnapshots => "ec2:DescribeSnapshots",
            Self::DescribeSnapshotAttribute => "ec2:DescribeSnapshotAttribute",
            Self::ModifySnapshotAttribute => "ec2:ModifySnapshotAttribute",
            Self::CopyImage => "ec2:CopyImage",
            Self::DeregisterImage => "ec2:DeregisterImage",
            Self::CopySnapshot => "ec2:CopySnapshot",
            Self::DeleteSnapshot => "ec2:DeleteSnapshot",
            Self::CreateVolume => "ec2:CreateVolume",
            Self::DescribeVolumes => "ec2:DescribeVolumes",
            Self::AttachVolume => "ec2:AttachVolume",
            Self::DeleteVolume => "ec2:DeleteVolume",
            Self::RunInstances => "ec2:RunInstances",
            Self::TerminateInstances => "ec2:TerminateInstances",
            Self::ModifyInstanceAttribute => "ec2:ModifyInstanceAttribute",
            Self::CreateTags => "ec2:CreateTags",
            Self::ListSnapshotBlocks => "ebs:ListSnapshotBlocks",
            Self::GetSnapshotBlock => "ebs:GetSnapshotBlock",
            Self::ReceiveMessage => "sqs:ReceiveMessage",
            Self::DeleteMessage => "sqs:DeleteMessage",
            Self::DescribeTrails => "cloudtrail:DescribeTrails",
            Self::GetTrailStatus => "cloudtrail:GetTrailStatus",
            Self::GetEventSelectors => "cloudtrail:GetEventSelectors",
            Self::CreateTrail => "cloudtrail:CreateTrail",
            Self::UpdateTrail => "cloudtrail:UpdateTrail",
            Self::PutEventSelectors => "cloudtrail:PutEventSelectors",
            Self::StartLogging => "cloudtrail:StartLogging",
            Self::DeleteTrail => "cloudtrail:DeleteTrail",
            Self::LookupEvents => "cloudtrail:LookupEvents",
        }
    }

    /// Its quota. `LookupEvents` has two calls a second from AWS. EC2 refills 20 describing calls a second, which its owner's programs
    /// share with us, so we take a few. Changes of trails are one a second. Of EC2's changes an account has five a second of most kinds. Blocks
    /// of snapshots have a thousand reads a second.
    pub const fn quota(self) -> Quota {
        match self {
            Self::LookupEvents => Quota { burst: 1, every: Duration::from_millis(550) },
            Self::DescribeRegions
            | Self::DescribeInstances
            | Self::DescribeImages
            | Self::DescribeSnapshots
            | Self::DescribeSnapshotAttribute
            | Self::DescribeVolumes => Quota { burst: 5, every: Duration::from_millis(200) },
            Self::AssumeRole | Self::GetCallerIdentity => Quota { burst: 5, every: Duration::from_millis(200) },
            Self::DescribeTrails | Self::GetTrailStatus | Self::GetEventSelectors => Quota { burst: 5, every: Duration::from_millis(200) },
            Self::ModifySnapshotAttribute | Self::CopyImage => Quota { burst: 1, every: Duration::from_secs(1) },
            Self::DeregisterImage
            | Self::CopySnapshot
            | Self::DeleteSnapshot
            | Self::CreateVolume
            | Self::AttachVolume
            | Self::DeleteVolume
            | Self::RunInstances
            | Self::TerminateInstances
            | Self::ModifyInstanceAttribute
            | Self::CreateTags => Quota { burst: 5, every: Duration::from_millis(250) },
            Self::ListSnapshotBlocks => Quota { burst: 10, every: Duration::from_millis(50) },
            Self::GetSnapshotBlock => Quota { burst: 100, every: Duration::from_millis(4) },
            Self::ReceiveMessage | Self::DeleteMessage => Quota { burst: 50, every: Duration::from_millis(20) },
            Self::CreateTrail | Self::UpdateTrail | Self::PutEventSelectors | Self::StartLogging | Self::DeleteTrail => {
                Quota { burst: 2, every: Duration::from_secs(1) }
            }
        }
    }
}
