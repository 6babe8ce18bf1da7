//! Claim: over HTTP everybody sees what is theirs and nothing else, failures tell what is wrong and nothing else, and no client can harm
//! another.
#![allow(clippy::unwrap_used, reason = "a test fails where its data do not read")]

#[path = "../common/backend.rs"]
mod backend;
#[path = "../common/mod.rs"]
mod common;
mod connections;
mod people;
mod requests;
#[path = "../common/server.rs"]
mod server;
mod sql;
mod tables;
#[allow(dead_code, reason = "each test uses its part")]
#[path = "../viewers/world.rs"]
mod world;

use backend::{ACME_ACCOUNT, BETA_ACCOUNT};
use cloudigrade_query::Tables;
use cloudigrade_query::rest::{RequestLimits, RestOptions};
use common::{Run, write_accounts, write_tables};
use serde_json::Value;
use server::Server;
use tempfile::TempDir;
use world::{Known, write_gaps, write_images};

const MARCH: &str = "start=2024-03-01&end=2024-04-01";

/// Two tenants with an account each; ten runs in one, one in the other.
async fn tables() -> (TempDir, Tables) {
    let folder = tempfile::tempdir().unwrap();
    let mut runs: Vec<Run> = (0..10)
        .map(|hour| {
            let (start, end) = (format!("2024-03-02T{hour:02}:00:00Z"), format!("2024-03-02T{hour:02}:30:00Z"));
            Run::new(&format!("i-acme{hour}"), &start, Some(&end)).of(ACME_ACCOUNT, "eu-west-1")
        })
        .collect();
    runs.push(Run::new("i-beta", "2024-03-02T00:00:00Z", Some("2024-03-02T01:00:00Z")).of(BETA_ACCOUNT, "us-east-1"));
    let coverage = [(ACME_ACCOUNT, "eu-west-1", "2024-03-20T00:00:00Z"), (BETA_ACCOUNT, "us-east-1", "2024-03-10T00:00:00Z")];
    write_tables(folder.path(), &runs, &coverage);
    write_accounts(folder.path(), &[("acme", ACME_ACCOUNT, Vec::new()), ("beta", BETA_ACCOUNT, Vec::new())]);
    let said = Known::new("ami-1", Some(true), "byos").overridden(Some("acme"), false).overridden(Some("beta"), true);
    write_images(folder.path(), &[said, Known::new("ami-unused", Some(true), "payg")]);
    write_gaps(folder.path(), &[ACME_ACCOUNT, BETA_ACCOUNT]);
    let tables = Tables::open_dir(folder.path()).await.unwrap();
    (folder, tables)
}

async fn start(options: RestOptions) -> (TempDir, Server) {
    let (folder, tables) = tables().await;
    (folder, Server::start(tables, options).await)
}

fn limits(change: impl FnOnce(&mut RequestLimits)) -> RestOptions {
    let mut options = RestOptions::default();
    change(&mut options.limits);
    options
}

fn accounts_of(document: &Value, list: &str) -> Vec<String> {
    let mut accounts: Vec<String> =
        document[list].as_array().unwrap().iter().map(|row| row["account_id"].as_str().unwrap().to_owned()).collect();
    accounts.dedup();
    accounts
}
