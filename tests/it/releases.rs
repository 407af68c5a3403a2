//! `imprimatur release`: made, listed, shown, withdrawn and paid for, by the real program.

use std::fs;
use std::path::Path;

use imprimatur_consent::Category;
use imprimatur_lake::{Catalogue, Lake};
use imprimatur_runtime::{Clock as _, SystemClock};

use crate::program::{Answer, imprimatur};

/// A folder in which nothing was told yet, and its marks.
fn published(change: impl FnOnce(&mut Catalogue)) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    publish(folder.path(), change);
    folder
}

fn publish(folder: &Path, change: impl FnOnce(&mut Catalogue)) {
    let lake = folder.join("lake");
    Lake::open(&lake).unwrap();
    let mut catalogue = Catalogue::empty(SystemClock.now());
    change(&mut catalogue);
    catalogue.store(&lake).unwrap();
}

async fn says(folder: &Path, arguments: &[&str]) -> Answer {
    let data = folder.display().to_string();
    Answer::of(imprimatur(&[&["release"], arguments, &["--data", &data]].concat())).await
}

const MAKE: [&str; 4] = ["make", "print_count", "--month", "2026-01"];

#[tokio::test]
async fn a_release_is_made_once_shown_as_it_is_and_withdrawn_for_good() {
    let folder = published(|_| {});
    let here = folder.path();
    let made = says(here, &[&MAKE[..], &["--json"]].concat()).await.exits(0);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.json()["question"]["epochs"], serde_json::json!([202_601]));
    let kept = fs::read_to_string(here.join(format!("query/released/releases/{id}.json"))).unwrap();
    assert_eq!(made.out, kept);
    assert_eq!(says(here, &[&MAKE[..], &["--json"]].concat()).await.exits(0).out, kept);
    assert_eq!(says(here, &["show", &id, "--json"]).await.exits(0).out, kept);
    let readable = says(here, &["show", &id]).await.exits(0).out;
    assert!(readable.contains("0 of 1 groups told, 1 withheld") && readable.contains(&id));
    let budget = says(here, &["budget"]).await.exits(0).out;
    assert!(budget.contains("in 30 days: 0.1 of 1 spent, 0.9 left"), "{budget}");
    let gone = says(here, &["withdraw", &id, "--reason", "mistaken"]).await.exits(0).out;
    assert!(gone.contains("it was mistaken"), "{gone}");
    let refused = says(here, &["show", &id]).await.exits(1);
    assert!(refused.err.contains("was withdrawn on") && refused.out.is_empty(), "{refused:?}");
    says(here, &MAKE).await.exits(1);
    let list = says(here, &["list", "--json"]).await.exits(0).json();
    assert_eq!(list[0]["withdrawn"]["reason"], "mistaken");
    says(here, &["show", &"0".repeat(64)]).await.exits(1);
    says(here, &["withdraw", &id, "--reason", "excluded"]).await.exits(2);
}

#[tokio::test]
async fn an_exclusion_from_its_category_withdraws_a_release_and_from_another_does_not() {
    let folder = published(|_| {});
    let here = folder.path();
    let made = says(here, &[&MAKE[..], &["--json"]].concat()).await.exits(0);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let mark = |told: &mut Catalogue, one| *told.excluded_at.get_mut(&one).unwrap() = 9;
    publish(here, |told| mark(told, Category::Laser));
    says(here, &["show", &id]).await.exits(0);
    publish(here, |told| mark(told, Category::Status));
    let gone = says(here, &["show", &id]).await.exits(1);
    assert!(gone.err.contains("(somebody of its population is excluded)"), "{gone:?}");
    fs::remove_file(here.join("lake/catalogue.json")).unwrap();
    says(here, &["list"]).await.exits(69);
}

#[tokio::test]
async fn a_spent_budget_refuses_with_the_day_on_which_there_is_room() {
    let folder = published(|told| told.rules.epsilon_month_milli = 100);
    says(folder.path(), &MAKE).await.exits(0);
    let other = ["make", "outcome", "--month", "2026-01", "--epsilon", "0.001"];
    let refused = says(folder.path(), &other).await.exits(1);
    assert!(refused.err.contains("the privacy budget is spent: 0.1 of 0.1 in 30 days"));
    assert!(refused.err.contains("enough is free again on 20"), "{refused:?}");
}

#[tokio::test]
async fn a_wrong_release_is_usage_and_says_what_may_be_asked() {
    let folder = published(|_| {});
    for (wrong, named) in [
        (&["make", "failure_rat", "--month", "2026-01"][..], "did you mean `failure_rate`?"),
        (&["make", "print_count", "--month", "9999-01"], "is not over"),
        (&["make", "print_count", "--month", "January"], "no month"),
        (&["make", "print_count", "--month", "2026-01", "--by", "date"], "only rows tell"),
        (&["make", "print_count", "--month", "2026-01", "--by", "model,outcome"], "one dimension"),
        (&["make", "print_count", "--month", "2026-01", "--epsilon", "0.2"], "no epsilon"),
        (&["make", "print_count", "--month", "2026-01", "--where", "outcome=done"], "group by"),
    ] {
        let answer = says(folder.path(), wrong).await.exits(2);
        assert!(answer.err.contains(named) && answer.out.is_empty(), "{wrong:?}: {answer:?}");
    }
    assert!(!folder.path().join("query/released/budget.jsonl").exists(), "nothing was spent");
}
