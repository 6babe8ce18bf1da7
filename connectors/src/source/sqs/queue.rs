//! A queue of notifications: SQS, or what stands for it in tests.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::Region;
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName};
use futures::future::{BoxFuture, FutureExt};

use super::classify::{Class, Failure, Reached, classify, help};
use super::failure;
use super::notification::ObjectRef;
use super::options::{Checked, SqsOptions};

/// A message, received and hidden from other readers for the visibility timeout.
#[derive(Clone, Debug, PartialEq)]
pub struct Received {
    /// The message's id.
    pub id: String,
    /// The handle of this delivery.
    pub receipt: String,
    /// The text.
    pub body: String,
    /// The object that it names, where that is known without reading the text.
    pub object: Option<ObjectRef>,
    /// How often it was received, this time included.
    pub receive_count: u32,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at_ms: Option<i64>,
}

/// How many messages a queue holds, as far as it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Those that can be received.
    pub waiting: u64,
    /// Those that somebody received and neither deleted nor gave back.
    pub in_hand: u64,
}

/// Messages, each until it is deleted.
pub trait Queue: Send + Sync {
    /// Waits for messages and takes up to `most` of them.
    ///
    /// # Errors
    /// [`QueueError`].
    fn receive(&self, most: usize) -> BoxFuture<'_, Result<Vec<Received>, QueueError>>;

    /// Deletes at most [`QUEUE_BATCH_MAX`](crate::limits::QUEUE_BATCH_MAX) messages; gives a result for each receipt, in order.
    ///
    /// # Errors
    /// [`QueueError`] for the request as a whole.
    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<Vec<Result<(), QueueError>>, QueueError>>;

    /// Hides a message for this long from now; zero gives it back.
    ///
    /// # Errors
    /// [`QueueError`].
    fn hide(&self, receipt: String, wait: Duration) -> BoxFuture<'_, Result<(), QueueError>>;

    /// How many messages there are.
    ///
    /// # Errors
    /// [`QueueError`].
    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>>;
}

/// Why a queue did not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueueError {
    /// The receipt is not valid any more: the message is somebody else's, or deleted.
    #[error("the receipt is not valid any more: the message was delivered again, or is deleted")]
    NotOurs,
    /// The request failed.
    #[error("{failure}; {}", help(failure))]
    Failed {
        /// How.
        failure: Failure,
    },
}

impl QueueError {
    /// Whether trying again soon may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Failed { failure } if classify(failure) == Class::Transient)
    }

    fn of(failure: Failure) -> Self {
        let code = failure.code.as_deref().unwrap_or_default();
        let not_ours = match code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code) {
            "ReceiptHandleIsInvalid" | "MessageNotInflight" => true,
            // So SQS says it of a receipt that has expired.
            "InvalidParameterValue" | "InvalidParameterValueException" => failure.message.to_lowercase().contains("receipt"),
            _ => false,
        };
        if not_ours { Self::NotOurs } else { Self::Failed { failure } }
    }
}

/// A queue of SQS.
pub struct SqsQueue {
    client: Client,
    url: String,
    visibility_seconds: i32,
    wait_seconds: i32,
}

impl SqsQueue {
    /// A queue as the configuration reaches it.
    pub fn new(config: &SdkConfig, options: &SqsOptions, checked: &Checked) -> Self {
        let mut sqs = aws_sdk_sqs::config::Builder::from(config);
        if let Some(region) = &checked.region {
            sqs = sqs.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &options.endpoint {
            sqs = sqs.endpoint_url(endpoint);
        }
        Self {
            client: Client::from_conf(sqs.build()),
            url: options.queue_url.clone(),
            visibility_seconds: seconds(options.visibility_timeout),
            wait_seconds: seconds(options.wait_time),
        }
    }

    async fn receive_some(&self, most: usize) -> Result<Vec<Received>, QueueError> {
        let request = self.client.receive_message().queue_url(&self.url).wait_time_seconds(self.wait_seconds);
        let request = request
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .visibility_timeout(self.visibility_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = request.send().await.map_err(|error| QueueError::of(failure::of(&error)))?;
        Ok(answer.messages.unwrap_or_default().into_iter().filter_map(received).collect())
    }

    async fn delete_some(&self, receipts: Vec<String>) -> Result<Vec<Result<(), QueueError>>, QueueError> {
        let mut results: Vec<Result<(), QueueError>> = receipts.iter().map(|_| Err(untold())).collect();
        let mut request = self.client.delete_message_batch().queue_url(&self.url);
        for (at, receipt) in receipts.into_iter().enumerate() {
            let entry = DeleteMessageBatchRequestEntry::builder().id(at.to_string()).receipt_handle(receipt).build();
            request = request.entries(entry.map_err(|error| QueueError::of(not_sent(error.to_string())))?);
        }
        let answer = request.send().await.map_err(|error| QueueError::of(failure::of(&error)))?;
        let place = |id: &str| id.parse::<usize>().ok();
        for done in answer.successful() {
            if let Some(result) = place(done.id()).and_then(|at| results.get_mut(at)) {
                *result = Ok(());
            }
        }
        for failed in answer.failed() {
            if let Some(result) = place(failed.id()).and_then(|at| results.get_mut(at)) {
                let message = failed.message().unwrap_or("no reason was given").to_owned();
                let status = Some(if failed.sender_fault() { 400 } else { 500 });
                *result = Err(QueueError::of(Failure { reached: Reached::Answer, code: Some(failed.code().to_owned()), status, message }));
            }
        }
        Ok(results)
    }

    async fn hide_one(&self, receipt: String, wait: Duration) -> Result<(), QueueError> {
        let request =
            self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt).visibility_timeout(seconds(wait));
        request.send().await.map(drop).map_err(|error| QueueError::of(failure::of(&error)))
    }

    async fn count(&self) -> Result<Depth, QueueError> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let request = request.attribute_names(ApproximateNumberOfMessages).attribute_names(ApproximateNumberOfMessagesNotVisible);
        let answer = request.send().await.map_err(|error| QueueError::of(failure::of(&error)))?;
        let number = |name: QueueAttributeName| {
            let told = answer.attributes().and_then(|told| told.get(&name)).and_then(|number| number.parse().ok());
            told.ok_or_else(|| QueueError::Failed { failure: not_told(&name) })
        };
        Ok(Depth { waiting: number(ApproximateNumberOfMessages)?, in_hand: number(ApproximateNumberOfMessagesNotVisible)? })
    }
}

impl Queue for SqsQueue {
    fn receive(&self, most: usize) -> BoxFuture<'_, Result<Vec<Received>, QueueError>> {
        self.receive_some(most).boxed()
    }

    fn delete(&self, receipts: Vec<String>) -> BoxFuture<'_, Result<Vec<Result<(), QueueError>>, QueueError>> {
        self.delete_some(receipts).boxed()
    }

    fn hide(&self, receipt: String, wait: Duration) -> BoxFuture<'_, Result<(), QueueError>> {
        self.hide_one(receipt, wait).boxed()
    }

    fn depth(&self) -> BoxFuture<'_, Result<Depth, QueueError>> {
        self.count().boxed()
    }
}

/// Without a receipt nothing can be done with a message; SQS gives none without.
fn received(message: Message) -> Option<Received> {
    let number = |name: MessageSystemAttributeName| message.attributes()?.get(&name)?.parse::<i64>().ok();
    let receive_count =
        number(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
    let sent_at_ms = number(MessageSystemAttributeName::SentTimestamp);
    Some(Received {
        receipt: message.receipt_handle?,
        id: message.message_id.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
        object: None,
        receive_count,
        sent_at_ms,
    })
}

fn seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

/// An entry that the answer does not mention: it may or may not be deleted, and asking again does no harm.
fn untold() -> QueueError {
    let message = "the answer does not mention the message".to_owned();
    QueueError::Failed { failure: Failure { reached: Reached::PartOfAnswer, code: None, status: None, message } }
}

fn not_told(name: &QueueAttributeName) -> Failure {
    Failure { reached: Reached::PartOfAnswer, code: None, status: None, message: format!("the answer does not tell {name}") }
}

fn not_sent(message: String) -> Failure {
    Failure { reached: Reached::NotSent, code: None, status: None, message }
}
