//! A published ledger that somebody changed: log, evidence and keys, as `ledger verify` reads them.

use std::fs;
use std::path::Path;

use imprimatur_verifier::{Trust, verify_still_ledger};

use super::edits;
use super::world::WORLD;

/// What a verifier of the ledger reads.
fn published(path: &Path) -> bool {
    ["log", "evidence", "keys"].iter().any(|folder| path.starts_with(folder))
}

/// Edits of each file.
pub fn seeds() -> Vec<Vec<u8>> {
    let files = WORLD.chosen(published).len();
    edits::seeds(u8::try_from(files).unwrap())
}

/// Whatever was changed, the verifier answers; what nobody changed holds.
pub fn run(data: &[u8]) {
    let files = WORLD.chosen(published);
    let mut contents: Vec<Vec<u8>> = files.iter().map(|file| file.1.clone()).collect();
    edits::apply(data, &mut contents);
    let changed = || files.iter().zip(&contents).filter(|(file, content)| file.1 != **content);
    for (file, content) in changed() {
        fs::write(&file.0, content).unwrap();
    }
    let verified = verify_still_ledger(WORLD.path(), &Trust::default());
    let touched = changed().count();
    for (file, _) in changed() {
        fs::write(&file.0, &file.1).unwrap();
    }
    match verified {
        Ok(report) => assert!(touched > 0 || report.holds, "{report:?}"),
        Err(error) => assert!(touched > 0, "{error}"),
    }
}
