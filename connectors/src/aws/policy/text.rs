//! The policy as texts that a customer pastes: JSON, CloudFormation, Terraform.

use super::{Document, PolicyFor, Scope, Values, conditions_of};

/// A form of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFormat {
    /// The permissions and the trust policy, as IAM's console takes them.
    Json,
    /// A CloudFormation template (JSON) that makes the role and tells its ARN.
    CloudFormation,
    /// A Terraform file that makes the role and tells its ARN.
    Terraform,
}

/// The name of the role that the templates make.
const ROLE_NAME: &str = "cloudigrade";

/// The text of a policy. The same input gives the same text.
///
/// # Errors
/// None but those of a JSON writer into memory.
pub fn policy_text(format: PolicyFormat, policy: &PolicyFor) -> serde_json::Result<String> {
    match format {
        PolicyFormat::Json => json(policy),
        PolicyFormat::CloudFormation => cloud_formation(policy),
        PolicyFormat::Terraform => terraform(policy),
    }
}

fn permissions(policy: &PolicyFor, trails: &str, snapshots: &str) -> Document {
    let statements = policy.statements().map(|statement| policy.written(&statement, Some(statement.sid), trails, snapshots)).collect();
    Document { version: super::VERSION, statement: statements }
}

fn json(policy: &PolicyFor) -> serde_json::Result<String> {
    let trails = format!("arn:{}:cloudtrail:*:*:trail/{}*", policy.partition, policy.trail_prefix);
    let snapshots = format!("arn:{}:ec2:*::snapshot/*", policy.partition);
    let permissions = indented(&permissions(policy, &trails, &snapshots), "  ")?;
    let trust = indented(&policy.trust(), "  ")?;
    Ok(format!("{{\n  \"PermissionsPolicy\": {permissions},\n  \"TrustPolicy\": {trust}\n}}\n"))
}

fn cloud_formation(policy: &PolicyFor) -> serde_json::Result<String> {
    // `Fn::Sub` stands in the place of a resource's text; it is put there afterwards, as the statements know texts only.
    let (trails, snapshots) = ("@trails@", "@snapshots@");
    let permissions = indented(&permissions(policy, trails, snapshots), "              ")?
        .replace("\"@trails@\"", &sub(&format!("arn:${{AWS::Partition}}:cloudtrail:*:${{AWS::AccountId}}:trail/{}*", policy.trail_prefix))?)
        .replace("\"@snapshots@\"", &sub("arn:${AWS::Partition}:ec2:*::snapshot/*")?);
    let trust = indented(&policy.trust(), "        ")?;
    let reasons: Vec<String> = policy
        .statements()
        .map(|statement| Ok(format!("      {}: {}", quoted(statement.sid)?, quoted(statement.reason)?)))
        .collect::<serde_json::Result<_>>()?;
    let reasons = reasons.join(",\n");
    Ok(format!(
        r#"{{
  "AWSTemplateFormatVersion": "2010-09-09",
  "Description": "The role by which cloudigrade meters this account.",
  "Metadata": {{
    "WhyEachStatement": {{
{reasons}
    }}
  }},
  "Resources": {{
    "CloudigradeRole": {{
      "Type": "AWS::IAM::Role",
      "Properties": {{
        "RoleName": "{ROLE_NAME}",
        "AssumeRolePolicyDocument": {trust},
        "Policies": [
          {{
            "PolicyName": "{ROLE_NAME}",
            "PolicyDocument": {permissions}
          }}
        ]
      }}
    }}
  }},
  "Outputs": {{
    "RoleArn": {{
      "Description": "Register the account with this: cloudigrade accounts register ARN",
      "Value": {{ "Fn::GetAtt": ["CloudigradeRole", "Arn"] }}
    }}
  }}
}}
"#
    ))
}

fn terraform(policy: &PolicyFor) -> serde_json::Result<String> {
    let mut text = String::from(
        "# The role by which cloudigrade meters this account.\n\ndata \"aws_partition\" \"current\" {}\n\ndata \"aws_caller_identity\" \"current\" {}\n\n",
    );
    text.push_str(&format!(
        r#"data "aws_iam_policy_document" "cloudigrade_trust" {{
  statement {{
    sid     = "LetCloudigradeIn"
    actions = ["sts:AssumeRole"]
    principals {{
      type        = "AWS"
      identifiers = ["arn:${{data.aws_partition.current.partition}}:iam::{}:root"]
    }}
    condition {{
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [{}]
    }}
  }}
}}

data "aws_iam_policy_document" "cloudigrade" {{
"#,
        policy.principal_account,
        hcl(&policy.external_id)?,
    ));
    for statement in policy.statements() {
        let actions: Vec<String> = statement.actions.iter().map(|action| format!("\"{action}\"")).collect();
        let resource = match statement.scope {
            Scope::Everything => "*".to_owned(),
            Scope::OurTrails => format!(
                "arn:${{data.aws_partition.current.partition}}:cloudtrail:*:${{data.aws_caller_identity.current.account_id}}:trail/{}*",
                policy.trail_prefix
            ),
            Scope::Snapshots => "arn:${data.aws_partition.current.partition}:ec2:*::snapshot/*".to_owned(),
        };
        text.push_str(&format!(
            "  # {}\n  statement {{\n    sid       = \"{}\"\n    actions   = [{}]\n    resources = [\"{resource}\"]\n",
            statement.reason,
            statement.sid,
            actions.join(", "),
        ));
        for (test, variable, values) in conditions_of(statement.condition, &policy.principal_account) {
            let values: Vec<String> = match values {
                Values::One(value) => vec![hcl(&value)?],
                Values::Many(values) => values.iter().map(|value| hcl(value)).collect::<Result<_, _>>()?,
            };
            text.push_str(&format!(
                "    condition {{\n      test     = \"{test}\"\n      variable = \"{variable}\"\n      values   = [{}]\n    }}\n",
                values.join(", ")
            ));
        }
        text.push_str("  }\n");
    }
    text.push_str(&format!(
        r#"}}

resource "aws_iam_role" "cloudigrade" {{
  name               = "{ROLE_NAME}"
  assume_role_policy = data.aws_iam_policy_document.cloudigrade_trust.json
}}

resource "aws_iam_role_policy" "cloudigrade" {{
  name   = "{ROLE_NAME}"
  role   = aws_iam_role.cloudigrade.id
  policy = data.aws_iam_policy_document.cloudigrade.json
}}

# Register the account with this: cloudigrade accounts register ARN
output "cloudigrade_role_arn" {{
  value = aws_iam_role.cloudigrade.arn
}}
"#
    ));
    Ok(text)
}

fn indented(document: &Document, indent: &str) -> serde_json::Result<String> {
    Ok(serde_json::to_string_pretty(document)?.replace('\n', &format!("\n{indent}")))
}

fn quoted(text: &str) -> serde_json::Result<String> {
    serde_json::to_string(text)
}

fn sub(text: &str) -> serde_json::Result<String> {
    Ok(format!("{{ \"Fn::Sub\": {} }}", quoted(text)?))
}

/// A text of HCL: as JSON's, but `${` and `%{` begin templates.
fn hcl(text: &str) -> serde_json::Result<String> {
    Ok(quoted(text)?.replace("${", "$${").replace("%{", "%%{"))
}
