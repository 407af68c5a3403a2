//! The accumulator: recorded sessions give the right prints, and no order of readings breaks it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, as tests do"
)]

use imprimatur_agent::accumulate::report::{DayContext, PrintContext, day_report, print_report};
use imprimatur_agent::accumulate::{Accumulator, FaultLog, Finished, FinishedDay, FinishedPrint};
use imprimatur_agent::catalogue::Technology;
use imprimatur_agent::reading::{Ended, Heater, Heaters, Reading, Said, Sliced, UnixSeconds};
use imprimatur_agent::sources::moonraker::session::Session as MoonrakerSession;
use imprimatur_agent::sources::moonraker::settings::MoonrakerRoles;
use imprimatur_agent::sources::moonraker::wire::Frame;
use imprimatur_agent::sources::octoprint::session::Session as OctoPrintSession;
use imprimatur_agent::sources::octoprint::wire::{JobAnswer, Printer, push};
use imprimatur_proto::capacity::PRINTS_A_DAY;
use imprimatur_proto::telemetry::v1::{
    DayReport, Excursion, FaultFamily, FaultHistory, InfillClass, MaterialFamily, NozzleClass,
    Outcome, PrintReport, ReadingSource, StopPhase,
};
use imprimatur_proto::{canonical, contract, field};
use proptest::prelude::*;
use prost::Name;
use serde_json::{Value, json};

/// 2026-11-21 20:00 UTC.
const EVENING: u64 = 1_795_291_200;
const DAY: u64 = 86_400;

fn lines(path: &str) -> Vec<Value> {
    let path = format!("{}/../fixtures/{path}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("fixtures are in the repository");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn at(line: &Value) -> UnixSeconds {
    let offset = std::time::Duration::from_secs_f64(line["t"].as_f64().unwrap());
    UnixSeconds(EVENING + offset.as_secs())
}

/// A whole `OctoPrint` session; its `current` messages stand for polls.
fn replay_octoprint(path: &str, socket: bool) -> Vec<Reading> {
    let mut session = OctoPrintSession::new(Some(MaterialFamily::Pla));
    session.on_poll(Printer::parse(b"{}").as_ref(), &JobAnswer::default());
    if socket {
        session.socket_opened();
    }
    let mut readings =
        vec![Reading { at: UnixSeconds(EVENING), said: Said::Online(ReadingSource::Octoprint) }];
    for line in lines(path) {
        let msg = &line["msg"];
        let said = if let Some(current) = msg.get("current") {
            let temperature = current["temps"].get(0).cloned().unwrap_or_else(|| json!({}));
            let printer = json!({ "state": current["state"], "temperature": temperature });
            let job = json!({ "job": current["job"], "progress": current["progress"] });
            let printer = Printer::parse(printer.to_string().as_bytes()).unwrap();
            session.on_poll(Some(&printer), &JobAnswer::parse(job.to_string().as_bytes()).unwrap())
        } else if socket {
            session.on_push(push(msg.to_string().as_bytes()))
        } else {
            Vec::new()
        };
        readings.extend(said.into_iter().map(|said| Reading { at: at(&line), said }));
    }
    readings
}

/// A whole Moonraker session; the numbers of its file are answered when they are asked for.
fn replay_moonraker(path: &str) -> Vec<Reading> {
    let roles = MoonrakerRoles::default();
    let mut session = MoonrakerSession::new(None, 2);
    let mut readings = Vec::new();
    for line in lines(path).into_iter().filter(|line| line["dir"] == "in") {
        let frame = Frame::parse(line["msg"].to_string().as_bytes(), &roles);
        let step = session.on_frame(frame, at(&line));
        let mut said = step.said;
        if step.ask.is_some() {
            let metadata = json!({ "id": 7, "result": {
                "estimated_time": 124, "filament_type": "PLA", "filament_total": 90.98,
                "filament_weight_total": 0.27, "layer_height": 0.3, "nozzle_diameter": 0.4,
                "slicer": "PrusaSlicer", "slicer_version": "2.5.0",
                "filename": "acme/secret.gcode", "object_height": 6.0,
            }});
            let frame = Frame::parse(metadata.to_string().as_bytes(), &roles);
            said.extend(session.on_frame(frame, at(&line)).said);
        }
        readings.extend(said.into_iter().map(|said| Reading { at: at(&line), said }));
    }
    readings
}

fn observe(readings: Vec<Reading>) -> (Accumulator, Vec<FinishedPrint>) {
    let mut accumulator = Accumulator::new(FaultLog::from_grant(UnixSeconds(EVENING)));
    let prints = readings
        .into_iter()
        .flat_map(|reading| accumulator.observe(reading))
        .filter_map(|finished| match finished {
            Finished::Print(print) => Some(*print),
            Finished::Day(_) => None,
        })
        .collect();
    (accumulator, prints)
}

fn outcomes(prints: &[FinishedPrint]) -> Vec<Outcome> {
    prints.iter().map(|print| print.outcome).collect()
}

fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|value| (value - expected).abs() < 0.01)
}

// Recorded sessions.

#[test]
fn an_octoprint_print_that_completes_is_told_once() {
    let path = "octoprint/socket-statusonly-printdone.jsonl";
    let (accumulator, prints) = observe(replay_octoprint(path, true));
    let [print] = prints.as_slice() else { panic!("{prints:?}") };
    assert_eq!(print.outcome, Outcome::Done);
    assert!(close(print.seconds, 33.05), "{print:?}");
    assert!(close(print.amount, 0.218_83 * 1.24), "{print:?}");
    assert_eq!((print.nozzle, print.bed), (Some(210.0), Some(60.0)));
    assert_eq!((print.phase, print.fault), (StopPhase::Unspecified, None));
    assert_eq!(print.recent, FaultHistory::None);
    let day = accumulator.day().unwrap();
    assert_eq!((day.prints_started, day.prints_not_reported), (1, 0));
    assert!(day.bed_heat_up.is_some() && day.nozzle_heat_up.is_some(), "{day:?}");
}

#[test]
fn an_octoprint_print_is_told_by_polling_alone_too() {
    let path = "octoprint/socket-statusonly-printdone.jsonl";
    let (_, prints) = observe(replay_octoprint(path, false));
    assert_eq!(outcomes(&prints), [Outcome::Done]);
}

#[test]
fn an_octoprint_print_that_is_cancelled_in_its_pause_is_told_once() {
    let path = "octoprint/socket-statusonly-pause-cancel-error.jsonl";
    let (accumulator, prints) = observe(replay_octoprint(path, true));
    let [print] = prints.as_slice() else { panic!("{prints:?}") };
    assert_eq!(print.outcome, Outcome::StoppedByUser);
    // The nozzle was ready only in the pause: nothing was extruded.
    assert_eq!(print.phase, StopPhase::Preparation);
    // OctoPrint counts the pause of two minutes; it is no printing time.
    assert!(print.seconds.is_some_and(|seconds| seconds < 30.0), "{print:?}");
    assert_eq!((print.amount, print.fault), (None, None));
    let day = accumulator.day().unwrap();
    assert_eq!(day.pauses_by_user, 1);
    assert_eq!(day.faults, [(FaultFamily::Heater, 1)], "the error came after the print");
}

#[test]
fn a_moonraker_print_that_goes_on_is_not_told() {
    let path = "moonraker/ws-upload-heat-print-pause-resume.jsonl";
    let (accumulator, prints) = observe(replay_moonraker(path));
    assert_eq!(prints, []);
    let day = accumulator.day().unwrap();
    assert_eq!((day.prints_started, day.pauses_by_user), (1, 1));
    assert!(accumulator.is_printing());
}

#[test]
fn moonraker_prints_are_told_with_their_outcomes() {
    let path = "moonraker/ws-complete-cancel-emergencystop-restart.jsonl";
    let (accumulator, prints) = observe(replay_moonraker(path));
    assert_eq!(outcomes(&prints), [Outcome::Done, Outcome::StoppedByUser]);
    let [done, cancelled] = prints.as_slice() else { panic!("{prints:?}") };
    assert!(close(done.seconds, 37.05), "{done:?}");
    assert!(close(done.amount, 0.27 * 90.29 / 90.98), "{done:?}");
    assert_eq!((done.family, done.layer_height), (Some(MaterialFamily::Pla), Some(0.3)));
    assert_eq!(cancelled.phase, StopPhase::Early, "{cancelled:?}");
    let day = accumulator.day().unwrap();
    assert_eq!((day.prints_started, day.restarts), (2, 1));
    assert_eq!(day.faults, [(FaultFamily::Other, 1)]);
    assert!(day.waste.is_some_and(|grams| grams > 0.0 && grams < 0.1), "{day:?}");
}

// Rules.

fn reading(at: u64, said: Said) -> Reading {
    Reading { at: UnixSeconds(at), said }
}

fn ended(outcome: Outcome, seconds: f64) -> Said {
    Said::Ended(Ended { outcome, seconds: Some(seconds), amount: None, phase: None })
}

fn nozzle(actual: f64, target: f64) -> Said {
    let nozzle = Some(Heater { actual, target });
    Said::Heaters(Heaters { nozzle, ..Heaters::default() })
}

#[test]
fn a_print_whose_start_was_not_seen_is_not_told() {
    let (accumulator, prints) = observe(vec![
        reading(EVENING, Said::AlreadyRunning),
        reading(EVENING + 600, ended(Outcome::Done, 600.0)),
    ]);
    assert_eq!(prints, []);
    assert_eq!(accumulator.day().unwrap().prints_started, 0);
}

#[test]
fn a_start_without_an_end_before_it_ends_the_first_as_host_lost() {
    let (_, prints) =
        observe(vec![reading(EVENING, Said::Started), reading(EVENING + 60, Said::Started)]);
    assert_eq!(outcomes(&prints), [Outcome::HostLost]);
}

#[test]
fn the_eleventh_print_of_a_date_is_only_counted() {
    let readings = (0..u64::from(PRINTS_A_DAY) + 2).flat_map(|n| {
        let start = EVENING + n * 300;
        [reading(start, Said::Started), reading(start + 200, ended(Outcome::Done, 200.0))]
    });
    let (accumulator, prints) = observe(readings.collect());
    assert_eq!(prints.len(), 10);
    let day = accumulator.day().unwrap();
    assert_eq!((day.prints_started, day.prints_not_reported), (12, 2));
}

#[track_caller]
fn stops_in(seconds: f64, planned: Option<f64>, expected: StopPhase) {
    let sliced = Sliced { seconds: planned, ..Sliced::default() };
    let (_, prints) = observe(vec![
        reading(EVENING, Said::Started),
        reading(EVENING, Said::Sliced(sliced)),
        reading(EVENING + 500, ended(Outcome::Fault, seconds)),
    ]);
    assert_eq!(prints[0].phase, expected, "{seconds} of {planned:?}");
}

#[test]
fn the_phase_is_told_by_time_and_unknown_without_a_plan() {
    stops_in(0.0, Some(1000.0), StopPhase::Preparation);
    stops_in(0.0, None, StopPhase::Preparation);
    stops_in(499.0, Some(1000.0), StopPhase::Early);
    stops_in(500.0, Some(1000.0), StopPhase::Late);
    stops_in(900.0, Some(1000.0), StopPhase::End);
    stops_in(500.0, None, StopPhase::Unspecified);
}

#[test]
fn a_fault_during_a_print_is_its_fault_and_counts_for_the_next_one() {
    let (_, prints) = observe(vec![
        reading(EVENING, Said::Started),
        reading(EVENING + 50, Said::Fault(FaultFamily::Heater)),
        reading(EVENING + 51, Said::Fault(FaultFamily::Other)),
        reading(EVENING + 60, ended(Outcome::Fault, 60.0)),
        reading(EVENING + 100, Said::Started),
        reading(EVENING + 200, ended(Outcome::Done, 100.0)),
    ]);
    assert_eq!(prints[0].fault, Some(FaultFamily::Heater));
    assert_eq!(prints[0].recent, FaultHistory::None);
    assert_eq!(prints[1].fault, None);
    assert_eq!(prints[1].recent, FaultHistory::Several);
}

#[test]
fn set_points_and_excursions_are_of_the_whole_print() {
    let mut readings = vec![reading(EVENING, Said::Started)];
    let temperatures = [(20.0, 210.0), (209.0, 210.0), (210.0, 210.0), (200.0, 210.0)];
    for (look, (actual, target)) in (0..).zip(temperatures) {
        readings.push(reading(EVENING + look * 300, nozzle(actual, target)));
    }
    readings.push(reading(EVENING + 1_200, nozzle(210.0, 205.0)));
    readings.push(reading(EVENING + 1_210, ended(Outcome::Done, 1_210.0)));
    let (accumulator, prints) = observe(readings);
    assert_eq!(prints[0].nozzle, Some(210.0));
    // 300 of 900 s after it was reached.
    assert!(close(prints[0].nozzle_excursion, 1.0 / 3.0), "{prints:?}");
    let report = print_report(&prints[0], PrintContext::default());
    let heat = report.temperature.unwrap();
    assert_eq!(heat.nozzle_excursion(), Excursion::Frequent);
    assert_eq!(
        contract().bounds(field::PRINT_TEMPERATURE_NOZZLE_SET_POINT, heat.nozzle_set_point),
        Some((205.0, 215.0))
    );
    assert_eq!(accumulator.day().unwrap().nozzle_heat_up, None, "the rise began unseen");
}

/// A nozzle that is off whenever the flow changes would tell of the model.
#[test]
fn what_a_controller_makes_up_for_is_no_excursion() {
    let share = |lasts: u64| {
        let mut readings = vec![reading(EVENING, Said::Started)];
        let mut at = EVENING;
        for _ in 0..4 {
            readings.push(reading(at, nozzle(210.0, 210.0)));
            readings.push(reading(at + 300, nozzle(205.0, 210.0)));
            at += 300 + lasts;
        }
        readings.push(reading(at, nozzle(210.0, 210.0)));
        readings.push(reading(at, ended(Outcome::Done, 1.0)));
        observe(readings).1[0].nozzle_excursion
    };
    assert!(close(share(299), 0.0), "{:?}", share(299));
    assert!(close(share(300), 0.5), "{:?}", share(300));
    let brief = vec![
        reading(EVENING, Said::Started),
        reading(EVENING, nozzle(210.0, 210.0)),
        reading(EVENING + 29, ended(Outcome::Done, 29.0)),
    ];
    assert_eq!(observe(brief).1[0].nozzle_excursion, None, "too short to tell");
}

#[test]
fn the_laser_set_point_is_the_one_held_longest_and_its_time_is_counted() {
    let (accumulator, prints) = observe(vec![
        reading(EVENING, Said::Started),
        reading(EVENING, Said::Laser(0.0)),
        reading(EVENING + 300, Said::Laser(80.0)),
        reading(EVENING + 500, Said::Laser(20.0)),
        reading(EVENING + 600, Said::Laser(0.0)),
        reading(EVENING + 900, ended(Outcome::Done, 900.0)),
    ]);
    assert_eq!(prints[0].laser, Some(80.0));
    assert_eq!(accumulator.day().unwrap().laser_seconds, Some(300.0));
    let report = print_report(&prints[0], PrintContext::default());
    let index = report.laser.unwrap().nominal_set_point;
    assert_eq!(contract().representative(field::PRINT_LASER_NOMINAL_SET_POINT, index), Some(80.0));
}

#[test]
fn a_day_ends_at_midnight_and_a_print_belongs_to_its_start() {
    let midnight = EVENING / DAY * DAY + DAY;
    let mut accumulator = Accumulator::default();
    let mut finished = Vec::new();
    finished.extend(accumulator.observe(reading(midnight - 300, Said::Started)));
    finished.extend(accumulator.observe(reading(midnight + 200, ended(Outcome::Done, 500.0))));
    let [Finished::Day(day), Finished::Print(print)] = finished.as_slice() else {
        panic!("{finished:?}")
    };
    assert_eq!((u64::from(day.date.0) + 1) * DAY, midnight);
    assert_eq!((day.prints_started, day.busy_seconds), (1, 300.0));
    assert_eq!(print.started.date(), day.date);
    let today = accumulator.day().unwrap();
    assert_eq!((today.prints_started, today.busy_seconds), (0, 200.0));
}

#[test]
fn time_without_an_answer_is_not_observed() {
    let mut accumulator = Accumulator::default();
    accumulator.observe(reading(EVENING, Said::Online(ReadingSource::Octoprint)));
    accumulator.observe(reading(EVENING + 300, Said::Offline));
    let finished = accumulator.advance(UnixSeconds(EVENING + 5 * DAY));
    let [Finished::Day(day)] = finished.as_slice() else { panic!("{finished:?}") };
    assert!(close(Some(day.observed), 300.0 / 86_400.0), "{day:?}");
    assert_eq!(accumulator.close_day(), None, "nothing came since");
}

// Reports.

fn done_print() -> FinishedPrint {
    FinishedPrint {
        started: UnixSeconds(EVENING),
        ended: UnixSeconds(EVENING + 4000),
        outcome: Outcome::Done,
        phase: StopPhase::Unspecified,
        seconds: Some(3600.0),
        amount: Some(20.0),
        family: Some(MaterialFamily::Petg),
        fault: None,
        recent: FaultHistory::None,
        layer_height: Some(0.2),
        adhesion: None,
        nozzle: Some(240.0),
        bed: Some(85.0),
        process: None,
        nozzle_excursion: Some(0.01),
        bed_excursion: None,
        process_excursion: None,
        laser: None,
    }
}

/// What the collector's gate checks of a record's form.
#[track_caller]
fn passes<M: prost::Message + Name>(report: &M) {
    let bytes = canonical::encode(report);
    contract().check(&M::full_name(), &bytes).unwrap();
}

#[test]
fn a_completed_print_tells_what_belongs_to_it_and_no_more() {
    let report = print_report(&done_print(), PrintContext::default());
    passes::<PrintReport>(&report);
    let time = report.print_time.unwrap();
    let bounds = contract().bounds(field::PRINT_TIME_COMPLETED_DURATION, time.completed_duration);
    assert!(bounds.is_some_and(|(low, high)| low <= 3600.0 && 3600.0 < high), "{bounds:?}");
    assert_eq!(time.stopped_duration, 0);
    assert!(report.material.unwrap().amount > 0);
    assert_eq!(report.status.unwrap().stop_phase, 0);
    assert_eq!((report.laser, report.experience), (None, None));
}

#[test]
fn a_stopped_print_tells_neither_completed_time_nor_amount() {
    let print = FinishedPrint { outcome: Outcome::Fault, phase: StopPhase::Late, ..done_print() };
    let report = print_report(&print, PrintContext::default());
    passes::<PrintReport>(&report);
    let time = report.print_time.unwrap();
    assert!(time.completed_duration == 0 && time.stopped_duration > 0, "{time:?}");
    assert_eq!(report.material.unwrap().amount, 0);
    assert_eq!(report.status.unwrap().stop_phase(), StopPhase::Late);
}

#[test]
fn a_print_by_light_tells_no_nozzle() {
    let print = FinishedPrint { process: Some(170.0), laser: Some(60.0), ..done_print() };
    for technology in [Technology::Light, Technology::Extrusion] {
        let context = PrintContext { technology, ..PrintContext::default() };
        let report = print_report(&print, context);
        passes::<PrintReport>(&report);
        let heat = report.temperature.unwrap();
        assert_eq!((heat.nozzle_set_point, heat.bed_set_point), (0, 0));
        assert!(heat.process_set_point > 0);
        assert!(report.laser.is_some());
    }
}

#[test]
fn what_nobody_said_is_absent() {
    let print = FinishedPrint {
        outcome: Outcome::Unspecified,
        seconds: None,
        amount: None,
        family: None,
        recent: FaultHistory::Unspecified,
        layer_height: None,
        nozzle: None,
        bed: None,
        nozzle_excursion: None,
        ..done_print()
    };
    let report = print_report(&print, PrintContext::default());
    let empty = PrintReport { start_date: report.start_date, ..PrintReport::default() };
    assert_eq!(report, empty);
    let report = day_report(&FinishedDay::default(), &DayContext::default());
    assert_eq!(report, DayReport::default());
}

#[test]
fn a_day_report_passes_the_gate() {
    let path = "moonraker/ws-complete-cancel-emergencystop-restart.jsonl";
    let (accumulator, _) = observe(replay_moonraker(path));
    let context = DayContext { model: Some(13), age_hours: Some(700.0), ..DayContext::default() };
    let report = day_report(&accumulator.day().unwrap(), &context);
    passes::<DayReport>(&report);
    assert_eq!(report.machine.unwrap().source(), ReadingSource::Unspecified);
    assert_eq!(report.faults.unwrap().commonest_family(), FaultFamily::Other);
    assert_eq!(report.print_time.unwrap().prints_started, 2);
}

// What slicers wrote.

fn file(infill: f64, nozzle: f64, model: Option<u32>) -> Said {
    let (infill, nozzle) = (Some(infill), Some(nozzle));
    Said::SlicedFile(Sliced { infill, nozzle, model, ..Sliced::default() })
}

fn day_of(said: Vec<Said>) -> FinishedDay {
    let readings = said.into_iter().map(|said| reading(EVENING, said)).collect();
    observe(readings).0.day().unwrap()
}

#[test]
fn files_tell_the_settings_of_a_day_without_prints() {
    let day =
        day_of(vec![file(20.0, 0.4, Some(1)), file(20.0, 0.4, Some(1)), file(80.0, 0.4, None)]);
    assert_eq!((day.slices, day.prints_started), (3, 0));
    assert_eq!((day.infill, day.nozzle), (Some(InfillClass::Light), Some(NozzleClass::Standard)));
    assert_eq!(day.model, Some(1));
    let report = day_report(&day, &DayContext::default());
    passes::<DayReport>(&report);
    assert_eq!(report.slicing.unwrap().slices, 2, "octaves: two or three files");
}

#[test]
fn what_was_printed_counts_before_what_was_sliced() {
    let printed = Sliced { infill: Some(10.0), nozzle: Some(0.8), ..Sliced::default() };
    let files = file(20.0, 0.4, Some(1));
    let day = day_of(vec![files.clone(), files, Said::Started, Said::Sliced(printed)]);
    assert_eq!(
        (day.infill, day.nozzle),
        (Some(InfillClass::Sparse), Some(NozzleClass::ExtraLarge))
    );
    assert_eq!(day.slices, 2);
}

#[test]
fn files_for_two_models_or_for_none_of_the_catalogue_tell_no_model() {
    assert_eq!(day_of(vec![file(20.0, 0.4, Some(1)), file(20.0, 0.6, Some(2))]).model, None);
    assert_eq!(day_of(vec![file(20.0, 0.4, None)]).model, None);
    assert_eq!(day_of(vec![file(20.0, 0.4, Some(200))]).model, None);
    let two = day_of(vec![file(20.0, 0.4, Some(1)), file(20.0, 0.6, Some(1))]);
    assert_eq!((two.model, two.nozzle), (Some(1), Some(NozzleClass::Mixed)));
}

// Any order of readings.

fn any_said() -> impl Strategy<Value = Said> {
    let number = prop_oneof![-50.0..500.0_f64, Just(f64::NAN), Just(f64::INFINITY), Just(0.0)];
    let maybe = proptest::option::of(number.clone());
    let heater = proptest::option::of((number.clone(), number.clone()))
        .prop_map(|pair| pair.map(|(actual, target)| Heater { actual, target }));
    let outcome = (0..6_i32).prop_map(|n| Outcome::try_from(n).unwrap());
    let sliced = (maybe.clone(), maybe.clone(), maybe.clone(), 0..40_u32).prop_map(
        |(seconds, infill, nozzle, slicer)| Sliced {
            seconds,
            infill,
            nozzle,
            slicer: Some(slicer),
            ..Sliced::default()
        },
    );
    prop_oneof![
        3 => Just(Said::Started),
        1 => Just(Said::AlreadyRunning),
        3 => (outcome, maybe.clone(), maybe.clone()).prop_map(|(outcome, seconds, amount)| {
            Said::Ended(Ended { outcome, seconds, amount, phase: None })
        }),
        1 => Just(Said::Online(ReadingSource::Octoprint)),
        1 => Just(Said::Online(ReadingSource::Moonraker)),
        1 => Just(Said::Offline),
        1 => any::<bool>().prop_map(|by_run_out| Said::Paused { by_run_out }),
        1 => Just(Said::Resumed),
        1 => Just(Said::Restarted),
        1 => (0..16_i32).prop_map(|n| Said::Fault(FaultFamily::try_from(n).unwrap())),
        3 => (heater.clone(), heater.clone(), heater, maybe).prop_map(
            |(nozzle, bed, process, electronics)| {
                Said::Heaters(Heaters { nozzle, bed, process, electronics })
            }
        ),
        1 => number.prop_map(Said::Laser),
        1 => sliced.clone().prop_map(Said::Sliced),
        1 => sliced.prop_map(Said::SlicedFile),
    ]
}

proptest! {
    #[test]
    fn no_order_of_readings_breaks_it(
        steps in proptest::collection::vec((0..40_000_u64, any::<bool>(), any_said()), 0..120),
    ) {
        let mut accumulator = Accumulator::default();
        let mut now = EVENING;
        let (mut starts, mut prints, mut counted, mut days) = (0_u32, 0_u32, 0_u32, 0_u32);
        let mut light = false;
        let tell = |finished: Vec<Finished>, light: bool| -> Result<(u32, u32, u32), TestCaseError> {
            let (mut prints, mut counted, mut unreported) = (0, 0, 0);
            for finished in finished {
                match finished {
                    Finished::Print(print) => {
                        prints += 1;
                        prop_assert!(print.laser.is_none() || light, "{:?}", print);
                        prop_assert!(print.ended >= print.started);
                        passes::<PrintReport>(&print_report(&print, PrintContext::default()));
                    }
                    Finished::Day(day) => {
                        counted += day.prints_started;
                        unreported += day.prints_not_reported;
                        prop_assert!((0.0..=1.0).contains(&day.observed));
                        prop_assert!(day.laser_seconds.is_none() || light);
                        passes::<DayReport>(&day_report(&day, &DayContext::default()));
                    }
                }
            }
            Ok((prints, counted, unreported))
        };
        for (seconds, back, said) in steps {
            now = if back { now - seconds.min(5) } else { now + seconds };
            starts += u32::from(said == Said::Started);
            light |= matches!(said, Said::Laser(percent) if percent > 0.0 && percent <= 100.0)
                || matches!(said, Said::Laser(percent) if percent == 0.0);
            let finished = accumulator.observe(reading(now, said));
            let (more, started, unreported) = tell(finished, light)?;
            prints += more;
            counted += started;
            days += unreported;
        }
        let day = accumulator.day().unwrap_or_default();
        let running = u32::from(accumulator.is_printing());
        prop_assert_eq!(counted + day.prints_started, starts, "each start is counted once");
        prop_assert_eq!(prints + days + day.prints_not_reported + running, starts);
    }
}
