//! Usage by account.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use cloudigrade_schemas::image::Product;
use serde_json::{Value, json};
use warp::http::{Method, StatusCode};
use warp::reply::Response;

use super::asked::Asked;
use super::usage::{Sums, Usage};
use super::{GIB, VCPU, account_id, name_pattern, parameters, seconds};
use crate::dimension::Dimension;
use crate::rest::Rest;
use crate::rest::answer::{self, Failure};
use crate::rest::call::Call;
use crate::rest::describe::{integer, list, moment, nullable, object, one_of, text};
use crate::rest::endpoint::{Answer, Endpoint, handler};
use crate::rest::v1::registered::Registered;
use crate::rest::v1::seen_image::SeenImage;
use crate::rest::v1::{READ, endpoint, id};

pub(super) fn endpoints() -> Vec<Endpoint> {
    let description = "Counts and sums are null, which is \"not known\", where nothing is known of the account and the time lies in the \
                       future or before its registration; 0 is \"known to be none\". To superusers an AWS account that several tenants \
                       registered is shown once, as the one has it that registered it first; `account_id` and `user_id` show the others'.";
    vec![endpoint(
        (Method::GET, "/api/v1/report/accounts/", READ),
        ("v1ReportAccounts", "Usage by account", description),
        [parameters(), vec![account_id(), name_pattern()]].concat(),
        vec![Answer::json(200, "The accounts.", schema(), example())],
        handler!(report),
    )]
}

fn schema() -> Value {
    let count = || nullable(integer());
    let runtime = || nullable(seconds(""));
    let overview = object([
        ("id", id()),
        ("cloud_account_id", text()),
        ("user_id", nullable(id())),
        ("type", one_of(&["aws"])),
        ("arn", text()),
        ("creation_date", moment()),
        ("name", nullable(text())),
        ("images", count()),
        ("instances", count()),
        ("rhel_instances", count()),
        ("openshift_instances", count()),
        ("rhel_runtime_seconds", runtime()),
        ("openshift_runtime_seconds", runtime()),
        ("rhel_images_challenged", count()),
        ("openshift_images_challenged", count()),
        ("rhel_memory_seconds", seconds(GIB)),
        ("openshift_memory_seconds", seconds(GIB)),
        ("rhel_vcpu_seconds", seconds(VCPU)),
        ("openshift_vcpu_seconds", seconds(VCPU)),
    ]);
    object([("cloud_account_overviews", list(overview))])
}

fn example() -> Value {
    json!({"cloud_account_overviews": [{
        "id": 4_503_599_627_370_497_i64,
        "cloud_account_id": "123456789012",
        "user_id": 4_503_599_627_370_498_i64,
        "type": "aws",
        "arn": "arn:aws:iam::123456789012:role/cloudigrade",
        "creation_date": "2024-02-01T09:00:00Z",
        "name": "production",
        "images": 1,
        "instances": 1,
        "rhel_instances": 1,
        "openshift_instances": 0,
        "rhel_runtime_seconds": 3600,
        "openshift_runtime_seconds": 0,
        "rhel_images_challenged": 0,
        "openshift_images_challenged": 0,
        "rhel_memory_seconds": 28800,
        "openshift_memory_seconds": 0,
        "rhel_vcpu_seconds": 7200,
        "openshift_vcpu_seconds": 0,
    }]})
}

/// What is known of the accounts, by AWS account.
#[derive(Default)]
struct Known {
    all: HashMap<String, Sums>,
    by_product: BTreeMap<Product, HashMap<String, Sums>>,
    /// The images that ran in each.
    images: HashMap<String, BTreeSet<String>>,
    /// Images of which anybody said something, by name.
    overridden: HashMap<String, SeenImage>,
}

impl Known {
    async fn of(rest: &Rest, asked: &Asked) -> Result<Self, Failure> {
        let Some(period) = asked.period.as_ref().map(|period| period.whole()) else { return Ok(Self::default()) };
        let mut usage = Usage::new(rest, asked);
        let by_account = |sums: Vec<Sums>| sums.into_iter().filter_map(|sums| Some((sums.account_id.clone()?, sums))).collect();
        let mut known = Self { all: by_account(usage.sums(&period, &[Dimension::Account], None).await?), ..Self::default() };
        for product in Product::ALL {
            let sums = usage.sums(&period, &[Dimension::Account], Some(product)).await?;
            known.by_product.insert(product, by_account(sums));
        }
        for sums in usage.sums(&period, &[Dimension::Account, Dimension::Image], None).await? {
            if let (Some(account), Some(image)) = (sums.account_id, sums.image_id) {
                known.images.entry(account).or_default().insert(image);
            }
        }
        let overridden = SeenImage::overridden(rest, &asked.viewer).await?;
        known.overridden = overridden.into_iter().map(|image| (image.row.image_id.clone(), image)).collect();
        Ok(known)
    }

    fn show(&self, asked: &Asked, one: &Registered) -> Value {
        let account = &one.account;
        let mut shown = json!({
            "id": one.id,
            "cloud_account_id": account.account_id,
            "user_id": one.user_id,
            "type": "aws",
            "arn": account.arn,
            "creation_date": account.created_at,
            "name": account.name,
        });
        let none = Sums::default();
        let sums = self.all.get(&account.account_id);
        let is_known = sums.is_some() || !asked.begins_in_future && asked.end > account.created_at;
        let told = |value: Value| if is_known { value } else { Value::Null };
        let images = self.images.get(&account.account_id);
        shown["images"] = told(json!(images.map_or(0, BTreeSet::len)));
        shown["instances"] = told(json!(sums.unwrap_or(&none).instances));
        for product in Product::ALL {
            let word = product.word();
            let sums = self.by_product.get(&product).and_then(|sums| sums.get(&account.account_id)).unwrap_or(&none);
            let is_challenged =
                |image: &&String| self.overridden.get(*image).is_some_and(|image| image.is_challenged_by(product, Some(&account.tenant)));
            let challenged = images.into_iter().flatten().filter(is_challenged).count();
            shown[format!("{word}_instances")] = told(json!(sums.instances));
            shown[format!("{word}_runtime_seconds")] = told(json!(sums.runtime_seconds));
            shown[format!("{word}_images_challenged")] = told(json!(challenged));
            shown[format!("{word}_memory_seconds")] = told(sums.memory_seconds());
            shown[format!("{word}_vcpu_seconds")] = told(sums.vcpu_seconds());
        }
        shown
    }
}

async fn report(rest: Rest, call: Call) -> Result<Response, Failure> {
    let asked = Asked::read(&rest, &call, false).await?;
    let known = Known::of(&rest, &asked).await?;
    let overviews: Vec<Value> = asked.accounts.iter().map(|one| known.show(&asked, one)).collect();
    Ok(answer::json(StatusCode::OK, &json!({"cloud_account_overviews": overviews})))
}
