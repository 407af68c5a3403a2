//! Questions that are refused, and how much one principal can change the sums of bounded rows.

use proptest::prelude::*;

use super::*;
use crate::settle::Plan;

/// A question with these groups over these many months.
pub(crate) fn question(measure: Measure, groups: usize, epochs: u32, bound: u32) -> Question {
    Question {
        metric: "fault_rate".to_owned(),
        title: "Prints with a fault".to_owned(),
        unit: "share of prints".to_owned(),
        estimand: "Share of prints during which a fault was told.".to_owned(),
        measure,
        first: "2026-01-01".parse().unwrap(),
        last: "2026-09-30".parse().unwrap(),
        epochs: (0..epochs).map(|at| 202_601 + at).collect(),
        filters: BTreeMap::new(),
        by: vec!["machine_model".to_owned()],
        groups: (0..groups).map(|at| vec![format!("model {at}")]).collect(),
        rows_per_principal_and_epoch: NonZeroU32::new(bound).unwrap(),
        epsilon: MicroEpsilon::RELEASE,
        synthetic: true,
    }
}

pub(crate) fn mean(largest: u64) -> Measure {
    Measure::Mean { largest_millionths: NonZeroU64::new(largest).unwrap() }
}

fn histogram(bins: usize) -> Measure {
    Measure::Histogram { bins: (0..bins).map(|at| format!("bin {at}")).collect() }
}

#[track_caller]
fn refused(change: impl FnOnce(&mut Question), expected: &str) {
    let mut question = question(Measure::Rate, 3, 2, 300);
    question.check().unwrap();
    change(&mut question);
    assert_eq!(question.check().unwrap_err().to_string(), expected);
}

#[test]
fn what_cannot_be_released_is_named() {
    let epochs = "`epochs` are to be 1 to 62, ascending";
    refused(|q| q.epochs.clear(), epochs);
    refused(|q| q.epochs.reverse(), epochs);
    refused(|q| q.epochs = (1..=63).collect(), epochs);
    let groups = "`groups` are to be different, at least one, with one label for each of `by`";
    refused(|q| q.groups.clear(), groups);
    refused(|q| q.groups.push(vec!["model 0".to_owned()]), groups);
    refused(|q| q.by.clear(), groups);
    refused(|q| q.epsilon.0 = 999, "`epsilon` is 0.000999, expected 0.001 and more");
    refused(
        |q| q.last = "2025-12-31".parse().unwrap(),
        "`last` is 2025-12-31, before `first`, 2026-01-01",
    );
    let cells = |cells| {
        format!("the release would have {cells} numbers, expected 1 to 10000; group by less")
    };
    refused(|q| q.measure = histogram(0), &cells(0));
    refused(|q| q.measure = histogram(3_334), &cells(10_002));
}

#[test]
fn sums_that_no_bounded_principals_have_are_refused() {
    let rates = question(Measure::Rate, 1, 1, 10);
    let sums = |principals, rows, value_millionths| Sums {
        principals,
        rows,
        value_millionths,
        bins: Vec::new(),
    };
    let try_at = |question: &Question, place, sums| question.exact(&Table::from([(place, sums)]));
    let unbounded = Err(QuestionError::Unbounded { group: 0, epoch: 202_601 });
    let place = (0, 202_601);
    assert!(try_at(&rates, place, sums(2, 20, 20_000_000)).is_ok());
    assert_eq!(try_at(&rates, place, sums(2, 21, 0)), unbounded);
    assert_eq!(try_at(&rates, place, sums(3, 2, 0)), unbounded);
    assert_eq!(try_at(&rates, place, sums(2, 20, 21_000_000)), unbounded);
    assert_eq!(try_at(&rates, place, sums(2, 20, 500_000)), unbounded);
    assert_eq!(try_at(&rates, place, Sums { bins: vec![1], ..sums(1, 1, 0) }), unbounded);
    let bins = question(histogram(2), 1, 1, 10);
    assert!(try_at(&bins, place, Sums { bins: vec![1, 2], ..sums(1, 3, 0) }).is_ok());
    assert_eq!(try_at(&bins, place, Sums { bins: vec![1, 1], ..sums(1, 3, 0) }), unbounded);
    assert_eq!(try_at(&bins, place, Sums { bins: vec![3], ..sums(1, 3, 0) }), unbounded);
    for place in [(1, 202_601), (0, 202_602)] {
        let refused = Err(QuestionError::Place { group: place.0, epoch: place.1 });
        assert_eq!(try_at(&rates, place, sums(1, 1, 0)), refused);
    }
}

#[test]
fn whatever_changes_in_a_question_or_edition_is_another_release() {
    let asked = question(Measure::Rate, 2, 1, 300);
    let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
    let mut ids = BTreeSet::from([asked.id(&one), asked.id(&other)]);
    let changes: [fn(&mut Question); 6] = [
        |q| q.metric.push('s'),
        |q| q.measure = Measure::Rows,
        |q| q.epochs.push(202_612),
        |q| q.filters.extend([("slicer".to_owned(), BTreeSet::from(["a".to_owned()]))]),
        |q| q.groups.reverse(),
        |q| q.epsilon.0 -= 1,
    ];
    for change in changes {
        let mut changed = asked.clone();
        change(&mut changed);
        ids.insert(changed.id(&one));
    }
    assert_eq!(ids.len(), 8);
    assert_eq!(asked.clone().id(&one), asked.id(&one));
}

/// A row: its epoch, group, bin and value, each by an index.
type Row = (u32, usize, usize, u64);

/// Sums of the rows of many principals.
fn table(question: &Question, all: &[&Vec<Row>]) -> Table {
    let mut table = Table::new();
    for rows in all {
        let mut seen = BTreeSet::new();
        for &(epoch, group, bin, value) in *rows {
            let place = (group, question.epochs[usize::try_from(epoch).unwrap()]);
            let sums: &mut Sums = table.entry(place).or_default();
            sums.principals += u64::from(seen.insert(place));
            sums.rows += 1;
            let step = u128::from(question.measure.step());
            sums.value_millionths += u128::from(value.min(question.measure.largest())) * step;
            if let Measure::Histogram { bins } = &question.measure {
                sums.bins.resize(bins.len(), 0);
                sums.bins[bin] += 1;
            }
        }
    }
    table
}

fn distance(one: &[IBig], other: &[IBig]) -> IBig {
    one.iter().zip(other).map(|(a, b)| if a > b { a - b } else { b - a }).sum()
}

/// Whether one principal changes the lists by no more than the noise is made for.
fn within(question: &Question, with: &Exact, without: &Exact) -> [(IBig, IBig); 3] {
    let plan = Plan::of(question);
    let most = |noise: &Option<crate::noise::Laplace>, none: &IBig| {
        noise.as_ref().map_or(none.clone(), |noise| noise.sensitivity().clone().into())
    };
    let rows = distance(&with.rows, &without.rows);
    let values = distance(&with.values, &without.values);
    let principals = distance(&with.principals, &without.principals);
    let of_principals = IBig::from(plan.principals.sensitivity().clone());
    let (of_rows, of_values) = (most(&plan.rows, &rows), most(&plan.values, &values));
    [(principals, of_principals), (rows, of_rows), (values, of_values)]
}

proptest! {
    #[test]
    fn one_principal_changes_no_list_by_more_than_its_sensitivity(
        measure in prop_oneof![
            Just(Measure::Rows), Just(Measure::Printers), Just(Measure::Rate),
            Just(mean(7)), Just(histogram(3)),
        ],
        (groups, epochs, bound) in (1_usize..5, 1_u32..4, 1_u32..6),
        rows in prop::collection::vec(
            prop::collection::vec((0_u32..4, 0_usize..5, 0_usize..3, 0_u64..9), 0..20), 1..6,
        ),
    ) {
        let question = question(measure, groups, epochs, bound);
        let bounded = |rows: Vec<Row>| {
            let mut each = BTreeMap::new();
            let of_question = |(epoch, group, bin, value)| (epoch % epochs, group % groups, bin, value);
            let fits = |row: &Row| {
                let count: &mut u32 = each.entry(row.0).or_default();
                *count += 1;
                *count <= bound
            };
            rows.into_iter().map(of_question).filter(fits).collect::<Vec<Row>>()
        };
        let rows: Vec<Vec<Row>> = rows.into_iter().map(bounded).collect();
        let all: Vec<&Vec<Row>> = rows.iter().collect();
        let with = question.exact(&table(&question, &all)).unwrap();
        let without = question.exact(&table(&question, &all[1..])).unwrap();
        for (changed, most) in within(&question, &with, &without) {
            prop_assert!(changed <= most, "{changed} is more than {most}");
        }
    }
}

/// One principal that does all it can, beside others that are everywhere.
#[track_caller]
fn reached(measure: Measure, groups: usize, epochs: u32, bound: u32, rows: &[Row]) {
    let question = question(measure, groups, epochs, bound);
    let one_each = |epoch| (0..groups).map(move |group| (epoch, group, 0, 0));
    let others: Vec<Row> = (0..epochs).flat_map(one_each).collect();
    let victim = rows.to_vec();
    let with = question.exact(&table(&question, &[&victim, &others])).unwrap();
    let without = question.exact(&table(&question, &[&others])).unwrap();
    for (changed, most) in within(&question, &with, &without) {
        assert_eq!(changed, most);
    }
}

#[test]
fn sensitivities_are_reached_so_no_noise_is_wasted() {
    let everywhere = [(0, 0, 0, 7), (0, 1, 1, 7), (1, 0, 2, 7), (1, 1, 0, 7)];
    reached(mean(7), 2, 2, 2, &everywhere);
    reached(Measure::Rate, 2, 2, 2, &everywhere);
    reached(histogram(3), 2, 2, 2, &everywhere);
    reached(Measure::Printers, 1, 1, 1, &[(0, 0, 0, 1)]);
    reached(Measure::Rows, 3, 1, 3, &[(0, 0, 0, 0), (0, 1, 0, 0), (0, 2, 0, 0)]);
}
