//! The sums: how long instances ran in each bucket, weighed by their size, and how many distinct ones.

use arrow::datatypes::{DataType, Field};

use super::bytes::{Reader, put_i64, put_u32};
use super::distinct::Arrivals;
use super::pieces::Piece;
use super::{Fold, FoldError, Scope, push_counted};
use crate::period::Period;

/// The fold of [`measures`](Fold::measures) `instances`, `runtime_seconds`, `vcpu_seconds`, `memory_mib_seconds`, `unsized_seconds`.
///
/// `vcpu_seconds` and `memory_mib_seconds` leave out the runtime whose size is not known, which is `unsized_seconds`; they are null
/// where all of it is unknown.
pub(crate) struct Usage {
    period: Period,
    every_bucket: bool,
    one_instance: bool,
    growth: usize,
}

/// What ran in one bucket.
#[derive(Clone, Copy, Debug, Default)]
struct Cell {
    bucket: u32,
    instances: u32,
    runtime: i64,
    vcpu: i64,
    memory: i64,
    unsized_runtime: i64,
}

/// What ran of one group.
#[derive(Debug, Default)]
pub(crate) struct UsageGroup {
    /// Ascending by bucket. Once a quarter of the buckets has a cell, all have one, and `cells[i]` is that of bucket `i`.
    cells: Vec<Cell>,
    arrivals: Arrivals,
}

impl UsageGroup {
    #[inline]
    fn cell(&mut self, bucket: usize, buckets: usize, growth: &mut usize) -> &mut Cell {
        if self.cells.len() == buckets {
            return &mut self.cells[bucket];
        }
        let at = match self.cells.last() {
            Some(last) if last.bucket as usize == bucket => self.cells.len() - 1,
            _ => self.place(bucket, buckets, growth),
        };
        &mut self.cells[at]
    }

    /// Finds or makes a bucket's cell; gives its index.
    fn place(&mut self, bucket: usize, buckets: usize, growth: &mut usize) -> usize {
        let missing = match self.cells.binary_search_by_key(&(bucket as u32), |cell| cell.bucket) {
            Ok(at) => return at,
            Err(at) => at,
        };
        if (self.cells.len() + 1) * 4 > buckets {
            let before = self.cells.capacity();
            let mut all: Vec<_> = (0..buckets as u32).map(|bucket| Cell { bucket, ..Cell::default() }).collect();
            self.cells.iter().for_each(|cell| all[cell.bucket as usize] = *cell);
            self.cells = all;
            *growth += (self.cells.capacity() - before) * size_of::<Cell>();
            return bucket;
        }
        push_counted(&mut self.cells, Cell { bucket: bucket as u32, ..Cell::default() }, growth);
        self.cells[missing..].rotate_right(1);
        missing
    }
}

impl Cell {
    #[inline]
    fn add(&mut self, seconds: i64, piece: &Piece) -> Result<(), FoldError> {
        let sum = |total: &mut i64, more: i64| -> Result<(), FoldError> {
            *total = total.checked_add(more).ok_or(FoldError::Overflow)?;
            Ok(())
        };
        sum(&mut self.runtime, seconds)?;
        match piece.size {
            // Seconds and sizes are below 2^32 and 2^31: the products fit.
            Some(size) => sum(&mut self.vcpu, seconds * size.vcpu).and_then(|()| sum(&mut self.memory, seconds * size.memory_mib)),
            None => sum(&mut self.unsized_runtime, seconds),
        }
    }

    #[inline]
    fn count(&mut self, more: u32, one_instance: bool) -> Result<(), FoldError> {
        self.instances = if one_instance { 1 } else { self.instances.checked_add(more).ok_or(FoldError::Overflow)? };
        Ok(())
    }

    fn merge(&mut self, other: &Self) -> Result<(), FoldError> {
        for (total, more) in [
            (&mut self.runtime, other.runtime),
            (&mut self.vcpu, other.vcpu),
            (&mut self.memory, other.memory),
            (&mut self.unsized_runtime, other.unsized_runtime),
        ] {
            *total = total.checked_add(more).ok_or(FoldError::Overflow)?;
        }
        Ok(())
    }
}

impl Fold for Usage {
    const NAME: &'static str = "usage_fold";
    const ARGUMENTS: usize = 7;
    type Group = UsageGroup;

    fn new(scope: &Scope) -> Self {
        Self { period: scope.period.clone(), every_bucket: scope.every_bucket, one_instance: scope.one_instance, growth: 0 }
    }

    fn measures() -> Vec<Field> {
        let integer = |name, nullable| Field::new(name, DataType::Int64, nullable);
        vec![
            integer("instances", false),
            integer("runtime_seconds", false),
            integer("vcpu_seconds", true),
            integer("memory_mib_seconds", true),
            integer("unsized_seconds", false),
        ]
    }

    #[inline]
    fn add(&mut self, group: &mut UsageGroup, piece: Piece) -> Result<(), FoldError> {
        let buckets = self.period.buckets();
        let mut bucket = self.period.bucket_of(piece.start);
        let mut from = piece.start;
        loop {
            let to = self.period.edges()[bucket + 1].min(piece.end);
            let is_new = self.one_instance || group.arrivals.log(piece.instance, bucket, &mut self.growth);
            let cell = group.cell(bucket, buckets, &mut self.growth);
            cell.count(u32::from(is_new), self.one_instance)?;
            cell.add(to - from, &piece)?;
            if to == piece.end {
                return Ok(());
            }
            (from, bucket) = (to, bucket + 1);
        }
    }

    fn encode(&self, group: &UsageGroup, out: &mut Vec<u8>) {
        let used = || group.cells.iter().filter(|cell| cell.runtime > 0);
        put_u32(out, used().count() as u32);
        for cell in used() {
            put_u32(out, cell.bucket);
            put_u32(out, cell.instances);
            for sum in [cell.runtime, cell.vcpu, cell.memory, cell.unsized_runtime] {
                put_i64(out, sum);
            }
        }
        group.arrivals.encode(out);
    }

    fn merge(&mut self, group: &mut UsageGroup, from: &mut Reader<'_>) -> Result<(), FoldError> {
        let buckets = self.period.buckets();
        for _ in 0..from.u32()? {
            let bucket = from.u32()?;
            let instances = from.u32()?;
            let (runtime, vcpu, memory, unsized_runtime) = (from.i64()?, from.i64()?, from.i64()?, from.i64()?);
            if bucket as usize >= buckets {
                return Err(FoldError::NotAState);
            }
            let cell = group.cell(bucket as usize, buckets, &mut self.growth);
            cell.count(instances, self.one_instance)?;
            cell.merge(&Cell { bucket, instances, runtime, vcpu, memory, unsized_runtime })?;
        }
        group.arrivals.merge(from, &mut self.growth)
    }

    fn finish(&self, mut group: UsageGroup, row: &mut dyn FnMut(usize, &[Option<i64>])) -> Result<(), FoldError> {
        let cells = &mut group.cells;
        let buckets = self.period.buckets();
        group.arrivals.find_repeated(|bucket| {
            let at = if cells.len() == buckets { Ok(bucket) } else { cells.binary_search_by_key(&(bucket as u32), |cell| cell.bucket) };
            if let Some(cell) = at.ok().and_then(|at| cells.get_mut(at)) {
                cell.instances -= 1;
            }
        });
        let mut cells = group.cells.iter().filter(|cell| cell.runtime > 0).peekable();
        let mut emit = |bucket: usize, cell: &Cell| {
            let is_sized = cell.runtime == 0 || cell.unsized_runtime < cell.runtime;
            row(
                bucket,
                &[
                    Some(i64::from(cell.instances)),
                    Some(cell.runtime),
                    is_sized.then_some(cell.vcpu),
                    is_sized.then_some(cell.memory),
                    Some(cell.unsized_runtime),
                ],
            );
        };
        if !self.every_bucket {
            cells.for_each(|cell| emit(cell.bucket as usize, cell));
            return Ok(());
        }
        for bucket in 0..buckets {
            let used = cells.next_if(|cell| cell.bucket as usize == bucket);
            emit(bucket, used.unwrap_or(&Cell::default()));
        }
        Ok(())
    }

    fn heap_bytes(group: &UsageGroup) -> usize {
        group.cells.capacity() * size_of::<Cell>() + group.arrivals.heap_bytes()
    }

    fn take_growth(&mut self) -> usize {
        std::mem::take(&mut self.growth)
    }
}
