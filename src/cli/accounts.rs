//! The command line of `cloudigrade accounts`.

use clap::{Args, Subcommand, ValueEnum};
use cloudigrade_schemas::account::{TENANT_CHARS_MAX, is_tenant};
use cloudigrade_schemas::arn::is_account_id;

use crate::control::wire::Operation;

#[derive(Debug, Args)]
#[command(
    after_help = "ACCOUNT is an AWS account id or a name. While a server runs on the same --data, it is asked; otherwise the data folder is opened.\n\nExamples:\n  cloudigrade accounts policy --format cloudformation --principal 123456789012 > role.json\n  cloudigrade accounts register arn:aws:iam::123456789012:role/cloudigrade --name production\n  cloudigrade accounts list"
)]
pub struct Accounts {
    /// Whose accounts
    #[arg(long, global = true, value_name = "NAME", default_value = "default", env = "CLOUDIGRADE_TENANT", value_parser = tenant)]
    pub tenant: String,
    /// How to print: table or json; for `policy` json, cloudformation or terraform
    #[arg(long, global = true, value_enum, hide_possible_values = true)]
    pub format: Option<AccountsFormat>,
    #[command(subcommand)]
    pub command: AccountsCommand,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccountsFormat {
    /// For people
    Table,
    /// One JSON object, as schemas/json/accounts.schema.json describes its accounts; of a policy, what IAM's console takes
    Json,
    /// A CloudFormation template; of a policy
    Cloudformation,
    /// A Terraform configuration; of a policy
    Terraform,
}

/// Whom a policy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyOf {
    /// The role of an account that is registered
    Account,
    /// The identity that this program runs as, in its own account
    Service,
    /// The role of the scanners' instance profile, cloudigrade-scanner
    Scanner,
}

#[derive(Debug, Subcommand)]
pub enum AccountsCommand {
    /// Print what an account must allow: a role, whom it trusts, and what that may do
    Policy {
        /// Whom it is for; what is for this program's own account needs [inspection.scanner], and is json
        #[arg(long = "for", value_name = "WHOM", value_enum, default_value_t = PolicyOf::Account)]
        of: PolicyOf,
        /// The AWS account that cloudigrade runs in; by default that of its credentials
        #[arg(long, value_name = "ACCOUNT_ID", value_parser = account_id)]
        principal: Option<String>,
        /// With what reading the disks of machine images takes
        #[arg(long)]
        with_disks: bool,
    },
    /// All else is asked of whoever has the log.
    #[command(flatten)]
    Ask(Operation),
}

fn tenant(text: &str) -> Result<String, String> {
    if !is_tenant(text) {
        return Err(format!("a tenant's name is made of at most {TENANT_CHARS_MAX} letters, digits and ._@+-"));
    }
    Ok(text.to_owned())
}

fn account_id(text: &str) -> Result<String, String> {
    if !is_account_id(text) {
        return Err("an AWS account id has twelve digits".to_owned());
    }
    Ok(text.to_owned())
}
