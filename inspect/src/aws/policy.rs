//! What this program needs in its own account to inspect images with scanners, and what a scanner needs: the least of both, as IAM takes them.

use serde_json::{Value, json};

use super::settings::{CloudSettings, Queue, ScannerSettings};
use crate::cloud::TAG_INSTALLATION;

/// The version of IAM's policy language.
const VERSION: &str = "2012-10-17";

/// What this program calls as itself: it makes only what is tagged as ours, and changes and removes nothing else.
pub fn service_policy(settings: &CloudSettings, scanner: &ScannerSettings) -> Value {
    let CloudSettings { partition, our_account, region, installation, .. } = settings;
    let arn = |what: &str| format!("arn:{partition}:ec2:{region}:{our_account}:{what}");
    // Snapshots and images have no account in their ARN.
    let (snapshots, images) = (format!("arn:{partition}:ec2:*::snapshot/*"), format!("arn:{partition}:ec2:{region}::image/*"));
    let request_tag = json!({"StringEquals": {(format!("aws:RequestTag/{TAG_INSTALLATION}")): installation}});
    let resource_tag = json!({"StringEquals": {(format!("aws:ResourceTag/{TAG_INSTALLATION}")): installation}});
    let allow = |sid: &str, actions: &[&str], resources: Value, condition: Option<&Value>| {
        let mut statement = json!({"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources});
        if let Some(condition) = condition {
            statement["Condition"] = condition.clone();
        }
        statement
    };
    let mut statements = vec![
        allow("EnterAccounts", &["sts:AssumeRole"], json!(format!("arn:{partition}:iam::*:role/*")), None),
        allow("SeeWhatIsThere", &["ec2:DescribeInstances", "ec2:DescribeVolumes", "ec2:DescribeSnapshots"], json!("*"), None),
        allow("ReadSharedSnapshots", &["ec2:CopySnapshot", "ec2:CreateVolume"], json!(snapshots), None),
        allow("MakeTaggedVolumes", &["ec2:CreateVolume"], json!(arn("volume/*")), Some(&request_tag)),
        allow("StartTaggedScanners", &["ec2:RunInstances"], json!(arn("instance/*")), Some(&request_tag)),
        allow(
            "StartScannersFrom",
            &["ec2:RunInstances"],
            json!([
                images,
                snapshots,
                arn("volume/*"),
                arn("network-interface/*"),
                arn("security-group/*"),
                arn("subnet/*"),
                arn("launch-template/*"),
                arn("key-pair/*")
            ]),
            None,
        ),
        allow(
            "TagWhatIsMade",
            &["ec2:CreateTags"],
            json!([arn("instance/*"), arn("volume/*"), snapshots]),
            Some(&json!({"StringEquals": {"ec2:CreateAction": ["CopySnapshot", "CreateVolume", "RunInstances"]}})),
        ),
        allow(
            "UseAndRemoveOurs",
            &["ec2:AttachVolume", "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:DeleteSnapshot"],
            json!([arn("instance/*"), arn("volume/*"), snapshots]),
            Some(&resource_tag),
        ),
        allow(
            "ReadEncryptedSnapshots",
            &["kms:DescribeKey", "kms:Decrypt", "kms:CreateGrant", "kms:ReEncrypt*", "kms:GenerateDataKey*"],
            json!("*"),
            Some(&json!({"StringLike": {"kms:ViaService": "ec2.*"}})),
        ),
    ];
    if let Some(queue) = queue_arn(partition, &scanner.queue) {
        statements.push(allow("ReceiveFindings", &["sqs:ReceiveMessage", "sqs:DeleteMessage"], json!(queue), None));
    }
    if scanner.instance_profile.is_some() {
        let to_ec2 = json!({"StringLike": {"iam:PassedToService": "ec2.*"}});
        let roles = format!("arn:{partition}:iam::{our_account}:role/cloudigrade-scanner");
        statements.push(allow("GiveScannersTheirRole", &["iam:PassRole"], json!(roles), Some(&to_ec2)));
    }
    json!({"Version": VERSION, "Statement": statements})
}

/// What the role `cloudigrade-scanner` of the scanners' instance profile may do: send to the queue. That is all that whoever breaks out of a
/// scanner has.
pub fn scanner_policy(partition: &str, queue: &Queue) -> Value {
    let queue = queue_arn(partition, queue).unwrap_or_else(|| "the ARN of the queue of findings".to_owned());
    json!({
        "Version": VERSION,
        "Statement": [{"Sid": "SendFindings", "Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": queue}],
    })
}

/// Who may be a scanner: instances.
pub fn scanner_trust(partition: &str) -> Value {
    let service = if partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
    json!({
        "Version": VERSION,
        "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
    })
}

/// The ARN of the queue, from its URL: `https://sqs.us-east-1.amazonaws.com/000011112222/findings`.
fn queue_arn(partition: &str, queue: &Queue) -> Option<String> {
    let mut parts = queue.url.trim_end_matches('/').rsplit('/');
    let (name, account) = (parts.next()?, parts.next()?);
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| format!("arn:{partition}:sqs:{}:{account}:{name}", queue.region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_or_removes_anything_is_limited_to_what_is_tagged_as_ours() {
        let settings = CloudSettings { installation: "prod".into(), ..CloudSettings::sample() };
        let scanner = ScannerSettings { instance_profile: Some("scanner".into()), ..ScannerSettings::sample() };
        let policy = service_policy(&settings, &scanner);
        for statement in policy["Statement"].as_array().unwrap() {
            let actions: Vec<&str> = statement["Action"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            let changes =
                ["ec2:AttachVolume", "ec2:ModifyInstanceAttribute", "ec2:TerminateInstances", "ec2:DeleteVolume", "ec2:DeleteSnapshot"];
            if actions.iter().any(|action| changes.contains(action)) {
                assert_eq!(statement["Condition"], json!({"StringEquals": {"aws:ResourceTag/cloudigrade-installation": "prod"}}));
            }
            if statement["Resource"] == "*" {
                assert!(actions.iter().all(|action| action.starts_with("ec2:Describe") || action.starts_with("kms:")), "{actions:?}");
            }
        }
    }

    #[test]
    fn a_scanner_may_send_to_the_queue_and_nothing_else() {
        let queue = ScannerSettings::sample().queue;
        let policy = scanner_policy("aws", &queue);
        let statements = policy["Statement"].as_array().unwrap();
        assert_eq!(statements.len(), 1);
        assert_eq!(
            (&statements[0]["Action"], &statements[0]["Resource"]),
            (&json!(["sqs:SendMessage"]), &json!("arn:aws:sqs:us-east-1:000011112222:findings"))
        );
        let elsewhere = Queue { url: "http://127.0.0.1/queue".into(), ..queue };
        assert!(!scanner_policy("aws", &elsewhere)["Statement"].to_string().contains("127"));
    }
}
