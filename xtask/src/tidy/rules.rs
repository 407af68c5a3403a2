//! The rules of `tidy`, each on the text of one file.

use std::path::Path;

/// Production lines from which a file gets a warning, and above which it fails.
const LONG: usize = 300;
const TOO_LONG: usize = 400;

/// Written in two parts, so that this file does not hold them.
const LEFTOVERS: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];
const IGNORED: &str = concat!("#[ig", "nore");
/// Folders of the machines that the project was written on.
const WORKPLACE: [&str; 3] =
    [concat!("../", "shared"), concat!("/wo", "rk/"), concat!("/ro", "ot/.cargo")];

/// One thing that is wrong, or nearly so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// From 1.
    pub(super) line: usize,
    pub(super) text: String,
    /// A warning does not.
    pub(super) fails: bool,
}

/// All findings in the file at `path`, which counts from the root.
pub(super) fn findings(path: &Path, text: &str) -> Vec<Finding> {
    let rust = path.extension().is_some_and(|ending| ending == "rs");
    let mut all = Vec::new();
    if rust {
        all.extend(header(text));
        all.extend(length(path, text));
        all.extend(ignored_tests(text));
    }
    // Recordings are what somebody else wrote.
    if !path.starts_with("fixtures") {
        all.extend(leftovers(text));
        all.extend(workplace(text));
    }
    all
}

/// A Rust file opens with one sentence on what it is.
fn header(text: &str) -> Option<Finding> {
    let first = text.lines().next().unwrap_or_default();
    let sentence = first.strip_prefix("//! ").map(str::trim).unwrap_or_default();
    if sentence.is_empty() {
        return Some(failure(1, "starts without `//!` and a sentence on what the file is"));
    }
    None
}

/// Lines before the test module; files of tests have no limit.
fn length(path: &Path, text: &str) -> Option<Finding> {
    let tests = path.file_name().is_some_and(|name| name == "tests.rs")
        || path.components().any(|part| part.as_os_str() == "tests");
    if tests {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let own = lines
        .windows(2)
        .position(|pair| {
            matches!(pair, [first, second]
                if *first == "#[cfg(test)]" && second.starts_with("mod tests"))
        })
        .unwrap_or(lines.len());
    match own {
        0..=LONG => None,
        301..=TOO_LONG => Some(Finding {
            line: own,
            text: format!("warning: {own} production lines, over {LONG}"),
            fails: false,
        }),
        _ => Some(failure(own, &format!("{own} production lines, over {TOO_LONG}"))),
    }
}

/// A test that is switched off proves nothing.
fn ignored_tests(text: &str) -> Vec<Finding> {
    matching(text, |line| line.trim_start().starts_with(IGNORED), "an ignored test")
}

/// Work that is not done is not written into the file.
fn leftovers(text: &str) -> Vec<Finding> {
    let is_leftover = |line: &str| {
        let mut words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| LEFTOVERS.contains(&word))
    };
    matching(text, is_leftover, "a note on work that is not done")
}

/// A file must mean the same on any machine.
fn workplace(text: &str) -> Vec<Finding> {
    let is_there = |line: &str| WORKPLACE.iter().any(|word| line.contains(word));
    matching(text, is_there, "names a folder of one machine")
}

fn matching(text: &str, is_wrong: impl Fn(&str) -> bool, what: &str) -> Vec<Finding> {
    text.lines()
        .zip(1..)
        .filter(|(line, _)| is_wrong(line))
        .map(|(_, number)| failure(number, what))
        .collect()
}

fn failure(line: usize, text: &str) -> Finding {
    Finding { line, text: text.to_owned(), fails: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn complains(path: &str, text: &str, about: &str) {
        let all = findings(Path::new(path), text);
        assert!(all.iter().any(|one| one.fails && one.text.contains(about)), "{all:?}");
    }

    #[track_caller]
    fn is_fine(path: &str, text: &str) {
        assert_eq!(findings(Path::new(path), text), []);
    }

    fn of_lines(count: usize) -> String {
        format!("//! A file.\n{}", "fn f() {}\n".repeat(count - 1))
    }

    #[test]
    fn a_rust_file_needs_a_header_with_words() {
        complains("a.rs", "fn main() {}\n", "without `//!`");
        complains("a.rs", "", "without `//!`");
        complains("a.rs", "//!\nfn main() {}\n", "without `//!`");
        complains("a.rs", "\n//! Late.\n", "without `//!`");
        is_fine("a.rs", "//! A file.\n");
        is_fine("a.md", "no header\n");
    }

    #[test]
    fn a_file_over_400_lines_fails_and_over_300_warns() {
        complains("a.rs", &of_lines(401), "401 production lines");
        is_fine("a.rs", &of_lines(300));
        let all = findings(Path::new("a.rs"), &of_lines(400));
        assert_eq!(all.len(), 1);
        assert!(all.iter().all(|one| !one.fails && one.text.starts_with("warning")), "{all:?}");
    }

    #[test]
    fn tests_do_not_count_as_production_lines() {
        let tests = "#[cfg(test)]\nmod tests {}\n".to_owned() + &"fn t() {}\n".repeat(500);
        is_fine("a.rs", &(of_lines(300) + &tests));
        complains("a.rs", &(of_lines(401) + &tests), "401 production lines");
        is_fine("a/tests.rs", &of_lines(900));
        is_fine("crates/a/tests/it/b.rs", &of_lines(900));
    }

    #[test]
    fn an_ignored_test_is_found() {
        complains("a.rs", &format!("//! A.\n#[test]\n{IGNORED}]\nfn t() {{}}\n"), "ignored test");
        is_fine("a.rs", "//! A.\n#[test]\nfn ignores() {}\n");
    }

    #[test]
    fn a_note_on_undone_work_is_found() {
        for word in LEFTOVERS {
            complains("a.md", &format!("{word}: later\n"), "not done");
            complains("a.rs", &format!("//! A.\n// {word}(me)\n"), "not done");
        }
        is_fine("a.md", &format!("{}S and mastodons\n", LEFTOVERS[0]));
    }

    #[test]
    fn a_folder_of_one_machine_is_found() {
        for word in WORKPLACE {
            complains("a.toml", &format!("path = \"{word}x\"\n"), "one machine");
        }
        is_fine("a.md", "a network/workshop, shared by all\n");
    }

    #[test]
    fn recordings_may_say_what_they_like() {
        is_fine("fixtures/a.txt", &format!("{}\n", WORKPLACE[0]));
    }
}
