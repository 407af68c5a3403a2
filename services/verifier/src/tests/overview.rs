//! Negative controls of what lies beside the catalogue for the console.

use std::fs;

use imprimatur_consent::{Category, Invariant, PrincipalId, enrolment};
use imprimatur_lake::{AnswerCount, Coverage, LogState, Overview, Word};
use imprimatur_log::{Checkpoint, Origin};
use imprimatur_proto::consent::v1::Decision;
use imprimatur_runtime::UnixSeconds;

use super::collector::{Collector, TODAY, key, said};
use super::world::World;
use super::{caught_alone, proven};

impl Collector {
    /// Enrols the principal of a subject through it.
    fn enrol(&self, seed: u8) {
        let token = self.book.issue_tokens(1).unwrap().remove(0);
        let verifier = enrolment::verifier(&token.0);
        let proof = enrolment::proof(verifier, PrincipalId([seed; 16]), &key(seed).public());
        let txn = self.book.begin().unwrap();
        txn.spend_token(&proof, key(seed).subject()).unwrap();
        txn.commit().unwrap();
    }

    /// What the publisher tells the console.
    fn store_overview(&self) {
        let (book, published) = (&self.book, self.today.start());
        let covered = book.begin().unwrap().coverage(self.today);
        let coverage = covered.granted.into_iter().map(|((category, policy), principals)| {
            Coverage { category, policy, version: 1, principals }
        });
        let answers = book.counts_by_day().unwrap().into_iter().map(|((date, name), count)| {
            let (outcome, reason) = name.split_once('.').unwrap_or((&name, ""));
            let (outcome, reason) = (Word::of(outcome).unwrap(), Word::of(reason).unwrap());
            AnswerCount { date, outcome, reason, count }
        });
        let size = book.log_size().unwrap();
        let (checkpoint, _) = book.log_view(size).unwrap();
        let note = Checkpoint::open(&checkpoint, &book.log_public_key()).unwrap();
        let overview = Overview {
            published,
            position: book.positions().unwrap().0,
            synthetic: false,
            principals: covered.principals,
            coverage: coverage.collect(),
            answers: answers.collect(),
            batches_waiting: 0,
            requests: Vec::new(),
            log: LogState { size, root: note.root, checkpoint },
        };
        overview.store(&self.data().join("lake")).unwrap();
    }
}

/// A change of what is told.
type Change = fn(&mut Overview);

/// Three subjects, two of them enrolled; of these one withdrew a part. A batch and a refusal.
fn told() -> World {
    World::of(|collector| {
        for seed in [1, 2, 3] {
            collector.grant(seed, 1);
        }
        collector.enrol(1);
        collector.enrol(2);
        let heat = [Category::Temperature];
        collector.record(1, &said(1, (2, TODAY), Decision::Granted, &heat));
        collector.record(2, &said(2, (2, TODAY), Decision::Granted, &heat));
        collector.record(2, &said(2, (3, TODAY), Decision::Withdrawn, &heat));
        collector.store(1, 1);
        collector.refuse(1, 2);
        collector.publish();
        collector.store_overview();
        collector
    })
}

fn changed(change: impl FnOnce(&mut Overview)) -> World {
    let world = told();
    let mut overview = Overview::load(&world.path("lake")).unwrap();
    change(&mut overview);
    overview.store(&world.path("lake")).unwrap();
    world
}

#[test]
fn an_overview_that_is_not_what_the_events_add_up_to_is_caught() {
    let world = told();
    let overview = Overview::load(&world.path("lake")).unwrap();
    let counts: Vec<_> = overview.coverage.iter().map(|of| (of.category, of.principals)).collect();
    assert_eq!(overview.principals, 2);
    assert_eq!(counts, [(Category::PrintTime, 2), (Category::Temperature, 1)]);
    proven(&world.verify());

    let principals = "another number of principals";
    let coverage = "another coverage";
    let changes: [(&str, Change); 6] = [
        (principals, |told| told.principals = 3),
        (coverage, |told| told.coverage[1].principals = 2),
        (coverage, |told| told.coverage[1].category = Category::Laser),
        (coverage, |told| told.coverage.truncate(1)),
        (coverage, |told| told.coverage.push(told.coverage[0])),
        (coverage, |told| told.coverage[0].policy.0[0] ^= 1),
    ];
    for (problem, change) in changes {
        caught_alone(&changed(change).verify(), Invariant::NoPermitNoRow, problem);
    }
    // Of another state than the book's it says nothing that could be compared.
    let older = changed(|told| (told.position, told.principals) = (told.position - 1, 9));
    proven(&older.verify());
}

#[test]
fn an_overview_that_tells_more_answers_or_another_log_is_caught() {
    let changes: [(&str, Change); 4] = [
        ("tells more answers", |told| told.answers[0].count += 1),
        ("tells more answers", |told| told.answers[0].reason = Word::of("no_such").unwrap()),
        ("its checkpoint does not", |told| told.log.size += 1),
        ("its checkpoint does not", |told| told.log.root.0[0] ^= 1),
    ];
    for (problem, change) in changes {
        caught_alone(&changed(change).verify(), Invariant::EvidenceFirst, problem);
    }
    let world = told();
    let mut overview = Overview::load(&world.path("lake")).unwrap();
    let LogState { size, root, .. } = overview.log;
    let stranger = imprimatur_log::note::LogKey::from_seed(&[3; 32]);
    let note = Checkpoint { origin: Origin::of(&stranger.public()), size, root };
    overview.log.checkpoint = note.sign(&stranger);
    overview.store(&world.path("lake")).unwrap();
    caught_alone(&world.verify(), Invariant::EvidenceFirst, "its checkpoint does not");
}

#[test]
fn a_file_for_the_console_with_anything_else_in_it_is_caught() {
    let problem = "holds something else than its counts, dates and words";
    let world = told();
    let brief = world.verify().brief(UnixSeconds(42));
    brief.store(&world.path("lake")).unwrap();
    proven(&world.verify());
    for name in ["lake/overview.json", "lake/report.json"] {
        let world = told();
        brief.store(&world.path("lake")).unwrap();
        let text = fs::read_to_string(world.path(name)).unwrap();
        let planted = text.replacen('{', "{\"owner\": \"somebody\",", 1);
        fs::write(world.path(name), planted).unwrap();
        caught_alone(&world.verify(), Invariant::NoGeometry, problem);
    }
    let world = told();
    fs::write(world.path("lake/overview.txt"), "counts").unwrap();
    assert!(!world.verify().holds, "a name that nobody knows");
}

#[test]
fn a_brief_report_names_no_place() {
    let world = changed(|told| told.principals = 3);
    let report = world.verify();
    let brief = report.brief(UnixSeconds(42));
    assert_eq!((brief.verdict, brief.made), (report.verdict, UnixSeconds(42)));
    let failed: u64 = brief.checks.iter().map(|check| check.failed).sum();
    assert_eq!((brief.checks.len(), failed), (report.checks.len(), 1));
    let text = serde_json::to_string(&brief).unwrap();
    assert!(!text.contains('/') && !text.contains("overview"), "{text}");
}
