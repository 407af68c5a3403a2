//! The searcher: one automaton over all signatures and canaries in all forms, fed in windows.
//!
//! The automaton ignores the case of letters, so that it may find more than it should; each find is
//! confirmed at its place: encoded bytes are decoded first, and then looked at as plain ones are.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, LazyLock};

use aho_corasick::{AhoCorasick, Input};

use super::canary::Canaries;
use super::forms::{Form, read, written};
use super::rules::{FACETS, RULES, Rule, SIZED, SOLID, ZSTD};
use super::{confirm, facets};

/// Bytes that are searched at once.
const WINDOW: usize = 1 << 20;

/// Bytes after a find that a confirmation may want: the largest reach, in hex.
const AHEAD: usize = 2 * confirm::BLOCK + 4 * super::canary::CANARY_BYTES_MAX;

/// Bytes before a find that belong to its group of base64.
const BEHIND: usize = 4;

/// Bytes of a file's beginning that the laws of whole files look at.
const BEGINNING: usize = 512;

/// What a place may hold by right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// Nothing that is searched for.
    Nothing,
    /// Pages that are frames of zstd.
    ZstdPages,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hit {
    /// A format, by its name.
    Signature(&'static str, Form),
    /// A canary, by its number.
    Canary(usize, Form),
}

impl Hit {
    pub(crate) fn is_canary(self) -> bool {
        matches!(self, Self::Canary(..))
    }
}

impl fmt::Display for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature(name, form) => write!(f, "{name}{form}"),
            Self::Canary(number, form) => write!(f, "canary {number}{form}"),
        }
    }
}

/// Where something was found in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Places {
    /// The first byte of the first.
    pub(crate) first: u64,
    /// How many there are.
    pub(crate) count: u64,
}

/// What was found in one file.
#[derive(Debug, Default)]
pub(crate) struct Found(BTreeMap<Hit, Places>);

impl Found {
    fn add(&mut self, hit: Hit, at: u64) {
        let places = self.0.entry(hit).or_insert(Places { first: at, count: 0 });
        places.count += 1;
        places.first = places.first.min(at);
    }

    pub(crate) fn hits(&self) -> impl Iterator<Item = (Hit, Places)> + '_ {
        self.0.iter().map(|(hit, places)| (*hit, *places))
    }
}

/// What a pattern of the automaton stands for.
enum Meaning {
    Signature(&'static Rule, &'static [u8], Form),
    Canary(usize, Form, Vec<u8>),
}

/// The automaton and the meaning of its patterns.
pub(crate) struct Searcher {
    automaton: AhoCorasick,
    meanings: Vec<Meaning>,
    canaries: usize,
    longest: usize,
}

/// The automaton cannot be built: there are too many canaries.
#[derive(Debug, thiserror::Error)]
#[error("cannot search for so much at once; give fewer canaries")]
pub struct SearchError(#[source] aho_corasick::BuildError);

/// The automaton of the signatures alone, built once; `None` cannot be, and is tried again aloud.
static SIGNATURES: LazyLock<Option<Arc<Searcher>>> =
    LazyLock::new(|| Searcher::build(&Canaries::default()).ok().map(Arc::new));

impl Searcher {
    /// Of all signatures and these canaries.
    pub(crate) fn of(canaries: &Canaries) -> Result<Arc<Self>, SearchError> {
        match &*SIGNATURES {
            Some(searcher) if canaries.count() == 0 => Ok(Arc::clone(searcher)),
            _ => Self::build(canaries).map(Arc::new),
        }
    }

    fn build(canaries: &Canaries) -> Result<Self, SearchError> {
        let (mut patterns, mut meanings) = (Vec::new(), Vec::new());
        for rule in RULES {
            for anchor in rule.anchors.iter().copied() {
                patterns.push(anchor.to_vec());
                meanings.push(Meaning::Signature(rule, anchor, Form::Plain));
                let mut cases = vec![anchor.to_vec()];
                if rule.any_case {
                    cases.extend([anchor.to_ascii_lowercase(), anchor.to_ascii_uppercase()]);
                    cases.dedup();
                }
                for (form, text) in cases.iter().flat_map(|anchor| written(anchor)) {
                    patterns.push(text);
                    meanings.push(Meaning::Signature(rule, anchor, form));
                }
            }
        }
        for (number, form, text) in canaries.patterns() {
            patterns.push(text.clone());
            meanings.push(Meaning::Canary(number, form, text));
        }
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(&patterns);
        let automaton = automaton.map_err(SearchError)?;
        let longest = patterns.iter().map(Vec::len).max().unwrap_or(0);
        Ok(Self { automaton, meanings, canaries: canaries.count(), longest })
    }

    pub(crate) fn canaries(&self) -> usize {
        self.canaries
    }

    /// Searches bytes that are in memory.
    pub(crate) fn bytes(&self, bytes: &[u8], own: Own, found: &mut Found) {
        self.window(bytes, (0, bytes.len()), 0, own, found);
    }

    /// Searches a stream to its end, and counts its bytes. `length` is that of a whole file.
    pub(crate) fn stream(
        &self,
        stream: &mut dyn Read,
        length: Option<u64>,
        own: Own,
        found: &mut Found,
        told: &mut dyn FnMut(u64),
    ) -> io::Result<u64> {
        // `base` is the place of the window's first byte; what is before `fresh` was searched.
        let (mut window, mut base, mut fresh) = (Vec::new(), 0_u64, 0);
        loop {
            let wanted = WINDOW + AHEAD + BEHIND - window.len();
            let had = window.len();
            let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
            stream.take(limit).read_to_end(&mut window)?;
            let more = window.len() - had;
            let ended = more < wanted;
            if base == 0 && had == 0 {
                Self::whole_file(&window, length, found);
            }
            let end = if ended { window.len() } else { window.len() - AHEAD };
            self.window(&window, (fresh, end), base, own, found);
            told(u64::try_from(more).unwrap_or(u64::MAX));
            if ended {
                return Ok(base.saturating_add(u64::try_from(window.len()).unwrap_or(u64::MAX)));
            }
            let gone = end - BEHIND;
            window.drain(..gone);
            base = base.saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
            fresh = BEHIND;
        }
    }

    /// The laws of whole files.
    fn whole_file(window: &[u8], length: Option<u64>, found: &mut Found) {
        let beginning = window.get(..BEGINNING.min(window.len())).unwrap_or_default();
        if facets::is_solid(beginning) {
            found.add(Hit::Signature(SOLID, Form::Plain), 0);
        }
        if length.is_some_and(|length| facets::is_sized(beginning, length)) {
            found.add(Hit::Signature(SIZED, Form::Plain), 0);
        }
    }

    /// Searches for what begins at `from` and later, before `end`.
    fn window(
        &self,
        window: &[u8],
        (from, end): (usize, usize),
        base: u64,
        own: Own,
        found: &mut Found,
    ) {
        let place = |at: usize| base.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
        let until = window.len().min(end.saturating_add(self.longest));
        let input = Input::new(window).span(from..until);
        // The automaton takes every input of this kind: it is not anchored.
        let Ok(matches) = self.automaton.try_find_overlapping_iter(input) else { return };
        for one in matches.filter(|one| one.start() < end) {
            let meaning = self.meanings.get(one.pattern().as_usize());
            let hit = meaning.and_then(|meaning| confirmed(meaning, window, one.start()));
            let by_right = matches!(hit, Some(Hit::Signature(ZSTD, Form::Plain)));
            if let Some(hit) = hit.filter(|_| !(by_right && own == Own::ZstdPages)) {
                found.add(hit, place(one.start()));
            }
        }
        let until = window.len().min(end.saturating_add(facets::SPAN - 1));
        for at in facets::places(window.get(from..until).unwrap_or_default()) {
            found.add(Hit::Signature(FACETS, Form::Plain), place(from + at));
        }
    }
}

/// What is at this place, if it is what the automaton takes it for.
fn confirmed(meaning: &Meaning, window: &[u8], at: usize) -> Option<Hit> {
    match meaning {
        Meaning::Canary(number, form @ Form::Base64(_), text) => {
            // Here the case of a letter means another byte.
            let exact = window.get(at..at + text.len()) == Some(text.as_slice());
            exact.then_some(Hit::Canary(*number, *form))
        }
        Meaning::Canary(number, form, _) => Some(Hit::Canary(*number, *form)),
        Meaning::Signature(rule, anchor, form) => {
            let begins = |bytes: &[u8]| match bytes.get(..anchor.len()) {
                Some(head) if rule.any_case => head.eq_ignore_ascii_case(anchor),
                head => head == Some(anchor),
            };
            let reach = rule.reach.max(anchor.len());
            let fits = match form {
                Form::Plain => {
                    let end = window.len().min(at.saturating_add(reach));
                    window.get(at..end).is_some_and(|bytes| begins(bytes) && (rule.confirm)(bytes))
                }
                // The anchor first: most finds in encoded text end here.
                _ => {
                    begins(&read(*form, window, at, anchor.len()))
                        && (rule.confirm)(&read(*form, window, at, reach))
                }
            };
            fits.then_some(Hit::Signature(rule.name, *form))
        }
    }
}
