//! What scanners send: findings, for the inspections that wait for them.

use std::collections::BTreeMap;

use cloudigrade_pipeline::log::Log;
use cloudigrade_schemas::findings::{Findings, ImageFindings};
use cloudigrade_schemas::inspection::{CommandId, InspectionEnd, InspectionState};
use cloudigrade_schemas::{DeadLetter, DeadLetterReason, Inspection, UtcSecond};

use crate::advance::settle;
use crate::book::{CLOUD, Entry, Found};
use crate::cloud::{Cloud, FindingsMessage};
use crate::outcomes::found_by;
use crate::worker::{Worker, WorkerError};

impl<C: Cloud, L: Log> Worker<C, L>
where
    L::Task: 'static,
{
    /// Receives what is in the queue, once, and takes it into account.
    ///
    /// # Errors
    /// [`WorkerError`]; a queue that cannot be read is none, it is tried again.
    pub async fn receive(&mut self) -> Result<(), WorkerError> {
        match self.cloud.receive_findings().await {
            Ok(messages) => self.settle_messages(messages).await,
            Err(error) => {
                tracing::warn!(error, "the queue of findings cannot be read; it is tried again");
                Ok(())
            }
        }
    }

    /// Makes each message durable, and deletes it then. One that is not deleted comes again, and changes nothing.
    pub(crate) async fn settle_messages(&mut self, messages: Vec<FindingsMessage>) -> Result<(), WorkerError> {
        for message in messages {
            let now = (self.clock)();
            match read(&message.body) {
                Ok(findings) => self.settle_findings(findings, now).await?,
                Err(detail) => {
                    tracing::warn!(message = message.source, detail, "a message of the queue of findings cannot be used");
                    let source = message.source.clone();
                    let letter = DeadLetter::new(source, None, DeadLetterReason::Unrecognized, detail, message.body.as_bytes(), now);
                    self.write(Entry { letters: vec![letter], ..Entry::default() }, now).await?;
                }
            }
            if let Err(error) = self.cloud.delete_findings(&message).await {
                tracing::warn!(error, "a message of findings was not deleted; it comes again");
            }
        }
        Ok(())
    }

    async fn settle_findings(&mut self, findings: Findings, now: UtcSecond) -> Result<(), WorkerError> {
        let mut entry = Entry::default();
        for (image_id, found) in findings.images {
            let waiting = self.book.live().values().find(|inspection| is_waiting(inspection, &image_id)).cloned();
            match waiting {
                Some(mut inspection) => {
                    let found = settle(&mut inspection, Box::new(found), now);
                    entry.findings.extend(found.map(|found| found_by(&inspection, found)));
                    entry.inspections.push(inspection);
                }
                None => entry.findings.extend(self.late(image_id, found, now).await?),
            }
        }
        self.write(entry, now).await
    }

    /// Findings that nobody waits for: of an attempt that was given up, they are still true. Others were told before, or are of no image that was
    /// ever inspected here.
    async fn late(&mut self, image_id: String, found: ImageFindings, now: UtcSecond) -> Result<Option<Found>, WorkerError> {
        let newest = self.book.newest(&image_id).await?;
        let is_news =
            newest.as_ref().is_some_and(|newest| matches!(newest.end, Some(InspectionEnd::Failed { .. })) || newest.end.is_none());
        let (true, Some(newest), false) = (is_news, newest, found.drives.is_empty() && found.is_rhel.is_none()) else {
            tracing::info!(image = image_id, "findings came that nobody waits for; they change nothing");
            return Ok(None);
        };
        let at = newest.changed_at.max(now);
        let (region, command_id): (String, CommandId) = (newest.region, newest.command_id);
        Ok(Some(Found { image_id, region, command_id, snapshot_id: None, known_from: None, at, findings: Box::new(found) }))
    }
}

fn is_waiting(inspection: &Inspection, image_id: &str) -> bool {
    inspection.image_id == image_id && inspection.state == InspectionState::Scanning && inspection.end.is_none()
}

/// What a message says.
fn read(body: &str) -> Result<Findings, String> {
    let findings: Findings = serde_json::from_str(body)
        .map_err(|error| format!("it is no report of houndigrade's: {error}; see who else sends to the queue of findings"))?;
    if findings.cloud != CLOUD {
        return Err(format!("it is about images of the cloud {:?}, not of {CLOUD:?}", findings.cloud));
    }
    // An empty report says nothing of anything.
    if findings.images == BTreeMap::new() {
        return Err("it is about no image".to_owned());
    }
    Ok(findings)
}
