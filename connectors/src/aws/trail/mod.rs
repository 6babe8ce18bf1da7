//! The trail that delivers an account's events into our bucket: found, made or mended, and removed again.
//!
//! What is done is decided from a description of what is there ([`decide`]), apart from the calls.

mod decide;

pub use decide::{Decision, Found, Wanted, decide, superfluous, trail_name};

use aws_sdk_cloudtrail::types::{AdvancedEventSelector, EventSelector, ReadWriteType, Trail as Described};
use cloudigrade_schemas::account::{AccountProblem, Trail};

use super::api::Api;
use super::error::{AwsError, FailureKind};
use super::session::Session;

/// Finds the trail that is to be relied on, and makes or mends ours where there is none.
///
/// # Errors
/// What is in the way.
pub async fn ensure(session: &Session, wanted: &Wanted) -> Result<Trail, AccountProblem> {
    let found = find(session, wanted).await.map_err(|error| problem(&error, wanted))?;
    let home = session.target().home_region();
    match decide(&found, wanted) {
        Decision::Accept(trail) => {
            if let Some(ours) = superfluous(&found, trail, wanted) {
                let ours = accepted(ours, wanted);
                if let Err(error) = remove(session, &ours).await {
                    tracing::warn!(trail = ours.arn, %error, "our own trail is no longer needed, but could not be deleted");
                }
            }
            Ok(accepted(trail, wanted))
        }
        Decision::Refuse(problem) => Err(problem),
        Decision::Update(ours) => {
            let region = ours.home_region.clone().unwrap_or_else(|| home.to_owned());
            let arn = update(session, wanted, &region).await.map_err(|error| problem(&error, wanted))?;
            start(session, &arn, &region).await.map_err(|error| problem(&error, wanted))?;
            Ok(ours_at(arn, wanted))
        }
        Decision::Create => {
            let arn = match create(session, wanted, home).await {
                Err(error) if error.code == "TrailAlreadyExistsException" => update(session, wanted, home).await,
                outcome => outcome,
            };
            let arn = arn.map_err(|error| problem(&error, wanted))?;
            start(session, &arn, home).await.map_err(|error| problem(&error, wanted))?;
            Ok(ours_at(arn, wanted))
        }
    }
}

/// Deletes a trail that this program made. One that is gone already is as good.
///
/// # Errors
/// [`AwsError`] when it may still be there.
pub async fn remove(session: &Session, trail: &Trail) -> Result<(), AwsError> {
    if !trail.ours || trail.organization {
        return Ok(());
    }
    // The region in the ARN is the one that the trail was made in, and the only one in which it can be deleted.
    let region = trail.arn.split(':').nth(3).filter(|region| !region.is_empty()).unwrap_or_else(|| session.target().home_region());
    let cloudtrail = session.cloudtrail(region);
    match session.call(region, Api::DeleteTrail, cloudtrail.delete_trail().name(&trail.arn).send()).await {
        Err(error) if error.kind == FailureKind::NotFound => Ok(()),
        outcome => outcome.map(drop),
    }
}

fn ours_at(arn: String, wanted: &Wanted) -> Trail {
    Trail { arn, bucket: wanted.bucket.clone(), organization: false, ours: true }
}

fn accepted(trail: &Found, wanted: &Wanted) -> Trail {
    Trail { arn: trail.arn.clone(), bucket: wanted.bucket.clone(), organization: trail.organization, ours: trail.is_ours(wanted) }
}

/// All trails that show in the home region: those of other regions and of the organisation show there too when they are of all regions.
async fn find(session: &Session, wanted: &Wanted) -> Result<Vec<Found>, AwsError> {
    let home = session.target().home_region();
    let cloudtrail = session.cloudtrail(home);
    let described = cloudtrail.describe_trails().include_shadow_trails(true).send();
    let described = session.call(home, Api::DescribeTrails, described).await?;
    let mut all: Vec<Found> = described.trail_list().iter().filter_map(found).collect();
    for trail in &mut all {
        if trail.is_candidate(wanted) {
            look_closer(session, trail, home).await?;
        }
    }
    Ok(all)
}

fn found(trail: &Described) -> Option<Found> {
    Some(Found {
        name: trail.name()?.to_owned(),
        arn: trail.trail_arn()?.to_owned(),
        bucket: trail.s3_bucket_name().map(str::to_owned),
        home_region: trail.home_region().map(str::to_owned),
        organization: trail.is_organization_trail().unwrap_or(false),
        multi_region: trail.is_multi_region_trail().unwrap_or(false),
        global_events: trail.include_global_service_events().unwrap_or(false),
        validated: trail.log_file_validation_enabled().unwrap_or(false),
        logging: None,
        writes: None,
    })
}

/// Whether a trail logs, and what. Of an organisation's trail a member account may not be told; what is not told stays unknown.
async fn look_closer(session: &Session, trail: &mut Found, home: &str) -> Result<(), AwsError> {
    let region = trail.home_region.clone().unwrap_or_else(|| home.to_owned());
    let cloudtrail = session.cloudtrail(&region);
    let may_be_hidden = |error: &AwsError| {
        trail.organization && (matches!(error.kind, FailureKind::Denied | FailureKind::NotFound) || error.code.starts_with("Invalid"))
    };
    let status = session.call(&region, Api::GetTrailStatus, cloudtrail.get_trail_status().name(&trail.arn).send()).await;
    let logging = match status {
        Ok(status) => Some(status.is_logging().unwrap_or(false)),
        Err(error) if may_be_hidden(&error) => None,
        Err(error) => return Err(error),
    };
    let selectors = cloudtrail.get_event_selectors().trail_name(&trail.arn).send();
    let writes = match session.call(&region, Api::GetEventSelectors, selectors).await {
        Ok(selectors) => Some(logs_writes(selectors.event_selectors(), selectors.advanced_event_selectors())),
        Err(error) if may_be_hidden(&error) => None,
        Err(error) => return Err(error),
    };
    trail.logging = logging;
    trail.writes = writes;
    Ok(())
}

/// Whether selectors let the writing management events through, among which the power events are.
fn logs_writes(selectors: &[EventSelector], advanced: &[AdvancedEventSelector]) -> bool {
    let plain = |selector: &EventSelector| {
        selector.include_management_events().unwrap_or(true) && !matches!(selector.read_write_type(), Some(ReadWriteType::ReadOnly))
    };
    let management = |selector: &AdvancedEventSelector| {
        let fields = selector.field_selectors();
        let is = |field: &str, value: &str| fields.iter().any(|f| f.field() == field && f.equals().iter().any(|v| v == value));
        let narrowed = |field: &str| {
            fields.iter().any(|f| f.field() == field && !(f.equals().is_empty() && f.starts_with().is_empty() && f.ends_with().is_empty()))
        };
        // A selector that is narrowed to some events or sources may leave out those of EC2.
        let leaves_out_ec2 = (narrowed("eventSource") && !is("eventSource", "ec2.amazonaws.com")) || narrowed("eventName");
        is("eventCategory", "Management") && !is("readOnly", "true") && !leaves_out_ec2
    };
    // A trail without selectors logs all management events.
    (selectors.is_empty() && advanced.is_empty()) || selectors.iter().any(plain) || advanced.iter().any(management)
}

async fn create(session: &Session, wanted: &Wanted, region: &str) -> Result<String, AwsError> {
    let cloudtrail = session.cloudtrail(region);
    let create = cloudtrail
        .create_trail()
        .name(&wanted.name)
        .s3_bucket_name(&wanted.bucket)
        .include_global_service_events(true)
        .is_multi_region_trail(true)
        .enable_log_file_validation(true)
        .send();
    let created = session.call(region, Api::CreateTrail, create).await?;
    Ok(created.trail_arn().map_or_else(|| wanted.name.clone(), str::to_owned))
}

async fn update(session: &Session, wanted: &Wanted, region: &str) -> Result<String, AwsError> {
    let cloudtrail = session.cloudtrail(region);
    let update = cloudtrail
        .update_trail()
        .name(&wanted.name)
        .s3_bucket_name(&wanted.bucket)
        .include_global_service_events(true)
        .is_multi_region_trail(true)
        .enable_log_file_validation(true)
        .send();
    let updated = session.call(region, Api::UpdateTrail, update).await?;
    Ok(updated.trail_arn().map_or_else(|| wanted.name.clone(), str::to_owned))
}

/// Only management events that change something: power events are among them, and the first copy of them costs nothing.
async fn start(session: &Session, arn: &str, region: &str) -> Result<(), AwsError> {
    let cloudtrail = session.cloudtrail(region);
    let writes = EventSelector::builder().read_write_type(ReadWriteType::WriteOnly).include_management_events(true).build();
    let selectors = cloudtrail.put_event_selectors().trail_name(arn).event_selectors(writes).send();
    session.call(region, Api::PutEventSelectors, selectors).await?;
    session.call(region, Api::StartLogging, cloudtrail.start_logging().name(arn).send()).await?;
    Ok(())
}

/// What a refusal means, and how to mend it.
fn problem(error: &AwsError, wanted: &Wanted) -> AccountProblem {
    let told = |code: &str, help: String| AccountProblem { code: code.to_owned(), detail: error.to_string(), help };
    let bucket = &wanted.bucket;
    match error.code.as_str() {
        "MaximumNumberOfTrailsExceededException" => told(
            "trail_quota",
            format!(
                "delete a trail that nobody needs (AWS allows five a region), or let an existing trail of all regions write to the bucket {bucket}"
            ),
        ),
        "InsufficientS3BucketPolicyException" => told(
            "trail_bucket",
            format!(
                "let cloudtrail.amazonaws.com s3:GetBucketAcl on the bucket {bucket}, and s3:PutObject on {bucket}/AWSLogs/{}/* with the condition s3:x-amz-acl = bucket-owner-full-control",
                wanted.account_id
            ),
        ),
        "S3BucketDoesNotExistException" | "InvalidS3BucketNameException" => {
            told("trail_bucket", format!("make the bucket {bucket}, or configure the one that exists"))
        }
        "InsufficientEncryptionPolicyException" | "KmsException" | "KmsKeyDisabledException" | "KmsKeyNotFoundException" => {
            told("trail_key", format!("let CloudTrail use the KMS key of the bucket {bucket}: kms:GenerateDataKey* and kms:DescribeKey"))
        }
        "InsufficientDependencyServiceAccessPermissionException" | "CloudTrailAccessNotEnabledException" => told(
            "trail_organization",
            "have the organisation's management account enable CloudTrail as a trusted service, or register a role of that account"
                .to_owned(),
        ),
        _ => match error.kind {
            FailureKind::Denied | FailureKind::Throttled | FailureKind::Unreachable | FailureKind::Expired => error.problem(),
            FailureKind::NotFound | FailureKind::Other => {
                told("trail_failed", format!("see AWS's documentation of {} for this code", error.api.action()))
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::types::AdvancedFieldSelector;

    use super::*;

    fn advanced(fields: &[(&str, &str)]) -> AdvancedEventSelector {
        let field = |(name, value): &(&str, &str)| AdvancedFieldSelector::builder().field(*name).equals(*value).build().unwrap();
        AdvancedEventSelector::builder().set_field_selectors(Some(fields.iter().map(field).collect())).build().unwrap()
    }

    #[test]
    fn selectors_that_let_power_events_through_are_told_from_those_that_do_not() {
        let plain = |kind, management| EventSelector::builder().read_write_type(kind).include_management_events(management).build();
        assert!(logs_writes(&[], &[]));
        assert!(logs_writes(&[plain(ReadWriteType::All, true)], &[]));
        assert!(logs_writes(&[plain(ReadWriteType::WriteOnly, true)], &[]));
        assert!(!logs_writes(&[plain(ReadWriteType::ReadOnly, true)], &[]));
        assert!(!logs_writes(&[plain(ReadWriteType::All, false)], &[]));
        assert!(logs_writes(&[], &[advanced(&[("eventCategory", "Management")])]));
        assert!(logs_writes(&[], &[advanced(&[("eventCategory", "Management"), ("readOnly", "false")])]));
        assert!(logs_writes(&[], &[advanced(&[("eventCategory", "Management"), ("eventSource", "ec2.amazonaws.com")])]));
        assert!(!logs_writes(&[], &[advanced(&[("eventCategory", "Management"), ("readOnly", "true")])]));
        assert!(!logs_writes(&[], &[advanced(&[("eventCategory", "Management"), ("eventSource", "kms.amazonaws.com")])]));
        assert!(!logs_writes(&[], &[advanced(&[("eventCategory", "Data")])]));
    }

    #[test]
    fn each_refusal_says_what_to_mend() {
        let wanted = Wanted::new("logs-of-all", "cloudigrade-", "111122223333", true);
        let problem = |code| problem(&AwsError::told(Api::CreateTrail, Some(code), Some("no"), Some(400)), &wanted);
        for (code, word, hint) in [
            ("MaximumNumberOfTrailsExceededException", "trail_quota", "five a region"),
            ("InsufficientS3BucketPolicyException", "trail_bucket", "logs-of-all/AWSLogs/111122223333/*"),
            ("S3BucketDoesNotExistException", "trail_bucket", "logs-of-all"),
            ("KmsKeyDisabledException", "trail_key", "KMS key"),
            ("AccessDeniedException", "permission_missing", "cloudtrail:CreateTrail"),
            ("InvalidTrailNameException", "trail_failed", "cloudtrail:CreateTrail"),
        ] {
            let told = problem(code);
            assert!(told.code == word && told.help.contains(hint), "{code}: {told:?}");
        }
    }
}
