//! Words of Postgres that DataFusion does not know, put in words that it does.
//!
//! Queries about the catalogue, as tools ask them, are rewritten by the rules of `datafusion-pg-catalog`, some of which put null where
//! DataFusion cannot follow. That must never happen to a query about usage: those are rewritten by the rules alone that keep the meaning.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::LazyLock;

use bytes::Bytes;
use datafusion::sql::sqlparser::ast::{
    AccessExpr, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Query, Statement,
    TableFactor, Value, Visit, VisitMut, Visitor, VisitorMut, visit_expressions_mut,
};
use datafusion_pg_catalog::pg_catalog::PG_CATALOG_TABLES;
use datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use datafusion_pg_catalog::sql::rules::{
    CurrentUserVariableToSessionUserFunctionCall, FixVersionColumnName, PrependUnqualifiedPgTableName, RewritePgCatalogOperator,
    RewriteRegCastToSubquery, SqlStatementRewriteRule, StripCallableQualifier,
};
use pgwire::api::Type;

use super::catalogue::OWN_TABLES;
use super::value;

static COMPATIBLE: LazyLock<PostgresCompatibilityParser> = LazyLock::new(PostgresCompatibilityParser::new);

/// The rules that keep the meaning.
static FAITHFUL: LazyLock<Vec<Box<dyn SqlStatementRewriteRule>>> = LazyLock::new(|| {
    vec![
        Box::new(PrependUnqualifiedPgTableName),
        Box::new(StripCallableQualifier),
        Box::new(CurrentUserVariableToSessionUserFunctionCall),
        Box::new(RewritePgCatalogOperator),
        Box::new(RewriteRegCastToSubquery::new()),
        Box::new(FixVersionColumnName),
    ]
});

/// Puts a question in words that DataFusion knows. `text` is what it was read from, if it was that alone.
pub(super) fn rewritten(mut statement: Statement, text: Option<&str>) -> Statement {
    let is_changed = schemas_of_path(&mut statement) | names_of_functions(&mut statement);
    let text = text.filter(|_| !is_changed);
    if is_about_catalogue(&statement) {
        let text = text.map_or_else(|| statement.to_string(), str::to_owned);
        if let Some(mut statements) = compatible(&text)
            && let (Some(mut rewritten), 0) = (statements.pop(), statements.len())
        {
            without_lists(&mut rewritten);
            qualified(&mut rewritten);
            return rewritten;
        }
    }
    arrays_of_texts(&mut statement);
    for rule in FAITHFUL.iter() {
        statement = rule.rewrite(statement);
    }
    qualified(&mut statement);
    statement
}

/// The functions that the search path is taken apart by.
const TAKING_APART: [&str; 2] = ["generate_series", "string_to_array"];

/// Puts the schema that is looked in by itself, in the place of a query that takes the setting apart, as Grafana's does. Says whether there was
/// one.
fn schemas_of_path(statement: &mut Statement) -> bool {
    let mut is_changed = false;
    _ = visit_expressions_mut(statement, |expr| {
        if let Expr::InSubquery { expr: tested, subquery, negated } = expr {
            let mut relations = Relations::default();
            _ = Visit::visit(subquery.as_ref(), &mut relations);
            let is_of_path = !relations.named.is_empty() && relations.named.iter().all(|name| TAKING_APART.contains(&name.as_str()));
            if is_of_path && subquery.to_string().to_lowercase().contains("current_setting('search_path')") {
                let list = vec![Expr::value(Value::SingleQuotedString("public".to_owned()))];
                *expr = Expr::InList { expr: tested.clone(), list, negated: *negated };
                is_changed = true;
            }
        }
        ControlFlow::<()>::Continue(())
    });
    is_changed
}

/// Puts the names of functions that are looked for by them, `'pg_catalog.array_in'::regproc`: the catalogue has functions by their names. Says
/// whether there was one.
fn names_of_functions(statement: &mut Statement) -> bool {
    let mut is_changed = false;
    _ = visit_expressions_mut(statement, |expr| {
        if let Expr::Cast { expr: named, data_type: DataType::Custom(kind, _), .. } = expr
            && last(kind) == "regproc"
            && let Expr::Value(value) = named.as_ref()
            && let Value::SingleQuotedString(name) = &value.value
        {
            let name = name.rsplit('.').next().unwrap_or_default().to_owned();
            *expr = Expr::value(Value::SingleQuotedString(name));
            is_changed = true;
        }
        ControlFlow::<()>::Continue(())
    });
    is_changed
}

/// Reads queries about the catalogue that are not SQL as the parser knows it, but as the rules of others do.
pub(super) fn read_about_catalogue(text: &str) -> Option<Vec<Statement>> {
    compatible(text).filter(|statements| statements.iter().all(is_about_catalogue))
}

fn compatible(text: &str) -> Option<Vec<Statement>> {
    // It panics on some names that are none.
    std::panic::catch_unwind(|| COMPATIBLE.parse(text)).ok()?.ok()
}

/// Arrays that are written as texts, `x = ANY('{a,"b,c"}')`, read as Postgres reads them.
pub(super) fn arrays_of_texts(statement: &mut Statement) {
    _ = visit_expressions_mut(statement, |expr| {
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr
            && let Expr::Value(value) = right.as_ref()
            && let Value::SingleQuotedString(text) = &value.value
            && let Ok(array) = value::constant(&Type::TEXT_ARRAY, false, Some(&Bytes::from(text.clone())))
        {
            **right = array;
        }
        ControlFlow::<()>::Continue(())
    });
}

/// Functions that stand for tables in queries about the catalogue.
const FUNCTIONS: [&str; 2] = ["generate_series", "unnest"];

/// Whether a query asks the catalogue and nothing else.
fn is_about_catalogue(statement: &Statement) -> bool {
    let mut relations = Relations::default();
    _ = Visit::visit(statement, &mut relations);
    let Relations { named, defined } = relations;
    let mut seen = named.iter().filter(|name| !defined.contains(*name)).peekable();
    seen.peek().is_some() && seen.all(|name| is_of_catalogue(name) || FUNCTIONS.contains(&name.as_str()))
}

fn is_of_catalogue(name: &str) -> bool {
    let bare = name.strip_prefix("cloudigrade.").unwrap_or(name);
    bare.starts_with("information_schema.")
        || bare.starts_with("pg_catalog.")
        || bare == "pg_get_keywords"
        || PG_CATALOG_TABLES.contains(&bare)
        || OWN_TABLES.contains(&bare)
}

/// The names of relations in a query, and of those that it defines itself.
#[derive(Default)]
struct Relations {
    named: Vec<String>,
    defined: HashSet<String>,
}

fn bare(name: &ObjectName) -> String {
    name.to_string().replace('"', "").to_lowercase()
}

/// A name without its schema.
fn last(name: &ObjectName) -> String {
    bare(name).rsplit('.').next().unwrap_or_default().to_owned()
}

impl Visitor for Relations {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let with = query.with.iter().flat_map(|with| &with.cte_tables);
        self.defined.extend(with.map(|table| table.alias.name.value.to_lowercase()));
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        self.named.push(bare(relation));
        ControlFlow::Continue(())
    }
}

/// Puts constants for what tools ask of the catalogue and DataFusion cannot plan: lists of privileges, options and members, whether a type is
/// one of rows, and the table that a row is of, by which descriptions are found. There are none of these.
fn without_lists(statement: &mut Statement) {
    let is_table_of_row = |name: &Ident| name.value.eq_ignore_ascii_case("tableoid");
    _ = visit_expressions_mut(statement, |expr| {
        let constant = match expr {
            Expr::CompoundIdentifier(names) if names.last().is_some_and(is_table_of_row) => Value::Null,
            Expr::Function(function) if NOT_TO_BE_HAD.contains(&last(&function.name).as_str()) => Value::Null,
            // Of `(current_schemas(true))[1]` an element can be had; of columns of the catalogue, which are texts, and of rows it cannot.
            Expr::CompoundFieldAccess { root, access_chain } if !is_element_of_function(root, access_chain) => Value::Null,
            // So `x = ANY(column)` is written by the rules of others. Lists in columns are texts as well, and there is nothing that has one.
            Expr::Function(function) if bare(&function.name) == "array_contains" && is_of_column(function) => Value::Boolean(false),
            Expr::CompoundIdentifier(names) => {
                // As it is called in later versions, of which the catalogue is.
                if let Some(name) = names.last_mut().filter(|name| name.value.eq_ignore_ascii_case("colliculocale")) {
                    *name = Ident::new("colllocale");
                }
                return ControlFlow::Continue(());
            }
            Expr::Function(function) if bare(&function.name) == "array" && matches!(function.args, FunctionArguments::Subquery(_)) => {
                Value::SingleQuotedString("{}".to_owned())
            }
            Expr::Subquery(query) if query.to_string().starts_with("SELECT c.relkind = 'c' FROM pg_catalog.pg_class") => {
                Value::Boolean(false)
            }
            _ => return ControlFlow::<()>::Continue(()),
        };
        *expr = Expr::value(constant);
        ControlFlow::Continue(())
    });
}

/// Functions of the catalogue that would give lists, or texts made of them.
const NOT_TO_BE_HAD: [&str; 3] = ["array_to_string", "format", "_pg_expandarray"];

fn is_of_column(function: &Function) -> bool {
    let FunctionArguments::List(list) = &function.args else { return false };
    let first = list.args.first();
    matches!(first, Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::CompoundIdentifier(_) | Expr::Identifier(_)))))
}

fn is_element_of_function(root: &Expr, access: &[AccessExpr]) -> bool {
    let is_function = match root {
        Expr::Nested(nested) => matches!(**nested, Expr::Function(_)),
        root => matches!(root, Expr::Function(_)),
    };
    is_function && access.iter().all(|access| matches!(access, AccessExpr::Subscript(_)))
}

/// Puts the schema before tables of the catalogue that the rules of others do not know.
fn qualified(statement: &mut Statement) {
    struct Qualify;
    impl VisitorMut for Qualify {
        type Break = ();

        fn pre_visit_relation(&mut self, relation: &mut ObjectName) -> ControlFlow<()> {
            if OWN_TABLES.contains(&bare(relation).as_str()) {
                *relation = ObjectName::from(vec!["pg_catalog".into(), bare(relation).as_str().into()]);
            }
            ControlFlow::Continue(())
        }
    }
    _ = VisitMut::visit(statement, &mut Qualify);
}

/// What stands for parameters of `usage(...)` and `concurrency(...)` while a statement is described, before it has values: the columns of
/// their rows depend on none of these.
const SAMPLES: [&str; 4] = ["2000-01-01", "2000-01-02", "day", "UTC"];

/// A statement that can be planned without values. Its other parameters stay.
pub(super) fn sampled(mut statement: Statement) -> Statement {
    let is_placeholder = |expr: &Expr| matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_)));
    // Of an array whose elements are of no known type.
    _ = visit_expressions_mut(&mut statement, |expr| {
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr
            && is_placeholder(right)
            && let Ok(array) = value::constant(&Type::TEXT_ARRAY, false, Some(&Bytes::from_static(b"{1}")))
        {
            **right = array;
        }
        ControlFlow::<()>::Continue(())
    });
    struct Sample;
    impl VisitorMut for Sample {
        type Break = ();

        fn pre_visit_table_factor(&mut self, table: &mut TableFactor) -> ControlFlow<()> {
            let TableFactor::Table { name, args: Some(args), .. } = table else { return ControlFlow::Continue(()) };
            if !["usage", "concurrency"].contains(&bare(name).as_str()) {
                return ControlFlow::Continue(());
            }
            for (arg, sample) in args.args.iter_mut().zip(SAMPLES) {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)) = arg {
                    _ = visit_expressions_mut(arg, |expr| {
                        if matches!(expr, Expr::Value(value) if matches!(value.value, Value::Placeholder(_))) {
                            *expr = Expr::value(Value::SingleQuotedString(sample.to_owned()));
                        }
                        ControlFlow::<()>::Continue(())
                    });
                }
            }
            ControlFlow::Continue(())
        }
    }
    _ = VisitMut::visit(&mut statement, &mut Sample);
    statement
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parse(sql: &str) -> Statement {
        Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0)
    }

    #[test]
    fn queries_about_the_catalogue_alone_are_told_apart() {
        for sql in [
            "SELECT * FROM pg_class",
            "SELECT * FROM pg_catalog.pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
            "WITH x AS (SELECT * FROM pg_type) SELECT * FROM x",
            "SELECT * FROM information_schema.tables",
            "SELECT count(*) FROM pg_stat_activity",
        ] {
            assert!(is_about_catalogue(&parse(sql)), "{sql}");
        }
        for sql in
            ["SELECT 1", "SELECT * FROM accounts", "SELECT * FROM pg_class, accounts", "SELECT * FROM (SELECT * FROM usage('a', 'b')) x"]
        {
            assert!(!is_about_catalogue(&parse(sql)), "{sql}");
        }
    }

    #[test]
    fn nothing_of_a_query_about_usage_becomes_null() {
        let sql = "SELECT account_id, (SELECT count(*) FROM accounts b WHERE b.account_id = a.account_id) FROM accounts AS a";
        assert_eq!(rewritten(parse(sql), Some(sql)).to_string(), sql);
    }

    #[test]
    fn membership_in_an_array_keeps_its_meaning() {
        let sql = "SELECT * FROM accounts WHERE account_id = ANY($1)";
        assert_eq!(rewritten(parse(sql), None).to_string(), sql);
        let sql = "SELECT * FROM accounts WHERE name = ANY('{a,\"b,c\"}')";
        assert_eq!(rewritten(parse(sql), None).to_string(), "SELECT * FROM accounts WHERE name = ANY(ARRAY['a', 'b,c'])");
    }

    #[test]
    fn the_search_path_is_the_one_schema_that_is_looked_in_and_other_queries_stay() {
        let path = "string_to_array(current_setting('search_path'), ',')";
        let asked = |of: &str| {
            format!("SELECT x FROM y WHERE x IN (SELECT trim(s[i]) FROM generate_series(1, array_upper({of}, 1)) AS i, {of} AS s)")
        };
        assert_eq!(rewritten(parse(&asked(path)), None).to_string(), "SELECT x FROM y WHERE x IN ('public')");
        let other = asked("string_to_array(z, ',')");
        assert_eq!(rewritten(parse(&other), None).to_string(), parse(&other).to_string());
    }

    #[test]
    fn functions_are_looked_for_by_their_names() {
        let sql = "SELECT typinput = 'pg_catalog.array_in'::regproc FROM pg_catalog.pg_type";
        assert_eq!(rewritten(parse(sql), Some(sql)).to_string(), "SELECT typinput = 'array_in' FROM pg_catalog.pg_type");
    }

    #[test]
    fn what_the_catalogue_lacks_is_null_there_and_nowhere_else() {
        let catalogue = "SELECT format('%s', c.oid), c.colliculocale FROM pg_catalog.pg_collation AS c WHERE c.tableoid = 1";
        let told = rewritten(parse(catalogue), None).to_string();
        assert_eq!(told, "SELECT NULL, c.colllocale FROM pg_catalog.pg_collation AS c WHERE NULL = 1");
        let keys = "SELECT (information_schema._pg_expandarray(i.indkey)).n, k.conkey[1], (pg_catalog.current_schemas(true))[1] FROM pg_catalog.pg_index AS i, pg_catalog.pg_constraint AS k";
        let told = rewritten(parse(keys), None).to_string();
        assert!(told.starts_with("SELECT NULL, NULL, (current_schemas(true))[1] FROM"), "{told}");
        let lists = "SELECT 'd' = ANY(es.stxkind), n.nspname = ANY(current_schemas(true)) FROM pg_catalog.pg_statistic_ext AS es, pg_catalog.pg_namespace AS n";
        let told = rewritten(parse(lists), None).to_string();
        assert!(told.starts_with("SELECT false, ") && told.contains("current_schemas(true)"), "{told}");
        let usage = "SELECT format('%s', c.tableoid) FROM accounts AS c";
        assert_eq!(rewritten(parse(usage), None).to_string(), usage);
    }

    #[test]
    fn a_description_needs_no_values_of_table_functions() {
        let sql = "SELECT * FROM usage($1, $2::text) WHERE account_id = $3";
        let expected = "SELECT * FROM usage('2000-01-01', '2000-01-02'::TEXT) WHERE account_id = $3";
        assert_eq!(sampled(parse(sql)).to_string(), expected);
    }
}
