//! Which objects are read: by bucket, before anything is asked of S3, and by key.

use super::notification::ObjectRef;
use super::options::Checked;

/// What becomes of an object that a notification names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It holds records, or is a digest that says which objects hold them: read it.
    Read,
    /// It is of no interest.
    Ignore,
    /// Its bucket is not among those that may be read.
    BucketNotAllowed,
}

/// Chooses.
pub fn choose(object: &ObjectRef, options: &Checked) -> Choice {
    if object.on_disk {
        // Who listed the folder has chosen already: names on a disk may be any.
        let wanted = options.include.as_ref().is_none_or(|include| include.is_match(&object.key));
        return if wanted { Choice::Read } else { Choice::Ignore };
    }
    if !options.buckets.is_match(&object.bucket) {
        return Choice::BucketNotAllowed;
    }
    let service = trail_service(&object.key);
    if service == Some("CloudTrail-Digest") {
        // Whatever is asked for, digests say whether all of it has come.
        return Choice::Read;
    }
    let wanted = match &options.include {
        Some(include) => include.is_match(&object.key),
        None => service == Some("CloudTrail"),
    };
    if wanted { Choice::Read } else { Choice::Ignore }
}

/// The service in `[prefix/]AWSLogs/[o-ORGANISATION/]ACCOUNT/SERVICE/…/NAME.json[.gz]`, the paths under which CloudTrail and others
/// write. The account is only a sign of the form: what an object tells is believed from its records alone.
fn trail_service(key: &str) -> Option<&str> {
    if !(key.ends_with(".json.gz") || key.ends_with(".json")) {
        return None;
    }
    let mut segments = key.split('/').skip_while(|segment| *segment != "AWSLogs").skip(1).peekable();
    if segments.peek().is_some_and(|segment| is_organisation(segment)) {
        segments.next();
    }
    let account = segments.next()?;
    let service = segments.next()?;
    (is_account(account) && segments.next().is_some()).then_some(service)
}

/// Whether a segment of a path is an account's.
pub(in crate::source) fn is_account(segment: &str) -> bool {
    segment.len() == 12 && segment.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a segment of a path is an organisation's.
pub(in crate::source) fn is_organisation(segment: &str) -> bool {
    let id = segment.strip_prefix("o-").unwrap_or_default();
    (10..=32).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sqs::options::SqsOptions;

    fn chosen(bucket: &str, key: &str, include: &[&str]) -> Choice {
        let mut options = SqsOptions::new("https://sqs.eu-west-1.amazonaws.com/1/q", vec!["trail".into(), "org-*".into()]);
        options.include = include.iter().map(|glob| (*glob).to_owned()).collect();
        let object = ObjectRef { bucket: bucket.into(), key: key.into(), ..ObjectRef::default() };
        choose(&object, &options.check().unwrap())
    }

    const LOG: &str = "AWSLogs/000000000012/CloudTrail/us-east-1/2024/03/01/000000000012_CloudTrail_us-east-1_20240301T0900Z_abc.json.gz";

    #[test]
    fn logs_of_accounts_and_organisations_are_read_below_any_prefix() {
        let organisation = LOG.replace("AWSLogs/", "AWSLogs/o-a1b2c3d4e5/");
        for key in [LOG.to_owned(), organisation, format!("some/prefix/{LOG}"), LOG.trim_end_matches(".gz").to_owned()] {
            assert_eq!(chosen("trail", &key, &[]), Choice::Read, "{key}");
        }
    }

    #[test]
    fn what_others_write_beside_them_is_passed_over() {
        let as_if = |service: &str| LOG.replacen("/CloudTrail/", &format!("/{service}/"), 1);
        assert_eq!(chosen("trail", &as_if("CloudTrail-Digest"), &[]), Choice::Read);
        for service in ["CloudTrail-Insight", "Config", "elasticloadbalancing", "vpcflowlogs"] {
            assert_eq!(chosen("trail", &as_if(service), &[]), Choice::Ignore, "{service}");
        }
        for key in [
            "AWSLogs/000000000012/CloudTrail/",
            "AWSLogs/12/CloudTrail/us-east-1/a.json.gz",
            "x.json.gz",
            "AWSLogs/o-1/000000000012/CloudTrail/a.json.gz",
        ] {
            assert_eq!(chosen("trail", key, &[]), Choice::Ignore, "{key}");
        }
    }

    #[test]
    fn globs_replace_the_paths_of_cloudtrail_but_digests_stay_digests() {
        assert_eq!(chosen("trail", "copies/x.json.gz", &["copies/*.json.gz"]), Choice::Read);
        assert_eq!(chosen("trail", LOG, &["copies/*.json.gz"]), Choice::Ignore);
        assert_eq!(chosen("trail", &LOG.replacen("/CloudTrail/", "/CloudTrail-Digest/", 1), &["**"]), Choice::Read);
    }

    #[test]
    fn only_listed_buckets_are_read() {
        assert_eq!(chosen("org-logs", LOG, &[]), Choice::Read);
        assert_eq!(chosen("trail2", LOG, &[]), Choice::BucketNotAllowed);
        assert_eq!(chosen("evil", "AWSLogs/x", &["**"]), Choice::BucketNotAllowed);
    }
}
