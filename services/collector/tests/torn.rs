//! Files that a crash or a hand cut short: none is believed, and what was half written goes at the
//! next start.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::fs;
use std::path::{Path, PathBuf};

use imprimatur_consent::policy::STRICTEST;
use imprimatur_verifier::{Trust, verify};

use crate::rig::{Rig, batch, granted, print, sealed};

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn believed(data: &Path) -> bool {
    verify(data, &Trust::default()).is_ok_and(|report| report.holds)
}

#[tokio::test]
async fn no_file_that_was_cut_is_believed() {
    let mut rig = granted().await;
    rig.submit(&sealed(&batch(1, vec![print()]))).await;
    rig.publish();
    let folder = rig.end().await;
    let data = folder.path();
    assert!(believed(data));
    let mut cut = 0;
    // The keyring is the book's to refuse.
    for path in ["evidence", "log", "lake"].iter().flat_map(|name| files(&data.join(name))) {
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(!believed(data), "{} without its last byte", path.display());
        cut += 1;
        fs::write(&path, &whole).unwrap();
    }
    assert!(cut >= 9, "{cut}");
    assert!(believed(data));
}

#[tokio::test]
async fn catalogue_overview_and_manifest_that_were_cut_are_written_anew() {
    let mut rig = granted().await;
    rig.submit(&sealed(&batch(1, vec![print()]))).await;
    rig.publish();
    let folder = rig.end().await;
    for name in ["lake/catalogue.json", "lake/overview.json", "evidence/manifest.json"] {
        let path = folder.path().join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    }
    let mut rig = Rig::over(folder, &[STRICTEST.to_owned()]);
    rig.publish();
    assert!(believed(&rig.data()));
    assert_eq!(rig.rows().len(), 1);
}

#[tokio::test]
async fn what_a_crash_left_half_written_goes_at_the_next_start() {
    let mut rig = granted().await;
    rig.submit(&sealed(&batch(1, vec![print()]))).await;
    rig.publish();
    let folder = rig.end().await;
    let before = files(folder.path()).len();
    let date = files(&folder.path().join("lake/print")).remove(0);
    for name in [
        "evidence/manifest.tmp",
        "log/tile/0/000.tmp",
        "log/checkpoint.tmp",
        "lake/catalogue.tmp",
        "policies/strictest-1.tmp",
        "collector.tmp",
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"half").unwrap();
    }
    fs::write(date.with_extension("tmp"), b"half").unwrap();
    assert!(!believed(folder.path()), "they are files that nobody knows");
    let mut rig = Rig::over(folder, &[STRICTEST.to_owned()]);
    rig.publish();
    let left = files(&rig.data());
    assert!(left.iter().all(|path| path.extension().is_none_or(|end| end != "tmp")), "{left:?}");
    assert!(left.len() >= before && believed(&rig.data()));
}
