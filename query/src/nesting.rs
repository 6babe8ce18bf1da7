//! How deeply SQL nests. What is parsed is a tree that is walked by functions that call themselves; one that is too deep would end the
//! program, not the query. The parser bounds brackets, but not chains of operators: `1 + 1 + 1 + ...`.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::QueryError;
use crate::limits::SQL_NESTING_MAX;

/// Refuses SQL that nests too deeply.
///
/// # Errors
/// [`QueryError::Syntax`].
pub(crate) fn check(sql: &str) -> Result<(), QueryError> {
    // What is no token is no SQL: the parser tells of it.
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    if depth(&tokens) > SQL_NESTING_MAX {
        let message = format!("nested too deeply: more than {SQL_NESTING_MAX} operators follow each other; IN (...) takes long lists");
        return Err(QueryError::Syntax { message });
    }
    Ok(())
}

/// At most how deep the tree is that the tokens make: the operators before each, in its own brackets and in those around them, between
/// commas.
fn depth(tokens: &[Token]) -> usize {
    let (mut around, mut chain, mut deepest) = (Vec::new(), 0_usize, 0);
    let mut sum = 0_usize;
    for token in tokens {
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                around.push(chain);
                sum += chain + 1;
                chain = 0;
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                chain = around.pop().unwrap_or(0);
                sum = sum.saturating_sub(chain + 1);
            }
            Token::Comma | Token::SemiColon => chain = 0,
            Token::Word(word) => chain += usize::from(nests(word.keyword)),
            Token::Whitespace(_)
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::EscapedStringLiteral(_)
            | Token::Placeholder(_)
            | Token::Period
            | Token::EOF => {}
            _ => chain += 1,
        }
        deepest = deepest.max(sum + chain);
    }
    deepest
}

fn nests(keyword: Keyword) -> bool {
    use Keyword::{AND, BETWEEN, CASE, EXCEPT, EXPLAIN, ILIKE, IN, INTERSECT, IS, JOIN, LIKE, NOT, OR, SIMILAR, UNION, WHEN};
    [AND, BETWEEN, CASE, EXCEPT, EXPLAIN, ILIKE, IN, INTERSECT, IS, JOIN, LIKE, NOT, OR, SIMILAR, UNION, WHEN].contains(&keyword)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_chains_are_refused_and_long_lists_are_not() {
        let chain = |operator: &str, count: usize| format!("SELECT 1{}", format!(" {operator} 1").repeat(count));
        for operator in ["+", "OR", "||", "::int -", "UNION SELECT"] {
            assert!(check(&chain(operator, SQL_NESTING_MAX / 2)).is_ok(), "{operator}");
            assert!(check(&chain(operator, SQL_NESTING_MAX + 1)).is_err(), "{operator}");
        }
        assert!(check(&chain("NOT NOT NOT", SQL_NESTING_MAX)).is_err());
        assert!(check(&format!("SELECT {}1", "(1 + ".repeat(SQL_NESTING_MAX))).is_err());
        assert!(check(&format!("SELECT * FROM t WHERE a IN ({}1)", "1, ".repeat(100_000))).is_ok());
        assert!(check(&format!("SELECT {}1", "a + b, ".repeat(10_000))).is_ok());
    }
}
