//! Releases from small lakes: what is asked, what is counted, and when it is told no more.

use imprimatur_consent::policy::EpochLength;
use imprimatur_consent::{Category, Digest};
use imprimatur_proto::record::RecordKind;
use imprimatur_release::{Measure, MicroEpsilon, Number, ReleaseError};
use imprimatur_runtime::{UnixSeconds, UtcDate};
use tempfile::TempDir;

use super::*;
use crate::tests::{DONE, FAULT, Fleet, PETG, PLA};
use crate::{EDITION_LENGTH, QueryError};

/// In December 2026.
const NOW: UnixSeconds = UnixSeconds(1_796_000_000 + 5 * 86_400);

fn asked(metric: &str, by: &str) -> ReleaseRequest {
    ReleaseRequest {
        metric: metric.to_owned(),
        month: "2026-11".to_owned(),
        by: Some(by.to_owned()).filter(|by| !by.is_empty()),
        filter: None,
        epsilon: None,
        rows: ROWS_DEFAULT,
    }
}

fn checked(request: &ReleaseRequest) -> Result<ask::Checked, MakeError> {
    request.check(&crate::metrics().unwrap(), NOW.date())
}

fn question(request: &ReleaseRequest) -> imprimatur_release::Question {
    let rules = imprimatur_lake::Rules::ceilings();
    checked(request).unwrap().released(&rules, MicroEpsilon::RELEASE, true).unwrap()
}

#[track_caller]
fn refused(request: &ReleaseRequest, expected: &str) {
    let error = checked(request).map(|_| ()).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let text = format!("{error}: {cause}");
    assert!(text.contains(expected), "{text}");
}

#[test]
fn groups_epochs_and_bounds_are_public_before_a_row_is_read() {
    let total = question(&asked("failure_rate", ""));
    assert_eq!((total.groups, total.epochs), (vec![Vec::<String>::new()], vec![202_611]));
    assert_eq!((total.measure, total.rows_per_principal_and_epoch.get()), (Measure::Rate, 30));
    let by = question(&asked("failure_rate", "material_family")).groups;
    assert_eq!(by.first().unwrap(), &["unknown"]);
    assert_eq!(by.last().unwrap(), &["not_shared"]);
    let model = question(&asked("print_count", "model")).groups;
    assert_eq!(
        (model.len(), &model[0][0], &model[255][0]),
        (256, &"unknown".into(), &"255".into())
    );
    let technology = question(&asked("print_count", "technology")).groups;
    assert_eq!(technology, [["unknown"], ["extrusion"], ["light"]]);
    // On a day's own row the model can be withheld by its owner.
    assert_eq!(question(&asked("printer_count", "model")).groups.len(), 257);
    let two = ReleaseRequest {
        filter: Some("material_family=pla,material_family=petg".to_owned()),
        rows: 7.try_into().unwrap(),
        ..asked("failure_rate", "material_family")
    };
    let two = question(&two);
    assert_eq!(two.groups, [["pla"], ["petg"]]);
    assert_eq!(two.rows_per_principal_and_epoch.get(), 7);
    let much = ReleaseRequest { rows: 100_000.try_into().unwrap(), ..asked("print_count", "") };
    assert_eq!(question(&much).rows_per_principal_and_epoch.get(), 300);
    let mut rules = imprimatur_lake::Rules::ceilings();
    rules.epochs.insert(EpochLength::Day);
    let epochs = checked(&asked("print_count", "")).unwrap();
    let epochs = epochs.released(&rules, MicroEpsilon::RELEASE, true).unwrap().epochs;
    assert_eq!(
        (epochs.len(), epochs[0], epochs[1], epochs[30]),
        (31, 202_611, 20_261_101, 20_261_130)
    );
}

#[test]
fn what_cannot_be_released_is_named() {
    refused(&asked("failure_rat", ""), "did you mean `failure_rate`?");
    refused(&asked("print_count", "week"), "`week`, whose groups only rows tell");
    refused(&asked("print_count", "model,outcome"), "one dimension at most");
    let month =
        |month: &str| ReleaseRequest { month: month.to_owned(), ..asked("print_count", "") };
    refused(&month("2026-13"), "no month");
    refused(&month("November"), "no month");
    refused(
        &month("2026-12"),
        "2026-12 is not over: it can be released from the day after 2026-12-31",
    );
    let metrics = crate::metrics().unwrap();
    let last: UtcDate = "2026-11-30".parse().unwrap();
    assert!(month("2026-11").check(&metrics, last).is_err(), "its last day is not over");
    assert!(month("2026-11").check(&metrics, UtcDate(last.0 + 1)).is_ok());
    let filter = |filter: &str, by: &str| ReleaseRequest {
        filter: Some(filter.to_owned()),
        ..asked("print_count", by)
    };
    refused(&filter("outcome=done", ""), "group by `outcome`");
    refused(&filter("outcome=cheese", "outcome"), "`cheese`");
    refused(&filter("model=not_shared", "model"), "cannot have rows");
    // Every histogram fits beside every dimension: no release has more than 10,000 numbers.
    assert!(question(&asked("slicer", "model")).check().is_ok());
}

/// A lake with 250 principals, and its folder of releases.
struct Made {
    fleet: Fleet,
    engine: Engine,
    released: Released,
    _folder: TempDir,
}

fn made(change: impl FnOnce(&mut Fleet)) -> Made {
    let mut fleet = Fleet::new();
    fleet.prints(250, "2026-11-21", &[DONE, PLA]);
    fleet.prints(50, "2026-11-22", &[FAULT, PLA]);
    fleet.prints(40, "2026-11-23", &[DONE, PETG]);
    fleet.prints(90, "2026-10-31", &[FAULT, PETG]);
    fleet.prints(90, "2026-12-01", &[FAULT, PETG]);
    change(&mut fleet);
    let folder = tempfile::tempdir().unwrap();
    let engine = fleet.publish().with_editions(folder.path(), EDITION_LENGTH).unwrap();
    let released = Released::new(fleet.folder.path(), &folder.path().join("released"));
    Made { fleet, engine, released, _folder: folder }
}

impl Made {
    async fn table(&self, request: &ReleaseRequest) -> imprimatur_release::Table {
        let checked = checked(request).unwrap();
        let (found, _) = self.engine.groups(checked.question.clone()).await.unwrap();
        table::table(&checked, &found).unwrap()
    }
}

#[tokio::test]
async fn the_exact_sums_are_those_of_the_month_and_of_nothing_else() {
    let made = made(|_| {});
    let sums = |principals, rows, failed: u128| imprimatur_release::Sums {
        principals,
        rows,
        value_millionths: failed * 1_000_000,
        bins: Vec::new(),
    };
    let all = made.table(&asked("failure_rate", "")).await;
    assert_eq!(all, [((0, 202_611), sums(250, 340, 50))].into());
    let by = asked("failure_rate", "material_family");
    let groups = question(&by).groups;
    let at = |label: &str| groups.iter().position(|group| group[0] == label).unwrap();
    let expected =
        [((at("pla"), 202_611), sums(250, 300, 50)), ((at("petg"), 202_611), sums(40, 40, 0))];
    assert_eq!(made.table(&by).await, expected.into());
    let outcome = made.table(&asked("outcome", "")).await;
    let outcome = &outcome[&(0, 202_611)];
    assert_eq!((outcome.principals, outcome.rows, outcome.bins.iter().sum()), (250, 340, 340_u64));
    assert_eq!((outcome.bins[0], outcome.bins[2]), (290, 50));
    // Of each principal one row: the earliest.
    let one = ReleaseRequest { rows: 1.try_into().unwrap(), ..asked("failure_rate", "") };
    assert_eq!(made.table(&one).await, [((0, 202_611), sums(250, 250, 0))].into());
    let means = made.table(&asked("print_duration_mean", "")).await;
    assert!(means.is_empty(), "nobody told a duration");
}

/// The totals of a model's technology are margins of the table by model, and no groups of it.
#[tokio::test]
async fn a_table_by_model_has_its_models_alone() {
    let machine = |model| [("machine_model", model)];
    let made = made(|fleet| {
        (1..=100).for_each(|one| fleet.tell(RecordKind::Day, one, "2026-11-21", &machine(12)));
        (101..=130).for_each(|one| fleet.tell(RecordKind::Day, one, "2026-11-21", &machine(131)));
    });
    let rows = |table: imprimatur_release::Table| -> Vec<(usize, u64)> {
        table.into_iter().map(|((group, _), sums)| (group, sums.rows)).collect()
    };
    let models = made.table(&asked("print_count", "model")).await;
    assert_eq!(rows(models), [(0, 210), (12, 100), (131, 30)]);
    let technologies = made.table(&asked("print_count", "technology")).await;
    assert_eq!(rows(technologies), [(0, 210), (1, 100), (2, 30)]);
    let bins = made.table(&asked("outcome", "model")).await;
    assert_eq!(bins[&(12, 202_611)].bins.iter().sum::<u64>(), 100);
}

#[tokio::test]
async fn the_same_question_is_the_same_bytes_and_an_exclusion_withdraws_it() {
    let mut made = made(|fleet| {
        *fleet.catalogue.excluded_at.get_mut(&Category::Status).unwrap() = 7;
    });
    let request = asked("failure_rate", "");
    let first = made.released.make(&made.engine, &request, None, NOW).await.unwrap();
    let again = made.released.make(&made.engine, &request, None, NOW).await.unwrap();
    assert_eq!(again.bytes, first.bytes);
    let spent = made.released.budget(NOW).await.unwrap().month_spent;
    assert_eq!(spent, MicroEpsilon::RELEASE);
    // Somebody withdraws another category; then this one.
    let mut publish = |category, mark| {
        *made.fleet.catalogue.excluded_at.get_mut(&category).unwrap() = mark;
        made.fleet.publish();
    };
    publish(Category::Material, 900);
    let id = first.release.id;
    assert_eq!(made.released.show(id, NOW).await.unwrap().bytes, first.bytes);
    publish(Category::Status, 901);
    let gone = made.released.show(id, NOW).await.unwrap_err().to_string();
    assert!(
        gone.contains("was withdrawn on 2026-12-05 (somebody of its population is excluded)"),
        "{gone}"
    );
    let listed = made.released.list(NOW).await.unwrap();
    assert!(listed.len() == 1 && listed[0].withdrawn.is_some());
    // In the same edition there is no other; without a catalogue nothing is told.
    let repeat = made.released.make(&made.engine, &request, Some(id), NOW).await.unwrap_err();
    assert!(matches!(repeat, MakeError::Release(ReleaseError::Withdrawn { .. })), "{repeat}");
    std::fs::remove_file(made.fleet.folder.path().join("catalogue.json")).unwrap();
    let untold = made.released.list(NOW).await.unwrap_err();
    assert!(matches!(untold, MakeError::Catalogue(_)), "{untold}");
}

#[tokio::test]
async fn a_policy_narrows_what_a_release_may_cost_and_whom_it_tells_of() {
    let made = made(|fleet| {
        fleet.catalogue.rules.epsilon_release_milli = 50;
        fleet.catalogue.rules.k_released = 70;
    });
    let dear = ReleaseRequest { epsilon: Some(MicroEpsilon::RELEASE), ..asked("failure_rate", "") };
    let refused = made.released.make(&made.engine, &dear, None, NOW).await.unwrap_err();
    assert!(matches!(refused, MakeError::Release(ReleaseError::TooMuch { .. })), "{refused}");
    let told =
        made.released.make(&made.engine, &asked("failure_rate", ""), None, NOW).await.unwrap();
    assert_eq!((told.release.privacy.k, told.release.privacy.epsilon_micro.0), (70, 50_000));
    let text = readable(&told.release);
    assert!(text.contains("1 withheld") && text.contains(&told.release.id.to_string()), "{text}");
    let unknown = made.released.show(Digest([9; 32]), NOW).await.unwrap_err();
    assert!(matches!(unknown, MakeError::Release(ReleaseError::Unknown { .. })), "{unknown}");
    let odd = made.released.make(&made.engine, &asked("shoes", ""), None, NOW).await.unwrap_err();
    assert!(matches!(odd, MakeError::Query(QueryError::UnknownMetric { .. })), "{odd}");
}

#[tokio::test]
async fn a_large_group_is_told_with_its_intervals() {
    let made = made(|fleet| {
        // One principal has one byte for its number; a day of rows for each of four hundred others.
        fleet.crowd(700, "2026-11-20", &[DONE, PLA]);
    });
    let request = ReleaseRequest { rows: 1.try_into().unwrap(), ..asked("print_count", "") };
    let told = made.released.make(&made.engine, &request, None, NOW).await.unwrap().release;
    let Number::Rows { rows } = &told.groups[0].number else { panic!("{told:?}") };
    assert!(rows.low < rows.value && rows.value < rows.high, "{told:?}");
    let text = readable(&told);
    assert!(text.starts_with("Prints [prints], 2026-11-01 to 2026-11-30\n"), "{text}");
    assert!(text.contains("1 of 1 groups told, 0 withheld"), "{text}");
}
