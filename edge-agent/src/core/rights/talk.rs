//! A conversation about one request: challenge, signed request, answer, the next page.
//!
//! What was asked is known in memory only: a conversation that breaks off begins again with a new
//! challenge. A collector that restarted has forgotten its challenges and says what it says to
//! strangers, so the first such answer is not believed.

use imprimatur_consent::page::ReaderKey;
use imprimatur_consent::{Digest, Domain, SubjectId};
use imprimatur_proto::rights::v1::{
    ChallengeRequest, RightsAnswer, RightsMessage, RightsRequest, RightsStatus, SignedRightsAnswer,
};
use imprimatur_proto::{canonical, contract};
use imprimatur_runtime::{UnixSeconds, UtcDate, entropy};

use super::{Kept, RequestOutcome, Right, page_key};
use crate::core::state::Draft;
use crate::core::{Agent, AgentError, Core, Errand, Heard, Ignored, Noted};
use crate::store::Space;

/// Pages of one answer, at most 8 MiB: years of one printer.
const PAGES_MAX: u32 = 1024;

/// How long requests rest that nobody answered, seconds: batches wait for no silent desk.
const REST_SECONDS: u64 = 120;

/// What was asked last, and by whom.
#[derive(Clone, Debug)]
pub(in crate::core) struct Talk {
    number: u64,
    requester: SubjectId,
    /// Hash of what was asked, and whether it was the signed request.
    asked: Option<(Digest, bool)>,
    /// The challenge to sign next.
    challenge: Option<Digest>,
    /// Whether the collector did not know the challenge once.
    unproven: bool,
    /// Opens the page that was asked for.
    reader: Option<ReaderKey>,
}

impl Agent {
    /// Begins the conversation anew, on a new connection.
    pub fn begin_talk(&self) {
        self.lock().talk = None;
    }

    /// Lets other things come first for a while: the collector does not answer requests.
    pub fn put_off_requests(&self) {
        let mut core = self.lock();
        core.requests_rest = UnixSeconds(core.clock.now().0.saturating_add(REST_SECONDS));
    }

    /// Hands what is to be said of the next open request of an errand to `send`, which says whether it
    /// was queued. `None` when there is none.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn offer_request(
        &self,
        errand: &Errand,
        send: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<u64>, AgentError> {
        self.with(|core| core.offer_request(errand, send))
    }

    /// Takes a `SignedRightsAnswer`.
    ///
    /// # Errors
    /// [`AgentError::Store`]; an answer that is not to be believed is [`Heard::Ignored`].
    pub fn on_answer(&self, bytes: &[u8]) -> Result<Heard, AgentError> {
        self.with(|core| core.on_answer(bytes))
    }
}

impl Talk {
    fn new(number: u64, requester: SubjectId) -> Self {
        let (asked, challenge, unproven, reader) = (None, None, false, None);
        Self { number, requester, asked, challenge, unproven, reader }
    }
}

impl Core {
    fn offer_request(
        &mut self,
        errand: &Errand,
        send: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<u64>, AgentError> {
        let Some(kept) = self.open_request(Some(errand.subject))? else { return Ok(None) };
        let number = kept.line.number;
        let Some(key) = self.signer(errand.subject)? else {
            self.settle(kept, RequestOutcome::Unproven)?;
            return Ok(None);
        };
        let requester = errand.subject;
        let fresh = Talk::new(number, requester);
        let talk = self.talk.take().filter(|talk| talk.number == number);
        let mut talk = talk.unwrap_or(fresh);
        let message = match talk.challenge.take() {
            None => {
                let challenge = ChallengeRequest { requester: requester.0.to_vec() };
                let challenge_request = canonical::encode(&challenge);
                talk.asked = Some((Digest::of(&challenge_request), false));
                RightsMessage { challenge_request, ..RightsMessage::default() }
            }
            Some(challenge) => {
                let paged = kept.line.right.paged();
                talk.reader =
                    if paged { Some(ReaderKey::from_entropy(entropy::bytes()?)) } else { None };
                let reader = talk.reader.as_ref().map(ReaderKey::public);
                let request = canonical::encode(&RightsRequest {
                    public_key: key.public().to_vec(),
                    challenge: challenge.0.to_vec(),
                    verb: kept.line.right.verb().into(),
                    cursor: kept.cursor,
                    categories: kept.exercise.categories(),
                    topic: kept.exercise.topic().into(),
                    rectified: kept.exercise.rectified(),
                    reader_key: reader.map(Vec::from).unwrap_or_default(),
                });
                talk.asked = Some((Digest::of(&request), true));
                let mut draft = self.draft();
                draft.note(Noted::RequestSent { request: number });
                self.commit(draft)?;
                let signature = key.sign(Domain::Rights, &request);
                RightsMessage { request, signature, ..RightsMessage::default() }
            }
        };
        self.talk = Some(talk);
        Ok(send(&canonical::encode(&message)).then_some(number))
    }

    fn on_answer(&mut self, bytes: &[u8]) -> Result<Heard, AgentError> {
        let mut answer = match self.answer(bytes) {
            Ok(answer) => answer,
            Err(why) => return Ok(self.ignore(why)),
        };
        let Some(mut talk) = self.talk.take() else { return Ok(self.ignore(Ignored::Unmatched)) };
        let asked = talk.asked.filter(|(hash, _)| answer.request_hash == hash.0);
        let Some((_, signed)) = asked.filter(|_| answer.requester == talk.requester.0) else {
            self.talk = Some(talk);
            return Ok(self.ignore(Ignored::Unmatched));
        };
        let Some(kept) = self.open_request(Some(talk.requester))? else {
            return Ok(self.ignore(Ignored::Unmatched));
        };
        let (number, status) = (talk.number, answer.status());
        let going = Heard::Request { number, settled: false };
        if kept.line.number != number {
            return Ok(self.ignore(Ignored::Unmatched));
        }
        talk.challenge = Digest::try_from(answer.challenge.as_slice()).ok();
        talk.asked = None;
        let outcome = match (status, signed) {
            (RightsStatus::Challenge, false) if talk.challenge.is_some() => {
                self.talk = Some(talk);
                return Ok(going);
            }
            (RightsStatus::Unproven, true) if !talk.unproven => {
                self.talk = Some(Talk { unproven: true, challenge: None, ..talk });
                return Ok(going);
            }
            (RightsStatus::Unproven, true) => RequestOutcome::Unproven,
            (RightsStatus::Done, true) => RequestOutcome::Done,
            (RightsStatus::Accepted, true) => RequestOutcome::Accepted,
            (RightsStatus::Held, true) => RequestOutcome::Held,
            (RightsStatus::Unusable, true) => RequestOutcome::Unusable,
            _ => return Ok(self.ignore(Ignored::Forged)),
        };
        let kept = registered(kept, &answer);
        if kept.line.right.paged() && outcome == RequestOutcome::Done {
            let text = talk.reader.take().and_then(|reader| reader.open(&answer.page));
            let Some(text) = text else { return Ok(self.ignore(Ignored::Forged)) };
            answer.page = text;
            let more = answer.next_cursor != 0;
            self.keep_page(kept, &answer)?;
            if more {
                self.talk = Some(talk);
                return Ok(going);
            }
        } else {
            self.settle(kept, outcome)?;
        }
        Ok(Heard::Request { number, settled: true })
    }

    fn answer(&self, bytes: &[u8]) -> Result<RightsAnswer, Ignored> {
        let collector = self.settings.collector.ok_or(Ignored::NoCollector)?;
        let signed: SignedRightsAnswer =
            contract().decode(bytes).map_err(|_fault| Ignored::Forged)?;
        if !collector.verifies(Domain::RightsAnswer, &signed.answer, &signed.signature) {
            return Err(Ignored::Forged);
        }
        contract().decode(&signed.answer).map_err(|_fault| Ignored::Forged)
    }

    fn keep_page(&mut self, mut kept: Kept, answer: &RightsAnswer) -> Result<(), AgentError> {
        let mut draft = self.draft();
        // The first page again: the conversation began anew.
        if kept.cursor == 0 && kept.line.pages > 0 {
            self.drop_pages(&mut draft, &kept)?;
            kept.line.pages = 0;
        }
        draft.change.put(Space::Page, &page_key(kept.line.number, kept.line.pages), &answer.page);
        kept.line.pages += 1;
        let forward = answer.next_cursor > kept.cursor;
        kept.cursor = answer.next_cursor;
        if kept.cursor != 0 && forward && kept.line.pages < PAGES_MAX {
            draft.request(&kept);
            return self.commit(draft);
        }
        let whole = kept.cursor == 0;
        let outcome = if whole { RequestOutcome::Done } else { RequestOutcome::TooLong };
        self.settle_with(draft, kept, outcome)
    }

    fn settle(&mut self, kept: Kept, outcome: RequestOutcome) -> Result<(), AgentError> {
        let draft = self.draft();
        self.settle_with(draft, kept, outcome)
    }

    /// The request has its answer; what that changes here.
    fn settle_with(
        &mut self,
        mut draft: Draft,
        mut kept: Kept,
        outcome: RequestOutcome,
    ) -> Result<(), AgentError> {
        let promised = matches!(kept.line.outcome, RequestOutcome::Accepted | RequestOutcome::Held);
        // What was accepted before and is unknown now is gone.
        let gone = outcome == RequestOutcome::Unproven && promised;
        let outcome = if gone { RequestOutcome::Done } else { outcome };
        let (right, done) = (kept.line.right, outcome == RequestOutcome::Done);
        // What nobody restricts needs no release.
        let released = done || outcome == RequestOutcome::Unusable;
        // Nothing is held under a key that has said all it had to say.
        let unknown = outcome == RequestOutcome::Unproven;
        let spent = match kept.requester {
            Some(requester) => done || unknown && self.waiting(&requester.0)?.is_empty(),
            None => false,
        };
        kept.line.outcome = outcome;
        kept.asked = Some(draft.now.date());
        draft.note(Noted::Answered { request: kept.line.number, outcome });
        if let Some(identity) = draft.state.identity.as_mut()
            && right == Right::Release
            && released
        {
            identity.restricted = false;
        }
        if right == Right::Erase
            && spent
            && let Some(requester) = kept.requester.take()
        {
            draft.forget(&self.store, requester)?;
        }
        draft.request(&kept);
        self.commit(draft)?;
        self.talk = None;
        self.changes.news += 1;
        Ok(())
    }
}

/// What the collector says of its register.
fn registered(mut kept: Kept, answer: &RightsAnswer) -> Kept {
    let date = |days: u32| Some(UtcDate(days)).filter(|date| date.0 > 0);
    // Only the first answer registers.
    let register = Some(answer.register_number).filter(|&number| number > 0);
    kept.line.register = register.or(kept.line.register);
    kept.line.received = kept.line.received.or(date(answer.received_date));
    kept.line.due = date(answer.due_date).unwrap_or(kept.line.due);
    kept
}
