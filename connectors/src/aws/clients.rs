//! The one configuration of AWS's SDK that all calls share, and the sessions of roles that are open.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::identity::IdentityCache;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_sdk_sts::config::{SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_http_client::{ConnectorBuilder, proxy::ProxyConfig, tls};

use super::caller::Caller;
use super::pace::Paces;
use super::session::Session;
use super::target::Target;
use crate::limits::{
    AWS_ATTEMPT_TIMEOUT, AWS_ATTEMPTS_MAX, AWS_BACKOFF_MAX, AWS_CALL_TIMEOUT, AWS_CONNECT_TIMEOUT, AWS_READ_TIMEOUT,
    CREDENTIALS_RENEWED_BEFORE, CREDENTIALS_TIMEOUT, ROLE_SESSION, SESSIONS_MAX,
};

/// How this program names itself to AWS: it stands in the `userAgent` of the customer's own CloudTrail.
const APP_NAME: &str = "cloudigrade";
/// The region of our own calls where neither configuration, environment nor profile names one.
const DEFAULT_REGION: &str = "us-east-1";

/// What may be configured of the SDK. What is left out comes from the environment and profiles, as everywhere.
#[derive(Clone, Debug, Default)]
pub struct AwsSettings {
    /// Where AWS is, if it is not where it usually is: an emulator, a private endpoint. `AWS_ENDPOINT_URL` says the same.
    pub endpoint_url: Option<String>,
    /// The region of our own queue and bucket.
    pub region: Option<String>,
    /// The profile with our own credentials.
    pub profile: Option<String>,
    /// A role that is assumed first, for all that this program does as itself.
    pub assume_role: Option<OwnRole>,
}

/// A role that this program works as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnRole {
    /// Its ARN.
    pub role_arn: String,
    /// The external id that its trust policy asks for.
    pub external_id: Option<String>,
}

/// Reads configuration, environment and profiles, and sets limits for all that is called. Nothing is called yet.
pub async fn load_config(settings: &AwsSettings) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(AWS_ATTEMPTS_MAX).with_max_backoff(AWS_BACKOFF_MAX))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(AWS_CONNECT_TIMEOUT)
                .read_timeout(AWS_READ_TIMEOUT)
                .operation_attempt_timeout(AWS_ATTEMPT_TIMEOUT)
                .operation_timeout(AWS_CALL_TIMEOUT)
                .build(),
        )
        .http_client(http_client())
        .identity_cache(identity_cache());
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    if let Some(url) = &settings.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(region) = &settings.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &settings.profile {
        loader = loader.profile_name(profile);
    }
    let config = loader.load().await;
    let config = if config.region().is_some() { config } else { config.into_builder().region(Region::from_static(DEFAULT_REGION)).build() };
    match &settings.assume_role {
        Some(role) => work_as(config, role).await,
        None => config,
    }
}

/// The configuration whose credentials are those of a role.
async fn work_as(config: SdkConfig, role: &OwnRole) -> SdkConfig {
    let mut provider = AssumeRoleProvider::builder(&role.role_arn).session_name(APP_NAME).session_length(ROLE_SESSION).configure(&config);
    if let Some(external_id) = &role.external_id {
        provider = provider.external_id(external_id);
    }
    let provider = SharedCredentialsProvider::new(provider.build().await);
    config.into_builder().credentials_provider(provider).build()
}

/// Keeps credentials until shortly before they expire. Those who need them meanwhile wait for one renewal, not for one each.
pub(super) fn identity_cache() -> aws_sdk_sts::config::SharedIdentityCache {
    IdentityCache::lazy().buffer_time(CREDENTIALS_RENEWED_BEFORE).load_timeout(CREDENTIALS_TIMEOUT).build()
}

/// One pool of connections for all clients. Without it, each of an account's two clients in each region would have one of its own, and
/// read all trusted certificates for it.
fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = ConnectorBuilder::default().tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc));
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.set_proxy_config(Some(ProxyConfig::from_env()));
        connector.build()
    })
}

/// Sessions of roles, and the pace of all calls. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Clients {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sdk: SdkConfig,
    paces: Arc<Paces>,
    open: Mutex<Open>,
}

/// The sessions that are open, each with the turn in which it was last asked for.
#[derive(Debug, Default)]
struct Open {
    sessions: HashMap<(Target, Arc<str>), (Session, u64)>,
    turn: u64,
}

impl Clients {
    /// Clients that share a configuration, as [`load_config`] makes it.
    pub fn new(sdk: SdkConfig) -> Self {
        Self { shared: Arc::new(Shared { sdk, paces: Arc::new(Paces::default()), open: Mutex::default() }) }
    }

    /// Our own configuration, with our own credentials.
    pub fn own(&self) -> &SdkConfig {
        &self.shared.sdk
    }

    /// This program as itself, in its own account.
    pub fn as_itself(&self, account: &str) -> Caller {
        Caller::new(account, self.shared.sdk.clone(), Arc::clone(&self.shared.paces))
    }

    /// A session of a role, limited by a session policy. Nothing is called before the session is used.
    pub async fn session(&self, target: &Target, policy: &str) -> Session {
        let key = (target.clone(), Arc::<str>::from(policy));
        if let Some(session) = self.find(&key) {
            return session;
        }
        let session = Session::new(&self.shared.sdk, Arc::clone(&self.shared.paces), target, policy).await;
        self.keep(key, session)
    }

    /// Forgets a session: the next one assumes its role anew. For roles that were changed.
    pub fn forget(&self, target: &Target) {
        self.open().sessions.retain(|(open, _), _| open != target);
    }

    fn find(&self, key: &(Target, Arc<str>)) -> Option<Session> {
        let mut open = self.open();
        open.turn += 1;
        let turn = open.turn;
        open.sessions.get_mut(key).map(|(session, asked)| {
            *asked = turn;
            session.clone()
        })
    }

    /// Keeps a session, unless another came first: they would have credentials each.
    fn keep(&self, key: (Target, Arc<str>), session: Session) -> Session {
        let mut open = self.open();
        open.turn += 1;
        let turn = open.turn;
        if open.sessions.len() >= SESSIONS_MAX && !open.sessions.contains_key(&key) {
            let oldest = open.sessions.iter().min_by_key(|(_, (_, asked))| *asked).map(|(key, _)| key.clone());
            if let Some(oldest) = oldest {
                open.sessions.remove(&oldest);
            }
        }
        open.sessions.entry(key).or_insert((session, turn)).0.clone()
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        // Each change is a single step: a panic elsewhere leaves nothing half done.
        self.shared.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
