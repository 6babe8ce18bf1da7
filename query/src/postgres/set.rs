//! SET, in all its spellings.

use datafusion::sql::sqlparser::ast::{ContextModifier, Expr, ObjectName, Set, UnaryOperator, Value, ValueWithSpan};

use super::statement::Command;
use super::wrong::{Wrong, code};

/// A name as settings are looked for.
pub(super) fn lowered(name: &ObjectName) -> String {
    name.to_string().replace('"', "").to_lowercase()
}

/// What SET sets.
pub(super) fn setting(set: Set) -> Result<Command, Wrong> {
    let of = |name: &str, value: Option<String>, is_local| Command::Set { name: name.to_owned(), value, is_local };
    match set {
        Set::SingleAssignment { scope, hivevar: false, variable, values } => {
            let is_local = matches!(scope, Some(ContextModifier::Local));
            let values = values.iter().map(value).collect::<Result<Vec<_>, _>>()?;
            let name = lowered(&variable);
            match values.as_slice() {
                [Some(_), ..] => {
                    let listed: Vec<String> = values.into_iter().flatten().collect();
                    Ok(of(&name, Some(listed.join(", ")), is_local))
                }
                _ => Ok(of(&name, None, is_local)),
            }
        }
        Set::SetTimeZone { local, value: zone } => {
            let zone = value(&zone)?.filter(|zone| !zone.eq_ignore_ascii_case("local"));
            Ok(of("timezone", zone, local))
        }
        Set::SetNames { charset_name, .. } => Ok(of("client_encoding", Some(charset_name.value), false)),
        Set::SetNamesDefault {} => Ok(of("client_encoding", None, false)),
        // Whatever is asked for: each statement sees what is committed, and nothing is written.
        Set::SetTransaction { .. } => Ok(Command::Nothing("SET")),
        _ => Err(Wrong::new(code::NO_SUCH_SETTING, "this cannot be set here")),
    }
}

/// The text of a value; `None` for DEFAULT.
fn value(expr: &Expr) -> Result<Option<String>, Wrong> {
    let wrong = || Wrong::new(code::INVALID_PARAMETER, format!("{expr} is no value of a setting: it is a constant or a name"));
    match expr {
        Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("default") => Ok(None),
        Expr::Identifier(name) => Ok(Some(name.value.clone())),
        Expr::CompoundIdentifier(names) => Ok(Some(names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join("."))),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(value(expr)?.map(|number| format!("-{number}"))),
        Expr::Value(ValueWithSpan { value, .. }) => match value {
            Value::SingleQuotedString(text) | Value::DoubleQuotedString(text) | Value::EscapedStringLiteral(text) => Ok(Some(text.clone())),
            Value::Number(number, _) => Ok(Some(number.clone())),
            Value::Boolean(is) => Ok(Some(if *is { "on" } else { "off" }.to_owned())),
            _ => Err(wrong()),
        },
        Expr::Interval(interval) => value(&interval.value),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::statement::parse;
    use super::*;

    fn one(sql: &str) -> Command {
        parse(sql).unwrap().remove(0)
    }

    #[test]
    fn settings_are_read_in_all_their_spellings() {
        let set = |name: &str, value: Option<&str>, is_local| Command::Set { name: name.into(), value: value.map(Into::into), is_local };
        assert_eq!(one("SET statement_timeout = '5s'"), set("statement_timeout", Some("5s"), false));
        assert_eq!(one("SET LOCAL statement_timeout TO 500"), set("statement_timeout", Some("500"), true));
        assert_eq!(one("SET SESSION DateStyle = ISO, MDY"), set("datestyle", Some("ISO, MDY"), false));
        assert_eq!(one("SET search_path TO \"$user\", public"), set("search_path", Some("$user, public"), false));
        assert_eq!(one("SET TIME ZONE 'UTC'"), set("timezone", Some("UTC"), false));
        assert_eq!(one("SET x TO DEFAULT"), set("x", None, false));
        assert_eq!(one("SET extra_float_digits = -1"), set("extra_float_digits", Some("-1"), false));
        assert_eq!(one("RESET statement_timeout"), set("statement_timeout", None, false));
        assert_eq!(one("SHOW TRANSACTION ISOLATION LEVEL"), Command::Show(Some("transaction_isolation".into())));
        assert_eq!(one("SHOW server_version"), Command::Show(Some("server_version".into())));
        assert_eq!(one("DISCARD ALL"), Command::DiscardAll);
    }
}
