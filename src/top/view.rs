//! Metrics to lines on a screen.

use std::collections::BTreeMap;
use std::time::Duration;

use cloudigrade_query::printable;
use indicatif::HumanCount;

use super::fetch::Fetched;
use super::samples::Samples;

/// Two looks at a server.
pub struct Look<'a> {
    /// Where it is.
    pub url: &'a str,
    /// What it says.
    pub now: &'a Fetched,
    /// What it said before, and how long ago that was.
    pub before: Option<(&'a Fetched, Duration)>,
}

/// The lines that say what it does.
pub fn lines(look: &Look<'_>) -> Vec<String> {
    let samples = &look.now.samples;
    let mut lines = vec![match &look.now.ready {
        Ok(()) => format!("{}  ready", look.url),
        Err(problems) => format!("{}  NOT READY: {}", look.url, problems.join("; ")),
    }];
    lines.extend([String::new(), "LAG".to_owned(), queue(samples), log(samples), events(samples)]);
    lines.extend([String::new(), format!("{:<28}{:>16}{:>12}{:>12}{:>12}", "TASK", "POSITION", "PER SECOND", "LAG", "PARTITIONS")]);
    let positions = Series::of(look, "cloudigrade_task_position", "task");
    let (behind, owned) = (samples.by("cloudigrade_log_lag_records", "task"), samples.by("cloudigrade_kafka_partitions", "task"));
    lines.extend(positions.rows.iter().map(|(task, at)| {
        let of = |found: &BTreeMap<String, f64>, absent: &str| found.get(task).map_or_else(|| absent.to_owned(), |n| count(*n));
        format!("{task:<28}{:>16}{:>12}{:>12}{:>12}", count(*at), positions.rate(task), of(&behind, "?"), of(&owned, "all"))
    }));
    lines.extend([String::new(), format!("{:<28}{:>16}{:>12}", "TOPIC", "OFFSETS", "PER SECOND")]);
    let topics = Series::of(look, "cloudigrade_topic_offsets", "topic");
    lines.extend(topics.rows.iter().map(|(topic, ends)| format!("{topic:<28}{:>16}{:>12}", count(*ends), topics.rate(topic))));
    lines.iter().map(|line| printable(line)).collect()
}

/// A metric by a label, now and before.
struct Series {
    rows: BTreeMap<String, f64>,
    before: BTreeMap<String, f64>,
    seconds: f64,
}

impl Series {
    fn of(look: &Look<'_>, name: &str, label: &str) -> Self {
        let before = look.before.map(|(before, ago)| (before.samples.by(name, label), ago.as_secs_f64()));
        let (before, seconds) = before.unwrap_or_default();
        Self { rows: look.now.samples.by(name, label), before, seconds }
    }

    /// How much it grows in a second.
    fn rate(&self, row: &str) -> String {
        match (self.rows.get(row), self.before.get(row)) {
            (Some(now), Some(before)) if self.seconds > 0.0 => format!("{:.1}", (now - before).max(0.0) / self.seconds),
            _ => "-".to_owned(),
        }
    }
}

fn count(n: f64) -> String {
    HumanCount(n.max(0.0) as u64).to_string()
}

fn queue(samples: &Samples) -> String {
    let messages = samples.by("cloudigrade_source_queue_messages", "state");
    let of = |state: &str| messages.get(state).filter(|n| !n.is_nan()).map_or_else(|| "?".to_owned(), |n| count(*n));
    if messages.is_empty() {
        return "  queue       none is read here".to_owned();
    }
    let oldest =
        samples.of("cloudigrade_source_oldest_message_seconds").map(|s| format!(", the oldest of the last ones {} old", seconds(s)));
    format!("  queue       {} messages wait, {} are in hand{}", of("waiting"), of("in_hand"), oldest.unwrap_or_default())
}

fn log(samples: &Samples) -> String {
    let behind: f64 = samples.by("cloudigrade_log_lag_records", "task").values().sum();
    format!("  log         {} records wait for tasks", count(behind))
}

fn events(samples: &Samples) -> String {
    match samples.of("cloudigrade_data_age_seconds") {
        Some(age) => format!("  event time  the data end {} ago, at worst", seconds(age)),
        None => "  event time  nothing is known yet of how far the data reach".to_owned(),
    }
}

/// Seconds in the largest unit that says enough.
fn seconds(seconds: f64) -> String {
    match seconds.max(0.0) as u64 {
        s @ ..120 => format!("{s} s"),
        s @ ..7_200 => format!("{} min", s / 60),
        s @ ..172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fetched(text: &str) -> Fetched {
        Fetched { samples: Samples::parse(text), ready: Ok(()) }
    }

    fn line<'a>(lines: &'a [String], beginning: &str) -> Vec<&'a str> {
        let found = lines.iter().find(|line| line.trim_start().starts_with(beginning)).unwrap();
        found.split_whitespace().collect()
    }

    #[test]
    fn topics_and_tasks_are_shown_with_rates_lags_and_partitions() {
        let text = |n: u64| {
            format!(
                "cloudigrade_topic_offsets{{topic=\"power.events\"}} {n}\ncloudigrade_task_position{{task=\"operators\"}} {n}\ncloudigrade_log_lag_records{{task=\"operators\"}} 7\n"
            )
        };
        let (before, now) = (fetched(&text(1000)), fetched(&(text(1500) + "cloudigrade_kafka_partitions{task=\"operators\"} 16\n")));
        let shown = lines(&Look { url: "http://h", now: &now, before: Some((&before, Duration::from_secs(10))) });
        assert_eq!(line(&shown, "power.events"), ["power.events", "1,500", "50.0"]);
        assert_eq!(line(&shown, "operators"), ["operators", "1,500", "50.0", "7", "16"]);
        let first = lines(&Look { url: "http://h", now: &before, before: None });
        assert_eq!(line(&first, "operators"), ["operators", "1,000", "-", "7", "all"]);
    }

    #[test]
    fn the_three_lags_are_shown_and_what_is_not_known_is_said_to_be() {
        let known = fetched(
            "cloudigrade_source_queue_messages{state=\"waiting\"} 12\ncloudigrade_source_queue_messages{state=\"in_hand\"} NaN\ncloudigrade_source_oldest_message_seconds 30\ncloudigrade_log_lag_records{task=\"a\"} 5\ncloudigrade_log_lag_records{task=\"b\"} 2\ncloudigrade_data_age_seconds 600\n",
        );
        let shown = lines(&Look { url: "http://h", now: &known, before: None }).join("\n");
        assert!(shown.contains("12 messages wait, ? are in hand, the oldest of the last ones 30 s old"), "{shown}");
        assert!(shown.contains("7 records wait") && shown.contains("end 10 min ago"), "{shown}");
        let unknown = lines(&Look { url: "http://h", now: &fetched(""), before: None }).join("\n");
        assert!(unknown.contains("none is read here") && unknown.contains("nothing is known yet"), "{unknown}");
    }

    #[test]
    fn what_is_in_the_way_is_said_first() {
        let now = Fetched { samples: Samples::default(), ready: Err(vec!["a\u{1b}b".to_owned(), "c".to_owned()]) };
        let shown = lines(&Look { url: "http://h", now: &now, before: None });
        assert_eq!(shown[0], "http://h  NOT READY: a\\u{1b}b; c");
    }
}
