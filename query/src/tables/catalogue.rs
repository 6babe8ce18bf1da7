//! What the images that instances were launched from count as, for whom.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch, StringViewArray};
use cloudigrade_schemas::Product;
use cloudigrade_schemas::image::{BillingModel, Image, Override};

use crate::dimension::Dimension;
use crate::error::QueryError;

/// The columns of the table `images` that the catalogue is made of.
pub(super) const COLUMNS: [&str; 11] = [
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
    "overrides",
];

/// Whether each of [`Product::ALL`] counts; `None` where nothing is known.
type Counts = [Option<bool>; Product::ALL.len()];

/// What an image counts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ImageClass {
    /// For whom no override of their own holds.
    counts: Counts,
    /// For tenants that said something.
    counts_for: Vec<(Box<str>, Counts)>,
    billing_model: BillingModel,
    architecture: Option<Box<str>>,
    /// Role, service level agreement, usage, type of service.
    purpose: [Option<Box<str>>; 4],
}

impl ImageClass {
    /// Whether a product counts for a tenant, or for whoever is none.
    pub(crate) fn counts(&self, product: Product, tenant: Option<&str>) -> Option<bool> {
        let own = tenant.and_then(|tenant| self.counts_for.iter().find(|(whose, _)| **whose == *tenant));
        own.map_or(&self.counts, |(_, counts)| counts)[product_index(product)]
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
    overrides: &'a StringViewArray,
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
            overrides: texts("overrides")?,
        })
    }

    fn class(&self, row: usize) -> Result<ImageClass, QueryError> {
        let boolean = |column: &BooleanArray| column.is_valid(row).then(|| column.value(row));
        let text = |column: &StringViewArray| column.is_valid(row).then(|| Box::from(column.value(row)));
        let id = self.ids.value(row);
        let overrides: Vec<Override> = match self.overrides.is_valid(row) {
            true => serde_json::from_str(self.overrides.value(row)).map_err(|error| storage(format!("overrides of {id}: {error}")))?,
            false => Vec::new(),
        };
        let word = self.billing_models.value(row);
        let model = BillingModel::ALL.into_iter().find(|model| model.word() == word);
        // Only what decides whether a product counts; the rule is the image's own.
        let image = Image {
            rhel_detected: boolean(self.detected[0]),
            openshift_detected: boolean(self.detected[1]),
            is_marketplace: boolean(self.marketplace).unwrap_or_default(),
            overrides,
            ..Image::default()
        };
        let counts = |tenant: Option<&str>| Product::ALL.map(|product| image.counts(product, tenant));
        let mut tenants: Vec<&str> = image.overrides.iter().filter_map(|said| said.tenant.as_deref()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        Ok(ImageClass {
            counts: counts(None),
            counts_for: tenants.into_iter().map(|tenant| (tenant.into(), counts(Some(tenant)))).collect(),
            billing_model: model.ok_or_else(|| storage(format!("the billing model {word:?} of {id} does not read")))?,
            architecture: text(self.architectures),
            purpose: self.purposes.map(text),
        })
    }
}

/// What images count as for one viewer.
#[derive(Debug)]
pub(crate) struct Labels {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) whose: Whose,
}

/// Whose overrides hold.
#[derive(Debug)]
pub(crate) enum Whose {
    /// A tenant's.
    Tenant(Arc<str>),
    /// Of each account those of its owner, and where it has none the operator's.
    Owner(HashMap<Arc<str>, Arc<str>>),
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
            Whose::Tenant(tenant) => Some(tenant),
            Whose::Owner(owners) => owners.get(account).map(AsRef::as_ref),
        }
    }

    /// What the image of an account's instance counts as; `None` as the image stands for one that no event told.
    pub(crate) fn of(&self, account: &str, image: Option<&str>, dimension: Dimension) -> Label<'_> {
        let class = image.and_then(|image| self.catalogue.get(image));
        let counts = |product| Label::Is(class.and_then(|class| class.counts(product, self.tenant(account))));
        let purpose = |index: usize| Label::Word(class.and_then(|class| class.purpose[index].as_deref()));
        match dimension {
            Dimension::Rhel => counts(Product::Rhel),
            Dimension::Openshift => counts(Product::Openshift),
            Dimension::BillingModel => Label::Word(Some(class.map_or(BillingModel::Unknown, |class| class.billing_model).word())),
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
