//! What steps gave, made durable before the next ones are taken.

use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::findings::ImageFindings;
use cloudigrade_schemas::inspection::{CommandId, InspectionEnd, InspectionState, SourceDisk};
use cloudigrade_schemas::{Inspection, UtcSecond};

use crate::advance::{Advanced, Gave, advance, clean_up, settle};
use crate::batching::{self, BatchGave, members_after};
use crate::book::{Entry, Found};
use crate::cloud::{Cloud, DirectRead, Step};
use crate::worker::{Worker, WorkerError};

impl<C: Cloud, L: Log> Worker<C, L>
where
    L::Task: 'static,
{
    /// What a step of an inspection gave, made durable.
    pub(crate) async fn settle_step(&mut self, command_id: &CommandId, outcome: Step<Gave>, now: UtcSecond) -> Result<(), WorkerError> {
        let Some(before) = self.book.live().get(command_id).cloned() else { return Ok(()) };
        metrics::counter!("cloudigrade_inspection_steps_total", "state" => before.state.word(), "outcome" => outcome.word()).increment(1);
        if let Step::Done(Gave::Read(DirectRead::Found { blocks, .. })) = &outcome {
            metrics::counter!("cloudigrade_inspection_blocks_read_total").increment(*blocks);
        }
        if let Step::Done(Gave::Disk(disk)) = &outcome
            && let Some(entry) = self.known_contents(&before, disk, now).await?
        {
            return self.write(entry, now).await;
        }
        let aborted = before.end.clone().filter(|_| before.state != InspectionState::CleaningUp);
        let Advanced { mut inspection, findings } = advance(before, outcome, &self.settings, now);
        // What somebody gave up stays so, whatever its last step gave.
        if let Some(end) = aborted {
            clean_up(&mut inspection, end, now);
            return self.write(Entry { inspections: vec![inspection], ..Entry::default() }, now).await;
        }
        let found = findings.map(|findings| found_by(&inspection, findings));
        self.write(Entry { inspections: vec![inspection], findings: found.into_iter().collect(), ..Entry::default() }, now).await
    }

    /// What another image of the same snapshot had, or the one that this is a copy of, unless somebody asked for this one to be read.
    async fn known_contents(&mut self, before: &Inspection, disk: &SourceDisk, now: UtcSecond) -> Result<Option<Entry>, WorkerError> {
        if before.state != InspectionState::Looking || before.asked_by.is_some() || before.end.is_some() {
            return Ok(None);
        }
        let Some((snapshot, findings)) = self.book.contents(disk).await? else { return Ok(None) };
        let mut inspection = before.clone();
        inspection.disk = Some(disk.clone());
        let found =
            settle(&mut inspection, findings, now).map(|findings| Found { known_from: Some(snapshot), ..found_by(&inspection, findings) });
        Ok(Some(Entry { inspections: vec![inspection], findings: found.into_iter().collect(), ..Entry::default() }))
    }

    /// What a step of a batch gave, made durable.
    pub(crate) async fn settle_batch(&mut self, batch_id: &str, outcome: Step<BatchGave>, now: UtcSecond) -> Result<(), WorkerError> {
        let Some(before) = self.book.batches().get(batch_id).cloned() else { return Ok(()) };
        metrics::counter!("cloudigrade_scanner_steps_total", "outcome" => outcome.word()).increment(1);
        let mut entry = Entry::default();
        match batching::advance(before.clone(), outcome, &self.settings, now) {
            Some(batch) => {
                entry.inspections = members_after(&batch, self.book.live(), now);
                entry.batches.push(batch);
            }
            None => entry.gone.push(before),
        }
        self.write(entry, now).await
    }

    /// Makes something durable, and tells the operator of it.
    pub(crate) async fn write(&mut self, entry: Entry, now: UtcSecond) -> Result<(), WorkerError> {
        for inspection in &entry.inspections {
            tell(self.book.live().get(&inspection.command_id), inspection);
        }
        self.book.commit(entry, now).await?;
        Ok(())
    }
}

/// What was found by an inspection.
pub(crate) fn found_by(inspection: &Inspection, findings: Box<ImageFindings>) -> Found {
    Found {
        image_id: inspection.image_id.clone(),
        region: inspection.region.clone(),
        command_id: inspection.command_id.clone(),
        snapshot_id: inspection.disk.as_ref().map(|disk| disk.snapshot_id.clone()),
        known_from: None,
        at: inspection.changed_at,
        findings,
    }
}

/// Tells the operator of each change of state, and of what is in the way.
fn tell(before: Option<&Inspection>, inspection: &Inspection) {
    let (image, attempt, state) = (&inspection.image_id, inspection.attempt, inspection.state.word());
    if before.is_none_or(|before| before.state != inspection.state) {
        if let (InspectionState::Over, Some(end)) = (inspection.state, &inspection.end) {
            let word = match end {
                InspectionEnd::Found => "found",
                InspectionEnd::Special { .. } => "special",
                InspectionEnd::Failed { .. } => "failed",
                InspectionEnd::Aborted => "aborted",
            };
            metrics::counter!("cloudigrade_inspection_ends_total", "end" => word).increment(1);
            tracing::info!(image, attempt, end = word, "an inspection is over");
        } else {
            tracing::debug!(image, attempt, state, "an inspection went on");
        }
    } else if let Some(problem) =
        inspection.problem.as_ref().filter(|problem| before.and_then(|before| before.problem.as_ref()) != Some(*problem))
    {
        tracing::warn!(image, attempt, state, problem, "an inspection does not go on");
    }
}
