use serde_json::Value;

use super::*;
use crate::limits::SESSION_POLICY_CHARS_MAX;

fn policy(with_disks: bool, with_trail: bool) -> PolicyFor {
    PolicyFor {
        principal_account: "000022223333".to_owned(),
        partition: "aws".to_owned(),
        external_id: "tenant-\"7\"${x}".to_owned(),
        trail_prefix: "cloudigrade-".to_owned(),
        with_disks,
        with_trail,
    }
}

fn actions(document: &Value) -> Vec<String> {
    let statements = document["Statement"].as_array().unwrap();
    let mut actions: Vec<String> =
        statements.iter().flat_map(|s| s["Action"].as_array().unwrap()).map(|action| action.as_str().unwrap().to_owned()).collect();
    actions.sort();
    actions
}

#[test]
fn the_json_holds_both_policies_and_asks_for_the_external_id() {
    let text = policy_text(PolicyFormat::Json, &policy(false, true)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        actions(&json["PermissionsPolicy"]),
        [
            "cloudtrail:CreateTrail",
            "cloudtrail:DeleteTrail",
            "cloudtrail:DescribeTrails",
            "cloudtrail:GetEventSelectors",
            "cloudtrail:GetTrailStatus",
            "cloudtrail:LookupEvents",
            "cloudtrail:PutEventSelectors",
            "cloudtrail:StartLogging",
            "cloudtrail:UpdateTrail",
            "ec2:DescribeImages",
            "ec2:DescribeInstances",
            "ec2:DescribeRegions",
        ]
    );
    let trust = &json["TrustPolicy"]["Statement"][0];
    assert_eq!(trust["Principal"]["AWS"], "arn:aws:iam::000022223333:root");
    assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], "tenant-\"7\"${x}");
    assert_eq!(trust["Action"], "sts:AssumeRole");
}

#[test]
fn nothing_that_touches_disks_is_asked_for_unless_it_is_wanted() {
    for format in [PolicyFormat::Json, PolicyFormat::CloudFormation, PolicyFormat::Terraform] {
        let without = policy_text(format, &policy(false, true)).unwrap();
        let with = policy_text(format, &policy(true, true)).unwrap();
        for action in ["ec2:ModifySnapshotAttribute", "ec2:CopyImage", "ec2:DescribeSnapshots", "ec2:CreateTags"] {
            assert!(!without.contains(action) && with.contains(action), "{format:?} {action}");
        }
    }
}

#[test]
fn trails_are_changed_only_where_the_account_lets_us() {
    let text = policy_text(PolicyFormat::Json, &policy(true, false)).unwrap();
    assert!(!text.contains("CreateTrail") && text.contains("DescribeTrails"), "{text}");
}

#[test]
fn snapshots_can_be_shared_with_our_account_only_and_never_with_all() {
    let json: Value = serde_json::from_str(&policy_text(PolicyFormat::Json, &policy(true, true)).unwrap()).unwrap();
    let statements = json["PermissionsPolicy"]["Statement"].as_array().unwrap();
    let share = statements.iter().find(|s| s["Sid"] == "ShareSnapshotsWithUs").unwrap();
    assert_eq!(share["Resource"], "arn:aws:ec2:*::snapshot/*");
    assert_eq!(share["Condition"]["StringEqualsIfExists"]["ec2:Add/userId"], "000022223333");
    assert_eq!(share["Condition"]["Null"]["ec2:Add/group"], "true");
    let tags = statements.iter().find(|s| s["Sid"] == "TagCopies").unwrap();
    assert_eq!(tags["Condition"]["StringEquals"]["ec2:CreateAction"], "CopyImage");
}

#[test]
fn the_cloudformation_template_makes_the_role_and_tells_its_arn() {
    let text = policy_text(PolicyFormat::CloudFormation, &policy(true, true)).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["AWSTemplateFormatVersion"], "2010-09-09");
    let role = &json["Resources"]["CloudigradeRole"];
    assert_eq!(role["Type"], "AWS::IAM::Role");
    let trust = &role["Properties"]["AssumeRolePolicyDocument"]["Statement"][0];
    assert_eq!(trust["Condition"]["StringEquals"]["sts:ExternalId"], "tenant-\"7\"${x}");
    let document = &role["Properties"]["Policies"][0]["PolicyDocument"];
    let statements = document["Statement"].as_array().unwrap();
    let trails = statements.iter().find(|s| s["Sid"] == "KeepOurTrail").unwrap();
    assert_eq!(trails["Resource"]["Fn::Sub"], "arn:${AWS::Partition}:cloudtrail:*:${AWS::AccountId}:trail/cloudigrade-*");
    assert_eq!(statements.len(), policy(true, true).statements().count());
    assert_eq!(json["Outputs"]["RoleArn"]["Value"]["Fn::GetAtt"][1], "Arn");
    for statement in statements {
        assert!(json["Metadata"]["WhyEachStatement"][statement["Sid"].as_str().unwrap()].is_string());
    }
}

#[test]
fn the_terraform_file_is_balanced_names_every_action_and_escapes_templates() {
    let text = policy_text(PolicyFormat::Terraform, &policy(true, true)).unwrap();
    let count = |mark: char| text.chars().filter(|c| *c == mark).count();
    assert_eq!((count('{'), count('[')), (count('}'), count(']')));
    assert!(text.contains(r#"values   = ["tenant-\"7\"$${x}"]"#), "{text}");
    for statement in policy(true, true).statements() {
        assert!(text.contains(&format!("sid       = \"{}\"", statement.sid)));
        assert!(statement.actions.iter().all(|action| text.contains(&format!("\"{action}\""))));
    }
    assert!(text.contains("resource \"aws_iam_role\" \"cloudigrade\""));
    assert!(text.contains("value = aws_iam_role.cloudigrade.arn"));
}

#[test]
fn the_session_policy_fits_allows_what_the_role_does_and_names_the_account() {
    for (with_disks, with_trail) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut policy = policy(with_disks, with_trail);
        policy.partition = "aws-us-gov".to_owned();
        let text = policy.session_policy("111122223333").unwrap();
        assert!(text.len() <= SESSION_POLICY_CHARS_MAX, "{} characters", text.len());
        let session: Value = serde_json::from_str(&text).unwrap();
        let role: Value = serde_json::from_str(&policy_text(PolicyFormat::Json, &policy).unwrap()).unwrap();
        let (session, role) = (actions(&session), actions(&role["PermissionsPolicy"]));
        assert!(session.iter().all(|action| role.contains(action)), "{session:?}");
        let only_for_disks = [
            "ec2:CreateTags",
            "ec2:DeregisterImage",
            "ec2:DeleteSnapshot",
            "ebs:ListSnapshotBlocks",
            "ebs:GetSnapshotBlock",
            "kms:Decrypt",
        ];
        assert!(role.iter().all(|action| session.contains(action) || only_for_disks.contains(&action.as_str())), "{role:?}");
        assert_eq!(text.contains("arn:aws-us-gov:cloudtrail:*:111122223333:trail/cloudigrade-*"), with_trail);
    }
}

#[test]
fn a_session_that_reads_disks_can_do_that_and_see_images_and_nothing_else() {
    let text = policy(true, true).disks_session_policy().unwrap();
    assert!(text.len() <= SESSION_POLICY_CHARS_MAX, "{} characters", text.len());
    assert_eq!(
        actions(&serde_json::from_str(&text).unwrap()),
        [
            "ebs:GetSnapshotBlock",
            "ebs:ListSnapshotBlocks",
            "ec2:CopyImage",
            "ec2:CreateTags",
            "ec2:DeleteSnapshot",
            "ec2:DeregisterImage",
            "ec2:DescribeImages",
            "ec2:DescribeInstances",
            "ec2:DescribeRegions",
            "ec2:DescribeSnapshotAttribute",
            "ec2:DescribeSnapshots",
            "ec2:ModifySnapshotAttribute",
            "kms:Decrypt",
        ]
    );
}

#[test]
fn only_copies_of_ours_can_be_removed_and_keys_are_used_for_disks_only() {
    let json: Value = serde_json::from_str(&policy_text(PolicyFormat::Json, &policy(true, true)).unwrap()).unwrap();
    let condition = |sid: &str| {
        let statements = json["PermissionsPolicy"]["Statement"].as_array().unwrap();
        statements.iter().find(|s| s["Sid"] == sid).unwrap()["Condition"].clone()
    };
    assert_eq!(condition("RemoveCopies"), serde_json::json!({"Null": {"aws:ResourceTag/cloudigrade-installation": "false"}}));
    assert_eq!(condition("ReadEncryptedBlocks"), serde_json::json!({"StringLike": {"kms:ViaService": ["ec2.*", "ebs.*"]}}));
    let text = policy_text(PolicyFormat::Terraform, &policy(true, true)).unwrap();
    assert!(text.contains(r#"values   = ["ec2.*", "ebs.*"]"#), "{text}");
}

#[test]
fn the_same_input_gives_the_same_text() {
    for format in [PolicyFormat::Json, PolicyFormat::CloudFormation, PolicyFormat::Terraform] {
        assert_eq!(policy_text(format, &policy(true, true)).unwrap(), policy_text(format, &policy(true, true)).unwrap());
    }
}
