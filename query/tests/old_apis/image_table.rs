//! The table of images, in which overrides show.

use std::path::Path;

use cloudigrade_query::rest::backend::{OverrideRequest, Refused};
use cloudigrade_schemas::table::IMAGES;
use serde_json::json;

use crate::common::TableWriter;
use crate::world::{Known, image_rows};

/// The table, and what is in it.
pub struct ImageTable {
    images: Vec<Known>,
    table: TableWriter,
}

impl ImageTable {
    pub fn new(root: &Path, images: Vec<Known>) -> Self {
        let mut table = TableWriter::new(root, IMAGES);
        table.add_file(&[], &image_rows(&images));
        table.commit();
        Self { images, table }
    }

    /// Puts what somebody said in the place of what was said before.
    pub fn say(&mut self, tenant: Option<&str>, said: &OverrideRequest, by: &str) -> Result<(), Refused> {
        let image = self.images.iter_mut().find(|image| image.id == said.image_id).ok_or(Refused::NotFound { what: "image" })?;
        image.overrides.retain(|other| other["product"] != said.product.word() || other["tenant"] != json!(tenant));
        let at = "2024-03-01T00:00:00Z";
        image.overrides.push(json!({"tenant": tenant, "product": said.product.word(), "is": said.is, "by": by, "at": at}));
        let rows = image_rows(&self.images);
        self.table.replace_all();
        self.table.add_file(&[], &rows);
        self.table.commit();
        Ok(())
    }
}
