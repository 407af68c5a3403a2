//! A book whose file was damaged: it opens as what it was, or says what is wrong.

use std::io;
use std::sync::{Arc, Mutex};

use imprimatur_ledger::{Book, Keyring};

use super::edits;
use super::world::WORLD;

/// A file in memory.
#[derive(Clone, Debug)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl redb::StorageBackend for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(u64::try_from(self.0.lock().unwrap().len()).unwrap())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        let part = bytes.get(at..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // A header that lies about its length must not take the machine's memory.
        let len = usize::try_from(len).unwrap();
        if len > 64 << 20 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.0.lock().unwrap().resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let at = usize::try_from(offset).unwrap();
        let end = at.checked_add(data.len()).ok_or(io::ErrorKind::InvalidInput)?;
        let part = bytes.get_mut(at..end).ok_or(io::ErrorKind::UnexpectedEof)?;
        part.copy_from_slice(data);
        Ok(())
    }
}

/// Edits of the book.
pub fn seeds() -> Vec<Vec<u8>> {
    edits::seeds(1)
}

/// Whatever the disk made of it, nothing panics; a book that opens can be read, and one that nobody touched has
/// its journal.
pub fn run(data: &[u8]) {
    let book = WORLD.chosen(|path| path.ends_with("book.redb"))[0];
    let mut files = [book.1.clone()];
    edits::apply(data, &mut files);
    let [file] = files;
    let untouched = file == book.1;
    let keyring = Keyring::read_only(&WORLD.path().join("keys")).unwrap();
    let opened = Book::over(WORLD.path(), Memory(Arc::new(Mutex::new(file))), keyring);
    assert!(!untouched || opened.is_ok(), "{opened:?}");
    let Ok(book) = opened else { return };
    let journal = book.journal(99);
    if untouched {
        assert_eq!(journal.unwrap().len(), 1, "the journal was lost");
    }
    // Each reads a table to its end; an error is an answer.
    drop((book.counts(), book.policies(), book.log_size()));
    drop((book.events_after(0), book.commits_after(0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which page a place in the file is changes with the tables of the book, so places all over it are tried.
    #[test]
    fn a_damaged_page_is_told_as_damage() {
        let whole = &WORLD.chosen(|path| path.ends_with("book.redb"))[0].1;
        let told = |place: u8| {
            let mut files = [whole.clone()];
            edits::apply(&[0, 0, place, 0, u8::MAX, 0x55], &mut files);
            let [file] = files;
            let keyring = Keyring::read_only(&WORLD.path().join("keys")).unwrap();
            let opened = Book::over(WORLD.path(), Memory(Arc::new(Mutex::new(file))), keyring);
            opened.err().map(|error| error.to_string())
        };
        let all: Vec<String> = (0..=u8::MAX).filter_map(told).collect();
        let names_it = |told: &&String| told.contains("damaged") && told.contains("backup restore");
        assert!(all.iter().any(|told| names_it(&told)), "{all:?}");
    }

    #[test]
    fn what_once_went_wrong_goes_right() {
        run(&std::fs::read("corpus/journal/damaged-page").unwrap());
    }
}
