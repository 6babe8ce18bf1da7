//! Fixed integer ids of resources, for clients that know things by numbers.
//!
//! They are derived, not allotted: the first 53 bits of the xxh3-64 hash of a natural key, so that they are exact in JavaScript's numbers
//! and the same on every machine and after every rebuild. An id is never 0.
//!
//! Two keys can share an id. Among a million resources of one kind the odds that any two do are about 1 in 18,000, among a hundred thousand
//! 1 in 1.8 million. Whoever looks a resource up by its id must expect to find several, and never answer with the wrong one.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use datafusion::scalar::ScalarValue;
use xxhash_rust::xxh3::xxh3_64;

/// Bits of an id: what a JavaScript number holds exactly.
const ID_BITS: u32 = 53;

/// The id of a natural key, such as `user/NAME`: between 1 and 2^53 - 1.
pub fn resource_id(key: &str) -> i64 {
    ((xxh3_64(key.as_bytes()) >> (u64::BITS - ID_BITS)) as i64).max(1)
}

/// The id of a user.
pub fn user_id(name: &str) -> i64 {
    resource_id(&format!("user/{name}"))
}

/// The id of a tenant's account.
pub fn account_id(tenant: &str, account: &str) -> i64 {
    resource_id(&format!("account/{tenant}/{account}"))
}

/// The id of an instance.
pub fn instance_id(account: &str, region: &str, instance: &str) -> i64 {
    resource_id(&format!("instance/{account}/{region}/{instance}"))
}

/// The id of a machine image.
pub fn image_id(image: &str) -> i64 {
    resource_id(&format!("image/{image}"))
}

/// The id of a power event of an instance.
pub fn event_id(account: &str, region: &str, instance: &str, event: &str) -> i64 {
    resource_id(&format!("event/{account}/{region}/{instance}/{event}"))
}

/// `resource_id(text)` in SQL: the id of a natural key, null of null.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResourceId {
    signature: Signature,
}

impl ResourceId {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for ResourceId {
    fn name(&self) -> &str {
        "resource_id"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let ids = |texts: &ArrayRef| -> Result<Int64Array> {
            let texts = cast(texts, &DataType::Utf8View)?;
            Ok(texts.as_string_view().iter().map(|text| text.map(resource_id)).collect())
        };
        Ok(match &args.args[0] {
            ColumnarValue::Array(texts) => ColumnarValue::Array(Arc::new(ids(texts)?)),
            ColumnarValue::Scalar(text) => {
                let id = ids(&text.to_array()?)?;
                ColumnarValue::Scalar(ScalarValue::try_from_array(&id, 0)?)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_for_ever() {
        // What clients have stored must go on meaning the same.
        let ids = [user_id("alice"), account_id("one", "000000000012"), instance_id("000000000012", "eu-west-1", "i-a"), image_id("ami-1")];
        assert_eq!(ids, ids.map(|id| id.clamp(1, (1 << 53) - 1)));
        assert_eq!(user_id("alice"), resource_id("user/alice"));
        assert_eq!(event_id("1", "r", "i", "e"), resource_id("event/1/r/i/e"));
    }
}
