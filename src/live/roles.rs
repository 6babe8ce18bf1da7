//! What a process does of all there is to do.

use std::collections::BTreeSet;

use clap::ValueEnum;

/// A part of the work that a process can have for itself. Where the log is on Kafka, as many processes as it takes share the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Role {
    /// Reads log files from the queue or the places that the configuration names, and collects from accounts.
    Source,
    /// Folds what enters the log. Processes divide the partitions among them.
    Operators,
    /// Keeps the tables. One suffices; another does no harm.
    Sink,
    /// Has images inspected. One at a time: the last to start has it, and the one before ends.
    Inspect,
    /// Answers over HTTP.
    Api,
}

/// The roles of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// All of them.
    pub fn all() -> Self {
        Self(Role::value_variants().iter().copied().collect())
    }

    /// Some of them.
    pub fn of(roles: impl IntoIterator<Item = Role>) -> Self {
        Self(roles.into_iter().collect())
    }

    /// Whether a role is among them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }

    /// Whether something enters the log by them, but from operators.
    pub fn enter(&self) -> bool {
        self.has(Role::Source) || self.has(Role::Api)
    }

    /// A name for them that no other roles have: processes of one machine with different roles are different members.
    pub fn name(&self) -> String {
        if *self == Self::all() {
            return "all".to_owned();
        }
        let names = self.0.iter().filter_map(|role| Some(role.to_possible_value()?.get_name().to_owned()));
        names.collect::<Vec<_>>().join("-")
    }
}
