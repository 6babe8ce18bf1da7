//! The directory: every change goes through the log first, and one lock decides about all of them, so that names stay unique.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cloudigrade_connectors::source::Committer;
use cloudigrade_pipeline::log::{Log, LogError, StateRead};
use cloudigrade_query::rest::backend::{NewToken, NewUser, Refused, UserInfo};
use cloudigrade_query::rest::principal::{Login, Principal};
use cloudigrade_schemas::{Token, TokenScope, User, UtcSecond};

use super::attempts::Attempts;
use super::known::{Known, login, principal};
use super::password::{self, Hasher};
use super::rules;
use super::secret::Secret;
use super::stored::{self, Edit};
use super::token;
use crate::limits::{PASSWORD_BYTES_MAX, TOKENS_FORGOTTEN_AT_ONCE, TOKENS_MAX, TOKENS_PER_USER_MAX, USERS_MAX};
use crate::log::{DataLog, patiently};

/// Users and tokens, as this process knows them.
pub struct Directory {
    pub(super) known: RwLock<Known>,
    /// The log, where other processes write to it as well.
    pub(super) shared: Option<DataLog>,
    /// Held by whoever changes something, from the look at what there is until it is changed.
    pub(super) changing: Arc<tokio::sync::Mutex<()>>,
    pub(super) committer: Committer,
    hasher: Hasher,
    attempts: Mutex<Attempts>,
    token_lifetime: Duration,
    pub(super) now: fn() -> UtcSecond,
}

impl Directory {
    /// Reads what the log has. `now` is the wall clock.
    ///
    /// # Errors
    /// Those of reading the log, and of a system without random numbers.
    pub fn open(log: &DataLog, committer: Committer, token_lifetime: Duration, now: fn() -> UtcSecond) -> anyhow::Result<Arc<Self>> {
        let known = patiently(|| read(log, log.partitions()))?;
        Ok(Arc::new(Self {
            known: RwLock::new(known),
            shared: log.is_shared().then(|| log.clone()),
            changing: Arc::default(),
            committer,
            hasher: Hasher::new()?,
            attempts: Mutex::new(Attempts::new()),
            token_lifetime,
            now,
        }))
    }

    /// Reads again what the log has, where other processes may have written to it.
    ///
    /// # Errors
    /// Those of reading the log.
    pub async fn read_again(self: &Arc<Self>, log: &DataLog) -> Result<(), LogError> {
        let changing = self.change().await;
        let (directory, log) = (Arc::clone(self), log.clone());
        let again = tokio::task::spawn_blocking(move || {
            let _changing = changing;
            let known = read(&log, log.partitions())?;
            *directory.known.write().unwrap_or_else(PoisonError::into_inner) = known;
            Ok(())
        });
        again.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    /// Whether there is nobody yet.
    pub fn is_empty(&self) -> bool {
        self.known(|known| known.user_count() == 0)
    }

    /// Checks a name and a password, and makes a token. Somebody who is no superuser gets no scope for managing users.
    ///
    /// # Errors
    /// Those of [`Self::check_password`], and a label that is too long.
    pub async fn log_in(
        self: &Arc<Self>,
        name: &str,
        password: Secret,
        scope: TokenScope,
        label: Option<String>,
        from: Option<IpAddr>,
    ) -> Result<NewToken, Refused> {
        rules::check_label(label.as_deref())?;
        let user = self.check_password(name, password, from).await?;
        let changing = self.change().await;
        let now = (self.now)();
        // It may have changed while the password was looked at.
        let user = self.user(&user.name).filter(|known| known.password_hash == user.password_hash).ok_or(Refused::Credentials)?;
        let scope = if user.superuser { scope } else { scope.min(TokenScope::Write) };
        let text = token::make()?;
        let kept = Token {
            hash: token::hash(&text).ok_or(Refused::Failed)?,
            user: user.name.clone(),
            scope,
            label,
            created_at: now,
            expires_at: UtcSecond(now.0.saturating_add_unsigned(self.token_lifetime.as_secs())),
            revoked_at: None,
        };
        let mut edits = self.known(|known| make_room(known, &user.name, now))?;
        edits.push(Edit::PutToken(kept.clone()));
        self.write(changing, edits).await?;
        Ok(NewToken { token: text, kept, principal: principal(&user, scope) })
    }

    /// Checks a name and a password. It takes as long whether there is such a user or not.
    ///
    /// # Errors
    /// [`Refused::Credentials`], and [`Refused::TooManyAttempts`].
    async fn check_password(&self, name: &str, password: Secret, from: Option<IpAddr>) -> Result<User, Refused> {
        let begun = self.attempts().begin(name, from, Instant::now());
        let attempt = begun.map_err(|wait| Refused::TooManyAttempts { seconds: wait.as_secs() + u64::from(wait.subsec_nanos() > 0) })?;
        if password.reveal().len() > PASSWORD_BYTES_MAX {
            return Err(Refused::Credentials);
        }
        let user = self.user(name).filter(|user| !user.disabled);
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        match self.hasher.verify(password, hash).await {
            Ok(true) => {
                self.attempts().succeeded(&attempt, Instant::now());
                let unchanged = |user: &User| {
                    let now = self.user(&user.name);
                    now.is_some_and(|now| !now.disabled && now.password_hash == user.password_hash)
                };
                user.filter(unchanged).ok_or(Refused::Credentials)
            }
            Ok(false) => Err(Refused::Credentials),
            Err(refused) => {
                self.attempts().forgive(&attempt);
                Err(refused)
            }
        }
    }

    /// Checks a name and a password, for who logs in without a token.
    ///
    /// # Errors
    /// Those of [`Self::check_password`].
    pub async fn check_login(&self, name: &str, password: Secret, from: Option<IpAddr>) -> Result<Login, Refused> {
        Ok(login(&self.check_password(name, password, from).await?))
    }

    /// Whether a login was not ended since.
    pub fn is_let_in(&self, known: &Login) -> bool {
        self.known(|all| all.user(&known.principal.name).is_some_and(|user| !user.disabled && login(user) == *known))
    }

    /// Whom a token stands for, if it works.
    pub fn bearer(&self, text: &str) -> Option<Principal> {
        let hash = token::hash(text)?;
        self.known(|known| known.bearer(&hash, (self.now)()))
    }

    /// Whether a tenant has a user.
    pub fn has_tenant(&self, tenant: &str) -> bool {
        self.known(|known| known.has_tenant(tenant))
    }

    /// Ends a token.
    ///
    /// # Errors
    /// [`Refused::NotFound`] for one that does not work.
    pub async fn revoke(self: &Arc<Self>, text: &str) -> Result<(), Refused> {
        let unknown = Refused::NotFound { what: "token" };
        let hash = token::hash(text).ok_or_else(|| unknown.clone())?;
        let changing = self.change().await;
        let token = self.known(|known| known.token(&hash).cloned()).ok_or(unknown)?;
        let now = (self.now)();
        self.write(changing, vec![Edit::Revoke(token, now)]).await
    }

    /// Ends the token of a user that has this hash.
    ///
    /// # Errors
    /// [`Refused::NotFound`] where the user has none.
    pub async fn revoke_by_hash(self: &Arc<Self>, user: &str, hash: &str) -> Result<(), Refused> {
        let changing = self.change().await;
        let token = self.known(|known| known.token(hash).filter(|token| token.user == user).cloned());
        let token = token.ok_or(Refused::NotFound { what: "token" })?;
        let now = (self.now)();
        self.write(changing, vec![Edit::Revoke(token, now)]).await
    }

    /// Ends all tokens of a user, and their logins; gives how many tokens.
    ///
    /// # Errors
    /// [`Refused::NotFound`] where there is no such user.
    pub async fn revoke_all(self: &Arc<Self>, name: &str, by: &str) -> Result<usize, Refused> {
        let changing = self.change_alone().await?;
        let user = self.user(name).ok_or(Refused::NotFound { what: "user" })?;
        let now = (self.now)();
        let mut edits: Vec<Edit> = self.tokens(name).into_iter().map(|token| Edit::Revoke(token, now)).collect();
        let revoked = edits.len();
        edits.push(Edit::PutUser(User { changed_at: now, changed_by: by.to_owned(), ..logins_ended(user) }));
        self.write_alone(changing, edits).await?;
        Ok(revoked)
    }

    /// The tokens of a user that work, the oldest first.
    pub fn tokens(&self, name: &str) -> Vec<Token> {
        let now = (self.now)();
        self.known(|known| known.tokens(name).into_iter().filter(|token| token.works_at(now)).cloned().collect())
    }

    /// All users, or those of one tenant, in the order in which they were made.
    pub fn users(&self, tenant: Option<&str>) -> Vec<UserInfo> {
        let is_wanted = |user: &&User| tenant.is_none_or(|tenant| user.tenant == tenant);
        self.known(|known| known.users().into_iter().filter(is_wanted).map(info).collect())
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`Refused::Invalid`] for what cannot be, or is there already.
    pub async fn create(self: &Arc<Self>, new: NewUser, by: &str) -> Result<UserInfo, Refused> {
        rules::check_new(&new)?;
        password::check(&new.password)?;
        // Before the password is hashed: what is refused then anyhow need not take as long.
        self.known(|known| is_free(known, &new))?;
        let password_hash = self.hasher.hash(Secret::new(new.password.clone())).await?;
        let changing = self.change_alone().await?;
        self.known(|known| is_free(known, &new))?;
        let NewUser { name, tenant, email, superuser, .. } = new;
        let now = (self.now)();
        let user = User {
            tenant: tenant.unwrap_or_else(|| name.clone()),
            name,
            email,
            superuser,
            password_hash,
            created_at: now,
            changed_at: now,
            changed_by: by.to_owned(),
            disabled: false,
            tokens_from: now,
            logins_ended: 0,
        };
        let made = info(&user);
        self.write_alone(changing, vec![Edit::PutUser(user)]).await?;
        Ok(made)
    }

    /// Shuts a user out, which ends their logins, or lets them in again.
    ///
    /// # Errors
    /// [`Refused::NotFound`].
    pub async fn disable(self: &Arc<Self>, name: &str, disabled: bool, by: &str) -> Result<UserInfo, Refused> {
        let changing = self.change_alone().await?;
        let user = self.user(name).ok_or(Refused::NotFound { what: "user" })?;
        let user = if disabled { logins_ended(user) } else { user };
        let user = User { disabled, changed_at: (self.now)(), changed_by: by.to_owned(), ..user };
        let changed = info(&user);
        self.write_alone(changing, vec![Edit::PutUser(user)]).await?;
        Ok(changed)
    }

    /// Gives a user another password. All their tokens and logins end.
    ///
    /// # Errors
    /// [`Refused::NotFound`], and [`Refused::Invalid`] for what can be no password.
    pub async fn reset_password(self: &Arc<Self>, name: &str, password: Secret, by: &str) -> Result<(), Refused> {
        password::check(password.reveal())?;
        let unknown = || Refused::NotFound { what: "user" };
        self.user(name).ok_or_else(unknown)?;
        let password_hash = self.hasher.hash(password).await?;
        let changing = self.change_alone().await?;
        let user = self.user(name).ok_or_else(unknown)?;
        let now = (self.now)();
        let mut edits: Vec<Edit> = self.tokens(name).into_iter().map(|token| Edit::Revoke(token, now)).collect();
        let changed = User { password_hash, tokens_from: now, changed_at: now, changed_by: by.to_owned(), ..logins_ended(user) };
        edits.push(Edit::PutUser(changed));
        self.write_alone(changing, edits).await
    }

    /// Forgets tokens that have expired; gives how many.
    ///
    /// # Errors
    /// [`Refused::Failed`] where the log does not take it.
    pub async fn forget_expired(self: &Arc<Self>) -> Result<usize, Refused> {
        let mut forgotten = 0;
        loop {
            let changing = self.change().await;
            let now = (self.now)();
            let expired = self.known(|known| known.expired(now, TOKENS_FORGOTTEN_AT_ONCE));
            if expired.is_empty() {
                return Ok(forgotten);
            }
            forgotten += expired.len();
            self.write(changing, expired.into_iter().map(Edit::Forget).collect()).await?;
        }
    }

    fn known<T>(&self, look: impl FnOnce(&Known) -> T) -> T {
        look(&self.known.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn user(&self, name: &str) -> Option<User> {
        self.known(|known| known.user(name).cloned())
    }

    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn read(state: &dyn StateRead, partitions: u32) -> Result<Known, LogError> {
    let mut known = Known::default();
    for partition in 0..partitions {
        stored::read(state, partition, &mut known)?;
    }
    Ok(known)
}

/// Whether a new user has a name and a tenant that nobody has.
fn is_free(known: &Known, new: &NewUser) -> Result<(), Refused> {
    if known.user_count() >= USERS_MAX {
        return Err(Refused::Unsupported { message: format!("there are {USERS_MAX} users, which is as many as there can be") });
    }
    if let Some(other) = known.alike(&new.name) {
        let message =
            format!("there is a user named {:?}; a name is never given to another, also where it is written otherwise", other.name);
        return Err(rules::invalid("name", "duplicate_name", message));
    }
    if new.tenant.is_none() && known.has_tenant(&new.name) {
        let message = format!("there is a tenant named {:?} with users of its own; name it as the tenant if it is meant", new.name);
        return Err(rules::invalid("tenant", "duplicate_tenant", message));
    }
    Ok(())
}

/// What must end so that a user can have one more token.
fn make_room(known: &Known, user: &str, now: UtcSecond) -> Result<Vec<Edit>, Refused> {
    let tokens = known.tokens(user);
    let (working, expired): (Vec<&Token>, Vec<&Token>) = tokens.into_iter().partition(|token| token.works_at(now));
    let mut edits: Vec<Edit> = expired.iter().map(|token| Edit::Forget(token.hash.clone())).collect();
    if let Some(oldest) = working.first().filter(|_| working.len() >= TOKENS_PER_USER_MAX) {
        edits.push(Edit::Revoke((*oldest).clone(), now));
    }
    if known.token_count() >= TOKENS_MAX + edits.len() {
        return Err(Refused::Unsupported {
            message: format!("there are {TOKENS_MAX} tokens, which is as many as there can be; revoke some, or wait until some expire"),
        });
    }
    Ok(edits)
}

/// The same user, whose logins of before hold no longer.
fn logins_ended(user: User) -> User {
    User { logins_ended: user.logins_ended.saturating_add(1), ..user }
}

fn info(user: &User) -> UserInfo {
    UserInfo {
        name: user.name.clone(),
        tenant: user.tenant.clone(),
        email: user.email.clone(),
        superuser: user.superuser,
        disabled: user.disabled,
        created_at: user.created_at,
    }
}
