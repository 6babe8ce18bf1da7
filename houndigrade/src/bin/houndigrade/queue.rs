//! Reports to a queue of AWS.

use aws_config::{BehaviorVersion, Region};
use cloudigrade_schemas::Findings;
use houndigrade::evidence;

/// Bytes of a message that SQS takes.
const MESSAGE_BYTES_MAX: usize = 1 << 20;
/// Bytes that are kept free in it: for escapes that SQS wants and JSON does not.
const ESCAPES_BYTES: usize = 16 << 10;

#[derive(Debug, clap::Args)]
pub struct Queue {
    /// Send the report to this queue of SQS instead of writing it; if that fails, it is written
    #[arg(long, value_name = "URL")]
    pub queue_url: Option<String>,
    /// The queue's region [env: AWS_REGION]
    #[arg(long, value_name = "REGION", requires = "queue_url")]
    region: Option<String>,
    /// An SQS endpoint other than AWS's [env: AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", requires = "queue_url")]
    endpoint_url: Option<String>,
}

/// Sends a report as one message. Contents of files are left out of what is too large for one, which the message says.
pub fn send(findings: Findings, url: &str, queue: &Queue) -> Result<(), String> {
    let message = message(findings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let mut config = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = &queue.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &queue.endpoint_url {
            config = config.endpoint_url(endpoint);
        }
        let config = config.load().await;
        if config.region().is_none() {
            return Err("no region is known: give --region or set AWS_REGION".to_owned());
        }
        let sending = aws_sdk_sqs::Client::new(&config).send_message().queue_url(url).message_body(message).send().await;
        sending.map(drop).map_err(|error| format!("{url}: {}", aws_sdk_sqs::error::DisplayErrorContext(error)))
    })
}

fn message(mut findings: Findings) -> Result<String, String> {
    if !evidence::fit_all(&mut findings, MESSAGE_BYTES_MAX - ESCAPES_BYTES) {
        return Err(format!("without contents of files it is still larger than the {MESSAGE_BYTES_MAX} bytes that a message may have"));
    }
    let text = serde_json::to_string(&findings).map_err(|error| error.to_string())?;
    // Both are no characters, so SQS refuses them; in JSON they can only be in strings.
    let text = text.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
    if text.len() <= MESSAGE_BYTES_MAX { Ok(text) } else { Err("it has too many bytes that SQS takes only as escapes".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_sqs_refuses_are_escaped_and_read_back() {
        let findings = Findings { cloud: "a\u{fffe}\u{ffff}\u{1}".into(), ..Findings::default() };
        let text = message(findings.clone()).unwrap();
        assert!(!text.contains(['\u{fffe}', '\u{ffff}', '\u{1}']));
        assert_eq!(serde_json::from_str::<Findings>(&text).unwrap(), findings);
    }

    #[test]
    fn a_report_that_no_message_can_hold_is_an_error() {
        let findings = Findings { cloud: "x".repeat(MESSAGE_BYTES_MAX), ..Findings::default() };
        assert!(message(findings).is_err());
    }
}
