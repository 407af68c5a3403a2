//! Tests of a farm's signed list: it grants once, where it names this printer, and no more.

use std::fs;

use imprimatur_consent::PrincipalId;
use imprimatur_consent::mandate::{Mandate, PrinterName};
use imprimatur_proto::consent::v1::Method;

use super::*;

fn owner() -> SigningSeed {
    SigningSeed::from_seed(&[6; 32])
}

/// A printer of a farm, and where its list is.
fn printer() -> Room {
    let room = Room::new();
    let mandate = room.folder.path().join("mandate");
    let key = VerifyingKey::from_bytes(&owner().public()).unwrap();
    let farm = Farm { mandate, key, printer: "hall 1".to_owned() };
    room.with(|settings| settings.farm = Some(farm))
}

fn list(categories: &[Category]) -> Mandate {
    let salt = Digest([7; 32]);
    Mandate {
        principal: PrincipalId([9; 16]),
        salt,
        printers: ["hall 1", "hall 2"].map(|name| PrinterName::of(salt, name)).into(),
        categories: categories.iter().copied().collect(),
        policy: Policy::read(STRICTEST).unwrap().hash,
        notice_language: "en".to_owned(),
        date: TODAY,
        until: UtcDate(TODAY.0 + 30),
    }
}

fn place(room: &Room, list: &Mandate, key: &SigningSeed) {
    fs::write(room.folder.path().join("mandate"), list.sign(key).unwrap()).unwrap();
    room.agent.heed_mandate().unwrap();
}

fn granted(room: &Room) -> Vec<Category> {
    let flags = room.agent.lock().state.flags.clone();
    Category::ALL.into_iter().filter(|category| flags.granted(*category)).collect()
}

#[test]
fn a_list_that_names_this_printer_grants_once_and_says_whose_act_it_was() {
    let room = printer();
    room.agent.heed_mandate().unwrap();
    assert!(granted(&room).is_empty(), "no list, no yes");
    let both = list(&[Category::Status, Category::Faults]);
    place(&room, &both, &owner());
    let event = said(&room.event().unwrap()).0;
    assert_eq!((event.method(), event.mandate_hash), (Method::Mandate, both.hash().0.to_vec()));
    assert_eq!((event.principal, event.recovery_key.len()), (vec![9; 16], 0));
    room.announce();
    room.agent.withdraw(Some(&[Category::Faults])).unwrap();
    room.agent.heed_mandate().unwrap();
    let room = room.with(|_same| {});
    room.agent.heed_mandate().unwrap();
    assert_eq!(granted(&room), [Category::Status], "what is withdrawn here stays withdrawn");
    let room = room.restart();
    room.agent.heed_mandate().unwrap();
    assert!(granted(&room).is_empty(), "without `[farm]` in the settings it has no say");
}

#[test]
fn a_list_that_is_gone_over_changed_or_of_others_takes_back_what_it_granted() {
    let ends = |ends: &dyn Fn(&Room)| {
        let room = printer();
        place(&room, &list(&[Category::Status]), &owner());
        room.announce();
        assert_eq!(granted(&room), [Category::Status]);
        ends(&room);
        room.agent.heed_mandate().unwrap();
        granted(&room)
    };
    assert_eq!(ends(&|_| {}), [Category::Status], "the list as it was");
    let none = Vec::<Category>::new();
    assert_eq!(ends(&|room| fs::remove_file(room.folder.path().join("mandate")).unwrap()), none);
    assert_eq!(ends(&|room| (0..31).for_each(|_| room.next_day())), none);
    let stranger = SigningSeed::from_seed(&[5; 32]);
    assert_eq!(ends(&|room| place(room, &list(&[Category::Status]), &stranger)), none);
    let mut elsewhere = list(&[Category::Status]);
    elsewhere.printers = [PrinterName::of(elsewhere.salt, "hall 2")].into();
    assert_eq!(ends(&|room| place(room, &elsewhere, &owner())), none);
    let other = Mandate { policy: Digest([1; 32]), ..list(&[Category::Status]) };
    assert_eq!(ends(&|room| place(room, &other, &owner())), none);
    let narrower = list(&[Category::Faults]);
    assert_eq!(ends(&|room| place(room, &narrower, &owner())), [Category::Faults]);
}

#[test]
fn a_list_that_was_away_brings_back_no_more_than_it_had() {
    let room = printer();
    let both = list(&[Category::Status, Category::Faults]);
    place(&room, &both, &owner());
    room.announce();
    fs::remove_file(room.folder.path().join("mandate")).unwrap();
    room.agent.heed_mandate().unwrap();
    assert!(granted(&room).is_empty());
    room.announce();
    place(&room, &both, &owner());
    assert_eq!(granted(&room), [Category::Status, Category::Faults]);
}

#[test]
fn what_is_denied_or_another_owners_is_not_granted_by_a_list() {
    let room = printer().with(|settings| settings.deny = [Category::Faults].into());
    place(&room, &list(&[Category::Status, Category::Faults]), &owner());
    assert_eq!(granted(&room), [Category::Status]);
    let room = printer();
    room.agent.grant(&[Category::Laser], None).unwrap();
    place(&room, &list(&[Category::Status]), &owner());
    assert_eq!(granted(&room), [Category::Laser], "somebody else decides here");
}

#[test]
fn a_printer_that_was_handed_over_heeds_the_old_list_no_more() {
    let room = printer();
    let old = list(&[Category::Status]);
    place(&room, &old, &owner());
    room.announce();
    room.agent.handover().unwrap();
    place(&room, &old, &owner());
    assert!(granted(&room).is_empty());
    let again = Mandate { until: UtcDate(TODAY.0 + 31), ..old };
    place(&room, &again, &owner());
    assert_eq!(granted(&room), [Category::Status], "a new act of the owner");
}
