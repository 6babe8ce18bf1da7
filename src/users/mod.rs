//! Who may ask: users, their passwords and their tokens.
//!
//! The log keeps them (topics `users` and `tokens`), and the one process that has the log keeps them in memory. What is secret is nowhere: of
//! a password there is its Argon2id hash, of a token its SHA-256.

mod attempts;
mod changing;
mod directory;
mod known;
mod password;
mod rules;
mod secret;
mod stored;
#[cfg(test)]
mod tests;
mod token;

pub use directory::Directory;
pub use password::generate;
pub use secret::Secret;
pub use stored::STORES;
