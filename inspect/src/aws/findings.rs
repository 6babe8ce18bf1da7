//! The queue that scanners send their findings to.

use cloudigrade_connectors::aws::{Api, AwsError, Caller};

use super::AwsCloud;
use super::limits::{FINDINGS_HIDDEN, FINDINGS_PER_CALL, FINDINGS_WAIT};
use super::settings::{Queue, ScannerSettings};
use crate::cloud::FindingsMessage;

impl AwsCloud {
    /// See [`crate::cloud::Cloud::receive_findings`].
    pub(super) async fn receive(&self) -> Result<Vec<FindingsMessage>, String> {
        // Without a scanner no findings come from one.
        let Some(ScannerSettings { queue, .. }) = &self.settings.scanner else { return Ok(Vec::new()) };
        let (caller, sqs) = self.client_of(queue);
        let asked = sqs
            .receive_message()
            .queue_url(&queue.url)
            .max_number_of_messages(FINDINGS_PER_CALL)
            .wait_time_seconds(seconds(FINDINGS_WAIT))
            .visibility_timeout(seconds(FINDINGS_HIDDEN));
        let told = caller.call(&queue.region, Api::ReceiveMessage, asked.send()).await.map_err(|error| told_of(queue, &error))?;
        let message = |message: aws_sdk_sqs::types::Message| {
            Some(FindingsMessage {
                receipt: message.receipt_handle?,
                source: format!("{}/{}", queue.url, message.message_id.unwrap_or_default()),
                body: message.body.unwrap_or_default(),
            })
        };
        Ok(told.messages.unwrap_or_default().into_iter().filter_map(message).collect())
    }

    /// See [`crate::cloud::Cloud::delete_findings`].
    pub(super) async fn delete(&self, message: &FindingsMessage) -> Result<(), String> {
        let Some(ScannerSettings { queue, .. }) = &self.settings.scanner else { return Ok(()) };
        let (caller, sqs) = self.client_of(queue);
        let deleted = sqs.delete_message().queue_url(&queue.url).receipt_handle(&message.receipt);
        let told = caller.call(&queue.region, Api::DeleteMessage, deleted.send()).await;
        told.map(drop).map_err(|error| told_of(queue, &error))
    }

    fn client_of(&self, queue: &Queue) -> (Caller, aws_sdk_sqs::Client) {
        let caller = self.clients.as_itself(&self.settings.our_account);
        let sqs = aws_sdk_sqs::Client::new(&caller.config(&queue.region));
        (caller, sqs)
    }
}

fn told_of(queue: &Queue, error: &AwsError) -> String {
    format!(
        "{error}, of the queue of findings {}; check its address, and that this program may call {} on it: `cloudigrade accounts policy --for \
         service` prints what it needs",
        queue.url,
        error.api.action()
    )
}

fn seconds(time: std::time::Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}
