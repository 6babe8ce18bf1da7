//! Claim: the crates depend on each other as ARCHITECTURE.md draws it, and the pure parts cannot reach the world.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::{files_below, string};

/// Each package of the workspace, and those that it may depend on.
const ARROWS: [(&str, &str); 7] = [
    ("cloudigrade-schemas", ""),
    ("houndigrade", "cloudigrade-schemas"),
    ("cloudigrade-pipeline", "cloudigrade-schemas"),
    ("cloudigrade-query", "cloudigrade-pipeline cloudigrade-schemas"),
    ("cloudigrade-connectors", "cloudigrade-pipeline cloudigrade-schemas"),
    ("cloudigrade-inspect", "cloudigrade-connectors cloudigrade-pipeline cloudigrade-schemas houndigrade"),
    ("cloudigrade", "cloudigrade-connectors cloudigrade-inspect cloudigrade-pipeline cloudigrade-query cloudigrade-schemas houndigrade"),
];

/// How the names of crates begin that do I/O, look at a clock or run `async`.
const OUTSIDE_WORLD: &str = "arrow async- aws- chrono datafusion deltalake futures hyper mio object_store parquet rdkafka redb reqwest \
                             socket2 tokio walkdir warp";

/// Words that no operator and no part of the engine may contain: there is no clock, no I/O, no randomness and no `async` in them. (The
/// order of a `HashMap` is random.)
const IMPURE: &str = "async await SystemTime Instant elapsed sleep fs File net env process rand random HashMap tokio";

/// What cargo knows of the workspace and of all that it is built from.
fn metadata() -> Value {
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let mut cargo = Command::new(env!("CARGO"));
    // Without it cargo wants the crates of all platforms at hand, and those that are not built here may never have been fetched.
    let here = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let how = ["--format-version", "1", "--offline", "--filter-platform", &here, "--manifest-path", manifest];
    let told = cargo.arg("metadata").args(how).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    serde_json::from_slice(&told.stdout).unwrap()
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of[name].as_array().unwrap_or_else(|| panic!("no {name} in {of:.200}"))
}

/// The packages of the workspace by name, with the names of those that they depend on, in tests too.
fn workspace(metadata: &Value) -> BTreeMap<&str, BTreeSet<&str>> {
    let members: BTreeSet<_> = list(metadata, "workspace_members").iter().filter_map(Value::as_str).collect();
    let packages = list(metadata, "packages").iter().filter(|package| members.contains(string(package, "id")));
    let dependencies = |package| list(package, "dependencies").iter().map(|dependency| string(dependency, "name")).collect();
    packages.map(|package| (string(package, "name"), dependencies(package))).collect()
}

#[test]
fn crates_depend_on_each_other_only_along_the_arrows() {
    let metadata = metadata();
    let workspace = workspace(&metadata);
    let known = BTreeSet::from(ARROWS.map(|(name, _)| name));
    assert_eq!(workspace.keys().copied().collect::<BTreeSet<_>>(), known, "the packages of the workspace");
    for (name, allowed) in ARROWS {
        let allowed = allowed.split_whitespace().collect();
        let ours: BTreeSet<_> = workspace[name].intersection(&known).copied().collect();
        let other: Vec<_> = ours.difference(&allowed).collect();
        assert!(other.is_empty(), "{name} must not depend on {other:?}");
    }
}

#[test]
fn only_the_program_uses_anyhow() {
    let metadata = metadata();
    let users: Vec<_> = workspace(&metadata).into_iter().filter(|(_, uses)| uses.contains("anyhow")).map(|(name, _)| name).collect();
    assert_eq!(users, ["cloudigrade"], "all others have errors of their own");
}

#[test]
fn schemas_reaches_no_crate_that_does_io_or_runs_async() {
    let reached = reached_from("cloudigrade-schemas", &metadata());
    assert!(reached.contains("serde"), "the graph was walked: {reached:?}");
    let outside = |name: &&String| OUTSIDE_WORLD.split_whitespace().any(|beginning| name.starts_with(beginning));
    let found: Vec<_> = reached.iter().filter(outside).collect();
    assert!(found.is_empty(), "schemas depends on {found:?}");
}

/// The names of all packages that a package is built from.
fn reached_from(name: &str, metadata: &Value) -> BTreeSet<String> {
    let names: BTreeMap<_, _> = list(metadata, "packages").iter().map(|package| (string(package, "id"), string(package, "name"))).collect();
    let nodes: BTreeMap<_, _> = list(&metadata["resolve"], "nodes").iter().map(|node| (string(node, "id"), node)).collect();
    let mut open: Vec<_> = names.iter().filter(|(_, known)| **known == name).map(|(id, _)| *id).collect();
    let mut reached = BTreeSet::new();
    while let Some(id) = open.pop() {
        for dependency in list(nodes[id], "deps") {
            let built = list(dependency, "dep_kinds").iter().any(|kind| kind["kind"] != "dev");
            let id = string(dependency, "pkg");
            if built && reached.insert(names[id].to_owned()) {
                open.push(id);
            }
        }
    }
    reached
}

#[test]
fn operators_and_engine_contain_no_clock_no_io_no_randomness_and_no_async() {
    let pipeline = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipeline/src");
    let impure: BTreeSet<_> = IMPURE.split_whitespace().collect();
    for folder in ["operators", "engine"] {
        let files = files_below(&pipeline.join(folder));
        assert!(!files.is_empty(), "{folder} has sources");
        for file in files.iter().filter(|file| file.file_name().is_some_and(|name| name != "tests.rs")) {
            for (number, line) in fs::read_to_string(file).unwrap().lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                let found = code.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| impure.contains(word));
                assert_eq!(found, None, "{}:{}: {line}", file.display(), number + 1);
            }
        }
    }
}
