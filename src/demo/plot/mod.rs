//! Charts for a terminal. Pure text: nothing is known of fleets or reports. No line is longer than the style's columns, unless the
//! numbers alone are.

mod by_day;
mod by_label;

pub use by_day::by_day;
pub use by_label::by_label;

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// The terminal's width in characters; less than [`COLUMNS_MIN`] is taken for that.
    pub columns: usize,
    /// What it is drawn with.
    pub glyphs: Glyphs,
    /// Whether colours are set with ANSI sequences.
    pub colour: bool,
}

/// What a chart is drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// Unicode's block elements, in eighths of a character.
    Blocks,
    /// ASCII only.
    Ascii,
}

/// The narrowest chart.
pub const COLUMNS_MIN: usize = 24;

/// Characters of which none up to eight eighths are filled.
type Fill = [char; 9];

const ASCII_FILL: Fill = [' ', '.', '.', '.', ':', ':', ':', ':', '#'];

impl Style {
    fn width(self) -> usize {
        self.columns.max(COLUMNS_MIN)
    }

    fn paint(self, ansi: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{ansi}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn title(self, text: &str) -> String {
        self.paint("1", &self.cut(text, self.width()))
    }

    fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn bar(self, text: &str) -> String {
        self.paint("36", text)
    }

    /// A chart without anything in it.
    fn nothing(self, title: &str) -> String {
        format!("{}\n{}\n", self.title(title), self.faint("nothing to show"))
    }

    /// A text of at most so many characters.
    fn cut(self, text: &str, columns: usize) -> String {
        if text.chars().count() <= columns {
            return text.to_owned();
        }
        let mark = if self.glyphs == Glyphs::Blocks { '…' } else { '~' };
        text.chars().take(columns.saturating_sub(1)).chain([mark]).collect()
    }
}

/// How many eighths of `cells` characters a value fills. What is not nothing is seen.
fn eighths(value: u64, full: u128, cells: usize) -> usize {
    let full = full.max(1);
    let filled = (u128::from(value) * 8 * cells as u128 + full / 2) / full;
    filled.max(u128::from(value > 0)) as usize
}

/// The character at a place from the bar's foot on, of a bar of so many eighths.
fn cell(fill: Fill, filled: usize, place: usize) -> char {
    fill[filled.saturating_sub(8 * place).min(8)]
}

/// `1,234,567`.
fn grouped(number: impl Into<u128>) -> String {
    let digits = number.into().to_string();
    let with_comma = |(at, digit): (usize, char)| [(at > 0 && (digits.len() - at).is_multiple_of(3)).then_some(','), Some(digit)];
    digits.chars().enumerate().flat_map(with_comma).flatten().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cloudigrade_schemas::UtcSecond;

    use super::*;

    pub(super) const PLAIN: Style = Style { columns: 40, glyphs: Glyphs::Blocks, colour: false };

    pub(super) fn days(values: &[u64]) -> BTreeMap<UtcSecond, u64> {
        let first = UtcSecond::parse_prefix("2024-02-27T00:00:00Z").unwrap().0;
        values.iter().zip(0..).map(|(value, n)| (UtcSecond(first + n * 86_400), *value)).collect()
    }

    pub(super) fn lines(text: &str) -> Vec<&str> {
        assert!(text.ends_with('\n'));
        text.lines().collect()
    }

    #[test]
    fn colour_adds_sequences_and_nothing_else() {
        let charts = |style| by_day("Running", &days(&[3, 10, 8]), style) + &by_label("Hours", "h", &[("a".into(), 7)], style);
        let mut coloured = charts(Style { colour: true, ..PLAIN });
        assert!(coloured.contains("\x1b[36m███"));
        for sequence in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m"] {
            coloured = coloured.replace(sequence, "");
        }
        assert_eq!(coloured, charts(PLAIN));
    }

    #[test]
    fn no_line_is_wider_than_the_terminal_whatever_is_drawn() {
        for columns in [0, 24, 25, 33, 40, 79, 80, 132, 300] {
            for (count, highest) in [(1, 0), (1, 1), (3, 9), (31, 137), (59, 1), (90, 99_999), (400, 1_000_000)] {
                let values: Vec<u64> = (0..count).map(|n| highest * (n + 1) / count).collect();
                let bars: Vec<_> = values.iter().map(|value| (format!("account number {value}"), *value)).collect();
                for glyphs in [Glyphs::Blocks, Glyphs::Ascii] {
                    let style = Style { columns, glyphs, colour: false };
                    let charts =
                        by_day("Running at once, by day", &days(&values), style) + &by_label("Hours by account", "h", &bars, style);
                    assert!(glyphs == Glyphs::Blocks || charts.is_ascii());
                    for line in charts.lines() {
                        assert!(line.chars().count() <= columns.max(COLUMNS_MIN), "{columns} columns:\n{line}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_are_grouped_in_threes() {
        let grouped_of = |number: u64| grouped(number);
        assert_eq!([0, 999, 1_000, 123_456, 1_234_567].map(grouped_of), ["0", "999", "1,000", "123,456", "1,234,567"]);
    }
}
