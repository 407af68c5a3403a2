//! What other programs hold of one print, from their sources.
//!
//! - `OctoPrint`'s usage tracking (1.11.8, `plugins/tracking/__init__.py`, `_track_printjob_event`): `elapsed`
//!   in whole seconds, `origin`, and the SHA-1 of path and instance id, while that id is in the address. Here
//!   `elapsed` alone, as if every file had a name that nobody can guess.
//! - Cura's slice information (4.13.0, `plugins/SliceInfoPlugin/SliceInfo.py`): of each model the hash of its
//!   mesh, the box around it and its transformation; of the print its material (metres, two decimals), and
//!   seconds for travel, support, infill and in total.
//! - A print history such as Moonraker's: seconds and millimetres of filament of each print.
//! - A monitoring service: material used so far, each minute.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::attack::Numbers;
use crate::number::{count, real, whole};
use crate::print::{Job, NOISE, Run};
use crate::shape::Shape;

/// Deviation of a value that was rounded to steps of one: the square root of a twelfth.
const ROUNDED: f64 = 0.289;
/// Points at which the course of a print is compared.
const POINTS: u32 = 32;
/// Deviation of the share of material at a point, from noise alone.
const COURSE: f64 = 0.002;

/// One who holds something of a print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Observer {
    /// The number of layers and nothing else.
    Layers,
    /// `OctoPrint`'s usage tracking.
    Tracking,
    /// Material used, each minute, in steps of so many grams.
    Minutes(f64),
    /// Seconds and millimetres.
    History,
    /// Cura's times and length alone.
    CuraTimes,
    /// All that Cura sends of a model and its slicing.
    Cura,
}

/// What is held of one print.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Stands for all of it: equal when all of it is.
    pub look: u64,
    /// As numbers around those of the plan; `None` when nothing changes from print to print.
    pub numbers: Option<Numbers>,
}

impl Observer {
    /// All of them, from little to much.
    pub const ALL: [Self; 7] = [
        Self::Layers,
        Self::Tracking,
        Self::Minutes(1.0),
        Self::Minutes(0.1),
        Self::History,
        Self::CuraTimes,
        Self::Cura,
    ];

    /// Who, for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Layers => "the number of layers alone",
            Self::Tracking => "OctoPrint's tracking: seconds alone",
            Self::Minutes(step) if step < 1.0 => "material each minute, 0.1 g",
            Self::Minutes(_) => "material each minute, 1 g",
            Self::History => "print history: seconds and millimetres",
            Self::CuraTimes => "Cura: times and length alone",
            Self::Cura => "Cura's slice information",
        }
    }

    /// What is held of a print of this model.
    pub fn watch(self, shape: &Shape, job: &Job, run: Run) -> Held {
        let seconds = (job.seconds() * run.time).floor().max(1.0);
        match self {
            Self::Layers => planned(&[whole(real(job.layers.len()))]),
            Self::CuraTimes => planned(&times(job)),
            Self::Cura => {
                let box_around = shape.size.iter().map(|length| length.to_bits());
                let all = times(job).into_iter().chain(box_around).chain([mesh(shape)]);
                planned(&all.collect::<Vec<_>>())
            }
            Self::Tracking => {
                measured(&[whole(seconds)], vec![(seconds.ln(), relative(0, seconds))])
            }
            Self::History => {
                let length = (job.filament() * run.material).round().max(1.0);
                let numbers =
                    vec![(seconds.ln(), relative(0, seconds)), (length.ln(), relative(1, length))];
                measured(&[whole(seconds), whole(length)], numbers)
            }
            Self::Minutes(step) => {
                let series = job.minutes(run).into_iter().map(|grams| (grams / step).round());
                let series: Vec<f64> = series.collect();
                let look: Vec<u64> = series.iter().map(|steps| whole(*steps)).collect();
                measured(&look, course(&series))
            }
        }
    }
}

/// Material in centimetres; seconds of travel, support, infill, and in total.
fn times(job: &Job) -> Vec<u64> {
    let [_, infill, travel] = job.features;
    vec![
        whole((job.filament() / 10.0).round()),
        whole(travel),
        0,
        whole(infill),
        whole(job.seconds()),
    ]
}

/// The hash of a mesh: equal for equal models only.
fn mesh(shape: &Shape) -> u64 {
    let cuts = shape.cuts.iter().flat_map(|cut| [cut.area.to_bits(), cut.perimeter.to_bits()]);
    hash(&cuts.collect::<Vec<_>>())
}

fn hash(values: &[u64]) -> u64 {
    let mut hasher = DefaultHasher::new();
    values.hash(&mut hasher);
    hasher.finish()
}

fn planned(values: &[u64]) -> Held {
    Held { look: hash(values), numbers: None }
}

fn measured(values: &[u64], numbers: Vec<(f64, f64)>) -> Held {
    let (values_of, deviations) = numbers.into_iter().map(|(a, b)| (short(a), short(b))).unzip();
    Held { look: hash(values), numbers: Some(Numbers { values: values_of, deviations }) }
}

/// Deviation of the logarithm of a value that was rounded to one, with a print's noise.
fn relative(noise: usize, value: f64) -> f64 {
    NOISE.get(noise).copied().unwrap_or(0.0).hypot(ROUNDED / value)
}

/// A series as numbers: logarithms of its length and its end, and the share of the end that was reached at points
/// in between.
fn course(series: &[f64]) -> Vec<(f64, f64)> {
    let minutes = (real(series.len()) - 0.5).max(0.5);
    let end = series.last().copied().unwrap_or(0.0).max(0.5);
    let mut numbers = vec![(minutes.ln(), relative(0, minutes)), (end.ln(), relative(1, end))];
    let at = |minute: usize| {
        if minute == 0 { 0.0 } else { series.get(minute - 1).copied().unwrap_or(end) }
    };
    for point in 1..POINTS {
        let time = minutes * f64::from(point) / f64::from(POINTS);
        let before = count(time);
        let steps = at(before) + (at(before + 1) - at(before)) * time.fract();
        numbers.push((steps / end, COURSE.hypot(2.0 * ROUNDED / end)));
    }
    numbers
}

#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "seven digits are far more than the noise leaves"
)]
fn short(value: f64) -> f32 {
    value as f32
}
