//! Text of messages: borrowed from the bytes that they are read from, wherever it holds no escapes.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};

/// Reads text that may be absent. Of itself serde borrows only text that may not.
pub(crate) fn maybe<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'a, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Borrowed<'a>>::deserialize(deserializer)?.map(|text| text.0))
}
