//! Where the simulated fleet lives: accounts and regions.
//!
//! The account ids are those that AWS sets aside for documentation, so that no simulated record can be taken for a real one.

/// A simulated account.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Twelve digits. One of the accounts has a leading zero.
    pub id: &'static str,
    /// What its owners call it.
    pub name: &'static str,
}

/// The accounts of the fleet.
pub const ACCOUNTS: [Account; 4] = [
    Account { id: "012345678901", name: "production" },
    Account { id: "111122223333", name: "development" },
    Account { id: "444455556666", name: "analytics" },
    Account { id: "777788889999", name: "sandbox" },
];

/// An account's share of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) account: &'static str,
    pub(super) region: &'static str,
}

const fn place(account: usize, region: &'static str) -> Place {
    Place { account: ACCOUNTS[account].id, region }
}

pub(super) const SHOP: Place = place(0, "us-east-1");
pub(super) const CORE: Place = place(0, "eu-central-1");
pub(super) const BERLIN: Place = place(1, "eu-central-1");
pub(super) const NEW_YORK: Place = place(1, "us-east-1");
pub(super) const RENDERING: Place = place(2, "us-west-2");
pub(super) const WAREHOUSE: Place = place(2, "us-east-1");
pub(super) const WORKSHOP: Place = place(3, "ap-southeast-2");

/// All places.
pub(super) const PLACES: [Place; 7] = [SHOP, CORE, BERLIN, NEW_YORK, RENDERING, WAREHOUSE, WORKSHOP];
