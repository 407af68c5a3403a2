//! A collector that publishes while the verifier reads.

use std::cell::Cell;

use imprimatur_consent::Invariant;

use super::collector::Collector;
use super::world::values;
use super::{caught, proven};
use crate::snapshot::settled;
use crate::{SnapshotError, Trust, verify, verify_ledger};

#[test]
fn a_publication_that_is_under_way_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::open(folder.path());
    collector.grant(1, 1);
    collector.store(1, 1);
    collector.publish();
    // The catalogue is swapped already, log and manifest are not; a key is destroyed already.
    collector.store(1, 2);
    collector.ask_for_erasure(1);
    collector.move_journal();
    collector.work_off();
    collector.store_catalogue();
    let now = values(folder.path(), &Trust::default());
    assert!(matches!(now, Err(SnapshotError::Apart)), "{now:?}");
    let ledger = crate::verify_ledger_now(folder.path(), &Trust::default()).unwrap();
    caught(&ledger, Invariant::ErasureProvable, "the log knows of no erasure");
    // The rest comes after the first look.
    let looks = Cell::new(0);
    let found = settled(folder.path(), || {
        let found = values(folder.path(), &Trust::default());
        if looks.replace(looks.get() + 1) == 0 {
            collector.publish_evidence();
        }
        found
    });
    proven(&found.unwrap());
    assert_eq!(looks.get(), 2);
    proven(&verify_ledger(folder.path(), &Trust::default()).unwrap());
}

#[test]
fn a_publication_that_broke_off_does_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::open(folder.path());
    collector.grant(1, 1);
    collector.publish();
    collector.store(1, 1);
    collector.move_journal();
    collector.store_catalogue();
    let error = verify(folder.path(), &Trust::default()).unwrap_err().to_string();
    assert!(error.contains("let the collector publish again"), "{error}");
    // The next start publishes again.
    collector.publish();
    proven(&verify(folder.path(), &Trust::default()).unwrap());
}
