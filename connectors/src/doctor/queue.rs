//! Whether a queue can be read, and is set up so that nothing is lost in it.

use std::collections::HashMap;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_sdk_sqs::types::QueueAttributeName;

use super::Finding;
use super::failure::{help, told};

const CHECK: &str = "queue";
/// A queue should keep its messages at least so long: a server that is down over a long weekend loses nothing.
const RETENTION_MIN: Duration = Duration::from_secs(4 * 24 * 3600);

/// Looks at a queue, in the region that is given or else that of the configuration.
pub async fn check_queue(sdk: &SdkConfig, url: &str, region: Option<&str>, max_receive_count: u32) -> Vec<Finding> {
    let mut config = aws_sdk_sqs::config::Builder::from(sdk);
    if let Some(region) = region {
        config = config.region(aws_sdk_sqs::config::Region::new(region.to_owned()));
    }
    let client = aws_sdk_sqs::Client::from_conf(config.build());
    let answered = client.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All).send().await;
    match answered {
        Ok(answer) => judge(url, &answer.attributes.unwrap_or_default(), max_receive_count),
        Err(error) => {
            const ANSWERED: &str = "check source.sqs.queue_url, and allow sqs:GetQueueAttributes, sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on it";
            vec![Finding::failure(CHECK, url, told(&error), help(&error, ANSWERED))]
        }
    }
}

fn judge(url: &str, attributes: &HashMap<QueueAttributeName, String>, max_receive_count: u32) -> Vec<Finding> {
    let text = |name: QueueAttributeName| attributes.get(&name).map(String::as_str);
    let number = |name| text(name).and_then(|text| text.parse::<u64>().ok());
    let waiting = number(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or_default();
    let under_way = number(QueueAttributeName::ApproximateNumberOfMessagesNotVisible).unwrap_or_default();
    let mut findings = vec![Finding::ok(CHECK, url, format!("{waiting} messages wait, {under_way} are being worked on"))];
    let mut warn = |detail: String, help: String| findings.push(Finding::warning(CHECK, url, detail, help));
    if let Some(kept) = number(QueueAttributeName::MessageRetentionPeriod).filter(|kept| *kept < RETENTION_MIN.as_secs()) {
        warn(
            format!("messages are kept for {} hours only", kept / 3600),
            format!("set MessageRetentionPeriod to {} s or more, so that a pause loses nothing", RETENTION_MIN.as_secs()),
        );
    }
    match text(QueueAttributeName::RedrivePolicy).map(redrives_after) {
        None => warn(
            "there is no dead-letter queue".to_owned(),
            "set a RedrivePolicy: messages that nobody can use are then kept for looking at, not received for ever".to_owned(),
        ),
        Some(Some(after)) if after <= u64::from(max_receive_count) => warn(
            format!(
                "the queue gives messages up after {after} receives, before source.sqs.max_receive_count ({max_receive_count}) is reached"
            ),
            format!(
                "raise maxReceiveCount of the RedrivePolicy above {max_receive_count}, or lower the setting: else objects go missing without a dead letter here"
            ),
        ),
        Some(_) => {}
    }
    findings
}

fn redrives_after(policy: &str) -> Option<u64> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let count = policy.get("maxReceiveCount")?;
    count.as_u64().or_else(|| count.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    fn verdicts(attributes: &[(QueueAttributeName, &str)]) -> Vec<(Verdict, String)> {
        let attributes = attributes.iter().map(|(name, value)| (name.clone(), (*value).to_owned())).collect();
        judge("q", &attributes, 5).into_iter().map(|finding| (finding.verdict, finding.detail)).collect()
    }

    #[test]
    fn a_queue_that_may_lose_messages_is_warned_of() {
        let good = [
            (QueueAttributeName::MessageRetentionPeriod, "345600"),
            (QueueAttributeName::RedrivePolicy, r#"{"deadLetterTargetArn":"a","maxReceiveCount":"10"}"#),
        ];
        assert_eq!(verdicts(&good).len(), 1);
        let bad = [
            (QueueAttributeName::MessageRetentionPeriod, "3600"),
            (QueueAttributeName::RedrivePolicy, r#"{"deadLetterTargetArn":"a","maxReceiveCount":3}"#),
        ];
        let told = verdicts(&bad);
        assert_eq!(told.len(), 3);
        assert!(told[1].1.contains("1 hours") && told[2].1.contains("after 3 receives"), "{told:?}");
        assert!(verdicts(&[]).iter().any(|(verdict, detail)| *verdict == Verdict::Warning && detail.contains("no dead-letter queue")));
    }
}
