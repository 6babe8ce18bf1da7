//! `cloudigrade accounts`: registering AWS accounts, and how they stand.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use cloudigrade_connectors::aws::PolicyFormat;
use cloudigrade_query::{Format, RowWriter, printable};
use cloudigrade_schemas::Account;

use crate::aws;
use crate::cli::{Accounts, AccountsCommand, AccountsFormat, PolicyOf};
use crate::config::Config;
use crate::control::reach;
use crate::control::wire::{Answer, Operation, Request};
use crate::data::DataFolder;
use crate::exit::{Code, error};
use crate::output::{print, table_style, tell};

/// Does what is asked, by the server of the data folder or here.
pub async fn run(data: &DataFolder, args: Accounts, config: &Config) -> anyhow::Result<Code> {
    let Accounts { tenant, format, command } = args;
    let ask = async |operation| {
        let request = Request { tenant: tenant.clone(), by: reach::by(), operation };
        reach::ask_about_accounts(data, config, request).await
    };
    let is_policy = matches!(command, AccountsCommand::Policy { .. });
    if !is_policy && matches!(format, Some(AccountsFormat::Cloudformation | AccountsFormat::Terraform)) {
        return Err(error(Code::Usage, "only a policy has this format: use --format table or json"));
    }
    let operation = match command {
        AccountsCommand::Policy { of: of @ (PolicyOf::Service | PolicyOf::Scanner), principal, .. } => {
            if !matches!(format, None | Some(AccountsFormat::Json)) {
                return Err(error(Code::Usage, "this policy has one format: use --format json"));
            }
            let text = match of {
                PolicyOf::Scanner => aws::scanner_policy_text(config, principal).await?,
                PolicyOf::Service | PolicyOf::Account => aws::service_policy_text(config, principal).await?,
            };
            print(|out| out.write_all(text.as_bytes()))?;
            return Ok(Code::Done);
        }
        AccountsCommand::Policy { of: PolicyOf::Account, principal, with_disks } => {
            let form = match format {
                None | Some(AccountsFormat::Json) => PolicyFormat::Json,
                Some(AccountsFormat::Cloudformation) => PolicyFormat::CloudFormation,
                Some(AccountsFormat::Terraform) => PolicyFormat::Terraform,
                Some(AccountsFormat::Table) => {
                    return Err(error(Code::Usage, "a policy is no table: use --format json, cloudformation or terraform"));
                }
            };
            let answer = ask(Operation::ExternalId).await?;
            let external_id = answer.external_id.unwrap_or_default();
            let text = aws::policy_text(config, form, principal, external_id, with_disks).await?;
            print(|out| out.write_all(text.as_bytes()))?;
            return Ok(Code::Done);
        }
        AccountsCommand::Ask(operation) => operation,
    };
    let is_list = matches!(operation, Operation::List);
    // Whether that an account has problems is a failure of what was asked: a pause is a pause all the same.
    let looks = !matches!(
        operation,
        Operation::List | Operation::Rename { .. } | Operation::Pause { .. } | Operation::Disable { .. } | Operation::Delete { .. }
    );
    let answer = ask(operation).await?;
    show(&answer, format, is_list)?;
    for note in &answer.notes {
        tell(format_args!("cloudigrade: {note}"));
    }
    let obstructed = looks && answer.accounts.iter().any(|account| !account.problems.is_empty());
    Ok(if obstructed { Code::Wrong } else { Code::Done })
}

fn show(answer: &Answer, format: Option<AccountsFormat>, is_list: bool) -> anyhow::Result<()> {
    match format {
        Some(AccountsFormat::Json) => {
            let json = serde_json::to_string(&answer)?;
            print(|out| writeln!(out, "{json}"))
        }
        _ if is_list => list(&answer.accounts),
        _ => print(|out| answer.accounts.iter().try_for_each(|account| describe(out, account))),
    }
}

fn list(accounts: &[Account]) -> anyhow::Result<()> {
    if accounts.is_empty() {
        tell(
            "no accounts yet; `cloudigrade accounts policy` prints what an account must allow, `cloudigrade accounts register ROLE_ARN` adds one",
        );
        return Ok(());
    }
    let names = ["account_id", "name", "state", "verified_at", "problems"];
    let schema = Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Utf8, true)).to_vec()));
    let text = |of: &dyn Fn(&Account) -> Option<String>| Arc::new(accounts.iter().map(of).collect::<StringArray>()) as ArrayRef;
    let problems = |account: &Account| account.problems.iter().map(|problem| problem.code.as_str()).collect::<Vec<_>>().join(", ");
    let columns = vec![
        text(&|account| Some(account.account_id.clone())),
        text(&|account| account.name.clone()),
        text(&|account| Some(account.state.word().to_owned())),
        text(&|account| account.verified_at.map(|at| at.to_string())),
        text(&|account| Some(problems(account)).filter(|problems| !problems.is_empty())),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
    let mut writer = RowWriter::new(Format::Table(table_style()), &schema, std::io::stdout())?;
    writer.write(&batch)?;
    writer.finish()?;
    Ok(())
}

/// One field a line, and each problem with what to do about it.
fn describe(out: &mut dyn Write, account: &Account) -> std::io::Result<()> {
    let mut line = |name: &str, value: &str| if value.is_empty() { Ok(()) } else { writeln!(out, "{name:<12}{}", printable(value)) };
    line("account", &account.account_id)?;
    line("name", account.name.as_deref().unwrap_or_default())?;
    line("role", &account.arn)?;
    line("state", account.state.word())?;
    line("registered", &account.created_at.to_string())?;
    line("verified", &account.verified_at.map_or_else(|| "not yet".to_owned(), |at| at.to_string()))?;
    if let Some(trail) = &account.trail {
        let kind = if trail.organization {
            "organisation's"
        } else if trail.ours {
            "made by cloudigrade"
        } else {
            "found"
        };
        line("trail", &format!("{} into {} ({kind})", trail.arn, trail.bucket))?;
    }
    for period in &account.unmetered {
        line(
            "not metered",
            &format!("from {} until {}", period.from, period.until.map_or_else(|| "now".to_owned(), |until| until.to_string())),
        )?;
    }
    for problem in &account.problems {
        line("problem", &format!("{}: {}", problem.code, problem.detail))?;
        line("  mend", &problem.help)?;
    }
    Ok(())
}
