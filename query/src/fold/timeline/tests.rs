use proptest::prelude::*;

use super::*;

/// Three spans, the last of which is short.
const SECONDS: u32 = 40_000;

/// A piece of a run: start, end, vCPU (0 stands for an unknown size).
type Run = (u32, u32, i64);

fn size(vcpu: i64) -> Option<Size> {
    (vcpu > 0).then_some(Size { vcpu, memory_mib: vcpu * 1000 })
}

fn merged(parts: &[Vec<Run>]) -> (Timeline, Sizes) {
    let (mut merged, mut sizes, mut growth) = (Timeline::default(), Sizes::default(), 0);
    for part in parts {
        let (mut timeline, mut own_sizes, mut own_growth) = (Timeline::default(), Sizes::default(), 0);
        for (start, end, vcpu) in part {
            timeline.add(*start, *end, SECONDS, size(*vcpu), &mut own_sizes, &mut own_growth);
        }
        assert_eq!(timeline.heap_bytes(), own_growth);
        let mut bytes = Vec::new();
        timeline.encode(&own_sizes, &mut bytes);
        merged.merge(&mut Reader::new(&bytes), SECONDS, &mut sizes, &mut growth).unwrap();
    }
    assert_eq!(merged.heap_bytes(), growth);
    (merged, sizes)
}

/// The level of each second, by way of timelines of each part that are encoded and merged, and swept in at most so many parts.
fn levels(parts: &[Vec<Run>], sweeps: usize) -> Vec<Level> {
    let (mut merged, sizes) = merged(parts);
    let (mut levels, mut before) = (Vec::new(), Level::default());
    for part in merged.parts(sweeps, 1) {
        assert_eq!(part.start as usize, levels.len());
        let next = levels.len() + part.spans.len() * SPAN_SECONDS;
        let stops = (part.start..if part.spans.is_empty() { SECONDS } else { SECONDS.min(next as u32) }).collect::<Vec<_>>();
        let end = part.sweep(&sizes, stops.into_iter(), |second, level| {
            assert_eq!(second as usize, levels.len());
            let mut level = *level;
            level.add_level(&before);
            levels.push(level);
        });
        before.add_level(&end);
    }
    levels
}

fn naive(parts: &[Vec<Run>]) -> Vec<Level> {
    let mut changes = vec![Level::default(); SECONDS as usize + 1];
    for (start, end, vcpu) in parts.iter().flatten() {
        changes[*start as usize].add(1, size(*vcpu));
        changes[*end as usize].add(-1, size(*vcpu));
    }
    let mut level = Level::default();
    let held = changes[..SECONDS as usize].iter().map(|change| {
        level.add_level(change);
        level
    });
    held.collect()
}

fn parts(runs: usize) -> impl Strategy<Value = Vec<Vec<Run>>> {
    let run = (0..SECONDS, 1..SECONDS, 0_i64..4).prop_map(|(start, length, vcpu)| (start, (start + length).min(SECONDS), vcpu));
    prop::collection::vec(prop::collection::vec(run, 0..runs), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn few_and_some_changes_give_the_level_of_every_second(parts in parts(60), sweeps in 1..4_usize) {
        prop_assert!(levels(&parts, sweeps) == naive(&parts));
    }

    #[test]
    fn many_changes_give_the_level_of_every_second(parts in parts(3000), sweeps in 1..4_usize) {
        prop_assert!(levels(&parts, sweeps) == naive(&parts));
    }
}

#[test]
fn a_timeline_of_many_changes_is_bounded_by_its_seconds() {
    let many: Vec<Run> = (0..200_000).map(|n| (n % SECONDS, n % SECONDS + 1, 2)).collect();
    let parts = [many.clone(), vec![(0, 1, 0)], many];
    assert!(merged(&parts).0.heap_bytes() < 2 * SECONDS as usize * size_of::<Level>());
    assert!(levels(&parts, 2) == naive(&parts));
}

#[test]
fn more_sizes_than_a_short_change_can_name_are_counted_all_the_same() {
    let runs: Vec<Run> = (0..140_000).map(|n| (n % SECONDS, SECONDS, i64::from(n) + 1)).collect();
    assert!(levels(&[runs.clone()], 1) == naive(&[runs]));
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    for bytes in [&[9_u8, 0, 0, 0][..], &[], &[0, 0, 0, 0, 255, 255, 255, 255], &[1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0]] {
        let merged = Timeline::default().merge(&mut Reader::new(bytes), SECONDS, &mut Sizes::default(), &mut 0);
        assert_eq!(merged, Err(FoldError::NotAState));
    }
}
