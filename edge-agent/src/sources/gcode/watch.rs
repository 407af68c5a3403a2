//! A folder that a slicer writes to: each new file is read once, its name is never told.
//!
//! Files that were there at the start are not slices of today and are left alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};

use crate::reading::{Said, Sliced};
use crate::sources::error::SourceError;
use crate::sources::gcode::settings::GcodeSettings;
use crate::sources::link::{Link, Read};

/// Files of a folder that are looked at. A folder with more is an archive, not an output folder.
const FILES_MAX: usize = 10_000;

/// How files of slicers end: G-code, and archives of resin printers.
const ENDINGS: [&str; 5] = ["gcode", "gco", "g", "sl1", "sl1s"];

/// Reads one folder.
#[derive(Debug)]
pub(crate) struct Reader {
    folder: PathBuf,
    poll: Duration,
    seen: Option<BTreeMap<PathBuf, Stamp>>,
}

/// What tells that a file was written anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: SystemTime,
    /// Whether its facts were told.
    told: bool,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.folder.display().to_string()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let mut ticks = interval(self.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let folder = self.folder.clone();
            let seen = self.seen.clone();
            let looked = tokio::task::spawn_blocking(move || look(&folder, seen)).await;
            let (seen, sliced) = match looked {
                Ok(Ok(found)) => found,
                Ok(Err(source)) => {
                    return Err(SourceError::Folder { path: self.folder.clone(), source });
                }
                Err(_stopping) => return Err(SourceError::Closed),
            };
            self.seen = Some(seen);
            link.readable();
            link.tell(sliced.into_iter().map(Said::SlicedFile).collect()).await?;
        }
    }
}

impl Reader {
    pub(crate) fn new(settings: GcodeSettings) -> Self {
        Self { folder: settings.folder, poll: settings.poll, seen: None }
    }
}

/// Lists the folder; reads each file whose writing has ended since the last look.
fn look(
    folder: &Path,
    seen: Option<BTreeMap<PathBuf, Stamp>>,
) -> std::io::Result<(BTreeMap<PathBuf, Stamp>, Vec<Sliced>)> {
    let first_look = seen.is_none();
    let seen = seen.unwrap_or_default();
    let mut now = BTreeMap::new();
    let mut sliced = Vec::new();
    for entry in std::fs::read_dir(folder)?.take(FILES_MAX) {
        let entry = entry?;
        let path = entry.path();
        let is_sliced = path
            .extension()
            .is_some_and(|end| ENDINGS.iter().any(|known| end.eq_ignore_ascii_case(known)));
        if !is_sliced {
            continue;
        }
        // A file that goes away meanwhile is no error.
        let Ok(facts) = entry.metadata() else { continue };
        let (true, Ok(modified)) = (facts.is_file(), facts.modified()) else { continue };
        let mut stamp = Stamp { length: facts.len(), modified, told: first_look };
        if let Some(old) = seen.get(&path)
            && (old.length, old.modified) == (stamp.length, stamp.modified)
        {
            stamp.told = old.told;
            // Unchanged for one interval: the slicer has finished it.
            if !old.told
                && let Ok(facts) = super::read(&path)
            {
                sliced.extend(facts);
                stamp.told = true;
            }
        }
        now.insert(path, stamp);
    }
    Ok((now, sliced))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_told_once_when_its_writing_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("old.gcode"), "; layer_height = 0.1\n").unwrap();
        let (seen, told) = look(folder.path(), None).unwrap();
        assert_eq!(told, []);
        std::fs::write(folder.path().join("new.gcode"), "; layer_height = 0.2\n").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "; layer_height = 0.3\n").unwrap();
        let (seen, told) = look(folder.path(), Some(seen)).unwrap();
        assert_eq!(told, [], "it may still be being written");
        let (seen, told) = look(folder.path(), Some(seen)).unwrap();
        assert_eq!(told, [Sliced { layer_height: Some(0.2), ..Sliced::default() }]);
        let (_, told) = look(folder.path(), Some(seen)).unwrap();
        assert_eq!(told, []);
    }
}
