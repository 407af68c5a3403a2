//! Tests of measuring: readings in, reports in the store.

use std::collections::BTreeSet;

use imprimatur_consent::Category;
use imprimatur_proto::telemetry::v1::{FaultFamily, FaultHistory, Outcome};
use imprimatur_runtime::Clock as _;
use proptest::prelude::*;

use super::*;
use crate::core::tests::doubtful::starts;
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
    let stop = CancellationToken::new();
    let task = tokio::spawn(run(room.agent.clone(), settings, readings, stop.clone()));
    for (said, name) in said {
        if let Some(file) = &file {
            std::fs::write(file, name).unwrap();
        }
        room.clock.advance(Duration::from_mins(5));
        let at = room.clock.now();
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
    room.clock.advance(Duration::from_hours(24));
    measured(&room, SealAfter::Day, [Some(Said::Offline)]).await;
    let sealed = |line: &crate::core::Line| matches!(line.noted, Noted::Sealed { .. });
    assert_eq!(room.agent.log().unwrap().iter().filter(|line| sealed(line)).count(), 1);
}

/// Measuring for an agent, without its task.
fn measure(room: &Room, seal_after: SealAfter) -> Measure {
    let clock = room.agent.clock();
    Measure {
        agent: room.agent.clone(),
        settings: MeasureSettings { machine: Machine::default(), seal_after, active: None },
        changes: room.agent.changes(),
        identities: room.agent.changes().borrow().identities,
        fault_grants: 0,
        accumulator: Accumulator::default(),
        since: clock.now(),
        base: clock.look().base,
        clock,
        online: None,
        active: true,
        theirs: false,
        waiting: VecDeque::new(),
        failing: false,
        seal_from: seal_from(room.clock.today()),
    }
}

#[tokio::test]
async fn a_day_is_sealed_at_a_drawn_moment_of_the_hour_after_it() {
    let room = Room::granted(&[Category::Status]);
    let mut measure = measure(&room, SealAfter::Day);
    room.print();
    let date = UtcDate(room.clock.today().0 + 1);
    let sealed_at = |measure: &mut Measure, seconds| {
        let until = date.start().0 + seconds - room.clock.now().0;
        room.clock.advance(Duration::from_secs(until));
        measure.pass();
        room.agent.show().unwrap().batches_waiting
    };
    assert_eq!(sealed_at(&mut measure, 0).min(1), u64::from(measure.seal_from.1 == date.start()));
    assert_eq!(measure.seal_from.0, date, "drawn anew");
    measure.seal_from.1 = UnixSeconds(date.start().0 + 900);
    assert_eq!(sealed_at(&mut measure, 899), 0);
    assert_eq!(sealed_at(&mut measure, 900), 1);
    let drawn: BTreeSet<_> = (0..64).map(|_| seal_from(date).1).collect();
    let hour = date.start()..UnixSeconds(date.start().0 + SEAL_WITHIN.as_secs());
    assert!(drawn.len() > 32 && drawn.iter().all(|moment| hour.contains(moment)), "{drawn:?}");
}

#[tokio::test]
async fn a_print_tells_no_fault_from_before_the_faults_were_granted() {
    let room = Room::granted(&[Category::Status]);
    let mut measure = measure(&room, SealAfter::Print);
    let mut say = |said| {
        room.clock.advance(Duration::from_mins(5));
        let at = room.clock.now();
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

/// Lets a printer say things to an agent whose wall clock is what a test makes it.
fn say(room: &Room, measure: &mut Measure, said: Said) {
    let at = room.agent.clock().now();
    measure.read(Reading { at, said });
    measure.pass();
}

/// Minutes in which a printer goes on as it was.
fn go_on(room: &Room, measure: &mut Measure, minutes: u64) {
    for _ in 0..minutes {
        room.clock.advance(Duration::from_mins(1));
        measure.pass();
    }
}

#[test]
fn a_print_that_runs_while_the_clock_is_set_right_keeps_its_true_start() {
    for (wrong, back) in [(77, true), (TODAY_PLUS_A_YEAR, true), (TODAY_PLUS_A_YEAR, false)] {
        let mut room = Room::granted(&[Category::Status, Category::PrintTime]);
        room.clock.advance(Duration::from_hours(30));
        room.agent.show().unwrap();
        let truth = room.clock.now();
        let jumps = wrong != 77;
        if !jumps {
            room.clock.set(UnixSeconds(wrong));
            room = room.restart();
        }
        let mut measure = measure(&room, SealAfter::Day);
        say(&room, &mut measure, Said::Online(ReadingSource::Moonraker));
        go_on(&room, &mut measure, 5);
        say(&room, &mut measure, Said::Started);
        if jumps {
            room.clock.set(UnixSeconds(wrong));
        }
        go_on(&room, &mut measure, 30);
        if back {
            room.clock.set(UnixSeconds(truth.0 + 35 * 60));
        }
        go_on(&room, &mut measure, 40);
        say(&room, &mut measure, ended());
        measure.end();
        // Where the jump was the correction, the print had begun before by the wrong clock.
        let began = if back { truth.0 + 300 } else { wrong };
        assert_eq!(starts(&room, RecordKind::Print), [UnixSeconds(began)], "{wrong} {back}");
        assert_eq!(room.agent.show().unwrap().counts.undated, 0);
        let days = starts(&room, RecordKind::Day);
        let day = if back { truth } else { UnixSeconds(wrong - 300) };
        assert!(days.iter().all(|since| since.date() == day.date()), "{days:?}");
    }
}

const TODAY_PLUS_A_YEAR: u64 = (20_778 + 365) * 86_400 + 7200;

#[derive(Clone, Debug)]
enum Op {
    Pass(u64),
    Print,
    Lie(u64),
    Correct,
    /// Off for so many minutes; what the wall shows then.
    Restart(u64, Option<u64>),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (1..300_u64).prop_map(Op::Pass),
        4 => Just(Op::Print),
        1 => (0..2 * TODAY_PLUS_A_YEAR).prop_map(Op::Lie),
        2 => Just(Op::Correct),
        1 => (0..3000_u64, prop::option::of(0..TODAY_PLUS_A_YEAR - 400 * 86_400))
            .prop_map(|(off, lie)| Op::Restart(off, lie)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_the_wall_shows_what_is_measured_has_its_true_date(
        ops in proptest::collection::vec(op(), 1..40),
    ) {
        let mut room = Room::granted(&[Category::Status, Category::PrintTime]);
        let mut measuring = measure(&room, SealAfter::Day);
        let (mut truth, mut lying, mut printing) = (room.clock.now().0, None, false);
        let (mut began, mut dates) = (BTreeSet::new(), BTreeSet::new());
        for op in ops {
            say(&room, &mut measuring, Said::Online(ReadingSource::Moonraker));
            match op {
                Op::Pass(minutes) => for _ in 0..minutes {
                    if lying == Some(50) {
                        room.clock.set(UnixSeconds(truth));
                        lying = None;
                    }
                    truth += 60;
                    lying = lying.map(|lied| lied + 1);
                    dates.insert(UnixSeconds(truth).date());
                    go_on(&room, &mut measuring, 1);
                }
                Op::Print => {
                    let said = if printing { ended() } else { Said::Started };
                    printing = !printing;
                    if printing {
                        began.insert(UnixSeconds(truth));
                    }
                    say(&room, &mut measuring, said);
                }
                Op::Lie(wall) => if lying.is_none() && wall.abs_diff(truth) > 86_400 {
                    room.clock.set(UnixSeconds(wall));
                    lying = Some(0);
                }
                Op::Correct => {
                    room.clock.set(UnixSeconds(truth));
                    lying = None;
                }
                Op::Restart(off, lie) => {
                    measuring.end();
                    drop(measuring);
                    truth += off * 60;
                    room.clock.set(UnixSeconds(lie.unwrap_or(truth)));
                    (lying, printing) = (lie.map(|_| 0), false);
                    room = room.restart();
                    measuring = measure(&room, SealAfter::Day);
                }
            }
            for print in starts(&room, RecordKind::Print) {
                prop_assert!(began.contains(&print), "a print began at no such time: {print:?}");
            }
            dates.insert(UnixSeconds(truth).date());
            let began: BTreeSet<_> = began.iter().map(|at| at.date().0).collect();
            for batch in room.spool().values().map(|frame| batch(frame)) {
                prop_assert!(batch.prints.iter().all(|print| began.contains(&print.start_date)));
                prop_assert!(batch.days.iter().all(|day| dates.contains(&UtcDate(day.date))));
            }
            for day in starts(&room, RecordKind::Day) {
                prop_assert!(dates.contains(&day.date()), "no such day: {day:?}");
            }
        }
    }
}
