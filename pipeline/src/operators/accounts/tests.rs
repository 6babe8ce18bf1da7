//! The operator as the engine drives it: commands in, accounts and outcomes out.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::engine::Counters;
use crate::limits::UNMETERED_PERIODS_MAX;
use crate::log::{KeyValue, StateRead, Txn};
use cloudigrade_schemas::account::{Trail, Unmetered};
use cloudigrade_schemas::topic::partition_of;
use cloudigrade_schemas::{AccountProblem, AccountState, UtcSecond};

mod properties;

const PARTITIONS: u32 = 4;

/// Committed state, the accounts that were sent, and what was counted.
#[derive(Default)]
struct World {
    state: HashMap<(Store, u32, Vec<u8>), Vec<u8>>,
    sent: BTreeMap<Vec<u8>, Account>,
    counters: Counters,
}

impl StateRead for World {
    fn get(&self, store: Store, partition: u32, key: &[u8]) -> Result<Option<Vec<u8>>, LogError> {
        Ok(self.state.get(&(store, partition, key.to_vec())).cloned())
    }

    fn scan(&self, store: Store, partition: u32, prefix: &[u8]) -> Result<Vec<KeyValue>, LogError> {
        let found = self.state.iter().filter(|((s, p, key), _)| (*s, *p) == (store, partition) && key.starts_with(prefix));
        let mut found: Vec<KeyValue> = found.map(|((_, _, key), value)| (key.clone(), value.clone())).collect();
        found.sort();
        Ok(found)
    }
}

impl World {
    /// Folds a batch. One that crashes is folded but not committed.
    fn feed(&mut self, batch: &[AccountCommand], crash: bool) {
        let records: Vec<Record> = batch.iter().map(record).collect();
        self.feed_records(&records, crash);
    }

    fn feed_records(&mut self, records: &[Record], crash: bool) {
        let mut cx = Cx::new(self, PARTITIONS);
        Accounts.fold(&mut cx, &records.iter().collect::<Vec<_>>()).unwrap();
        let (Txn { outputs, state, .. }, counters) = cx.finish();
        if crash {
            return;
        }
        self.counters.merge(&counters);
        for change in state {
            let key = (change.store, change.partition, change.key);
            match change.value {
                Some(value) => self.state.insert(key, value),
                None => self.state.remove(&key),
            };
        }
        for output in outputs.into_iter().filter(|output| output.topic == Topic::Accounts) {
            let account: Account = serde_json::from_slice(&output.value).unwrap();
            assert_eq!((account.to_key().as_bytes(), output.partition), (&*output.key, partition(&account.tenant)));
            self.sent.insert(output.key, account);
        }
    }

    fn of(commands: &[AccountCommand]) -> Self {
        let mut world = Self::default();
        world.feed(&open_tenants(), false);
        world.feed(commands, false);
        world
    }

    fn outcome(&self, tenant: &str, id: &str) -> Outcome {
        outcome(self, PARTITIONS, tenant, id).unwrap().unwrap()
    }

    fn code(&self, id: &str) -> String {
        match self.outcome("one", id) {
            Outcome::Refused { code, detail, help } => {
                assert!(!detail.is_empty() && !help.is_empty());
                code
            }
            accepted => panic!("{accepted:?}"),
        }
    }

    fn account(&self, number: u8) -> Account {
        account(self, PARTITIONS, "one", &account_id(number)).unwrap().unwrap()
    }
}

fn partition(tenant: &str) -> u32 {
    partition_of(tenant.as_bytes(), PARTITIONS)
}

fn record(command: &AccountCommand) -> Record {
    let key = command.tenant.as_bytes().to_vec();
    let value = serde_json::to_vec(command).unwrap();
    Record { topic: Topic::AccountCommands, partition: partition(&command.tenant), offset: 0, key, value, entered_at: UtcSecond(0) }
}

fn account_id(number: u8) -> String {
    format!("{number:012}")
}

fn arn(number: u8, role: &str) -> String {
    format!("arn:aws:iam::{}:role/{role}", account_id(number))
}

fn command(id: &str, at: i64, account: u8, action: AccountAction) -> AccountCommand {
    AccountCommand { id: id.into(), tenant: "one".into(), account_id: account_id(account), at: UtcSecond(at), by: "test".into(), action }
}

fn register(id: &str, at: i64, account: u8, name: Option<&str>) -> AccountCommand {
    command(id, at, account, AccountAction::Register { arn: arn(account, "r"), name: name.map(str::to_owned) })
}

fn open_tenants() -> Vec<AccountCommand> {
    let open = |tenant: &str| AccountCommand {
        tenant: tenant.into(),
        account_id: String::new(),
        ..command("open", 0, 0, AccountAction::OpenTenant { external_id: format!("external-{tenant}") })
    };
    vec![open("one"), open("two")]
}

fn of_tenant(tenant: &str, command: AccountCommand) -> AccountCommand {
    AccountCommand { tenant: tenant.into(), ..command }
}

fn periods(account: &Account) -> Vec<(i64, Option<i64>)> {
    account.unmetered.iter().map(|Unmetered { from, until }| (from.0, until.map(|until| until.0))).collect()
}

#[test]
fn the_first_external_id_of_a_tenant_holds() {
    let again = AccountCommand { id: "again".into(), ..open_tenants().swap_remove(0) };
    let other = AccountCommand { action: AccountAction::OpenTenant { external_id: "another".into() }, ..again };
    let mut world = World::of(&[other]);
    let opened = Outcome::TenantOpened { external_id: "external-one".into() };
    assert_eq!((world.outcome("one", "open"), world.outcome("one", "again")), (opened.clone(), opened));
    assert_eq!(external_id(&world, PARTITIONS, "one").unwrap().as_deref(), Some("external-one"));
    assert_eq!(external_id(&world, PARTITIONS, "nobody").unwrap(), None);
    let bad = of_tenant("three", command("bad", 0, 0, AccountAction::OpenTenant { external_id: "x y".into() }));
    world.feed(&[bad], false);
    assert!(matches!(world.outcome("three", "bad"), Outcome::Refused { code, .. } if code == "external_id_invalid"));
    world.feed(&[of_tenant("three", register("r", 1, 1, None))], false);
    assert!(matches!(world.outcome("three", "r"), Outcome::Refused { code, .. } if code == "tenant_unknown"));
}

#[test]
fn a_tenant_has_an_account_a_role_and_a_name_once_and_other_tenants_do_not_matter() {
    let world = World::of(&[
        register("a", 1, 1, Some("web")),
        register("same-role", 2, 1, None),
        command("other-role", 3, 1, AccountAction::Register { arn: arn(1, "other"), name: None }),
        register("same-name", 4, 2, Some("web")),
        register("b", 5, 2, Some("db")),
        command("rename", 6, 2, AccountAction::Rename { name: Some("web".into()) }),
        command("own-name", 7, 1, AccountAction::Rename { name: Some("web".into()) }),
        of_tenant("two", register("a", 8, 1, Some("web"))),
    ]);
    let codes = ["same-role", "other-role", "same-name", "rename"].map(|id| world.code(id));
    assert_eq!(codes, ["arn_exists", "account_exists", "name_exists", "name_exists"]);
    assert!(matches!(world.outcome("two", "a"), Outcome::Accepted(account) if account.state == AccountState::Pending));
    assert!(matches!(world.outcome("one", "a"), Outcome::Accepted(_)) && matches!(world.outcome("one", "b"), Outcome::Accepted(_)));
    assert_eq!(accounts_of(&world, PARTITIONS, "one").unwrap().len(), 2);
    assert_eq!(accounts_of(&world, PARTITIONS, "two").unwrap().len(), 1);
    assert_eq!(all_accounts(&world, PARTITIONS).unwrap().len(), 3);
    assert_eq!(accounts_of(&world, PARTITIONS, "on").unwrap(), []);
}

#[test]
fn what_is_refused_says_why() {
    let world = World::of(&[
        register("a", 1, 1, Some("web")),
        register("same-role", 2, 1, None),
        command("other-role", 3, 1, AccountAction::Register { arn: arn(1, "other"), name: None }),
        register("same-name", 4, 2, Some("web")),
        command("bad-arn", 5, 3, AccountAction::Register { arn: "arn:aws:iam::3:user/u".into(), name: None }),
        command("foreign-arn", 6, 3, AccountAction::Register { arn: arn(4, "r"), name: None }),
        AccountCommand { account_id: "12/34".into(), ..register("bad-id", 7, 3, None) },
        register("bad-name", 8, 3, Some(" web")),
        register("long-name", 9, 3, Some(&"x".repeat(257))),
        command("unknown", 10, 9, AccountAction::Pause),
        command("disable", 11, 1, AccountAction::Disable),
        command("resume", 12, 1, AccountAction::Resume),
        command("pause", 13, 1, AccountAction::Pause),
        command("role-of-other", 14, 1, AccountAction::ChangeRole { arn: arn(2, "r") }),
        command("delete", 15, 1, AccountAction::Delete),
        command("deleted", 16, 1, AccountAction::Enable),
    ]);
    for (id, code) in [
        ("same-role", "arn_exists"),
        ("other-role", "account_exists"),
        ("same-name", "name_exists"),
        ("bad-arn", "arn_invalid"),
        ("foreign-arn", "arn_of_other_account"),
        ("bad-id", "account_id_invalid"),
        ("bad-name", "name_invalid"),
        ("long-name", "name_invalid"),
        ("unknown", "account_unknown"),
        ("resume", "account_state"),
        ("pause", "account_state"),
        ("role-of-other", "arn_of_other_account"),
        ("deleted", "account_unknown"),
    ] {
        assert_eq!(world.code(id), code, "{id}");
    }
    assert_eq!(world.counters.get(counted::REFUSED), 13);
}

#[test]
fn no_refusal_tells_of_another_tenants_accounts() {
    let secrets = [register("a", 1, 1, Some("secret-name")), command("v", 2, 1, AccountAction::Verified { trail: None })];
    let asked = |world: &mut World| {
        let asked = [
            register("r", 3, 1, Some("secret-name")),
            command("unknown", 4, 7, AccountAction::Delete),
            command("enable", 5, 1, AccountAction::Enable),
        ];
        world.feed(&asked.map(|command| of_tenant("two", command)), false);
        ["r", "unknown", "enable"].map(|id| world.outcome("two", id))
    };
    assert_eq!(asked(&mut World::of(&secrets)), asked(&mut World::of(&[])));
}

#[test]
fn an_account_is_enabled_once_it_is_found_in_order_and_stays_as_its_owner_wants() {
    let trail = Some(Trail { arn: "t".into(), bucket: "b".into(), organization: false, ours: true });
    let problem = |text: &str| AccountProblem { code: "c".into(), detail: text.into(), help: "h".into() };
    let mut world = World::of(&[register("a", 1, 1, None)]);
    assert_eq!(world.account(1).state, AccountState::Pending);
    world
        .feed(&[command("f", 2, 1, AccountAction::Failed { problems: vec![problem(&"é".repeat(5000)); 60], trail: trail.clone() })], false);
    let failed = world.account(1);
    assert_eq!((failed.state, failed.problems.len()), (AccountState::Pending, 50));
    assert!(failed.problems[0].detail.len() <= 2000);
    assert_eq!(failed.trail, trail, "a trail is known of, whatever else is in the way");
    world.feed(&[command("v", 3, 1, AccountAction::Verified { trail: trail.clone() })], false);
    let verified = world.account(1);
    assert_eq!((verified.state, verified.verified_at), (AccountState::Enabled, Some(UtcSecond(3))));
    assert_eq!((verified.problems.len(), &verified.trail), (0, &trail));
    world.feed(&[command("f2", 4, 1, AccountAction::Failed { problems: vec![problem("x")], trail: None })], false);
    assert_eq!(world.account(1).state, AccountState::Enabled);
    for (id, action, verify, state) in
        [("p", AccountAction::Pause, "v2", AccountState::Paused), ("d", AccountAction::Disable, "v3", AccountState::Disabled)]
    {
        world.feed(&[command(id, 5, 1, action), command(verify, 6, 1, AccountAction::Verified { trail: None })], false);
        assert_eq!((world.account(1).state, &world.account(1).trail), (state, &trail));
    }
    world.feed(&[command("e", 7, 1, AccountAction::Enable)], false);
    assert_eq!(world.account(1).state, AccountState::Enabled);
    world.feed(&[command("c", 8, 1, AccountAction::ChangeRole { arn: arn(1, "new") })], false);
    let changed = world.account(1);
    assert_eq!((changed.state, changed.verified_at, &*changed.arn), (AccountState::Pending, None, &*arn(1, "new")));
    assert_eq!(changed.changed_at, UtcSecond(8));
}

#[test]
fn an_account_is_not_metered_while_it_is_paused_disabled_or_deleted() {
    let mut world = World::of(&[
        register("a", 10, 1, None),
        command("p", 20, 1, AccountAction::Pause),
        command("d", 30, 1, AccountAction::Disable),
        command("e", 40, 1, AccountAction::Enable),
        command("e2", 45, 1, AccountAction::Enable),
        command("x", 50, 1, AccountAction::Delete),
    ]);
    let deleted = all_accounts(&world, PARTITIONS).unwrap();
    assert_eq!((periods(&deleted[0]), deleted[0].state), (vec![(20, Some(40)), (50, None)], AccountState::Deleted));
    assert_eq!(account(&world, PARTITIONS, "one", &account_id(1)).unwrap(), None);
    assert_eq!(accounts_of(&world, PARTITIONS, "one").unwrap(), []);
    world.feed(&[register("back", 60, 1, Some("back"))], false);
    let back = world.account(1);
    assert_eq!(periods(&back), [(20, Some(40)), (50, Some(60))]);
    assert_eq!((back.state, back.created_at, back.name.as_deref()), (AccountState::Pending, UtcSecond(10), Some("back")));
    assert_eq!(world.sent[back.to_key().as_bytes()], back);
}

#[test]
fn a_time_before_what_was_decided_already_is_taken_for_that() {
    let world = World::of(&[
        register("a", 10, 1, None),
        command("p", 20, 1, AccountAction::Pause),
        command("r", 15, 1, AccountAction::Resume),
        command("p2", 30, 1, AccountAction::Pause),
        command("r2", 40, 1, AccountAction::Resume),
        command("p3", 35, 1, AccountAction::Pause),
        command("r3", 50, 1, AccountAction::Resume),
    ]);
    assert_eq!(periods(&world.account(1)), [(30, Some(50))]);
    assert_eq!(world.account(1).changed_at, UtcSecond(50));
}

#[test]
fn a_name_is_free_again_once_its_account_is_renamed_or_deleted() {
    let world = World::of(&[
        register("a", 1, 1, Some("web")),
        command("n", 2, 1, AccountAction::Rename { name: None }),
        register("b", 3, 2, Some("web")),
        command("x", 4, 2, AccountAction::Delete),
        register("c", 5, 3, Some("web")),
    ]);
    assert_eq!(world.account(3).name.as_deref(), Some("web"));
    assert_eq!((world.counters.get(counted::REFUSED), world.account(1).name), (0, None));
}

#[test]
fn a_command_once_more_keeps_its_outcome_even_if_it_would_be_decided_otherwise_now() {
    let first = register("a", 1, 1, None);
    let mut world = World::of(&[first.clone(), command("x", 2, 1, AccountAction::Delete)]);
    let before = (world.outcome("one", "a"), all_accounts(&world, PARTITIONS).unwrap());
    world.feed(&[first, command("a", 3, 2, AccountAction::Delete)], false);
    assert_eq!((world.outcome("one", "a"), all_accounts(&world, PARTITIONS).unwrap()), before);
    assert_eq!(world.counters.get(counted::DUPLICATES), 2);
}

#[test]
fn only_the_newest_outcomes_are_kept() {
    let mut world = World::of(&[register("a", 1, 1, None)]);
    let renames = |from: u64, to: u64| -> Vec<AccountCommand> {
        (from..to).map(|n| command(&format!("n{n}"), 2, 1, AccountAction::Rename { name: Some(n.to_string()) })).collect()
    };
    world.feed(&renames(0, ACCOUNT_OUTCOMES_KEPT - 1), false);
    assert_eq!(outcome(&world, PARTITIONS, "one", "open").unwrap(), None);
    assert!(outcome(&world, PARTITIONS, "one", "a").unwrap().is_some());
    world.feed(&renames(ACCOUNT_OUTCOMES_KEPT, ACCOUNT_OUTCOMES_KEPT + 10), false);
    for store in [OUTCOMES, ORDER] {
        assert_eq!(world.scan(store, partition("one"), b"one/").unwrap().len() as u64, ACCOUNT_OUTCOMES_KEPT, "{store:?}");
    }
    assert_eq!(world.scan(NAMES, partition("one"), b"one/").unwrap().len(), 1);
}

#[test]
fn an_account_that_was_deleted_too_often_does_not_come_back() {
    let mut times: Vec<Unmetered> = Vec::new();
    for n in 0..=UNMETERED_PERIODS_MAX as i64 {
        times.push(Unmetered { from: UtcSecond(2 * n), until: Some(UtcSecond(2 * n + 1)) });
    }
    let mut world = World::of(&[register("a", 1, 1, None), command("x", 2, 1, AccountAction::Delete)]);
    let [deleted] = &all_accounts(&world, PARTITIONS).unwrap()[..] else { panic!() };
    let worn = Account { unmetered: times, ..deleted.clone() };
    world.state.insert((ACCOUNTS, partition("one"), worn.to_key().into_bytes()), serde_json::to_vec(&worn).unwrap());
    world.feed(&[register("b", 99_999, 1, None)], false);
    assert!(matches!(world.outcome("one", "b"), Outcome::Refused { code, .. } if code == "too_many_periods"));
}

#[test]
fn what_is_no_command_becomes_a_dead_letter_and_its_neighbours_count() {
    let good = register("a", 1, 1, None);
    let sound = record(&good);
    let bad = [
        Record { value: b"{".to_vec(), ..sound.clone() },
        Record { key: b"two".to_vec(), ..sound.clone() },
        record(&AccountCommand { tenant: "o/ne".into(), ..good.clone() }),
        record(&AccountCommand { id: String::new(), ..good.clone() }),
        record(&AccountCommand { id: "x".repeat(200), ..good.clone() }),
    ];
    let mut world = World::of(&[]);
    world.feed_records(&[&bad[..], &[sound]].concat(), false);
    assert_eq!((world.counters.get(counted::DEAD_LETTERS), accounts_of(&world, PARTITIONS, "one").unwrap().len()), (5, 1));
}
