//! A file that is read and never written: what the store changes to make it readable stays in memory.
//!
//! A book that was not closed, such as one in a backup, needs a repair before it can be read. The
//! repair rewrites a few pages; these are kept here, at most [`CHANGED_MAX`] bytes of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of one page of changes.
const PAGE: u64 = 4096;

/// Bytes that a repair may change, at most.
const CHANGED_MAX: u64 = 256 << 20;

#[derive(Debug)]
struct Changes {
    /// Length that the store sees.
    length: u64,
    /// Bytes of the file that still show; behind them are zeros.
    shown: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

/// The file and what was changed of it, in memory.
#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    changes: Mutex<Changes>,
}

impl Overlay {
    pub(super) fn of(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        let changes = Changes { length, shown: length, pages: BTreeMap::new() };
        Ok(Self { file, changes: Mutex::new(changes) })
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page as the store sees it.
    fn page(&self, changes: &Changes, number: u64) -> io::Result<Vec<u8>> {
        if let Some(page) = changes.pages.get(&number) {
            return Ok(page.clone());
        }
        let start = number.saturating_mul(PAGE);
        let there = changes.shown.saturating_sub(start).min(PAGE);
        let mut page = vec![0; size(there)];
        self.file.read_exact_at(&mut page, start)?;
        page.resize(size(PAGE), 0);
        Ok(page)
    }
}

/// A length below [`PAGE`] or one that is in memory already.
fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

impl redb::StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changes().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changes = self.changes();
        let (mut at, mut rest) = (offset, out);
        let end = at.checked_add(u64::try_from(rest.len()).unwrap_or(u64::MAX));
        if end.is_none_or(|end| end > changes.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let changed = changes.pages.range(at / PAGE..).next().map(|(number, _)| number * PAGE);
        let plain = end.is_some_and(|end| changed.is_none_or(|first| first >= end));
        if plain && end.is_some_and(|end| end <= changes.shown) {
            return self.file.read_exact_at(rest, at);
        }
        while !rest.is_empty() {
            let page = self.page(&changes, at / PAGE)?;
            let part = page.get(size(at % PAGE)..).unwrap_or_default();
            let length = part.len().min(rest.len());
            let (now, later) = rest.split_at_mut(length);
            now.copy_from_slice(part.get(..length).unwrap_or_default());
            (rest, at) = (later, (at / PAGE + 1) * PAGE);
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut changes = self.changes();
        if length < changes.length {
            let kept = length.div_ceil(PAGE);
            changes.pages.retain(|number, _| *number < kept);
            if let Some(page) = changes.pages.get_mut(&(length / PAGE))
                && let Some(cut) = page.get_mut(size(length % PAGE)..)
            {
                cut.fill(0);
            }
            changes.shown = changes.shown.min(length);
        }
        changes.length = length;
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changes = self.changes();
        let (mut at, mut rest) = (offset, data);
        while !rest.is_empty() {
            let number = at / PAGE;
            let mut page = self.page(&changes, number)?;
            let part = page.get_mut(size(at % PAGE)..).unwrap_or_default();
            let length = part.len().min(rest.len());
            let (now, later) = rest.split_at(length);
            if let Some(part) = part.get_mut(..length) {
                part.copy_from_slice(now);
            }
            changes.pages.insert(number, page);
            (rest, at) = (later, (number + 1) * PAGE);
        }
        let held = u64::try_from(changes.pages.len()).unwrap_or(u64::MAX).saturating_mul(PAGE);
        if held > CHANGED_MAX {
            let why = "the copy needs a repair that is too large to be made in memory; let a \
                       collector open it once";
            return Err(io::Error::other(why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::StorageBackend as _;

    use super::*;

    #[derive(Clone, Debug)]
    enum Op {
        Write(u64, Vec<u8>),
        Length(u64),
    }

    fn op() -> impl Strategy<Value = Op> {
        prop_oneof![
            (0..20_000_u64, proptest::collection::vec(1..=255_u8, 1..9_000))
                .prop_map(|(at, bytes)| Op::Write(at, bytes)),
            (0..30_000_u64).prop_map(Op::Length),
        ]
    }

    fn long(length: usize) -> u64 {
        u64::try_from(length).unwrap()
    }

    proptest! {
        #[test]
        fn it_reads_like_a_file_and_the_file_stays(ops in proptest::collection::vec(op(), 0..20)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let honest: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0]).collect();
            std::fs::write(&path, &honest).unwrap();
            let overlay = Overlay::of(File::open(&path).unwrap()).unwrap();
            let mut model = honest.clone();
            for op in ops {
                match op {
                    Op::Write(at, bytes) => {
                        let at = usize::try_from(at).unwrap();
                        if at + bytes.len() <= model.len() {
                            overlay.write(long(at), &bytes).unwrap();
                            model[at..at + bytes.len()].copy_from_slice(&bytes);
                        }
                    }
                    Op::Length(length) => {
                        overlay.set_len(length).unwrap();
                        model.resize(usize::try_from(length).unwrap(), 0);
                    }
                }
                prop_assert_eq!(overlay.len().unwrap(), long(model.len()));
                let mut all = vec![0; model.len()];
                overlay.read(0, &mut all).unwrap();
                prop_assert!(all == model);
                let mut part = vec![0; model.len() / 3];
                overlay.read(long(model.len() / 2), &mut part).unwrap();
                prop_assert!(part[..] == model[model.len() / 2..][..part.len()]);
            }
            prop_assert!(overlay.read(long(model.len()), &mut [0]).is_err());
            prop_assert!(std::fs::read(&path).unwrap() == honest);
        }
    }
}
