//! Tests of erasure on the device: every byte of the folder, raw and decoded, is searched.

use std::fs;
use std::path::Path;

use imprimatur_proto::rights::v1::RightsStatus;

use super::*;

/// What must be gone, by name.
type Canaries = Vec<(&'static str, Vec<u8>)>;

fn canaries(room: &Room) -> Canaries {
    let agent = room.agent.lock();
    let identity = agent.state.identity.as_ref().unwrap();
    let (seed, subject) = (identity.key().seed(), identity.subject());
    let principal = identity.principal;
    drop(agent);
    let frame = room.spool().values().next().unwrap().clone();
    let batch = frame::open(contract(), &frame).unwrap().batch;
    let pending = room.agent.lock().store.scan(Space::Pending, b"").unwrap();
    let report = pending[0].1[8..].to_vec();
    vec![
        ("subject", subject.0.to_vec()),
        ("subject in JSON", subject.to_string().into_bytes()),
        ("principal", principal.0.to_vec()),
        ("principal in JSON", principal.to_string().into_bytes()),
        ("key", seed.to_vec()),
        ("key in JSON", Digest(seed).to_string().into_bytes()),
        ("frame", frame[..400].to_vec()),
        ("batch", batch),
        ("values", report),
    ]
}

/// Every file of a folder, and every entry of the open store.
fn everything(room: &Room) -> Vec<u8> {
    let mut bytes = Vec::new();
    files(room.folder.path(), &mut bytes);
    for entry in room.agent.lock().store.dump() {
        bytes.extend(entry.0);
        bytes.extend(entry.1);
    }
    bytes
}

fn files(place: &Path, into: &mut Vec<u8>) {
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, into);
        } else {
            into.extend(fs::read(path).unwrap());
        }
    }
}

fn found(room: &Room, canaries: &Canaries) -> Vec<&'static str> {
    let bytes = everything(room);
    let there = |canary: &&(&'static str, Vec<u8>)| {
        bytes.windows(canary.1.len()).any(|window| window == canary.1)
    };
    canaries.iter().filter(there).map(|canary| canary.0).collect()
}

/// A room with all that is to be found: a key, a spooled frame, a pending report, receipts.
fn planted() -> (Room, Canaries) {
    let room = Room::granted(&[Category::Status, Category::PrintTime, Category::Material]);
    room.print();
    room.agent.seal_all().unwrap();
    room.day();
    let canaries = canaries(&room);
    (room, canaries)
}

/// Without it a search that finds nothing proves nothing.
fn all_there(room: &Room, canaries: &Canaries) {
    // The raw key, and the raw principal, are in no file: they are stored as hex.
    let raw = ["principal", "key"];
    let there = found(room, canaries);
    let missing: Vec<_> =
        canaries.iter().map(|canary| canary.0).filter(|name| !there.contains(name)).collect();
    assert_eq!(missing, raw.iter().filter(|n| missing.contains(n)).copied().collect::<Vec<_>>());
    assert!(there.len() >= 7, "{there:?}");
}

#[test]
fn an_erasure_leaves_nothing_in_any_byte_of_the_folder() {
    let (room, canaries) = planted();
    all_there(&room, &canaries);
    room.agent.exercise(&Exercise::Erase {}).unwrap();
    let left = found(&room, &canaries);
    for gone in ["frame", "batch", "values"] {
        assert!(!left.contains(&gone), "{gone} after the erasure began");
    }
    assert!(left.contains(&"key in JSON"), "the key is kept until it is done");
    room.announce();
    room.converse(RightsStatus::Done);
    assert_eq!(found(&room, &canaries), Vec::<&str>::new());
    let room = room.restart();
    assert_eq!(found(&room, &canaries), Vec::<&str>::new());
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn a_full_withdrawal_leaves_no_frame_and_no_value() {
    let (room, canaries) = planted();
    room.agent.withdraw(None).unwrap();
    let left = found(&room, &canaries);
    for gone in ["frame", "batch", "values"] {
        assert!(!left.contains(&gone), "{gone}");
    }
}

#[test]
fn a_wipe_leaves_nothing_at_all() {
    let (room, canaries) = planted();
    all_there(&room, &canaries);
    let Room { folder, agent, .. } = room;
    fs::write(folder.path().join("agent.toml"), "settings").unwrap();
    assert!(matches!(crate::store::wipe(folder.path()), Err(StoreError::InUse)));
    drop(agent);
    crate::store::wipe(folder.path()).unwrap();
    let mut bytes = Vec::new();
    files(folder.path(), &mut bytes);
    assert_eq!(bytes, b"settings");
}

/// sled alone does not erase: what was deleted stays in its file until a rebuild.
#[test]
fn without_a_rebuild_the_deleted_bytes_stay_in_the_file() {
    let (room, canaries) = planted();
    let mut agent = room.agent.lock();
    let mut draft = agent.draft();
    for space in [Space::Spool, Space::Pending, Space::Receipt, Space::Log] {
        draft.purge(&agent.store, space).unwrap();
    }
    draft.state.identity = None;
    agent.commit(draft).unwrap();
    drop(agent);
    let left = found(&room, &canaries);
    for stays in ["frame", "key in JSON", "values"] {
        assert!(left.contains(&stays), "sled removed `{stays}` by itself: {left:?}");
    }
    room.agent.lock().state.rebuild = true;
    room.agent.show().unwrap();
    assert_eq!(found(&room, &canaries), Vec::<&str>::new());
}

#[test]
fn a_rebuild_that_is_interrupted_ends_at_the_next_start() {
    for step in 0..4 {
        let (room, canaries) = planted();
        room.agent.exercise(&Exercise::Erase {}).unwrap();
        let before = room.agent.requests().unwrap();
        let Room { folder, clock, agent, collector, spool_bytes_max } = room;
        drop(agent);
        let [store, new, old] =
            ["store", "store.new", "store.old"].map(|name| folder.path().join(name));
        let copy = |to: &Path| {
            fs::create_dir(to).unwrap();
            for entry in fs::read_dir(&store).unwrap() {
                let from = entry.unwrap().path();
                if from.is_file() {
                    fs::copy(&from, to.join(from.file_name().unwrap())).unwrap();
                }
            }
        };
        match step {
            // The copy was begun.
            0 => {
                fs::create_dir(&new).unwrap();
                fs::write(new.join("db"), "half").unwrap();
            }
            // The copy is whole, the old one is still in place.
            1 => copy(&new),
            // The old one is away.
            2 => {
                copy(&new);
                fs::rename(&store, &old).unwrap();
            }
            // The new one is in place.
            _ => copy(&old),
        }
        let agent = open(folder.path(), &clock, &collector, spool_bytes_max).unwrap();
        let room = Room { folder, clock, agent, collector, spool_bytes_max };
        assert_eq!(room.agent.requests().unwrap(), before, "step {step}");
        assert!(!new.exists() && !old.exists() && store.exists(), "step {step}");
        room.announce();
        room.converse(RightsStatus::Done);
        assert_eq!(found(&room, &canaries), Vec::<&str>::new(), "step {step}");
    }
}
