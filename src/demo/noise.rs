//! The other calls in a trail, which say nothing about running instances, even where they look as if they did.

use cloudigrade_schemas::UtcSecond;

use super::calendar::{HOUR, MINUTE, Span, later};
use super::place::PLACES;
use super::random::Random;
use super::record::{Call, Caller, Record};

/// A kind of call. `request` and `response` are JSON with blanks such as `$instance`.
#[derive(Debug)]
pub(super) struct Chatter {
    pub(super) source: &'static str,
    pub(super) event: &'static str,
    pub(super) read_only: bool,
    pub(super) request: &'static str,
    pub(super) response: &'static str,
}

const fn reads(source: &'static str, event: &'static str, request: &'static str) -> Chatter {
    Chatter { source, event, read_only: true, request, response: "null" }
}

const fn writes(source: &'static str, event: &'static str, request: &'static str, response: &'static str) -> Chatter {
    Chatter { source, event, read_only: false, request, response }
}

const THIS_INSTANCE: &str = r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]}}"#;
const SUCCESS: &str = r#"{"requestId":"$uuid","_return":true}"#;

/// What people and programs call around a change of an instance.
static AROUND_A_CHANGE: [Chatter; 14] = [
    reads("ec2.amazonaws.com", "DescribeInstances", r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"filterSet":{}}"#),
    reads(
        "ec2.amazonaws.com",
        "DescribeInstances",
        r#"{"maxResults":1000,"instancesSet":{},"filterSet":{"items":[{"name":"instance-state-name",
            "valueSet":{"items":[{"value":"running"},{"value":"stopped"}]}}]}}"#,
    ),
    reads(
        "ec2.amazonaws.com",
        "DescribeInstanceStatus",
        r#"{"instancesSet":{"items":[{"instanceId":"$instance"}]},"filterSet":{},"includeAllInstances":false}"#,
    ),
    reads(
        "ec2.amazonaws.com",
        "DescribeVolumes",
        r#"{"volumeSet":{},"filterSet":{"items":[{"name":"attachment.instance-id","valueSet":{"items":[{"value":"$instance"}]}}]}}"#,
    ),
    reads(
        "ec2.amazonaws.com",
        "DescribeTags",
        r#"{"filterSet":{"items":[{"name":"resource-id","valueSet":{"items":[{"value":"$instance"}]}}]}}"#,
    ),
    reads("sts.amazonaws.com", "GetCallerIdentity", "null"),
    reads(
        "cloudtrail.amazonaws.com",
        "LookupEvents",
        r#"{"lookupAttributes":[{"attributeKey":"EventName","attributeValue":"StopInstances"}],"maxResults":50}"#,
    ),
    writes(
        "ec2.amazonaws.com",
        "CreateTags",
        r#"{"resourcesSet":{"items":[{"resourceId":"$instance"}]},"tagSet":{"items":[{"key":"Name","value":"Prüfstand 试验台 🚀"},
            {"key":"note","value":"was \"eventName\":\"TerminateInstances\", see runbook"}]}}"#,
        SUCCESS,
    ),
    writes("ec2.amazonaws.com", "ModifyInstanceAttribute", r#"{"instanceId":"$instance","disableApiTermination":{"value":true}}"#, SUCCESS),
    writes(
        "ec2.amazonaws.com",
        "MonitorInstances",
        THIS_INSTANCE,
        r#"{"requestId":"$uuid","instancesSet":{"items":[{"instanceId":"$instance","monitoring":{"state":"pending"}}]}}"#,
    ),
    writes("ec2.amazonaws.com", "RebootInstances", THIS_INSTANCE, SUCCESS),
    writes(
        "autoscaling.amazonaws.com",
        "TerminateInstanceInAutoScalingGroup",
        r#"{"instanceId":"$instance","shouldDecrementDesiredCapacity":false}"#,
        r#"{"activity":{"activityId":"$uuid","statusCode":"InProgress","description":"Terminating EC2 instance: $instance"}}"#,
    ),
    writes(
        "elasticloadbalancing.amazonaws.com",
        "RegisterTargets",
        r#"{"targetGroupArn":"arn:aws:elasticloadbalancing:$region:$account:targetgroup/main/$hexadecimal",
            "targets":[{"id":"$instance"}]}"#,
        "null",
    ),
    writes(
        "ssm.amazonaws.com",
        "SendCommand",
        r#"{"instanceIds":["$instance"],"documentName":"AWS-RunShellScript","parameters":"HIDDEN_DUE_TO_SECURITY_REASONS",
            "timeoutSeconds":600}"#,
        r#"{"command":{"commandId":"$uuid","status":"Pending","documentName":"AWS-RunShellScript"}}"#,
    ),
];

/// What goes on in any account.
static ROUTINE: [Chatter; 18] = [
    reads("ec2.amazonaws.com", "DescribeRegions", r#"{"regionSet":{},"allRegions":false}"#),
    reads("ec2.amazonaws.com", "DescribeInstances", r#"{"maxResults":1000,"instancesSet":{},"filterSet":{}}"#),
    reads("ec2.amazonaws.com", "DescribeSecurityGroups", r#"{"securityGroupSet":{},"securityGroupIdSet":{},"filterSet":{}}"#),
    reads(
        "ec2.amazonaws.com",
        "DescribeImages",
        r#"{"executableBySet":{},"imagesSet":{},"ownersSet":{"items":[{"owner":"self"}]},"filterSet":{}}"#,
    ),
    reads(
        "ec2.amazonaws.com",
        "DescribeSnapshots",
        r#"{"maxResults":200,"snapshotSet":{},"ownersSet":{"items":[{"owner":"$account"}]},"sharedUsersSet":{},"filterSet":{}}"#,
    ),
    reads("cloudtrail.amazonaws.com", "DescribeTrails", r#"{"trailNameList":[],"includeShadowTrails":true}"#),
    reads("cloudtrail.amazonaws.com", "GetTrailStatus", r#"{"name":"arn:aws:cloudtrail:us-east-1:$account:trail/management"}"#),
    reads(
        "cloudtrail.amazonaws.com",
        "LookupEvents",
        r#"{"lookupAttributes":[{"attributeKey":"EventName","attributeValue":"RunInstances"}],"maxResults":50}"#,
    ),
    reads("s3.amazonaws.com", "GetBucketAcl", r#"{"Host":"s3.$region.amazonaws.com","acl":"","bucketName":"trail-$account"}"#),
    reads(
        "kms.amazonaws.com",
        "Decrypt",
        r#"{"encryptionContext":{"aws:ebs:id":"vol-$hexadecimal"},"encryptionAlgorithm":"SYMMETRIC_DEFAULT"}"#,
    ),
    reads("ssm.amazonaws.com", "GetParameter", r#"{"name":"/instance-scheduler/hours","withDecryption":false}"#),
    reads("monitoring.amazonaws.com", "DescribeAlarms", r#"{"alarmTypes":["MetricAlarm"],"maxRecords":100}"#),
    writes(
        "sts.amazonaws.com",
        "AssumeRole",
        r#"{"roleArn":"arn:aws:iam::$account:role/auditor","roleSessionName":"audit-$hexadecimal","durationSeconds":3600}"#,
        r#"{"assumedRoleUser":{"assumedRoleId":"AROAEXAMPLE:audit","arn":"arn:aws:sts::$account:assumed-role/auditor/audit"},
            "credentials":{"accessKeyId":"ASIAEXAMPLE","expiration":"$time","sessionToken":"$hexadecimal$hexadecimal$hexadecimal"}}"#,
    ),
    writes(
        "ssm.amazonaws.com",
        "CreateDocument",
        r#"{"name":"stop-at-night-$hexadecimal","documentType":"Automation",
            "content":"{\n  \"mainSteps\": [{\"action\": \"aws:executeAwsApi\",
            \"inputs\": {\"Service\": \"ec2\", \"Api\": \"StopInstances\", \"InstanceIds\": [\"$instance\"]}}]\n}"}"#,
        r#"{"documentDescription":{"status":"Creating","documentVersion":"1"}}"#,
    ),
    writes(
        "events.amazonaws.com",
        "PutEvents",
        r#"{"entries":[{"source":"replay","detailType":"AWS API Call via CloudTrail",
            "detail":"{\"eventSource\":\"ec2.amazonaws.com\",\"eventName\":\"TerminateInstances\",\"eventTime\":\"$time\",
            \"responseElements\":{\"instancesSet\":{\"items\":[{\"instanceId\":\"$instance\"}]}}}"}]}"#,
        r#"{"failedEntryCount":0,"entries":[{"eventId":"$uuid"}]}"#,
    ),
    writes(
        "lightsail.amazonaws.com",
        "StopInstance",
        r#"{"instanceName":"blog"}"#,
        r#"{"operations":[{"id":"$uuid","resourceType":"Instance","operationType":"StopInstance","status":"Started"}]}"#,
    ),
    writes(
        "rds.amazonaws.com",
        "StopDBInstance",
        r#"{"dBInstanceIdentifier":"orders"}"#,
        r#"{"dBInstanceIdentifier":"orders","dBInstanceStatus":"stopping"}"#,
    ),
    writes(
        "logs.amazonaws.com",
        "CreateLogStream",
        r#"{"logGroupName":"/aws/lambda/keep-running","logStreamName":"[$$LATEST]$hexadecimal"}"#,
        "null",
    ),
];

const MONITORING: Caller = Caller::Role("monitoring");
const AUDITOR: Caller = Caller::Role("auditor");

/// How often each place is looked over.
const AUDIT_EVERY: i64 = 6 * HOUR;

/// Calls around each of the records, and the routine of all places over the time of the log.
pub(super) fn around(records: &[Record], log: Span, random: &mut Random) -> Vec<Record> {
    let mut chatter = Vec::new();
    for record in records {
        let caller = if matches!(record.caller, Caller::Person(_) | Caller::Role(_)) { record.caller } else { MONITORING };
        for _ in 0..random.between(8, 18) {
            let call = Call::Chatter {
                what: &AROUND_A_CHANGE[random.below(AROUND_A_CHANGE.len())],
                instance: record.call.an_instance().to_owned(),
            };
            chatter.push(Record { at: later(record.at, random.between(-20, 70)), caller, call, ..*record });
        }
    }
    let audits = (log.start.0..log.end.0).step_by(AUDIT_EVERY as usize).map(UtcSecond);
    for (audit, place) in audits.flat_map(|audit| PLACES.map(|place| (audit, place))) {
        let start = later(audit, random.between(0, AUDIT_EVERY - 10 * MINUTE));
        for _ in 0..random.between(20, 50) {
            let call = Call::Chatter { what: &ROUTINE[random.below(ROUTINE.len())], instance: format!("i-{}", random.hex(17)) };
            chatter.push(Record { at: later(start, random.between(0, 60)), place, caller: AUDITOR, call });
        }
    }
    chatter
}
