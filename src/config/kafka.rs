//! The log on Kafka.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;
use std::time::Duration;

use cloudigrade_connectors::limits::KAFKA_SESSION_TIMEOUT;
use cloudigrade_pipeline::embedded::EmbeddedOptions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::duration;
use super::kafka_security::{SaslMechanism, SecurityProtocol};

/// What brokers call this program unless something else is set.
const CLIENT_ID: &str = "cloudigrade";
/// Bytes of what brokers call this program, and of a rack: what their logs and metrics take.
const NAME_BYTES_MAX: usize = 249;

/// The log on Kafka, in place of the one in the data folder.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Kafka {
    /// Some of the cluster's brokers: `host:port`, separated by commas.
    pub bootstrap: String,
    /// What this program is called in the brokers' logs, metrics and quotas.
    pub client_id: String,
    /// Where this process is, in the brokers' words (`broker.rack`): it reads from replicas there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_rack: Option<String>,
    /// How brokers are reached: `plaintext`, `ssl`, `sasl_plaintext` or `sasl_ssl`.
    pub security_protocol: SecurityProtocol,
    /// A file (PEM) or folder with the certificates that are trusted [default: those that the system trusts].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_ca_location: Option<PathBuf>,
    /// A file (PEM) with this program's certificate, for brokers that ask for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_certificate_location: Option<PathBuf>,
    /// A file (PEM) with the certificate's key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_location: Option<PathBuf>,
    /// A file with the password of the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl_key_password_file: Option<PathBuf>,
    /// How this program says who it is: `PLAIN`, `SCRAM-SHA-256`, `SCRAM-SHA-512` or `OAUTHBEARER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_mechanism: Option<SaslMechanism>,
    /// Its user, for `PLAIN` and `SCRAM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_username: Option<String>,
    /// A file with the user's password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_password_file: Option<PathBuf>,
    /// Where tokens for `OAUTHBEARER` are had: a URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_oauthbearer_token_endpoint_url: Option<String>,
    /// The client of the OAuth server that this program is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_oauthbearer_client_id: Option<String>,
    /// A file with that client's secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_oauthbearer_client_secret_file: Option<PathBuf>,
    /// What tokens are to be good for, where the OAuth server wants to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sasl_oauthbearer_scope: Option<String>,
    /// What the names of topics, groups and transactional ids begin with, so that one cluster can hold several logs.
    pub prefix: String,
    /// The name of this process among those that share the log: the same after a restart, and no other's [default: the host's name].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// How long a process may not be heard of before others take its part of the work.
    #[serde(with = "duration")]
    #[schemars(with = "String")]
    pub session_timeout: Duration,
    /// Folder for the cache of state, which each process has for itself [default: the data folder].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<PathBuf>,
    /// How many partitions each topic has. Fixed when the log is made.
    pub partitions: NonZeroU32,
    /// How many replicas each partition has, at least.
    pub replication: NonZeroU16,
    /// How many replicas must have a record before it counts.
    pub min_in_sync: NonZeroU16,
}

impl Default for Kafka {
    fn default() -> Self {
        const THREE: NonZeroU16 = NonZeroU16::MIN.saturating_add(2);
        const TWO: NonZeroU16 = NonZeroU16::MIN.saturating_add(1);
        Self {
            bootstrap: String::new(),
            client_id: CLIENT_ID.to_owned(),
            client_rack: None,
            security_protocol: SecurityProtocol::Plaintext,
            ssl_ca_location: None,
            ssl_certificate_location: None,
            ssl_key_location: None,
            ssl_key_password_file: None,
            sasl_mechanism: None,
            sasl_username: None,
            sasl_password_file: None,
            sasl_oauthbearer_token_endpoint_url: None,
            sasl_oauthbearer_client_id: None,
            sasl_oauthbearer_client_secret_file: None,
            sasl_oauthbearer_scope: None,
            prefix: "cloudigrade.".to_owned(),
            member: None,
            session_timeout: KAFKA_SESSION_TIMEOUT,
            cache: None,
            partitions: EmbeddedOptions::default().partitions,
            replication: THREE,
            min_in_sync: TWO,
        }
    }
}

impl Kafka {
    /// What no type can say.
    pub(super) fn faults(&self, hold: &mut impl FnMut(bool, String)) {
        hold(!self.bootstrap.is_empty(), "kafka.bootstrap names no broker: write \"host:9092\"".to_owned());
        hold(
            self.min_in_sync <= self.replication,
            format!("kafka.min_in_sync is {}, of {} replicas (kafka.replication)", self.min_in_sync, self.replication),
        );
        for (key, name) in [("client_id", Some(&self.client_id)), ("client_rack", self.client_rack.as_ref())] {
            let is_name = |name: &str| (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
            hold(
                name.is_none_or(|name| is_name(name)),
                format!("kafka.{key} is no name: use at most {NAME_BYTES_MAX} letters, digits and signs, without spaces"),
            );
        }
        self.security_faults(hold);
        let seconds = self.session_timeout.as_secs();
        hold((6..=1800).contains(&seconds), format!("kafka.session_timeout is {seconds} s: choose 6s to 30m, as brokers allow"));
    }
}
