//! A chart of level bars, one for each label.

use super::{ASCII_FILL, Fill, Glyphs, Style, cell, eighths, grouped};

/// Between a label and its bar, and between the bar and its number.
const GAP: &str = "  ";
/// Columns of a share, with the gap before it: `   100 %`.
const SHARE_COLUMNS: usize = 8;
/// The shortest bar beside which a share is shown.
const BAR_COLUMNS_MIN: usize = 16;

const RIGHTWARDS: Fill = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];

/// One level bar for each label, with its number and, where there is room, its share of all.
pub fn by_label(title: &str, unit: &str, bars: &[(String, u64)], style: Style) -> String {
    let Some(highest) = bars.iter().map(|(_, value)| *value).max() else { return style.nothing(title) };
    let total = bars.iter().map(|(_, value)| u128::from(*value)).sum();
    let numbers: Vec<String> = bars.iter().map(|(_, value)| format!("{} {unit}", grouped(*value))).collect();
    let widest = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.chars().count()).max().unwrap_or(0);
    let number_width = widest(&mut numbers.iter());
    let label_width = widest(&mut bars.iter().map(|(label, _)| label)).min(style.width() * 2 / 5);
    let room = style.width().saturating_sub(label_width + number_width + 2 * GAP.len());
    let share_width = if room >= BAR_COLUMNS_MIN + SHARE_COLUMNS { SHARE_COLUMNS } else { 0 };
    let room = room - share_width;
    let fill = if style.glyphs == Glyphs::Blocks { RIGHTWARDS } else { ASCII_FILL };

    let mut lines = vec![style.title(title)];
    for ((label, value), number) in bars.iter().zip(&numbers) {
        let filled = eighths(*value, u128::from(highest), room);
        let bar: String = (0..room).map(|place| cell(fill, filled, place)).collect();
        let share = if share_width > 0 { format!("{:>share_width$}", share(*value, total)) } else { String::new() };
        let label = style.cut(label, label_width);
        lines.push(format!("{label:<label_width$}{GAP}{}{GAP}{number:>number_width$}{}", style.bar(&bar), style.faint(&share)));
    }
    lines.join("\n") + "\n"
}

/// `37 %`; what is less than half a percent, and not nothing, is `<1 %`.
fn share(value: u64, total: u128) -> String {
    match (u128::from(value) * 100 + total / 2) / total.max(1) {
        0 if value > 0 => "<1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::plot::tests::{PLAIN, lines};

    fn accounts() -> [(String, u64); 4] {
        let account = |name: &str, hours| (name.to_owned(), hours);
        [
            account("012345678901 production", 40_099),
            account("111122223333 development", 7_576),
            account("777788889999 sandbox", 99),
            account("444455556666 analytics", 0),
        ]
    }

    #[test]
    fn accounts_are_bars_with_their_hours_and_shares() {
        let expected = [
            "Instance-hours by account",
            "012345678901 production   ██████████████████████████  40,099 h    84 %",
            "111122223333 development  ████▉                        7,576 h    16 %",
            "777788889999 sandbox      ▏                               99 h    <1 %",
            "444455556666 analytics                                     0 h     0 %",
        ];
        let chart = by_label("Instance-hours by account", "h", &accounts(), Style { columns: 70, ..PLAIN });
        assert_eq!(lines(&chart), expected, "\n{chart}");
    }

    #[test]
    fn in_a_narrow_terminal_names_are_cut_and_shares_left_out() {
        let expected = [
            "Instance-hours by account",
            "012345678901 pr~  ############  40,099 h",
            "111122223333 de~  ##.            7,576 h",
            "777788889999 sa~  .                 99 h",
            "444455556666 an~                     0 h",
        ];
        let chart = by_label("Instance-hours by account", "h", &accounts(), Style { glyphs: Glyphs::Ascii, ..PLAIN });
        assert_eq!(lines(&chart), expected, "\n{chart}");
    }

    #[test]
    fn no_labels_are_no_chart_and_the_highest_values_are_bars() {
        assert_eq!(by_label("Hours", "h", &[], PLAIN), "Hours\nnothing to show\n");
        let most = [("a".to_owned(), u64::MAX), ("b".to_owned(), u64::MAX)];
        assert_eq!(
            by_label("Hours", "h", &most, PLAIN),
            "Hours\na  ███████  18,446,744,073,709,551,615 h\nb  ███████  18,446,744,073,709,551,615 h\n"
        );
    }
}
