//! Files: the walk through folders, how each file is opened, and who nobody knows.
//!
//! Links are not followed and nothing but a regular file is opened. A file that is gone before it is
//! opened is not held, so it is no finding.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use imprimatur_consent::Policy;
use imprimatur_consent::policy::BYTES_MAX;
use imprimatur_ledger::{CommitEvidence, ConsentEvidence};

use super::layout::{Known, Lists};
use super::searcher::{Found, Own};
use super::{Progress, Scan};

/// Folders below folders that are entered.
const DEPTH: usize = 16;

/// How often a file that a running collector may be about to name is looked for, 50 ms apart.
const LOOKS: u32 = 40;

/// Bytes of a segment that a crash may leave.
const LEFTOVER_MAX: usize = 256 << 20;

/// What a packed log may unpack to.
const UNPACKED_MAX: u64 = 64 << 30;

/// A file that was found.
struct Listed {
    path: PathBuf,
    length: u64,
}

/// Searches every file of the folder, and the files of logs.
pub(crate) fn all(
    scan: &mut Scan<'_>,
    data: &Path,
    logs: &[PathBuf],
    told: &mut dyn FnMut(Progress),
) {
    let (mut own, mut of_logs) = (Vec::new(), Vec::new());
    walk(scan, data, 0, &mut own);
    for folder in logs {
        walk(scan, folder, 0, &mut of_logs);
    }
    let lengths = own.iter().chain(&of_logs).map(|file| file.length);
    let mut progress = Progress { done: 0, total: lengths.fold(0, u64::saturating_add) };
    let mut more = |bytes: u64| {
        progress.done = progress.done.saturating_add(bytes);
        told(progress);
    };
    let lists = Lists::now(data);
    let mut strangers = Vec::new();
    for file in own {
        let inside = file.path.strip_prefix(data).unwrap_or(&file.path).to_owned();
        let known = lists.known(&inside, file.length);
        scan.scanned.files += 1;
        // A collector writes a file of the lake before it names it; one that stays unnamed is a stranger.
        let own = if inside.starts_with("lake") { Own::ZstdPages } else { Own::Nothing };
        if known != Some(Known::Keys) {
            search(scan, &file.path, &inside, own, &mut more);
        }
        match known {
            Some(Known::Leftover) => leftover(scan, &file.path, &inside),
            Some(Known::Policy) => policy(scan, &file.path, &inside),
            Some(Known::Plain | Known::Keys) => {}
            None => strangers.push((file.path, inside, file.length)),
        }
    }
    report_strangers(scan, data, strangers);
    for file in of_logs {
        scan.scanned.log_files += 1;
        search_log(scan, &file.path, &mut more);
    }
}

/// A path as text that a report may hold: without control characters.
fn shown(path: &Path) -> String {
    path.display().to_string().escape_debug().collect()
}

/// All regular files below a folder. What cannot be read, and what is no file, is a finding.
fn walk(scan: &mut Scan<'_>, path: &Path, depth: usize, files: &mut Vec<Listed>) {
    // The folders of a collector may be links to another disk; nothing below them may be.
    let metadata = if depth <= 1 { fs::metadata(path) } else { fs::symlink_metadata(path) };
    let metadata = match metadata {
        Ok(metadata) => metadata,
        Err(error) if depth > 0 && error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return scan.geometry.found(&shown(path), &error.to_string()),
    };
    if metadata.is_file() {
        files.push(Listed { path: path.to_owned(), length: metadata.len() });
        return;
    }
    if !metadata.is_dir() {
        return no_file(scan, path, depth);
    }
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    match entries {
        Ok(_) if depth > DEPTH => scan.geometry.found(&shown(path), "lies deeper than is read"),
        Ok(mut entries) => {
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                walk(scan, &entry.path(), depth + 1, files);
            }
        }
        Err(error) => scan.geometry.found(&shown(path), &error.to_string()),
    }
}

/// A link, a pipe or a device; the collector's own door is one.
fn no_file(scan: &mut Scan<'_>, path: &Path, depth: usize) {
    let door = depth == 1 && path.file_name().is_some_and(|name| name == "collector.sock");
    let problem = "is no file; links are not followed, and nothing else is opened";
    scan.geometry.expect(door, &shown(path), problem);
}

/// Searches the name and the bytes of one file.
fn search(scan: &mut Scan<'_>, path: &Path, inside: &Path, own: Own, more: &mut dyn FnMut(u64)) {
    name(scan, inside);
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    match opened {
        Ok((length, mut file)) => stream(scan, &mut file, Some(length), &shown(inside), own, more),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => scan.geometry.found(&shown(inside), &error.to_string()),
    }
}

/// Searches a log; one that is packed with gzip is unpacked.
fn search_log(scan: &mut Scan<'_>, path: &Path, more: &mut dyn FnMut(u64)) {
    if path.extension().is_none_or(|extension| extension != "gz") {
        return search(scan, path, path, Own::Nothing, more);
    }
    name(scan, path);
    let shown = shown(path);
    match File::open(path) {
        Ok(file) => {
            let mut unpacked = flate2::read::MultiGzDecoder::new(file).take(UNPACKED_MAX);
            stream(scan, &mut unpacked, None, &format!("{shown}, unpacked"), Own::Nothing, more);
            let whole = unpacked.limit() > 0;
            scan.geometry.expect(whole, &shown, "unpacks to more than is read");
        }
        Err(error) => scan.geometry.found(&shown, &error.to_string()),
    }
}

fn name(scan: &mut Scan<'_>, path: &Path) {
    let mut found = Found::default();
    scan.searcher.bytes(path.as_os_str().as_encoded_bytes(), Own::Nothing, &mut found);
    if found.hits().next().is_some() {
        scan.enter(&format!("the name of {}", shown(path)), &found);
    }
}

fn stream(
    scan: &mut Scan<'_>,
    stream: &mut dyn Read,
    length: Option<u64>,
    place: &str,
    own: Own,
    more: &mut dyn FnMut(u64),
) {
    let mut found = Found::default();
    match scan.searcher.stream(stream, length, own, &mut found, more) {
        Ok(bytes) => scan.scanned.bytes = scan.scanned.bytes.saturating_add(bytes),
        Err(error) => scan.geometry.found(place, &format!("cannot be read: {error}")),
    }
    scan.enter(place, &found);
}

/// A segment that no manifest names holds evidence and nothing else: each line, written again, is
/// the same.
fn leftover(scan: &mut Scan<'_>, path: &Path, inside: &Path) {
    let Ok(bytes) = read_at_most(path, LEFTOVER_MAX) else { return };
    let same = |line: &[u8]| {
        let event = serde_json::from_slice::<ConsentEvidence>(line).ok();
        let event = event.and_then(|event| serde_json::to_vec(&event).ok());
        let commit = serde_json::from_slice::<CommitEvidence>(line).ok();
        let commit = commit.and_then(|commit| serde_json::to_vec(&commit).ok());
        event.as_deref() == Some(line) || commit.as_deref() == Some(line)
    };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let whole = bytes.len() <= LEFTOVER_MAX;
    let fine = whole && lines.all(|line| line.strip_suffix(b"\n").is_some_and(same));
    scan.geometry.expect(fine, &shown(inside), "is named like evidence and is none");
}

/// What is named like a policy is one.
fn policy(scan: &mut Scan<'_>, path: &Path, inside: &Path) {
    let Ok(text) = read_at_most(path, BYTES_MAX) else { return };
    let fine = String::from_utf8(text).is_ok_and(|text| Policy::read(&text).is_ok());
    scan.geometry.expect(fine, &shown(inside), "is named like a policy and is none");
}

/// The first bytes of a file; one more than `most` when it has more.
fn read_at_most(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Files that nobody knows. A collector that runs names a file of the lake after it is written, and
/// removes one after no catalogue names it.
fn report_strangers(scan: &mut Scan<'_>, data: &Path, mut strangers: Vec<(PathBuf, PathBuf, u64)>) {
    for _ in 0..LOOKS {
        let lists = Lists::now(data);
        strangers.retain(|(path, inside, length)| {
            path.symlink_metadata().is_ok() && lists.known(inside, *length).is_none()
        });
        if !strangers.iter().any(|(path, ..)| may_change(path)) {
            break;
        }
        pause();
    }
    for (_, inside, _) in strangers {
        let problem = "is no file of a collector: no layout, catalogue or manifest names it";
        scan.geometry.found(&shown(&inside), problem);
    }
}

fn may_change(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp" || extension == "parquet")
}

fn pause() {
    #[expect(
        clippy::disallowed_methods,
        reason = "a collector names its files when it publishes; there is nothing to wait for in a \
                  folder that may be a copy"
    )]
    std::thread::sleep(Duration::from_millis(50));
}
