//! What `/metrics` says, in the text format of Prometheus.

use std::collections::BTreeMap;

/// Samples by name, then by the value of one label.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(BTreeMap<String, Vec<(String, f64)>>);

impl Samples {
    /// Reads the text. A line that is none is passed over: a newer server may say more than is known here.
    pub fn parse(text: &str) -> Self {
        let mut samples: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
        for (name, labels, value) in text.lines().filter(|line| !line.starts_with('#')).filter_map(sample) {
            samples.entry(name.to_owned()).or_default().push((labels.to_owned(), value));
        }
        Self(samples)
    }

    /// The values of a metric by that of one of its labels.
    pub fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let of_name = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        of_name.iter().filter_map(|(labels, value)| Some((label_of(labels, label)?.to_owned(), *value))).collect()
    }

    /// The value of a metric without labels. What is not known is none.
    pub fn of(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.first().map(|(_, value)| *value).filter(|value| !value.is_nan())
    }
}

/// A line's name, labels and value.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (series, value) = line.trim().rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series, ""),
    };
    Some((name, labels, value.parse().ok()?))
}

/// The value of a label. Those of this program hold neither quotes nor commas.
fn label_of<'a>(labels: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    pairs.find(|(name, _)| name.trim() == wanted).map(|(_, value)| value.trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_by_name_and_label_and_what_is_not_known_is_none() {
        let text = "# TYPE a gauge\na{task=\"operators\",x=\"1\"} 12\na{task=\"inspect\"} 0.5\nb 3\nc NaN\nnonsense\n\nd{broken 4\n";
        let samples = Samples::parse(text);
        assert_eq!(samples.by("a", "task"), BTreeMap::from([("operators".to_owned(), 12.0), ("inspect".to_owned(), 0.5)]));
        assert_eq!((samples.of("b"), samples.of("c"), samples.of("e")), (Some(3.0), None, None));
        assert!(samples.by("d", "broken").is_empty());
    }
}
