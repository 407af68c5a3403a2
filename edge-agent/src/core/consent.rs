//! Consent as the owner gives and sees it: asked, granted, renewed, shown.

use imprimatur_consent::{Category, Digest, Flag, PrincipalId, RecoveryCode, State, SubjectId};
use imprimatur_runtime::entropy;
use imprimatur_runtime::{UnixSeconds, UtcDate};

use super::event::{Decided, Said, Waiting, Yes, signed};
use super::fingerprint::Fingerprint;
use super::identity::{Identity, Retired};
use super::mandate::Signed;
use super::state::read;
use super::{Agent, AgentError, AgentSettings, Core, Counts, Noted, principal};
use crate::store::Space;

/// Days of a month of the policy's, at most: asking again may come late, never early.
const MONTH_DAYS: u32 = 31;

/// What a grant did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Granted {
    /// These are granted from now on.
    New {
        /// Which.
        categories: Vec<Category>,
        /// With the first grant: the code that keeps the owner's rights when the device is lost.
        /// Show it once; it is nowhere else.
        recovery: Option<RecoveryCode>,
    },
    /// All were granted before.
    Already,
}

/// What a withdrawal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawn {
    /// Nothing of it was granted.
    Nothing,
    /// Some categories; others stay granted.
    Part(Vec<Category>),
    /// The last ones: the key is retired.
    All(Vec<Category>),
}

/// One category as the owner sees it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct CategoryState {
    /// The category.
    pub category: Category,
    /// The owner's answer.
    pub flag: Flag,
    /// Since when; absent when it was never answered.
    pub since: Option<UnixSeconds>,
    /// The same in the terms of ISO/IEC TS 27560.
    pub state: State,
    /// The purpose, in the policy's words; empty when the policy does not offer the category.
    pub purpose: String,
    /// Whether this host's administrator denied it.
    pub denied: bool,
}

/// All that is decided and stored, at a glance.
#[expect(clippy::struct_excessive_bools, reason = "each is a sentence of its own for the owner")]
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Overview {
    /// Name of the policy.
    pub policy: String,
    /// Its version.
    pub policy_version: u32,
    /// Who operates the collector.
    pub operator: String,
    /// This installation's id at the collector; absent before the first grant.
    pub subject: Option<SubjectId>,
    /// The id of its owner; absent before the first grant.
    pub principal: Option<PrincipalId>,
    /// All categories, by number.
    pub categories: Vec<CategoryState>,
    /// The categories that may be asked about today: never answered, or refused long ago.
    pub ask: Vec<Category>,
    /// Whether the collector confirmed a grant; nothing is sent before.
    pub confirmed: bool,
    /// Date on which the first grant ends unless it is renewed, by the newest receipt.
    pub valid_until: Option<UtcDate>,
    /// Whether the collector showed an older or another log than before: nothing is sent.
    pub doubt: bool,
    /// Whether the clock is not to be believed: what is measured is held, and nothing is sent.
    pub clock_doubtful: bool,
    /// Reports that are held in memory until their date is known.
    pub held: usize,
    /// Whether the owner restricted: nothing is collected or sent until the release.
    pub restricted: bool,
    /// Whether the collector does not take what this version of the agent sends: all waits.
    pub contract_unsupported: bool,
    /// Consent events that wait for their receipt.
    pub events_waiting: usize,
    /// Reports that wait for the end of their day.
    pub reports_pending: usize,
    /// Batches that wait for their verdict.
    pub batches_waiting: u64,
    /// Their bytes.
    pub spool_bytes: u64,
    /// What became of every record and batch.
    pub counts: Counts,
    /// Answers since the start that were forged or belong to nothing here.
    pub ignored_answers: u64,
}

impl Agent {
    /// Notes that the questions about these categories were shown, the first time they are.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn asked(&self, categories: &[Category]) -> Result<(), AgentError> {
        self.with(|core| core.asked(categories))
    }

    /// Says yes again to granted categories, or to all with `None`: their validity begins anew.
    /// The caller has shown the notice, and the owner affirmed what the policy asks.
    ///
    /// # Errors
    /// [`AgentError::NotRenewable`] for what is not granted or has ended.
    pub fn renew(&self, categories: Option<&[Category]>) -> Result<Vec<Category>, AgentError> {
        self.with(|core| core.renew(categories))
    }
}

impl Core {
    fn asked(&mut self, categories: &[Category]) -> Result<(), AgentError> {
        if self.may_date().is_err() {
            // Nobody knows when; the next time they are shown counts.
            return Ok(());
        }
        let policy = &self.settings.policy;
        let new = sorted(categories, |category| {
            policy.offers(category) && !self.state.asked.contains_key(&category)
        });
        if new.is_empty() {
            return Ok(());
        }
        let mut draft = self.draft();
        let today = draft.now.date();
        draft.state.asked.extend(new.into_iter().map(|category| (category, today)));
        self.commit(draft)
    }

    /// Grants what is not granted or has lapsed; `mandate` is the farm's list when that says it.
    pub(super) fn grant(
        &mut self,
        categories: &[Category],
        token: Option<[u8; 32]>,
        mandate: Option<&Signed>,
    ) -> Result<Granted, AgentError> {
        self.may_be_granted(categories)?;
        let today = self.clock.today();
        let held = self.state.identity.as_ref();
        let lapsed = |category| held.is_some_and(|held| held.lapsed(category, today));
        let flags = &self.state.flags;
        let new = sorted(categories, |category| !flags.granted(category) || lapsed(category));
        if new.is_empty() {
            return Ok(Granted::Already);
        }
        let drawn = held.is_none();
        let mut reserved = self.draft();
        let mut identity = match reserved.state.identity.take() {
            Some(identity) => identity,
            None => self.draw(mandate)?,
        };
        // A list of the owner's has nobody before it to whom a code could be shown.
        let first = flags.silent() && !identity.offered && mandate.is_none();
        let recovery =
            if first { Some(RecoveryCode::from_entropy(entropy::bytes()?)) } else { None };
        if let Some(code) = &recovery {
            identity.recovery = Some(Digest(code.key().public()));
        }
        let sequence = next(&mut identity.next_event);
        identity.lapsed.retain(|category| !new.contains(category));
        // The receipt tells the new one.
        identity.valid_until = identity.valid_until.filter(|&until| until >= today);
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;

        let mut draft = self.draft();
        for &category in &new {
            draft.state.flags.set(category, Flag::Granted, draft.now);
        }
        let yes = Some(self.yes(&new, mandate));
        let (token, policy, date) = (token.map(Digest), self.settings.policy.hash, today);
        let (decided, categories) = (Decided::Granted, new.clone());
        let said = Said { decided, categories, token, yes, policy, date };
        let seen = draft.state.seen_log_size();
        let event = signed(&Retired::of(&identity), sequence, seen, said);
        draft.wait(identity.subject(), &event);
        draft.note(Noted::Granted { categories: new.clone() });
        self.commit(draft)?;
        self.changes.news += 1;
        self.changes.identities += u64::from(drawn);
        self.changes.fault_grants += u64::from(new.contains(&Category::Faults));
        Ok(Granted::New { categories: new, recovery })
    }

    fn renew(&mut self, categories: Option<&[Category]>) -> Result<Vec<Category>, AgentError> {
        let today = self.clock.today();
        let all = sorted(&Category::ALL, |category| self.state.flags.granted(category));
        let named = categories.map_or(all, |named| sorted(named, |_| true));
        self.may_be_granted(&named)?;
        let held = self.state.identity.clone();
        let holds = |category: &Category| {
            let lapsed = held.as_ref().is_none_or(|held| held.lapsed(*category, today));
            self.state.flags.granted(*category) && !lapsed
        };
        if let Some(&ended) = named.iter().find(|category| !holds(category)) {
            return Err(AgentError::NotRenewable(ended));
        }
        let Some(mut identity) = held.filter(|_| !named.is_empty()) else { return Ok(named) };
        let sequence = next(&mut identity.next_event);
        let mut reserved = self.draft();
        reserved.state.identity = Some(identity.clone());
        self.commit(reserved)?;
        let mut draft = self.draft();
        for &category in &named {
            draft.state.flags.renew(category, draft.now);
        }
        let (decided, yes) = (Decided::Renewed, Some(self.yes(&named, None)));
        let (policy, categories) = (self.settings.policy.hash, named.clone());
        let said = Said { decided, categories, token: None, yes, policy, date: today };
        let seen = draft.state.seen_log_size();
        draft.wait(identity.subject(), &signed(&Retired::of(&identity), sequence, seen, said));
        draft.note(Noted::Renewed { categories: named.clone() });
        self.commit(draft)?;
        self.changes.news += 1;
        Ok(named)
    }

    /// Whether the date is known, the policy offers all of these and the administrator denied none.
    fn may_be_granted(&self, categories: &[Category]) -> Result<(), AgentError> {
        self.may_date()?;
        for &category in categories {
            if !self.settings.policy.offers(category) {
                return Err(AgentError::NotOffered(category));
            }
            if self.settings.deny.contains(&category) {
                return Err(AgentError::Denied(category));
            }
        }
        Ok(())
    }

    fn yes(&self, categories: &[Category], mandate: Option<&Signed>) -> Yes {
        let asked = categories.iter().filter_map(|category| self.state.asked.get(category));
        let language = mandate.map_or(&self.settings.language, |signed| &signed.language).clone();
        let mandate = mandate.map(|signed| signed.hash);
        Yes { language, requested: asked.min().copied(), mandate }
    }

    /// Draws key and principal, and remembers the hardware.
    fn draw(&self, mandate: Option<&Signed>) -> Result<Identity, AgentError> {
        let holder = entropy::bytes()?;
        let principal = match (mandate, &self.settings.principal_file) {
            (Some(signed), _) => signed.principal,
            (None, Some(file)) => principal::join(file, holder).map_err(AgentError::Principal)?,
            (None, None) => PrincipalId(entropy::bytes()?),
        };
        let mut identity = Identity::draw(self.settings.policy.hash, principal, holder)?;
        let root = &self.settings.hardware_root;
        identity.hardware = Fingerprint::read(root, identity.tag_key.bytes());
        Ok(identity)
    }

    pub(super) fn show(&mut self) -> Result<Overview, AgentError> {
        let AgentSettings { policy, language, deny, .. } = &self.settings;
        let text = |category| policy.purposes.get(&category).map_or("", |p| p.text(language));
        let categories = Category::ALL.map(|category| CategoryState {
            category,
            flag: self.state.flags.flag(category),
            since: self.state.flags.0.get(&category).map(|answer| answer.since),
            state: self.standing(category),
            purpose: text(category).to_owned(),
            denied: deny.contains(&category),
        });
        let identity = self.state.identity.as_ref();
        Ok(Overview {
            policy: policy.name.clone(),
            policy_version: policy.version,
            operator: policy.operator.name.clone(),
            subject: identity.map(Identity::subject),
            principal: identity.map(|identity| identity.principal),
            categories: categories.to_vec(),
            ask: sorted(&Category::ALL, |category| self.may_be_asked(category)),
            valid_until: identity.and_then(|identity| identity.valid_until),
            doubt: self.state.doubt,
            clock_doubtful: self.clock.look().doubtful,
            held: self.held.len(),
            restricted: identity.is_some_and(|identity| identity.restricted),
            confirmed: identity.is_some_and(|identity| identity.receipted),
            contract_unsupported: identity.is_some_and(|i| i.contract_refused.is_some()),
            events_waiting: self.store.scan(Space::Outbox, b"")?.len(),
            reports_pending: self.store.scan(Space::Pending, b"")?.len(),
            batches_waiting: self.state.spool_frames,
            spool_bytes: self.state.spool_bytes,
            counts: self.state.counts,
            ignored_answers: self.ignored_answers,
        })
    }

    /// The state of a category in the terms of ISO/IEC TS 27560.
    fn standing(&self, category: Category) -> State {
        let today = self.clock.today();
        let Some(answer) = self.state.flags.0.get(&category) else {
            let asked = self.state.asked.contains_key(&category);
            return if asked { State::Requested } else { State::Unknown };
        };
        let held = self.state.identity.as_ref();
        match answer.flag {
            Flag::Granted if held.is_some_and(|held| held.lapsed(category, today)) => {
                State::Expired
            }
            Flag::Granted if answer.renewed.is_some() => State::Renewed,
            Flag::Granted => State::Given,
            Flag::Refused if answer.withdrawn => State::Withdrawn,
            Flag::Refused => State::Refused,
            Flag::Unasked => State::Unknown,
        }
    }

    /// Whether the question may be put today. It is never put but when the owner looks.
    fn may_be_asked(&self, category: Category) -> bool {
        let policy = &self.settings.policy;
        let pause = u32::from(policy.ask_again_months).saturating_mul(MONTH_DAYS);
        let rested = self.state.flags.0.get(&category).is_none_or(|answer| {
            let since = answer.since.date().0;
            answer.flag == Flag::Refused && self.clock.today().0.saturating_sub(since) >= pause
        });
        policy.offers(category) && !self.settings.deny.contains(&category) && rested
    }

    /// The events of a subject that wait for their receipts, by number.
    pub(super) fn waiting(&self, subject: &[u8]) -> Result<Vec<Waiting>, AgentError> {
        let entries = self.store.scan(Space::Outbox, subject)?;
        entries.iter().map(|(_, entry)| Ok(read("consent event", entry)?)).collect()
    }
}

/// Takes the next number.
pub(super) fn next(counter: &mut u64) -> u64 {
    let taken = *counter;
    *counter = taken.saturating_add(1);
    taken
}

/// Ascending, once each, those that pass.
pub(super) fn sorted(categories: &[Category], keep: impl Fn(Category) -> bool) -> Vec<Category> {
    Category::ALL.into_iter().filter(|c| categories.contains(c) && keep(*c)).collect()
}
