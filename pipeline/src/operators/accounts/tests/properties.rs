//! Whatever is asked, in whatever pieces, as often as it may be.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

fn any_command() -> impl Strategy<Value = AccountCommand> {
    let name = prop::option::of(prop::sample::select(vec!["web", "db", ""])).prop_map(|name| name.map(str::to_owned));
    let role = prop::sample::select(vec!["r", "s", "not a role"]);
    let action = prop_oneof![
        3 => (role.clone(), name.clone()).prop_map(|(role, name)| AccountAction::Register { arn: role.into(), name }),
        1 => name.prop_map(|name| AccountAction::Rename { name }),
        1 => role.prop_map(|role| AccountAction::ChangeRole { arn: role.into() }),
        1 => Just(AccountAction::Enable),
        1 => Just(AccountAction::Disable),
        1 => Just(AccountAction::Pause),
        1 => Just(AccountAction::Resume),
        2 => Just(AccountAction::Delete),
        1 => Just(AccountAction::Verified { trail: None }),
        1 => Just(AccountAction::Failed { problems: Vec::new(), trail: None }),
        1 => Just(AccountAction::OpenTenant { external_id: "late".into() }),
    ];
    (action, 0..1000_i64, 1..4_u8, prop::sample::select(vec!["one", "two"]), 0..60_u32).prop_map(|(mut action, at, account, tenant, id)| {
        if let AccountAction::Register { arn: role, .. } | AccountAction::ChangeRole { arn: role } = &mut action {
            *role = arn(account, role);
        }
        of_tenant(tenant, command(&format!("command-{id}"), at, account, action))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn repetition_split_and_crash_change_neither_accounts_nor_outcomes(
        commands in prop::collection::vec(any_command(), 1..50),
        repeats in prop::collection::vec((any::<Index>(), any::<Index>()), 0..10),
        cuts in prop::collection::vec((any::<Index>(), any::<bool>()), 0..6),
    ) {
        let expected = World::of(&commands);
        let mut delivered = commands.clone();
        for (which, to) in repeats {
            // A repeat comes after what it repeats, wherever.
            let which = which.index(delivered.len());
            let to = which + 1 + to.index(delivered.len() - which);
            delivered.insert(to, delivered[which].clone());
        }
        let mut cuts: Vec<(usize, bool)> = cuts.iter().map(|(index, crash)| (index.index(delivered.len()), *crash)).collect();
        cuts.sort_unstable();
        let mut actual = World::of(&[]);
        let mut from = 0;
        for (to, crash) in cuts {
            if crash {
                actual.feed(&delivered[from..to], true);
            }
            actual.feed(&delivered[from..to], false);
            from = to;
        }
        actual.feed(&delivered[from..], false);
        prop_assert_eq!(&expected.state, &actual.state);
        prop_assert_eq!(&expected.sent, &actual.sent);
    }

    #[test]
    fn whatever_is_asked_accounts_are_sound(commands in prop::collection::vec(any_command(), 1..80)) {
        let world = World::of(&commands);
        let accounts = all_accounts(&world, PARTITIONS).unwrap();
        prop_assert_eq!(world.sent.values().collect::<Vec<_>>(), accounts.iter().collect::<Vec<_>>(), "what is sent is what is kept");
        for account in &accounts {
            let times = periods(account);
            prop_assert!(times.iter().all(|(from, until)| until.is_none_or(|until| *from < until)));
            prop_assert!(times.windows(2).all(|two| two[0].1.is_some_and(|until| until < two[1].0)));
            let is_metered = matches!(account.state, AccountState::Pending | AccountState::Enabled);
            prop_assert_eq!(times.last().is_none_or(|last| last.1.is_some()), is_metered, "{:?}", account);
        }
        for tenant in ["one", "two"] {
            let live = accounts_of(&world, PARTITIONS, tenant).unwrap();
            let names: Vec<_> = live.iter().filter_map(|account| account.name.as_deref()).collect();
            prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "names are unique");
            prop_assert_eq!(world.scan(NAMES, partition(tenant), format!("{tenant}/").as_bytes()).unwrap().len(), names.len());
            let known: Tenant = serde_json::from_slice(&world.get(TENANTS, partition(tenant), tenant.as_bytes()).unwrap().unwrap()).unwrap();
            prop_assert_eq!(known.accounts, live.len() as u64);
        }
    }
}
