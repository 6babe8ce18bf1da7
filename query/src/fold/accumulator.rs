//! What DataFusion sees of a fold: groups of pieces in, one list of bucket rows a group out.

use std::marker::PhantomData;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, BooleanBuilder, Int64Builder, LargeBinaryArray, ListArray, StructArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use datafusion::common::Result;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

use super::bytes::{Reader, put_i64};
use super::metered::outside;
use super::pieces::{Clip, Origin, Pieces};
use super::{Fold, FoldError, NO_PIECE, Scope, UNKNOWN};
use crate::tables::contract::timestamp;

const MICROS_PER_SECOND: i64 = 1_000_000;

/// The columns of a bucket's row: the bucket, the measures of the fold, how sure they are.
pub(crate) fn row_fields<F: Fold>() -> Fields {
    let moment = |name, nullable| Field::new(name, timestamp(), nullable);
    let head = [moment("bucket_start", false), moment("bucket_end", false)];
    let tail = [Field::new("provisional", DataType::Boolean, false), moment("complete_through", true)];
    head.into_iter().chain(F::measures()).chain(tail).collect()
}

/// The list items of a fold's result.
pub(crate) fn item_field<F: Fold>() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(row_fields::<F>()), false))
}

/// A group, and how far the data of the accounts and regions in it reaches.
struct Held<G> {
    reach: i64,
    group: G,
}

impl<G: Default> Default for Held<G> {
    fn default() -> Self {
        Self { reach: NO_PIECE, group: G::default() }
    }
}

/// A fold over many groups.
pub(crate) struct FoldGroups<F: Fold> {
    scope: Scope,
    clip: Clip,
    fold: F,
    groups: Vec<Held<F::Group>>,
    heap_bytes: usize,
}

impl<F: Fold> FoldGroups<F> {
    pub(crate) fn new(scope: &Scope) -> Self {
        Self { scope: scope.clone(), clip: Clip::new(&scope.period), fold: F::new(scope), groups: Vec::new(), heap_bytes: 0 }
    }

    /// Of one group, which is there from the beginning.
    pub(super) fn of_one(scope: &Scope) -> Self {
        let mut this = Self::new(scope);
        this.reserve(1);
        this
    }

    fn reserve(&mut self, groups: usize) {
        self.groups.resize_with(groups, Held::default);
    }

    /// Takes in each row for which `group_of` gives a group.
    pub(super) fn add_rows(&mut self, values: &[ArrayRef], group_of: impl Fn(usize) -> Option<usize>) -> Result<(), FoldError> {
        let pieces = Pieces::new(values)?;
        let (reaches, metered) = (Arc::clone(&self.scope.reach), Arc::clone(&self.scope.metered));
        let mut origin = Origin::new(&pieces, &reaches);
        for row in 0..pieces.len() {
            let (Some(group), Some(mut piece)) = (group_of(row), pieces.clip(row, &self.clip)?) else { continue };
            let (reach, instance) = origin.at(row);
            piece.instance = instance;
            let held = &mut self.groups[group];
            let mut add = |piece| {
                held.reach = held.reach.min(reach);
                self.fold.add(&mut held.group, piece)
            };
            if metered.is_always() {
                add(piece)?;
            } else {
                outside(piece, metered.unmetered(pieces.account(row))).try_for_each(add)?;
            }
        }
        self.heap_bytes += self.fold.take_growth();
        Ok(())
    }

    fn merge_rows(&mut self, values: &[ArrayRef], group_of: impl Fn(usize) -> usize) -> Result<(), FoldError> {
        let states = values.first().and_then(|states| states.as_binary_opt::<i64>()).ok_or(FoldError::NotAState)?;
        for row in 0..states.len() {
            let mut from = Reader::new(states.value(row));
            let held = &mut self.groups[group_of(row)];
            held.reach = held.reach.min(from.i64()?);
            self.fold.merge(&mut held.group, &mut from)?;
        }
        self.heap_bytes += self.fold.take_growth();
        Ok(())
    }

    fn take(&mut self, emit_to: EmitTo) -> Vec<Held<F::Group>> {
        let taken = emit_to.take_needed(&mut self.groups);
        let freed: usize = taken.iter().map(|held| F::heap_bytes(&held.group)).sum();
        self.heap_bytes = self.heap_bytes.saturating_sub(freed);
        taken
    }

    /// The states of groups, one behind the other, and where each ends.
    fn take_states(&mut self, emit_to: EmitTo) -> (Vec<u8>, Vec<i64>) {
        let (mut states, mut ends) = (Vec::new(), vec![0]);
        for held in self.take(emit_to) {
            put_i64(&mut states, held.reach);
            self.fold.encode(&held.group, &mut states);
            ends.push(states.len() as i64);
        }
        (states, ends)
    }

    fn take_rows(&mut self, emit_to: EmitTo) -> Result<ListArray> {
        let mut rows = Rows::<F>::new(&self.scope);
        for held in self.take(emit_to) {
            rows.of_group(held.reach, |row| self.fold.finish(held.group, row))?;
        }
        rows.finish()
    }

    /// The rows of the one group that all of `self` and `others` hold a part of.
    pub(super) fn rows_together(self, others: Vec<Self>) -> Result<ListArray> {
        let scope = self.scope.clone();
        let reach = others.iter().chain([&self]).flat_map(|part| &part.groups).map(|held| held.reach).min();
        let part = |part: Self| (part.fold, part.groups.into_iter().next().map(|held| held.group).unwrap_or_default());
        let (first, others) = (part(self), others.into_iter().map(part).collect());
        let mut rows = Rows::<F>::new(&scope);
        rows.of_group(reach.unwrap_or(NO_PIECE), |row| F::finish_together(first, others, row))?;
        rows.finish()
    }
}

impl<F: Fold> GroupsAccumulator for FoldGroups<F> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.reserve(total_num_groups);
        match filter {
            None => self.add_rows(values, |row| Some(groups[row])),
            Some(filter) => self.add_rows(values, |row| (filter.is_valid(row) && filter.value(row)).then_some(groups[row])),
        }?;
        Ok(())
    }

    fn merge_batch(&mut self, values: &[ArrayRef], groups: &[usize], total_num_groups: usize) -> Result<()> {
        self.reserve(total_num_groups);
        Ok(self.merge_rows(values, |row| groups[row])?)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(self.take_rows(emit_to)?))
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let (states, ends) = self.take_states(emit_to);
        let states = LargeBinaryArray::new(OffsetBuffer::new(ScalarBuffer::from(ends)), Buffer::from_vec(states), None);
        Ok(vec![Arc::new(states)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let rows = values.first().map_or(0, |column| column.len());
        let mut each = Self::new(&self.scope);
        each.update_batch(values, &(0..rows).collect::<Vec<_>>(), filter, rows)?;
        each.state(EmitTo::All)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Held<F::Group>>() + self.heap_bytes
    }
}

/// The rows of groups' buckets, by column.
struct Rows<F> {
    scope: Scope,
    /// Where each group's rows end.
    ends: Vec<i32>,
    starts: Int64Builder,
    bucket_ends: Int64Builder,
    measures: Vec<Int64Builder>,
    provisional: BooleanBuilder,
    complete_through: Int64Builder,
    fold: PhantomData<F>,
}

impl<F: Fold> Rows<F> {
    fn new(scope: &Scope) -> Self {
        Self {
            scope: scope.clone(),
            ends: vec![0],
            starts: Int64Builder::new(),
            bucket_ends: Int64Builder::new(),
            measures: F::measures().iter().map(|_| Int64Builder::new()).collect(),
            provisional: BooleanBuilder::new(),
            complete_through: Int64Builder::new(),
            fold: PhantomData,
        }
    }

    /// Takes in the rows of a group whose data reaches so far.
    fn of_group(&mut self, reach: i64, finish: impl FnOnce(&mut dyn FnMut(usize, &[Option<i64>])) -> Result<(), FoldError>) -> Result<()> {
        let reach = if reach == NO_PIECE { self.scope.reach.overall().unwrap_or(UNKNOWN) } else { reach };
        finish(&mut |bucket, measures| self.push(reach, bucket, measures))?;
        let count = arrow::array::ArrayBuilder::len(&self.starts);
        let end = i32::try_from(count).map_err(|_| DataFusionError::ResourcesExhausted("too many rows of buckets".into()))?;
        self.ends.push(end);
        Ok(())
    }

    fn push(&mut self, reach: i64, bucket: usize, measures: &[Option<i64>]) {
        let edges = self.scope.period.edges();
        self.starts.append_value(edges[bucket] * MICROS_PER_SECOND);
        self.bucket_ends.append_value(edges[bucket + 1] * MICROS_PER_SECOND);
        for (column, measure) in self.measures.iter_mut().zip(measures) {
            column.append_option(*measure);
        }
        self.provisional.append_value(edges[bucket + 1] > reach.min(self.scope.period.now().0));
        self.complete_through.append_option((reach != UNKNOWN).then(|| reach * MICROS_PER_SECOND));
    }

    /// A list of rows for each group.
    fn finish(mut self) -> Result<ListArray> {
        let fields = row_fields::<F>();
        let integers = [self.starts, self.bucket_ends].into_iter().chain(self.measures);
        let mut columns: Vec<ArrayRef> = integers.map(|mut column| Arc::new(column.finish()) as ArrayRef).collect();
        columns.push(Arc::new(self.provisional.finish()));
        columns.push(Arc::new(self.complete_through.finish()));
        let columns = columns.iter().zip(&fields).map(|(column, field)| cast(column, field.data_type()));
        let rows = StructArray::new(fields.clone(), columns.collect::<Result<_, _>>()?, None);
        Ok(ListArray::new(item_field::<F>(), OffsetBuffer::new(ScalarBuffer::from(self.ends)), Arc::new(rows), None))
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringViewArray, TimestampMicrosecondArray};
    use arrow::compute::concat;
    use cloudigrade_schemas::UtcSecond;
    use datafusion::logical_expr::Accumulator;
    use datafusion::scalar::ScalarValue;
    use proptest::prelude::*;

    use super::*;
    use crate::fold::all::FoldAll;
    use crate::fold::{Concurrency, Usage};
    use crate::period::{Granularity, Period};

    const GROUPS: usize = 5;

    /// A row: group, instance, start and length in minutes (0 stands for no end), vCPU (0 stands for an unknown size).
    type Row = (usize, u8, i64, i64, i64);

    fn scope() -> Scope {
        let period = Period::new("2024-02-01", "2024-02-05", Granularity::Hour, "UTC", UtcSecond(1_706_900_000)).unwrap();
        Scope { period, reach: Arc::default(), metered: Arc::default(), every_bucket: false, one_instance: false }
    }

    fn columns(rows: &[Row]) -> (Vec<ArrayRef>, Vec<usize>) {
        let start = |row: &Row| (1_706_745_600 + row.2 * 60) * 1_000_000;
        let moments = |moment: &dyn Fn(&Row) -> Option<i64>| -> ArrayRef {
            Arc::new(rows.iter().map(moment).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        };
        let sizes =
            |factor: i64| -> ArrayRef { Arc::new(rows.iter().map(|row| (row.4 > 0).then_some(row.4 * factor)).collect::<Int64Array>()) };
        let texts = |text: &dyn Fn(&Row) -> String| -> ArrayRef { Arc::new(StringViewArray::from_iter_values(rows.iter().map(text))) };
        let columns = vec![
            moments(&|row| Some(start(row))),
            moments(&|row| (row.3 > 0).then(|| start(row) + row.3 * 60_000_000)),
            sizes(1),
            sizes(1024),
            texts(&|_| "000000000012".into()),
            texts(&|_| "ap-southeast-1".into()),
            texts(&|row| format!("i-{:017}", row.1)),
        ];
        (columns, rows.iter().map(|row| row.0).collect())
    }

    fn arguments<F: Fold>(columns: &[ArrayRef]) -> &[ArrayRef] {
        &columns[..F::ARGUMENTS]
    }

    /// All rows in one accumulator.
    fn at_once<F: Fold>(rows: &[Row]) -> ArrayRef {
        let mut fold = FoldGroups::<F>::new(&scope());
        let (columns, groups) = columns(rows);
        fold.update_batch(arguments::<F>(&columns), &groups, None, GROUPS).unwrap();
        fold.evaluate(EmitTo::All).unwrap()
    }

    /// Each part in an accumulator of its own, by turns with and without one; the states merged; the groups taken out in two goes.
    fn in_parts<F: Fold>(parts: &[Vec<Row>], first: usize) -> ArrayRef {
        let mut merged = FoldGroups::<F>::new(&scope());
        for (number, part) in parts.iter().enumerate() {
            let (columns, groups) = columns(part);
            let mut fold = FoldGroups::<F>::new(&scope());
            let (states, groups) = if number % 2 == 0 {
                (fold.convert_to_state(arguments::<F>(&columns), None).unwrap(), groups)
            } else {
                fold.update_batch(arguments::<F>(&columns), &groups, None, GROUPS).unwrap();
                (fold.state(EmitTo::All).unwrap(), (0..GROUPS).collect())
            };
            merged.merge_batch(&states, &groups, GROUPS).unwrap();
        }
        let first = merged.evaluate(EmitTo::First(first)).unwrap();
        let rest = merged.evaluate(EmitTo::All).unwrap();
        assert_eq!(merged.heap_bytes, 0, "memory that was taken is given back");
        concat(&[&first, &rest]).unwrap()
    }

    proptest! {
        #[test]
        fn states_that_are_merged_give_what_all_rows_at_once_give(
            parts in prop::collection::vec(
                prop::collection::vec((0..GROUPS, 0_u8..4, -3000_i64..6000, 0_i64..900, 0_i64..3), 0..60), 1..5),
            first in 0..=GROUPS,
        ) {
            let rows: Vec<_> = parts.concat();
            prop_assert_eq!(&in_parts::<Usage>(&parts, first), &at_once::<Usage>(&rows));
            prop_assert_eq!(&in_parts::<Concurrency>(&parts, first), &at_once::<Concurrency>(&rows));
        }
    }

    /// One group: each part folded by itself, then all but the last taken together, then what came of that and the last.
    fn in_stages<F: Fold>(parts: &[Vec<Row>]) -> ArrayRef {
        let handed_on = Arc::default();
        let folded = |part: &Vec<Row>| {
            let mut fold = FoldAll::<F>::new(&scope(), &handed_on);
            fold.update_batch(arguments::<F>(&columns(part).0)).unwrap();
            fold
        };
        let together = |folds: &mut [FoldAll<F>]| {
            let mut all = FoldAll::<F>::new(&scope(), &handed_on);
            for fold in folds {
                all.merge_batch(&[fold.state().unwrap()[0].to_array().unwrap()]).unwrap();
            }
            all
        };
        let mut folds: Vec<_> = parts.iter().map(folded).collect();
        let last = folds.pop().unwrap();
        let ScalarValue::List(rows) = together(&mut [together(&mut folds), last]).evaluate().unwrap() else { panic!("rows are a list") };
        rows
    }

    proptest! {
        #[test]
        fn parts_of_one_group_that_are_taken_together_in_stages_give_what_all_rows_at_once_give(
            parts in prop::collection::vec(
                prop::collection::vec((Just(0), 0_u8..4, -3000_i64..6000, 0_i64..900, 0_i64..3), 0..60), 1..5),
        ) {
            let rows: Vec<_> = parts.concat();
            prop_assert_eq!(&in_stages::<Usage>(&parts), &at_once::<Usage>(&rows).slice(0, 1));
            prop_assert_eq!(&in_stages::<Concurrency>(&parts), &at_once::<Concurrency>(&rows).slice(0, 1));
        }
    }

    #[test]
    fn a_sum_that_passes_64_bits_is_an_error() {
        let rows: Vec<Row> = (0..8).map(|_| (0, 0, -3000, 600_000, 1)).collect();
        let (mut columns, groups) = columns(&rows);
        columns[2] = Arc::new(Int64Array::from(vec![i64::from(i32::MAX); 8]));
        columns[3] = Arc::clone(&columns[2]);
        let period = Period::new("1950-01-01", "2049-01-01", Granularity::Month, "UTC", UtcSecond(0)).unwrap();
        let mut fold = FoldGroups::<Usage>::new(&Scope { period: period.whole(), ..scope() });
        let starts = vec![-600_000_000_000_000_i64; 8];
        columns[0] = Arc::new(TimestampMicrosecondArray::from(starts).with_timezone("UTC"));
        columns[1] = Arc::new(TimestampMicrosecondArray::from(vec![2_400_000_000_000_000_i64; 8]).with_timezone("UTC"));
        let error = fold.update_batch(&columns, &groups, None, 1).unwrap_err();
        assert!(error.to_string().contains("passes 64 bits"), "{error}");
    }

    #[test]
    fn a_size_out_of_range_is_an_error() {
        let (mut columns, groups) = columns(&[(0, 0, 0, 10, 1)]);
        columns[2] = Arc::new(Int64Array::from(vec![-1]));
        let error = FoldGroups::<Usage>::new(&scope()).update_batch(&columns, &groups, None, 1).unwrap_err();
        assert!(error.to_string().contains("out of range"), "{error}");
    }
}
