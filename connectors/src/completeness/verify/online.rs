//! Public keys from CloudTrail itself. Each region has its own.

use std::collections::BTreeMap;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::error::DisplayErrorContext;
use aws_sdk_cloudtrail::primitives::DateTime;
use cloudigrade_schemas::UtcSecond;

use super::keys::Keys;
use crate::limits::PUBLIC_KEY_PAGES_MAX;

/// CloudTrail does not list its keys.
#[derive(Debug, thiserror::Error)]
#[error(
    "the public keys of CloudTrail in {region} cannot be listed: {cause}; the credentials need cloudtrail:ListPublicKeys, or give the keys with --keys (what `aws cloudtrail list-public-keys --region {region}` prints)"
)]
pub struct KeysNotListed {
    region: String,
    cause: String,
}

/// The keys that regions signed with since some time, each by its own, as [`Survey::regions`](super::Survey::regions) tells them. Credentials
/// come from the environment; so does the endpoint, unless one is given. Digests that name log files later than others do are signed later,
/// so keys are asked for until `now`.
///
/// # Errors
/// [`KeysNotListed`].
pub async fn list_keys(
    regions: &BTreeMap<String, (UtcSecond, UtcSecond)>,
    endpoint_url: Option<&str>,
    now: UtcSecond,
) -> Result<Keys, KeysNotListed> {
    let mut keys = Keys::default();
    for (region, (from, until)) in regions {
        let mut config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new(region.clone()));
        if let Some(endpoint_url) = endpoint_url {
            config = config.endpoint_url(endpoint_url);
        }
        let client = Client::new(&config.load().await);
        list_keys_of(&client, region, (*from, (*until).max(now)), &mut keys).await?;
    }
    Ok(keys)
}

async fn list_keys_of(client: &Client, region: &str, (from, until): (UtcSecond, UtcSecond), keys: &mut Keys) -> Result<(), KeysNotListed> {
    let not_listed = |cause: String| KeysNotListed { region: region.to_owned(), cause };
    let mut next = None;
    for _ in 0..PUBLIC_KEY_PAGES_MAX {
        let (from, until) = (DateTime::from_secs(from.0), DateTime::from_secs(until.0));
        let page = client.list_public_keys().start_time(from).end_time(until).set_next_token(next).send().await;
        let page = page.map_err(|error| not_listed(DisplayErrorContext(error).to_string()))?;
        for key in page.public_key_list() {
            if let (Some(fingerprint), Some(der)) = (key.fingerprint(), key.value()) {
                keys.add(fingerprint, der.as_ref().to_vec());
            }
        }
        next = page.next_token().map(str::to_owned);
        if next.is_none() {
            return Ok(());
        }
    }
    Err(not_listed(format!("there are more than {PUBLIC_KEY_PAGES_MAX} pages of them")))
}
