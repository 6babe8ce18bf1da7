//! A chart of upright bars, one for each day.

use std::collections::BTreeMap;

use cloudigrade_schemas::UtcSecond;

use super::{ASCII_FILL, Fill, Glyphs, Style, cell, eighths, grouped};
use crate::demo::calendar::date_text;

/// Rows, at most.
const ROWS_MAX: usize = 12;
/// Ticks above zero, at most.
const TICKS_MAX: u128 = 5;
/// A day's share of the width, at most: a short month does not become a wall.
const DAY_COLUMNS_MAX: usize = 4;

const UPWARDS: Fill = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// One upright bar for each day, with ticks and dates.
///
/// Where there are more days than columns, a bar stands for several days, and is as high as the highest of them.
pub fn by_day(title: &str, days: &BTreeMap<UtcSecond, u64>, style: Style) -> String {
    let Some(highest) = days.values().max() else { return style.nothing(title) };
    let scale = Scale::of(*highest);
    let margin = grouped(scale.top()).len() + 1;
    let room = style.width().saturating_sub(margin + 1).max(1);
    let days_per_bar = days.len().div_ceil(room);
    let in_order: Vec<_> = days.iter().map(|(day, value)| (*day, *value)).collect();
    let highest_of = |some: &[(UtcSecond, u64)]| Some((some.first()?.0, some.iter().map(|(_, value)| *value).max()?));
    let bars: Vec<_> = in_order.chunks(days_per_bar).filter_map(highest_of).collect();
    let slot = (room / bars.len()).clamp(1, DAY_COLUMNS_MAX);
    let chart = Chart { scale, bars, slot, margin, style };

    let mut lines = vec![style.title(title), style.faint(&notes(days, days_per_bar, style))];
    lines.extend((0..chart.scale.rows()).rev().map(|row| chart.row(row)));
    lines.extend(chart.foot());
    lines.join("\n") + "\n"
}

/// The extremes in words, as many as there is room for.
fn notes(days: &BTreeMap<UtcSecond, u64>, days_per_bar: usize, style: Style) -> String {
    let note = |what: &str, extreme: Option<(&UtcSecond, &u64)>| {
        extreme.map(|(day, value)| format!("{what} {} on {}", grouped(*value), date_text(*day)))
    };
    let several = (days_per_bar > 1).then(|| format!("{days_per_bar} days a bar"));
    // Of equal days the first one counts.
    let highest = note("highest", days.iter().rev().max_by_key(|(_, value)| **value));
    let lowest = note("lowest", days.iter().min_by_key(|(_, value)| **value));
    let mut notes: Vec<String> = [highest, several, lowest].into_iter().flatten().collect();
    while notes.len() > 1 && notes.join(", ").len() > style.width() {
        notes.pop();
    }
    style.cut(&notes.join(", "), style.width())
}

/// The upright axis: ticks at multiples of a round number. Its numbers are wider than the values, so that the top tick fits.
struct Scale {
    step: u128,
    ticks: u128,
    rows_per_tick: usize,
}

impl Scale {
    fn of(highest: u64) -> Self {
        let step = round_step(u128::from(highest));
        let ticks = u128::from(highest).div_ceil(step).max(1);
        Self { step, ticks, rows_per_tick: (ROWS_MAX / ticks as usize).clamp(2, 4) }
    }

    fn top(&self) -> u128 {
        self.step * self.ticks
    }

    fn rows(&self) -> usize {
        self.rows_per_tick * self.ticks as usize
    }

    /// The tick beside a row, counted from the bottom: a bar of its value fills the row.
    fn tick(&self, row: usize) -> Option<u128> {
        let above = row + 1;
        above.is_multiple_of(self.rows_per_tick).then(|| self.step * (above / self.rows_per_tick) as u128)
    }
}

/// The smallest of 1, 2, 5, 10, 20, ... of which few make up the highest value.
fn round_step(highest: u128) -> u128 {
    let mut power = 1;
    loop {
        for step in [power, 2 * power, 5 * power] {
            if highest.div_ceil(step) <= TICKS_MAX {
                return step;
            }
        }
        power *= 10;
    }
}

/// The lines of the axes: beside a tick, between ticks, at zero, along the bottom, and at a day that has a label.
struct Axes {
    tick: char,
    side: char,
    corner: char,
    along: char,
    mark: char,
}

impl Axes {
    fn of(style: Style) -> Self {
        match style.glyphs {
            Glyphs::Blocks => Self { tick: '┤', side: '│', corner: '└', along: '─', mark: '┬' },
            Glyphs::Ascii => Self { tick: '+', side: '|', corner: '+', along: '-', mark: '+' },
        }
    }
}

struct Chart {
    scale: Scale,
    /// The first day of each bar, and its value.
    bars: Vec<(UtcSecond, u64)>,
    /// The columns of a bar and the gap behind it.
    slot: usize,
    /// The columns of the ticks' numbers and the gap behind them.
    margin: usize,
    style: Style,
}

impl Chart {
    /// One row, counted from the bottom.
    fn row(&self, row: usize) -> String {
        let axes = Axes::of(self.style);
        let fill = if self.style.glyphs == Glyphs::Blocks { UPWARDS } else { ASCII_FILL };
        let thick = if self.slot > 1 { self.slot - 1 } else { 1 };
        let (number, line) = self.scale.tick(row).map_or((String::new(), axes.side), |tick| (grouped(tick), axes.tick));
        let mut cells = String::new();
        for (_, value) in &self.bars {
            let glyph = cell(fill, eighths(*value, self.scale.top(), self.scale.rows()), row);
            cells.extend(std::iter::repeat_n(glyph, thick));
            cells.extend(std::iter::repeat_n(' ', self.slot - thick));
        }
        let axis = self.style.faint(&format!("{number:>width$} {line}", width = self.margin - 1));
        match cells.trim_end() {
            "" => axis,
            cells => axis + &self.style.bar(cells),
        }
    }

    /// The level axis, and the dates below it.
    fn foot(&self) -> [String; 2] {
        let axes = Axes::of(self.style);
        let labels: Vec<String> = self.bars.iter().map(|(day, _)| short_date(*day)).collect();
        let widest = labels.iter().map(String::len).max().unwrap_or(0);
        let every = [1, 2, 7, 14, 28, 56].into_iter().find(|every| every * self.slot > widest).unwrap_or(112);
        let mut line = vec![axes.along; self.bars.len() * self.slot];
        let mut dates = String::new();
        for (n, label) in labels.iter().enumerate().step_by(every) {
            let at = n * self.slot;
            line[at] = axes.mark;
            if self.margin + 1 + at + label.len() <= self.style.width() {
                dates = format!("{dates:<at$}{label}");
            }
        }
        let line: String = line.into_iter().collect();
        [
            self.style.faint(&format!("{:>width$} {}{line}", 0, axes.corner, width = self.margin - 1)),
            self.style.faint(&format!("{:width$}{dates}", "", width = self.margin + 1)),
        ]
    }
}

/// `Mar 1`.
fn short_date(day: UtcSecond) -> String {
    let date = date_text(day);
    let month = MONTHS[(day.year_month().1 - 1).rem_euclid(12) as usize];
    format!("{month} {}", date[date.len() - 2..].trim_start_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::plot::tests::{PLAIN, days, lines};

    #[test]
    fn days_are_bars_beside_round_ticks_and_above_dates() {
        let chart = by_day("Running at once", &days(&[3, 10, 8, 0, 5, 1, 10, 9, 4]), Style { columns: 60, ..PLAIN });
        let expected = [
            "Running at once",
            "highest 10 on 2024-02-28, lowest 0 on 2024-03-01",
            "10 ┤    ███                 ███",
            "   │    ███                 ███ ███",
            " 8 ┤    ███ ███             ███ ███",
            "   │    ███ ███             ███ ███",
            " 6 ┤    ███ ███             ███ ███",
            "   │    ███ ███     ███     ███ ███",
            " 4 ┤    ███ ███     ███     ███ ███ ███",
            "   │███ ███ ███     ███     ███ ███ ███",
            " 2 ┤███ ███ ███     ███     ███ ███ ███",
            "   │███ ███ ███     ███ ███ ███ ███ ███",
            " 0 └┬───────┬───────┬───────┬───────┬───",
            "    Feb 27  Feb 29  Mar 2   Mar 4   Mar 6",
        ];
        assert_eq!(lines(&chart), expected, "\n{chart}");
    }

    #[test]
    fn in_a_narrow_terminal_a_month_has_a_column_a_day() {
        let month: Vec<u64> = (0..31).map(|n| if n % 7 < 5 { 120 + n } else { 65 }).collect();
        let chart = by_day("Instances running at once, highest of each day", &days(&month), PLAIN);
        let expected = [
            "Instances running at once, highest of e…",
            "highest 150 on 2024-03-28",
            "150 ┤                     ▂▃▄▄▅  ▇▇█",
            "    │       ▁▂▃▃▄  ▆▆▇██  █████  ███",
            "    │▅▅▆▇▇  █████  █████  █████  ███",
            "    │█████  █████  █████  █████  ███",
            "100 ┤█████  █████  █████  █████  ███",
            "    │█████  █████  █████  █████  ███",
            "    │█████▂▂█████▂▂█████▂▂█████▂▂███",
            "    │███████████████████████████████",
            " 50 ┤███████████████████████████████",
            "    │███████████████████████████████",
            "    │███████████████████████████████",
            "    │███████████████████████████████",
            "  0 └┬──────┬──────┬──────┬──────┬──",
            "     Feb 27 Mar 5  Mar 12 Mar 19 Mar 26",
        ];
        assert_eq!(lines(&chart), expected, "\n{chart}");
    }

    #[test]
    fn without_unicode_a_chart_is_ascii() {
        let chart = by_day("Running at once", &days(&[1, 7, 4]), Style { glyphs: Glyphs::Ascii, ..PLAIN });
        let expected = [
            "Running at once",
            "highest 7 on 2024-02-28",
            "8 +",
            "  |    :::",
            "  |    ###",
            "6 +    ###",
            "  |    ###",
            "  |    ###",
            "4 +    ### ###",
            "  |    ### ###",
            "  |    ### ###",
            "2 +    ### ###",
            "  |::: ### ###",
            "  |### ### ###",
            "0 ++-------+---",
            "   Feb 27  Feb 29",
        ];
        assert_eq!(lines(&chart), expected, "\n{chart}");
    }

    #[test]
    fn more_days_than_columns_share_bars() {
        let chart = by_day("A year", &days(&(0..366).collect::<Vec<_>>()), PLAIN);
        let expected = [
            "A year",
            "highest 365 on 2025-02-26, 11 days a bar",
            "400 ┤",
            "    │                              ▂▄▇█",
            "    │                           ▂▄▇████",
            "300 ┤                        ▂▄▇███████",
            "    │                     ▂▄▇██████████",
            "    │                  ▂▅▇█████████████",
            "200 ┤               ▂▅▇████████████████",
            "    │            ▂▅▇███████████████████",
            "    │         ▂▅▇██████████████████████",
            "100 ┤      ▂▅██████████████████████████",
            "    │   ▂▅█████████████████████████████",
            "    │▂▅████████████████████████████████",
            "  0 └┬──────┬──────┬──────┬──────┬─────",
            "     Feb 27 May 14 Jul 30 Oct 15 Dec 31",
        ];
        assert_eq!(lines(&chart), expected, "\n{chart}");
    }

    #[test]
    fn days_without_a_value_have_no_bar_and_no_days_no_chart() {
        assert_eq!(by_day("Running at once", &days(&[]), PLAIN), "Running at once\nnothing to show\n");
        let expected = ["Zero", "highest 0 on 2024-02-27", "1 ┤", "  │", "  │", "  │", "0 └┬───────", "   Feb 27"];
        assert_eq!(lines(&by_day("Zero", &days(&[0; 2]), PLAIN)), expected);
    }

    #[test]
    fn the_highest_value_there_is_has_a_tick_above_it() {
        assert!(by_day("Running at once", &days(&[u64::MAX, 1, 0]), PLAIN).contains("20,000,000,000,000,000,000 ┤▁▁▁\n"));
    }
}
