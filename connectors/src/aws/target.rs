//! Which account, by which role.

use std::fmt;

use cloudigrade_schemas::arn::{ArnError, RoleArn};

/// An account that is called into, and the role that it gave us.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The role to assume.
    pub arn: String,
    /// The AWS account, twelve digits as text.
    pub account_id: String,
    /// The partition: `aws`, `aws-cn`, `aws-us-gov`, ...
    pub partition: String,
    /// What the role asks for in `sts:ExternalId`.
    pub external_id: String,
}

impl fmt::Debug for Target {
    /// Without the external id: it is what keeps others from using the role through us.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.arn).finish()
    }
}

impl Target {
    /// From a role's ARN.
    ///
    /// # Errors
    /// [`ArnError`].
    pub fn new(arn: &str, external_id: impl Into<String>) -> Result<Self, ArnError> {
        let role: RoleArn = arn.parse()?;
        Ok(Self { arn: arn.to_owned(), account_id: role.account_id, partition: role.partition.to_owned(), external_id: external_id.into() })
    }

    /// The region whose STS, EC2 and CloudTrail are asked first, and which trails are made in.
    pub fn home_region(&self) -> &'static str {
        home_region(&self.partition)
    }
}

/// A region of a partition that every account has.
pub fn home_region(partition: &str) -> &'static str {
    match partition {
        "aws-cn" => "cn-north-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-eusc" => "eusc-de-east-1",
        "aws-iso" => "us-iso-east-1",
        "aws-iso-b" => "us-isob-east-1",
        "aws-iso-e" => "eu-isoe-west-1",
        "aws-iso-f" => "us-isof-south-1",
        _ => "us-east-1",
    }
}

/// The partition of a region.
pub fn partition_of_region(region: &str) -> &'static str {
    match region {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        region if region.starts_with("eusc-") => "aws-eusc",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_all_partitions_are_read_and_their_account_keeps_its_zeros() {
        for (arn, partition, home) in [
            ("arn:aws:iam::000022223333:role/Metering", "aws", "us-east-1"),
            ("arn:aws-cn:iam::000022223333:role/path/to/Metering", "aws-cn", "cn-north-1"),
            ("arn:aws-us-gov:iam::000022223333:role/Metering", "aws-us-gov", "us-gov-west-1"),
        ] {
            let target = Target::new(arn, "e").unwrap();
            assert_eq!((target.account_id.as_str(), target.partition.as_str(), target.home_region()), ("000022223333", partition, home));
        }
    }

    #[test]
    fn every_partition_has_a_home_of_its_own() {
        let homes: std::collections::BTreeSet<&str> = cloudigrade_schemas::arn::PARTITIONS.into_iter().map(home_region).collect();
        assert_eq!(homes.len(), cloudigrade_schemas::arn::PARTITIONS.len());
    }

    #[test]
    fn the_external_id_is_not_shown() {
        let target = Target::new("arn:aws:iam::111122223333:role/x", "very-private").unwrap();
        assert!(!format!("{target:?}").contains("very-private"));
    }
}
