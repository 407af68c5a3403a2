//! Everything at rest, as raw bytes and as what programs read out of it.

use std::fs;
use std::path::Path;

use imprimatur_consent::SubjectId;
use imprimatur_ledger::Book;
use imprimatur_proto::record::RecordKind;
use redb::{
    Key, ReadTransaction, ReadableDatabase as _, ReadableTable as _, TableDefinition,
    TableHandle as _, Value,
};

use super::scene::Scene;
use crate::rig::Rig;

/// A place and what lies there.
pub(super) type Place = (String, Vec<u8>);

/// All that rests with collector, broker and agent; neither collector nor agent may run.
pub(super) fn at_rest(scene: &Scene) -> Vec<Place> {
    let rig = &scene.rig;
    let mut all = Vec::new();
    files(&rig.data(), &mut all);
    files(&scene.host.data(), &mut all);
    logs(rig, &mut all);
    all.push(("rows of the lake".to_owned(), rows(rig)));
    all.extend(book(&rig.data()));
    all.push(("entries of the agent".to_owned(), store(&scene.host.data())));
    for place in ["book.redb", "keyring", ".parquet", "catalogue.json", "consent-", "checkpoint"] {
        assert!(all.iter().any(|one| one.0.contains(place)), "nothing was read in {place}");
    }
    all
}

/// All that lies in the backup, and what its book reads as.
pub(super) fn backed_up(scene: &Scene) -> Vec<Place> {
    let mut all = Vec::new();
    files(&scene.backup(), &mut all);
    all.extend(book(&scene.backup()));
    all
}

fn logs(rig: &Rig, into: &mut Vec<Place>) {
    for entry in fs::read_dir(rig.folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "log") {
            into.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    into.push(("log of the broker".to_owned(), rig.broker.log_text().into_bytes()));
}

/// Every file of a folder, to any depth.
fn files(folder: &Path, into: &mut Vec<Place>) {
    for entry in fs::read_dir(folder).unwrap() {
        let (path, kind) = entry.map(|entry| (entry.path(), entry.file_type().unwrap())).unwrap();
        if kind.is_dir() {
            files(&path, into);
        } else if kind.is_file() {
            into.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
}

/// All rows as they read; no file may be there that the catalogue does not name.
fn rows(rig: &Rig) -> Vec<u8> {
    let mut there = Vec::new();
    files(&rig.data().join("lake"), &mut there);
    let parquet = there.iter().filter(|(place, _)| place.ends_with(".parquet")).count();
    assert_eq!(parquet, rig.catalogue().unwrap().files.len(), "an old file is still there");
    let mut all = Vec::new();
    for row in RecordKind::ALL.iter().flat_map(|kind| rig.rows(*kind)) {
        all.extend([&row.subject.0[..], &row.principal.0].concat());
        all.extend(format!("{row:?}").into_bytes());
    }
    all
}

/// Whether a book knows a subject. It is opened as a collector opens it, keys included: a copy.
pub(super) fn knows(data: &Path, subject: SubjectId) -> bool {
    let copy = copied(data);
    Book::open(copy.path()).unwrap().known(subject).is_some()
}

/// All tables of a book, entry by entry.
fn book(data: &Path) -> Vec<Place> {
    let copy = tempfile::tempdir().unwrap();
    let file = copy.path().join("book.redb");
    fs::copy(data.join("book.redb"), &file).unwrap();
    let database = redb::Database::open(file).unwrap();
    let read = database.begin_read().unwrap();
    let tables: Vec<_> = read.list_tables().unwrap().map(|one| one.name().to_owned()).collect();
    assert!(tables.iter().any(|name| name == "subjects"), "{tables:?}");
    let whole = |name: String| (format!("table `{name}`"), table(&read, &name));
    tables.into_iter().map(whole).collect()
}

/// A table of whatever form.
fn table(read: &ReadTransaction, name: &str) -> Vec<u8> {
    let forms = [
        entries::<u64, &[u8]>,
        entries::<(u64, u64), &[u8]>,
        entries::<[u8; 16], &[u8]>,
        entries::<[u8; 32], &[u8]>,
        entries::<&str, &[u8]>,
        entries::<&str, u64>,
        entries::<u32, u64>,
        entries::<(u32, &str), u64>,
        entries::<u64, ()>,
        entries::<u64, (u64, u64)>,
        entries::<(u64, u32), ()>,
        entries::<(u32, [u8; 16]), ()>,
        entries::<(u8, u64), [u8; 32]>,
    ];
    let found = forms.iter().find_map(|form| form(read, name));
    found.unwrap_or_else(|| panic!("table `{name}` has a form that this test cannot read"))
}

fn entries<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    name: &str,
) -> Option<Vec<u8>> {
    let table = read.open_table(TableDefinition::<K, V>::new(name)).ok()?;
    let mut all = Vec::new();
    for entry in table.iter().unwrap() {
        let (key, value) = entry.unwrap();
        all.extend_from_slice(K::as_bytes(&key.value()).as_ref());
        all.extend_from_slice(V::as_bytes(&value.value()).as_ref());
    }
    Some(all)
}

/// All entries of an agent's store.
fn store(agent: &Path) -> Vec<u8> {
    let copy = copied(&agent.join("store"));
    let store = sled::open(copy.path()).unwrap();
    let entries: Vec<_> = store.iter().map(Result::unwrap).collect();
    assert!(!entries.is_empty(), "the store was not read");
    entries.iter().flat_map(|(key, value)| [&key[..], value].concat()).collect()
}

/// The state that an agent keeps.
pub(super) fn state(agent: &Path) -> serde_json::Value {
    let copy = copied(&agent.join("store"));
    let state = sled::open(copy.path()).unwrap().get(b"s").unwrap().unwrap();
    serde_json::from_slice(&state).unwrap()
}

/// A copy of a folder, so that reading changes nothing.
fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    copy(from, to.path());
    to
}

fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir(&to).unwrap();
            fs::set_permissions(&to, path.metadata().unwrap().permissions()).unwrap();
            copy(&path, &to);
        } else if path.is_file() {
            fs::copy(&path, &to).unwrap();
        }
    }
}
