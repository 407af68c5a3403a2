//! The gate against a naive reading of the rule, and against the rule that it replaced.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::*;

/// Rows and value of each principal of one epoch.
type Members = Vec<(u64, u64)>;

fn weight(parts: &[u128]) -> Weight {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    Weight {
        total: parts.iter().sum(),
        largest: sorted.first().copied().unwrap_or(0),
        two_largest: sorted.iter().take(2).sum(),
    }
}

fn stat(epoch: u32, members: &Members) -> Stat {
    let rows: Vec<u128> = members.iter().map(|&(n, _)| u128::from(n)).collect();
    let value: Vec<u128> = members.iter().map(|&(_, s)| u128::from(s)).collect();
    Stat {
        epoch,
        principals: u64::try_from(members.len()).unwrap(),
        rows: weight(&rows),
        value: weight(&value),
        squares: Squares::default(),
    }
}

/// The rule as a reader would check it with pencil and paper: every principal, every pair.
fn naive(k: usize, by: By, epochs: &[Members]) -> bool {
    let balanced = |parts: Vec<u64>| {
        let total: u64 = parts.iter().sum();
        let alone = parts.iter().all(|part| part * 10 <= total * 3);
        let pair = parts.iter().enumerate().all(|(at, one)| {
            parts.iter().enumerate().all(|(other, two)| at == other || (one + two) * 2 <= total)
        });
        alone && pair
    };
    let may = |members: &Members| {
        let rows = members.iter().map(|&(n, _)| n).collect();
        let value = members.iter().map(|&(_, s)| s).collect();
        members.len() >= k && balanced(rows) && (by == By::Rows || balanced(value))
    };
    !epochs.is_empty() && epochs.iter().all(may)
}

/// What was asked before: k principals, and nobody with more than half of the rows.
fn old(k: usize, epochs: &[Members]) -> bool {
    let may = |members: &Members| {
        let total: u64 = members.iter().map(|&(n, _)| n).sum();
        let largest = members.iter().map(|&(n, _)| n).max().unwrap_or(0);
        members.len() >= k && largest * 2 <= total
    };
    !epochs.is_empty() && epochs.iter().all(may)
}

/// Groups around the rule's edges: some of 18 to 24 principals, with up to three large ones.
fn members() -> impl Strategy<Value = Members> {
    let small = prop::collection::vec((1_u64..=3, 0_u64..=9), 15..24);
    let large = prop::collection::vec((0_u64..=40, 0_u64..=200), 0..4);
    (small, large).prop_map(|(mut all, large)| {
        all.extend(large.into_iter().map(|(n, s)| (n.max(1), s)));
        all
    })
}

fn epochs() -> impl Strategy<Value = Vec<Members>> {
    prop::collection::vec(members(), 0..3)
}

fn by() -> impl Strategy<Value = By> {
    prop_oneof![Just(By::Rows), Just(By::RowsAndValue)]
}

fn stats(epochs: &[Members]) -> Vec<Stat> {
    (202_610..).zip(epochs).map(|(epoch, members)| stat(epoch, members)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_gate_is_the_rule(k in 20_u32..26, by in by(), epochs in epochs()) {
        let rule = Rule { guard: Guard::at(Threshold::new(k).unwrap()), by };
        let expected = naive(usize::try_from(k).unwrap(), by, &epochs);
        prop_assert_eq!(rule.may_tell(&stats(&epochs)), expected);
    }

    /// Sharing a principal's rows out among others never makes a group that was told forbidden.
    #[test]
    fn one_more_small_principal_never_closes_the_gate(members in members()) {
        let rule = Rule { guard: Guard::INSIDE, by: By::Rows };
        let mut more = members.clone();
        more.push((1, 0));
        prop_assert!(!rule.may_tell(&stats(&[members])) || rule.may_tell(&stats(&[more])));
    }
}

/// The leaking control: the comparison above must see the old rule fail, and in which way.
#[test]
fn the_old_rule_is_caught_telling_dominated_groups() {
    let mut told: BTreeMap<bool, u32> = BTreeMap::new();
    let mut runner = TestRunner::deterministic();
    for _ in 0..2_000 {
        let epochs = epochs().new_tree(&mut runner).unwrap().current();
        let (old, right) = (old(20, &epochs), naive(20, By::RowsAndValue, &epochs));
        assert!(old || !right, "the rule only takes away: {epochs:?}");
        if old {
            *told.entry(right).or_default() += 1;
        }
    }
    assert!(told[&false] > 100 && told[&true] > 100, "{told:?}");
}

#[track_caller]
fn tells(k: u32, by: By, members: &[(u64, u64)], expected: bool) {
    let rule = Rule { guard: Guard::at(Threshold::new(k).unwrap()), by };
    assert_eq!(rule.may_tell(&[stat(202_611, &members.to_vec())]), expected);
}

/// `count` principals of one row and value each, and these.
fn with(count: usize, more: &[(u64, u64)]) -> Members {
    [vec![(1, 1); count], more.to_vec()].concat()
}

#[test]
fn each_epoch_needs_k_principals() {
    tells(20, By::Rows, &with(20, &[]), true);
    tells(20, By::Rows, &with(19, &[]), false);
    tells(50, By::Rows, &with(49, &[]), false);
    let rule = Rule { guard: Guard::INSIDE, by: By::Rows };
    let two = [stat(202_610, &with(30, &[])), stat(202_611, &with(19, &[]))];
    assert!(!rule.may_tell(&two) && rule.may_tell(&two[..1]) && !rule.may_tell(&[]));
    assert_eq!(principals(&two), 30);
}

#[test]
fn one_may_weigh_thirty_percent_and_two_half() {
    // 30 of 100, then 31 of 101.
    tells(20, By::Rows, &with(70, &[(30, 1)]), true);
    tells(20, By::Rows, &with(70, &[(31, 1)]), false);
    // 25 and 25 of 100, then 25 and 26 of 101.
    tells(20, By::Rows, &with(50, &[(25, 1), (25, 1)]), true);
    tells(20, By::Rows, &with(50, &[(25, 1), (26, 1)]), false);
}

#[test]
fn an_amount_is_weighed_as_well_as_rows() {
    let heavy = with(30, &[(1, 40)]);
    tells(20, By::Rows, &heavy, true);
    tells(20, By::RowsAndValue, &heavy, false);
    // Where nothing was added nobody dominates it.
    tells(20, By::RowsAndValue, &vec![(1, 0); 20], true);
}

#[test]
fn an_operator_alone_is_told_everything_and_no_k_lies_between() {
    tells(1, By::RowsAndValue, &[(10, 10)], true);
    for k in [0, 2, 19] {
        assert_eq!(Threshold::new(k).unwrap_err().k, k);
    }
    assert_eq!(Threshold::new(20).unwrap(), Threshold::INSIDE);
    assert_eq!(Threshold::new(1).unwrap(), Threshold::ALONE);
    assert_eq!(Threshold::new(50).unwrap().get().get(), 50);
}
