//! The catalogue that tools of Postgres look into: `pg_catalog`.
//!
//! Names and columns of tables are the same for all viewers and versions of the tables, so one catalogue serves all connections, and what
//! has a number keeps it. What tells of users and connections tells of the own ones alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::{Result, internal_datafusion_err};
use datafusion::datasource::{MemTable, TableType};
use datafusion::execution::SessionStateBuilder;
use datafusion::logical_expr::ScalarUDF;
use datafusion::prelude::SessionContext;
use datafusion_pg_catalog::pg_catalog::catalog_info::CatalogInfo;
use datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;
use datafusion_pg_catalog::pg_catalog::{
    self as theirs, PG_CATALOG_TABLES, PgCatalogSchemaProvider, PgCatalogStaticTables, array_bounds_udf, format_type, has_privilege_udf,
    pg_get_expr_udf, quote_ident_udf,
};

use super::functions;

/// The name of the only database.
pub(super) const CATALOGUE: &str = "cloudigrade";

const SCHEMA: &str = "pg_catalog";

/// Tables of the catalogue that are told here: of the own connection, or empty.
pub(super) const OWN_TABLES: [&str; 21] = [
    "pg_authid",
    "pg_available_extensions",
    "pg_cursors",
    "pg_group",
    "pg_indexes",
    "pg_locks",
    "pg_parameter_acl",
    "pg_policies",
    "pg_prepared_statements",
    "pg_prepared_xacts",
    "pg_roles",
    "pg_rules",
    "pg_sequences",
    "pg_settings",
    "pg_shadow",
    "pg_stat_activity",
    "pg_stat_database",
    "pg_timezone_names",
    "pg_ts_config_map",
    "pg_user",
    "pg_user_mappings",
];

/// Whose connection it is.
#[derive(Clone, Debug)]
pub(super) struct Who {
    pub(super) user: Arc<str>,
    pub(super) is_superuser: bool,
    pub(super) pid: i32,
    /// The settings, by their names in small letters.
    pub(super) settings: Arc<BTreeMap<String, String>>,
}

/// The catalogue of all connections.
#[derive(Debug)]
pub(super) struct Catalogue {
    tables: Arc<PgCatalogSchemaProvider<Names, EmptyContextProvider>>,
    keywords: Arc<theirs::ArrowTable>,
    functions: Vec<ScalarUDF>,
}

impl Catalogue {
    /// Learns the tables of a session.
    pub(super) async fn of(context: &SessionContext) -> Result<Self> {
        let stored = Arc::new(PgCatalogStaticTables::try_new()?);
        let names = Names::of(context, &stored).await?;
        let tables = Arc::new(PgCatalogSchemaProvider::try_new(names, Arc::clone(&stored), EmptyContextProvider)?);
        // Numbers are given in the order in which they are asked for: asked for here, they are always the same.
        if let Some(classes) = tables.table("pg_class").await? {
            context.read_table(classes)?.collect().await?;
        }
        Ok(Self { tables, keywords: Arc::clone(&stored.pg_get_keywords), functions: fixed_functions() })
    }

    /// Gives a session the catalogue and the functions of Postgres.
    pub(super) fn dress(&self, context: &SessionContext, who: &Who) -> Result<()> {
        let catalog = context.catalog(CATALOGUE).ok_or_else(|| internal_datafusion_err!("there is no catalogue {CATALOGUE}"))?;
        catalog.register_schema(SCHEMA, Arc::new(Shown { tables: Arc::clone(&self.tables), own: own_tables(who)? }))?;
        for function in self.functions.iter().cloned().chain(functions::of_connection(who)) {
            context.register_udf(function);
        }
        context.register_udtf("pg_get_keywords", Arc::clone(&self.keywords) as _);
        CoerceIntArgsToBigInt::widen(context);
        let state = context.state();
        let mut state = SessionStateBuilder::new_from_existing(state).with_type_planner(Arc::new(PgOidTypePlanner)).build();
        // As clients are told: a time with its zone is in UTC.
        state.config_mut().options_mut().execution.time_zone = Some("UTC".to_owned());
        *context.state_ref().write() = state;
        Ok(())
    }
}

fn fixed_functions() -> Vec<ScalarUDF> {
    let privileges = [
        "has_table_privilege",
        "has_schema_privilege",
        "has_database_privilege",
        "has_any_column_privilege",
        "has_column_privilege",
        "has_function_privilege",
        "has_sequence_privilege",
    ];
    let mut functions: Vec<ScalarUDF> = privileges.map(has_privilege_udf::create_has_privilege_udf).into();
    functions.extend([
        theirs::create_current_schema_udf(),
        theirs::create_current_schemas_udf(),
        theirs::create_pg_table_is_visible(),
        theirs::create_pg_get_partkeydef_udf(),
        theirs::create_pg_relation_is_publishable_udf(),
        theirs::create_pg_get_statisticsobjdef_columns_udf(),
        theirs::create_pg_encoding_to_char_udf(),
        theirs::create_pg_relation_size_udf(),
        theirs::create_pg_total_relation_size_udf(),
        theirs::create_pg_stat_get_numscans(),
        theirs::create_pg_get_constraintdef(),
        theirs::create_pg_get_partition_ancestors_udf(),
        format_type::create_format_type_udf(),
        pg_get_expr_udf::create_pg_get_expr_udf(),
        quote_ident_udf::create_quote_ident_udf(),
        quote_ident_udf::create_parse_ident_udf(),
        array_bounds_udf::create_array_upper_udf(),
        array_bounds_udf::create_array_lower_udf(),
    ]);
    functions
}

/// The tables of a schema, with their columns.
type TableNames = BTreeMap<String, (SchemaRef, TableType)>;

/// The tables of each schema.
#[derive(Clone, Debug)]
struct Names(Arc<BTreeMap<String, TableNames>>);

impl Names {
    async fn of(context: &SessionContext, stored: &Arc<PgCatalogStaticTables>) -> Result<Self> {
        let mut schemas = BTreeMap::new();
        if let Some(catalog) = context.catalog(CATALOGUE) {
            for name in catalog.schema_names() {
                let Some(schema) = catalog.schema(&name) else { continue };
                schemas.insert(name, tables_of(schema.as_ref(), schema.table_names()).await?);
            }
        }
        let without_names = PgCatalogSchemaProvider::try_new(Self(Arc::default()), Arc::clone(stored), EmptyContextProvider)?;
        let of_catalogue = PG_CATALOG_TABLES.iter().map(ToString::to_string).collect();
        schemas.insert(SCHEMA.to_owned(), tables_of(&without_names, of_catalogue).await?);
        schemas.entry("information_schema".to_owned()).or_default();
        Ok(Self(Arc::new(schemas)))
    }
}

async fn tables_of(schema: &dyn SchemaProvider, names: Vec<String>) -> Result<BTreeMap<String, (SchemaRef, TableType)>> {
    let mut tables = BTreeMap::new();
    for name in names {
        if let Some(table) = schema.table(&name).await? {
            tables.insert(name, (table.schema(), table.table_type()));
        }
    }
    Ok(tables)
}

#[async_trait]
impl CatalogInfo for Names {
    async fn catalog_names(&self) -> Result<Vec<String>> {
        Ok(vec![CATALOGUE.to_owned()])
    }

    async fn schema_names(&self, _: &str) -> Result<Option<Vec<String>>> {
        Ok(Some(self.0.keys().cloned().collect()))
    }

    async fn table_names(&self, _: &str, schema: &str) -> Result<Option<Vec<String>>> {
        Ok(self.0.get(schema).map(|tables| tables.keys().cloned().collect()))
    }

    async fn table_schema(&self, _: &str, schema: &str, table: &str) -> Result<Option<SchemaRef>> {
        Ok(self.0.get(schema).and_then(|tables| tables.get(table)).map(|(schema, _)| Arc::clone(schema)))
    }

    async fn table_type(&self, _: &str, schema: &str, table: &str) -> Result<Option<TableType>> {
        Ok(self.0.get(schema).and_then(|tables| tables.get(table)).map(|(_, kind)| *kind))
    }
}

/// `pg_catalog` as one connection sees it.
#[derive(Debug)]
struct Shown {
    tables: Arc<PgCatalogSchemaProvider<Names, EmptyContextProvider>>,
    own: BTreeMap<&'static str, Arc<dyn TableProvider>>,
}

#[async_trait]
impl SchemaProvider for Shown {
    fn table_names(&self) -> Vec<String> {
        let mut names: Vec<String> = PG_CATALOG_TABLES.iter().map(ToString::to_string).collect();
        names.extend(self.own.keys().filter(|name| !PG_CATALOG_TABLES.contains(name)).map(ToString::to_string));
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        match self.own.get(name.to_ascii_lowercase().as_str()) {
            Some(own) => Ok(Some(Arc::clone(own))),
            None => self.tables.table(name).await,
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.own.contains_key(name.to_ascii_lowercase().as_str()) || self.tables.table_exist(name)
    }
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

fn number(value: i32) -> ArrayRef {
    Arc::new(Int32Array::from(vec![value]))
}

fn boolean(value: bool) -> ArrayRef {
    Arc::new(BooleanArray::from(vec![value]))
}

fn no_text() -> ArrayRef {
    Arc::new(StringArray::from(vec![None::<&str>]))
}

/// The number of the own user, as Postgres has it for the first.
const OWN_OID: i32 = 10;

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.into_iter().map(|(_, array)| array).collect())?;
    Ok(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?))
}

/// A table of texts without rows.
fn empty(columns: &[&str]) -> Result<Arc<dyn TableProvider>> {
    let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Utf8, true)).collect();
    let schema = Arc::new(Schema::new(fields));
    Ok(Arc::new(MemTable::try_new(Arc::clone(&schema), vec![vec![RecordBatch::new_empty(schema)]])?))
}

fn own_tables(who: &Who) -> Result<BTreeMap<&'static str, Arc<dyn TableProvider>>> {
    let role = || {
        vec![
            ("oid", number(OWN_OID)),
            ("rolname", text(&who.user)),
            ("rolsuper", boolean(who.is_superuser)),
            ("rolinherit", boolean(true)),
            ("rolcreaterole", boolean(false)),
            ("rolcreatedb", boolean(false)),
            ("rolcanlogin", boolean(true)),
            ("rolreplication", boolean(false)),
            ("rolconnlimit", number(-1)),
            ("rolpassword", no_text()),
            ("rolvaliduntil", no_text()),
            ("rolbypassrls", boolean(false)),
            ("rolconfig", no_text()),
        ]
    };
    let user = || {
        vec![
            ("usename", text(&who.user)),
            ("usesysid", number(OWN_OID)),
            ("usecreatedb", boolean(false)),
            ("usesuper", boolean(who.is_superuser)),
            ("userepl", boolean(false)),
            ("usebypassrls", boolean(false)),
            ("passwd", no_text()),
            ("valuntil", no_text()),
            ("useconfig", no_text()),
        ]
    };
    let application = who.settings.get("application_name").map_or("", String::as_str);
    let activity = vec![
        ("datid", number(1)),
        ("datname", text(CATALOGUE)),
        ("pid", number(who.pid)),
        ("usesysid", number(OWN_OID)),
        ("usename", text(&who.user)),
        ("application_name", text(application)),
        ("client_addr", no_text()),
        ("client_hostname", no_text()),
        ("client_port", number(-1)),
        ("backend_start", no_text()),
        ("xact_start", no_text()),
        ("query_start", no_text()),
        ("state_change", no_text()),
        ("wait_event_type", no_text()),
        ("wait_event", no_text()),
        ("state", text("active")),
        ("backend_xid", no_text()),
        ("backend_xmin", no_text()),
        ("query", no_text()),
        ("backend_type", text("client backend")),
    ];
    Ok(BTreeMap::from([
        ("pg_authid", table(role())?),
        ("pg_roles", table(role())?),
        ("pg_shadow", table(user())?),
        ("pg_user", table(user())?),
        ("pg_group", empty(&["groname", "grosysid", "grolist"])?),
        ("pg_stat_activity", table(activity)?),
        ("pg_settings", settings_table(who)?),
        (
            "pg_timezone_names",
            table(vec![("name", text("UTC")), ("abbrev", text("UTC")), ("utc_offset", text("00:00:00")), ("is_dst", boolean(false))])?,
        ),
        ("pg_available_extensions", empty(&["name", "default_version", "installed_version", "comment"])?),
        ("pg_cursors", empty(&["name", "statement", "is_holdable", "is_binary", "is_scrollable", "creation_time"])?),
        ("pg_indexes", empty(&["schemaname", "tablename", "indexname", "tablespace", "indexdef"])?),
        ("pg_locks", empty(&["locktype", "database", "relation", "transactionid", "virtualtransaction", "pid", "mode", "granted"])?),
        ("pg_parameter_acl", empty(&["oid", "parname", "paracl"])?),
        ("pg_policies", empty(&["schemaname", "tablename", "policyname", "permissive", "roles", "cmd", "qual", "with_check"])?),
        ("pg_prepared_statements", empty(&["name", "statement", "prepare_time", "parameter_types", "from_sql"])?),
        ("pg_prepared_xacts", empty(&["transaction", "gid", "prepared", "owner", "database"])?),
        ("pg_rules", empty(&["schemaname", "tablename", "rulename", "definition"])?),
        ("pg_sequences", empty(&["schemaname", "sequencename", "sequenceowner", "data_type", "start_value", "last_value"])?),
        ("pg_ts_config_map", empty(&["mapcfg", "maptokentype", "mapseqno", "mapdict"])?),
        ("pg_user_mappings", empty(&["umid", "srvid", "srvname", "umuser", "usename", "umoptions"])?),
        ("pg_stat_database", empty(&["datid", "datname", "numbackends", "xact_commit", "xact_rollback", "blks_read", "blks_hit"])?),
    ]))
}

fn settings_table(who: &Who) -> Result<Arc<dyn TableProvider>> {
    let column = |values: Vec<Option<&str>>| Arc::new(StringArray::from(values)) as ArrayRef;
    let names: Vec<Option<&str>> = who.settings.keys().map(|name| Some(name.as_str())).collect();
    let values: Vec<Option<&str>> = who.settings.values().map(|value| Some(value.as_str())).collect();
    let same = |value: Option<&'static str>| column(vec![value; who.settings.len()]);
    table(vec![
        ("name", column(names)),
        ("setting", column(values.clone())),
        ("unit", same(None)),
        ("category", same(None)),
        ("short_desc", same(None)),
        ("extra_desc", same(None)),
        ("context", same(Some("user"))),
        ("vartype", same(Some("string"))),
        ("source", same(Some("session"))),
        ("min_val", same(None)),
        ("max_val", same(None)),
        ("enumvals", same(None)),
        ("boot_val", same(None)),
        ("reset_val", column(values)),
        ("sourcefile", same(None)),
        ("sourceline", same(None)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_tables_are_those_that_are_named() {
        let who = Who { user: "ann".into(), is_superuser: false, pid: 1, settings: Arc::default() };
        let tables = own_tables(&who).unwrap();
        assert_eq!(tables.keys().copied().collect::<Vec<_>>(), OWN_TABLES);
    }
}
