//! The command line of `cloudigrade users`.

use clap::{Args, Subcommand};

use super::SummaryFormat;

#[derive(Debug, Args)]
#[command(
    after_help = "A user belongs to a tenant and sees the AWS accounts of that tenant; a superuser sees all. While a server runs on the same --data,\nit is asked; otherwise the data folder is opened.\n\nExamples:\n  cloudigrade users create ann --superuser\n  cloudigrade users create bob --tenant acme --generate\n  cloudigrade users disable bob"
)]
pub struct Users {
    /// How to print
    #[arg(long, global = true, value_enum, default_value_t = SummaryFormat::Table)]
    pub format: SummaryFormat,
    #[command(subcommand)]
    pub command: UsersCommand,
}

#[derive(Debug, Subcommand)]
pub enum UsersCommand {
    /// Make a user; the name is never given to another
    Create {
        /// What they log in as
        name: String,
        /// Whose AWS accounts they see [default: a tenant of their own, of the same name]
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Where they can be written to
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// Let them see all tenants and manage users
        #[arg(long)]
        superuser: bool,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// All users
    List,
    /// Shut a user out at once, tokens included
    Disable {
        /// Whom
        name: String,
    },
    /// Let a user in again
    Enable {
        /// Whom
        name: String,
    },
    /// Give a user another password; all their tokens and open connections end
    Reset {
        /// Whom
        name: String,
        #[command(flatten)]
        password: PasswordFrom,
    },
    /// The tokens of a user that work, by their hashes
    Tokens {
        /// Whose
        name: String,
    },
    /// End tokens of a user
    Revoke {
        /// Whose
        name: String,
        /// The beginning of a token's hash, as `tokens` shows it
        #[arg(required_unless_present = "all", value_name = "HASH")]
        hash: Option<String>,
        /// All of them, and the user's open connections over the protocol of Postgres
        #[arg(long, conflicts_with = "hash")]
        all: bool,
    },
}

/// Where a password comes from; asked for on the terminal without any of these.
#[derive(Clone, Copy, Debug, Args)]
pub struct PasswordFrom {
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "generate")]
    pub password_stdin: bool,
    /// Make a password, and print it once
    #[arg(long)]
    pub generate: bool,
}
