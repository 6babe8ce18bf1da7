//! Values of parameters, from the bytes of the protocol to constants of SQL.

use std::ops::ControlFlow;

use bytes::{Buf, Bytes};
use datafusion::sql::sqlparser::ast::{Array, Expr, Value, visit_expressions_mut};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use pgwire::api::Type;

use super::wrong::{Wrong, code};

/// Microseconds and days from 1970, where the times of others begin, to 2000, where those of the protocol do.
const EPOCH_MICROS: i64 = 946_684_800_000_000;
const EPOCH_DAYS: i64 = 10_957;

/// Reads a value of a type. `None` is null; what has no type is text.
///
/// # Errors
/// Where the bytes are no value of the type, or the type is not understood.
pub(super) fn constant(kind: &Type, is_binary: bool, bytes: Option<&Bytes>) -> Result<Expr, Wrong> {
    let Some(bytes) = bytes else { return Ok(null(kind)) };
    if let Some(element) = element_of(kind) {
        let values = if is_binary { binary_array(bytes.clone())? } else { text_array(text(bytes)?)? };
        let values = values.iter().map(|value| constant(&element, is_binary, value.as_ref())).collect::<Result<_, _>>()?;
        return Ok(Expr::Array(Array { elem: values, named: true }));
    }
    let text = if is_binary { binary_text(kind, bytes.clone())? } else { text(bytes)?.to_owned() };
    typed(kind, text)
}

fn text(bytes: &Bytes) -> Result<&str, Wrong> {
    std::str::from_utf8(bytes).map_err(|_| Wrong::new("22021", "a parameter is not UTF-8"))
}

fn wrong(kind: &Type) -> Wrong {
    Wrong::new("22P03", format!("a parameter is no value of type {}", kind.name()))
}

/// The type of the elements of an array.
fn element_of(kind: &Type) -> Option<Type> {
    Some(match *kind {
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY | Type::NAME_ARRAY | Type::CHAR_ARRAY => Type::TEXT,
        Type::BOOL_ARRAY => Type::BOOL,
        Type::INT2_ARRAY => Type::INT2,
        Type::INT4_ARRAY => Type::INT4,
        Type::INT8_ARRAY => Type::INT8,
        Type::OID_ARRAY => Type::OID,
        Type::FLOAT4_ARRAY => Type::FLOAT4,
        Type::FLOAT8_ARRAY => Type::FLOAT8,
        Type::NUMERIC_ARRAY => Type::NUMERIC,
        Type::DATE_ARRAY => Type::DATE,
        Type::TIMESTAMP_ARRAY => Type::TIMESTAMP,
        Type::TIMESTAMPTZ_ARRAY => Type::TIMESTAMPTZ,
        _ => return None,
    })
}

/// The name in SQL of a type whose values are written as texts and cast.
fn cast_name(kind: &Type) -> Option<&'static str> {
    Some(match *kind {
        Type::BOOL => "BOOLEAN",
        // As constants without a type are: functions that want whole numbers take these alone.
        Type::INT2 | Type::INT4 | Type::INT8 | Type::OID => "BIGINT",
        Type::FLOAT4 => "REAL",
        Type::FLOAT8 => "DOUBLE PRECISION",
        Type::DATE => "DATE",
        Type::TIME => "TIME",
        Type::TIMESTAMP => "TIMESTAMP",
        Type::TIMESTAMPTZ => "TIMESTAMP WITH TIME ZONE",
        Type::INTERVAL => "INTERVAL",
        _ => return None,
    })
}

fn null(kind: &Type) -> Expr {
    let null = Expr::value(Value::Null);
    cast_name(kind).map_or(null.clone(), |name| cast(name, null))
}

fn typed(kind: &Type, text: String) -> Result<Expr, Wrong> {
    let quoted = |text: String| Expr::value(Value::SingleQuotedString(text));
    if *kind == Type::NUMERIC {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) && text.parse::<f64>().is_ok();
        if !is_number {
            return Err(wrong(kind));
        }
        if text.parse::<i64>().is_ok() {
            return Ok(cast("BIGINT", quoted(text)));
        }
        let decimals = text.split_once('.').map_or(0, |(_, decimals)| decimals.len()).min(DECIMALS_MAX);
        return Ok(cast(&format!("DECIMAL(38, {decimals})"), quoted(text)));
    }
    Ok(match cast_name(kind) {
        Some("BOOLEAN") => match text.trim().to_ascii_lowercase().as_str() {
            "t" | "true" | "on" | "yes" | "1" => Expr::value(Value::Boolean(true)),
            "f" | "false" | "off" | "no" | "0" => Expr::value(Value::Boolean(false)),
            _ => return Err(wrong(kind)),
        },
        Some("BIGINT") => {
            let number: i64 = text.trim().parse().map_err(|_| wrong(kind))?;
            Expr::value(Value::Number(number.to_string(), false))
        }
        Some(name) => cast(name, quoted(text)),
        None => quoted(text),
    })
}

/// Digits after the point of a decimal number, at most.
const DECIMALS_MAX: usize = 38;

/// `CAST(value AS name)`. The name is one of ours, the value becomes no text in between.
fn cast(name: &str, value: Expr) -> Expr {
    let written = format!("CAST($1 AS {name})");
    let parsed = Parser::new(&PostgreSqlDialect {}).try_with_sql(&written).and_then(|mut parser| parser.parse_expr());
    let Ok(mut expr) = parsed else { return value };
    _ = visit_expressions_mut(&mut expr, |inner| {
        if matches!(inner, Expr::Value(placeholder) if matches!(placeholder.value, Value::Placeholder(_))) {
            *inner = value.clone();
        }
        ControlFlow::<()>::Continue(())
    });
    expr
}

/// A value in the binary format as the text that it is in the other.
fn binary_text(kind: &Type, mut bytes: Bytes) -> Result<String, Wrong> {
    let wrong = || wrong(kind);
    let moment = |micros: i64| {
        let micros = micros.checked_add(EPOCH_MICROS).ok_or_else(wrong)?;
        jiff::Timestamp::from_microsecond(micros).map_err(|_| wrong())
    };
    let text = match *kind {
        Type::BOOL => bytes.try_get_u8().map(|is| (is != 0).to_string()).map_err(|_| wrong())?,
        Type::INT2 => bytes.try_get_i16().map_err(|_| wrong())?.to_string(),
        Type::INT4 => bytes.try_get_i32().map_err(|_| wrong())?.to_string(),
        Type::INT8 => bytes.try_get_i64().map_err(|_| wrong())?.to_string(),
        Type::OID => bytes.try_get_u32().map_err(|_| wrong())?.to_string(),
        Type::FLOAT4 => bytes.try_get_f32().map_err(|_| wrong())?.to_string(),
        Type::FLOAT8 => bytes.try_get_f64().map_err(|_| wrong())?.to_string(),
        Type::NUMERIC => binary_numeric(&mut bytes).ok_or_else(wrong)?,
        Type::DATE => {
            let days = i64::from(bytes.try_get_i32().map_err(|_| wrong())?) + EPOCH_DAYS;
            let seconds = days.checked_mul(86_400).ok_or_else(wrong)?;
            let day = jiff::Timestamp::from_second(seconds).map_err(|_| wrong())?;
            jiff::tz::TimeZone::UTC.to_datetime(day).date().to_string()
        }
        Type::TIMESTAMP => {
            let moment = moment(bytes.try_get_i64().map_err(|_| wrong())?)?;
            jiff::tz::TimeZone::UTC.to_datetime(moment).to_string()
        }
        Type::TIMESTAMPTZ => moment(bytes.try_get_i64().map_err(|_| wrong())?)?.to_string(),
        Type::UUID => {
            let hex = format!("{:032x}", bytes.try_get_u128().map_err(|_| wrong())?);
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON | Type::CHAR => {
            let text = text(&bytes)?.to_owned();
            bytes.clear();
            text
        }
        _ => {
            let message = format!("a parameter of type {} cannot be in the binary format; send it as text", kind.name());
            return Err(Wrong::new(code::NOT_SUPPORTED, message));
        }
    };
    if bytes.is_empty() { Ok(text) } else { Err(wrong()) }
}

/// A number in digits to the base 10,000.
fn binary_numeric(bytes: &mut Bytes) -> Option<String> {
    const NEGATIVE: u16 = 0x4000;
    let count = bytes.try_get_u16().ok()?;
    let weight = bytes.try_get_i16().ok()?;
    let sign = bytes.try_get_u16().ok()?;
    let scale = usize::from(bytes.try_get_u16().ok()?);
    // Neither NaN nor infinity is a number here.
    if sign != 0 && sign != NEGATIVE || scale > 100 || !(-30..=30).contains(&weight) {
        return None;
    }
    let digits = (0..count).map(|_| bytes.try_get_u16().ok().filter(|digit| *digit < 10_000)).collect::<Option<Vec<_>>>()?;
    let digit = |at: i32| usize::try_from(i32::from(weight) - at).ok().and_then(|index| digits.get(index)).copied().unwrap_or(0);
    let whole: String = (0..=i32::from(weight).max(0)).rev().map(|at| format!("{:04}", digit(at))).collect();
    let whole = whole.trim_start_matches('0');
    let mut text = format!("{}{}", if sign == NEGATIVE { "-" } else { "" }, if whole.is_empty() { "0" } else { whole });
    if scale > 0 {
        let groups = i32::try_from(scale.div_ceil(4)).ok()?;
        let decimals: String = (1..=groups).map(|at| format!("{:04}", digit(-at))).collect();
        text.push('.');
        text.push_str(&decimals[..scale]);
    }
    Some(text)
}

/// The elements of an array of one dimension in the binary format.
fn binary_array(mut bytes: Bytes) -> Result<Vec<Option<Bytes>>, Wrong> {
    let wrong = || Wrong::new("22P03", "a parameter is no array of one dimension");
    let mut next = || bytes.try_get_i32().map_err(|_| wrong());
    let (dimensions, _has_null, _element) = (next()?, next()?, next()?);
    if dimensions == 0 {
        return Ok(Vec::new());
    }
    let (length, _lower) = (next()?, next()?);
    let length = usize::try_from(length).ok().filter(|_| dimensions == 1).ok_or_else(wrong)?;
    if length > bytes.len() / 4 {
        return Err(wrong());
    }
    let element = |_| match usize::try_from(bytes.try_get_i32().map_err(|_| wrong())?) {
        Err(_) => Ok(None),
        Ok(length) if length > bytes.len() => Err(wrong()),
        Ok(length) => Ok(Some(bytes.split_to(length))),
    };
    (0..length).map(element).collect()
}

/// The elements of an array of one dimension as text: `{a,"b c",NULL}`.
fn text_array(text: &str) -> Result<Vec<Option<Bytes>>, Wrong> {
    let wrong = || Wrong::new("22P02", "a parameter is no array of one dimension: it is written {a,b}");
    let inner = text.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).ok_or_else(wrong)?;
    if inner.trim().is_empty() {
        return Ok(Vec::new());
    }
    let (mut elements, mut element, mut was_quoted) = (Vec::new(), String::new(), false);
    let (mut is_quoted, mut is_escaped) = (false, false);
    let finish = |element: &mut String, was_quoted: &mut bool| {
        let element = std::mem::take(element);
        let element = if std::mem::take(was_quoted) { element } else { element.trim().to_owned() };
        Bytes::from(element)
    };
    for character in inner.chars() {
        match character {
            _ if is_escaped => {
                element.push(character);
                is_escaped = false;
            }
            '\\' => is_escaped = true,
            '"' => {
                is_quoted = !is_quoted;
                was_quoted = true;
            }
            ',' if !is_quoted => {
                let is_null = !was_quoted && element.trim().eq_ignore_ascii_case("null");
                let finished = finish(&mut element, &mut was_quoted);
                elements.push((!is_null).then_some(finished));
            }
            '{' | '}' if !is_quoted => return Err(wrong()),
            _ => element.push(character),
        }
    }
    if is_quoted || is_escaped {
        return Err(wrong());
    }
    let is_null = !was_quoted && element.trim().eq_ignore_ascii_case("null");
    let finished = finish(&mut element, &mut was_quoted);
    elements.push((!is_null).then_some(finished));
    Ok(elements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binary(kind: &Type, bytes: &'static [u8]) -> String {
        constant(kind, true, Some(&Bytes::from_static(bytes))).map_or_else(|wrong| wrong.message, |expr| expr.to_string())
    }

    fn as_text(kind: &Type, text: &'static str) -> String {
        constant(kind, false, Some(&Bytes::from_static(text.as_bytes()))).map_or_else(|wrong| wrong.message, |expr| expr.to_string())
    }

    #[test]
    fn values_are_read_in_both_formats() {
        assert_eq!(as_text(&Type::TEXT, "it's"), "'it''s'");
        assert_eq!(as_text(&Type::UNKNOWN, "1"), "'1'");
        assert_eq!(as_text(&Type::INT8, "-5"), "-5");
        assert_eq!(as_text(&Type::BOOL, "t"), "true");
        assert_eq!(as_text(&Type::INT4, "7"), "7");
        assert_eq!(binary(&Type::INT2, b"\xff\xfe"), "-2");
        assert_eq!(binary(&Type::INT8, b"\0\0\0\0\0\0\0\x07"), "7");
        assert_eq!(binary(&Type::BOOL, b"\x01"), "true");
        assert_eq!(binary(&Type::FLOAT8, b"\x3f\xf8\0\0\0\0\0\0"), "CAST('1.5' AS DOUBLE PRECISION)");
        assert_eq!(binary(&Type::DATE, b"\0\0\0\0"), "CAST('2000-01-01' AS DATE)");
        assert_eq!(binary(&Type::TIMESTAMP, b"\0\0\0\0\0\0\0\0"), "CAST('2000-01-01T00:00:00' AS TIMESTAMP)");
        assert_eq!(binary(&Type::TIMESTAMPTZ, b"\0\0\0\0\0\x0f\x42\x40"), "CAST('2000-01-01T00:00:01Z' AS TIMESTAMP WITH TIME ZONE)");
        assert_eq!(binary(&Type::UUID, &[0x11; 16]), "'11111111-1111-1111-1111-111111111111'");
    }

    #[test]
    fn decimal_numbers_keep_all_their_digits() {
        assert_eq!(binary(&Type::NUMERIC, b"\0\x03\0\x01\x40\0\0\x03\0\x01\x09\x29\x1a\x7c"), "CAST('-12345.678' AS DECIMAL(38,3))");
        assert_eq!(binary(&Type::NUMERIC, b"\0\x01\xff\xff\0\0\0\x02\x04\xb0"), "CAST('0.12' AS DECIMAL(38,2))");
        assert_eq!(binary(&Type::NUMERIC, b"\0\0\0\0\0\0\0\0"), "CAST('0' AS BIGINT)");
        assert_eq!(as_text(&Type::NUMERIC, "1.50"), "CAST('1.50' AS DECIMAL(38,2))");
        assert!(as_text(&Type::NUMERIC, "NaN").contains("no value"));
    }

    #[test]
    fn arrays_are_lists_of_constants() {
        assert_eq!(as_text(&Type::TEXT_ARRAY, r#"{a,"b, \"c\"",NULL,"null"}"#), r#"ARRAY['a', 'b, "c"', NULL, 'null']"#);
        assert_eq!(as_text(&Type::INT8_ARRAY, "{1,2}"), "ARRAY[1, 2]");
        assert_eq!(as_text(&Type::TEXT_ARRAY, "{}"), "ARRAY[]");
        let array = b"\0\0\0\x01\0\0\0\0\0\0\0\x19\0\0\0\x02\0\0\0\x01\0\0\0\x01a\xff\xff\xff\xff";
        assert_eq!(binary(&Type::TEXT_ARRAY, array), "ARRAY['a', NULL]");
        assert!(as_text(&Type::TEXT_ARRAY, "{{a},{b}}").contains("one dimension"));
        assert!(binary(&Type::TEXT_ARRAY, b"\0\0\0\x01\0\0\0\0\0\0\0\x19\x7f\xff\xff\xff\0\0\0\x01").contains("one dimension"));
    }

    #[test]
    fn null_has_its_type() {
        assert_eq!(constant(&Type::INT4, true, None).unwrap().to_string(), "CAST(NULL AS BIGINT)");
        assert_eq!(constant(&Type::TEXT, true, None).unwrap().to_string(), "NULL");
    }

    #[test]
    fn bytes_that_are_no_value_are_refused() {
        for kind in [Type::INT2, Type::INT4, Type::INT8, Type::FLOAT8, Type::NUMERIC, Type::DATE, Type::TIMESTAMPTZ, Type::UUID] {
            assert!(constant(&kind, true, Some(&Bytes::from_static(b"\x01"))).is_err(), "{kind}");
        }
        assert!(constant(&Type::TIMESTAMPTZ, true, Some(&Bytes::from_static(&[0x7f; 8]))).is_err());
        assert!(constant(&Type::INT8, false, Some(&Bytes::from_static(b"1; DROP"))).is_err());
    }
}
