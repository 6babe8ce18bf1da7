//! Passwords: what can be one, hashing and checking, with a bound on how much of it happens at once.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use cloudigrade_query::rest::backend::Refused;
use tokio::sync::Semaphore;

use super::secret::Secret;
use crate::limits::{
    ARGON2_LANES, ARGON2_MEMORY_KIB, ARGON2_PASSES, HASHES_AT_ONCE, HASHES_RETRY_SECONDS, HASHES_WAITING_MAX, PASSWORD_BYTES_MAX,
    PASSWORD_CHARS_MIN,
};

/// What a generated password is made of: nothing that looks like something else.
const GENERATED_FROM: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz023456789";
/// Characters of a generated password: 120 random bits.
const GENERATED_CHARS: usize = 24;

/// Whether something can be a password.
///
/// # Errors
/// [`Refused::Invalid`] with what is wrong with it.
pub fn check(password: &str) -> Result<(), Refused> {
    let invalid = |code: &str, message: String| {
        Err(Refused::Invalid { field: Some("password"), code: code.to_owned(), message, details: Vec::new() })
    };
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return invalid("password_too_short", format!("a password has at least {PASSWORD_CHARS_MIN} characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return invalid("password_too_long", format!("a password has at most {PASSWORD_BYTES_MAX} bytes"));
    }
    if password.chars().any(char::is_control) {
        return invalid("password_invalid", "a password has no control characters".to_owned());
    }
    Ok(())
}

/// A password that nobody can guess.
///
/// # Errors
/// [`Refused::Failed`] where the system gives no random numbers.
pub fn generate() -> Result<Secret, Refused> {
    let mut bytes = [0; GENERATED_CHARS];
    getrandom::fill(&mut bytes).map_err(|error| {
        tracing::error!(%error, "the system gives no random numbers");
        Refused::Failed
    })?;
    // 32 divides 256: each character is as likely as any other.
    Ok(Secret::new(bytes.iter().map(|byte| char::from(GENERATED_FROM[usize::from(byte % 32)])).collect::<String>()))
}

/// Hashes and checks passwords, on threads that may block, a few at a time.
#[derive(Clone)]
pub struct Hasher {
    argon2: Argon2<'static>,
    /// The hash of nothing that anybody knows, for names that there are not: checking takes as long as for those that there are.
    nobody: Arc<str>,
    hashing: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl Hasher {
    /// With OWASP's parameters.
    ///
    /// # Errors
    /// [`Refused::Failed`] where the system gives no random numbers.
    pub fn new() -> Result<Self, Refused> {
        let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None).map_err(|error| failed(&error))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody = hash(&argon2, &generate()?)?.into();
        let hashing = Arc::new(Semaphore::new(HASHES_AT_ONCE));
        let admitted = Arc::new(Semaphore::new(HASHES_AT_ONCE + HASHES_WAITING_MAX));
        Ok(Self { argon2, nobody, hashing, admitted })
    }

    /// The hash of a password, in PHC's format, with a salt of its own.
    ///
    /// # Errors
    /// [`Refused::TooManyAttempts`] where too many wait already.
    pub async fn hash(&self, password: Secret) -> Result<String, Refused> {
        let argon2 = self.argon2.clone();
        self.on_a_thread(move || hash(&argon2, &password)).await
    }

    /// Whether a password is the one of a hash; of none, it never is, which takes as long.
    ///
    /// # Errors
    /// As [`Self::hash`], and [`Refused::Failed`] for a hash that is none.
    pub async fn verify(&self, password: Secret, hash: Option<String>) -> Result<bool, Refused> {
        let argon2 = self.argon2.clone();
        let nobody = Arc::clone(&self.nobody);
        self.on_a_thread(move || {
            let known = hash.is_some();
            let hash = PasswordHash::new(hash.as_deref().unwrap_or(&nobody)).map_err(|error| failed(&error))?;
            match argon2.verify_password(password.reveal().as_bytes(), &hash) {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(failed(&error)),
            }
        })
        .await
    }

    async fn on_a_thread<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T, Refused> + Send + 'static) -> Result<T, Refused> {
        let busy = |_| Refused::TooManyAttempts { seconds: HASHES_RETRY_SECONDS };
        let admitted = Arc::clone(&self.admitted).try_acquire_owned().map_err(busy)?;
        let hashing = Arc::clone(&self.hashing).acquire_owned().await.map_err(|error| failed(&error))?;
        let done = tokio::task::spawn_blocking(move || {
            // Whoever stops waiting does not stop the thread: the places are free when it is done.
            let _places = (admitted, hashing);
            work()
        });
        done.await.map_err(|error| failed(&error))?
    }
}

fn hash(argon2: &Argon2<'_>, password: &Secret) -> Result<String, Refused> {
    let hash: PasswordHash = argon2.hash_password(password.reveal().as_bytes()).map_err(|error| failed(&error))?;
    Ok(hash.to_string())
}

/// What goes wrong here is told in the log: none of these errors has anything secret in it.
fn failed(error: &dyn std::fmt::Display) -> Refused {
    tracing::error!(%error, "a password could not be hashed or checked");
    Refused::Failed
}
