//! Parameters of SQL: `$1`, `$2`, ... Values take their places in the parsed statement before it is planned, never in its text: so they
//! may stand wherever a constant may, also in `usage(...)`, and no value can become SQL.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Statement as SqlStatement, Value, visit_expressions, visit_expressions_mut};

use crate::error::QueryError;

/// The number of a placeholder: 1 for `$1`.
fn number(expr: &Expr) -> Option<Result<usize, &str>> {
    let Expr::Value(value) = expr else { return None };
    let Value::Placeholder(name) = &value.value else { return None };
    let number = name.strip_prefix('$').and_then(|number| number.parse().ok()).filter(|number| *number > 0);
    Some(number.ok_or(name.as_str()))
}

/// How many parameters a statement takes: the highest of its numbers.
pub(crate) fn count(statement: &SqlStatement) -> usize {
    let mut highest = 0;
    _ = visit_expressions(statement, |expr| {
        if let Some(Ok(number)) = number(expr) {
            highest = highest.max(number);
        }
        ControlFlow::<()>::Continue(())
    });
    highest
}

/// Puts values in the places of a statement's parameters.
///
/// # Errors
/// [`QueryError::Planning`] where there are fewer values than parameters, or more.
pub(crate) fn bind(statement: &mut SqlStatement, values: &[Expr]) -> Result<(), QueryError> {
    let taken = count(statement);
    if taken != values.len() {
        let message = format!("the query takes {taken} parameters ($1, $2, ...), and {} are given", values.len());
        return Err(QueryError::Planning { message });
    }
    let bound = visit_expressions_mut(statement, |expr| {
        match number(expr) {
            None => {}
            Some(Err(name)) => return ControlFlow::Break(name.to_owned()),
            Some(Ok(number)) => match values.get(number - 1) {
                Some(value) => *expr = value.clone(),
                None => return ControlFlow::Break(format!("${number}")),
            },
        }
        ControlFlow::Continue(())
    });
    match bound {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(name) => Err(QueryError::Planning { message: format!("there is no parameter {name}; they are $1, $2, ...") }),
    }
}

/// The same for a statement of DataFusion's own parser.
pub(crate) fn bind_parsed(statement: &mut Statement, values: &[Expr]) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(statement) => bind(statement, values),
        Statement::Explain(explained) => bind_parsed(&mut explained.statement, values),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn parse(sql: &str) -> SqlStatement {
        Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0)
    }

    fn text(text: &str) -> Expr {
        Expr::value(Value::SingleQuotedString(text.to_owned()))
    }

    #[test]
    fn values_take_the_places_of_their_numbers_wherever_these_are() {
        let mut statement = parse("SELECT a FROM usage($2, 'x') WHERE b IN ($1, (SELECT $2)) LIMIT $3");
        assert_eq!(count(&statement), 3);
        bind(&mut statement, &[text("one"), text("two"), Expr::value(Value::Number("3".into(), false))]).unwrap();
        assert_eq!(statement.to_string(), "SELECT a FROM usage('two', 'x') WHERE b IN ('one', (SELECT 'two')) LIMIT 3");
    }

    #[test]
    fn a_value_stays_a_value_whatever_is_in_it() {
        let mut statement = parse("SELECT $1");
        bind(&mut statement, &[text("'; DROP TABLE a; --")]).unwrap();
        assert_eq!(statement.to_string(), "SELECT '''; DROP TABLE a; --'");
    }

    #[test]
    fn a_wrong_number_of_values_is_told() {
        for values in [vec![], vec![text("a"), text("b")]] {
            let error = bind(&mut parse("SELECT $1"), &values).unwrap_err();
            assert!(error.to_string().contains("takes 1 parameters"), "{error}");
        }
    }
}
