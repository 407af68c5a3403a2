//! Tests of rights: who asks, what is believed, what an answer changes, what is left of a key.

use imprimatur_consent::page;
use imprimatur_proto::rights::v1::{
    ChallengeRequest, RightsAnswer, RightsMessage, RightsRequest, RightsStatus, SignedRightsAnswer,
    Verb,
};

use super::*;
use crate::core::{Exercise, RequestOutcome, Right, Topic};

impl Collector {
    /// What it answers to a rights message: a challenge, or for a signed one two pages.
    pub(crate) fn exercised(&self, message: &[u8]) -> Vec<u8> {
        self.exercised_as(message, RightsStatus::Done)
    }

    /// As [`Collector::exercised`], with what becomes of it.
    fn exercised_as(&self, message: &[u8], status: RightsStatus) -> Vec<u8> {
        let message: RightsMessage = contract().decode(message).unwrap();
        let mut book = self.book.lock().unwrap();
        let count = u8::try_from(book.challenges.len()).unwrap();
        if message.request.is_empty() {
            let asks: ChallengeRequest = contract().decode(&message.challenge_request).unwrap();
            let challenge = vec![count + 1; 32];
            book.challenges.insert(challenge.clone());
            return self.sign_answer(&RightsAnswer {
                requester: asks.requester,
                request_hash: Digest::of(&message.challenge_request).0.to_vec(),
                status: RightsStatus::Challenge.into(),
                challenge,
                ..RightsAnswer::default()
            });
        }
        let request = asked(&message);
        let requester = SubjectId::of(request.public_key.as_slice().try_into().unwrap());
        let mut answer = RightsAnswer {
            requester: requester.0.to_vec(),
            request_hash: Digest::of(&message.request).0.to_vec(),
            status: RightsStatus::Unproven.into(),
            ..RightsAnswer::default()
        };
        if book.challenges.remove(&request.challenge) {
            let next = vec![100 + count; 32];
            book.challenges.insert(next.clone());
            answer.status = status.into();
            answer.challenge = next;
            answer.register_number = 7;
            answer.received_date = TODAY.0;
            answer.due_date = TODAY.0 + 3;
            if matches!(request.verb(), Verb::Explain | Verb::Export) {
                let text = format!("{{\"page\":{}}}\n", request.cursor);
                let reader = request.reader_key.as_slice().try_into().unwrap();
                answer.page = page::close(reader, [count; 32], text.as_bytes()).unwrap();
                answer.next_cursor = u64::from(request.cursor == 0);
            }
        }
        self.sign_answer(&answer)
    }

    fn sign_answer(&self, answer: &RightsAnswer) -> Vec<u8> {
        let answer = canonical::encode(answer);
        let signature = self.key.sign(Domain::RightsAnswer, &answer);
        canonical::encode(&SignedRightsAnswer { answer, signature })
    }
}

/// The request in a signed message; its signature must hold.
fn asked(message: &RightsMessage) -> RightsRequest {
    let request: RightsRequest = contract().decode(&message.request).unwrap();
    let key = VerifyingKey::from_bytes(&request.public_key).unwrap();
    assert!(key.verifies(Domain::Rights, &message.request, &message.signature));
    request
}

impl Room {
    /// What the uplink would say of an open request now.
    fn request(&self) -> Option<Vec<u8>> {
        let errand = self.agent.errand().unwrap().filter(|errand| errand.says == Says::Request)?;
        let mut said = None;
        let keep = |message: &[u8]| {
            said = Some(message.to_vec());
            true
        };
        self.agent.offer_request(&errand, keep).unwrap();
        said
    }

    /// Lets the collector answer every request; gives the signed ones.
    pub(super) fn converse(&self, status: RightsStatus) -> Vec<RightsRequest> {
        let mut requests = Vec::new();
        while let Some(message) = self.request() {
            let read: RightsMessage = contract().decode(&message).unwrap();
            requests.extend((!read.request.is_empty()).then(|| asked(&read)));
            let answer = self.collector.exercised_as(&message, status);
            assert!(matches!(self.agent.on_answer(&answer).unwrap(), Heard::Request { .. }));
        }
        requests
    }

    fn retired(&self) -> usize {
        self.agent.lock().store.scan(Space::Retired, b"").unwrap().len()
    }
}

#[test]
fn an_export_comes_page_by_page_under_one_proof_after_another() {
    let room = Room::granted(&[Category::Status]);
    let lines = room.agent.exercise(&Exercise::Export {}).unwrap();
    assert_eq!((lines.len(), lines[0].outcome), (1, RequestOutcome::Waiting));
    let again = room.agent.exercise(&Exercise::Export {}).unwrap();
    assert_eq!(again, lines, "asked twice before the answer is asked once");
    let requests = room.converse(RightsStatus::Done);
    assert_eq!(requests.iter().map(|r| r.cursor).collect::<Vec<_>>(), [0, 1]);
    assert_ne!(requests[0].challenge, requests[1].challenge);
    let line = room.agent.requests().unwrap().remove(0);
    assert_eq!((line.outcome, line.pages, line.register), (RequestOutcome::Done, 2, Some(7)));
    let pages = [0, 1].map(|page| room.agent.page(line.number, page).unwrap().unwrap());
    assert_eq!(pages, [b"{\"page\":0}\n", b"{\"page\":1}\n"]);
    // The next one takes its place.
    room.agent.exercise(&Exercise::Export {}).unwrap();
    assert_eq!(room.agent.page(line.number, 0).unwrap(), None);
}

#[test]
fn an_answer_of_anybody_else_or_to_something_else_changes_nothing() {
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Erase {}).unwrap();
    room.announce();
    let message = room.request().unwrap();
    let strange = Collector::of(1).exercised(&message);
    assert_eq!(room.agent.on_answer(&strange).unwrap(), Heard::Ignored(Ignored::Forged));
    let answer = room.collector.exercised(&message);
    let challenged = Heard::Request { number: 1, settled: false };
    assert_eq!(room.agent.on_answer(&answer).unwrap(), challenged);
    let repeat = room.agent.on_answer(&answer).unwrap();
    assert_eq!(repeat, Heard::Ignored(Ignored::Unmatched), "a repeat");
    // An answer to the same request under another challenge.
    let first = room.request().unwrap();
    room.agent.begin_talk();
    let challenge = room.collector.exercised(&room.request().unwrap());
    room.agent.on_answer(&challenge).unwrap();
    room.request().unwrap();
    let late = room.collector.exercised(&first);
    assert_eq!(room.agent.on_answer(&late).unwrap(), Heard::Ignored(Ignored::Unmatched));
    assert_eq!(room.retired(), 1, "nothing was erased by it");
}

#[test]
fn who_proves_nothing_is_told_so_after_a_second_try() {
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Explain {}).unwrap();
    let mut signed = 0;
    while let Some(message) = room.request() {
        let read: RightsMessage = contract().decode(&message).unwrap();
        signed += usize::from(!read.request.is_empty());
        // The collector restarts after each challenge.
        if !read.request.is_empty() {
            room.collector.book.lock().unwrap().challenges.clear();
        }
        room.agent.on_answer(&room.collector.exercised(&message)).unwrap();
    }
    let outcome = room.agent.requests().unwrap()[0].outcome;
    assert_eq!((signed, outcome), (2, RequestOutcome::Unproven));
}

#[test]
fn an_erasure_withdraws_deletes_here_and_destroys_the_key_when_it_is_done() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let lines = room.agent.exercise(&Exercise::Erase {}).unwrap();
    assert_eq!((lines.len(), lines[0].right), (1, Right::Erase));
    assert!(room.spool().is_empty() && room.agent.lock().state.flags.silent());
    let log = room.agent.log().unwrap();
    assert!(log.iter().all(|line| matches!(line.noted, Noted::Asked { .. })), "{log:?}");
    assert_eq!(said(&room.event().unwrap()).0.decision(), Decision::Withdrawn);
    room.announce();
    let requests = room.converse(RightsStatus::Accepted);
    assert_eq!(requests.len(), 1);
    assert_eq!((room.retired(), room.agent.errand().unwrap()), (1, None));
    let line = room.agent.requests().unwrap().remove(0);
    assert_eq!(line.outcome, RequestOutcome::Accepted);
    // On its due date the collector is asked again, and knows nothing any more.
    (0..3).for_each(|_| room.next_day());
    let room = room.restart();
    assert!(!room.agent.requests().unwrap()[0].overdue);
    let gone = room.converse(RightsStatus::Unproven);
    assert_eq!((gone.len(), room.retired()), (2, 0));
    assert_eq!(room.agent.requests().unwrap()[0].outcome, RequestOutcome::Done);
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn a_key_that_the_collector_does_not_know_goes_with_its_erasure() {
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Erase {}).unwrap();
    room.announce();
    room.converse(RightsStatus::Unproven);
    assert_eq!(room.agent.requests().unwrap()[0].outcome, RequestOutcome::Unproven);
    assert_eq!((room.retired(), room.agent.errand().unwrap()), (0, None));
    // The opposite: as long as the withdrawal was not heard, the key is needed.
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Erase {}).unwrap();
    let event = room.event().unwrap();
    let refused = room.collector.receipt(&event, ReceiptStatus::SequenceReused);
    room.agent.on_receipt(&refused).unwrap();
    room.converse(RightsStatus::Unproven);
    assert_eq!(room.retired(), 1);
    room.next_day();
    assert!(room.event().is_some());
}

#[test]
fn a_held_erasure_keeps_its_key_and_is_overdue_when_nobody_speaks() {
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Erase {}).unwrap();
    room.announce();
    room.converse(RightsStatus::Held);
    assert_eq!(room.retired(), 1);
    (0..4).for_each(|_| room.next_day());
    let line = room.agent.requests().unwrap().remove(0);
    assert!(line.overdue && line.outcome == RequestOutcome::Held);
}

#[test]
fn retired_keys_exercise_rights_and_send_nothing_else() {
    let room = Room::granted(&[Category::Status]);
    room.agent.withdraw(None).unwrap();
    room.announce();
    assert_eq!(room.agent.errand().unwrap(), None, "silence after a withdrawal");
    room.agent.exercise(&Exercise::Explain {}).unwrap();
    let errand = room.agent.errand().unwrap().unwrap();
    assert!(errand.retired && errand.says == Says::Request);
    assert_eq!(room.converse(RightsStatus::Done).len(), 2);
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn nobody_is_asked_who_cannot_hold_anything() {
    let room = Room::new();
    let asked = room.agent.exercise(&Exercise::Export {});
    assert!(matches!(asked, Err(AgentError::NothingHeld)));
    assert_eq!(room.agent.exercise(&Exercise::Erase {}).unwrap(), []);
    // A key that the wire has not seen is no reason to speak either.
    room.agent.grant(&[Category::Status], None).unwrap();
    assert_eq!(room.agent.exercise(&Exercise::Erase {}).unwrap(), []);
    assert_eq!(room.agent.errand().unwrap(), None);
}

#[test]
fn a_recovery_code_exercises_the_rights_of_a_lost_device() {
    let room = Room::new();
    let granted = room.agent.grant(&[Category::Status], None).unwrap();
    let Granted::New { recovery: Some(code), .. } = granted else { panic!() };
    let stored = room.agent.lock().store.get(Space::State, b"").unwrap().unwrap();
    let shown = code.to_string();
    assert!(!String::from_utf8(stored).unwrap().contains(&shown), "the code is stored");

    let other = Room::new();
    other.agent.recover(&code).unwrap();
    assert!(other.agent.lock().state.flags.silent());
    other.agent.exercise(&Exercise::Explain {}).unwrap();
    let requests = other.converse(RightsStatus::Done);
    assert_eq!(requests[0].public_key, code.key().public());
    let categories = vec![Category::Status];
    other.agent.exercise(&Exercise::Withdraw { categories }).unwrap();
    assert_eq!(other.converse(RightsStatus::Done)[0].categories, [Category::Status.number()]);
    other.agent.exercise(&Exercise::Erase {}).unwrap();
    assert_eq!(other.converse(RightsStatus::Done).len(), 1);
    let left = other.agent.lock().store.scan(Space::Recovered, b"").unwrap();
    assert!(left.is_empty(), "its key is destroyed with the erasure");
    assert!(matches!(other.agent.exercise(&Exercise::Explain {}), Err(AgentError::NothingHeld)));
}

#[test]
fn a_restriction_stops_all_until_its_release_is_answered() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    room.agent.exercise(&Exercise::Restrict {}).unwrap();
    assert_eq!(room.print(), Recorded::NothingAllowed);
    room.converse(RightsStatus::Done);
    assert!(room.offered().is_empty() && room.spool().len() == 1);
    let room = room.restart();
    room.agent.exercise(&Exercise::Release {}).unwrap();
    assert_eq!(room.print(), Recorded::NothingAllowed, "not answered yet");
    room.converse(RightsStatus::Done);
    assert_eq!((room.print(), room.offered().len()), (Recorded::Kept, 1));
    // A collector that knows of no restriction is a release too; a legal hold is none.
    room.agent.exercise(&Exercise::Restrict {}).unwrap();
    room.converse(RightsStatus::Done);
    for (status, restricted) in [(RightsStatus::Held, true), (RightsStatus::Unusable, false)] {
        room.agent.exercise(&Exercise::Release {}).unwrap();
        room.converse(status);
        assert_eq!(room.agent.show().unwrap().restricted, restricted);
    }
}

#[test]
fn an_objection_withdraws_here_and_there() {
    let room = Room::granted(&[Category::Status, Category::PrintTime]);
    let categories = vec![Category::PrintTime];
    room.agent.exercise(&Exercise::Object { categories }).unwrap();
    assert_eq!(room.agent.lock().state.flags.flag(Category::PrintTime), Flag::Refused);
    room.announce();
    let requests = room.converse(RightsStatus::Done);
    assert_eq!(requests[0].categories, [Category::PrintTime.number()]);
    assert_eq!(requests[0].verb(), Verb::Object);
}

#[test]
fn a_correction_and_a_complaint_say_what_they_must_and_no_more() {
    let room = Room::granted(&[Category::Machine]);
    let rectify = Exercise::Rectify { since: TODAY, model: Some(3), firmware: None };
    room.agent.exercise(&rectify).unwrap();
    room.agent.exercise(&Exercise::Complain { topic: Topic::Accuracy }).unwrap();
    let requests = room.converse(RightsStatus::Accepted);
    let day: DayReport = contract().decode(&requests[0].rectified).unwrap();
    assert_eq!((day.date, day.machine.unwrap().model), (TODAY.0, 3));
    assert_eq!(
        (requests[1].verb(), requests[1].topic, requests[1].rectified.len()),
        (Verb::Complain, 3, 0)
    );
    assert_eq!(room.agent.errand().unwrap(), None, "an accepted complaint is not asked again");
}

#[test]
fn requests_survive_a_restart_and_begin_with_a_new_challenge() {
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Export {}).unwrap();
    let challenge = room.collector.exercised(&room.request().unwrap());
    room.agent.on_answer(&challenge).unwrap();
    let page = room.collector.exercised(&room.request().unwrap());
    room.agent.on_answer(&page).unwrap();
    let room = room.restart();
    let requests = room.converse(RightsStatus::Done);
    assert_eq!(requests.iter().map(|r| r.cursor).collect::<Vec<_>>(), [1], "it goes on");
    assert_eq!(room.agent.requests().unwrap()[0].pages, 2);
}

#[test]
fn no_answer_turns_a_flag_on() {
    let room = Room::granted(&[Category::Status]);
    room.agent.exercise(&Exercise::Explain {}).unwrap();
    let flags = room.agent.lock().state.flags.clone();
    let message = room.request().unwrap();
    let everything: BTreeSet<_> = Category::ALL.into_iter().collect();
    room.agent.grant(&[Category::Status], None).unwrap();
    for status in [RightsStatus::Done, RightsStatus::Accepted, RightsStatus::Held] {
        let mut hostile = room.collector.exercised_as(&message, status);
        room.agent.on_answer(&hostile).unwrap();
        hostile.reverse();
        room.agent.on_answer(&hostile).unwrap();
        room.agent.on_receipt(&hostile).unwrap();
        room.agent.on_verdict(&hostile).unwrap();
    }
    room.agent.renew(None).unwrap();
    let event = room.event().unwrap();
    let naming = room.collector.receipt_naming(&event, ReceiptStatus::Recorded, &everything);
    room.agent.on_receipt(&naming).unwrap();
    let after = room.agent.lock().state.flags.clone();
    for category in Category::ALL {
        assert_eq!(after.granted(category), flags.granted(category), "{category}");
    }
}
