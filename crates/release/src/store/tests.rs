//! Releases on a disk: repeats, crashes, neighbours on the same folder, withdrawal, damage.

use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use imprimatur_consent::Category;

use super::*;
use crate::question::Measure;
use crate::question::Sums;
use crate::question::tests::question;
use crate::release::Number;

const NOW: UnixSeconds = UnixSeconds(1_796_000_000);

fn limits() -> Limits {
    Limits::new(50, MicroEpsilon::RELEASE, MicroEpsilon::MONTH, MicroEpsilon::YEAR).unwrap()
}

fn folder() -> (tempfile::TempDir, Releases) {
    let folder = tempfile::tempdir().unwrap();
    let releases = Releases::open(folder.path(), limits()).unwrap();
    (folder, releases)
}

/// A question about one month; each name is another.
fn asked(name: usize) -> Question {
    let mut asked = question(Measure::Rate, 2, 1, 300);
    asked.metric = format!("metric_{name}");
    asked
}

fn table() -> Table {
    let sums =
        Sums { principals: 9_000, rows: 200_000, value_millionths: 150_000_000_000, bins: vec![] };
    Table::from([((0, 202_601), sums)])
}

fn edition(number: u8) -> Digest {
    Digest::of(&[number])
}

fn marks(status: u64, laser: u64) -> Marks {
    Marks::from([(Category::Status, status), (Category::Laser, laser)])
}

/// Rows of the category status.
fn rows(number: u8) -> Population {
    let excluded_at = Marks::from([(Category::Status, 7)]);
    Population { edition: edition(number), excluded_at }
}

fn release(releases: &Releases, name: usize) -> Result<Standing, ReleaseError> {
    releases.release(&asked(name), &rows(1), &table(), None, NOW)
}

fn spent(releases: &Releases) -> u64 {
    releases.budget(NOW).unwrap().month_spent.0
}

#[test]
fn a_repeat_is_the_same_bytes_and_costs_nothing() {
    let (folder, releases) = folder();
    let first = release(&releases, 1).unwrap();
    for _ in 0..100 {
        assert_eq!(release(&releases, 1).unwrap().bytes, first.bytes);
    }
    // After a restart, even with other sums and after the year's end.
    let again = Releases::open(folder.path(), limits()).unwrap();
    let later = UnixSeconds(NOW.0 + 1_000 * 86_400);
    let told = again.release(&asked(1), &rows(1), &Table::new(), None, later).unwrap();
    assert_eq!(told, first);
    assert_eq!(again.find(&asked(1), &edition(1)).unwrap(), Some(told));
    assert_eq!(again.find(&asked(2), &edition(1)).unwrap(), None);
    assert_eq!(
        (spent(&again), fs::read(again.file(&first.release.id, RELEASE)).unwrap()),
        (100_000, first.bytes)
    );
    // Another edition is another release.
    let other = again.release(&asked(1), &rows(2), &table(), None, NOW).unwrap();
    assert_ne!(other.release.groups, first.release.groups);
    assert_eq!(spent(&again), 200_000);
}

#[test]
fn a_spent_budget_refuses_and_restarts_give_nothing_back() {
    let (folder, releases) = folder();
    for name in 0..10 {
        release(&releases, name).unwrap();
    }
    let again = Releases::open(folder.path(), limits()).unwrap();
    let free = UnixSeconds(NOW.0 + 30 * 86_400);
    let refused = release(&again, 10).unwrap_err();
    assert!(
        matches!(&refused, ReleaseError::Spent(spent) if spent.free_again == free),
        "{refused}"
    );
    assert!(again.fits(MicroEpsilon(1_000), NOW).is_err());
    assert!(again.fits(MicroEpsilon(1_000), free).is_ok());
    assert_eq!(again.list().unwrap().len(), 10);
    assert!(again.release(&asked(10), &rows(1), &table(), None, free).is_ok());
}

#[test]
fn what_is_refused_costs_nothing() {
    let (_folder, releases) = folder();
    let try_it = |asked: &Question, table: &Table, replaces| {
        releases.release(asked, &rows(1), table, replaces, NOW).unwrap_err()
    };
    let mut dear = asked(1);
    dear.epsilon = MicroEpsilon(100_001);
    let refused = try_it(&dear, &table(), None);
    assert_eq!(
        refused.to_string(),
        "the release costs 0.100001 of epsilon, a release may cost 0.1"
    );
    let nowhere = Table::from([((7, 202_601), Sums::default())]);
    assert!(matches!(try_it(&asked(1), &nowhere, None), ReleaseError::Question(_)));
    let unknown = Some(Digest::of(b"none"));
    assert!(matches!(try_it(&asked(1), &table(), unknown), ReleaseError::NotReplaceable { .. }));
    assert_eq!(spent(&releases), 0);
}

#[test]
fn a_crash_between_budget_and_release_has_spent() {
    let (_folder, releases) = folder();
    // A folder in the place of the temporary file: the release cannot be written.
    let blocked = releases.file(&asked(1).id(&edition(1)), ".tmp");
    fs::create_dir(&blocked).unwrap();
    assert!(matches!(release(&releases, 1), Err(ReleaseError::File { .. })));
    assert_eq!(spent(&releases), 100_000);
    fs::remove_dir(&blocked).unwrap();
    // Asking again is another draw, which is paid for again.
    release(&releases, 1).unwrap();
    assert_eq!(spent(&releases), 200_000);
}

#[test]
fn many_at_once_spend_one_budget() {
    let (folder, _releases) = folder();
    let told = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for name in 0..8 {
            let (path, told) = (folder.path(), &told);
            // Each opens lock and files of its own, as a process does.
            scope.spawn(move || {
                let releases = Releases::open(path, limits()).unwrap();
                for other in 0..3 {
                    match release(&releases, name * 3 + other) {
                        Ok(_) => told.fetch_add(1, Ordering::SeqCst),
                        Err(ReleaseError::Spent(_)) => 0,
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    assert_eq!(told.into_inner(), 10);
    let releases = Releases::open(folder.path(), limits()).unwrap();
    assert_eq!((spent(&releases), releases.list().unwrap().len()), (1_000_000, 10));
}

/// Whether somebody waits for the lock of this folder.
fn is_waited_for(folder: &Path) -> bool {
    let lock = fs::metadata(folder.join("lock")).unwrap();
    let file = format!(":{} ", lock.ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().any(|line| line.contains("->") && line.contains(&file))
}

#[test]
fn another_process_is_waited_for_and_what_it_spent_counts() {
    let (folder, releases) = folder();
    let (other_folder, other) = self::folder();
    for name in 0..10 {
        release(&other, name).unwrap();
    }
    // It holds the lock, spends all that there is when it is told to, and ends.
    let script = "echo held; read go; cp \"$0\"/budget.jsonl \"$1\"";
    let mut process = Command::new("flock")
        .arg(folder.path().join("lock"))
        .args(["sh", "-c", script])
        .args([other_folder.path(), folder.path()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("install `flock`: apt-get install util-linux");
    let mut held = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut held).unwrap();
    assert_eq!(held, "held\n");
    let refused = std::thread::scope(|scope| {
        let asking = scope.spawn(|| release(&releases, 11));
        while !is_waited_for(folder.path()) {
            assert!(!asking.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        process.stdin.take().unwrap().write_all(b"go\n").unwrap();
        asking.join().unwrap().unwrap_err()
    });
    assert!(process.wait().unwrap().success());
    assert!(matches!(refused, ReleaseError::Spent(_)), "{refused}");
}

#[test]
fn who_asks_the_same_at_once_gets_the_same() {
    let (folder, _releases) = folder();
    let told: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let ask = || release(&Releases::open(folder.path(), limits()).unwrap(), 1).unwrap().bytes;
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(told.iter().all(|one| *one == told[0]));
    assert_eq!(spent(&Releases::open(folder.path(), limits()).unwrap()), 100_000);
}

#[test]
fn a_budget_that_is_cut_anywhere_gives_nothing_back() {
    let (_folder, releases) = folder();
    for name in 0..3 {
        release(&releases, name).unwrap();
    }
    let last = asked(2).id(&edition(1));
    let whole = fs::read(releases.budget_file()).unwrap();
    let kept = fs::read(releases.file(&last, RELEASE)).unwrap();
    for length in 0..=whole.len() {
        fs::write(releases.budget_file(), &whole[..length]).unwrap();
        // The last release may have been lost in the crash, or not.
        for file in [Some(&kept), None] {
            let path = releases.file(&last, RELEASE);
            match file {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            match releases.budget(NOW) {
                Ok(budget) => {
                    let paid = if file.is_some() { 300_000 } else { 200_000 };
                    assert!(budget.month_spent.0 >= paid, "cut at {length}: {budget:?}");
                }
                Err(ReleaseError::CutShort { .. }) => assert!(length < whole.len()),
                Err(error) => panic!("cut at {length}: {error}"),
            }
        }
    }
    // Cut within the last line, its release not written: the next one names it and goes on.
    fs::write(releases.budget_file(), &whole[..whole.len() - 50]).unwrap();
    release(&releases, 3).unwrap();
    assert_eq!(spent(&releases), 400_000);
    assert!(String::from_utf8(fs::read(releases.budget_file()).unwrap()).unwrap().contains("torn"));
}

#[test]
fn damage_and_lost_lines_release_nothing() {
    let (_folder, releases) = folder();
    release(&releases, 1).unwrap();
    release(&releases, 2).unwrap();
    let whole = fs::read(releases.budget_file()).unwrap();
    fs::remove_file(releases.budget_file()).unwrap();
    assert!(matches!(release(&releases, 3), Err(ReleaseError::CutShort { .. })));
    let mut changed = String::from_utf8(whole).unwrap();
    changed = changed.replacen("\"spent\":100000", "\"spent\":100", 1);
    fs::write(releases.budget_file(), &changed).unwrap();
    let refused = release(&releases, 3).unwrap_err();
    assert!(matches!(refused, ReleaseError::Damaged { line: 1, .. }), "{refused}");
    assert!(releases.budget(NOW).is_err() && releases.fits(MicroEpsilon(1_000), NOW).is_err());
}

#[test]
fn what_cannot_be_read_is_not_taken_for_absent() {
    let (_folder, releases) = folder();
    let id = asked(1).id(&edition(1));
    written(&releases.file(&id, MADE), &Made { release: id, excluded_at: marks(7, 0) }).unwrap();
    // A folder in the place of a file: it is there and cannot be read.
    for path in [releases.budget_file(), releases.file(&id, RELEASE), releases.file(&id, TOMBSTONE)]
    {
        fs::create_dir(&path).unwrap();
        let refused = release(&releases, 1).unwrap_err();
        assert!(matches!(refused, ReleaseError::File { .. }), "{}: {refused}", path.display());
        fs::remove_dir(&path).unwrap();
    }
    release(&releases, 1).unwrap();
    assert_eq!(spent(&releases), 100_000);
}

#[test]
fn a_release_that_was_changed_is_not_told_and_not_made_anew() {
    let (_folder, releases) = folder();
    let told = release(&releases, 1).unwrap();
    let path = releases.file(&told.release.id, RELEASE);
    let mut other = told.release.clone();
    other.question.metric = "another".to_owned();
    for bytes in [b"{}".to_vec(), Vec::new(), serde_json::to_vec(&other).unwrap()] {
        fs::write(&path, bytes).unwrap();
        assert!(matches!(release(&releases, 1), Err(ReleaseError::NotARelease { .. })));
    }
    assert_eq!(spent(&releases), 100_000);
}

#[test]
fn what_is_withdrawn_is_told_no_more_and_may_be_replaced() {
    let (_folder, releases) = folder();
    let id = release(&releases, 1).unwrap().release.id;
    let again = |number, name, replaces| {
        releases.release(&asked(name), &rows(number), &table(), replaces, NOW)
    };
    // What stands is not replaced.
    let refused = again(2, 1, Some(id)).unwrap_err();
    assert!(matches!(refused, ReleaseError::NotReplaceable { .. }), "{refused}");
    let tombstone = releases.withdraw(&id, Reason::Excluded, NOW).unwrap();
    let gone = "was withdrawn on 2026-11-30 (somebody of its population is excluded)";
    for refused in [releases.show(&id).unwrap_err(), release(&releases, 1).unwrap_err()] {
        assert!(refused.to_string().ends_with(gone), "{refused}");
    }
    // The first reason stays, and the file, for whoever has to look into it.
    let later = UnixSeconds(NOW.0 + 86_400);
    assert_eq!(releases.withdraw(&id, Reason::Retired, later).unwrap(), tombstone);
    assert!(releases.file(&id, RELEASE).is_file());
    let unknown = releases.withdraw(&edition(9), Reason::Retired, NOW).unwrap_err();
    assert!(matches!(unknown, ReleaseError::Unknown { .. }));
    // Another question cannot replace it; the same over another edition can, for its own budget.
    assert!(again(2, 2, Some(id)).is_err());
    assert_eq!(spent(&releases), 100_000);
    let replaced = again(2, 1, Some(id)).unwrap();
    assert_eq!((replaced.release.replaces, spent(&releases)), (Some(id), 200_000));
    let listed = releases.list().unwrap();
    let withdrawn: Vec<bool> = listed.iter().map(|one| one.withdrawn.is_some()).collect();
    assert_eq!(withdrawn.iter().filter(|gone| **gone).count(), 1);
    assert!(listed.iter().all(|one| one.metric == "metric_1" && one.epsilon_micro.0 == 100_000));
}

#[test]
fn an_exclusion_withdraws_what_used_its_category_and_nothing_else() {
    let (folder, releases) = folder();
    let first = release(&releases, 1).unwrap();
    let id = first.release.id;
    // Somebody left another category.
    let read = |marks: &Marks| releases.current(marks, NOW).unwrap().show(&id);
    assert_eq!(read(&marks(7, 999)).unwrap(), first);
    assert_eq!(releases.current(&marks(7, 999), NOW).unwrap().list().unwrap().len(), 1);
    let later = UnixSeconds(NOW.0 + 86_400);
    let again = Releases::open(folder.path(), limits()).unwrap();
    let gone = again.current(&marks(8, 0), later).unwrap().show(&id).unwrap_err();
    let text = "was withdrawn on 2026-12-01 (somebody of its population is excluded)";
    assert!(gone.to_string().ends_with(text), "{gone}");
    // For good, also for who brings older marks.
    assert!(matches!(read(&marks(7, 0)), Err(ReleaseError::Withdrawn { .. })));
    // Asking again over the same rows, with the mark of now, tells nothing either; a reissue stands.
    let now = |number| Population { edition: edition(number), excluded_at: marks(8, 0) };
    let repeat = releases.release(&asked(1), &now(1), &table(), None, NOW).unwrap_err();
    assert!(matches!(repeat, ReleaseError::Withdrawn { .. }), "{repeat}");
    let reissue = releases.release(&asked(1), &now(2), &table(), Some(id), NOW).unwrap();
    let current = releases.current(&marks(8, 0), NOW).unwrap();
    assert_eq!(current.show(&reissue.release.id).unwrap(), reissue);
    assert_eq!(spent(&releases), 200_000);
}

#[test]
fn a_repeat_after_an_exclusion_withdraws_before_it_tells() {
    let (_folder, releases) = folder();
    release(&releases, 1).unwrap();
    let population = Population { edition: edition(1), excluded_at: marks(8, 0) };
    let repeat = releases.release(&asked(1), &population, &table(), None, NOW).unwrap_err();
    assert!(matches!(repeat, ReleaseError::Withdrawn { .. }), "{repeat}");
}

#[test]
fn a_release_without_its_marks_stops_everything() {
    let (_folder, releases) = folder();
    let id = release(&releases, 1).unwrap().release.id;
    let path = releases.file(&id, MADE);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"status\": 7"), "{text}");
    for bytes in [Vec::new(), b"{}".to_vec(), text.replace(&id.to_string(), &"0".repeat(64)).into()]
    {
        fs::write(&path, bytes).unwrap();
        let refused = releases.current(&marks(7, 0), NOW).unwrap_err();
        assert!(matches!(refused, ReleaseError::NotARelease { .. }), "{refused}");
    }
    fs::remove_file(&path).unwrap();
    assert!(releases.current(&marks(7, 0), NOW).is_err());
    assert!(release(&releases, 2).is_err());
    fs::write(&path, text).unwrap();
    assert!(releases.current(&marks(7, 0), NOW).is_ok());
}

#[test]
fn the_audit_sees_what_is_not_paid_for_renamed_or_outlived() {
    let (folder, releases) = folder();
    let id = release(&releases, 1).unwrap().release.id;
    let found = |marks: &Marks| -> Vec<&'static str> {
        let all = crate::audit(folder.path(), marks);
        assert_eq!(all.len(), 1 + usize::from(releases.budget_file().exists()));
        all.into_iter().filter_map(|one| one.problem).collect()
    };
    assert!(found(&marks(7, 9)).is_empty());
    let stands = "stands although somebody of its population was excluded since";
    assert_eq!(found(&marks(8, 0)), [stands]);
    releases.current(&marks(8, 0), NOW).unwrap();
    assert!(found(&marks(8, 0)).is_empty(), "it has its tombstone");
    let (path, other) = (releases.file(&id, RELEASE), releases.file(&edition(9), RELEASE));
    fs::rename(&path, &other).unwrap();
    assert_eq!(found(&marks(7, 0)), ["is not the release of its name"]);
    fs::rename(&other, &path).unwrap();
    let budget = fs::read(releases.budget_file()).unwrap();
    fs::remove_file(releases.budget_file()).unwrap();
    assert_eq!(found(&marks(7, 0)), ["was never paid for"]);
    let changed = String::from_utf8(budget.clone()).unwrap().replace("100000", "1000");
    fs::write(releases.budget_file(), changed).unwrap();
    assert_eq!(found(&marks(7, 0)).len(), 2);
    fs::write(releases.budget_file(), budget).unwrap();
    fs::remove_file(releases.file(&id, MADE)).unwrap();
    assert_eq!(found(&marks(7, 0)), ["lies without the marks that it was made at"]);
}

#[test]
fn files_are_their_owners_alone_and_leftovers_go() {
    let (folder, releases) = folder();
    let id = release(&releases, 1).unwrap().release.id;
    for path in [releases.file(&id, RELEASE), releases.budget_file(), folder.path().join("lock")] {
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    let left = releases.file(&edition(1), ".tmp");
    fs::write(&left, "half").unwrap();
    Releases::open(folder.path(), limits()).unwrap();
    assert!(!left.exists());
}

#[test]
fn the_example_of_the_page_is_a_release() {
    let page = include_str!("../../../../docs/releases.md");
    let json = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let release: Release = serde_json::from_str(json).unwrap();
    assert_eq!(release.id, release.question.id(&release.edition));
    let plan = Plan::of(&release.question);
    assert_eq!(release.privacy, plan.privacy(&release.question, limits().k()));
    assert!(matches!(release.groups[0].number, Number::Rate { .. }));
}
