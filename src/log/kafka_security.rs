//! How brokers are reached, by the configuration, with the secrets that its files hold.

use std::path::Path;

use cloudigrade_connectors::kafka::{Identity, OauthClient, PasswordMechanism, Sasl, Secret, Security, Tls};

use crate::config::{Kafka, SaslMechanism};
use crate::exit::{Code, error};

/// Reads what files hold.
///
/// # Errors
/// With the key that names a file which cannot be used.
pub fn security(kafka: &Kafka) -> anyhow::Result<Security> {
    let tls = kafka.security_protocol.has_tls().then(|| tls(kafka)).transpose()?;
    let sasl = kafka.security_protocol.has_sasl().then(|| sasl(kafka)).transpose()?;
    Ok(Security { tls, sasl })
}

fn tls(kafka: &Kafka) -> anyhow::Result<Tls> {
    let paths = [
        ("ssl_ca_location", &kafka.ssl_ca_location),
        ("ssl_certificate_location", &kafka.ssl_certificate_location),
        ("ssl_key_location", &kafka.ssl_key_location),
    ];
    for (key, path) in paths {
        path.iter().try_for_each(|path| readable(key, path))?;
    }
    let identity = match (&kafka.ssl_certificate_location, &kafka.ssl_key_location) {
        (Some(certificate), Some(key)) => Some(Identity {
            certificate: certificate.clone(),
            key: key.clone(),
            key_password: kafka.ssl_key_password_file.as_deref().map(|path| secret("ssl_key_password_file", path)).transpose()?,
        }),
        _ => None,
    };
    Ok(Tls { ca: kafka.ssl_ca_location.clone(), identity })
}

fn sasl(kafka: &Kafka) -> anyhow::Result<Sasl> {
    let mechanism = match given("sasl_mechanism", kafka.sasl_mechanism.as_ref())? {
        SaslMechanism::Plain => PasswordMechanism::Plain,
        SaslMechanism::ScramSha256 => PasswordMechanism::ScramSha256,
        SaslMechanism::ScramSha512 => PasswordMechanism::ScramSha512,
        SaslMechanism::OauthBearer => {
            const SECRET: &str = "sasl_oauthbearer_client_secret_file";
            return Ok(Sasl::OauthBearer(OauthClient {
                token_endpoint: given("sasl_oauthbearer_token_endpoint_url", kafka.sasl_oauthbearer_token_endpoint_url.clone())?,
                client_id: given("sasl_oauthbearer_client_id", kafka.sasl_oauthbearer_client_id.clone())?,
                client_secret: secret(SECRET, given(SECRET, kafka.sasl_oauthbearer_client_secret_file.as_deref())?)?,
                scope: kafka.sasl_oauthbearer_scope.clone().filter(|scope| !scope.is_empty()),
            }));
        }
    };
    const PASSWORD: &str = "sasl_password_file";
    Ok(Sasl::Password {
        mechanism,
        username: given("sasl_username", kafka.sasl_username.clone())?,
        password: secret(PASSWORD, given(PASSWORD, kafka.sasl_password_file.as_deref())?)?,
    })
}

/// What the configuration was checked to have.
fn given<T>(key: &str, value: Option<T>) -> anyhow::Result<T> {
    value.ok_or_else(|| error(Code::Usage, format!("kafka.{key} is not set")))
}

fn secret(key: &str, path: &Path) -> anyhow::Result<Secret> {
    Secret::from_file(path).map_err(|cause| error(Code::Usage, format!("kafka.{key}: {cause}")))
}

/// Kafka's client does not say which file it could not read.
fn readable(key: &str, path: &Path) -> anyhow::Result<()> {
    let looked = if path.is_dir() { std::fs::read_dir(path).map(drop) } else { std::fs::File::open(path).map(drop) };
    looked.map_err(|cause| error(Code::Usage, format!("kafka.{key}: {}: cannot be read: {cause}", path.display())))
}
