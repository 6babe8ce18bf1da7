//! What this program may do in an account, as data: the least that it needs, each permission with its reason.
//!
//! The same statements make the texts that a customer pastes and the session policy by which each session limits itself.

mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use super::api::Api;

pub use text::{PolicyFormat, policy_text};

/// What the permissions of a statement are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// To see instances, images and history.
    Metering,
    /// To see that a trail logs the account's events.
    TrailCheck,
    /// To make such a trail, change it and delete it.
    Trail,
    /// To read the disks of images that nothing else tells enough about. Optional.
    Disks,
}

/// What a statement's permissions are limited to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// These actions know no narrower one.
    Everything,
    /// The account's trails whose names begin with our prefix.
    OurTrails,
    /// Snapshots of the account.
    Snapshots,
}

/// One statement of the policy.
#[derive(Clone, Copy, Debug)]
pub struct Statement {
    /// Its name in the policy.
    pub sid: &'static str,
    /// What it is for.
    pub purpose: Purpose,
    /// What it allows.
    pub actions: &'static [&'static str],
    /// On what.
    pub scope: Scope,
    /// Under which condition.
    pub condition: Condition,
    /// Why it is needed.
    pub reason: &'static str,
}

/// The conditions of statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// None.
    None,
    /// A snapshot is shared with our account, and with no other and not with everybody.
    SharedWithUsOnly,
    /// Tags are set on what was just copied, and on nothing else.
    OnCopiesOnly,
    /// Only what is tagged as made by us.
    OursOnly,
    /// Only where EBS asks for it.
    ForEbsOnly,
}

/// The tag that all has that is made for looking into images.
const OUR_TAG: &str = "aws:ResourceTag/cloudigrade-installation";
/// The services that use keys of disks.
const EBS: [&str; 2] = ["ec2.*", "ebs.*"];

/// The statement by which images are described.
const SEE_IMAGES: &str = "SeeInstancesAndImages";
/// The statements for disks that are tried when an account is verified.
const TRIED: [&str; 3] = ["SeeSnapshots", "ShareSnapshotsWithUs", "CopyImages"];

/// All statements.
pub const STATEMENTS: [Statement; 11] = [
    Statement {
        sid: SEE_IMAGES,
        purpose: Purpose::Metering,
        actions: &[Api::DescribeRegions.action(), Api::DescribeInstances.action(), Api::DescribeImages.action()],
        scope: Scope::Everything,
        condition: Condition::None,
        reason: "Which instances run, since when, and what EC2 says of their images.",
    },
    Statement {
        sid: "ReadPowerHistory",
        purpose: Purpose::Metering,
        actions: &[Api::LookupEvents.action()],
        scope: Scope::Everything,
        condition: Condition::None,
        reason: "What was started and stopped in the 90 days before the account was registered.",
    },
    Statement {
        sid: "SeeTrails",
        purpose: Purpose::TrailCheck,
        actions: &[Api::DescribeTrails.action(), Api::GetTrailStatus.action(), Api::GetEventSelectors.action()],
        scope: Scope::Everything,
        condition: Condition::None,
        reason: "Whether a trail of the account or its organisation already delivers events.",
    },
    Statement {
        sid: "KeepOurTrail",
        purpose: Purpose::Trail,
        actions: &[
            Api::CreateTrail.action(),
            Api::UpdateTrail.action(),
            Api::PutEventSelectors.action(),
            Api::StartLogging.action(),
            Api::DeleteTrail.action(),
        ],
        scope: Scope::OurTrails,
        condition: Condition::None,
        reason: "To have new events delivered where no trail does. Other trails cannot be touched. Leave it out where one does.",
    },
    Statement {
        sid: "SeeSnapshots",
        purpose: Purpose::Disks,
        actions: &[Api::DescribeSnapshots.action(), Api::DescribeSnapshotAttribute.action()],
        scope: Scope::Everything,
        condition: Condition::None,
        reason: "Which disks an image has, and with whom they are shared.",
    },
    Statement {
        sid: "ShareSnapshotsWithUs",
        purpose: Purpose::Disks,
        actions: &[Api::ModifySnapshotAttribute.action()],
        scope: Scope::Snapshots,
        condition: Condition::SharedWithUsOnly,
        reason: "To read an image's disks outside of your account. They are shared with nobody else, and only until they are read.",
    },
    Statement {
        sid: "CopyImages",
        purpose: Purpose::Disks,
        actions: &[Api::CopyImage.action()],
        scope: Scope::Everything,
        condition: Condition::None,
        reason: "To get at the disks of images that others share with you.",
    },
    Statement {
        sid: "TagCopies",
        purpose: Purpose::Disks,
        actions: &[Api::CreateTags.action()],
        scope: Scope::Everything,
        condition: Condition::OnCopiesOnly,
        reason: "To mark such a copy as ours. Nothing else can be tagged.",
    },
    Statement {
        sid: "RemoveCopies",
        purpose: Purpose::Disks,
        actions: &[Api::DeregisterImage.action(), Api::DeleteSnapshot.action()],
        scope: Scope::Everything,
        condition: Condition::OursOnly,
        reason: "To remove such a copy once it was looked into. Nothing else can be removed.",
    },
    Statement {
        sid: "ReadBlocks",
        purpose: Purpose::Disks,
        actions: &[Api::ListSnapshotBlocks.action(), Api::GetSnapshotBlock.action()],
        scope: Scope::Snapshots,
        condition: Condition::None,
        reason: "To read the few blocks of a disk that are needed straight from its snapshot, without sharing or copying it.",
    },
    Statement {
        sid: "ReadEncryptedBlocks",
        purpose: Purpose::Disks,
        actions: &["kms:Decrypt"],
        scope: Scope::Everything,
        condition: Condition::ForEbsOnly,
        reason: "The same for encrypted disks, where the policy of their key lets this role. Leave it out to keep them closed.",
    },
];

/// Whom and what a policy is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFor {
    /// Our own account, which the role trusts: twelve digits.
    pub principal_account: String,
    /// The partition of both accounts: `aws`, `aws-cn`, `aws-us-gov`.
    pub partition: String,
    /// What the role asks for, so that nobody else can use it through us.
    pub external_id: String,
    /// How the names of our trails begin.
    pub trail_prefix: String,
    /// Whether disks may be read.
    pub with_disks: bool,
    /// Whether a trail may be made.
    pub with_trail: bool,
}

impl PolicyFor {
    /// The statements of this policy, in order.
    pub fn statements(&self) -> impl Iterator<Item = Statement> + '_ {
        STATEMENTS.into_iter().filter(|statement| match statement.purpose {
            Purpose::Metering | Purpose::TrailCheck => true,
            Purpose::Trail => self.with_trail,
            Purpose::Disks => self.with_disks,
        })
    }

    /// The inline policy of a session that collects from an account: compact, as STS limits its length. Of what is for disks it has what shows
    /// whether it is permitted.
    ///
    /// # Errors
    /// None but those of a JSON writer into memory.
    pub fn session_policy(&self, account_id: &str) -> serde_json::Result<String> {
        let trails = format!("arn:{}:cloudtrail:*:{account_id}:trail/{}*", self.partition, self.trail_prefix);
        let tried = |statement: &Statement| statement.purpose != Purpose::Disks || TRIED.contains(&statement.sid);
        self.compact(self.statements().filter(tried), &trails)
    }

    /// The inline policy of a session that reads an image's disks.
    ///
    /// # Errors
    /// None but those of a JSON writer into memory.
    pub fn disks_session_policy(&self) -> serde_json::Result<String> {
        let needed = |statement: &Statement| statement.purpose == Purpose::Disks || statement.sid == SEE_IMAGES;
        self.compact(self.statements().filter(needed), "")
    }

    fn compact(&self, statements: impl Iterator<Item = Statement>, trails: &str) -> serde_json::Result<String> {
        let snapshots = format!("arn:{}:ec2:*::snapshot/*", self.partition);
        let statements = statements.map(|statement| self.written(&statement, None, trails, &snapshots)).collect();
        serde_json::to_string(&Document { version: VERSION, statement: statements })
    }

    fn written(&self, statement: &Statement, sid: Option<&'static str>, trails: &str, snapshots: &str) -> Written {
        let resource = match statement.scope {
            Scope::Everything => "*".to_owned(),
            Scope::OurTrails => trails.to_owned(),
            Scope::Snapshots => snapshots.to_owned(),
        };
        let mut conditions = BTreeMap::<_, BTreeMap<_, _>>::new();
        for (test, variable, values) in conditions_of(statement.condition, &self.principal_account) {
            conditions.entry(test).or_default().insert(variable, values);
        }
        let condition = Some(conditions).filter(|conditions| !conditions.is_empty());
        Written { sid, effect: "Allow", principal: None, action: Actions::Many(statement.actions), resource: Some(resource), condition }
    }

    /// Who may assume the role, and by which external id.
    fn trust(&self) -> Document {
        let root = format!("arn:{}:iam::{}:root", self.partition, self.principal_account);
        let statement = Written {
            sid: Some("LetCloudigradeIn"),
            effect: "Allow",
            principal: Some(Principal { aws: root }),
            action: Actions::One("sts:AssumeRole"),
            resource: None,
            condition: Some(BTreeMap::from([(
                "StringEquals",
                BTreeMap::from([("sts:ExternalId", Values::One(self.external_id.clone()))]),
            )])),
        };
        Document { version: VERSION, statement: vec![statement] }
    }
}

/// The version of IAM's policy language.
const VERSION: &str = "2012-10-17";

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    version: &'static str,
    statement: Vec<Written>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<&'static str>,
    effect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<Principal>,
    action: Actions,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<BTreeMap<&'static str, BTreeMap<&'static str, Values>>>,
}

#[derive(Debug, Serialize)]
struct Principal {
    #[serde(rename = "AWS")]
    aws: String,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Actions {
    One(&'static str),
    Many(&'static [&'static str]),
}

/// Values of a condition, as IAM writes them.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Values {
    One(String),
    Many(&'static [&'static str]),
}

/// A condition's parts: the test, the variable, and the values of which one must hold.
fn conditions_of(condition: Condition, us: &str) -> Vec<(&'static str, &'static str, Values)> {
    let one = |value: &str| Values::One(value.to_owned());
    match condition {
        Condition::None => Vec::new(),
        Condition::SharedWithUsOnly => vec![
            ("StringEqualsIfExists", "ec2:Add/userId", one(us)),
            ("StringEqualsIfExists", "ec2:Remove/userId", one(us)),
            ("Null", "ec2:Add/group", one("true")),
        ],
        Condition::OnCopiesOnly => vec![("StringEquals", "ec2:CreateAction", one("CopyImage"))],
        Condition::OursOnly => vec![("Null", OUR_TAG, one("false"))],
        Condition::ForEbsOnly => vec![("StringLike", "kms:ViaService", Values::Many(&EBS))],
    }
}

#[cfg(test)]
mod tests;
