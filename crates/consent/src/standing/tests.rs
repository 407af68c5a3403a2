//! The standing agrees with a naive model of days; every refusal has its opposite.

use std::collections::{BTreeMap, BTreeSet};

use imprimatur_proto::canonical::encode;
use imprimatur_proto::consent::v1::{ConsentEvent, Decision, Method, SignedConsentEvent};
use imprimatur_runtime::UtcDate;
use proptest::prelude::*;

use super::*;
use crate::event::{Acting, What};
use crate::keys::SigningSeed;
use crate::policy::Policy;
use crate::testing::{TODAY, decide, grant, later, policy};

const LASER: Category = Category::Laser;
const TIME: Category = Category::PrintTime;

fn terms() -> Terms {
    Terms::of(&[policy()])
}

fn granted(categories: &[Category]) -> Standing {
    Standing::begin(&terms(), &grant(categories)).unwrap()
}

fn day(after: u32) -> UtcDate {
    UtcDate(TODAY.0 + after)
}

fn owner() -> Acting {
    Acting::Owner { signed_request: String::new() }
}

fn hold(until: u32) -> What {
    let grounds = Grounds::Statutory;
    let restriction = Restriction { grounds, since: TODAY, until: Some(day(until)) };
    What::Restricted { restriction, by: Acting::Operator {} }
}

fn restriction() -> What {
    let restriction = Restriction { grounds: Grounds::Owner, since: TODAY, until: None };
    What::Restricted { restriction, by: owner() }
}

fn folded(standing: &Standing, what: &What) -> Standing {
    Standing::fold(Some(standing), &terms(), what, TODAY).unwrap()
}

#[test]
fn a_grant_covers_its_category_from_its_date_on() {
    let (standing, terms) = (granted(&[TIME]), terms());
    let decide = |category, date, today| standing.decide(&terms, category, date, today);
    assert_eq!(decide(TIME, TODAY, TODAY), Ok(()));
    assert_eq!(decide(TIME, day(1), TODAY), Ok(()));
    assert_eq!(decide(TIME, day(2), TODAY), Err(Denial::DateOutOfRange));
    assert_eq!(decide(TIME, UtcDate(TODAY.0 - 1), TODAY), Err(Denial::BeforeGrant));
    assert_eq!(decide(LASER, TODAY, TODAY), Err(Denial::NoGrant));
    assert_eq!(decide(TIME, TODAY, day(OLDEST_RECORD_DAYS)), Ok(()));
    assert_eq!(decide(TIME, TODAY, day(OLDEST_RECORD_DAYS + 1)), Err(Denial::DateOutOfRange));
}

#[test]
fn a_grant_holds_for_its_validity_and_not_a_day_longer() {
    let (standing, terms) = (granted(&[TIME]), terms());
    let end: UtcDate = "2027-11-21".parse().unwrap();
    let last = UtcDate(end.0 - 1);
    assert_eq!(standing.valid_until(&terms), Some(end));
    assert_eq!(standing.decide(&terms, TIME, last, last), Ok(()));
    assert_eq!(standing.decide(&terms, TIME, last, end), Err(Denial::Expired));
    assert_eq!(standing.decide(&terms, TIME, end, last), Err(Denial::Expired));
    assert_eq!(standing.lapsed(&terms, last), []);
    assert_eq!(standing.lapsed(&terms, end), [TIME]);
    // A renewal starts the validity anew, a renewal of what lapsed is none.
    let renewed = standing.apply(&terms, &decide(2, Decision::Renewed, &[TIME], last)).unwrap();
    assert_eq!(renewed.decide(&terms, TIME, end, end), Ok(()));
    let late = standing.apply(&terms, &decide(2, Decision::Renewed, &[TIME], end));
    assert_eq!(late, Err(InvalidEvent::Incomplete));
    // A grant after the lapse begins anew: between them was no consent.
    let again = standing.apply(&terms, &decide(2, Decision::Granted, &[TIME], end)).unwrap();
    assert_eq!(again.decide(&terms, TIME, end, end), Ok(()));
    assert_eq!(again.decide(&terms, TIME, last, end), Err(Denial::BeforeGrant));
}

#[test]
fn a_policy_that_asks_for_more_ends_only_what_grew() {
    let before = policy();
    let mut after = later(&before, day(30));
    after.change.as_mut().unwrap().grown = [LASER].into();
    let terms = Terms::of(&[before, after.clone()]);
    let standing = Standing::begin(&terms, &grant(&[LASER, TIME])).unwrap();
    assert_eq!(standing.valid_until(&terms), Some(day(30)));
    assert_eq!(standing.decide(&terms, LASER, day(29), day(29)), Ok(()));
    assert_eq!(standing.decide(&terms, LASER, day(30), day(30)), Err(Denial::Expired));
    assert_eq!(standing.decide(&terms, TIME, day(30), day(30)), Ok(()));
    // A yes to the new policy counts.
    let event = decide(2, Decision::Renewed, &[LASER], day(29));
    let event = ConsentEvent { policy_hash: after.hash.0.to_vec(), ..event };
    let renewed = standing.apply(&terms, &event).unwrap();
    assert_eq!(renewed.decide(&terms, LASER, day(30), day(30)), Ok(()));
    assert_eq!(renewed.policy, after.hash);
    // Where the policy is not known, nothing holds.
    let denial = standing.decide(&Terms::of(&[]), TIME, TODAY, TODAY);
    assert_eq!(denial, Err(Denial::Expired));
}

#[track_caller]
fn refuses(change: impl Fn(&mut ConsentEvent), expected: InvalidEvent) {
    let good = decide(2, Decision::Granted, &[LASER], TODAY);
    let standing = granted(&[TIME]);
    assert!(standing.apply(&terms(), &good).is_ok());
    let mut bad = good;
    change(&mut bad);
    assert_eq!(standing.apply(&terms(), &bad), Err(expected));
}

#[test]
fn a_yes_that_lacks_anything_is_none() {
    refuses(|event| event.categories.clear(), InvalidEvent::Incomplete);
    refuses(|event| event.categories.push(12), InvalidEvent::Incomplete);
    refuses(|event| event.date = 0, InvalidEvent::Incomplete);
    refuses(|event| event.notice_language.clear(), InvalidEvent::Incomplete);
    refuses(|event| event.notice_language = b"xx".to_vec(), InvalidEvent::Incomplete);
    refuses(|event| event.method = 0, InvalidEvent::Incomplete);
    refuses(|event| event.method = Method::Mandate.into(), InvalidEvent::Incomplete);
    refuses(|event| event.mandate_hash = vec![1; 32], InvalidEvent::Incomplete);
    refuses(|event| event.affirmation = 0, InvalidEvent::Incomplete);
    refuses(|event| event.decision = 0, InvalidEvent::Incomplete);
    refuses(|event| event.policy_hash = vec![1; 31], InvalidEvent::Incomplete);
    refuses(|event| event.policy_hash = vec![1; 32], InvalidEvent::PolicyUnknown);
    refuses(|event| event.sequence = 1, InvalidEvent::SequenceReused);
    refuses(|event| event.principal = vec![8; 16], InvalidEvent::Foreign);
    refuses(|event| event.public_key = vec![8; 32], InvalidEvent::Foreign);
    refuses(|event| event.decision = Decision::Renewed.into(), InvalidEvent::Incomplete);
    refuses(|event| event.recovery_key = key(5), InvalidEvent::Incomplete);
}

fn key(seed: u8) -> Vec<u8> {
    SigningSeed::from_seed(&[seed; 32]).public().to_vec()
}

#[test]
fn a_mandate_counts_where_the_policy_lists_it() {
    let event = ConsentEvent {
        method: Method::Mandate.into(),
        mandate_hash: vec![1; 32],
        ..grant(&[LASER])
    };
    assert!(Standing::begin(&terms(), &event).is_ok());
    let mut by_hand = policy();
    by_hand.methods.remove(&Method::Mandate);
    let refused = Standing::begin(&Terms::of(&[by_hand]), &event);
    assert_eq!(refused, Err(InvalidEvent::Incomplete));
}

#[test]
fn only_the_first_grant_carries_a_recovery_key() {
    let event = ConsentEvent { recovery_key: key(5), ..grant(&[LASER]) };
    let standing = Standing::begin(&terms(), &event).unwrap();
    assert_eq!(standing.recovery.unwrap().0.to_vec(), key(5));
    // The same again is for whoever did not hear the answer; another one would be a second code.
    let again = |recovery_key| ConsentEvent { sequence: 2, recovery_key, ..event.clone() };
    let same = standing.apply(&terms(), &again(key(5))).unwrap();
    assert_eq!(same.recovery, standing.recovery);
    assert_eq!(standing.apply(&terms(), &again(key(6))), Err(InvalidEvent::Incomplete));
    let renewal = decide(2, Decision::Renewed, &[LASER], TODAY);
    assert!(standing.apply(&terms(), &renewal).is_ok());
    let renewal = ConsentEvent { recovery_key: key(6), ..renewal };
    assert_eq!(standing.apply(&terms(), &renewal), Err(InvalidEvent::Incomplete));
    for unusable in [vec![0; 32], vec![1; 31], key(3)] {
        let event = ConsentEvent { recovery_key: unusable, ..grant(&[LASER]) };
        assert_eq!(Standing::begin(&terms(), &event), Err(InvalidEvent::Incomplete));
    }
}

#[test]
fn what_is_not_offered_cannot_be_granted() {
    let mut narrow = policy();
    narrow.purposes.remove(&LASER);
    let terms = Terms::of(&[narrow]);
    assert_eq!(Standing::begin(&terms, &grant(&[LASER])), Err(InvalidEvent::NotOffered));
    assert!(Standing::begin(&terms, &grant(&[TIME])).is_ok());
}

#[test]
fn a_withdrawal_is_never_turned_away_for_policy_or_date() {
    let standing = granted(&[LASER, TIME]);
    let bare = |decision| ConsentEvent {
        policy_hash: Vec::new(),
        notice_language: Vec::new(),
        method: 0,
        affirmation: 0,
        ..decide(2, decision, &[LASER], UtcDate(0))
    };
    let after = standing.apply(&Terms::of(&[]), &bare(Decision::Withdrawn)).unwrap();
    assert_eq!(after.granted.keys().copied().collect::<Vec<_>>(), [TIME]);
    assert_eq!(after.ended, None);
    let after = standing.apply(&Terms::of(&[]), &bare(Decision::Transferred)).unwrap();
    assert!(after.granted.is_empty());
    assert!(matches!(after.ended, Some((Ended::Transferred, _))));
    let refused = standing.apply(&Terms::of(&[]), &bare(Decision::Granted));
    assert_eq!(refused, Err(InvalidEvent::Incomplete));
}

#[test]
fn who_withdrew_everything_says_nothing_more() {
    let standing = granted(&[LASER]);
    let partly = decide(2, Decision::Withdrawn, &[LASER], day(1));
    let partly = standing.apply(&terms(), &partly).unwrap();
    let again = decide(3, Decision::Granted, &[LASER], day(2));
    assert!(partly.apply(&terms(), &again).is_ok());
    let wholly = decide(2, Decision::Withdrawn, &Category::ALL, day(1));
    let wholly = standing.apply(&terms(), &wholly).unwrap();
    assert_eq!(wholly.ended, Some((Ended::Withdrawn, day(1))));
    assert_eq!(wholly.apply(&terms(), &again), Err(InvalidEvent::Ended));
    let repeat = decide(2, Decision::Granted, &[LASER], day(2));
    assert_eq!(wholly.apply(&terms(), &repeat), Err(InvalidEvent::SequenceReused));
}

#[test]
fn a_restriction_denies_until_its_own_end() {
    let (standing, terms) = (granted(&[LASER]), terms());
    let denied = Err(Denial::Restricted);
    let held = folded(&standing, &hold(5));
    assert_eq!(held.decide(&terms, LASER, day(5), day(5)), denied);
    assert_eq!(held.decide(&terms, LASER, day(6), day(6)), Ok(()));
    // The end of the hold leaves the owner's restriction, and the other way round.
    let both = folded(&held, &restriction());
    assert_eq!(both.decide(&terms, LASER, day(6), day(6)), denied);
    let released = folded(&both, &What::Released { by: owner() });
    assert_eq!(released, held);
    let released = folded(&both, &What::Released { by: Acting::Operator {} });
    assert_eq!(released.decide(&terms, LASER, day(6), day(6)), denied);
    let released = folded(&released, &What::Released { by: Acting::Operator {} });
    assert_eq!(released, standing);
    // A hold that is over is in the way of no release.
    let by = Acting::Operator {};
    let late = Standing::fold(Some(&both), &terms, &What::Released { by }, day(6)).unwrap();
    assert_eq!(late, standing);
    // The clock ends what is over, and nothing else.
    let clock = What::Released { by: Acting::Clock {} };
    assert_eq!(folded(&held, &clock), held);
    assert_eq!(Standing::fold(Some(&held), &terms, &clock, day(6)), Ok(standing));
}

#[test]
fn a_shorter_hold_does_not_shorten_a_longer() {
    let longer = folded(&granted(&[LASER]), &hold(9));
    assert_eq!(folded(&longer, &hold(5)), longer);
    assert_eq!(folded(&longer, &hold(10)).hold.unwrap().until, Some(day(10)));
}

#[test]
fn a_restriction_that_does_not_fit_its_grounds_is_none() {
    let standing = granted(&[LASER]);
    let fold = |grounds, until, by| {
        let restriction = Restriction { grounds, since: TODAY, until };
        let what = What::Restricted { restriction, by };
        Standing::fold(Some(&standing), &terms(), &what, TODAY).is_ok()
    };
    assert!(fold(Grounds::Claim, Some(TODAY), Acting::Operator {}));
    assert!(!fold(Grounds::Claim, None, Acting::Operator {}));
    assert!(!fold(Grounds::Claim, Some(UtcDate(TODAY.0 - 1)), Acting::Operator {}));
    assert!(!fold(Grounds::Claim, Some(day(1)), owner()));
    assert!(fold(Grounds::Owner, None, Acting::Operator {}));
    assert!(!fold(Grounds::Owner, Some(day(1)), owner()));
}

#[test]
fn of_two_holds_the_longer_stands_and_of_two_alike_the_newer() {
    let hold = |grounds, until| {
        let restriction = Restriction { grounds, since: TODAY, until: Some(until) };
        What::Restricted { restriction, by: Acting::Operator {} }
    };
    let claimed = folded(&granted(&[LASER]), &hold(Grounds::Claim, day(5)));
    let stands = |standing: &Standing| standing.hold.unwrap().grounds;
    let alike = folded(&claimed, &hold(Grounds::Statutory, day(5)));
    assert_eq!(stands(&alike), Grounds::Statutory);
    let shorter = folded(&claimed, &hold(Grounds::Statutory, day(4)));
    assert_eq!(stands(&shorter), Grounds::Claim);
    let longer = folded(&claimed, &hold(Grounds::Statutory, day(6)));
    assert_eq!(stands(&longer), Grounds::Statutory);
}

#[test]
fn rights_reach_a_subject_that_has_ended() {
    let gone = decide(2, Decision::Withdrawn, &Category::ALL, day(1));
    let gone = granted(&[LASER]).apply(&terms(), &gone).unwrap();
    let erased = folded(&gone, &What::ErasureRequested { by: owner() });
    assert_eq!(erased.ended, Some((Ended::Erased, TODAY)));
    let again = What::ErasureRequested { by: owner() };
    let again = Standing::fold(Some(&erased), &terms(), &again, day(3)).unwrap();
    assert_eq!(again.ended, Some((Ended::Erased, TODAY)));
    assert!(folded(&gone, &restriction()).restricted(TODAY));
    let nobody = Standing::fold(None, &terms(), &restriction(), TODAY);
    assert_eq!(nobody, Err(InvalidEvent::Incomplete));
}

#[test]
fn an_objection_withdraws() {
    let standing = granted(&[LASER, TIME]);
    let object = |categories: &[Category]| What::Objected {
        categories: categories.to_vec(),
        by: Acting::Recovery { signed_request: String::new() },
    };
    let after = folded(&standing, &object(&[LASER]));
    assert_eq!(after.decide(&terms(), LASER, TODAY, TODAY), Err(Denial::NoGrant));
    assert_eq!(after.decide(&terms(), TIME, TODAY, TODAY), Ok(()));
    let after = folded(&standing, &object(&Category::ALL));
    assert_eq!(after.ended, Some((Ended::Withdrawn, TODAY)));
    assert_eq!(folded(&standing, &object(&[])), after);
}

#[test]
fn a_recorded_event_folds_as_it_was_applied_and_ends_on_its_recording() {
    let event = grant(&[LASER]);
    let consent = |event: &ConsentEvent| {
        let signed = SignedConsentEvent { event: encode(event), signature: vec![1; 64] };
        What::Consent { signed_event: hex::encode(encode(&signed)) }
    };
    let fold = |before, event| Standing::fold(before, &terms(), &consent(event), day(7));
    let standing = fold(None, &event).unwrap();
    assert_eq!(standing, Standing::begin(&terms(), &event).unwrap());
    let gone = decide(2, Decision::Withdrawn, &Category::ALL, UtcDate(0));
    assert_eq!(fold(Some(&standing), &gone).unwrap().ended, Some((Ended::Withdrawn, day(7))));
    // A yes cannot be of the future; a device's clock may be ahead around midnight.
    let future = |on| Standing::fold(None, &terms(), &consent(&event), UtcDate(on));
    assert!(future(TODAY.0 - 1).is_ok());
    assert_eq!(future(TODAY.0 - 2), Err(InvalidEvent::Incomplete));
    let damaged = What::Consent { signed_event: "00".to_owned() };
    let damaged = Standing::fold(Some(&standing), &terms(), &damaged, TODAY);
    assert_eq!(damaged, Err(InvalidEvent::Incomplete));
}

#[test]
fn states_are_those_of_the_specification() {
    let (standing, terms) = (granted(&[LASER]), terms());
    let state = |standing: &Standing, today| standing.state(&terms, LASER, today);
    assert_eq!(standing.state(&terms, TIME, TODAY), State::Unknown);
    assert_eq!(state(&standing, TODAY), State::Given);
    assert_eq!(state(&standing, day(400)), State::Expired);
    let after = |decision, categories: &[Category]| {
        standing.apply(&terms, &decide(2, decision, categories, day(1))).unwrap()
    };
    assert_eq!(state(&after(Decision::Renewed, &[LASER]), day(1)), State::Renewed);
    assert_eq!(state(&after(Decision::Withdrawn, &[LASER]), day(1)), State::Withdrawn);
    assert_eq!(state(&after(Decision::Transferred, &[LASER]), day(1)), State::Terminated);
    let expired = folded(&standing, &What::Expired { categories: vec![LASER] });
    assert_eq!(state(&expired, TODAY), State::Expired);
    assert_eq!(expired.lapsed(&terms, day(400)), []);
    let again = expired.apply(&terms, &decide(2, Decision::Granted, &[LASER], day(2))).unwrap();
    assert_eq!(state(&again, day(2)), State::Given);
    assert!(again.past.is_empty() && !expired.past.is_empty());
}

#[test]
fn a_standing_is_read_back() {
    let standing = folded(&folded(&granted(&[LASER]), &hold(5)), &restriction());
    let json = serde_json::to_string(&standing).unwrap();
    assert_eq!(serde_json::from_str::<Standing>(&json).unwrap(), standing);
}

/// What may happen.
#[derive(Clone, Debug)]
enum Op {
    Decide(Decision, BTreeSet<Category>),
    Restrict,
    Release,
    Hold(u32),
    Publish(BTreeSet<Category>),
    Pass(u32),
}

fn any_op() -> impl Strategy<Value = Op> {
    let categories = || prop::collection::btree_set(prop::sample::select(&Category::ALL), 1..5);
    let decision = prop_oneof![
        8 => Just(Decision::Granted),
        4 => Just(Decision::Renewed),
        4 => Just(Decision::Withdrawn),
        1 => Just(Decision::Transferred),
    ];
    prop_oneof![
        8 => (decision, categories()).prop_map(|(decision, names)| Op::Decide(decision, names)),
        1 => Just(Op::Decide(Decision::Withdrawn, Category::ALL.into())),
        1 => Just(Op::Restrict),
        2 => Just(Op::Release),
        1 => (0..60_u32).prop_map(Op::Hold),
        2 => categories().prop_map(Op::Publish),
        6 => (0..200_u32).prop_map(Op::Pass),
    ]
}

/// The naive model: for each category the days on which it may be collected, spelt out.
#[derive(Default)]
struct Model {
    days: BTreeMap<Category, BTreeSet<u32>>,
    restricted: bool,
    held_until: Option<u32>,
    ended: bool,
}

impl Model {
    /// The first day after a year, by rewriting the year.
    fn year_after(day: u32) -> u32 {
        let date = UtcDate(day).to_string();
        let (year, rest) = date.split_at(4);
        let year: u32 = year.parse().unwrap();
        let same: Result<UtcDate, _> = format!("{}{rest}", year + 1).parse();
        same.unwrap_or_else(|_| format!("{}-02-28", year + 1).parse().unwrap()).0
    }

    fn yes(&mut self, categories: &BTreeSet<Category>, today: u32) {
        for category in categories {
            let before = self.days.remove(category);
            let kept = before.filter(|days| days.contains(&today)).unwrap_or_default();
            let first = kept.first().copied().unwrap_or(today);
            self.days.insert(*category, (first..Self::year_after(today)).collect());
        }
    }

    fn publish(&mut self, effect: u32, categories: &BTreeSet<Category>) {
        for category in categories {
            if let Some(days) = self.days.get_mut(category) {
                days.retain(|&day| day < effect);
            }
        }
    }

    fn permits(&self, category: Category, date: u32, today: u32) -> bool {
        let covered = self
            .days
            .get(&category)
            .is_some_and(|days| days.contains(&today) && days.contains(&date));
        let held = self.held_until.is_some_and(|until| today <= until);
        covered && !self.restricted && !held && date <= today + 1 && date + 35 >= today
    }
}

fn known(policies: &[Policy]) -> Terms {
    Terms::of(policies)
}

/// One operation on both; the standing after it.
fn step(
    op: &Op,
    model: &mut Model,
    policies: &mut Vec<Policy>,
    standing: Standing,
    today: &mut u32,
) -> Standing {
    let sequence = standing.sequence + 1;
    let fold = |what| Standing::fold(Some(&standing), &known(policies), what, UtcDate(*today));
    match op {
        Op::Decide(decision, categories) => {
            let names: Vec<Category> = categories.iter().copied().collect();
            let event = decide(sequence, *decision, &names, UtcDate(*today));
            let policy_hash = policies.last().unwrap().hash.0.to_vec();
            let event = ConsentEvent { policy_hash, ..event };
            let real = standing.apply(&known(policies), &event);
            let running =
                |name: &Category| model.days.get(name).is_some_and(|days| days.contains(today));
            let renewable = categories.iter().all(running);
            let expected = !model.ended && (*decision != Decision::Renewed || renewable);
            assert_eq!(real.is_ok(), expected, "{real:?}");
            let Ok(real) = real else { return standing };
            match decision {
                Decision::Granted | Decision::Renewed => model.yes(categories, *today),
                Decision::Withdrawn => {
                    model.days.retain(|name, _| !categories.contains(name));
                    model.ended |= categories.len() == Category::ALL.len();
                }
                Decision::Transferred | Decision::Unspecified => {
                    model.days.clear();
                    model.ended = true;
                }
            }
            return real;
        }
        Op::Restrict => {
            model.restricted = true;
            return fold(&restriction()).unwrap();
        }
        Op::Release => {
            model.restricted = false;
            return fold(&What::Released { by: owner() }).unwrap();
        }
        Op::Hold(days) => {
            let until = *today + days;
            model.held_until = model.held_until.max(Some(until));
            let since = UtcDate(*today);
            let (grounds, until) = (Grounds::Claim, Some(UtcDate(until)));
            let restriction = Restriction { grounds, since, until };
            return fold(&What::Restricted { restriction, by: Acting::Operator {} }).unwrap();
        }
        Op::Publish(categories) => {
            let mut next = later(policies.last().unwrap(), UtcDate(*today + 30));
            next.change.as_mut().unwrap().grown = categories.clone();
            policies.push(next);
            model.publish(*today + 30, categories);
        }
        Op::Pass(days) => *today += days,
    }
    standing
}

proptest! {
    /// After any history, of any record, the standing says what the model says.
    #[test]
    fn the_standing_agrees_with_a_model_of_days(
        ops in prop::collection::vec(any_op(), 1..25),
        recorded in any::<bool>(),
    ) {
        let mut today = TODAY.0;
        let (mut model, mut policies) = (Model::default(), vec![policy()]);
        model.yes(&[LASER].into(), today);
        let mut standing = granted(&[LASER]);
        for op in &ops {
            standing = step(op, &mut model, &mut policies, standing, &mut today);
            let terms = known(&policies);
            // Whether the clock records a lapse changes no answer.
            let categories = standing.lapsed(&terms, UtcDate(today));
            if recorded && !categories.is_empty() {
                let lapse = What::Expired { categories };
                standing = Standing::fold(Some(&standing), &terms, &lapse, UtcDate(today)).unwrap();
            }
            for category in Category::ALL {
                for date in [today + 2, today + 1, today, today - 1, today - 35, today - 36] {
                    let real = standing.decide(&terms, category, UtcDate(date), UtcDate(today));
                    let expected = model.permits(category, date, today);
                    prop_assert_eq!(real.is_ok(), expected, "{} on {}: {:?}", category, date, real);
                }
                // Every permit is in a state that permits.
                let state = standing.state(&terms, category, UtcDate(today));
                let covered = model.days.get(&category);
                let covered = covered.is_some_and(|days| days.contains(&today));
                prop_assert_eq!(state.permits(), covered);
            }
        }
    }
}
