//! A collector's folder that was right: two owners, what they allowed and took back, and what was stored.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{fs, io};

use super::collector::Collector;

/// What a folder holds.
pub(crate) struct World {
    folder: tempfile::TempDir,
    /// Files inside, sorted, and what they hold.
    pub(crate) files: Vec<(PathBuf, Vec<u8>)>,
}

/// Made once, and brought back after each input.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::open(folder.path());
    collector.grant(1, 1);
    collector.grant(2, 1);
    for (seed, number) in [(1, 1), (2, 1)] {
        collector.store(seed, number);
    }
    collector.publish();
    collector.withdraw(2, 2);
    // One batch is still in the journal.
    collector.store(1, 2);
    drop(collector);
    let mut files = Vec::new();
    gather(folder.path(), &mut files).unwrap();
    files.sort();
    World { folder, files }
});

fn gather(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else {
            let content = fs::read(&path)?;
            files.push((path, content));
        }
    }
    Ok(())
}

impl World {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The files whose path inside the folder is chosen.
    pub(crate) fn chosen(&self, choose: impl Fn(&Path) -> bool) -> Vec<&(PathBuf, Vec<u8>)> {
        let inside = |path: &Path| choose(path.strip_prefix(self.path()).unwrap_or(path));
        self.files.iter().filter(|(path, _)| inside(path)).collect()
    }
}
