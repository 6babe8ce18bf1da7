//! All stores of state: on Kafka each has a changelog, which must be there before anything is written.

use cloudigrade_pipeline::log::Store;

/// The stores of all parts.
pub fn all() -> Vec<Store> {
    [
        cloudigrade_pipeline::operators::STORES,
        cloudigrade_connectors::source::STORES,
        cloudigrade_inspect::record::STORES,
        crate::users::STORES,
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::all;

    /// The names of stores that sources of the program name.
    fn named(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" && name != "contract" && name != "kafka" {
                named(&path, found);
            } else if name.ends_with(".rs") && name != "tests.rs" {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                found.extend(code.split("Store = Store(\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
            }
        }
    }

    #[test]
    fn every_store_that_a_part_names_is_listed() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut found = BTreeSet::new();
        for part in ["src", "pipeline/src", "connectors/src", "inspect/src"] {
            named(&root.join(part), &mut found);
        }
        assert!(found.len() > 10);
        assert_eq!(all().into_iter().map(|store| store.0.to_owned()).collect::<BTreeSet<_>>(), found);
    }
}
