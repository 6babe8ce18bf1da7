//! Sums of usage for the reports, all as of one version of the tables.

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::image::Product;
use serde::Deserialize;
use serde_json::{Value, json};

use super::asked::Asked;
use crate::dimension::{Dimension, Only};
use crate::period::Period;
use crate::report::{ReportKind, ReportRequest};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::v1::rows;
use crate::tables::AsOf;

/// MiB of a GiB.
const MIB_PER_GIB: i64 = 1024;

/// A row of a report of usage.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Sums {
    /// When its day begins, or the whole time.
    pub(super) bucket_start: Option<UtcSecond>,
    #[serde(default)]
    pub(super) account_id: Option<String>,
    #[serde(default)]
    pub(super) image_id: Option<String>,
    /// Distinct instances.
    pub(super) instances: i64,
    pub(super) runtime_seconds: i64,
    vcpu_seconds: Option<i64>,
    memory_mib_seconds: Option<i64>,
}

impl Sums {
    /// Null where something ran and nothing of it has a known size.
    pub(super) fn vcpu_seconds(&self) -> Value {
        json!(self.known(self.vcpu_seconds))
    }

    /// The same in GiB-seconds.
    pub(super) fn memory_seconds(&self) -> Value {
        match self.known(self.memory_mib_seconds) {
            Some(mib) if mib % MIB_PER_GIB == 0 => json!(mib / MIB_PER_GIB),
            // Exact as long as the sum has at most 53 bits.
            Some(mib) => json!(mib as f64 / MIB_PER_GIB as f64),
            None => Value::Null,
        }
    }

    fn known(&self, sum: Option<i64>) -> Option<i64> {
        if self.runtime_seconds == 0 { Some(0) } else { sum }
    }
}

/// Asks for sums. The first answer decides which version of the tables the others come from.
pub(super) struct Usage<'a> {
    rest: &'a Rest,
    asked: &'a Asked,
    as_of: Option<AsOf>,
}

impl<'a> Usage<'a> {
    pub(super) fn new(rest: &'a Rest, asked: &'a Asked) -> Self {
        Self { rest, asked, as_of: None }
    }

    /// The sums of what is asked about, in groups; of one product, if one is given.
    pub(super) async fn sums(&mut self, period: &Period, by: &[Dimension], product: Option<Product>) -> Result<Vec<Sums>, Failure> {
        let request = ReportRequest {
            kind: ReportKind::Usage,
            period: period.clone(),
            by: by.to_vec(),
            viewer: self.asked.viewer.clone(),
            only: Only { accounts: Some(self.asked.account_ids()), product, ..Only::default() },
        };
        let report = self.rest.make_report_as_of(self.as_of.as_ref(), |_| Ok(request)).await?;
        let sums = rows::read(&report.schema, &report.batches)?;
        self.as_of = Some(AsOf::Snapshot(report.snapshot));
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_in_gib_and_what_is_not_known_is_null() {
        let sums = |runtime_seconds, memory_mib_seconds| Sums { runtime_seconds, memory_mib_seconds, ..Sums::default() };
        assert_eq!(sums(10, Some(10 * 1024)).memory_seconds(), json!(10));
        assert_eq!(sums(1, Some(512)).memory_seconds(), json!(0.5));
        assert_eq!(sums(1, None).memory_seconds(), Value::Null);
        assert_eq!(sums(0, None).memory_seconds(), json!(0));
        assert_eq!(sums(0, None).vcpu_seconds(), json!(0));
    }
}
