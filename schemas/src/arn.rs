//! The ARN of a role, read with an eye to what people paste instead.

use std::fmt;
use std::str::FromStr;

/// The partitions of AWS: worlds with accounts of their own.
pub const PARTITIONS: [&str; 8] = ["aws", "aws-cn", "aws-us-gov", "aws-eusc", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f"];

/// Digits of an account id.
const ACCOUNT_DIGITS: usize = 12;
/// Characters of a role's name, at most.
const NAME_CHARS_MAX: usize = 64;
/// Characters of a role's path, at most.
const PATH_CHARS_MAX: usize = 512;
/// Characters of what is wrong that an error repeats, at most.
const QUOTED_CHARS_MAX: usize = 100;

/// The ARN of an IAM role: `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`. It is written as it was read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    /// One of [`PARTITIONS`].
    pub partition: &'static str,
    /// The account that the role is in: twelve digits, text with leading zeros.
    pub account_id: String,
    /// The role's path: `/`, or something between slashes.
    pub path: String,
    /// The role's name.
    pub name: String,
}

/// What is wrong with the ARN of a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// It is something else.
    #[error("{text:?} is no ARN; a role's is arn:aws:iam::123456789012:role/NAME")]
    NotAnArn {
        /// What was given.
        text: String,
    },
    /// A partition that is not known.
    #[error("{partition:?} is no partition of AWS; it is one of {}", PARTITIONS.join(", "))]
    Partition {
        /// What stands in its place.
        partition: String,
    },
    /// A session of a role.
    #[error("this is a session of a role, not the role; give the role's own ARN: arn:PARTITION:iam::ACCOUNT:role/NAME")]
    Session,
    /// Something of another service.
    #[error("this ARN is of the service {service:?}; a role's is of iam")]
    Service {
        /// The service.
        service: String,
    },
    /// Roles are in no region.
    #[error("a role is in no region, but the ARN names {region:?}; leave that part empty")]
    Region {
        /// The region.
        region: String,
    },
    /// The account is not twelve digits.
    #[error("{account:?} is no account; it has exactly {ACCOUNT_DIGITS} digits, with its leading zeros")]
    Account {
        /// What stands in its place.
        account: String,
    },
    /// Another thing of IAM.
    #[error("{resource:?} is no role; a role's ARN ends with role/NAME")]
    NotARole {
        /// What it names.
        resource: String,
    },
    /// A path that no role has.
    #[error("{path:?} is no path of a role: printable ASCII, at most {PATH_CHARS_MAX} characters")]
    Path {
        /// The path.
        path: String,
    },
    /// A name that no role has.
    #[error("{name:?} is no name of a role: 1 to {NAME_CHARS_MAX} letters, digits and _+=,.@-")]
    Name {
        /// The name.
        name: String,
    },
}

/// Whether a text is an account id: exactly twelve digits.
pub fn is_account_id(text: &str) -> bool {
    text.len() == ACCOUNT_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn quoted(text: &str) -> String {
    text.chars().take(QUOTED_CHARS_MAX).collect()
}

impl FromStr for RoleArn {
    type Err = ArnError;

    fn from_str(text: &str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(6, ':');
        let mut part = || parts.next().ok_or_else(|| ArnError::NotAnArn { text: quoted(text) });
        let (arn, partition, service, region, account, resource) = (part()?, part()?, part()?, part()?, part()?, part()?);
        if arn != "arn" {
            return Err(ArnError::NotAnArn { text: quoted(text) });
        }
        let known = PARTITIONS.into_iter().find(|known| *known == partition);
        let partition = known.ok_or_else(|| ArnError::Partition { partition: quoted(partition) })?;
        match service {
            "iam" => {}
            "sts" if resource.starts_with("assumed-role/") => return Err(ArnError::Session),
            _ => return Err(ArnError::Service { service: quoted(service) }),
        }
        if !region.is_empty() {
            return Err(ArnError::Region { region: quoted(region) });
        }
        if !is_account_id(account) {
            return Err(ArnError::Account { account: quoted(account) });
        }
        let role = resource.strip_prefix("role/").ok_or_else(|| ArnError::NotARole { resource: quoted(resource) })?;
        let (path, name) = role.rsplit_once('/').map_or((String::from("/"), role), |(path, name)| (format!("/{path}/"), name));
        if path.len() > PATH_CHARS_MAX || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(ArnError::Path { path: quoted(&path) });
        }
        let in_names = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.bytes().all(in_names) {
            return Err(ArnError::Name { name: quoted(name) });
        }
        Ok(Self { partition, account_id: account.to_owned(), path, name: name.to_owned() })
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:iam::{}:role{}{}", self.partition, self.account_id, self.path, self.name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrong(text: &str) -> ArnError {
        text.parse::<RoleArn>().unwrap_err()
    }

    #[test]
    fn a_role_is_read_in_every_partition_with_or_without_a_path() {
        for partition in PARTITIONS {
            for (path, end) in [("/", ""), ("/team/", "team/"), ("/a/b:c/", "a/b:c/")] {
                let text = format!("arn:{partition}:iam::012345678901:role/{end}cloudigrade_1+=,.@-");
                let arn: RoleArn = text.parse().unwrap();
                assert_eq!((arn.partition, &*arn.account_id, &*arn.path), (partition, "012345678901", path));
                assert_eq!((&*arn.name, arn.to_string()), ("cloudigrade_1+=,.@-", text));
            }
        }
    }

    #[test]
    fn what_people_paste_instead_is_told_apart() {
        assert!(matches!(wrong(""), ArnError::NotAnArn { .. }));
        assert!(matches!(wrong("my-role"), ArnError::NotAnArn { .. }));
        assert!(matches!(wrong("012345678901"), ArnError::NotAnArn { .. }));
        assert!(matches!(wrong(" arn:aws:iam::012345678901:role/r"), ArnError::NotAnArn { .. }));
        assert!(matches!(wrong("arn:aws:iam::012345678901"), ArnError::NotAnArn { .. }));
        assert!(matches!(wrong("arn:azure:iam::012345678901:role/r"), ArnError::Partition { .. }));
        assert!(matches!(wrong("arn:aws:sts::012345678901:assumed-role/r/session"), ArnError::Session));
        assert!(matches!(wrong("arn:aws:s3:::bucket"), ArnError::Service { .. }));
        assert!(matches!(wrong("arn:aws:iam:us-east-1:012345678901:role/r"), ArnError::Region { .. }));
        for account in ["", "12345678901", "0123456789012", "12345678901x", "1234-5678-9012", "١٢٣٤٥٦٧٨٩٠١٢"] {
            assert!(matches!(wrong(&format!("arn:aws:iam::{account}:role/r")), ArnError::Account { .. }), "{account}");
        }
        for resource in ["root", "user/u", "role", "group/role/g", "Role/r"] {
            assert!(matches!(wrong(&format!("arn:aws:iam::012345678901:{resource}")), ArnError::NotARole { .. }), "{resource}");
        }
        for name in [String::new(), "a b".into(), "é".into(), "x".repeat(65), "path/".into(), "r\n".into()] {
            assert!(matches!(wrong(&format!("arn:aws:iam::012345678901:role/{name}")), ArnError::Name { .. }), "{name}");
        }
        for path in ["a b".to_owned(), "x".repeat(511)] {
            assert!(matches!(wrong(&format!("arn:aws:iam::012345678901:role/{path}/r")), ArnError::Path { .. }), "{path}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_as_it_was(text in "arn:(aws|aws-cn|aws-iso-b):iam::[0-9]{12}:role/([!-~]{0,8}/){0,3}[a-zA-Z0-9_+=,.@-]{1,64}") {
            prop_assert_eq!(text.parse::<RoleArn>().unwrap().to_string(), text);
        }

        #[test]
        fn any_text_is_read_or_refused_in_few_words(text in any::<String>(), cut in any::<prop::sample::Index>(), inserted in "\\PC{0,3}") {
            let sound = "arn:aws:iam::012345678901:role/team/r";
            let at = cut.index(sound.len());
            for text in [text, format!("{}{inserted}{}", &sound[..at], &sound[at..]), sound[..at].to_owned()] {
                match text.parse::<RoleArn>() {
                    Ok(arn) => prop_assert_eq!(arn.to_string(), text),
                    Err(error) => prop_assert!(error.to_string().chars().count() < 10 * QUOTED_CHARS_MAX + 300),
                }
            }
        }
    }
}
