//! Reads TOML tables key by key, keeps the place of each, and collects problems instead of stopping.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{BYTES_MAX, Problem};

/// A table that is being read: each key is taken out once; what is left over is unknown.
pub(super) struct Table<'a> {
    path: String,
    at: usize,
    /// Not there at all, which was reported; its keys are not reported again.
    absent: bool,
    entries: Vec<Entry<'a>>,
}

/// A key and its value.
pub(super) struct Entry<'a> {
    pub(super) key: String,
    /// The key with its tables before it.
    pub(super) path: String,
    /// Offset of the key in the text.
    pub(super) at: usize,
    value: DeValue<'a>,
}

/// Collects the problems of one document.
pub(super) struct Reader<'a> {
    text: &'a str,
    /// Offsets at which lines end.
    ends: Vec<usize>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { text, ends: ends.map(|(at, _)| at).collect(), problems: Vec::new() }
    }

    /// The whole document; `None` when it is not TOML, or longer than any policy.
    pub(super) fn document(&mut self) -> Option<Table<'a>> {
        if self.text.len() > BYTES_MAX {
            let problem = format!("the policy has {} bytes", self.text.len());
            self.problem(0, "", &problem, &format!("write at most {BYTES_MAX}"));
            return None;
        }
        let (document, errors) = DeTable::parse_recoverable(self.text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            self.problem(at, "", &format!("not TOML: {}", error.message()), "write valid TOML");
        }
        errors.is_empty().then(|| table(String::new(), 0, document.into_inner()))
    }

    /// Adds a problem.
    pub(super) fn problem(&mut self, at: usize, key: &str, problem: &str, advice: &str) {
        let line = 1 + self.ends.partition_point(|&end| end < at);
        let (key, problem, advice) = (key.to_owned(), problem.to_owned(), advice.to_owned());
        self.problems.push(Problem { line, key, problem, advice });
    }

    /// All problems, in the order of the lines.
    pub(super) fn problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| problem.line);
        self.problems
    }

    /// Takes a key out; a missing one is a problem.
    fn wanted(&mut self, from: &mut Table<'a>, key: &str, advice: &str) -> Option<Entry<'a>> {
        let found = from.take(key);
        if found.is_none() && !from.absent {
            self.problem(from.at, &from.path_of(key), "is missing", advice);
        }
        found
    }

    fn wrong_kind(&mut self, entry: &Entry<'a>, advice: &str) {
        let kind = entry.value.type_str();
        self.problem(entry.at, &entry.path, &format!("is of the kind {kind}"), advice);
    }

    /// A table that must be there.
    pub(super) fn table(&mut self, from: &mut Table<'a>, key: &str, advice: &str) -> Table<'a> {
        let entry = self.wanted(from, key, advice);
        entry.map_or_else(|| absent(from.path_of(key)), |entry| self.as_table(entry, advice))
    }

    /// An entry as a table.
    pub(super) fn as_table(&mut self, entry: Entry<'a>, advice: &str) -> Table<'a> {
        if let DeValue::Table(found) = entry.value {
            table(entry.path, entry.at, found)
        } else {
            self.wrong_kind(&entry, advice);
            absent(entry.path)
        }
    }

    /// A text that must be there and say something.
    pub(super) fn text(&mut self, from: &mut Table<'a>, key: &str, advice: &str) -> String {
        let entry = self.wanted(from, key, advice);
        entry.map_or_else(String::new, |entry| self.as_text(&entry, advice))
    }

    /// An entry as a text that says something.
    pub(super) fn as_text(&mut self, entry: &Entry<'a>, advice: &str) -> String {
        match entry.value.as_str() {
            Some(text) if !text.trim().is_empty() => return text.to_owned(),
            Some(_) => self.problem(entry.at, &entry.path, "is empty", advice),
            None => self.wrong_kind(entry, advice),
        }
        String::new()
    }

    /// A text of a kind that is parsed.
    pub(super) fn parsed<T: std::str::FromStr>(
        &mut self,
        from: &mut Table<'a>,
        key: &str,
        advice: &str,
    ) -> Option<T> {
        let entry = self.wanted(from, key, advice)?;
        let text = self.as_text(&entry, advice);
        if text.is_empty() {
            return None;
        }
        let read = text.parse().ok();
        if read.is_none() {
            self.problem(entry.at, &entry.path, &format!("is `{text}`"), advice);
        }
        read
    }

    /// A whole number that must be there and in its range; the range's start when it is not.
    pub(super) fn number(
        &mut self,
        from: &mut Table<'a>,
        key: &str,
        range: RangeInclusive<u32>,
        why: &str,
    ) -> u32 {
        let advice =
            format!("write a whole number from {} to {}: {why}", range.start(), range.end());
        let Some(entry) = self.wanted(from, key, &advice) else { return *range.start() };
        let Some(number) = entry.value.as_integer() else {
            self.wrong_kind(&entry, &advice);
            return *range.start();
        };
        let digits = number.as_str().replace('_', "");
        match u32::from_str_radix(&digits, number.radix()) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                self.problem(entry.at, &entry.path, &format!("is {digits}"), &advice);
                *range.start()
            }
        }
    }

    /// A list of texts that must be there and not be empty, each parsed by `parse`.
    pub(super) fn list<T>(
        &mut self,
        from: &mut Table<'a>,
        key: &str,
        advice: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<(usize, T)> {
        let Some(entry) = self.wanted(from, key, advice) else { return Vec::new() };
        let DeValue::Array(items) = &entry.value else {
            self.wrong_kind(&entry, advice);
            return Vec::new();
        };
        if items.is_empty() {
            self.problem(entry.at, &entry.path, "is empty", advice);
        }
        let mut read = Vec::new();
        for item in items {
            let at = item.span().start;
            match item.get_ref().as_str().map(|text| (text, parse(text))) {
                Some((_, Some(value))) => read.push((at, value)),
                Some((text, None)) => {
                    self.problem(at, &entry.path, &format!("names `{text}`"), advice);
                }
                None => {
                    let kind = item.get_ref().type_str();
                    self.problem(at, &entry.path, &format!("holds a value of kind {kind}"), advice);
                }
            }
        }
        read
    }

    /// What is left over is unknown.
    pub(super) fn finish(&mut self, table: Table<'a>) {
        for entry in table.entries {
            let advice = "take it out, or look for a slip in its name";
            self.problem(entry.at, &entry.path, "is no key of a policy", advice);
        }
    }
}

impl<'a> Table<'a> {
    /// Offset of the table's key in the text.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether the key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// The rest of the entries, in the order of their keys.
    pub(super) fn rest(&mut self) -> Vec<Entry<'a>> {
        std::mem::take(&mut self.entries)
    }

    /// The key with the tables before it.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Where a key stands; the table's own place when it is not there.
    pub(super) fn place(&self, key: &str) -> usize {
        let found = self.entries.iter().find(|entry| entry.key == key);
        found.map_or(self.at, |entry| entry.at)
    }

    fn take(&mut self, key: &str) -> Option<Entry<'a>> {
        let place = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(place))
    }
}

fn absent<'a>(path: String) -> Table<'a> {
    Table { path, at: 0, absent: true, entries: Vec::new() }
}

fn table(path: String, at: usize, found: DeTable<'_>) -> Table<'_> {
    let mut read = Table { path, at, absent: false, entries: Vec::new() };
    for (key, value) in found {
        let at = key.span().start;
        let key: String = key.into_inner().into_owned();
        let path = read.path_of(&key);
        read.entries.push(Entry { key, path, at, value: Spanned::into_inner(value) });
    }
    read
}
