//! Which account, by which role.

use std::fmt;

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

/// Text that is not the ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{arn:?} is not the ARN of a role; one looks like arn:aws:iam::123456789012:role/NAME")]
pub struct NotARole {
    /// The text, shortened.
    pub arn: String,
}

impl Target {
    /// From a role's ARN.
    ///
    /// # Errors
    /// [`NotARole`].
    pub fn new(arn: &str, external_id: impl Into<String>) -> Result<Self, NotARole> {
        let refused = || NotARole { arn: arn.chars().take(200).collect() };
        let mut parts = arn.splitn(6, ':');
        let mut part = || parts.next().ok_or_else(refused);
        let (scheme, partition, service, region, account_id, resource) = (part()?, part()?, part()?, part()?, part()?, part()?);
        let is_role = scheme == "arn"
            && partition.starts_with("aws")
            && partition.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            && service == "iam"
            && region.is_empty()
            && account_id.len() == 12
            && account_id.bytes().all(|b| b.is_ascii_digit())
            && resource.strip_prefix("role/").is_some_and(|name| !name.is_empty());
        if !is_role {
            return Err(refused());
        }
        Ok(Self {
            arn: arn.to_owned(),
            account_id: account_id.to_owned(),
            partition: partition.to_owned(),
            external_id: external_id.into(),
        })
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
    fn what_is_no_role_is_refused() {
        for arn in [
            "",
            "arn:aws:iam::111122223333:user/x",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::11112222333:role/x",
            "arn:aws:iam:us-east-1:111122223333:role/x",
            "arn:aws:sts::111122223333:role/x",
            "arn:gcp:iam::111122223333:role/x",
        ] {
            assert!(Target::new(arn, "e").is_err(), "{arn}");
        }
    }

    #[test]
    fn the_external_id_is_not_shown() {
        let target = Target::new("arn:aws:iam::111122223333:role/x", "very-private").unwrap();
        assert!(!format!("{target:?}").contains("very-private"));
    }
}
