//! Tests of stores that cannot be believed: nothing is collected, nothing is said, the owner is told.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::*;
use crate::store::Distrust;

/// Opens a folder that something happened to, after a withdrawal that must not be forgotten.
fn after(happens: impl FnOnce(&Path)) -> Result<Room, StoreError> {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    let Room { folder, clock, agent, collector, spool_bytes_max } = room;
    drop(agent);
    settled(folder.path());
    happens(folder.path());
    match open(folder.path(), &clock, &collector, spool_bytes_max) {
        Ok(agent) => Ok(Room { folder, clock, agent, collector, spool_bytes_max }),
        Err(AgentError::Store(error)) => {
            assert!(error.unusable(), "{error}");
            Err(error)
        }
        Err(other) => panic!("{other}"),
    }
}

/// Waits until sled gave up its file.
fn settled(folder: &Path) {
    drop(crate::store::Store::open(folder).unwrap());
    let file = fs::File::open(db(folder)).unwrap();
    file.lock().unwrap();
}

fn db(folder: &Path) -> PathBuf {
    folder.join("store/db")
}

fn distrusted(happens: impl FnOnce(&Path)) -> Distrust {
    match after(happens) {
        Err(StoreError::Distrusted { why, .. }) => why,
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it was opened"),
    }
}

#[test]
fn an_untouched_store_opens_with_what_it_held() {
    let room = after(|_| {}).unwrap();
    let flags = room.agent.lock().state.flags.clone();
    assert_eq!(flags.flag(Category::PrintTime), Flag::Refused);
    assert_eq!(flags.flag(Category::Status), Flag::Granted);
}

#[test]
fn a_half_written_store_is_refused() {
    let cut = after(|folder| {
        let mut bytes = fs::read(db(folder)).unwrap();
        let last = bytes.windows(8).rposition(|part| part == b"\"form\":3").unwrap();
        bytes.truncate(last + 20);
        fs::write(db(folder), bytes).unwrap();
    });
    let error = cut.map(|_opened| ()).unwrap_err();
    assert!(matches!(error, StoreError::Lost | StoreError::Corrupt(_)), "{error:?}");
}

#[test]
fn a_corrupt_store_is_refused() {
    let garbage = after(|folder| {
        let length = fs::metadata(db(folder)).unwrap().len();
        fs::write(db(folder), vec![0x5a; usize::try_from(length).unwrap()]).unwrap();
    });
    assert!(matches!(garbage, Err(StoreError::Lost | StoreError::Corrupt(_))));
    let empty = after(|folder| fs::write(db(folder), "").unwrap());
    assert!(matches!(empty, Err(StoreError::Lost | StoreError::Corrupt(_))));
    let tally = after(|folder| fs::write(folder.join("tally"), "").unwrap());
    assert!(matches!(tally, Err(StoreError::Lost)));
}

#[test]
fn a_missing_store_is_refused_and_a_missing_folder_is_a_fresh_start() {
    let store = after(|folder| fs::remove_dir_all(folder.join("store")).unwrap());
    assert!(matches!(store, Err(StoreError::Lost)));
    let tally = after(|folder| fs::remove_file(folder.join("tally")).unwrap());
    assert!(matches!(tally, Err(StoreError::Lost)));
    let fresh = after(|folder| fs::remove_dir_all(folder).unwrap()).unwrap();
    assert!(fresh.agent.lock().state.flags.0.is_empty(), "it collects nothing");
}

#[test]
fn an_older_copy_is_refused() {
    let room = Room::granted(&[Category::Status]);
    let Room { folder, clock, agent, collector, spool_bytes_max } = room;
    drop(agent);
    settled(folder.path());
    let old = fs::read(db(folder.path())).unwrap();
    let agent = open(folder.path(), &clock, &collector, spool_bytes_max).unwrap();
    agent.refuse(&[Category::Status]).unwrap();
    drop(agent);
    settled(folder.path());
    fs::write(db(folder.path()), old).unwrap();
    let opened = open(folder.path(), &clock, &collector, spool_bytes_max);
    assert!(matches!(opened, Err(AgentError::Store(StoreError::Lost))), "it seems granted in it");
}

#[test]
fn what_others_may_write_is_refused() {
    let open_to = |place: &'static str, mode| {
        distrusted(move |folder| {
            fs::set_permissions(folder.join(place), Permissions::from_mode(mode)).unwrap();
        })
    };
    assert_eq!(open_to("", 0o777), Distrust::Writable);
    assert_eq!(open_to("store", 0o722), Distrust::Writable);
    assert_eq!(open_to("store/db", 0o666), Distrust::Writable);
    assert_eq!(open_to("tally", 0o620), Distrust::Writable);
    let readable = after(|folder| {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    });
    let room = readable.unwrap();
    let mode = fs::metadata(room.folder.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o700, "only readable: it is tightened");
}

#[test]
fn what_belongs_to_another_user_is_refused() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give files away; `guard` tests the rule itself.
        return;
    }
    let nobody = |place: &'static str| {
        distrusted(move |folder| {
            std::os::unix::fs::chown(folder.join(place), Some(65_534), None).unwrap();
        })
    };
    assert_eq!(nobody("store/db"), Distrust::Foreign);
    assert_eq!(nobody("store"), Distrust::Foreign);
    assert_eq!(nobody(""), Distrust::Foreign);
}

#[test]
fn a_link_is_not_followed() {
    let linked = |place: &'static str| {
        distrusted(move |folder| {
            let (from, to) = (folder.join(place), folder.with_extension("away"));
            fs::rename(&from, &to).unwrap();
            symlink(&to, &from).unwrap();
        })
    };
    assert_eq!(linked("store"), Distrust::Link);
    assert_eq!(linked("store/db"), Distrust::Link);
    let outside = tempfile::tempdir().unwrap();
    let room = Room::new();
    let link = outside.path().join("link");
    symlink(room.folder.path(), &link).unwrap();
    drop(room.agent);
    let opened = open(&link, &room.clock, &room.collector, SPOOL_BYTES_MAX);
    let why = Distrust::Link;
    assert!(
        matches!(opened, Err(AgentError::Store(StoreError::Distrusted { why: w, .. })) if w == why)
    );
}

#[test]
fn a_state_of_another_version_or_form_is_refused() {
    let written = |bytes: &[u8]| {
        let room = Room::granted(&[Category::Status]);
        let count = room.agent.lock().state.next_line + 100;
        let mut change = crate::store::Change::default();
        change.put(Space::State, b"", bytes);
        room.agent.lock().store.commit(change, count).unwrap();
        let Room { folder, clock, agent, collector, spool_bytes_max } = room;
        drop(agent);
        match open(folder.path(), &clock, &collector, spool_bytes_max) {
            Err(AgentError::Store(error)) if error.unusable() => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert!(written(b"{\"form\":4}").contains("form 4"));
    assert!(written(b"{\"flags\":{}}").contains("form 1"), "before forms had numbers");
    assert!(written(b"{\"form\":3,\"flags\":7}").contains("cannot be read"));
    assert!(written(b"garbage").contains("cannot be read"));
}

#[test]
fn of_random_damage_none_brings_a_withdrawn_yes_back() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    let Room { folder, clock, agent, collector, spool_bytes_max } = room;
    drop(agent);
    settled(folder.path());
    let good = fs::read(db(folder.path())).unwrap();
    let (mut refused, mut seed) = (0, 88_172_645_463_325_252_u64);
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % u64::try_from(below).unwrap()).unwrap()
    };
    for _ in 0..24 {
        let mut bytes = good.clone();
        let at = random(bytes.len());
        match random(3) {
            0 => bytes.truncate(at),
            1 => bytes[at] ^= 1 << random(8),
            _ => bytes[at..].iter_mut().take(4096).for_each(|byte| *byte = 0),
        }
        fs::write(db(folder.path()), bytes).unwrap();
        match open(folder.path(), &clock, &collector, spool_bytes_max) {
            Ok(agent) => {
                assert_eq!(agent.lock().state.flags.flag(Category::PrintTime), Flag::Refused);
                drop(agent);
            }
            Err(_) => refused += 1,
        }
        fs::write(db(folder.path()), &good).unwrap();
    }
    assert!(refused > 0, "no damage was seen");
}
