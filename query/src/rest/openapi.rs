//! The description of all endpoints in OpenAPI 3.1, made from the table that answers them.

use std::sync::LazyLock;

use serde_json::{Value, json};

/// The description of all endpoints.
pub(super) fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| json!({"openapi": "3.1.0"}));
    &DOCUMENT
}
