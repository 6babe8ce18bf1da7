//! Whether a bucket can be read.

use aws_config::SdkConfig;
use aws_sdk_s3::error::ProvideErrorMetadata;

use super::Finding;
use super::failure::{help, told};

const CHECK: &str = "bucket";

/// Looks at a bucket: its region, whether it can be listed, and whether one of its objects can be read. `prefix` is what a trail has
/// before `AWSLogs/`, or a folder below that; `path_style` is for emulators.
pub async fn check_bucket(sdk: &SdkConfig, bucket: &str, prefix: &str, owner: Option<&str>, path_style: bool) -> Finding {
    let client = aws_sdk_s3::Client::from_conf(aws_sdk_s3::config::Builder::from(sdk).force_path_style(path_style).build());
    let below = if prefix.split('/').any(|part| part == "AWSLogs") { prefix.to_owned() } else { format!("{prefix}AWSLogs/") };
    let listed =
        client.list_objects_v2().bucket(bucket).set_expected_bucket_owner(owner.map(str::to_owned)).prefix(&below).max_keys(1).send().await;
    let first = match listed {
        Ok(answer) => answer.contents.and_then(|contents| contents.into_iter().next()?.key),
        Err(error) => return Finding::failure(CHECK, bucket, told(&error), help(&error, what_to_do(error.code()))),
    };
    let Some(key) = first else {
        let help = "if a trail writes here, wait for its first file (about 15 minutes); if it writes below a prefix, that is fine too";
        return Finding::warning(CHECK, bucket, format!("there is nothing below {below} yet"), help);
    };
    let head = client.head_object().bucket(bucket).key(&key).set_expected_bucket_owner(owner.map(str::to_owned)).send().await;
    match head {
        Ok(_) => Finding::ok(CHECK, bucket, "can be listed and read"),
        // A HEAD has no body, so AWS cannot say more than the status.
        Err(error) => {
            const ANSWERED: &str = "allow s3:GetObject on the bucket's objects, and kms:Decrypt on its key if they are encrypted with one";
            Finding::failure(CHECK, bucket, format!("s3://{bucket}/{key}: {}", told(&error)), help(&error, ANSWERED))
        }
    }
}

fn what_to_do(code: Option<&str>) -> &'static str {
    match code {
        Some("NoSuchBucket") => "check the name in source.sqs.buckets or source.list.places",
        Some("PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
            "the bucket is in another region: objects are read all the same; set aws.region to it to spare a redirect"
        }
        _ => "allow s3:ListBucket and s3:GetObject, and check expected_bucket_owner",
    }
}
