//! Non-interference: two models with equal bins and settings leave the same bytes on the device's wire.
//!
//! Twin agents share one identity and see two prints: other solids, names, notes, pictures, moves, exact
//! times and weights, in files and in the printer program's messages. What both sign must be equal to the
//! byte; nothing is left out of the comparison, for the twins have one key and one day.

mod model;
mod real;

use std::path::Path;

use imprimatur_proto::telemetry::v1::{MaterialFamily, Outcome, ReadingSource};
use imprimatur_testkit::chance::Chance;

use self::model::{Exact, Model, Plan};
use super::*;
use crate::accumulate::report::{DayContext, PrintContext, day_report, print_report};
use crate::accumulate::{Accumulator, FaultLog, Finished};
use crate::reading::{Ended, Reading, Said, Sliced};
use crate::sources::gcode;
use crate::sources::octoprint::session::Session;
use crate::sources::octoprint::wire::{JobAnswer, Printer, push};

const DAYS: u64 = 100;
const PRINTS: usize = 10;

/// Where looks of a print lie: two while it heats, the others spread over its time.
const HEATING_SECONDS: f64 = 20.0;
const LOOKS: u32 = 24;

/// What a leaking build lets through.
type Leak = fn(&mut Sliced, &Model);

/// One agent with its printer.
struct Twin {
    room: Room,
    session: Session,
    accumulator: Accumulator,
    reports: Vec<PrintReport>,
    days: Vec<DayReport>,
    leak: Leak,
}

/// Agents of one identity; what the second sees differs.
fn twins(leak: Leak) -> [Twin; 2] {
    let Room { folder, agent, collector, .. } = Room::granted(&Category::ALL);
    drop(agent);
    let other = tempfile::tempdir().unwrap();
    copy(folder.path(), other.path());
    let first_day = UnixSeconds(TODAY.start().0 + 86_400);
    let twin = |folder: tempfile::TempDir, leak| {
        let clock = ManualClock::at(first_day);
        let agent = open(folder.path(), &clock, &collector, SPOOL_BYTES_MAX).unwrap();
        let collector = collector.clone();
        let room = Room { folder, clock, agent, collector, spool_bytes_max: SPOOL_BYTES_MAX };
        let mut twin = Twin {
            room,
            session: Session::new(None),
            accumulator: Accumulator::new(FaultLog::from_grant(first_day)),
            reports: Vec::new(),
            days: Vec::new(),
            leak,
        };
        twin.tell(vec![Said::Online(ReadingSource::Octoprint)]);
        twin.session.on_poll(Printer::parse(b"{}").as_ref(), &JobAnswer::default());
        twin.session.socket_opened();
        twin
    };
    [twin(folder, |_, _| ()), twin(other, leak)]
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&to).unwrap();
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), &to).unwrap();
        }
    }
}

impl Twin {
    /// One print, as file and messages tell it.
    fn print(&mut self, plan: &Plan, model: &mut Model, exact: Exact) {
        let path = self.room.folder.path().join(model.file_name());
        std::fs::write(&path, model.file(plan, exact)).unwrap();
        let mut facts = gcode::read(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        (self.leak)(&mut facts, model);
        self.tell(vec![Said::SlicedFile(facts)]);
        self.push(&model.started());
        self.tell(vec![Said::Sliced(facts)]);
        let rest = (exact.seconds - 2.0 * HEATING_SECONDS) / f64::from(LOOKS - 2);
        for look in 0..LOOKS {
            self.look(&model.state(plan, exact, look));
            self.push(&model.noise());
            self.pass(if look < 2 { HEATING_SECONDS } else { rest });
        }
        for message in model.ended(plan, exact) {
            self.push(&message);
        }
        self.look(&model.state(plan, exact, LOOKS));
    }

    fn look(&mut self, (printer, job): &(String, String)) {
        let printer = Printer::parse(printer.as_bytes()).unwrap();
        let job = JobAnswer::parse(job.as_bytes()).unwrap();
        let said = self.session.on_poll(Some(&printer), &job);
        self.tell(said);
    }

    fn push(&mut self, message: &str) {
        let said = self.session.on_push(push(message.as_bytes()));
        self.tell(said);
    }

    fn pass(&self, seconds: f64) {
        self.room.clock.advance(Duration::from_secs_f64(seconds));
    }

    fn tell(&mut self, said: Vec<Said>) {
        for said in said {
            let at = self.room.clock.now();
            for finished in self.accumulator.observe(Reading { at, said }) {
                match finished {
                    Finished::Print(print) => {
                        let report = print_report(&print, PrintContext::default());
                        let kept = self.room.agent.record_print(&report, print.started).unwrap();
                        assert_eq!(kept, Recorded::Kept);
                        self.reports.push(report);
                    }
                    Finished::Day(day) => self.days.push(day_report(&day, &DayContext::default())),
                }
            }
        }
    }

    /// Lets the rest of the day pass, looked at.
    fn midnight(&mut self) {
        let date = self.room.clock.today();
        while self.room.clock.today() == date {
            self.pass(300.0);
            self.tell(vec![Said::Resumed]);
        }
    }
}

/// Lives these days with two models for each print; gives how many days were told, and the first pair whose
/// reports differ.
fn live([left, right]: &mut [Twin; 2], chance: &mut Chance, days: u64) -> (usize, Option<String>) {
    let (mut told, mut seen) = (0, None);
    for day in 0..days {
        for _ in 0..PRINTS {
            let plan = Plan::draw(chance);
            let exact = [plan.exact(chance), plan.exact(chance)];
            let mut models = [Model::draw(chance), Model::draw(chance)];
            assert_ne!(models[0].file(&plan, exact[0]), models[1].file(&plan, exact[1]));
            left.print(&plan, &mut models[0], exact[0]);
            right.print(&plan, &mut models[1], exact[1]);
            if left.reports.last() != right.reports.last() {
                seen.get_or_insert_with(|| format!("{plan:?}, {exact:?}, {models:?}"));
            }
        }
        left.midnight();
        right.midnight();
        // Sums over a day have bins of their own: days whose sums differ are no pair.
        let [ours, theirs] = [left.days.pop().unwrap(), right.days.pop().unwrap()];
        let date = UtcDate(TODAY.0 + 1 + u32::try_from(day).unwrap());
        if ours == theirs {
            told += 1;
            for (twin, report) in [(&*left, ours), (&*right, theirs)] {
                twin.room.agent.record_day(&report, date.start()).unwrap();
            }
        }
        for twin in [&*left, &*right] {
            twin.room.agent.seal_all().unwrap();
        }
    }
    (told, seen)
}

/// One print of a file that a slicer wrote, as long as the file says.
fn live_slice(twin: &mut Twin, file: &Path) {
    let facts = gcode::read(file).unwrap().unwrap();
    twin.tell(vec![Said::SlicedFile(facts), Said::Started, Said::Sliced(facts)]);
    twin.pass(60.0);
    let done = Ended { outcome: Outcome::Done, seconds: facts.seconds, amount: None, phase: None };
    twin.tell(vec![Said::Ended(done)]);
}

#[test]
fn a_thousand_pairs_of_models_leave_the_same_bytes() {
    let mut twins = twins(|_, _| ());
    let (told, seen) = live(&mut twins, &mut Chance::of(20_261_122), DAYS);
    assert_eq!(seen, None, "a model was seen in a report");
    let [left, right] = &twins;
    assert_eq!(left.reports.len(), 1_000);
    assert_eq!(right.reports.len(), 1_000);
    let (ours, theirs) = (left.room.spool(), right.room.spool());
    assert!(ours.len() >= 100, "{}", ours.len());
    assert_eq!(ours, theirs, "a model was seen on the wire");
    // Not one print told a thousand times, and days as well.
    let mut distinct: Vec<_> = left
        .reports
        .iter()
        .map(|report| canonical::encode(&PrintReport { start_date: 1, ..*report }))
        .collect();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 300, "{} kinds of prints", distinct.len());
    assert!(told >= 40, "{told} days were equal");
}

#[test]
fn a_build_that_lets_one_length_through_is_caught() {
    let mut twins = twins(|facts, model| facts.layer_height = Some(model.extent() / 400.0));
    assert!(live(&mut twins, &mut Chance::of(7), 1).1.is_some());
    assert_ne!(twins[0].room.spool(), twins[1].room.spool());
}

#[test]
fn a_build_that_tells_names_by_a_class_is_caught() {
    let mut twins = twins(|facts, model| {
        facts.family =
            [MaterialFamily::Pla, MaterialFamily::Petg].get(model.file_name().len() % 2).copied();
    });
    assert!(live(&mut twins, &mut Chance::of(8), 1).1.is_some());
    assert_ne!(twins[0].room.spool(), twins[1].room.spool());
}
