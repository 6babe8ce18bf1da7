//! `cloudigrade users`: who can log in to the server.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use cloudigrade_query::rest::backend::UserInfo;
use cloudigrade_query::{Format, RowWriter};
use cloudigrade_schemas::Token;

use super::password;
use crate::cli::{SummaryFormat, Users, UsersCommand};
use crate::config::Config;
use crate::control::reach;
use crate::control::wire::{UsersAnswer, UsersOperation, UsersRequest};
use crate::data::DataFolder;
use crate::exit::Code;
use crate::output::{print, table_style, tell};

/// Does what is asked, by the server of the data folder or here.
pub async fn run(data: &DataFolder, args: Users, config: &Config) -> anyhow::Result<Code> {
    let Users { format, command } = args;
    let is_list = matches!(command, UsersCommand::List);
    let mut generated = None;
    let operation = match command {
        UsersCommand::Create { name, tenant, email, superuser, password } => {
            let given = password::get(password, &name)?;
            generated = given.generated;
            UsersOperation::Create { name, tenant, email, superuser, password: given.password }
        }
        UsersCommand::Reset { name, password } => {
            let given = password::get(password, &name)?;
            generated = given.generated;
            UsersOperation::Reset { name, password: given.password }
        }
        UsersCommand::List => UsersOperation::List,
        UsersCommand::Disable { name } => UsersOperation::Disable { name },
        UsersCommand::Enable { name } => UsersOperation::Enable { name },
        UsersCommand::Tokens { name } => UsersOperation::Tokens { name },
        UsersCommand::Revoke { name, hash, all: _ } => UsersOperation::Revoke { name, hash },
    };
    let told = Telling::of(&operation);
    let answer = reach::ask_about_users(data, config, UsersRequest { by: reach::by(), operation }).await?;
    match format {
        SummaryFormat::Json => {
            let mut json = serde_json::to_value(&answer)?;
            if let Some(password) = &generated {
                json["password"] = password.reveal().into();
            }
            print(|out| writeln!(out, "{json}"))?;
        }
        SummaryFormat::Table => {
            if is_list {
                list(&answer.users)?;
            } else {
                told.tell(&answer)?;
            }
            if let Some(password) = &generated {
                tell("the password, which is shown this once:");
                print(|out| writeln!(out, "{}", password.reveal()))?;
            }
        }
    }
    Ok(Code::Done)
}

/// What is said when something was done.
enum Telling {
    Made,
    Disabled,
    Enabled,
    Reset,
    Tokens,
    Revoked,
    Nothing,
}

impl Telling {
    fn of(operation: &UsersOperation) -> Self {
        match operation {
            UsersOperation::Create { .. } => Self::Made,
            UsersOperation::Disable { .. } => Self::Disabled,
            UsersOperation::Enable { .. } => Self::Enabled,
            UsersOperation::Reset { .. } => Self::Reset,
            UsersOperation::Tokens { .. } => Self::Tokens,
            UsersOperation::Revoke { .. } => Self::Revoked,
            UsersOperation::List => Self::Nothing,
        }
    }

    fn tell(&self, answer: &UsersAnswer) -> anyhow::Result<()> {
        let Some(UserInfo { name, tenant, superuser, .. }) = answer.users.first() else { return Ok(()) };
        let revoked = answer.revoked;
        match self {
            Self::Made if *superuser => tell(format_args!("{name} can log in, sees all tenants and manages users")),
            Self::Made => tell(format_args!("{name} can log in, and sees the accounts of the tenant {tenant}")),
            Self::Disabled => tell(format_args!("{name} is shut out, and so are their tokens")),
            Self::Enabled => tell(format_args!("{name} can log in again")),
            Self::Reset => tell(format_args!("{name} has another password; {revoked} tokens were ended")),
            Self::Revoked => tell(format_args!("{revoked} tokens of {name} were ended")),
            Self::Tokens => tokens(&answer.tokens)?,
            Self::Nothing => {}
        }
        Ok(())
    }
}

fn list(users: &[UserInfo]) -> anyhow::Result<()> {
    if users.is_empty() {
        tell("no users yet; `cloudigrade users create NAME --superuser` makes the first");
        return Ok(());
    }
    rows(
        users,
        &[
            ("name", &|user| Some(user.name.clone())),
            ("tenant", &|user| Some(user.tenant.clone())),
            ("email", &|user| user.email.clone()),
            ("superuser", &|user| Some(user.superuser.to_string())),
            ("disabled", &|user| Some(user.disabled.to_string())),
            ("created_at", &|user| Some(user.created_at.to_string())),
        ],
    )
}

fn tokens(tokens: &[Token]) -> anyhow::Result<()> {
    /// Digits of a hash that a person is shown: enough to tell tokens apart.
    const DIGITS: usize = 12;
    rows(
        tokens,
        &[
            ("hash", &|token| Some(token.hash.chars().take(DIGITS).collect())),
            ("label", &|token| token.label.clone()),
            ("scope", &|token| Some(token.scope.word().to_owned())),
            ("created_at", &|token| Some(token.created_at.to_string())),
            ("expires_at", &|token| Some(token.expires_at.to_string())),
        ],
    )
}

/// A column: its name, and what it says of each.
type Column<'c, T> = (&'c str, &'c dyn Fn(&T) -> Option<String>);

fn rows<T>(of: &[T], columns: &[Column<'_, T>]) -> anyhow::Result<()> {
    let schema = Arc::new(Schema::new(columns.iter().map(|(name, _)| Field::new(*name, DataType::Utf8, true)).collect::<Vec<_>>()));
    let columns = columns.iter().map(|(_, text)| Arc::new(of.iter().map(text).collect::<StringArray>()) as ArrayRef).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = RowWriter::new(Format::Table(table_style()), &schema, std::io::stdout())?;
    writer.write(&batch)?;
    writer.finish()?;
    Ok(())
}
