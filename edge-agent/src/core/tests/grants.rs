//! Tests of the yes: what is asked, affirmed, renewed, denied, and what an expired one lets through.

use imprimatur_consent::State;
use imprimatur_proto::consent::v1::{Affirmation, Method};

use super::*;

fn state(room: &Room, category: Category) -> State {
    let categories = room.agent.show().unwrap().categories;
    categories.iter().find(|state| state.category == category).unwrap().state
}

#[test]
fn a_yes_says_how_and_when_it_was_asked() {
    let room = Room::new();
    room.agent.asked(&[Category::Status, Category::Laser]).unwrap();
    assert_eq!(state(&room, Category::Status), State::Requested);
    assert_eq!(state(&room, Category::Machine), State::Unknown);
    assert!(room.agent.lock().state.identity.is_none() && room.agent.errand().unwrap().is_none());
    room.next_day();
    room.agent.asked(&[Category::Status]).unwrap();
    room.agent.grant(&[Category::Status], None).unwrap();
    let (event, _) = said(&room.event().unwrap());
    assert_eq!(event.requested_date, TODAY.0, "the first time counts");
    assert_eq!(event.notice_language, b"en");
    assert_eq!(
        (event.method(), event.affirmation()),
        (Method::Command, Affirmation::AgeAndAuthority)
    );
    room.announce();
    room.agent.withdraw(None).unwrap();
    let (event, _) = said(&room.event().unwrap());
    assert!(event.notice_language.is_empty() && event.recovery_key.is_empty());
    assert_eq!((event.method(), event.requested_date), (Method::Unspecified, 0));
    assert_eq!(state(&room, Category::Status), State::Withdrawn);
}

#[test]
fn a_clock_that_went_back_makes_no_answer_older_than_its_question() {
    let room = Room::new();
    room.clock.advance(Duration::from_mins(23 * 60 + 4));
    room.agent.asked(&[Category::Status]).unwrap();
    assert_eq!(room.clock.today().0, TODAY.0 + 1);
    room.clock.set(UnixSeconds(room.clock.now().0 - 9 * 60));
    room.agent.grant(&[Category::Status], None).unwrap();
    let (event, _) = said(&room.event().unwrap());
    assert_eq!((event.date, event.requested_date), (TODAY.0, TODAY.0));
}

#[test]
fn a_waiting_first_grant_keeps_its_recovery_key_under_a_new_number() {
    let room = Room::new();
    room.agent.grant(&[Category::Status], None).unwrap();
    let first = said(&room.event().unwrap()).0;
    let refused = room.collector.receipt(&room.event().unwrap(), ReceiptStatus::PolicyUnknown);
    room.agent.on_receipt(&refused).unwrap();
    room.next_day();
    let again = said(&room.event().unwrap()).0;
    assert!(again.sequence > first.sequence);
    assert_eq!((again.recovery_key.len(), &again.recovery_key), (32, &first.recovery_key));
}

#[test]
fn a_renewal_says_yes_again_and_only_to_what_is_granted() {
    let room = Room::granted(&[Category::Status]);
    let held = room.agent.renew(Some(&[Category::Laser]));
    assert!(matches!(held, Err(AgentError::NotRenewable(Category::Laser))));
    room.next_day();
    assert_eq!(room.agent.renew(None).unwrap(), [Category::Status]);
    let event = room.event().unwrap();
    assert_eq!(said(&event).0.decision(), Decision::Renewed);
    assert_eq!(said(&event).0.notice_language, b"en");
    room.announce();
    assert_eq!(state(&room, Category::Status), State::Renewed);
    let until = room.agent.show().unwrap().valid_until;
    assert_eq!(until, Some(UtcDate(TODAY.0 + 1 + 365)));
    // Withdrawn before the collector heard of it, it is not said any more.
    room.agent.renew(None).unwrap();
    room.agent.withdraw(None).unwrap();
    assert_eq!(said(&room.event().unwrap()).0.decision(), Decision::Withdrawn);
}

#[test]
fn an_ended_yes_can_be_given_again_but_not_renewed() {
    let room = Room::granted(&[Category::Status]);
    (0..366).for_each(|_| room.next_day());
    assert_eq!(state(&room, Category::Status), State::Expired);
    assert_eq!(room.print(), Recorded::NothingAllowed, "an ended yes collects nothing");
    assert!(matches!(room.agent.renew(None), Err(AgentError::NotRenewable(_))));
    let again = room.agent.grant(&[Category::Status], None).unwrap();
    assert!(matches!(again, Granted::New { recovery: None, .. }));
    room.announce();
    assert_eq!(state(&room, Category::Status), State::Given);
    assert_eq!(room.print(), Recorded::Kept);
    assert_eq!(room.agent.grant(&[Category::Status], None).unwrap(), Granted::Already);
}

#[test]
fn a_refusal_for_an_ended_grant_drops_it_and_asks_for_a_new_yes() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    room.print();
    room.agent.seal_all().unwrap();
    let frame = room.spool()[&1].clone();
    let expired = room.collector.verdict(&frame, RefusalReason::Expired, &[Category::Status]);
    room.agent.on_verdict(&expired).unwrap();
    assert_eq!(told(&room.spool()[&2]), [Category::PrintTime].into());
    assert_eq!(state(&room, Category::Status), State::Expired);
    assert_eq!(state(&room, Category::PrintTime), State::Given);
    let again = room.agent.grant(&[Category::Status, Category::PrintTime], None).unwrap();
    let Granted::New { categories, .. } = again else { panic!() };
    assert_eq!(categories, [Category::Status]);
}

#[test]
fn a_subject_that_was_ended_elsewhere_starts_anew_with_the_next_yes() {
    // Its owner erased it from another host, with the recovery code.
    let room = Room::granted(&[Category::Status]);
    let ended = room.agent.show().unwrap().subject;
    room.print();
    room.agent.seal_all().unwrap();
    let frame = room.offered().remove(0).bytes;
    let refused = room.collector.verdict(&frame, RefusalReason::NoGrant, &[Category::Status]);
    room.agent.on_verdict(&refused).unwrap();
    assert_eq!(room.print(), Recorded::NothingAllowed);
    room.agent.grant(&[Category::Status], None).unwrap();
    let event = room.event().unwrap();
    let over = room.collector.receipt(&event, ReceiptStatus::SubjectEnded);
    room.agent.on_receipt(&over).unwrap();
    assert!(room.agent.lock().state.identity.is_none());
    room.agent.grant(&[Category::Status], None).unwrap();
    assert_ne!(room.agent.show().unwrap().subject, ended);
}

#[test]
fn a_held_subject_offers_nothing_until_another_day() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let frame = room.offered().remove(0).bytes;
    let held = room.collector.verdict(&frame, RefusalReason::Restricted, &[]);
    room.agent.on_verdict(&held).unwrap();
    assert_eq!((room.offered().len(), room.spool().len()), (0, 1));
    room.next_day();
    assert_eq!(room.offered()[0].sequence, 2, "the refused number is not used again");
}

#[test]
fn what_is_denied_or_not_offered_cannot_be_granted() {
    let room = Room::granted(&[Category::Status, Category::Laser]).with(|settings| {
        settings.deny = [Category::Laser].into();
        settings.policy.purposes.remove(&Category::Slicing);
    });
    let flags = |category| room.agent.lock().state.flags.flag(category);
    assert_eq!(flags(Category::Laser), Flag::Refused, "withdrawn at the start");
    assert_eq!(flags(Category::Status), Flag::Granted);
    assert_eq!(said(&room.event().unwrap()).0.categories, [Category::Laser.number()]);
    let denied = room.agent.grant(&[Category::Laser], None).unwrap_err();
    assert!(denied.refuses() && denied.to_string().contains("`laser` is denied"), "{denied}");
    let absent = room.agent.grant(&[Category::Slicing], None).unwrap_err();
    assert!(absent.refuses() && absent.to_string().contains("does not ask"), "{absent}");
    assert!(room.agent.grant(&[Category::PrintTime], None).is_ok());
}

#[test]
fn after_a_no_the_question_rests_for_months() {
    let room = Room::new();
    let asks = |category| room.agent.show().unwrap().ask.contains(&category);
    assert!(asks(Category::Laser));
    room.agent.refuse(&[Category::Laser]).unwrap();
    let months = u32::from(room.agent.policy().ask_again_months);
    (0..months * 30).for_each(|_| room.next_day());
    assert!(!asks(Category::Laser) && asks(Category::Status));
    (0..=months).for_each(|_| room.next_day());
    assert!(asks(Category::Laser));
    assert_eq!(state(&room, Category::Laser), State::Refused);
    room.agent.grant(&[Category::Laser], None).unwrap();
    assert!(!asks(Category::Laser));
}

#[test]
fn agents_of_one_owner_share_a_principal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("principal");
    let shared = || Room::new().with(|settings| settings.principal_file = Some(file.clone()));
    let (one, two) = (shared(), shared());
    let grants = |room: &Room| {
        room.agent.grant(&[Category::Status], None).unwrap();
        let event = said(&room.event().unwrap()).0;
        (event.principal, event.public_key)
    };
    let (first, second) = (grants(&one), grants(&two));
    assert_eq!(first.0, second.0);
    assert_ne!(first.1, second.1);
    one.agent.withdraw(None).unwrap();
    assert!(file.exists(), "the other still holds it");
    two.agent.withdraw(None).unwrap();
    one.announce();
    assert!(!file.exists());
    assert_ne!(grants(&one).0, first.0, "a new one after a full withdrawal of all");
}
