//! From what holds of an image to the image as it stands.

use cloudigrade_schemas::billing::{self, BilledSystem, BillingCode};
use cloudigrade_schemas::findings::Inspected;
use cloudigrade_schemas::image::{BillingModel, Evidence, Image, OPENSHIFT_TAG, Product, RHEL_TAG, Standing};
use cloudigrade_schemas::image_fact::ImageMetadata;
use cloudigrade_schemas::inspection::SpecialImage;

use super::disks::Disks;
use super::known::{Known, Told};
use super::reason::status_of;

/// The platform of images that nothing is looked for in.
const WINDOWS: &str = "windows";

/// What EC2's description of an image says of what is in it and who is paid.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Description<'k> {
    /// Its billing code, where it is known what that means.
    pub(super) code: Option<BillingCode>,
    /// How Red Hat bills it, where it is one of Red Hat's.
    pub(super) vendor: Option<BillingModel>,
    /// Its code of AWS Marketplace.
    pub(super) product_code: Option<&'k str>,
    /// Whether it is Windows.
    pub(super) is_windows: bool,
}

impl<'k> Description<'k> {
    pub(super) fn of(image: &'k ImageMetadata) -> Self {
        let code = billing::code_of(image);
        let is_windows = image.platform.as_deref().is_some_and(|platform| platform.eq_ignore_ascii_case(WINDOWS))
            || code.is_some_and(|code| code.system == BilledSystem::Windows);
        Self { code, vendor: billing::vendor_image(image), product_code: billing::marketplace_code(image), is_windows }
    }

    /// What its code says where that is a system.
    pub(super) fn system(&self) -> Option<BillingCode> {
        self.code.filter(|code| code.system != BilledSystem::Untold)
    }

    /// Whether AWS bills RHEL in it by the hour.
    pub(super) fn is_billed_as_rhel(&self) -> bool {
        self.code.is_some_and(|code| code.system == BilledSystem::Rhel && code.billing == BillingModel::Payg)
    }

    /// Whether it is a system of others than Red Hat.
    pub(super) fn is_foreign(&self) -> bool {
        self.is_windows || self.code.is_some_and(|code| code.system == BilledSystem::Other)
    }
}

/// The image as it stands: what it is without its tags, and what they say on top.
pub(super) fn image_of(image_id: &str, known: &Known) -> Image {
    let metadata = known.metadata.as_ref().map(|told| &told.what);
    let described = metadata.map(Description::of).unwrap_or_default();
    let disks = known.disks.as_ref().map(|told| &told.what);
    let tags = tags_of(known);
    let evidence = evidence_of(known, &described);
    let rhel_detected = rhel(&evidence);
    let (status, status_reason) = status_of(known, &described);
    let untagged = Standing {
        status,
        status_reason,
        rhel_detected,
        openshift_detected: openshift(disks, &described),
        billing_model: billing_model(&described, rhel_detected),
    };
    let standing = untagged.clone().with_tags(&tags);
    let version = disks.and_then(|disks| disks.rhel_version.clone()).or_else(|| described.vendor.and(metadata).and_then(version_in_name));
    Image {
        image_id: image_id.to_owned(),
        region: known.region().to_owned(),
        status: standing.status,
        status_reason: standing.status_reason,
        metadata: metadata.cloned(),
        is_encrypted: metadata.is_some_and(|metadata| metadata.encrypted == Some(true)) || known.special() == Some(SpecialImage::Encrypted),
        is_marketplace: described.product_code.is_some()
            || described.vendor == Some(BillingModel::Payg)
            || described.is_billed_as_rhel()
            || known.special().is_some_and(SpecialImage::is_sold),
        is_cloud_access: described.vendor == Some(BillingModel::Byos),
        rhel_detected: standing.rhel_detected,
        openshift_detected: standing.openshift_detected,
        rhel_version: version.filter(|_| rhel_detected == Some(true)),
        billing_model: standing.billing_model,
        architecture: disks
            .and_then(|disks| disks.architecture.clone())
            .or_else(|| metadata.and_then(|metadata| metadata.architecture.clone())),
        syspurpose: disks.and_then(|disks| disks.syspurpose.clone()),
        untagged: (!tags.is_empty()).then_some(untagged),
        evidence: tags.into_iter().chain(evidence).collect(),
        overrides: known.overrides.values().map(|told| told.what.clone()).collect(),
        first_seen_at: known.uses.first().map(|first| first.since),
        changed_at: known.changed_at(),
        used_by: known.uses.clone(),
        inspection: known.inspection.as_ref().map(|told| told.what.clone()),
    }
}

/// The tags that say something, each by itself.
fn tags_of(known: &Known) -> Vec<Evidence> {
    let mut all = Vec::new();
    for (product, key) in [(Product::Rhel, RHEL_TAG), (Product::Openshift, OPENSHIFT_TAG)] {
        all.extend(known.tags(product).iter().filter(|(_, tag)| tag.what).map(|(account, tag)| {
            let account_id = Some(account.clone()).filter(|account| !account.is_empty());
            Evidence { account_id, ..evidence(Evidence::TAG, product, true, key.to_owned(), tag) }
        }));
    }
    all
}

/// All else that says something, each by itself.
fn evidence_of(known: &Known, described: &Description<'_>) -> Vec<Evidence> {
    let mut all = Vec::new();
    if let Some(told) = &known.metadata {
        all.extend(of_metadata(told, described));
    }
    if let Some(told) = &known.disks {
        let disks = &told.what;
        all.extend(disks.verdict().map(|is_rhel| evidence("inspection", Product::Rhel, is_rhel, disks.reasons(), told)));
        let openshift = |detail: &String| evidence("inspection", Product::Openshift, true, detail.clone(), told);
        all.extend(disks.openshift.as_ref().map(openshift));
        all.extend(disks.hints.iter().map(|hint| evidence(&hint.kind, Product::Rhel, hint.found, hint.detail.clone(), told)));
    }
    if let (Some(special), Some(told)) = (known.special().filter(|special| special.is_sold()), &known.inspection) {
        all.push(evidence("copy_refused", Product::Rhel, false, special.word().to_owned(), told));
    }
    all
}

fn of_metadata(told: &Told<ImageMetadata>, described: &Description<'_>) -> Vec<Evidence> {
    let metadata = &told.what;
    let name = || format!("{} of {}", metadata.name.as_deref().unwrap_or_default(), metadata.owner_id.as_deref().unwrap_or_default());
    let rhel = |kind: &str, found: bool, detail: String| evidence(kind, Product::Rhel, found, detail, told);
    let mut all = Vec::new();
    all.extend(described.is_windows.then(|| rhel("platform", false, "Windows".to_owned())));
    all.extend(described.vendor.map(|billing| {
        let kind = if billing == BillingModel::Byos { "cloud_access" } else { "hourly_image" };
        rhel(kind, true, name())
    }));
    all.extend(described.system().filter(|_| !described.is_windows).map(|code| {
        let detail = format!("{} ({})", code.usage_operation, code.platform_details);
        rhel("billing_code", code.system == BilledSystem::Rhel, detail)
    }));
    all.extend(described.product_code.map(|code| rhel("product_code", false, code.to_owned())));
    all
}

fn evidence<T>(kind: &str, product: Product, found: bool, detail: String, told: &Told<T>) -> Evidence {
    Evidence { kind: kind.to_owned(), product, found, detail, source: told.source.clone(), account_id: None, at: told.at }
}

/// What all but tags says of RHEL. What disks hold decides only by their inspector's verdict, and neither a product code nor a refused copy
/// decides anything: who sells an image says little of what is in it.
fn rhel(evidence: &[Evidence]) -> Option<bool> {
    let decides = |evidence: &&Evidence| {
        let kinds = ["platform", "cloud_access", "hourly_image", "billing_code", "inspection"];
        evidence.product == Product::Rhel && kinds.contains(&evidence.kind.as_str())
    };
    evidence.iter().filter(decides).map(|evidence| evidence.found).max()
}

/// What all but tags says of OpenShift. That nothing was found counts where somebody could look, and where what is in the image is known.
fn openshift(disks: Option<&Disks>, described: &Description<'_>) -> Option<bool> {
    if disks.is_some_and(|disks| disks.openshift.is_some()) {
        return Some(true);
    }
    let looked = disks.is_some_and(|disks| disks.inspected == Inspected::Complete);
    (looked || described.is_foreign() || described.vendor.is_some()).then_some(false)
}

/// Who is paid. What is sold in AWS Marketplace is paid there, whatever its billing code says: Red Hat sells images there with the code for
/// subscriptions. RHEL that nothing bills needs a subscription.
fn billing_model(described: &Description<'_>, rhel_detected: Option<bool>) -> BillingModel {
    if described.product_code.is_some() {
        return BillingModel::Payg;
    }
    let told = described.vendor.or(described.system().map(|code| code.billing));
    told.unwrap_or(if rhel_detected == Some(true) { BillingModel::Byos } else { BillingModel::Unknown })
}

/// The version in the name of one of Red Hat's images: `RHEL-9.2.0_HVM-20230503-x86_64-41-Access2-GP2` is 9.2.
fn version_in_name(image: &ImageMetadata) -> Option<String> {
    let (_, rest) = image.name.as_deref()?.split_once('-')?;
    let version: String = rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let mut numbers = version.split('.').filter(|number| !number.is_empty());
    let major = numbers.next()?;
    Some(numbers.next().map_or_else(|| major.to_owned(), |minor| format!("{major}.{minor}")))
}
