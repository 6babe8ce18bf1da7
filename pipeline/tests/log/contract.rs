//! The embedded and the simulated log keep the contract, and the contract finds logs that do not.

use std::fs;
use std::num::NonZeroU32;

use crate::disk::Disk;
use cloudigrade_pipeline::contract::{self, Fixture, PARTITIONS_MIN};
use cloudigrade_pipeline::embedded::{EmbeddedLog, EmbeddedOptions};
use cloudigrade_pipeline::simulated::{Bug, Faults, SimulatedLog};
use tempfile::TempDir;

fn options() -> EmbeddedOptions {
    EmbeddedOptions { partitions: NonZeroU32::new(PARTITIONS_MIN).unwrap(), ..EmbeddedOptions::default() }
}

struct InFolder {
    log: EmbeddedLog,
    folder: TempDir,
}

impl InFolder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { log: EmbeddedLog::open(folder.path(), options()).unwrap(), folder }
    }
}

impl Fixture for InFolder {
    type Log = EmbeddedLog;

    fn log(&self) -> &EmbeddedLog {
        &self.log
    }

    /// What a killed process leaves is the file as it is while the log is open.
    fn crash(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        fs::copy(self.folder.path().join("log.redb"), folder.path().join("log.redb")).unwrap();
        self.log = EmbeddedLog::open(folder.path(), options()).unwrap();
        self.folder = folder;
    }
}

struct InMemory {
    log: EmbeddedLog,
    disk: Disk,
}

impl InMemory {
    fn on(disk: Disk) -> Self {
        Self { log: EmbeddedLog::open_backend(disk.clone(), options()).unwrap(), disk }
    }
}

impl Fixture for InMemory {
    type Log = EmbeddedLog;

    fn log(&self) -> &EmbeddedLog {
        &self.log
    }

    fn crash(&mut self) {
        *self = Self::on(Disk::holding(self.disk.content()));
    }
}

struct Simulated(SimulatedLog);

impl Fixture for Simulated {
    type Log = SimulatedLog;

    fn log(&self) -> &SimulatedLog {
        &self.0
    }

    fn crash(&mut self) {
        self.0.crash();
    }
}

fn simulated(seed: u64, faults: Faults) -> impl Fn() -> Simulated {
    move || Simulated(SimulatedLog::new(seed, PARTITIONS_MIN, faults))
}

#[test]
fn the_embedded_log_in_a_folder_keeps_the_contract() {
    assert_eq!(contract::check(InFolder::new), []);
}

#[test]
fn the_embedded_log_on_other_storage_keeps_the_contract() {
    assert_eq!(contract::check(|| InMemory::on(Disk::default())), []);
}

#[test]
fn the_simulated_log_without_faults_keeps_the_contract() {
    assert_eq!(contract::check(simulated(0, Faults::none())), []);
}

#[test]
fn the_simulated_log_with_faults_keeps_the_contract() {
    for seed in 0..20 {
        assert_eq!(contract::check(simulated(seed, Faults::transient())), [], "seed {seed}");
    }
}

#[test]
fn the_contract_finds_each_injected_bug() {
    for bug in [Bug::PositionsNotAtomic, Bug::CommitTwice, Bug::DropOutput, Bug::FenceIgnored] {
        let found = (0..20).any(|seed| !contract::check(simulated(seed, Faults::transient().with(bug))).is_empty());
        assert!(found, "{bug:?} was not found");
    }
}
