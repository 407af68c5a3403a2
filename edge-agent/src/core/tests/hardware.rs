//! Tests of other hardware: a restored image, a resale, and a handover by hand.

use std::fs;
use std::path::Path;

use super::*;

/// Makes a folder look like a host with this board.
fn board(root: &Path, serial: &str) {
    let place = root.join("proc/device-tree");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("serial-number"), serial).unwrap();
}

/// A room on a board, with a grant that was recorded.
fn on(serial: &str) -> Room {
    let room = Room::new();
    board(&room.folder.path().join("host"), serial);
    room.agent.grant(&[Category::Status], None).unwrap();
    room.announce();
    room.print();
    room.agent.seal_all().unwrap();
    room
}

fn transferred(room: &Room, subject: SubjectId) {
    assert!(room.agent.lock().state.flags.0.is_empty(), "the answers are open again");
    assert!(room.agent.lock().state.identity.is_none() && room.spool().is_empty());
    assert_eq!(room.print(), Recorded::NothingAllowed);
    let errand = room.agent.errand().unwrap().unwrap();
    assert!(errand.retired && errand.says == Says::Event && errand.subject == subject);
    let event = said(&room.event().unwrap()).0;
    assert_eq!((event.decision(), event.categories.len()), (Decision::Transferred, 11));
    // Whoever has the device now asks nothing in the old owner's name.
    let asked = room.agent.exercise(&Exercise::Export {});
    assert!(matches!(asked, Err(AgentError::NothingHeld)));
    room.announce();
    assert_eq!(room.agent.errand().unwrap(), None);
    let retired = room.agent.lock().store.scan(Space::Retired, b"").unwrap();
    assert!(retired.is_empty(), "the key goes with its last word");
}

#[test]
fn consent_on_other_hardware_counts_as_none() {
    let room = on("board one");
    let subject = room.agent.show().unwrap().subject.unwrap();
    let room = room.restart();
    assert_eq!(room.agent.show().unwrap().subject, Some(subject), "the same board");
    board(&room.folder.path().join("host"), "board two");
    let room = room.restart();
    transferred(&room, subject);
    let lines = room.agent.log().unwrap();
    assert!(lines.iter().any(|line| line.noted == Noted::OtherHardware), "{lines:?}");
    room.agent.grant(&[Category::Status], None).unwrap();
    let room = room.restart();
    assert!(room.agent.show().unwrap().subject.is_some(), "a yes on this board holds");
}

#[test]
fn a_reopened_store_is_looked_at_again() {
    let room = on("board one");
    let subject = room.agent.show().unwrap().subject.unwrap();
    board(&room.folder.path().join("host"), "board two");
    room.agent.lock().stale = true;
    assert_eq!(room.agent.show().unwrap().subject, None);
    transferred(&room, subject);
}

#[test]
fn without_any_fact_nothing_is_told_apart() {
    let room = Room::granted(&[Category::Status]).restart();
    assert!(room.agent.show().unwrap().subject.is_some());
}

#[test]
fn a_handover_does_the_same_by_hand() {
    let room = on("board one");
    let subject = room.agent.show().unwrap().subject.unwrap();
    assert!(room.agent.handover().unwrap());
    transferred(&room, subject);
    assert!(!room.agent.handover().unwrap(), "nothing is granted any more");
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn a_withdrawal_that_waits_is_still_said_after_a_handover() {
    let room = on("board one");
    room.agent.withdraw(None).unwrap();
    room.agent.handover().unwrap();
    let event = said(&room.event().unwrap()).0;
    assert_eq!(event.decision(), Decision::Withdrawn);
    room.announce();
    let retired = room.agent.lock().store.scan(Space::Retired, b"").unwrap();
    assert!(retired.is_empty());
}
