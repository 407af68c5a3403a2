//! Heaters over time: which set-point was held longest, how often it was left, how fast it was
//! reached.

use std::collections::BTreeMap;

use crate::reading::{Heater, UnixSeconds};

/// More than this off the set-point is an excursion, degrees Celsius (the contract's definition).
const OFF_CELSIUS: f64 = 2.0;

/// A departure that ends sooner is none, seconds: a controller makes up for a change of flow in less, and how often the
/// flow changes tells of the model (measured in `benches/geometry`).
const LASTING_SECONDS: f64 = 300.0;

/// Shorter observation than this says nothing about excursions.
const EXCURSION_SECONDS_MIN: f64 = 30.0;

/// A rise that is smaller is not a heat-up: degrees Celsius.
const RISE_MIN: f64 = 30.0;

/// Different values that are told apart; a sane print has below ten.
const VALUES_MAX: usize = 64;

/// How long each value was held; zero and negative values do not count.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    by_tenth: BTreeMap<i64, f64>,
}

/// One heater during one print.
#[derive(Clone, Debug, Default)]
pub(super) struct Track {
    held: Held,
    target: f64,
    reached: bool,
    below: bool,
    on_seconds: f64,
    off_seconds: f64,
    /// How long the departure under way lasts, seconds.
    departure: f64,
}

/// How fast one heater reaches its set-points during one day.
#[derive(Clone, Debug, Default)]
pub(super) struct HeatUp {
    target: Option<f64>,
    began: Option<(UnixSeconds, f64)>,
    seconds: f64,
    rise: f64,
}

impl Held {
    /// Adds time at a value.
    pub(super) fn add(&mut self, value: f64, seconds: f64) {
        let Some(tenth) = tenths(value).filter(|tenth| *tenth > 0) else { return };
        if self.by_tenth.len() < VALUES_MAX || self.by_tenth.contains_key(&tenth) {
            *self.by_tenth.entry(tenth).or_default() += seconds;
        }
    }

    /// The value held longest.
    pub(super) fn longest(&self) -> Option<f64> {
        let longest = self.by_tenth.iter().max_by(|a, b| a.1.total_cmp(b.1))?;
        i32::try_from(*longest.0).ok().map(|tenth| f64::from(tenth) / 10.0)
    }
}

impl Track {
    /// Takes a reading; the time since the last one was added before.
    pub(super) fn read(&mut self, heater: Heater) {
        self.held.add(heater.target, 0.0);
        if (heater.target - self.target).abs() > OFF_CELSIUS {
            // A new set-point has to be reached first.
            self.settle();
            self.reached = false;
            self.below = false;
        }
        self.target = heater.target;
        // A steep rise may cross the set-point between two readings.
        let near = (heater.actual - heater.target).abs() <= OFF_CELSIUS;
        let crossed = self.below && heater.actual >= heater.target;
        self.below |= heater.actual < heater.target;
        self.reached |= heater.target > 0.0 && (near || crossed);
    }

    /// Adds time during which the heater was as last read.
    pub(super) fn pass(&mut self, heater: Heater, seconds: f64) {
        self.held.add(heater.target, seconds);
        if self.reached && heater.target > 0.0 {
            if (heater.actual - heater.target).abs() > OFF_CELSIUS {
                self.departure += seconds;
            } else {
                self.settle();
                self.on_seconds += seconds;
            }
        }
    }

    /// Ends the departure under way: a short one was none.
    fn settle(&mut self) {
        let seconds = std::mem::take(&mut self.departure);
        if seconds < LASTING_SECONDS {
            self.on_seconds += seconds;
        } else {
            self.off_seconds += seconds;
        }
    }

    /// The set-point held longest.
    pub(super) fn set_point(&self) -> Option<f64> {
        self.held.longest()
    }

    /// Share of the time, after the set-point was reached, spent in lasting departures from it.
    pub(super) fn excursion(&self) -> Option<f64> {
        let mut whole = self.clone();
        whole.settle();
        let all = whole.on_seconds + whole.off_seconds;
        (all >= EXCURSION_SECONDS_MIN).then(|| whole.off_seconds / all)
    }
}

impl HeatUp {
    /// Takes a reading.
    pub(super) fn read(&mut self, heater: Heater, at: UnixSeconds) {
        let before = self.target.replace(heater.target);
        // The first reading may fall into the middle of a rise.
        let changed = before.is_some_and(|before| (before - heater.target).abs() > 0.5);
        if changed {
            let rises = heater.target - heater.actual >= RISE_MIN;
            self.began = rises.then_some((at, heater.actual));
        } else if before.is_none() {
            self.began = None;
        }
        if let Some((since, from)) = self.began
            && heater.actual >= heater.target - OFF_CELSIUS
        {
            let seconds = seconds_between(since, at);
            if seconds > 0.0 {
                self.seconds += seconds;
                self.rise += heater.target - OFF_CELSIUS - from;
            }
            self.began = None;
        }
    }

    /// The readings stopped: a rise that was under way cannot be timed.
    pub(super) fn interrupt(&mut self) {
        self.began = None;
        self.target = None;
    }

    /// Seconds per 100 degrees Celsius over the day's rises.
    pub(super) fn seconds_per_hundred(&self) -> Option<f64> {
        (self.rise > 0.0).then(|| self.seconds / self.rise * 100.0)
    }

    /// The same heater on the next day.
    pub(super) fn next_day(&self) -> Self {
        Self { target: self.target, began: self.began, ..Self::default() }
    }
}

/// Whether the heater is at its set-point, or above it.
pub(super) fn is_reached(heater: Heater) -> bool {
    heater.actual >= heater.target - OFF_CELSIUS
}

/// Seconds from one instant to a later one; 0 when the clock went back.
pub(super) fn seconds_between(from: UnixSeconds, to: UnixSeconds) -> f64 {
    std::time::Duration::from_secs(to.0.saturating_sub(from.0)).as_secs_f64()
}

/// A value in tenths, where it is a number of a sane size.
fn tenths(value: f64) -> Option<i64> {
    if !(0.0..=10_000.0).contains(&value) {
        return None;
    }
    // At most 100000: exact in a `Duration`, which counts whole nanoseconds.
    let rounded = (value * 10.0).round();
    i64::try_from(std::time::Duration::from_secs_f64(rounded).as_secs()).ok()
}
