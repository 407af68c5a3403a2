//! The publisher: evidence behind the log, retention by whole files, and backups without ghosts.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod rig;

use imprimatur_collector::control::{Ask, Told};
use imprimatur_collector::operator::{Act, Operator};
use imprimatur_collector::restore::restore;
use imprimatur_collector::{Collector, CollectorSettings};
use imprimatur_consent::event::Public;
use imprimatur_consent::{Digest, policy::STRICTEST};
use imprimatur_ledger::Label;
use imprimatur_ledger::segments::{Holds, Manifest};
use imprimatur_log::{Entry, TileReader, audit};
use imprimatur_proto::consent::v1::{ConsentEvent, Decision};
use imprimatur_proto::ingest::v1::Outcome;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::telemetry::v1::{DayReport, PrintReport};
use imprimatur_runtime::UtcDate;
use imprimatur_runtime::clock::ManualClock;

use crate::rig::{
    GRANTED, Rig, TODAY, batch, day, decision, granted, of_kind, owner, print, sealed, signed,
};

/// Stores a print and a day of this date.
async fn store(rig: &Rig, sequence: u64, date: UtcDate) {
    let mut frame = batch(sequence, vec![PrintReport { start_date: date.0, ..print() }]);
    frame.days = vec![DayReport { date: date.0, ..day(3) }];
    assert_eq!(rig.submit(&sealed(&frame)).await.outcome(), Outcome::Stored);
}

/// The public events of the published log, in order.
fn public(rig: &Rig) -> Vec<Public> {
    let log = TileReader::open(&rig.settings.log(), &rig.book.log_public_key()).unwrap();
    let mut events = Vec::new();
    for entry in log.entries() {
        if let Entry::Public(json) = Entry::read(&entry.unwrap()).unwrap() {
            events.push(serde_json::from_slice(json).unwrap());
        }
    }
    events
}

fn manifest(rig: &Rig) -> Manifest {
    Manifest::load(&rig.settings.evidence()).unwrap()
}

#[tokio::test]
async fn a_reader_never_sees_evidence_that_the_log_does_not_hold() {
    let mut rig = granted().await;
    store(&rig, 1, TODAY).await;
    rig.publish();
    let audited = audit(&rig.settings.log(), &rig.book.log_public_key(), None);
    assert!(audited.is_ok(), "{audited:?}");
    let (first, folder) = (manifest(&rig), rig.settings.evidence());
    assert_eq!(first.log_size, rig.book.log_size().unwrap());
    let events = first.consent(&folder).unwrap();
    assert!(!events.is_empty() && events.iter().all(|event| event.leaf < first.log_size));
    let commits = first.segments.iter().find(|segment| segment.holds == Holds::Commits).unwrap();
    let told = public(&rig);
    let counted = |hash| {
        told.iter()
            .any(|event| matches!(event, Public::Counts { segment: Some(of), .. } if *of == hash))
    };
    assert!(counted(commits.sha256));
    assert!(!counted(Digest([1; 32])));
    assert!(matches!(told[0], Public::PolicyPublished { version: 1, .. }), "before any consent");

    // What is quiet is left alone; what changed continues the same log.
    let note = |rig: &Rig| std::fs::read_to_string(rig.settings.log().join("checkpoint")).unwrap();
    let before = note(&rig);
    assert_eq!(rig.publish(), 0);
    assert_eq!(note(&rig), before);
    rig.tell(&signed(&decision(2, Decision::Withdrawn, &GRANTED[..1]))).await;
    rig.publish();
    let second = manifest(&rig);
    assert!(second.log_size > first.log_size);
    assert!(second.segments.starts_with(&first.segments), "a segment is never changed");
    let audited = audit(&rig.settings.log(), &rig.book.log_public_key(), None);
    assert!(audited.is_ok(), "{audited:?}");
}

#[tokio::test]
async fn rows_expire_by_whole_files_and_their_pepper_with_the_last() {
    let mut rig = granted().await;
    let (print_days, day_days) =
        (rig::policy().retention.print_days, rig::policy().retention.day_days);
    store(&rig, 1, TODAY).await;
    rig.publish();
    let prints = |rig: &Rig| of_kind(&rig.rows(), RecordKind::Print).len();
    let days = |rig: &Rig| of_kind(&rig.rows(), RecordKind::Day).len();
    rig.on(UtcDate(TODAY.0 + print_days));
    rig.publish();
    assert_eq!((prints(&rig), days(&rig)), (1, 1), "the last day");
    rig.on(UtcDate(TODAY.0 + print_days + 1));
    rig.publish();
    assert_eq!((prints(&rig), days(&rig)), (0, 1));
    assert_eq!(manifest(&rig).kept_since["print"], UtcDate(TODAY.0 + 1));
    let peppers = |rig: &Rig| {
        let told = public(rig).into_iter();
        told.filter(|event| matches!(event, Public::PepperDestroyed { .. })).count()
    };
    rig.on(UtcDate(TODAY.0 + day_days + 1));
    rig.publish();
    assert_eq!((days(&rig), peppers(&rig)), (0, 0), "other rows of the month are younger");
    rig.on(UtcDate(TODAY.0 + day_days + 40));
    rig.publish();
    assert_eq!(peppers(&rig), 1);
    assert!(rig.catalogue().enrolled.is_empty());
}

#[tokio::test]
async fn a_published_policy_is_offered_again_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let time = || ManualClock::at(TODAY.start());
    let open = || {
        let settings = CollectorSettings::local(data.clone());
        Collector::open(settings, time())
    };
    drop(open().unwrap());
    let second = STRICTEST.replacen("version = 1", "version = 2", 1)
        + &format!(
            "\n[change]\nsupersedes = \"{}\"\nannounced = \"{TODAY}\"\neffective = \"{}\"\n\
             grown = [\"laser\"]\n",
            rig::policy().hash,
            UtcDate(TODAY.0 + 40)
        );
    let operator = Operator::alone(data.clone(), time()).unwrap();
    let told = operator.answer(&Ask::Publish { text: second.clone() });
    let Told::Published(published) = told else { panic!("{told:?}") };
    assert_eq!((published.version, published.effective), (2, UtcDate(TODAY.0 + 40)));
    // The same version with another text is another promise.
    let changed = second.replacen("effective", "effective ", 1);
    let refused = operator.answer(&Ask::Publish { text: changed });
    assert!(matches!(refused, Told::Refused(why) if why.contains("new version")));
    let garbage = operator.answer(&Ask::Publish { text: "colour = 1".to_owned() });
    assert!(matches!(garbage, Told::Refused(why) if why.contains("cannot be used")));
    drop(operator);
    drop(open().unwrap());
    std::fs::write(data.join("policies/broken.toml"), "colour = 1").unwrap();
    let error = open().unwrap_err().to_string();
    assert!(error.contains("broken.toml"), "{error}");
}

#[tokio::test]
async fn who_was_erased_after_a_backup_does_not_come_back_with_it() {
    let mut rig = granted().await;
    let other = imprimatur_consent::SigningSeed::from_seed(&[8; 32]);
    let event = ConsentEvent {
        public_key: other.public().to_vec(),
        principal: vec![5; 16],
        ..decision(1, Decision::Granted, &GRANTED)
    };
    rig.tell(&rig::signed_by(&other, &event)).await;
    store(&rig, 1, TODAY).await;
    rig.publish();
    let backup = tempfile::tempdir().unwrap();
    let to = backup.path().join("monday");
    let made = rig.operator.answer(&Ask::BackUp { to: to.clone() });
    assert!(matches!(made, Told::BackedUp(_)), "{made:?}");
    let again = rig.operator.answer(&Ask::BackUp { to: to.clone() });
    assert!(matches!(again, Told::Refused(why) if why.contains("not empty")));
    let Told::Backups(inventory) = rig.operator.answer(&Ask::Backups {}) else { panic!() };
    assert_eq!(inventory.values().next(), Some(&(TODAY, UtcDate(TODAY.0 + 30))));

    let subject = owner().subject();
    rig.operator.answer(&Ask::Subject { subject, act: Act::Erase {} });
    rig.publish();
    assert!(rig.rows().is_empty());
    let data = rig.end().await;

    let restored = restore(data.path(), &to, TODAY.start()).unwrap();
    assert_eq!(restored.erased_rows, 2, "a print and a day were in the backup");
    let mut rig = Rig::over(data, &[STRICTEST.to_owned()]);
    rig.publish();
    assert!(rig.rows().is_empty());
    let known = |subject| {
        let told = rig.operator.answer(&Ask::Subject { subject, act: Act::Show(0) });
        matches!(told, Told::Acted(_))
    };
    assert!(!known(subject) && known(other.subject()));
    assert!(public(&rig).iter().any(|event| matches!(event, Public::Restored { .. })));
    let expired = restore(&rig.data(), &to, UtcDate(TODAY.0 + 30).start());
    let source = std::error::Error::source(&expired.unwrap_err()).unwrap().to_string();
    assert!(source.contains("expired"), "{source}");
}

#[tokio::test]
async fn each_publication_logs_its_counts_of_commits_and_refusals() {
    let mut rig = granted().await;
    let newest = |rig: &Rig| {
        let newest_first = public(rig).into_iter().rev();
        let mut counts = newest_first.filter_map(|event| match event {
            Public::Counts { counts, .. } => Some(counts),
            _ => None,
        });
        counts.next().unwrap()
    };
    store(&rig, 1, TODAY).await;
    rig.publish();
    let told = newest(&rig);
    assert_eq!((told["stored"], told.contains_key("refused.no_grant")), (1, false));
    rig.tell(&signed(&decision(2, Decision::Withdrawn, &GRANTED[..1]))).await;
    for number in 2..4 {
        let verdict = rig.submit(&sealed(&batch(number, vec![print()]))).await;
        assert_eq!(verdict.outcome(), Outcome::Refused);
    }
    rig.publish();
    let told = newest(&rig);
    assert_eq!((told["stored"], told["refused.no_grant"]), (1, 2));
}

#[tokio::test]
async fn an_erasure_logs_how_many_rows_and_files_it_changed() {
    let mut rig = granted().await;
    rig.book.label(Label::Load).unwrap();
    let other = imprimatur_consent::SigningSeed::from_seed(&[8; 32]);
    let grant = ConsentEvent {
        public_key: other.public().to_vec(),
        principal: vec![5; 16],
        ..decision(1, Decision::Granted, &GRANTED)
    };
    rig.tell(&rig::signed_by(&other, &grant)).await;
    for sequence in 1..=2 {
        store(&rig, sequence, TODAY).await;
    }
    // A file of another day, where the owner has no row.
    let tomorrow = PrintReport { start_date: TODAY.0 + 1, ..print() };
    let mut theirs = batch(1, vec![tomorrow]);
    theirs.header.as_mut().unwrap().subject = other.subject().0.to_vec();
    let bytes = imprimatur_proto::canonical::encode(&theirs);
    let signature = other.sign(imprimatur_consent::Domain::Batch, &bytes);
    let frame = imprimatur_proto::frame::seal(bytes, signature).unwrap();
    assert_eq!(rig.submit(&frame).await.outcome(), Outcome::Stored);
    rig.publish();
    assert_eq!(rig.catalogue().files.len(), 3);
    rig.operator.answer(&Ask::Subject { subject: owner().subject(), act: Act::Erase {} });
    rig.publish();
    let told = public(&rig).into_iter();
    let erased: Vec<_> = told
        .filter_map(|event| match event {
            Public::ErasureCompleted { rows, files, .. } => Some((rows, files)),
            _ => None,
        })
        .collect();
    assert_eq!(erased, [(4, 2)]);
}
