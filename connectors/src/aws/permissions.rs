//! Whether a role may do what we need: every action is tried, and all that are missing are told at once.
//!
//! EC2 answers a dry run with `DryRunOperation` when the action would have been permitted. CloudTrail has no dry run; its reading
//! actions are harmless, and those that change a trail are tried when the trail is made.

use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_sdk_ec2::types::{OperationType, SnapshotAttributeName};
use cloudigrade_schemas::account::AccountProblem;

use super::api::Api;
use super::error::{AwsError, FailureKind};
use super::session::Session;

/// EC2's answer to a dry run of what is permitted.
pub(super) const DRY_RUN_PERMITTED: &str = "DryRunOperation";
/// Ids of the right form that name nothing.
const NO_SNAPSHOT: &str = "snap-00000000000000000";
const NO_IMAGE: &str = "ami-00000000000000000";

/// What an attempt says about a permission.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Permitted,
    Missing(AwsError),
    /// It was not found out.
    Unknown(AwsError),
}

fn judge(outcome: Result<(), AwsError>) -> Verdict {
    match outcome {
        Ok(()) => Verdict::Permitted,
        Err(error) if error.code == DRY_RUN_PERMITTED => Verdict::Permitted,
        Err(error) if error.kind == FailureKind::Denied => Verdict::Missing(error),
        // What is not there was looked for: that was permitted.
        Err(error) if error.kind == FailureKind::NotFound || error.code.starts_with("Invalid") => Verdict::Permitted,
        Err(error) => Verdict::Unknown(error),
    }
}

/// Tries what is needed for metering, and for reading disks if `share_with` names our own account.
pub async fn check(session: &Session, share_with: Option<&str>) -> Vec<AccountProblem> {
    let home = session.target().home_region();
    let mut outcomes = metering(session, home).await;
    if let Some(us) = share_with {
        outcomes.extend(disks(session, home, us).await);
    }
    let history = history(session, home).await;
    if let Verdict::Unknown(error) = judge(history.clone()) {
        // The reading of history tries again and tells; nothing else needs it.
        tracing::warn!(account = session.target().account_id, %error, "whether the history can be read is not known");
    } else {
        outcomes.push(history);
    }
    problems(outcomes)
}

/// Each once: what fails for all reasons alike (a role that cannot be assumed) is one problem.
fn problems(outcomes: Vec<Result<(), AwsError>>) -> Vec<AccountProblem> {
    let mut problems: Vec<AccountProblem> = Vec::new();
    for outcome in outcomes {
        match judge(outcome) {
            Verdict::Permitted => {}
            Verdict::Missing(error) | Verdict::Unknown(error) => {
                let problem = error.problem();
                if !problems.contains(&problem) {
                    problems.push(problem);
                }
            }
        }
    }
    problems
}

async fn metering(session: &Session, home: &str) -> Vec<Result<(), AwsError>> {
    let ec2 = session.ec2(home);
    let regions = session.call(home, Api::DescribeRegions, ec2.describe_regions().dry_run(true).send()).await;
    let instances = session.call(home, Api::DescribeInstances, ec2.describe_instances().dry_run(true).send()).await;
    let images = session.call(home, Api::DescribeImages, ec2.describe_images().image_ids(NO_IMAGE).dry_run(true).send()).await;
    vec![regions.map(drop), instances.map(drop), images.map(drop)]
}

async fn disks(session: &Session, home: &str, us: &str) -> Vec<Result<(), AwsError>> {
    let ec2 = session.ec2(home);
    let snapshots = ec2.describe_snapshots().owner_ids("self").dry_run(true).send();
    let snapshots = session.call(home, Api::DescribeSnapshots, snapshots).await;
    let share = ec2
        .modify_snapshot_attribute()
        .snapshot_id(NO_SNAPSHOT)
        .attribute(SnapshotAttributeName::CreateVolumePermission)
        .operation_type(OperationType::Add)
        .user_ids(us)
        .dry_run(true)
        .send();
    let share = session.call(home, Api::ModifySnapshotAttribute, share).await;
    let copy = ec2.copy_image().source_image_id(NO_IMAGE).source_region(home).name("cloudigrade").dry_run(true).send();
    let copy = session.call(home, Api::CopyImage, copy).await;
    vec![snapshots.map(drop), share.map(drop), copy.map(drop)]
}

async fn history(session: &Session, home: &str) -> Result<(), AwsError> {
    let cloudtrail = session.cloudtrail(home);
    // As the reading of history asks, for one event only.
    let launches = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventName).attribute_value("RunInstances").build().ok();
    let lookup = cloudtrail.lookup_events().set_lookup_attributes(launches.map(|launches| vec![launches])).max_results(1).send();
    session.call(home, Api::LookupEvents, lookup).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(api: Api, code: &str) -> Result<(), AwsError> {
        Err(AwsError::told(api, Some(code), Some("said so"), Some(400)))
    }

    #[test]
    fn a_dry_run_that_would_have_worked_is_a_permission() {
        assert_eq!(judge(refused(Api::DescribeInstances, "DryRunOperation")), Verdict::Permitted);
        assert_eq!(judge(refused(Api::CopyImage, "InvalidAMIID.NotFound")), Verdict::Permitted);
        assert_eq!(judge(Ok(())), Verdict::Permitted);
    }

    #[test]
    fn all_that_is_missing_is_told_each_with_its_action() {
        let problems = problems(vec![
            refused(Api::DescribeRegions, "DryRunOperation"),
            refused(Api::DescribeInstances, "UnauthorizedOperation"),
            refused(Api::DescribeImages, "UnauthorizedOperation"),
            refused(Api::LookupEvents, "AccessDeniedException"),
        ]);
        assert!(problems.iter().all(|problem| problem.code == "permission_missing"));
        let told: Vec<_> = problems.iter().map(|problem| problem.detail.split(' ').next().unwrap_or_default()).collect();
        assert_eq!(told, ["ec2:DescribeInstances", "ec2:DescribeImages", "cloudtrail:LookupEvents"]);
    }

    #[test]
    fn what_fails_for_one_reason_is_one_problem() {
        let problems = problems(vec![refused(Api::AssumeRole, "AccessDenied"), refused(Api::AssumeRole, "AccessDenied")]);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].code, "assume_role_denied");
    }

    #[test]
    fn what_was_not_found_out_is_not_taken_for_a_permission() {
        let problems =
            problems(vec![refused(Api::DescribeInstances, "InternalError"), refused(Api::DescribeImages, "RequestLimitExceeded")]);
        assert_eq!(problems.iter().map(|problem| problem.code.as_str()).collect::<Vec<_>>(), ["unreachable", "throttled"]);
    }
}
