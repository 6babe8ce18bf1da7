//! What the images that instances were launched from count as, for whom.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringViewArray};
use cloudigrade_schemas::Product;
use cloudigrade_schemas::image::{BillingModel, Evidence, Image, Override, Standing};
use serde::de::DeserializeOwned;

use super::registrations::Holders;
use crate::dimension::Dimension;
use crate::error::QueryError;

/// The columns of the table `images` that the catalogue is made of.
pub(super) const COLUMNS: [&str; 13] = [
    "image_id",
    "architecture",
    "rhel_detected",
    "openshift_detected",
    "billing_model",
    "is_marketplace",
    "syspurpose_role",
    "syspurpose_sla",
    "syspurpose_usage",
    "syspurpose_service_type",
    "evidence",
    "overrides",
    "untagged",
];

/// Whether each of [`Product::ALL`] counts, without a tag and with one; `None` where nothing is known.
type Counts = [[Option<bool>; 2]; Product::ALL.len()];

/// What an image counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageClass {
    /// For whom no override of their own holds.
    counts: Counts,
    /// For tenants that said something.
    counts_for: Vec<(Box<str>, Counts)>,
    /// The tags that say that a product is there, by account; the empty one is unnamed.
    tags: Vec<(Box<str>, Product)>,
    /// Who is paid, without a tag and with one.
    billing_model: [BillingModel; 2],
    architecture: Option<Box<str>>,
    /// Role, service level agreement, usage, type of service.
    purpose: [Option<Box<str>>; 4],
}

impl ImageClass {
    /// Whether a product counts for a tenant, or for whoever is none, who sees the tags of some accounts.
    pub(crate) fn counts(&self, product: Product, tenant: Option<&str>, sees: impl Fn(&str) -> bool) -> Option<bool> {
        let own = tenant.and_then(|tenant| self.counts_for.iter().find(|(whose, _)| **whose == *tenant));
        let counts = own.map_or(&self.counts, |(_, counts)| counts);
        counts[product_index(product)][usize::from(self.is_tagged(product, sees))]
    }

    fn billing_model(&self, sees: impl Fn(&str) -> bool) -> BillingModel {
        self.billing_model[usize::from(self.is_tagged(Product::Rhel, sees))]
    }

    fn is_tagged(&self, product: Product, sees: impl Fn(&str) -> bool) -> bool {
        self.tags.iter().any(|(account, tagged)| *tagged == product && sees(account))
    }
}

fn product_index(product: Product) -> usize {
    match product {
        Product::Rhel => 0,
        Product::Openshift => 1,
    }
}

/// All images of which something is known, by their ids.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    images: HashMap<Box<str>, ImageClass>,
}

impl Catalogue {
    /// Reads the rows of the table `images`.
    pub(super) fn read(rows: &[RecordBatch]) -> Result<Self, QueryError> {
        let mut images = HashMap::new();
        for batch in rows {
            let columns = Columns::of(batch).ok_or_else(|| storage("it has unexpected columns".to_owned()))?;
            for row in 0..batch.num_rows() {
                images.insert(columns.ids.value(row).into(), columns.class(row)?);
            }
        }
        Ok(Self { images })
    }

    pub(crate) fn get(&self, image: &str) -> Option<&ImageClass> {
        self.images.get(image)
    }
}

fn storage(what: String) -> QueryError {
    QueryError::Storage { message: format!("the table images: {what}") }
}

/// The columns of a batch.
struct Columns<'a> {
    ids: &'a StringViewArray,
    architectures: &'a StringViewArray,
    detected: [&'a BooleanArray; 2],
    billing_models: &'a StringViewArray,
    marketplace: &'a BooleanArray,
    purposes: [&'a StringViewArray; 4],
    evidence: &'a StringViewArray,
    overrides: &'a StringViewArray,
    untagged: &'a StringViewArray,
}

impl<'a> Columns<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let texts = |name: &str| batch.column_by_name(name)?.as_string_view_opt();
        let booleans = |name: &str| batch.column_by_name(name)?.as_boolean_opt();
        Some(Self {
            ids: texts("image_id")?,
            architectures: texts("architecture")?,
            detected: [booleans("rhel_detected")?, booleans("openshift_detected")?],
            billing_models: texts("billing_model")?,
            marketplace: booleans("is_marketplace")?,
            purposes: [texts("syspurpose_role")?, texts("syspurpose_sla")?, texts("syspurpose_usage")?, texts("syspurpose_service_type")?],
            evidence: texts("evidence")?,
            overrides: texts("overrides")?,
            untagged: texts("untagged")?,
        })
    }

    fn class(&self, row: usize) -> Result<ImageClass, QueryError> {
        let boolean = |column: &BooleanArray| column.is_valid(row).then(|| column.value(row));
        let text = |column: &StringViewArray| column.is_valid(row).then(|| Box::from(column.value(row)));
        let tags = self.tags(row)?;
        let untagged = match self.json::<Option<Standing>>(self.untagged, row, "untagged")? {
            Some(untagged) => untagged,
            None => Standing {
                rhel_detected: boolean(self.detected[0]),
                openshift_detected: boolean(self.detected[1]),
                billing_model: self.billing_model(row)?,
                ..Standing::default()
            },
        };
        let tagged = Product::ALL.into_iter().fold(untagged.clone(), Standing::tagged);
        // Only what decides whether a product counts; the rule is the image's own.
        let image = |standing: &Standing, overrides: Vec<Override>| Image {
            rhel_detected: standing.rhel_detected,
            openshift_detected: standing.openshift_detected,
            is_marketplace: boolean(self.marketplace).unwrap_or_default(),
            overrides,
            ..Image::default()
        };
        let overrides: Vec<Override> = self.json(self.overrides, row, "overrides")?;
        let mut tenants: Vec<String> = overrides.iter().filter_map(|said| said.tenant.clone()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        let billing_model = [untagged.billing_model, tagged.billing_model];
        let images = [image(&untagged, overrides.clone()), image(&tagged, overrides)];
        let counts = |tenant: Option<&str>| Product::ALL.map(|product| [0, 1].map(|at: usize| images[at].counts(product, tenant)));
        Ok(ImageClass {
            counts: counts(None),
            counts_for: tenants.iter().map(|tenant| (tenant.as_str().into(), counts(Some(tenant)))).collect(),
            tags,
            billing_model,
            architecture: text(self.architectures),
            purpose: self.purposes.map(text),
        })
    }

    fn tags(&self, row: usize) -> Result<Vec<(Box<str>, Product)>, QueryError> {
        if self.untagged.is_null(row) {
            return Ok(Vec::new());
        }
        let evidence: Vec<Evidence> = self.json(self.evidence, row, "evidence")?;
        let tags = evidence.into_iter().filter(|evidence| evidence.is_tag() && evidence.found);
        Ok(tags.map(|tag| (tag.account_id.unwrap_or_default().into(), tag.product)).collect())
    }

    fn billing_model(&self, row: usize) -> Result<BillingModel, QueryError> {
        let (id, word) = (self.ids.value(row), self.billing_models.value(row));
        let model = BillingModel::ALL.into_iter().find(|model| model.word() == word);
        model.ok_or_else(|| storage(format!("the billing model {word:?} of {id} does not read")))
    }

    fn json<T: Default + DeserializeOwned>(&self, column: &StringViewArray, row: usize, name: &str) -> Result<T, QueryError> {
        if column.is_null(row) {
            return Ok(T::default());
        }
        let unreadable = |error| storage(format!("{name} of {}: {error}", self.ids.value(row)));
        serde_json::from_str(column.value(row)).map_err(unreadable)
    }
}

/// What images count as for one viewer.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) whose: Whose,
}

/// Whose overrides and tags hold.
#[derive(Debug)]
pub(crate) enum Whose {
    /// A tenant's, with the accounts that it has.
    Tenant { tenant: Arc<str>, accounts: HashSet<Arc<str>> },
    /// Of each account those of the tenant that registered it first; where none did, the operator's, and the tags of all accounts that none has.
    Holder(Holders),
}

/// What an image is labelled with in one dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label<'a> {
    /// Yes or no; `None` where nothing is known.
    Is(Option<bool>),
    /// A word; `None` where nothing is known.
    Word(Option<&'a str>),
}

impl Labels {
    fn tenant(&self, account: &str) -> Option<&str> {
        match &self.whose {
            Whose::Tenant { tenant, .. } => Some(tenant),
            Whose::Holder(holders) => holders.first(account),
        }
    }

    /// Whether a tag of one account counts for the instances of another.
    fn reaches(&self, tagger: &str, account: &str) -> bool {
        match &self.whose {
            Whose::Tenant { accounts, .. } => accounts.contains(tagger),
            Whose::Holder(holders) => holders.share(account, tagger),
        }
    }

    /// What the image of an account's instance counts as; `None` as the image stands for one that no event told.
    pub(crate) fn of(&self, account: &str, image: Option<&str>, dimension: Dimension) -> Label<'_> {
        let class = image.and_then(|image| self.catalogue.get(image));
        let sees = |tagger: &str| self.reaches(tagger, account);
        let counts = |product| Label::Is(class.and_then(|class| class.counts(product, self.tenant(account), sees)));
        let purpose = |index: usize| Label::Word(class.and_then(|class| class.purpose[index].as_deref()));
        match dimension {
            Dimension::Rhel => counts(Product::Rhel),
            Dimension::Openshift => counts(Product::Openshift),
            Dimension::BillingModel => Label::Word(Some(class.map_or(BillingModel::Unknown, |class| class.billing_model(sees)).word())),
            Dimension::Architecture => Label::Word(class.and_then(|class| class.architecture.as_deref())),
            Dimension::Role => purpose(0),
            Dimension::Sla => purpose(1),
            Dimension::UsageKind => purpose(2),
            Dimension::ServiceType => purpose(3),
            // A run tells these itself.
            Dimension::Account | Dimension::Region | Dimension::Image | Dimension::InstanceType | Dimension::Instance => Label::Word(None),
        }
    }
}
