//! Whether brokers answer, and if not, why: the library repeats what fails by itself, and only tells of it.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel as Level;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;

use crate::kafka::client::tell;
use crate::kafka::{KafkaOptions, OpenError, failure, settings};
use crate::limits as l;

/// What is in the way: the later the worse, since what is before it worked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Barrier {
    /// No connection.
    Network,
    /// A connection, but not a safe one.
    Tls,
    /// A connection, but this program is not let in.
    Authentication,
}

impl Barrier {
    /// What to do.
    pub const fn help(self) -> &'static str {
        match self {
            Self::Network => "check kafka.bootstrap and kafka.security_protocol, and that the brokers are up and reachable from here",
            Self::Tls => {
                "check kafka.ssl_ca_location, that kafka.bootstrap names the brokers as their certificates do, and kafka.ssl_certificate_location where they ask for one"
            }
            Self::Authentication => "check kafka.sasl_mechanism, the user and the secret: Kafka does not let this program in",
        }
    }
}

impl fmt::Display for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Network => "Kafka does not answer",
            Self::Tls => "no safe connection to Kafka",
            Self::Authentication => "Kafka does not let this program in",
        })
    }
}

/// What the library tells of what is in the way; of several, the last of the worst kind.
#[derive(Default)]
struct Listener(Mutex<Option<(Barrier, String)>>);

impl Listener {
    fn heard(&self) -> Option<(Barrier, String)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for Listener {
    fn log(&self, level: Level, facility: &str, message: &str) {
        tell(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(barrier) = failure::barrier(&error, reason) else { return };
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.as_ref().is_none_or(|(worst, _)| *worst <= barrier) {
            *heard = Some((barrier, reason.to_owned()));
        }
    }
}

impl ConsumerContext for Listener {}

/// Waits until a broker answers. One that refuses is no reason to give up at once, since another may not; but soon.
pub(super) fn reach(options: &KafkaOptions) -> Result<(), OpenError> {
    let client: BaseConsumer<Listener> = settings::admin(options)
        .create_with_context(Listener::default())
        .map_err(|error| OpenError::Settings { cause: error.to_string() })?;
    let (began, mut refused) = (Instant::now(), None);
    loop {
        // The name of the cluster is in the first answer, which the library asks for by itself.
        if client.client().fetch_cluster_id(l::KAFKA_REACH_SLICE).is_some() {
            return Ok(());
        }
        // The library tells only who polls.
        while client.poll(Duration::ZERO).is_some() {}
        let heard = client.context().heard();
        if refused.is_none() && heard.as_ref().is_some_and(|(barrier, _)| *barrier > Barrier::Network) {
            refused = Some(Instant::now());
        }
        if began.elapsed() > l::KAFKA_CALL_TIMEOUT || refused.is_some_and(|since| since.elapsed() > l::KAFKA_REFUSED_MAX) {
            let (barrier, cause) = heard.unwrap_or_else(|| (Barrier::Network, "nothing came back in time".to_owned()));
            return Err(OpenError::Unreachable { bootstrap: options.bootstrap.clone(), barrier, cause });
        }
    }
}
