//! Who asks, and so what there is to see.

use std::sync::Arc;

/// Who asks. Everything that a question can reach is cut to it before the question is looked at: tables, reports, exports, explanations.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// The operator: all tenants, and what belongs to none.
    #[default]
    Everything,
    /// One tenant: the AWS accounts that it registered and has not deleted, and the images that these used.
    Tenant(Arc<str>),
}

impl Viewer {
    /// One tenant.
    pub fn tenant(name: impl Into<Arc<str>>) -> Self {
        Self::Tenant(name.into())
    }
}
