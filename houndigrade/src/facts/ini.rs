//! INI files as yum and dnf read them, and more patiently: what is wrong in one line is told and costs that line, not the file.

use std::collections::HashMap;

/// A file's sections in their order, and what could not be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ini {
    /// Sections; one that is opened twice is one.
    pub sections: Vec<Section>,
    /// The first line that could not be read, with why, and how many more there were.
    pub problem: Option<Problem>,
}

/// Lines that could not be read.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The first, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: &'static str,
    /// How many more there are.
    pub more: usize,
}

/// One section.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Its name.
    pub name: String,
    /// Keys in lower case and values, in their order; of a repeated key the last holds.
    entries: Vec<(String, String)>,
}

impl Section {
    /// The value of a key, which is in lower case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

impl Ini {
    /// Reads a file's content. A value goes on in the lines after it that begin with white space; `%` and `$` mean nothing. What is not
    /// UTF-8 is replaced.
    pub fn parse(content: &[u8]) -> Self {
        let mut reader = Reader::default();
        let text = String::from_utf8_lossy(content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content));
        for (index, line) in text.split('\n').enumerate() {
            if let Err(why) = reader.line(line.trim_end_matches('\r')) {
                reader.problem(index + 1, why);
            }
        }
        reader.ini
    }

    /// The section of a name.
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

#[derive(Default)]
struct Reader {
    ini: Ini,
    /// The sections' places by name.
    places: HashMap<String, usize>,
    /// The open section's place.
    section: Option<usize>,
    /// Whether the line before was an entry, or went on with one.
    may_go_on: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), &'static str> {
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Ok(());
        }
        if text.contains('\0') {
            self.may_go_on = false;
            return Err("it is binary");
        }
        if line.starts_with([' ', '\t']) && self.go_on(text) {
            return Ok(());
        }
        self.may_go_on = false;
        let Some(rest) = text.strip_prefix('[') else { return self.entry(text) };
        // What follows a section whose name cannot be read is not the section's before it.
        self.section = None;
        self.open(rest.rsplit_once(']').ok_or("the name of its section does not end")?.0.trim());
        Ok(())
    }

    /// Goes on with the value of the line before.
    fn go_on(&mut self, text: &str) -> bool {
        let entry = self.section.filter(|_| self.may_go_on).and_then(|open| self.ini.sections.get_mut(open)?.entries.last_mut());
        let Some((_, value)) = entry else { return false };
        value.push('\n');
        value.push_str(text);
        true
    }

    fn open(&mut self, name: &str) {
        let place = *self.places.entry(name.to_owned()).or_insert(self.ini.sections.len());
        if place == self.ini.sections.len() {
            self.ini.sections.push(Section { name: name.to_owned(), entries: Vec::new() });
        }
        self.section = Some(place);
    }

    fn entry(&mut self, text: &str) -> Result<(), &'static str> {
        let (key, value) = text.split_once(['=', ':']).ok_or("it is neither a section nor an assignment")?;
        let section = self.section.and_then(|open| self.ini.sections.get_mut(open)).ok_or("it is in no section")?;
        section.entries.push((key.trim().to_lowercase(), value.trim().to_owned()));
        self.may_go_on = true;
        Ok(())
    }

    fn problem(&mut self, line: usize, why: &'static str) {
        match &mut self.ini.problem {
            Some(problem) => problem.more += 1,
            none => *none = Some(Problem { line, why, more: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str, key: &str) -> Option<String> {
        Ini::parse(text.as_bytes()).section("a")?.get(key).map(str::to_owned)
    }

    #[test]
    fn a_value_that_goes_on_does_not_hide_the_next_key() {
        let text = "[a]\nbaseurl=http://one\n\thttp://two\n  # a comment\n  http://three\nenabled=1\n";
        assert_eq!(value(text, "baseurl").as_deref(), Some("http://one\nhttp://two\nhttp://three"));
        assert_eq!(value(text, "enabled").as_deref(), Some("1"));
    }

    #[test]
    fn a_byte_order_mark_carriage_returns_colons_and_percents_do_no_harm() {
        assert_eq!(value("\u{feff}[a]\r\nName : 100% %(x)s $basearch\r\n", "name").as_deref(), Some("100% %(x)s $basearch"));
    }

    #[test]
    fn of_a_repeated_key_the_last_holds_and_a_repeated_section_is_one() {
        let text = "[a]\nx=1\nx=2\n[b]\nx=3\n[a]\ny=4\n";
        assert_eq!((value(text, "x").as_deref(), value(text, "y").as_deref()), (Some("2"), Some("4")));
        assert_eq!(Ini::parse(text.as_bytes()).sections.len(), 2);
    }

    #[test]
    fn broken_lines_are_told_and_cost_only_themselves() {
        let ini = Ini::parse(b"x=0\n[a]\nnonsense\n\0\xff\ny=1\n  goes on\n[broken\ny=2\n");
        assert_eq!(ini.problem, Some(Problem { line: 1, why: "it is in no section", more: 4 }));
        assert_eq!(ini.section("a").and_then(|section| section.get("y")), Some("1\ngoes on"));
    }

    #[test]
    fn an_indented_line_right_after_a_section_is_a_line_of_its_own() {
        assert_eq!(value("[a]\n  enabled = 1\n", "enabled").as_deref(), Some("1"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(content in prop::collection::vec(any::<u8>(), 0..400)) {
            Ini::parse(&content);
        }

        #[test]
        fn any_lines_are_read(lines in prop::collection::vec("[ \\[\\]a=:#;\t\r]{0,8}", 0..40)) {
            let ini = Ini::parse(lines.join("\n").as_bytes());
            prop_assert!(ini.sections.len() <= lines.len());
        }
    }
}
