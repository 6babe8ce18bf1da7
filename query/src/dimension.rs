//! What reports can be grouped by and cut to.

use std::fmt;
use std::str::FromStr;

use cloudigrade_schemas::Product;
use cloudigrade_schemas::image::BillingModel;

use crate::error::QueryError;

/// What a report can be grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// The AWS account.
    Account,
    /// The AWS region.
    Region,
    /// The machine image.
    Image,
    /// The EC2 instance type.
    InstanceType,
    /// The EC2 instance.
    Instance,
    /// Whether the image counts as Red Hat Enterprise Linux; null where nothing is known.
    Rhel,
    /// Whether the image counts as Red Hat OpenShift; null where nothing is known.
    Openshift,
    /// Who is paid for what is in the image: `payg`, `byos` or `unknown`.
    BillingModel,
    /// The image's architecture; null where nothing is known. So are those that follow.
    Architecture,
    /// What the image's system is for, by its syspurpose: its role.
    Role,
    /// Its service level agreement.
    Sla,
    /// Its usage.
    UsageKind,
    /// Its type of service.
    ServiceType,
}

impl Dimension {
    /// All dimensions.
    pub const ALL: [Self; 13] = [
        Self::Account,
        Self::Region,
        Self::Instance,
        Self::Image,
        Self::InstanceType,
        Self::Rhel,
        Self::Openshift,
        Self::BillingModel,
        Self::Architecture,
        Self::Role,
        Self::Sla,
        Self::UsageKind,
        Self::ServiceType,
    ];

    /// Those that a run itself tells; the others are looked up by its image when the question is asked.
    pub(crate) const OF_RUNS: [Self; 5] = [Self::Account, Self::Region, Self::Instance, Self::Image, Self::InstanceType];

    /// Its name in a report's request.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Region => "region",
            Self::Image => "image",
            Self::InstanceType => "instance_type",
            Self::Instance => "instance",
            Self::Rhel => "rhel",
            Self::Openshift => "openshift",
            Self::BillingModel => "billing_model",
            Self::Architecture => "architecture",
            Self::Role => "role",
            Self::Sla => "sla",
            Self::UsageKind => "usage",
            Self::ServiceType => "service_type",
        }
    }

    /// Its column in the tables and in results.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Account => "account_id",
            Self::Image => "image_id",
            Self::Instance => "instance_id",
            _ => self.name(),
        }
    }

    /// The names of all, separated by commas.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// Reads a list such as `account,region`, in names or columns; spaces and repetitions do not matter.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, QueryError> {
        let mut dimensions = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let dimension = name.parse()?;
            if !dimensions.contains(&dimension) {
                dimensions.push(dimension);
            }
        }
        Ok(dimensions)
    }
}

impl FromStr for Dimension {
    type Err = QueryError;

    fn from_str(name: &str) -> Result<Self, QueryError> {
        let found = Self::ALL.into_iter().find(|dimension| dimension.name() == name || dimension.column() == name);
        found.ok_or_else(|| QueryError::Dimension { name: name.chars().take(40).collect(), known: Self::names() })
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a report is cut to. Each list that is given must hold what is counted; an empty list holds nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// AWS accounts.
    pub accounts: Option<Vec<String>>,
    /// Regions.
    pub regions: Option<Vec<String>>,
    /// Instances.
    pub instances: Option<Vec<String>>,
    /// Images.
    pub images: Option<Vec<String>>,
    /// Instance types.
    pub instance_types: Option<Vec<String>>,
    /// Instances whose image counts as this product for the viewer.
    pub product: Option<Product>,
    /// Instances whose image is billed so.
    pub billing_model: Option<BillingModel>,
}
