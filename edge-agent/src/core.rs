//! The agent's decisions: consent, what is kept, what is sealed, what an answer changes.
//!
//! Works on a store and a clock; never opens a connection. Keeps true: without a granted category
//! there is no key, no id, no stored record; a withdrawal takes effect in one change of the store;
//! a sequence number is durable before it is signed and never used twice; a frame is freed only by
//! a verdict that names it and that the pinned collector signed.

mod adopt;
mod answer;
pub(crate) mod clock_check;
mod consent;
mod counts;
mod error;
mod event;
mod fingerprint;
mod fresh;
pub(crate) mod held;
mod hexed;
mod identity;
mod journal;
mod mandate;
mod offer;
mod preview;
mod principal;
mod receipt;
mod record;
mod rights;
mod seal;
mod settings;
mod spool;
mod state;
mod withdraw;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use imprimatur_consent::{Category, Policy};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::DayReport;
use imprimatur_runtime::{Clock, UnixSeconds, UtcDate};
use tokio::sync::watch;

pub use self::answer::{Heard, Ignored};
use self::clock_check::TrustedClock;
pub use self::consent::{CategoryState, Granted, Overview, Withdrawn};
pub use self::counts::{Counts, RecordCounts};
pub use self::error::AgentError;
use self::fingerprint::Fingerprint;
use self::held::Measured;
pub use self::journal::{Line, Noted};
pub use self::mandate::Farm;
pub use self::offer::{Errand, OfferedEvent, OfferedFrame, Says};
pub use self::preview::{Preview, PreviewKind, Row};
pub use self::record::Recorded;
use self::rights::Talk;
pub use self::rights::{Exercise, NotATopic, RequestLine, RequestOutcome, Right, Topic};
pub use self::seal::Sealed;
use self::seal::Which;
pub use self::settings::{AgentSettings, SPOOL_BYTES_MAX};
pub use self::state::Flags;
use self::state::{Draft, State};
use crate::store::Store;
use crate::told::chain;

/// How often something changed; tells waiting tasks to look again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Keys drawn: what was measured before the newest one must be forgotten.
    pub identities: u64,
    /// Withdrawals: what is queued for the wire must be dropped.
    pub withdrawals: u64,
    /// Grants of the faults: none from before the newest one may be told.
    pub fault_grants: u64,
    /// Anything that gives the uplink something to say.
    pub news: u64,
    /// Times the clock became credible again.
    pub clock: u64,
}

/// The agent; clones share one store.
#[derive(Clone, Debug)]
pub struct Agent {
    core: Arc<Mutex<Core>>,
    changes: watch::Sender<Changes>,
}

#[derive(Debug)]
pub(crate) struct Core {
    settings: AgentSettings,
    clock: Arc<TrustedClock>,
    store: Store,
    state: State,
    /// The store failed; read it again before anything else.
    stale: bool,
    /// A withdrawal that could not be written: it is tried before anything else, so that nothing
    /// is kept or offered until it could.
    owed: Option<Vec<Category>>,
    /// What was measured while nobody knew its date, oldest first; bounded.
    held: VecDeque<Measured>,
    /// The newest report of each kind as it was measured, for the preview only.
    seen: BTreeMap<RecordKind, Vec<u8>>,
    /// The day that is not over, and since when it is measured, for the preview only.
    so_far: Option<(Vec<u8>, UnixSeconds)>,
    /// The rights request that is under way.
    talk: Option<Talk>,
    /// Until when other things come before rights requests that nobody answers.
    requests_rest: UnixSeconds,
    told: Told,
    /// Answers that were forged or belong to nothing here.
    ignored_answers: u64,
    changes: Changes,
}

/// What the owner was told, each once.
#[expect(clippy::struct_excessive_bools, reason = "each is a warning of its own")]
#[derive(Debug, Default)]
struct Told {
    /// That the collector's log is not to be believed.
    doubt: bool,
    /// That the farm's list grants nothing.
    unheeded: bool,
    /// That the full spool drops.
    dropping: bool,
    /// That the clock is doubtful.
    clock: bool,
}

impl Agent {
    /// Opens the store; draws nothing, sends nothing.
    ///
    /// # Errors
    /// [`AgentError::Store`], with [`crate::store::StoreError::InUse`] when another agent runs.
    pub fn open(settings: AgentSettings, clock: Arc<dyn Clock>) -> Result<Self, AgentError> {
        let mut store = Store::open(&settings.data_dir)?;
        let state = State::load(&mut store)?;
        let clock = Arc::new(TrustedClock::new(clock, state.latest));
        let mut core = Core {
            settings,
            clock,
            store,
            state,
            stale: false,
            owed: None,
            held: VecDeque::new(),
            seen: BTreeMap::new(),
            so_far: None,
            talk: None,
            requests_rest: UnixSeconds::default(),
            told: Told::default(),
            ignored_answers: 0,
            changes: Changes::default(),
        };
        core.settle_in()?;
        let (changes, _) = watch::channel(Changes::default());
        Ok(Self { core: Arc::new(Mutex::new(core)), changes })
    }

    /// The best time known: it goes on evenly while the wall clock is not to be believed.
    pub(crate) fn clock(&self) -> Arc<TrustedClock> {
        Arc::clone(&self.lock().clock)
    }

    /// Tells when to look again.
    pub fn changes(&self) -> watch::Receiver<Changes> {
        self.changes.subscribe()
    }

    /// Grants categories from now on. Draws key and principal at the first grant only; a category
    /// that is granted already stays as it is. The caller has shown the notice in the language of the
    /// settings, and the owner affirmed what the policy asks.
    ///
    /// # Errors
    /// [`AgentError`]; nothing was granted.
    pub fn grant(
        &self,
        categories: &[Category],
        token: Option<[u8; 32]>,
    ) -> Result<Granted, AgentError> {
        self.with(|core| core.grant(categories, token, None))
    }

    /// Says no to categories; for a granted one this is a withdrawal.
    ///
    /// # Errors
    /// [`AgentError`]; until it succeeds nothing is sent.
    pub fn refuse(&self, categories: &[Category]) -> Result<Withdrawn, AgentError> {
        self.binding(categories, |core| core.refuse(categories))
    }

    /// Withdraws categories, or all with `None`. Binds before it returns.
    ///
    /// # Errors
    /// [`AgentError`]; until it succeeds nothing is kept or sent.
    pub fn withdraw(&self, categories: Option<&[Category]>) -> Result<Withdrawn, AgentError> {
        self.binding(categories.unwrap_or(&Category::ALL), |core| core.withdraw(categories))
    }

    /// Flags, purposes and what is stored.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn show(&self) -> Result<Overview, AgentError> {
        self.with(Core::show)
    }

    /// Shows the day that is not over, measured since `started`, to the preview alone; `None` when
    /// there is none. Nothing of it is stored.
    pub fn show_so_far(&self, day: Option<&DayReport>, started: UnixSeconds) {
        let day = day.map(|day| (imprimatur_proto::canonical::encode(day), started));
        self.lock().so_far = day;
    }

    /// Seals what is pending of the dates before this one, a batch for each date.
    ///
    /// # Errors
    /// [`AgentError`]; what was pending still is.
    pub fn seal_before(&self, date: UtcDate) -> Result<Sealed, AgentError> {
        self.with(|core| core.seal(Which::Before(date)))
    }

    /// Seals all that is pending.
    ///
    /// # Errors
    /// As [`Agent::seal_before`].
    pub fn seal_all(&self) -> Result<Sealed, AgentError> {
        self.with(|core| core.seal(Which::All))
    }

    /// Seals the pending prints, but no day that may still grow.
    ///
    /// # Errors
    /// As [`Agent::seal_before`].
    pub fn seal_prints(&self) -> Result<Sealed, AgentError> {
        self.with(|core| core.seal(Which::Prints))
    }

    /// What would leave next.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn preview(&self) -> Result<Preview, AgentError> {
        self.with(Core::preview)
    }

    /// What was sent and what came back, oldest first.
    ///
    /// # Errors
    /// [`AgentError::Store`].
    pub fn log(&self) -> Result<Vec<Line>, AgentError> {
        self.with(|core| core.log())
    }

    /// The policy that is shown.
    pub fn policy(&self) -> Policy {
        self.lock().settings.policy.clone()
    }

    /// Runs a withdrawal. One that cannot be written is owed: it is tried before anything else, and
    /// until it succeeds nothing is kept or offered.
    fn binding<T>(
        &self,
        categories: &[Category],
        decide: impl FnOnce(&mut Core) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        let decided = self.with(decide);
        if decided.is_err() {
            let mut core = self.lock();
            core.owe(categories);
            self.tell(&core);
        }
        decided
    }

    /// Runs one decision alone; after a failure of the store the next one reads it again.
    fn with<T>(
        &self,
        decide: impl FnOnce(&mut Core) -> Result<T, AgentError>,
    ) -> Result<T, AgentError> {
        let mut core = self.lock();
        let reopened = core.stale;
        if reopened {
            core.store.reopen()?;
            core.state = State::load(&mut core.store)?;
            core.stale = false;
        }
        let owed = core.owed.clone();
        let settled = owed.map_or(Ok(()), |owed| core.withdraw(Some(&owed)).map(|_withdrawn| ()));
        let settled = settled.and_then(|()| if reopened { core.settle_in() } else { Ok(()) });
        let settled = settled.and_then(|()| core.follow_clock());
        let decided = settled.and_then(|()| decide(&mut core));
        core.stale = matches!(decided, Err(AgentError::Store(_)));
        if decided.is_ok()
            && let Err(error) = core.rebuild()
        {
            core.stale = true;
            tracing::error!(error = %chain(&error), "what was deleted is not removed yet; trying again");
        } else if decided.is_ok()
            && let Err(error) = core.see()
        {
            core.stale = true;
            tracing::error!(error = %chain(&error), "the time cannot be written down; trying again");
        }
        self.tell(&core);
        decided
    }

    fn tell(&self, core: &Core) {
        let now = core.changes;
        self.changes.send_if_modified(|told| {
            let changed = *told != now;
            *told = now;
            changed
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn draft(&self) -> Draft {
        Draft::of(&self.state, self.clock.look())
    }

    /// Makes a change durable, then lets this program see it.
    fn commit(&mut self, draft: Draft) -> Result<(), AgentError> {
        self.state = draft.commit(&mut self.store)?;
        self.clock.saw(self.state.latest);
        Ok(())
    }

    /// What an opened store needs before anything else: consent of other hardware ends, what the
    /// administrator denies is withdrawn, deleted bytes go, old frames are sealed again.
    fn settle_in(&mut self) -> Result<(), AgentError> {
        let root = &self.settings.hardware_root;
        let other = self.state.identity.as_ref().is_some_and(|identity| {
            let now = Fingerprint::read(root, identity.tag_key.bytes());
            !identity.hardware.is(&now)
        });
        if other {
            tracing::warn!(
                "this is other hardware than consent was given on (a restored image, or a printer \
                 that changed hands): consent has ended here, nothing is collected; grant again \
                 with `imprimatur-agent consent grant`"
            );
            self.hand_over(Noted::OtherHardware)?;
        }
        let denied: Vec<_> = self.settings.deny.iter().copied().collect();
        self.withdraw(Some(&denied))?;
        self.rebuild()?;
        self.adopt()
    }

    /// Removes deleted bytes from the store's file, if any are owed.
    fn rebuild(&mut self) -> Result<(), AgentError> {
        if !self.state.rebuild {
            return Ok(());
        }
        self.store.rebuild()?;
        let mut draft = self.draft();
        draft.state.rebuild = false;
        self.commit(draft)
    }
}

#[cfg(test)]
pub(crate) mod tests;
