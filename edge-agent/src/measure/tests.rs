//! Tests of measuring: readings in, reports in the store.

use imprimatur_consent::Category;
use imprimatur_proto::telemetry::v1::{FaultFamily, FaultHistory, Outcome};

use super::*;
use crate::core::tests::{Room, batch};
use crate::core::{Noted, PreviewKind};
use crate::reading::Ended;

fn ended() -> Said {
    let (seconds, amount, phase) = (Some(1200.0), Some(5.0), None);
    Said::Ended(Ended { outcome: Outcome::Done, seconds, amount, phase })
}

/// Feeds readings an hour apart to an agent that grants when told to.
async fn measured(
    room: &Room,
    seal_after: SealAfter,
    said: impl IntoIterator<Item = Option<Said>>,
) {
    measured_by(room, seal_after, None, said.into_iter().map(|said| (said, ""))).await;
}

/// As [`measured`], among several principals: before each reading the file names one.
async fn measured_by(
    room: &Room,
    seal_after: SealAfter,
    active: Option<Active>,
    said: impl IntoIterator<Item = (Option<Said>, &'static str)>,
) {
    let (out, readings) = mpsc::channel(8);
    let file = active.as_ref().map(|active| active.file.clone());
    let settings = MeasureSettings { machine: Machine::default(), seal_after, active };
    let clock: Arc<dyn Clock> = Arc::<imprimatur_runtime::clock::ManualClock>::clone(&room.clock);
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(room.agent.clone(), settings, clock, readings, stop.clone()));
    for (said, name) in said {
        if let Some(file) = &file {
            std::fs::write(file, name).unwrap();
        }
        let at = UnixSeconds(room.clock.now().0 + 300);
        room.clock.set(at);
        match said {
            Some(said) => out.send(Reading { at, said }).await.unwrap(),
            None => drop(room.agent.grant(&[Category::Status], None).unwrap()),
        }
        // The queue is empty again when it was taken.
        while out.capacity() < out.max_capacity() {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
    }
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_print_that_began_before_the_grant_is_never_told() {
    let room = Room::new();
    let said = [Said::Online(ReadingSource::Moonraker), Said::Started];
    let said = said.into_iter().map(Some).chain([None, Some(ended())]);
    measured(&room, SealAfter::Print, said).await;
    assert_eq!(room.agent.show().unwrap().batches_waiting, 0);
}

#[tokio::test]
async fn a_day_tells_nothing_from_before_the_grant() {
    let room = Room::new();
    let before = [Said::Online(ReadingSource::Moonraker), Said::Started];
    let before = before.into_iter().chain([Said::Paused { by_run_out: false }, Said::Resumed]);
    let after = [None, Some(Said::Restarted), Some(Said::Resumed)];
    measured(&room, SealAfter::Day, before.map(Some).chain(after)).await;
    let preview = room.agent.preview().unwrap();
    let told = |field: &str| preview.rows.iter().any(|row| row.field == field);
    assert_eq!(preview.kind, PreviewKind::NotSealed);
    assert!(told("observed") && !told("pauses_by_user"), "{preview:?}");
}

#[tokio::test]
async fn a_print_is_sealed_at_its_end_where_the_owner_wants_that() {
    let room = Room::granted(&[Category::Status]);
    let said = [Said::Online(ReadingSource::Moonraker), Said::Started, ended()].map(Some);
    measured(&room, SealAfter::Print, said).await;
    let preview = room.agent.preview().unwrap();
    assert_eq!(preview.kind, PreviewKind::Next);
    let batch = batch(&preview.bytes);
    assert_eq!((batch.prints.len(), batch.days.len()), (1, 0));
    assert_eq!(batch.prints[0].status.as_ref().unwrap().outcome(), Outcome::Done);
}

#[tokio::test]
async fn otherwise_it_waits_for_the_end_of_its_day() {
    let room = Room::granted(&[Category::Status]);
    let said = [Said::Online(ReadingSource::Moonraker), Said::Started, ended()];
    measured(&room, SealAfter::Day, said.clone().map(Some)).await;
    let overview = room.agent.show().unwrap();
    assert_eq!((overview.batches_waiting, overview.reports_pending), (0, 2));
    room.clock.set(UnixSeconds(room.clock.now().0 + 86_400));
    measured(&room, SealAfter::Day, [Some(Said::Offline)]).await;
    let sealed = |line: &crate::core::Line| matches!(line.noted, Noted::Sealed { .. });
    assert_eq!(room.agent.log().unwrap().iter().filter(|line| sealed(line)).count(), 1);
}

#[tokio::test]
async fn a_print_tells_no_fault_from_before_the_faults_were_granted() {
    let room = Room::granted(&[Category::Status]);
    let clock: Arc<dyn Clock> = Arc::<imprimatur_runtime::clock::ManualClock>::clone(&room.clock);
    let mut measure = Measure {
        agent: room.agent.clone(),
        settings: MeasureSettings {
            machine: Machine::default(),
            seal_after: SealAfter::Print,
            active: None,
        },
        changes: room.agent.changes(),
        identities: room.agent.changes().borrow().identities,
        fault_grants: 0,
        accumulator: Accumulator::default(),
        since: clock.now(),
        clock,
        online: None,
        active: true,
        theirs: false,
        waiting: VecDeque::new(),
        failing: false,
    };
    let mut say = |said| {
        let at = UnixSeconds(room.clock.now().0 + 300);
        room.clock.set(at);
        measure.read(Reading { at, said });
    };
    say(Said::Online(ReadingSource::Moonraker));
    say(Said::Fault(FaultFamily::Heater));
    say(Said::Fault(FaultFamily::Heater));
    room.agent.grant(&[Category::Faults], None).unwrap();
    say(Said::Started);
    say(ended());
    let print = batch(&room.agent.preview().unwrap().bytes).prints.remove(0);
    assert_eq!(print.faults.unwrap().recent(), FaultHistory::None);
}

#[tokio::test]
async fn a_print_is_recorded_only_by_the_agent_that_is_active_throughout() {
    async fn batches(names: [&'static str; 4]) -> u64 {
        let room = Room::granted(&[Category::Status]);
        let file = room.folder.path().join("active");
        let active = Some(Active { name: "anna".to_owned(), file });
        let said = [Said::Online(ReadingSource::Moonraker), Said::Started, Said::Resumed, ended()];
        let said = said.map(Some).into_iter().zip(names);
        measured_by(&room, SealAfter::Print, active, said).await;
        room.agent.show().unwrap().batches_waiting
    }
    assert_eq!(batches(["anna"; 4]).await, 1);
    assert_eq!(batches(["ben"; 4]).await, 0);
    assert_eq!(batches([""; 4]).await, 0, "a file that names nobody");
    assert_eq!(batches(["anna", "ben", "anna", "anna"]).await, 0, "begun by another");
    assert_eq!(batches(["anna", "anna", "ben", "anna"]).await, 0, "another meanwhile");
    assert_eq!(batches(["anna", "anna", "anna", "ben"]).await, 0, "ended by another");
    assert_eq!(batches(["ben", "anna", "anna", "anna"]).await, 1);
}
