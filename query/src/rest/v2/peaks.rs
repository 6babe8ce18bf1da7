//! The most instances at once, for each combination of what their images are for.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use cloudigrade_schemas::UtcSecond;
use cloudigrade_schemas::image::Product;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::dimension::{Dimension, Only};
use crate::period::Period;
use crate::report::{ReportKind, ReportRequest};
use crate::rest::Rest;
use crate::rest::answer::Failure;
use crate::rest::v1::rows;
use crate::tables::AsOf;
use crate::viewer::Viewer;

/// Stands for all values of a dimension together.
pub(super) const ANY: &str = "_ANY";

/// By what is counted, in the order of keys.
const DIMENSIONS: [Dimension; 5] = [Dimension::Architecture, Dimension::Role, Dimension::Sla, Dimension::UsageKind, Dimension::ServiceType];
/// Architecture and role are never told apart together.
const ARCHITECTURE: usize = 0;
const ROLE: usize = 1;

/// A value of each dimension.
type Key = [String; DIMENSIONS.len()];
/// Which dimensions are told apart; the others are [`ANY`].
type Told = [bool; DIMENSIONS.len()];

/// A row of a report by some of the dimensions.
#[derive(Debug, Deserialize)]
struct Row {
    bucket_start: UtcSecond,
    #[serde(default)]
    architecture: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    sla: Option<String>,
    #[serde(default)]
    usage: Option<String>,
    #[serde(default)]
    service_type: Option<String>,
    #[serde(default)]
    peak_instances: i64,
}

impl Row {
    /// Its values; those that are not known, or by which it is not grouped, are empty.
    fn key(&self) -> Key {
        [&self.architecture, &self.role, &self.sla, &self.usage, &self.service_type].map(|value| value.clone().unwrap_or_default())
    }
}

/// The peaks of each day.
pub(super) struct Peaks {
    days: HashMap<UtcSecond, BTreeMap<Key, i64>>,
}

impl Peaks {
    /// Of all instances with RHEL that a viewer sees, for each day of a period.
    ///
    /// There is a report for each combination of dimensions that are told apart, all as of one version of the tables. A dimension in which
    /// all instances have the same value tells none apart, so that most combinations need no report of their own.
    pub(super) async fn of(rest: &Rest, viewer: &Viewer, period: &Period) -> Result<Self, Failure> {
        let mut asking = Asking { rest, viewer, as_of: None };
        let profiles: Vec<Row> = asking.report(ReportKind::Usage, &period.whole(), &DIMENSIONS).await?;
        let profiles: BTreeSet<Key> = profiles.iter().map(Row::key).collect();
        let mut days: HashMap<UtcSecond, BTreeMap<Key, i64>> = HashMap::new();
        let Some(common) = profiles.first() else { return Ok(Self { days }) };
        let varies: Told = std::array::from_fn(|at| profiles.iter().any(|profile| profile[at] != common[at]));

        let mut reports: HashMap<Told, Vec<Row>> = HashMap::new();
        for told in combinations() {
            let grouped: Told = std::array::from_fn(|at| told[at] && varies[at]);
            let report = match reports.entry(grouped) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(unmade) => {
                    let by: Vec<Dimension> = (0..DIMENSIONS.len()).filter(|at| grouped[*at]).map(|at| DIMENSIONS[at]).collect();
                    unmade.insert(asking.report(ReportKind::Concurrency, period, &by).await?)
                }
            };
            for row in report.iter().filter(|row| row.peak_instances > 0) {
                let values = row.key();
                let key = std::array::from_fn(|at| match (told[at], varies[at]) {
                    (false, _) => ANY.to_owned(),
                    (true, true) => values[at].clone(),
                    (true, false) => common[at].clone(),
                });
                days.entry(row.bucket_start).or_default().insert(key, row.peak_instances);
            }
        }
        Ok(Self { days })
    }

    /// Those of the day that begins at a moment, in the order of their keys.
    pub(super) fn of_day(&self, start: UtcSecond) -> Vec<Value> {
        let shown = |([arch, role, sla, usage, service_type], count): (&Key, &i64)| json!({"arch": arch, "role": role, "sla": sla, "usage": usage, "service_type": service_type, "instances_count": count});
        self.days.get(&start).into_iter().flatten().map(shown).collect()
    }
}

/// All combinations of dimensions that are told apart: 24.
fn combinations() -> impl Iterator<Item = Told> {
    (0..1_u32 << DIMENSIONS.len())
        .map(|bits| std::array::from_fn(|at| bits >> at & 1 == 1))
        .filter(|told: &Told| !(told[ARCHITECTURE] && told[ROLE]))
}

/// Asks for reports, all as of the version of the tables that the first one came from.
struct Asking<'a> {
    rest: &'a Rest,
    viewer: &'a Viewer,
    as_of: Option<AsOf>,
}

impl Asking<'_> {
    async fn report<T: DeserializeOwned>(&mut self, kind: ReportKind, period: &Period, by: &[Dimension]) -> Result<Vec<T>, Failure> {
        let request = ReportRequest {
            kind,
            period: period.clone(),
            by: by.to_vec(),
            viewer: self.viewer.clone(),
            only: Only { product: Some(Product::Rhel), ..Only::default() },
        };
        let report = self.rest.make_report_as_of(self.as_of.as_ref(), |_| Ok(request)).await?;
        let rows = rows::read(&report.schema, &report.batches)?;
        self.as_of = Some(AsOf::Snapshot(report.snapshot));
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_24_combinations_and_none_tells_architecture_and_role_apart_together() {
        let all: BTreeSet<Told> = combinations().collect();
        assert_eq!(all.len(), 24);
        assert!(all.iter().all(|told| !(told[ARCHITECTURE] && told[ROLE])));
    }
}
