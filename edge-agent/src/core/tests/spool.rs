//! Tests of the spool: its bound, its checksums, its counts and the form before this one.

use super::*;

fn dropped(frame: &[u8]) -> u32 {
    batch(frame).header.unwrap().dropped
}

fn numbers(room: &Room) -> Vec<u64> {
    room.spool().keys().copied().collect()
}

fn sealed(room: &Room) -> Sealed {
    room.print();
    room.agent.seal_all().unwrap()
}

/// A room with room for so many of the smallest frames.
fn cramped(frames: u64) -> Room {
    let room = Room::with_spool(frames * 512);
    room.agent.grant(&[Category::Status], None).unwrap();
    room.announce();
    room
}

#[test]
fn a_full_spool_drops_the_oldest_and_tells_it_later() {
    let room = cramped(2);
    for _ in 0..2 {
        assert_eq!(sealed(&room), Sealed { batches: 1, dropped: 0 });
    }
    assert_eq!(sealed(&room), Sealed { batches: 1, dropped: 1 });
    assert_eq!((numbers(&room), dropped(&room.spool()[&3])), (vec![2, 3], 0));
    sealed(&room);
    assert_eq!((numbers(&room), dropped(&room.spool()[&4])), (vec![3, 4], 1));
    let overview = reconciled(&room);
    let counts = overview.counts;
    assert_eq!((counts.sealed, counts.dropped, overview.spool_bytes), (4, 2, 1024));
    assert_eq!((counts.collected, counts.records.dropped), (4, 2));
    let noted = |line: &Line| line.noted == Noted::Dropped { batches: 1 };
    assert_eq!(room.agent.log().unwrap().iter().filter(|line| noted(line)).count(), 2);
    let room = room.restart();
    assert_eq!(reconciled(&room).counts, counts, "the counts survive");
    assert_eq!(room.agent.lock().state.identity.as_ref().unwrap().untold, 1);
}

#[test]
fn a_spool_with_room_drops_nothing() {
    let room = cramped(3);
    for _ in 0..3 {
        sealed(&room);
    }
    assert_eq!((numbers(&room), reconciled(&room).counts.dropped), (vec![1, 2, 3], 0));
}

#[test]
fn several_batches_of_one_seal_make_room_for_each_other() {
    let room = cramped(2);
    for _ in 0..3 {
        room.print();
        room.next_day();
    }
    assert_eq!(room.agent.seal_all().unwrap(), Sealed { batches: 3, dropped: 1 });
    assert_eq!(numbers(&room), [2, 3]);
    reconciled(&room);
}

#[test]
fn a_batch_larger_than_the_spool_is_dropped_itself() {
    let room = Room::with_spool(511);
    room.agent.grant(&[Category::Status], None).unwrap();
    assert_eq!(sealed(&room), Sealed { batches: 0, dropped: 1 });
    assert!(numbers(&room).is_empty());
    assert_eq!(reconciled(&room).counts.dropped, 1);
    assert_eq!(room.agent.lock().state.identity.as_ref().unwrap().untold, 1);
}

#[test]
fn a_header_tells_at_most_255_and_what_told_and_went_is_told_again() {
    let room = cramped(1);
    room.agent.lock().state.identity.as_mut().unwrap().untold = 300;
    sealed(&room);
    assert_eq!(dropped(&room.spool()[&1]), 255);
    sealed(&room);
    assert_eq!(dropped(&room.spool()[&2]), 45);
    // The first was dropped: what it told, and it itself, are to be told.
    assert_eq!(room.agent.lock().state.identity.as_ref().unwrap().untold, 256);
    let stored = room.collector.verdict(&room.spool()[&2], RefusalReason::Unspecified, &[]);
    room.agent.on_verdict(&stored).unwrap();
    assert_eq!(room.agent.lock().state.identity.as_ref().unwrap().untold, 256);
    sealed(&room);
    assert_eq!(dropped(&room.spool()[&3]), 255);
    let refused = room.collector.verdict(&room.spool()[&3], RefusalReason::DateOutOfRange, &[]);
    room.agent.on_verdict(&refused).unwrap();
    assert_eq!(room.agent.lock().state.identity.as_ref().unwrap().untold, 256);
    assert_eq!(reconciled(&room).counts.refused, 1);
    room.agent.withdraw(None).unwrap();
    room.agent.grant(&[Category::Status], None).unwrap();
    sealed(&room);
    assert_eq!(dropped(&room.spool()[&1]), 0, "a new key tells nothing of the one before");
}

#[test]
fn what_a_batch_tells_of_drops_stays_when_it_is_sealed_again() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.agent.lock().state.identity.as_mut().unwrap().untold = 3;
    sealed(&room);
    room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    assert_eq!((numbers(&room), dropped(&room.spool()[&2])), (vec![2], 3));
    let counts = reconciled(&room).counts;
    assert_eq!((counts.sealed, counts.resealed, counts.purged), (1, 1, 0));
    room.announce();
    let refused =
        room.collector.verdict(&room.spool()[&2], RefusalReason::NoGrant, &[Category::Laser]);
    room.agent.on_verdict(&refused).unwrap();
    assert_eq!(room.agent.lock().state.identity.as_ref().unwrap().untold, 3);
}

#[test]
fn each_time_on_the_wire_and_each_verdict_is_counted() {
    let room = Room::granted(&[Category::Status]);
    for _ in 0..3 {
        sealed(&room);
    }
    assert_eq!((room.offered().len(), room.offered().len()), (3, 3));
    let errand = room.agent.errand().unwrap().unwrap();
    let mut room_for = 1;
    let send = |_: &OfferedFrame| std::mem::take(&mut room_for) == 1;
    assert_eq!(room.agent.offer_frames(&errand, &[], 8, send).unwrap(), [1]);
    assert_eq!(reconciled(&room).counts.sent, 7, "what the wire did not take is not sent");
    let frames = room.spool();
    let heard = |number: u64, reason| {
        let verdict = room.collector.verdict(&frames[&number], reason, &[]);
        room.agent.on_verdict(&verdict).unwrap()
    };
    heard(1, RefusalReason::Unspecified);
    heard(1, RefusalReason::Unspecified);
    heard(2, RefusalReason::DateOutOfRange);
    let counts = reconciled(&room).counts;
    assert_eq!((counts.stored, counts.refused, counts.sealed, counts.collected), (1, 1, 3, 3));
    room.agent.withdraw(None).unwrap();
    let counts = reconciled(&room).counts;
    assert_eq!((counts.purged, counts.records.purged), (1, 1));
    room.agent.handover().unwrap();
    assert_eq!(reconciled(&room).counts, Counts::default());
}

/// Changes the stored value of a frame, as a failing memory card does.
fn damage(room: &Room, sequence: u64, change: impl FnOnce(&mut Vec<u8>)) {
    let mut agent = room.agent.lock();
    let mut value = agent.store.get(Space::Spool, &sequence.to_be_bytes()).unwrap().unwrap();
    change(&mut value);
    let mut draft = agent.draft();
    draft.change.put(Space::Spool, &sequence.to_be_bytes(), &value);
    agent.commit(draft).unwrap();
}

#[test]
fn a_damaged_batch_is_never_sent_and_is_counted_and_said() {
    for restarts in [false, true] {
        let mut room = Room::granted(&[Category::Status]);
        for _ in 0..3 {
            sealed(&room);
        }
        let damaged = room.spool()[&2].clone();
        damage(&room, 2, |value| value[100] ^= 1);
        if restarts {
            room = room.restart();
            assert_eq!(numbers(&room), [1, 3]);
        }
        let offered = room.offered();
        assert_eq!(offered.iter().map(|frame| frame.sequence).collect::<Vec<_>>(), [1, 3]);
        let overview = reconciled(&room);
        let counts = overview.counts;
        assert_eq!((counts.purged, counts.damaged, counts.records.purged), (1, 1, 1));
        assert_eq!(overview.spool_bytes, 1024);
        let noted = |line: &Line| line.noted == Noted::Damaged { purged: 1 };
        assert!(room.agent.log().unwrap().iter().any(noted));
        let late = room.collector.verdict(&damaged, RefusalReason::Unspecified, &[]);
        assert_eq!(room.agent.on_verdict(&late).unwrap(), Heard::Ignored(Ignored::Unmatched));
    }
}

#[test]
fn a_damaged_batch_is_not_shown_stripped_or_believed() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    for _ in 0..2 {
        sealed(&room);
    }
    let frame = room.spool()[&1].clone();
    damage(&room, 1, |value| value.truncate(300));
    assert_eq!(batch(&room.agent.preview().unwrap().bytes).header.unwrap().sequence, 2);
    room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    assert_eq!(numbers(&room), [3]);
    assert_eq!(told(&room.spool()[&3]), [Category::Status].into());
    damage(&room, 3, |value| value[2] ^= 1);
    let verdict = room.collector.verdict(&frame, RefusalReason::Unspecified, &[]);
    assert_eq!(room.agent.on_verdict(&verdict).unwrap(), Heard::Ignored(Ignored::Unmatched));
}

#[test]
fn a_store_of_the_form_before_is_brought_to_this_one_and_loses_nothing() {
    let room = Room::granted(&[Category::Status]);
    for _ in 0..2 {
        sealed(&room);
    }
    assert_eq!(room.offered().len(), 2);
    sealed(&room);
    room.print();
    let frames = room.spool();
    {
        let mut agent = room.agent.lock();
        let mut draft = agent.draft();
        for (sequence, frame) in &frames {
            let old = [&[u8::from(*sequence < 3)], &frame[..]].concat();
            draft.change.put(Space::Spool, &sequence.to_be_bytes(), &old);
        }
        agent.commit(draft).unwrap();
        // The state of form 2 has no counts.
        let state = agent.store.get(Space::State, b"").unwrap().unwrap();
        let mut state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        state["form"] = 2.into();
        state.as_object_mut().unwrap().remove("counts");
        let commits = state["commits"].as_u64().unwrap() + 1;
        state["commits"] = commits.into();
        let mut change = crate::store::Change::default();
        change.put(Space::State, b"", &serde_json::to_vec(&state).unwrap());
        agent.store.commit(change, commits).unwrap();
    }
    let room = room.restart();
    assert_eq!(room.spool(), frames);
    let counts = reconciled(&room).counts;
    assert_eq!((counts.sealed, counts.collected, counts.damaged), (3, 4, 0));
    let offered = |sequence: u64| {
        let value = room.agent.lock().store.get(Space::Spool, &sequence.to_be_bytes());
        value.unwrap().unwrap()[0]
    };
    assert_eq!([1, 2, 3].map(offered), [1, 1, 0], "what may be stored is known");
    let room = room.restart();
    assert_eq!(reconciled(&room).counts, counts);
}
