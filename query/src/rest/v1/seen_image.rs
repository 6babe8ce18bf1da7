//! Machine images as the old APIs show them.

use std::collections::HashMap;

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::image::{BillingModel, Evidence, Image, ImageStatus, Override, Product};
use cloudigrade_schemas::image_fact::ImageMetadata;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::paging::Page;
use super::rows::{self, is_among, only_one};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::viewer::Viewer;

const COLUMNS: &str = "resource_id('image/' || image_id) AS id, image_id, region, status, name, owner_id, platform, architecture, \
    rhel_detected, openshift_detected, rhel_version, billing_model, is_encrypted, is_marketplace, is_cloud_access, syspurpose_role, \
    syspurpose_sla, syspurpose_usage, syspurpose_service_type, evidence, overrides, metadata, first_seen_at, changed_at";

/// A row of the table `images`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(in crate::rest) struct Row {
    pub(in crate::rest) id: i64,
    pub(in crate::rest) image_id: String,
    pub(in crate::rest) region: String,
    pub(in crate::rest) status: ImageStatus,
    pub(in crate::rest) name: Option<String>,
    pub(in crate::rest) owner_id: Option<String>,
    pub(in crate::rest) platform: Option<String>,
    pub(in crate::rest) architecture: Option<String>,
    rhel_detected: Option<bool>,
    openshift_detected: Option<bool>,
    pub(in crate::rest) rhel_version: Option<String>,
    billing_model: BillingModel,
    pub(in crate::rest) is_encrypted: bool,
    pub(in crate::rest) is_marketplace: bool,
    pub(in crate::rest) is_cloud_access: bool,
    pub(in crate::rest) syspurpose_role: Option<String>,
    pub(in crate::rest) syspurpose_sla: Option<String>,
    pub(in crate::rest) syspurpose_usage: Option<String>,
    pub(in crate::rest) syspurpose_service_type: Option<String>,
    evidence: String,
    overrides: String,
    metadata: Option<String>,
    pub(in crate::rest) first_seen_at: Option<UtcSecond>,
    pub(in crate::rest) changed_at: Option<UtcSecond>,
}

/// An image, as one viewer sees it.
///
/// It is challenged where the viewer's own tenant says the opposite of what it would count as without that: mostly what is detected, but
/// what the cloud bills for itself does not count as RHEL, and the operator can say otherwise too.
#[derive(Clone, Debug, Default)]
pub(in crate::rest) struct SeenImage {
    pub(in crate::rest) row: Row,
    pub(in crate::rest) evidence: Vec<Evidence>,
    overrides: Vec<Override>,
    pub(in crate::rest) metadata: ImageMetadata,
    /// The JSON of what its disks hold, where they were looked into.
    pub(in crate::rest) findings: Option<String>,
    /// The viewer's tenant; `None` for the operator.
    tenant: Option<String>,
}

impl SeenImage {
    /// A page of the images that a viewer sees, in the order of their ids; `condition` is SQL that cuts them.
    pub(in crate::rest) async fn page(rest: &Rest, viewer: &Viewer, condition: &str, page: Page) -> Result<(Vec<Self>, usize), Failure> {
        let sql = format!("SELECT {COLUMNS} FROM images WHERE {condition}");
        let (found, count) = rows::page::<Row>(rest, viewer, &sql, "id, region", page).await?;
        Ok((Self::with_findings(rest, viewer, found).await?, count))
    }

    /// The image with an id.
    ///
    /// # Errors
    /// 404 where there is none, 409 where several share it.
    pub(in crate::rest) async fn by_id(rest: &Rest, viewer: &Viewer, id: i64) -> Result<Self, Failure> {
        let sql = format!("SELECT * FROM (SELECT {COLUMNS} FROM images) AS seen WHERE id = {id}");
        let found = only_one(rows::ask::<Row>(rest, viewer, &sql).await?, |row| row.image_id.clone())?;
        Self::with_findings(rest, viewer, vec![found]).await?.pop().ok_or_else(Failure::not_found)
    }

    /// Some images by their names. One of which nothing is known is as one that was just seen.
    pub(in crate::rest) async fn by_names(rest: &Rest, viewer: &Viewer, names: &[String]) -> Result<HashMap<String, Self>, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM images WHERE {}", is_among("image_id", names.iter().map(String::as_str)));
        let mut images = HashMap::new();
        for row in rows::ask::<Row>(rest, viewer, &sql).await? {
            images.insert(row.image_id.clone(), Self::read(row, viewer)?);
        }
        for name in names {
            images.entry(name.clone()).or_insert_with(|| Self {
                row: Row { id: crate::ids::image_id(name), image_id: name.clone(), ..Row::default() },
                ..Self::default()
            });
        }
        Ok(images)
    }

    /// The images of which anybody said something that the viewer sees.
    pub(in crate::rest) async fn overridden(rest: &Rest, viewer: &Viewer) -> Result<Vec<Self>, Failure> {
        let sql = format!("SELECT {COLUMNS} FROM images WHERE overrides <> '[]'");
        rows::ask::<Row>(rest, viewer, &sql).await?.into_iter().map(|row| Self::read(row, viewer)).collect()
    }

    async fn with_findings(rest: &Rest, viewer: &Viewer, found: Vec<Row>) -> Result<Vec<Self>, Failure> {
        #[derive(Deserialize)]
        struct Found {
            image_id: String,
            value: String,
        }
        let names = is_among("image_id", found.iter().map(|row| row.image_id.as_str()));
        let sql = format!("SELECT image_id, value FROM image_facts WHERE kind = 'findings' AND {names}");
        let mut findings: HashMap<String, String> = HashMap::new();
        if !found.is_empty() {
            findings.extend(rows::ask::<Found>(rest, viewer, &sql).await?.into_iter().map(|found| (found.image_id, found.value)));
        }
        let with = |row: Row| {
            let findings = findings.remove(&row.image_id);
            Ok(Self { findings, ..Self::read(row, viewer)? })
        };
        found.into_iter().map(with).collect()
    }

    fn read(row: Row, viewer: &Viewer) -> Result<Self, Failure> {
        let tenant = match viewer {
            Viewer::Everything => None,
            Viewer::Tenant(tenant) => Some(tenant.to_string()),
        };
        let (evidence, overrides) = (parsed(&row.evidence)?, parsed(&row.overrides)?);
        let metadata = row.metadata.as_deref().map(parsed).transpose()?.unwrap_or_default();
        Ok(Self { row, evidence, overrides, metadata, findings: None, tenant })
    }

    /// Whether a product counts for the viewer.
    pub(in crate::rest) fn counts(&self, product: Product) -> Option<bool> {
        self.with_overrides(self.overrides.clone()).counts(product, self.tenant.as_deref())
    }

    /// Whether a product is there by the evidence.
    pub(in crate::rest) fn detected(&self, product: Product) -> Option<bool> {
        match product {
            Product::Rhel => self.row.rhel_detected,
            Product::Openshift => self.row.openshift_detected,
        }
    }

    /// Whether a product would count if the viewer's tenant had said nothing.
    pub(in crate::rest) fn unchallenged(&self, product: Product) -> Option<bool> {
        self.counts_without(product, self.tenant.as_deref())
    }

    /// Whether the viewer's tenant says the opposite of that. Where nothing is known, only that the product is there differs.
    pub(in crate::rest) fn is_challenged(&self, product: Product) -> bool {
        self.is_challenged_by(product, self.tenant.as_deref())
    }

    /// The same for a tenant of those that the viewer sees; `None` is the operator.
    pub(in crate::rest) fn is_challenged_by(&self, product: Product, tenant: Option<&str>) -> bool {
        let own = self.overrides.iter().find(|said| said.product == product && said.tenant.as_deref() == tenant);
        let unchallenged = || self.counts_without(product, tenant).unwrap_or(false);
        own.and_then(|said| said.is).is_some_and(|is| is != unchallenged())
    }

    /// The tenants that challenge it, each once.
    pub(in crate::rest) fn challengers(&self) -> Vec<&str> {
        let mut tenants: Vec<&str> = self.overrides.iter().filter_map(|said| said.tenant.as_deref()).collect();
        tenants.sort_unstable();
        tenants.dedup();
        tenants.retain(|tenant| Product::ALL.into_iter().any(|product| self.is_challenged_by(product, Some(tenant))));
        tenants
    }

    fn counts_without(&self, product: Product, tenant: Option<&str>) -> Option<bool> {
        let mut overrides = self.overrides.clone();
        overrides.retain(|said| said.tenant.as_deref() != tenant);
        self.with_overrides(overrides).counts(product, tenant)
    }

    /// What decides whether a product counts; the rule is the image's own.
    fn with_overrides(&self, overrides: Vec<Override>) -> Image {
        Image {
            rhel_detected: self.row.rhel_detected,
            openshift_detected: self.row.openshift_detected,
            billing_model: self.row.billing_model,
            is_marketplace: self.row.is_marketplace,
            overrides,
            ..Image::default()
        }
    }

    /// What an inspection found in one of its four ways; null where no disk was looked into.
    pub(in crate::rest) fn found(&self, flag: &str) -> Value {
        let findings = self.findings.as_deref().and_then(|findings| serde_json::from_str::<Value>(findings).ok());
        findings.map_or(Value::Null, |findings| findings[flag].clone())
    }
}

fn parsed<T: DeserializeOwned + Default>(text: &str) -> Result<T, Failure> {
    if text.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_str(text).map_err(|error| {
        tracing::error!(%error, "the table images holds what is not the JSON that it must be");
        Failure::internal()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(detected: Option<bool>, overrides: &[(Option<&str>, Option<bool>)]) -> SeenImage {
        let said = |(tenant, is): &(Option<&str>, Option<bool>)| Override {
            tenant: tenant.map(str::to_owned),
            product: Product::Rhel,
            is: *is,
            by: "alice".to_owned(),
            reason: None,
            at: UtcSecond(0),
        };
        SeenImage {
            row: Row { rhel_detected: detected, ..Row::default() },
            overrides: overrides.iter().map(said).collect(),
            tenant: Some("acme".to_owned()),
            ..SeenImage::default()
        }
    }

    #[test]
    fn an_image_counts_as_without_a_challenge_or_as_the_opposite_where_it_is_challenged() {
        let words = [Some(true), Some(false), None];
        for detected in words {
            for own in words {
                for operators in words {
                    let seen = image(detected, &[(Some("acme"), own), (None, operators), (Some("beta"), Some(true))]);
                    let (counts, without) = (seen.counts(Product::Rhel), seen.unchallenged(Product::Rhel));
                    assert_eq!(without, operators.or(detected));
                    match seen.is_challenged(Product::Rhel) {
                        true => assert_eq!(counts, Some(!without.unwrap_or(false)), "{detected:?} {own:?} {operators:?}"),
                        false => assert_eq!(counts.unwrap_or(false), without.unwrap_or(false), "{detected:?} {own:?} {operators:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn what_the_cloud_bills_for_is_detected_without_counting_and_a_challenge_makes_it_count() {
        let payg = |overrides| {
            let mut seen = image(Some(true), overrides);
            seen.row.is_marketplace = true;
            seen
        };
        let plain = payg(&[]);
        assert_eq!(
            (plain.detected(Product::Rhel), plain.counts(Product::Rhel), plain.is_challenged(Product::Rhel)),
            (Some(true), Some(false), false)
        );
        let challenged = payg(&[(Some("acme"), Some(true))]);
        assert_eq!((challenged.detected(Product::Rhel), challenged.counts(Product::Rhel)), (Some(true), Some(true)));
        assert!(challenged.is_challenged(Product::Rhel));
        assert_eq!(challenged.challengers(), ["acme"]);
    }
}
