//! A publication killed at each of its steps: afterwards every row is there once, and the verifier
//! finds nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use std::collections::BTreeSet;
use std::path::Path;

use imprimatur_collector::control::Ask;
use imprimatur_collector::operator::Act;
use imprimatur_collector::publisher::Step;
use imprimatur_consent::SigningSeed;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_ledger::Label;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_runtime::UtcDate;
use imprimatur_verifier::{Trust, Verdict, Wanted, verify_all, verify_ledger};

use crate::rig::{
    GRANTED, Rig, TODAY, batch, day, decision, granted, owner, print, sealed, signed_by,
};

/// Publications that make files enough to be merged.
const FILES: u64 = 18;

/// A collector a day later.
fn later(folder: tempfile::TempDir) -> Rig {
    let rig = Rig::over(folder, &[STRICTEST.to_owned()]);
    rig.on(UtcDate(TODAY.0 + 1));
    rig
}

/// The same over a copy of a folder.
fn over(before: &tempfile::TempDir) -> Rig {
    let folder = tempfile::tempdir().unwrap();
    copy(before.path(), folder.path());
    later(folder)
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (entry, to) = (entry.path(), to.join(entry.file_name()));
        if entry.is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry, &to);
        } else {
            std::fs::copy(&entry, &to).unwrap();
        }
    }
}

/// A collector with many small files of yesterday, one row on its way, and an erasure to finish.
async fn busy() -> Rig {
    let mut rig = granted().await;
    // Many files of one date are more than a printer may tell of it.
    rig.book.label(Label::Load).unwrap();
    let other = SigningSeed::from_seed(&[8; 32]);
    let event = ConsentEvent {
        public_key: other.public().to_vec(),
        principal: vec![5; 16],
        ..decision(1, Decision::Granted, &GRANTED)
    };
    rig.tell(&signed_by(&other, &event)).await;
    for number in 1..=FILES {
        let mut frame = batch(number, vec![print()]);
        frame.days = vec![day(3)];
        assert_eq!(rig.submit(&sealed(&frame)).await.outcome(), Outcome::Stored);
        rig.publish();
    }
    assert_eq!(rig.catalogue().files.len(), 2 * usize::try_from(FILES).unwrap());
    rig.on(UtcDate(TODAY.0 + 1));
    let last = rig.submit(&sealed(&batch(FILES + 1, vec![print()]))).await;
    assert_eq!(last.outcome(), Outcome::Stored);
    rig.operator.answer(&Ask::Subject { subject: other.subject(), act: Act::Erase {} });
    rig
}

/// Rows by commit and ordinal; each once.
fn rows(rig: &Rig) -> BTreeSet<(u64, u32)> {
    let rows = rig.rows();
    let places: BTreeSet<_> = rows.iter().map(|row| (row.commit, row.ordinal)).collect();
    assert_eq!(places.len(), rows.len(), "a row is there twice");
    places
}

#[tokio::test]
async fn a_publication_that_is_killed_at_any_step_is_finished_by_the_next() {
    let before = busy().await.end().await;
    let mut whole = over(&before);
    whole.publish();
    let expected = rows(&whole);
    assert_eq!(u64::try_from(expected.len()).unwrap(), 2 * FILES + 1);
    assert_eq!(whole.catalogue().files.len(), 2, "the files of the date are merged");
    for step in Step::ALL {
        let mut rig = over(&before);
        rig.end_at(step);
        assert!(rig.try_publish().is_err(), "{step:?} was not reached");
        // What a reader sees between the kill and the next start is whole, too.
        assert!(rows(&rig).is_subset(&expected), "{step:?}");
        let mut rig = later(rig.end().await);
        rig.publish();
        assert_eq!(rows(&rig), expected, "{step:?}");
        assert_eq!(rig.journal(), 0);
        assert_eq!(rig.catalogue().files.len(), 2, "{step:?}");
        let trust = Trust::default();
        let report = verify_ledger(&rig.data(), &trust).unwrap();
        assert!(report.holds, "{step:?}: {report}");
        let copies = tempfile::tempdir().unwrap();
        let copy = copies.path().join("book.redb");
        std::fs::copy(rig.data().join("book.redb"), &copy).unwrap();
        let wanted = Wanted { book: Some(copy), ..Wanted::default() };
        let report = verify_all(&rig.data(), &wanted, &mut |_| {}).unwrap();
        assert_eq!(report.verdict, Verdict::Holds, "{step:?}: {report}");
        assert_eq!(rig.publish(), 0, "nothing is left to do");
    }
    assert!(whole.book.known(owner().subject()).is_some());
}
