//! How brokers are reached: whether what is sent is encrypted, and who this program is to them.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::kafka::secret::Secret;

/// How brokers are reached. Without anything: unencrypted, as nobody.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// Encrypts, and proves that brokers are who they say; absent: neither.
    pub tls: Option<Tls>,
    /// Who this program says that it is; absent: whoever its certificate names, or nobody.
    pub sasl: Option<Sasl>,
}

/// TLS. Brokers' certificates, and that they are for the names that the brokers are called by, are always checked.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// A file or folder with the certificates that are trusted [default: those that the system trusts].
    pub ca: Option<PathBuf>,
    /// What this program proves to brokers that ask.
    pub identity: Option<Identity>,
}

/// A certificate of this program.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, and those between it and one that brokers trust: PEM.
    pub certificate: PathBuf,
    /// Its key: PEM.
    pub key: PathBuf,
    /// What the key is encrypted with.
    pub key_password: Option<Secret>,
}

/// Who this program says that it is.
#[derive(Clone, Debug)]
pub enum Sasl {
    /// A user with a password.
    Password {
        /// How the password is proven.
        mechanism: PasswordMechanism,
        /// The user.
        username: String,
        /// The password.
        password: Secret,
    },
    /// A client of an OAuth server, which gives it tokens.
    OauthBearer(OauthClient),
}

/// How a password is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordMechanism {
    /// It is sent.
    Plain,
    /// By SCRAM with SHA-256.
    ScramSha256,
    /// By SCRAM with SHA-512.
    ScramSha512,
}

/// A client of an OAuth server, by the grant of client credentials.
#[derive(Clone, Debug)]
pub struct OauthClient {
    /// Where tokens are had: a URL.
    pub token_endpoint: String,
    /// The client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What the token is to be good for.
    pub scope: Option<String>,
}

impl PasswordMechanism {
    const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Security {
    /// The settings of Kafka's clients. Secrets are among them.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        let protocol = match (&self.sasl, &self.tls) {
            (None, None) => "plaintext",
            (None, Some(_)) => "ssl",
            (Some(_), None) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        let mut settings = vec![("security.protocol", protocol.to_owned())];
        settings.extend(self.tls.iter().flat_map(Tls::settings));
        settings.extend(self.sasl.iter().flat_map(Sasl::settings));
        settings
    }

    /// What anybody on the way can read or change, where that is more than this machine: for a warning.
    pub fn exposure(&self, bootstrap: &str) -> Option<&'static str> {
        if let Some(Sasl::OauthBearer(client)) = &self.sasl
            && client.token_endpoint.strip_prefix("http://").is_some_and(|rest| !is_loopback(rest.split('/').next().unwrap_or(rest)))
        {
            return Some("the secret for tokens is sent unencrypted: use an https:// endpoint");
        }
        let (Some(sasl), None) = (&self.sasl, &self.tls) else { return None };
        if bootstrap.split(',').all(|broker| is_loopback(broker.trim())) {
            return None;
        }
        Some(match sasl {
            Sasl::Password { mechanism: PasswordMechanism::Plain, .. } => "the password and all data are sent unencrypted: use sasl_ssl",
            Sasl::Password { .. } => "all data is sent unencrypted, and a connection can be taken over: use sasl_ssl",
            Sasl::OauthBearer(_) => "tokens and all data are sent unencrypted: use sasl_ssl",
        })
    }

    /// Who brokers take this program for, as far as that is known here: a principal of Kafka.
    pub(super) fn principal(&self) -> String {
        match (&self.sasl, &self.tls) {
            (Some(Sasl::Password { username, .. }), _) => format!("User:{username}"),
            (Some(Sasl::OauthBearer(_)), _) => "User:SUBJECT-OF-THE-TOKEN".to_owned(),
            (None, Some(Tls { identity: Some(_), .. })) => "User:SUBJECT-OF-THE-CERTIFICATE".to_owned(),
            (None, _) => "User:ANONYMOUS".to_owned(),
        }
    }
}

impl Tls {
    fn settings(&self) -> Vec<(&'static str, String)> {
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        let mut settings =
            vec![("enable.ssl.certificate.verification", "true".to_owned()), ("ssl.endpoint.identification.algorithm", "https".to_owned())];
        settings.extend(self.ca.iter().map(|ca| ("ssl.ca.location", text(ca))));
        if let Some(Identity { certificate, key, key_password }) = &self.identity {
            settings.extend([("ssl.certificate.location", text(certificate)), ("ssl.key.location", text(key))]);
            settings.extend(key_password.iter().map(|password| ("ssl.key.password", password.reveal().to_owned())));
        }
        settings
    }
}

impl Sasl {
    fn settings(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Password { mechanism, username, password } => vec![
                ("sasl.mechanism", mechanism.name().to_owned()),
                ("sasl.username", username.clone()),
                ("sasl.password", password.reveal().to_owned()),
            ],
            Self::OauthBearer(OauthClient { token_endpoint, client_id, client_secret, scope }) => {
                let mut settings = vec![
                    ("sasl.mechanism", "OAUTHBEARER".to_owned()),
                    // The library fetches tokens, and new ones before they end, in a thread of its own.
                    ("sasl.oauthbearer.method", "oidc".to_owned()),
                    ("sasl.oauthbearer.token.endpoint.url", token_endpoint.clone()),
                    ("sasl.oauthbearer.client.id", client_id.clone()),
                    ("sasl.oauthbearer.client.secret", client_secret.reveal().to_owned()),
                ];
                settings.extend(scope.iter().map(|scope| ("sasl.oauthbearer.scope", scope.clone())));
                settings
            }
        }
    }
}

/// Whether `host:port` or `host` is this machine.
fn is_loopback(address: &str) -> bool {
    let host = match address.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => address.split(':').next().unwrap_or(address),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> Sasl {
        Sasl::Password { mechanism: PasswordMechanism::Plain, username: "u".to_owned(), password: Secret::new("hush") }
    }

    fn oauth(token_endpoint: &str) -> Sasl {
        Sasl::OauthBearer(OauthClient {
            token_endpoint: token_endpoint.to_owned(),
            client_id: "c".to_owned(),
            client_secret: Secret::new("hush"),
            scope: None,
        })
    }

    #[test]
    fn what_is_set_decides_the_protocol() {
        let protocol = |tls: bool, sasl: bool| Security { tls: tls.then(Tls::default), sasl: sasl.then(user) }.settings()[0].1.clone();
        assert_eq!([protocol(false, false), protocol(true, false)], ["plaintext", "ssl"]);
        assert_eq!([protocol(false, true), protocol(true, true)], ["sasl_plaintext", "sasl_ssl"]);
    }

    #[test]
    fn secrets_that_leave_this_machine_unencrypted_are_warned_of() {
        let open = Security { tls: None, sasl: Some(user()) };
        for near in ["localhost:9092", "127.0.0.1:9092,[::1]:9092", "LOCALHOST"] {
            assert_eq!(open.exposure(near), None, "{near}");
        }
        for far in ["kafka-1:9092", "localhost:9092, kafka-1:9092", "[2001:db8::1]:9092"] {
            assert!(open.exposure(far).is_some(), "{far}");
        }
        assert_eq!(Security { tls: Some(Tls::default()), sasl: Some(user()) }.exposure("kafka-1:9092"), None);
        assert_eq!(Security::default().exposure("kafka-1:9092"), None);
        let tokens = |endpoint| Security { tls: Some(Tls::default()), sasl: Some(oauth(endpoint)) }.exposure("kafka-1:9092");
        assert!(tokens("http://idp.example.com/token").is_some());
        assert_eq!([tokens("https://idp.example.com/token"), tokens("http://127.0.0.1:8080/token")], [None, None]);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", [Security { tls: None, sasl: Some(user()) }, Security { tls: None, sasl: Some(oauth("https://i/")) }]);
        assert!(!shown.contains("hush"), "{shown}");
    }
}
