//! Claims about the directory, over a log on disk.

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread::JoinHandle;

use tempfile::TempDir;

use super::*;
use crate::log::{DataLog, LogPlace, Process};
use cloudigrade_connectors::source::Committer;
use cloudigrade_pipeline::log::LogError;
use cloudigrade_query::rest::backend::{NewToken, NewUser, Refused};
use cloudigrade_schemas::{TokenScope, UtcSecond};
use std::sync::Arc;
use std::time::Duration;

use crate::limits::{PAIR_FAILURES_BURST, TOKENS_PER_USER_MAX};

const PASSWORD: &str = "correct horse battery";
const LIFETIME: Duration = Duration::from_secs(1000);
const START: i64 = 1_700_000_000;

/// A directory over a log.
struct Place {
    directory: Arc<Directory>,
    commits: JoinHandle<Result<(), LogError>>,
    log: DataLog,
}

impl Place {
    fn open(folder: &TempDir) -> Self {
        Self::at(folder, || UtcSecond(START))
    }

    fn at(folder: &TempDir, now: fn() -> UtcSecond) -> Self {
        let log = LogPlace::Embedded.open(folder.path(), &Process::Command).unwrap();
        let (committer, commits) = Committer::start(&log, now).unwrap();
        let directory = Directory::open(&log, committer, LIFETIME, now).unwrap();
        Self { directory, commits, log }
    }

    fn close(self) {
        drop(self.directory);
        self.commits.join().unwrap().unwrap();
        drop(self.log);
    }

    async fn create(&self, name: &str, superuser: bool) -> Result<cloudigrade_query::rest::backend::UserInfo, Refused> {
        let new = NewUser { name: name.to_owned(), tenant: None, email: None, superuser, password: PASSWORD.to_owned() };
        self.directory.create(new, "test").await
    }

    async fn log_in(&self, name: &str) -> Result<NewToken, Refused> {
        self.directory.log_in(name, Secret::new(PASSWORD), TokenScope::Admin, None, None).await
    }
}

fn code(refused: Refused) -> String {
    match refused {
        Refused::Invalid { code, .. } => code,
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn a_name_is_given_once_also_after_a_restart_and_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    assert!(place.directory.is_empty());
    place.create("ann", false).await.unwrap();
    place.directory.disable("ann", true, "test").await.unwrap();
    place.close();
    let place = Place::open(&folder);
    assert!(!place.directory.is_empty());
    for name in ["ann", "Ann"] {
        assert_eq!(code(place.create(name, false).await.unwrap_err()), "duplicate_name");
    }
    for name in ["", "a b", "a/b", "ä"] {
        assert_eq!(code(place.create(name, false).await.unwrap_err()), "invalid_name");
    }
    place.close();
}

#[tokio::test]
async fn of_many_that_want_one_name_at_once_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    let made = futures::future::join_all((0..8).map(|_| place.create("ann", false))).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1);
    assert_eq!(place.directory.users(None).len(), 1);
    place.close();
}

#[tokio::test]
async fn a_user_has_a_tenant_of_their_own_unless_they_are_put_into_another() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    let in_tenant = |name: &str, tenant: &str| NewUser {
        name: name.to_owned(),
        tenant: Some(tenant.to_owned()),
        email: Some("bob@example.com".to_owned()),
        superuser: false,
        password: PASSWORD.to_owned(),
    };
    assert_eq!(place.create("ann", false).await.unwrap().tenant, "ann");
    assert_eq!(place.directory.create(in_tenant("bob", "acme"), "test").await.unwrap().tenant, "acme");
    // Whoever is called like a tenant that others are in does not get into it by that.
    assert_eq!(code(place.create("acme", false).await.unwrap_err()), "duplicate_tenant");
    let names = |tenant| place.directory.users(tenant).into_iter().map(|user| user.name).collect::<Vec<_>>();
    assert_eq!((names(None), names(Some("acme"))), (vec!["ann".to_owned(), "bob".to_owned()], vec!["bob".to_owned()]));
    let bad_email = NewUser { email: Some("nobody".to_owned()), ..in_tenant("eve", "acme") };
    assert_eq!(code(place.directory.create(bad_email, "test").await.unwrap_err()), "invalid_email");
    let short = NewUser { password: "short".to_owned(), ..in_tenant("eve", "acme") };
    assert_eq!(code(place.directory.create(short, "test").await.unwrap_err()), "password_too_short");
    place.close();
}

#[tokio::test]
async fn neither_passwords_nor_tokens_are_in_the_log_and_tokens_work_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", true).await.unwrap();
    let new = place.log_in("ann").await.unwrap();
    assert_eq!(new.token.len(), 40);
    place.close();
    let stored = std::fs::read(folder.path().join("log.redb")).unwrap();
    let has = |text: &str| stored.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(has("$argon2id$v=19$m=19456,t=2,p=1$"));
    assert!(!has(PASSWORD) && !has(&new.token));
    let place = Place::open(&folder);
    let principal = place.directory.bearer(&new.token).unwrap();
    assert_eq!((&*principal.name, principal.superuser, principal.scope), ("ann", true, TokenScope::Admin));
    for token in ["", "0", &"0".repeat(40), &new.kept.hash, &new.token.to_uppercase()] {
        assert!(place.directory.bearer(token).is_none() || token == new.token, "{token}");
    }
    place.close();
}

#[tokio::test]
async fn who_is_no_superuser_gets_no_token_for_managing_users() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", false).await.unwrap();
    assert_eq!(place.log_in("ann").await.unwrap().kept.scope, TokenScope::Write);
    place.close();
}

#[tokio::test]
async fn tokens_of_a_user_who_is_shut_out_stop_at_once_and_work_again_when_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", false).await.unwrap();
    let new = place.log_in("ann").await.unwrap();
    place.directory.disable("ann", true, "test").await.unwrap();
    assert!(place.directory.bearer(&new.token).is_none());
    assert_eq!(place.log_in("ann").await.err(), Some(Refused::Credentials));
    place.directory.disable("ann", false, "test").await.unwrap();
    assert!(place.directory.bearer(&new.token).is_some());
    place.close();
}

#[tokio::test]
async fn another_password_ends_all_tokens_and_the_password_of_before() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", false).await.unwrap();
    let new = place.log_in("ann").await.unwrap();
    place.directory.reset_password("ann", Secret::new("another password"), "test").await.unwrap();
    assert!(place.directory.bearer(&new.token).is_none() && place.directory.tokens("ann").is_empty());
    assert_eq!(place.log_in("ann").await.err(), Some(Refused::Credentials));
    let again = place.directory.log_in("ann", Secret::new("another password"), TokenScope::Read, None, None).await.unwrap();
    assert!(place.directory.bearer(&again.token).is_some());
    place.close();
}

#[tokio::test]
async fn a_login_ends_with_the_password_the_user_and_all_tokens_and_with_nothing_less() {
    let folder = tempfile::tempdir().unwrap();
    let mut place = Place::open(&folder);
    place.create("ann", true).await.unwrap();
    let log_in = |place: &Place, password: &'static str| {
        let directory = Arc::clone(&place.directory);
        async move { directory.check_login("ann", Secret::new(password), None).await.unwrap() }
    };
    let first = log_in(&place, PASSWORD).await;
    assert_eq!((&*first.principal.name, first.principal.scope), ("ann", TokenScope::Admin));
    let token = place.log_in("ann").await.unwrap();
    place.directory.revoke(&token.token).await.unwrap();
    place.directory.disable("ann", false, "test").await.unwrap();
    place.close();
    place = Place::open(&folder);
    assert!(place.directory.is_let_in(&first), "neither another token nor a restart ends it");

    place.directory.revoke_all("ann", "test").await.unwrap();
    assert!(!place.directory.is_let_in(&first));
    let second = log_in(&place, PASSWORD).await;
    place.directory.disable("ann", true, "test").await.unwrap();
    assert!(!place.directory.is_let_in(&second));
    place.directory.disable("ann", false, "test").await.unwrap();
    assert!(!place.directory.is_let_in(&second), "who is let in again logs in again");
    let third = log_in(&place, PASSWORD).await;
    place.directory.reset_password("ann", Secret::new("another password"), "test").await.unwrap();
    assert!(!place.directory.is_let_in(&third));
    let fourth = log_in(&place, "another password").await;
    assert!(place.directory.is_let_in(&fourth));
    place.close();
}

#[tokio::test]
async fn a_token_is_revoked_by_itself_or_by_its_hash_by_nobody_but_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", false).await.unwrap();
    place.create("bob", false).await.unwrap();
    let (one, two) = (place.log_in("ann").await.unwrap(), place.log_in("ann").await.unwrap());
    let unknown = Err(Refused::NotFound { what: "token" });
    assert_eq!(place.directory.revoke_by_hash("bob", &one.kept.hash).await, unknown);
    place.directory.revoke_by_hash("ann", &one.kept.hash).await.unwrap();
    place.directory.revoke(&two.token).await.unwrap();
    assert_eq!(place.directory.revoke(&two.token).await, unknown);
    assert!(place.directory.bearer(&one.token).is_none() && place.directory.bearer(&two.token).is_none());
    place.close();
    let place = Place::open(&folder);
    assert!(place.directory.bearer(&one.token).is_none());
    place.close();
}

#[tokio::test]
async fn a_token_works_until_it_expires_and_is_forgotten_then() {
    static NOW: AtomicI64 = AtomicI64::new(START);
    let now = || UtcSecond(NOW.load(Ordering::Relaxed));
    let folder = tempfile::tempdir().unwrap();
    let place = Place::at(&folder, now);
    place.create("ann", false).await.unwrap();
    let new = place.log_in("ann").await.unwrap();
    assert_eq!(new.kept.expires_at, UtcSecond(START + 1000));
    NOW.store(START + 999, Ordering::Relaxed);
    assert!(place.directory.bearer(&new.token).is_some());
    assert_eq!(place.directory.forget_expired().await, Ok(0));
    NOW.store(START + 1000, Ordering::Relaxed);
    assert!(place.directory.bearer(&new.token).is_none() && place.directory.tokens("ann").is_empty());
    assert_eq!(place.directory.forget_expired().await, Ok(1));
    place.close();
    let place = Place::at(&folder, now);
    assert_eq!(place.directory.forget_expired().await, Ok(0));
    place.close();
}

#[tokio::test]
async fn failures_look_alike_whatever_is_wrong_and_after_a_few_one_must_wait() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", false).await.unwrap();
    let from = Some("192.0.2.1".parse().unwrap());
    for name in ["ann", "nobody"] {
        let try_one = || place.directory.check_login(name, Secret::new("a wrong password"), from);
        for _ in 0..PAIR_FAILURES_BURST {
            assert_eq!(try_one().await.err(), Some(Refused::Credentials));
        }
        assert!(matches!(try_one().await.err(), Some(Refused::TooManyAttempts { seconds: 1.. })), "{name}");
    }
    let elsewhere = Some("192.0.2.2".parse().unwrap());
    assert!(place.directory.check_login("ann", Secret::new(PASSWORD), elsewhere).await.is_ok());
    place.close();
}

#[tokio::test]
async fn one_token_more_than_a_user_can_have_ends_the_oldest() {
    static NOW: AtomicI64 = AtomicI64::new(START);
    let folder = tempfile::tempdir().unwrap();
    let place = Place::at(&folder, || UtcSecond(NOW.load(Ordering::Relaxed)));
    place.create("ann", false).await.unwrap();
    let oldest = place.log_in("ann").await.unwrap();
    NOW.fetch_add(1, Ordering::Relaxed);
    for _ in 0..TOKENS_PER_USER_MAX {
        assert!(place.directory.bearer(&oldest.token).is_some());
        place.log_in("ann").await.unwrap();
    }
    assert_eq!(place.directory.tokens("ann").len(), TOKENS_PER_USER_MAX);
    assert!(place.directory.bearer(&oldest.token).is_none());
    place.close();
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_is_carried_out_or_not_but_never_half() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(&folder);
    place.create("ann", false).await.unwrap();
    // Each is given up at another moment.
    for polls in 0..4 {
        let mut disabling = Box::pin(place.directory.disable("ann", polls % 2 == 0, "test"));
        for _ in 0..polls {
            if futures::poll!(disabling.as_mut()).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(disabling);
    }
    // The next change waits for those that were begun.
    place.directory.disable("ann", true, "test").await.unwrap();
    let known = place.directory.users(None);
    place.close();
    let place = Place::open(&folder);
    assert_eq!(place.directory.users(None), known);
    place.close();
}

#[tokio::test(flavor = "current_thread")]
async fn hashing_a_password_does_not_hold_the_runtime() {
    let hasher = super::password::Hasher::new().unwrap();
    let hashing = tokio::spawn(async move { hasher.hash(Secret::new(PASSWORD)).await });
    let mut turns = 0_u32;
    while !hashing.is_finished() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert!(hashing.await.unwrap().is_ok());
    assert!(turns > 10, "the runtime turned {turns} times meanwhile");
}

#[test]
fn what_is_secret_is_not_shown_by_debug() {
    use crate::control::wire::{Ask, UsersOperation, UsersRequest};
    let operation = UsersOperation::Reset { name: "ann".to_owned(), password: Secret::new(PASSWORD) };
    let shown = format!("{:?}", Ask::Users(UsersRequest { by: "test".to_owned(), operation }));
    assert!(shown.contains("ann") && !shown.contains(PASSWORD), "{shown}");
}

#[test]
fn generated_passwords_are_long_enough_and_differ() {
    let (one, two) = (generate().unwrap(), generate().unwrap());
    assert!(one != two && super::password::check(one.reveal()).is_ok());
}
