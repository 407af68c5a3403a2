//! Snapshots in a row, and the readings that must follow from them.

use proptest::prelude::*;

use super::*;
use crate::reading::Heater;

fn seen(watch: &mut Watch, activity: Activity) -> Vec<Said> {
    watch.see(&Snapshot { activity, ..Snapshot::default() })
}

fn ended(outcome: Outcome, seconds: Option<f64>, amount: Option<f64>) -> Said {
    Said::Ended(Ended { outcome, seconds, amount, phase: None })
}

#[test]
fn a_print_counts_once_and_takes_its_last_count_with_it() {
    let mut watch = Watch::new(Some(MaterialFamily::Petg));
    let loaded = Sliced { family: Some(MaterialFamily::Petg), ..Sliced::default() };
    assert_eq!(seen(&mut watch, Activity::Idle), []);
    let printing = |seconds| Snapshot {
        activity: Activity::Printing,
        seconds: Some(seconds),
        amount: Some(seconds / 10.0),
        plan: Some(Sliced { seconds: Some(90.0), ..Sliced::default() }),
        ..Snapshot::default()
    };
    let plan = Sliced { seconds: Some(90.0), ..loaded };
    let first = [Said::Started, Said::Sliced(loaded), Said::Sliced(plan)];
    assert_eq!(watch.see(&printing(1.0)), first);
    assert_eq!(watch.see(&printing(50.0)), []);
    assert_eq!(seen(&mut watch, Activity::Unknown), [], "an unlisted word changes nothing");
    let out = Activity::Paused { by_run_out: true };
    assert_eq!(seen(&mut watch, out), [Said::Paused { by_run_out: true }]);
    assert_eq!(watch.see(&printing(88.0)), [Said::Resumed]);
    let done = ended(Outcome::Done, Some(88.0), Some(8.8));
    assert_eq!(seen(&mut watch, Activity::Ended(Outcome::Done)), [done]);
    assert_eq!(seen(&mut watch, Activity::Ended(Outcome::Done)), [], "it still shows the last one");
    assert_eq!(watch.see(&printing(2.0)).first(), Some(&Said::Started));
}

#[test]
fn how_a_print_ended_follows_from_what_is_shown_after_it() {
    for (after, outcome) in [
        (Activity::Idle, Outcome::Unspecified),
        (Activity::Ended(Outcome::StoppedByUser), Outcome::StoppedByUser),
        (Activity::Closed { by_error: true }, Outcome::Fault),
        (Activity::Closed { by_error: false }, Outcome::HostLost),
    ] {
        let mut watch = Watch::new(None);
        assert_eq!(seen(&mut watch, Activity::Idle), []);
        assert_eq!(seen(&mut watch, Activity::Printing), [Said::Started]);
        assert_eq!(seen(&mut watch, after), [ended(outcome, None, None)]);
    }
}

#[test]
fn a_print_whose_start_nobody_saw_is_told_as_such() {
    let mut watch = Watch::new(None);
    assert_eq!(seen(&mut watch, Activity::Printing), [Said::AlreadyRunning]);
    // Another print by its mark, then by its count.
    let shown = |job, seconds| Snapshot {
        activity: Activity::Printing,
        job: Some(job),
        seconds: Some(seconds),
        ..Snapshot::default()
    };
    assert_eq!(watch.see(&shown(1, 500.0)), []);
    let unseen = [ended(Outcome::Unspecified, None, None), Said::AlreadyRunning];
    assert_eq!(watch.see(&shown(2, 900.0)), unseen);
    assert_eq!(watch.see(&shown(2, 896.0)), [], "counts go back a little around a pause");
    assert_eq!(watch.see(&shown(2, 3.0)), unseen);
}

#[test]
fn faults_and_light_are_told_when_they_change_and_heaters_each_time() {
    let mut watch = Watch::new(None);
    let heater = Heater { actual: 20.0, target: 0.0 };
    let heaters = Heaters { nozzle: Some(heater), ..Heaters::default() };
    let fault = Some(FaultFamily::Heater);
    let shown = Snapshot { heaters, fault, laser: Some(40.0), ..Snapshot::default() };
    let (hot, light) = (Said::Heaters(heaters), Said::Laser(40.0));
    assert_eq!(watch.see(&shown), [Said::Fault(FaultFamily::Heater), hot.clone(), light]);
    let dark = Snapshot { laser: Some(f64::NAN), fault: None, ..shown.clone() };
    for again in [shown, dark] {
        assert_eq!(watch.see(&again), std::slice::from_ref(&hot));
    }
}

fn activity() -> impl Strategy<Value = Activity> {
    prop_oneof![
        Just(Activity::Unknown),
        Just(Activity::Idle),
        Just(Activity::Printing),
        any::<bool>().prop_map(|by_run_out| Activity::Paused { by_run_out }),
        Just(Activity::Ended(Outcome::Done)),
        any::<bool>().prop_map(|by_error| Activity::Closed { by_error }),
    ]
}

proptest! {
    /// Whatever is shown: an end has its start, a start its end, and waits lie between.
    #[test]
    fn starts_and_ends_alternate(
        shown in prop::collection::vec((activity(), prop::option::of(0_u64..3), prop::num::f64::ANY), 0..60)
    ) {
        let (mut watch, mut open, mut waits) = (Watch::new(None), false, false);
        for (activity, job, seconds) in shown {
            let shown = Snapshot { activity, job, seconds: Some(seconds), ..Snapshot::default() };
            for said in watch.see(&shown) {
                match said {
                    Said::Started | Said::AlreadyRunning => {
                        prop_assert!(!open);
                        (open, waits) = (true, false);
                    }
                    Said::Ended(how) => {
                        prop_assert!(open);
                        prop_assert!(how.seconds.is_none_or(f64::is_finite));
                        open = false;
                    }
                    Said::Paused { .. } => {
                        prop_assert!(open && !waits);
                        waits = true;
                    }
                    Said::Resumed => {
                        prop_assert!(open && waits);
                        waits = false;
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn a_fault_that_ends_a_print_is_told_before_its_end() {
    let mut watch = Watch::new(None);
    assert_eq!(seen(&mut watch, Activity::Idle), []);
    let shown =
        |activity| Snapshot { activity, fault: Some(FaultFamily::Clog), ..Snapshot::default() };
    let fault = Said::Fault(FaultFamily::Clog);
    assert_eq!(seen(&mut watch, Activity::Printing), [Said::Started]);
    let failed = shown(Activity::Ended(Outcome::Fault));
    assert_eq!(watch.see(&failed), [fault.clone(), ended(Outcome::Fault, None, None)]);
    assert_eq!(watch.see(&failed), [], "it is still shown");
    // One that is there when a print begins belongs to that print.
    assert_eq!(seen(&mut watch, Activity::Idle), []);
    assert_eq!(watch.see(&shown(Activity::Printing)), [Said::Started, fault]);
}
