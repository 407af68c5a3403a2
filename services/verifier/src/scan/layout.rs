//! The layout: which files a collector's folder has, each known by name, and by its list where one
//! names it. A file that is none of them is a finding.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use imprimatur_lake::Catalogue;
use imprimatur_ledger::segments::Manifest;

/// Bytes of a slot of the keyring.
const SLOT: u64 = 32;

/// Bytes of a key's file: 64 hex digits and a line's end.
const KEY_FILE: u64 = 65;

/// How a file is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Its bytes are searched.
    Plain,
    /// A segment of evidence that no manifest names, left by a crash: each line must be evidence.
    Leftover,
    /// A policy that the operator put beside the book: it must be one.
    Policy,
    /// Secrets: only the length is looked at.
    Keys,
}

/// What the lists name at this moment.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    lake: BTreeSet<String>,
    segments: BTreeSet<String>,
}

impl Lists {
    /// Of catalogue and manifest as they are now. What cannot be read names nothing.
    pub(crate) fn now(data: &Path) -> Self {
        let lake = Catalogue::load(&data.join("lake")).map(|catalogue| catalogue.files);
        let lake = lake.into_iter().flatten().map(|file| file.path);
        let manifest = Manifest::load(&data.join("evidence")).map(|manifest| manifest.segments);
        let segments = manifest.into_iter().flatten().map(|segment| segment.file);
        Self { lake: lake.collect(), segments: segments.collect() }
    }

    /// How a file at this path below the collector's folder, of this length, is treated; `None` when
    /// nobody knows it.
    pub(crate) fn known(&self, path: &Path, length: u64) -> Option<Known> {
        let mut parts = Vec::new();
        for part in path.components() {
            let Component::Normal(part) = part else { return None };
            parts.push(part.to_str()?);
        }
        match parts.as_slice() {
            ["book.redb" | "tokens.json"]
            | ["query", "edition.json"]
            | ["query", "released", "budget.jsonl"]
            | ["log", "checkpoint"]
            | ["evidence", "manifest.json"]
            | ["lake", "catalogue.json" | "overview.json" | "report.json"] => Some(Known::Plain),
            ["query", "released", "releases", name] => is_release(name).then_some(Known::Plain),
            ["query", "lock"] | ["query", "released", "lock"] => {
                (length == 0).then_some(Known::Plain)
            }
            ["collector.key" | "log.key"] => (length == KEY_FILE).then_some(Known::Keys),
            ["keys", "keyring"] => {
                (length > 0 && length.is_multiple_of(SLOT)).then_some(Known::Keys)
            }
            ["lake", inside @ ..] => self.lake.contains(&inside.join("/")).then_some(Known::Plain),
            ["evidence", "policies", name] => is_hashed(name).then_some(Known::Plain),
            ["policies", name] => name.strip_suffix(".toml").map(|_| Known::Policy),
            ["evidence", name] if self.segments.contains(*name) => Some(Known::Plain),
            ["evidence", name] => is_segment(name).then_some(Known::Leftover),
            ["log", "tile", "entries", tile @ ..] => is_tile(tile).then_some(Known::Plain),
            ["log", "tile", level, tile @ ..] => {
                let level = level.parse().is_ok_and(|level: u8| level < 8);
                let whole = length > 0 && length.is_multiple_of(SLOT) && length <= 256 * SLOT;
                (level && whole && is_tile(tile)).then_some(Known::Plain)
            }
            _ => None,
        }
    }
}

/// `HASH.toml`.
fn is_hashed(name: &str) -> bool {
    let hash = name.strip_suffix(".toml");
    hash.is_some_and(|hash| hash.len() == 64 && hash.bytes().all(|one| one.is_ascii_hexdigit()))
}

/// `ID.json`, `ID.made.json` or `ID.withdrawn.json`.
fn is_release(name: &str) -> bool {
    let id = name.strip_suffix(".json").unwrap_or_default();
    let id = [".made", ".withdrawn"].iter().find_map(|part| id.strip_suffix(part)).unwrap_or(id);
    id.len() == 64 && id.bytes().all(|one| matches!(one, b'0'..=b'9' | b'a'..=b'f'))
}

/// `consent-FIRST-LAST.jsonl` or `commits-FIRST-LAST.jsonl`.
fn is_segment(name: &str) -> bool {
    let kind = name.strip_prefix("consent-").or_else(|| name.strip_prefix("commits-"));
    let ends = kind.and_then(|rest| rest.strip_suffix(".jsonl")?.split_once('-'));
    ends.is_some_and(|(first, last)| first.parse::<u64>().is_ok() && last.parse::<u64>().is_ok())
}

/// Groups of three digits, all but the last after an `x`; a partial tile in a folder `N.p`.
fn is_tile(parts: &[&str]) -> bool {
    let partial = parts.split_last().and_then(|(width, whole)| {
        let (folder, groups) = whole.split_last()?;
        let width = width.parse().is_ok_and(|width: u16| (1..256).contains(&width));
        width.then_some((folder.strip_suffix(".p")?, groups))
    });
    let whole = || parts.split_last().map(|(last, groups)| (*last, groups));
    let digits = |group: &str| group.len() == 3 && group.bytes().all(|one| one.is_ascii_digit());
    partial.or_else(whole).is_some_and(|(last, groups)| {
        let before = |group: &&str| group.strip_prefix('x').is_some_and(digits);
        groups.len() < 7 && digits(last) && groups.iter().all(before)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_query_service_keeps_is_known_and_its_neighbours_are_not() {
        let known = |path: &str, length| Lists::default().known(Path::new(path), length);
        for path in ["tokens.json", "query/edition.json"] {
            assert_eq!(known(path, 100), Some(Known::Plain), "{path}");
        }
        assert_eq!((known("query/lock", 0), known("query/lock", 1)), (Some(Known::Plain), None));
        let id = "0a".repeat(32);
        for name in ["json", "made.json", "withdrawn.json"] {
            let path = format!("query/released/releases/{id}.{name}");
            assert_eq!(known(&path, 9), Some(Known::Plain), "{path}");
            assert_eq!(known(&path.replace("0a", "0A"), 9), None);
            assert_eq!(known(&format!("{path}.tmp"), 9), None);
        }
        assert_eq!(known("query/released/budget.jsonl", 9), Some(Known::Plain));
        assert_eq!(known("query/released/lock", 0), Some(Known::Plain));
        assert_eq!(known("query/released/lock", 1), None);
        for path in ["tokens.json.bak", "query/tokens.json", "query/other.json", "lake/tokens.json"]
        {
            assert_eq!(known(path, 0), None, "{path}");
        }
    }
}
