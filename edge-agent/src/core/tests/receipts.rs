//! Tests of receipts: only what the log proves is believed, and only of the log that was seen before.

use super::*;

impl Room {
    /// The next event, and what the collector would answer.
    fn answered(&self) -> (Vec<u8>, Receipt) {
        let event = self.event().unwrap();
        let receipt = self.collector.answer(&event, ReceiptStatus::Recorded);
        (event, receipt)
    }

    fn hear(&self, receipt: &Receipt) -> Heard {
        self.agent.on_receipt(&self.collector.sign_receipt(receipt)).unwrap()
    }
}

/// Alters a good receipt; it must not be believed, and the same unaltered must be.
#[track_caller]
fn disbelieved(alter: impl FnOnce(&mut Receipt), why: Ignored) {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    let (_, good) = room.answered();
    let mut bad = good.clone();
    alter(&mut bad);
    assert_eq!(room.hear(&bad), Heard::Ignored(why));
    let overview = room.agent.show().unwrap();
    assert!(overview.doubt && overview.ignored_answers == 1);
    assert!(room.offered().is_empty(), "a batch leaves in doubt");
    let room = room.restart();
    assert!(room.agent.show().unwrap().doubt && room.agent.errand().unwrap().is_none());
    // On another day the collector proves what it should.
    room.next_day();
    room.announce();
    assert!(!room.agent.show().unwrap().doubt);
    assert_eq!(room.offered().len(), 1);
}

#[test]
fn a_receipt_without_its_proof_is_not_believed() {
    disbelieved(|receipt| receipt.nonce[0] ^= 1, Ignored::Unproven);
    disbelieved(|receipt| receipt.event_signature[0] ^= 1, Ignored::Unproven);
    disbelieved(|receipt| receipt.log_index = 1, Ignored::Unproven);
    disbelieved(|receipt| receipt.log_index = 0, Ignored::Unproven);
    disbelieved(|receipt| receipt.inclusion_proof.clear(), Ignored::Unproven);
    disbelieved(|receipt| *receipt.checkpoint.last_mut().unwrap() ^= 1, Ignored::Unproven);
    disbelieved(|receipt| receipt.checkpoint.clear(), Ignored::Unproven);
}

#[test]
fn an_older_or_another_log_is_not_believed() {
    disbelieved(|receipt| receipt.consistency_proof.push(0), Ignored::Rollback);
    disbelieved(|receipt| receipt.consistency_proof[0] ^= 1, Ignored::Rollback);
    disbelieved(|receipt| receipt.log_key = vec![7; 32], Ignored::Rollback);
    let other = LogKey::from_seed(&[44; 32]);
    let rekeyed = |receipt: &mut Receipt| {
        let mut log = MemoryLog::new();
        log.push(b"one".to_vec());
        log.push(b"two".to_vec());
        prove(receipt, &log, 1, &other);
    };
    disbelieved(rekeyed, Ignored::Rollback);
    let forked = |receipt: &mut Receipt| {
        let mut log = MemoryLog::new();
        (0..5).for_each(|number: u8| log.push(vec![number; 33]));
        prove(receipt, &log, 1, &LogKey::from_seed(&[43; 32]));
    };
    disbelieved(forked, Ignored::Rollback);
}

#[test]
fn a_log_that_lost_its_end_is_a_rollback() {
    let room = Room::granted(&[Category::Status]);
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    room.announce();
    // A backup of before is restored: its log is shorter than what was shown.
    *room.collector.book.lock().unwrap() = Book::default();
    room.agent.grant(&[Category::Material], None).unwrap();
    let (_, receipt) = room.answered();
    assert_eq!(room.hear(&receipt), Heard::Ignored(Ignored::Rollback));
    let doubted = |line: &Line| matches!(line.noted, Noted::Doubted { sequence: 3 });
    assert!(room.agent.log().unwrap().iter().any(doubted));
    assert_eq!(room.agent.errand().unwrap(), None, "not asked again today");
}

#[test]
fn each_event_names_the_newest_log_and_its_receipt_is_kept_with_its_proof() {
    let room = Room::new();
    room.agent.grant(&[Category::Status], None).unwrap();
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    let (event, receipt) = room.answered();
    assert_eq!(said(&event).0.seen_log_size, 0);
    room.hear(&receipt);
    // The second was signed before the first receipt came: it is signed again.
    let (event, receipt) = room.answered();
    assert_eq!((said(&event).0.seen_log_size, said(&event).0.sequence), (1, 3));
    room.hear(&receipt);
    assert_eq!(room.agent.show().unwrap().valid_until, Some(UtcDate(TODAY.0 + 365)));
    let lines = room.agent.export_local().unwrap();
    let of = |kind: &str| lines.iter().filter(|line| line["kind"] == kind).count();
    assert_eq!((of("receipt"), of("answer"), of("checkpoint"), of("policy")), (2, 11, 1, 1));
    let kept = lines.iter().rfind(|line| line["kind"] == "receipt").unwrap();
    assert_eq!(kept["value"]["event"], hex::encode(&event));
}

#[test]
fn a_refusal_needs_no_proof_and_starts_no_doubt() {
    let room = Room::granted(&[Category::Status]);
    room.agent.grant(&[Category::PrintTime], None).unwrap();
    let event = room.event().unwrap();
    let refused = room.collector.receipt(&event, ReceiptStatus::PolicyUnknown);
    assert_eq!(
        room.agent.on_receipt(&refused).unwrap(),
        Heard::Receipt(ReceiptStatus::PolicyUnknown)
    );
    assert!(!room.agent.show().unwrap().doubt);
}

#[test]
fn an_ended_subject_stops_asking() {
    let room = Room::granted(&[Category::Status]);
    room.agent.withdraw(None).unwrap();
    let event = room.event().unwrap();
    let ended = room.collector.receipt(&event, ReceiptStatus::SubjectEnded);
    room.agent.on_receipt(&ended).unwrap();
    room.next_day();
    assert_eq!(room.agent.errand().unwrap(), None);
}
