//! Who asks again and again sees nothing arrive, and who is left out is left out at once.

use super::*;
use crate::EDITION_LENGTH;

impl Fleet {
    /// Publishes all rows `seconds` later, and opens an engine that answers from editions.
    fn publish_later(&mut self, seconds: u64) -> Engine {
        self.catalogue.published.0 += seconds;
        let editions = self.folder.path().join("query");
        self.publish().with_editions(&editions, EDITION_LENGTH).unwrap()
    }

    async fn ask_later(&mut self, seconds: u64, by: &str) -> Result<Answer, QueryError> {
        let request = Request::parse("print_count", Some(by), None, None).unwrap();
        self.publish_later(seconds).answer(&request).await
    }
}

fn told(result: Result<Answer, QueryError>) -> String {
    serde_json::to_string(&result.unwrap()).unwrap()
}

fn rows(result: Result<Answer, QueryError>) -> u64 {
    result.unwrap().cells[0].rows
}

#[tokio::test]
async fn an_answer_stays_the_same_for_a_day_whatever_arrives() {
    let mut fleet = Fleet::new();
    fleet.prints(19, "2026-11-20", &[DONE, PLA]);
    is_withheld(&fleet.ask_later(1, "").await);
    // What could not be told began nothing.
    fleet.prints(60, "2026-11-20", &[DONE, PLA]);
    let first = told(fleet.ask_later(1, "").await);
    for second in [1, 1, 40_000] {
        // New rows, also of a principal who is enrolled now and had rows before.
        fleet.prints(70, "2026-11-21", &[DONE, PETG]);
        assert_eq!(told(fleet.ask_later(second, "").await), first);
    }
    // Another question of the same edition is about the same rows.
    assert_eq!(rows(fleet.ask_later(1, "material_family").await), 80);
    let next = fleet.ask_later(46_400, "").await.unwrap();
    assert_eq!((next.cells[0].rows, next.published), (300, fleet.catalogue.published));
}

#[tokio::test]
async fn who_is_left_out_or_enrolled_is_so_at_once() {
    let mut fleet = Fleet::new();
    fleet.prints(60, "2026-11-20", &[DONE]);
    let late: Vec<Pseudonym> = (51..=60).map(|number| pseudonym(2, number, 202_611)).collect();
    fleet.catalogue.enrolled.retain(|principal| !late.contains(principal));
    assert_eq!(rows(fleet.ask_later(1, "").await), 50);
    fleet.catalogue.enrolled.extend(late);
    assert_eq!(rows(fleet.ask_later(1, "").await), 60);
    for number in 1..=20 {
        let subject = pseudonym(1, number, 202_611);
        let category = Category::Status;
        fleet.catalogue.excluded.insert(Exclusion { subject, category, up_to: u64::MAX });
    }
    assert_eq!(rows(fleet.ask_later(1, "").await), 40);
    let kept = fs::read_to_string(fleet.folder.path().join("query/edition.json")).unwrap();
    for pseudonym in fleet.rows.iter().flat_map(|row| [row.subject, row.principal]) {
        assert!(!kept.contains(&pseudonym.to_string()), "{kept}");
    }
}

/// Sixty principals with a print each, and a victim who prints three times between two questions.
#[tokio::test]
async fn who_asks_all_the_time_does_not_see_when_one_printer_prints() {
    for (with_editions, expected) in [(false, true), (true, false)] {
        let mut fleet = Fleet::new();
        fleet.prints(61, "2026-11-20", &[DONE]);
        let mut seen = BTreeSet::new();
        for _ in 0..5 {
            for _ in 0..3 {
                fleet.print(61, "2026-11-20", &[DONE]);
            }
            seen.insert(if with_editions {
                rows(fleet.ask_later(60, "").await)
            } else {
                rows(fleet.ask("print_count", "", "").await)
            });
        }
        assert_eq!(seen.len() > 1, expected, "{seen:?}");
    }
}

#[tokio::test]
async fn an_edition_that_cannot_be_kept_gives_no_answer() {
    let mut fleet = Fleet::new();
    fleet.prints(60, "2026-11-20", &[DONE]);
    let engine = fleet.publish_later(1);
    fs::write(fleet.folder.path().join("query/edition.json"), "{}").unwrap();
    let request = Request::parse("print_count", None, None, None).unwrap();
    let refused = engine.answer(&request).await;
    assert!(matches!(refused, Err(QueryError::Edition(_))), "{refused:?}");
}
