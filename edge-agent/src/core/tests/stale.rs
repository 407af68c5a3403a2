//! Tests of what waited: sent while it may be, stripped or deleted when it may not, never unlooked at.

use super::*;

fn sealed(room: &Room) {
    room.print();
    room.agent.seal_all().unwrap();
}

fn numbers(frames: &[OfferedFrame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.sequence).collect()
}

#[test]
fn what_the_collector_takes_no_more_is_deleted_and_counted() {
    let room = Room::granted(&[Category::Status]);
    sealed(&room);
    room.next_day();
    sealed(&room);
    (1..OLDEST_RECORD_DAYS).for_each(|_| room.next_day());
    assert_eq!(numbers(&room.offered()), [1, 2], "as old as may be");
    room.next_day();
    assert_eq!(numbers(&room.offered()), [2]);
    let counts = reconciled(&room).counts;
    assert_eq!((counts.purged, counts.stale, counts.records.purged), (1, 1, 1));
    let noted = |line: &Line| line.noted == Noted::Stale { purged: 1 };
    assert!(room.agent.log().unwrap().iter().any(noted));
}

/// A grant that began later than what waits, as no decision leaves it.
fn regrant(room: &Room, category: Category) {
    let mut agent = room.agent.lock();
    let later = UnixSeconds(agent.clock.now().0 + 86_400);
    agent.state.flags.0.get_mut(&category).unwrap().since = later;
}

#[test]
fn what_is_not_covered_since_its_date_is_taken_out_before_it_leaves() {
    for offered in [false, true] {
        let room = Room::granted(&[Category::Status, Category::PrintTime]);
        sealed(&room);
        if offered {
            assert_eq!(numbers(&room.offered()), [1]);
        }
        regrant(&room, Category::PrintTime);
        let left = room.offered();
        if offered {
            // It may be stored: the rest under another number would count twice.
            assert!(left.is_empty());
            assert_eq!(reconciled(&room).counts.stale, 1);
        } else {
            assert_eq!(numbers(&left), [2]);
            assert_eq!(told(&left[0].bytes), [Category::Status].into());
            assert_eq!(reconciled(&room).counts.resealed, 1);
        }
    }
}

#[test]
fn a_batch_of_which_nothing_is_covered_is_deleted() {
    let room = Room::granted(&[Category::Status]);
    sealed(&room);
    regrant(&room, Category::Status);
    assert!(room.offered().is_empty() && room.spool().is_empty());
    assert_eq!(reconciled(&room).counts.stale, 1);
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn a_batch_under_an_overtaken_policy_is_sealed_again_unless_it_was_offered() {
    for offered in [false, true] {
        let room = Room::granted(&[Category::Status]);
        sealed(&room);
        if offered {
            assert_eq!(numbers(&room.offered()), [1]);
        }
        room.agent.lock().settings.policy.hash = Digest([5; 32]);
        room.agent.grant(&[Category::PrintTime], None).unwrap();
        room.announce();
        let left = room.offered();
        let policy = batch(&left[0].bytes).header.unwrap().policy_hash;
        if offered {
            assert_eq!(numbers(&left), [1], "its verdict tells");
        } else {
            assert_eq!((numbers(&left), policy), (vec![2], vec![5; 32]));
        }
        reconciled(&room);
    }
}
