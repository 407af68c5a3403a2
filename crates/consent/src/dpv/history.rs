//! The states through which each category went, read off a subject's recorded events.

use std::collections::BTreeMap;

use imprimatur_proto::consent::v1::{ConsentEvent, Decision, Method};
use imprimatur_runtime::UtcDate;

use crate::Category;
use crate::event::{Acting, What, decoded};
use crate::ids::Digest;
use crate::standing::{Grant, InvalidEvent, Standing};
use crate::state::State;
use crate::terms::Terms;

/// Who brought a state about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum By {
    Subject,
    Operator,
}

/// A category came into a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) category: Category,
    pub(super) state: State,
    pub(super) date: UtcDate,
    /// The first day on which it holds no more; `None` until a new decision.
    pub(super) until: Option<UtcDate>,
    pub(super) by: By,
    pub(super) method: &'static str,
    /// The policy and the language of the notice that was shown for it last.
    pub(super) policy: Digest,
    pub(super) language: String,
}

/// What a history comes to.
pub(super) struct Course {
    pub(super) standing: Standing,
    pub(super) statuses: Vec<Status>,
}

/// What was shown for a category last.
type Shown = BTreeMap<Category, (Digest, String)>;

impl Course {
    pub(super) fn of(
        history: &[(UtcDate, What)],
        terms: &Terms,
        today: UtcDate,
    ) -> Result<Self, InvalidEvent> {
        let (mut standing, mut statuses, mut shown) = (None, Vec::new(), Shown::new());
        for (date, what) in history {
            let after = Standing::fold(standing.as_ref(), terms, what, *date)?;
            let before = standing.as_ref();
            if let What::Consent { signed_event } = what {
                let event = decoded(signed_event).map_err(|_damaged| InvalidEvent::Incomplete)?.0;
                said(&mut statuses, &mut shown, terms, &event, before, &after);
            }
            ended(&mut statuses, &shown, what, *date, before, &after);
            standing = Some(after);
        }
        let standing = standing.ok_or(InvalidEvent::Incomplete)?;
        for category in standing.lapsed(terms, today) {
            let grant = standing.granted.get(&category);
            statuses.extend(grant.and_then(|grant| expired(&shown, terms, category, grant)));
        }
        Ok(Self { standing, statuses })
    }
}

/// A yes: first what was asked, if that is known, then what was said.
fn said(
    statuses: &mut Vec<Status>,
    shown: &mut Shown,
    terms: &Terms,
    event: &ConsentEvent,
    before: Option<&Standing>,
    after: &Standing,
) {
    let renewed = event.decision() == Decision::Renewed;
    if event.decision() != Decision::Granted && !renewed {
        return;
    }
    let language = String::from_utf8_lossy(&event.notice_language).into_owned();
    for category in event.categories.iter().filter_map(|&number| Category::from_number(number)) {
        let Some(grant) = after.granted.get(&category) else { continue };
        let was = before.and_then(|before| before.granted.get(&category));
        let again = was.is_some_and(|was| was.since == grant.since);
        if let Some(was) = was.filter(|_| !again) {
            statuses.extend(expired(shown, terms, category, was));
        }
        let given = Status {
            category,
            state: if renewed || again { State::Renewed } else { State::Given },
            date: UtcDate(event.date),
            until: Some(grant.ends(terms, category)),
            by: By::Subject,
            method: method(event.method()),
            policy: grant.policy,
            language: language.clone(),
        };
        if event.requested_date > 0 {
            statuses.push(Status {
                state: State::Requested,
                date: UtcDate(event.requested_date),
                until: Some(given.date),
                by: By::Operator,
                method: "the notice was shown",
                ..given.clone()
            });
        }
        shown.insert(category, (grant.policy, language.clone()));
        statuses.push(given);
    }
}

/// What was granted before an event and is no more after it.
fn ended(
    statuses: &mut Vec<Status>,
    shown: &Shown,
    what: &What,
    date: UtcDate,
    before: Option<&Standing>,
    after: &Standing,
) {
    let granted = before.into_iter().flat_map(|before| before.granted.keys());
    for &category in granted.filter(|category| !after.granted.contains_key(category)) {
        let Some((policy, language)) = shown.get(&category) else { continue };
        let (by, method) = match (what, what.by()) {
            (What::Consent { .. }, _) => (By::Subject, "signed on the device"),
            (_, Some(Acting::Owner { .. })) => (By::Subject, "a request signed on the device"),
            (_, Some(Acting::Recovery { .. })) => (By::Subject, "a request signed with the code"),
            (_, Some(Acting::Operator {})) => (By::Operator, "recorded by the operator"),
            (_, Some(Acting::Clock {}) | None) => (By::Operator, "the end of its validity"),
        };
        statuses.push(Status {
            category,
            state: after.past.get(&category).copied().unwrap_or(State::Unknown),
            date,
            until: None,
            by,
            method,
            policy: *policy,
            language: language.clone(),
        });
    }
}

/// The end of a grant that lapsed and of which nobody recorded the end.
fn expired(shown: &Shown, terms: &Terms, category: Category, grant: &Grant) -> Option<Status> {
    let (policy, language) = shown.get(&category)?;
    Some(Status {
        category,
        state: State::Expired,
        date: grant.ends(terms, category),
        until: None,
        by: By::Operator,
        method: "the end of its validity",
        policy: *policy,
        language: language.clone(),
    })
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Command => "typed in answer to the notice, on the device",
        Method::Page => "confirmed on the owner's page",
        Method::Mandate => "a list of printers signed by their owner",
        Method::Unspecified => "not said",
    }
}
