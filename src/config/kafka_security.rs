//! Which settings of Kafka's security go together.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kafka;

/// How brokers are reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Unencrypted, as nobody.
    #[serde(alias = "PLAINTEXT")]
    Plaintext,
    /// By TLS, as whoever the certificate names.
    #[serde(alias = "SSL")]
    Ssl,
    /// Unencrypted, as a user.
    #[serde(alias = "SASL_PLAINTEXT")]
    SaslPlaintext,
    /// By TLS, as a user.
    #[serde(alias = "SASL_SSL")]
    SaslSsl,
}

/// How this program says who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum SaslMechanism {
    /// The password is sent.
    #[serde(rename = "PLAIN")]
    Plain,
    /// The password is proven.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The password is proven.
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    /// A token of an OAuth server is shown.
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl SecurityProtocol {
    /// Whether what is sent is encrypted.
    pub const fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether this program says who it is.
    pub const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for SaslMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl Kafka {
    /// What of the settings of security cannot be together: what is set and would do nothing must not be taken for protection.
    pub(super) fn security_faults(&self, hold: &mut impl FnMut(bool, String)) {
        let protocol = self.security_protocol;
        for (key, is_set) in [
            ("ssl_ca_location", self.ssl_ca_location.is_some()),
            ("ssl_certificate_location", self.ssl_certificate_location.is_some()),
            ("ssl_key_location", self.ssl_key_location.is_some()),
            ("ssl_key_password_file", self.ssl_key_password_file.is_some()),
        ] {
            hold(
                !is_set || protocol.has_tls(),
                format!("kafka.{key} is set, but kafka.security_protocol is {protocol}: choose ssl or sasl_ssl, or leave it out"),
            );
        }
        hold(
            self.ssl_certificate_location.is_some() == self.ssl_key_location.is_some(),
            "kafka.ssl_certificate_location and kafka.ssl_key_location go together: give both or none".to_owned(),
        );
        hold(
            self.ssl_key_password_file.is_none() || self.ssl_key_location.is_some(),
            "kafka.ssl_key_password_file is set without kafka.ssl_key_location: there is no key that it is for".to_owned(),
        );
        hold(
            self.sasl_mechanism.is_none() || protocol.has_sasl(),
            format!(
                "kafka.sasl_mechanism is set, but kafka.security_protocol is {protocol}: choose sasl_ssl or sasl_plaintext, or leave it out"
            ),
        );
        hold(
            self.sasl_mechanism.is_some() || !protocol.has_sasl(),
            format!(
                "kafka.security_protocol is {protocol}, which needs kafka.sasl_mechanism: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
            ),
        );
        let has_password = self.sasl_mechanism.map(|mechanism| mechanism != SaslMechanism::OauthBearer);
        let told = self.sasl_mechanism.map_or_else(|| "not set".to_owned(), |mechanism| mechanism.to_string());
        // What is set, whether it is for passwords or for tokens, and whether it may be left out.
        for (key, is_set, is_for_passwords, is_optional) in [
            ("sasl_username", is_given(self.sasl_username.as_deref()), true, false),
            ("sasl_password_file", self.sasl_password_file.is_some(), true, false),
            ("sasl_oauthbearer_token_endpoint_url", is_given(self.sasl_oauthbearer_token_endpoint_url.as_deref()), false, false),
            ("sasl_oauthbearer_client_id", is_given(self.sasl_oauthbearer_client_id.as_deref()), false, false),
            ("sasl_oauthbearer_client_secret_file", self.sasl_oauthbearer_client_secret_file.is_some(), false, false),
            ("sasl_oauthbearer_scope", is_given(self.sasl_oauthbearer_scope.as_deref()), false, true),
        ] {
            let is_for_this = has_password == Some(is_for_passwords);
            hold(!is_set || is_for_this, format!("kafka.{key} is set, but kafka.sasl_mechanism is {told}, which does not use it"));
            hold(is_set || is_optional || !is_for_this, format!("kafka.sasl_mechanism is {told}, which needs kafka.{key}"));
        }
        if let Some(url) = &self.sasl_oauthbearer_token_endpoint_url {
            let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
            hold(
                rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && rest.bytes().all(|byte| byte.is_ascii_graphic())),
                "kafka.sasl_oauthbearer_token_endpoint_url is no URL: write https://host/path".to_owned(),
            );
            hold(
                rest.is_none_or(|rest| !rest.split('/').next().unwrap_or(rest).contains('@')),
                "kafka.sasl_oauthbearer_token_endpoint_url holds a password, which is told in messages: write it into a file, and name that in kafka.sasl_oauthbearer_client_secret_file".to_owned(),
            );
        }
    }
}

fn is_given(text: Option<&str>) -> bool {
    text.is_some_and(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use crate::config::load;

    /// What is wrong with these settings of `[kafka]`.
    fn wrong(settings: &[(&str, &str)]) -> String {
        let bootstrap = [("BOOTSTRAP", "kafka-1:9092")];
        let variables = bootstrap.iter().chain(settings).map(|(key, value)| (format!("CLOUDIGRADE__KAFKA__{key}"), (*value).to_owned()));
        load(None, variables).err().map_or_else(String::new, |error| error.to_string())
    }

    const SASL_SSL: (&str, &str) = ("SECURITY_PROTOCOL", "sasl_ssl");
    const USER: [(&str, &str); 2] = [("SASL_USERNAME", "u"), ("SASL_PASSWORD_FILE", "/p")];
    const CLIENT: [(&str, &str); 3] = [
        ("SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "https://idp/token"),
        ("SASL_OAUTHBEARER_CLIENT_ID", "c"),
        ("SASL_OAUTHBEARER_CLIENT_SECRET_FILE", "/s"),
    ];

    #[test]
    fn what_goes_together_is_taken() {
        let with = |mechanism, rest: &[(&'static str, &'static str)]| [&[SASL_SSL, ("SASL_MECHANISM", mechanism)], rest].concat();
        for settings in [
            vec![],
            vec![("SECURITY_PROTOCOL", "ssl")],
            vec![("SECURITY_PROTOCOL", "SSL"), ("SSL_CA_LOCATION", "/ca")],
            vec![
                ("SECURITY_PROTOCOL", "ssl"),
                ("SSL_CERTIFICATE_LOCATION", "/c"),
                ("SSL_KEY_LOCATION", "/k"),
                ("SSL_KEY_PASSWORD_FILE", "/p"),
            ],
            with("PLAIN", &USER),
            with("SCRAM-SHA-256", &USER),
            with("SCRAM-SHA-512", &USER),
            with("OAUTHBEARER", &CLIENT),
            [with("OAUTHBEARER", &CLIENT), vec![("SASL_OAUTHBEARER_SCOPE", "kafka")]].concat(),
            vec![("CLIENT_ID", "metering"), ("CLIENT_RACK", "eu-west-1a")],
        ] {
            assert_eq!(wrong(&settings), "", "{settings:?}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_told_with_its_keys() {
        let sasl = |mechanism| [SASL_SSL, ("SASL_MECHANISM", mechanism)];
        for (settings, said) in [
            (vec![("SSL_CA_LOCATION", "/ca")], "kafka.ssl_ca_location is set, but kafka.security_protocol is plaintext"),
            (vec![("SECURITY_PROTOCOL", "ssl"), ("SSL_KEY_LOCATION", "/k")], "go together"),
            (vec![("SECURITY_PROTOCOL", "ssl"), ("SSL_KEY_PASSWORD_FILE", "/k")], "no key that it is for"),
            (vec![("SECURITY_PROTOCOL", "tls")], "security_protocol"),
            (vec![SASL_SSL], "which needs kafka.sasl_mechanism"),
            (vec![("SASL_MECHANISM", "PLAIN")], "kafka.security_protocol is plaintext"),
            (vec![("SASL_USERNAME", "u")], "kafka.sasl_username is set, but kafka.sasl_mechanism is not set"),
            (sasl("PLAIN").to_vec(), "kafka.sasl_mechanism is PLAIN, which needs kafka.sasl_username"),
            ([&sasl("SCRAM-SHA-512")[..], &USER[..1]].concat(), "which needs kafka.sasl_password_file"),
            ([&sasl("OAUTHBEARER")[..], &USER].concat(), "kafka.sasl_username is set, but kafka.sasl_mechanism is OAUTHBEARER"),
            ([&sasl("OAUTHBEARER")[..], &CLIENT[..2]].concat(), "which needs kafka.sasl_oauthbearer_client_secret_file"),
            ([&sasl("PLAIN")[..], &USER, &CLIENT[1..2]].concat(), "kafka.sasl_oauthbearer_client_id is set, but"),
            ([&sasl("OAUTHBEARER")[..], &[("SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "idp")], &CLIENT[1..]].concat(), "is no URL"),
            (
                [&sasl("OAUTHBEARER")[..], &[("SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL", "https://a:b@idp/")], &CLIENT[1..]].concat(),
                "holds a password",
            ),
            (vec![("CLIENT_ID", "")], "kafka.client_id is no name"),
            (vec![("CLIENT_RACK", "a b")], "kafka.client_rack is no name"),
        ] {
            let told = wrong(&settings);
            assert!(told.contains(said), "{settings:?}: {told}");
        }
    }

    #[test]
    fn a_password_itself_is_no_setting() {
        assert!(wrong(&[("SASL_PASSWORD", "hush")]).contains("did you mean sasl_password_file"));
    }
}
