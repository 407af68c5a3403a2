//! What explain and export read: gathered in a transaction, completed from the lake outside of it,
//! kept for a while as whole lines, handed out by pages.
//!
//! A page is whole JSON lines, or a part of one that is longer than a page; its cursor is the place of
//! its first byte. The text of one reading stays as it was gathered for ten minutes, so that pages
//! fit together. They are forgotten at
//! once when their subject asks to be erased, and with every erasure that is finished (INV-10).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use imprimatur_consent::{Pseudonym, Standing, SubjectId, Terms};
use imprimatur_lake::{FileEntry, Lake, ReadError, Row};
use imprimatur_ledger::register::Entry;
use imprimatur_ledger::rights::Happened;
use imprimatur_ledger::{Book, BookError, JournalRecord, Txn};
use imprimatur_proto::rights::v1::RightsStatus;
use imprimatur_runtime::UnixSeconds;

use crate::rights::answer::{Outcome, PAGE_BYTES_MAX};
use crate::rights::claim::{Exercised, Source, Wanted};
use crate::rights::{explain, export};

/// Readings kept at once; the oldest goes first. One of a busy printer is below a megabyte.
const READINGS_MAX: usize = 16;

/// How long a reading is kept, seconds.
const KEPT_SECONDS: u64 = 600;

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What is held, for which purposes, and every permission with its history.
    Explain,
    /// All data.
    Export,
}

/// Everything that the book knows of one subject, and where the lake holds its rows.
pub struct Gathered {
    /// The subject.
    pub subject: SubjectId,
    /// What its events add up to.
    pub standing: Standing,
    /// Its events, in order.
    pub history: Vec<Happened>,
    /// The requests about it.
    pub requests: Vec<Entry>,
    /// All known policies.
    pub terms: Arc<Terms>,
    /// When it was gathered.
    pub now: UnixSeconds,
    commits: BTreeSet<u64>,
    pseudonyms: BTreeSet<Pseudonym>,
    waiting: Vec<(u64, Vec<JournalRecord>)>,
    files: Vec<FileEntry>,
}

impl std::fmt::Debug for Gathered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gathered(..)")
    }
}

impl Gathered {
    /// Gathers within a transaction, which keeps everything else still; `None` for an unknown
    /// subject.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn of(
        book: &Book,
        txn: &Txn,
        subject: SubjectId,
        now: UnixSeconds,
    ) -> Result<Option<Self>, BookError> {
        let Some(standing) = txn.standing(subject)? else { return Ok(None) };
        Ok(Some(Self {
            subject,
            standing,
            history: txn.history(subject)?,
            requests: txn.requests_of(subject)?,
            terms: txn.terms(),
            now,
            pseudonyms: txn.pseudonyms_of(subject)?,
            files: book.files()?,
            commits: txn.commits_of(subject)?.into_iter().collect(),
            waiting: txn.on_the_way(subject)?,
        }))
    }

    /// The subject's rows, those that are on their way included, by commit and ordinal.
    ///
    /// # Errors
    /// [`ReadError`] when a file went meanwhile: gather again.
    pub fn rows(&self, lake: &Lake) -> Result<Vec<Row>, ReadError> {
        let of_commits = |file: &&FileEntry| {
            self.commits.range(file.first_commit..=file.last_commit).next().is_some()
        };
        let mut rows = Vec::new();
        for file in self.files.iter().filter(of_commits) {
            let mine = |row: &Row| self.pseudonyms.contains(&row.subject);
            rows.extend(lake.read(file)?.into_iter().filter(mine));
        }
        rows.extend(self.waiting.iter().flat_map(crate::publisher::rows));
        rows.sort_by_key(|row| (row.commit, row.ordinal));
        Ok(rows)
    }
}

/// Whole readings, for the pages that are asked next.
#[derive(Default)]
pub struct Readings(Mutex<Shelf>);

#[derive(Default)]
struct Shelf {
    kept: BTreeMap<(SubjectId, Kind), Kept>,
    /// Grows whenever something is forgotten.
    generation: u64,
}

struct Kept {
    text: Arc<str>,
    since: UnixSeconds,
}

impl std::fmt::Debug for Readings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Readings(..)")
    }
}

impl Readings {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes whenever something is forgotten: take it before gathering.
    pub fn generation(&self) -> u64 {
        self.shelf().generation
    }

    /// Keeps a reading, unless something was forgotten since it was gathered.
    pub fn keep(&self, of: (SubjectId, Kind), text: Arc<str>, generation: u64, now: UnixSeconds) {
        let mut shelf = self.shelf();
        if shelf.generation != generation {
            return;
        }
        let kept = &mut shelf.kept;
        kept.retain(|_, reading| reading.current(now));
        if kept.len() >= READINGS_MAX {
            let oldest = kept.iter().min_by_key(|(_, reading)| reading.since);
            let oldest = oldest.map(|(&of, _)| of);
            oldest.and_then(|of| kept.remove(&of));
        }
        kept.insert(of, Kept { text, since: now });
    }

    /// A reading that is kept and not too old.
    pub fn get(&self, of: (SubjectId, Kind), now: UnixSeconds) -> Option<Arc<str>> {
        let shelf = self.shelf();
        let reading = shelf.kept.get(&of).filter(|reading| reading.current(now));
        reading.map(|reading| Arc::clone(&reading.text))
    }

    /// Forgets what was read of a subject.
    pub fn forget(&self, subject: SubjectId) {
        let mut shelf = self.shelf();
        shelf.kept.retain(|(of, _), _| *of != subject);
        shelf.generation += 1;
    }

    /// Forgets everything.
    pub fn clear(&self) {
        let mut shelf = self.shelf();
        shelf.kept.clear();
        shelf.generation += 1;
    }
}

impl Kept {
    fn current(&self, now: UnixSeconds) -> bool {
        now.0.saturating_sub(self.since.0) <= KEPT_SECONDS
    }
}

/// A page that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// A file of the lake went meanwhile or is damaged. Ask again; verify the lake if it stays.
    #[error("the lake cannot be read")]
    Lake(#[from] ReadError),
    /// A value is no JSON: a defect here.
    #[error("a line cannot be written")]
    Line(#[from] serde_json::Error),
}

impl Exercised {
    /// What became of the request, with the page that it wants.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(self, lake: &Lake, readings: &Readings) -> Result<Outcome, Unreadable> {
        let Some(Wanted { kind, cursor, source }) = self.wanted else { return Ok(self.outcome) };
        let text = match source {
            Source::Kept(text) => text,
            Source::Gathered { gathered, generation } => {
                let rows = gathered.rows(lake)?;
                let lines = match kind {
                    Kind::Explain => explain::lines(&gathered, &rows),
                    Kind::Export => export::lines(&gathered, &rows)?,
                };
                let text: Arc<str> = Arc::from(lines.join("\n") + "\n");
                let of = (gathered.subject, kind);
                readings.keep(of, Arc::clone(&text), generation, gathered.now);
                text
            }
        };
        Ok(match page(&text, cursor) {
            Some((page, next)) => Outcome { page: page.as_bytes().to_vec(), next, ..self.outcome },
            None => RightsStatus::Unusable.into(),
        })
    }
}

/// The page that begins at a byte, and the cursor of the next one, 0 after the last; `None` when
/// nothing begins there.
pub fn page(text: &str, cursor: u64) -> Option<(&str, u64)> {
    let from = usize::try_from(cursor).ok()?;
    let rest = text.get(from..).filter(|rest| !rest.is_empty())?;
    if rest.len() <= PAGE_BYTES_MAX {
        return Some((rest, 0));
    }
    let (within, _) = rest.split_at_checked(rest.floor_char_boundary(PAGE_BYTES_MAX))?;
    let end = within.rfind('\n').map_or(within.len(), |last| last + 1);
    let next = u64::try_from(from.checked_add(end)?).ok()?;
    Some((within.get(..end)?, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: SubjectId = SubjectId([1; 16]);
    const NOW: UnixSeconds = UnixSeconds(1_000_000);

    #[test]
    fn pages_are_whole_lines_and_together_everything() {
        let pages = |text: &str| {
            let (mut pages, mut cursor) = (Vec::new(), 0);
            loop {
                let (part, next) = page(text, cursor).unwrap();
                assert!(part.len() <= PAGE_BYTES_MAX);
                pages.push(part.to_owned());
                cursor = next;
                if cursor == 0 {
                    assert_eq!(pages.concat(), text);
                    return pages;
                }
            }
        };
        let lines: Vec<String> = (0..900).map(|line| format!("{{\"line\":{line}}}")).collect();
        let lines = lines.join("\n") + "\n";
        let of_lines = pages(&lines);
        assert!(of_lines.len() > 1 && of_lines.iter().all(|page| page.ends_with("}\n")));
        assert_eq!(page(&lines, u64::try_from(lines.len()).unwrap()), None, "after the last");
        assert_eq!(page(&lines, u64::MAX), None);
        // A line that is longer than a page comes in parts, cut between characters.
        assert_eq!(pages(&format!("{{}}\n{}\n{{}}\n", "é".repeat(PAGE_BYTES_MAX))).len(), 4);
        assert_eq!(page("é", 1), None, "within a character");
    }

    #[test]
    fn readings_are_kept_for_a_while_and_forgotten_when_told() {
        let readings = Readings::default();
        let keep = |subject, now| {
            readings.keep((subject, Kind::Export), Arc::from("{}\n"), readings.generation(), now);
        };
        let there = |subject, now| readings.get((subject, Kind::Export), now).is_some();
        keep(ME, NOW);
        assert!(there(ME, UnixSeconds(NOW.0 + KEPT_SECONDS)));
        assert!(!there(ME, UnixSeconds(NOW.0 + KEPT_SECONDS + 1)));
        assert!(readings.get((ME, Kind::Explain), NOW).is_none(), "another kind");
        keep(SubjectId([2; 16]), NOW);
        readings.forget(ME);
        assert!(!there(ME, NOW) && there(SubjectId([2; 16]), NOW));
        let before = readings.generation();
        readings.forget(ME);
        readings.keep((ME, Kind::Export), Arc::from(""), before, NOW);
        assert!(!there(ME, NOW), "gathered before it was forgotten");
        readings.clear();
        assert!(!there(SubjectId([2; 16]), NOW));
        for number in 0..=READINGS_MAX {
            let (number, later) = (u8::try_from(number).unwrap(), u64::try_from(number).unwrap());
            keep(SubjectId([number; 16]), UnixSeconds(NOW.0 + later));
        }
        assert!(!there(SubjectId([0; 16]), NOW) && there(SubjectId([1; 16]), NOW));
    }
}
