//! What slow samples of the nozzle's position give back of one part: the control that says why there is no field for them.
//!
//! The part is a plate of 60 by 40 by 30 mm with two holes and a corner cut off, printed in lines 2 mm apart that change their
//! direction with each layer, at 50 mm a second. Who samples the position draws a disc around each sample.

use imprimatur_testkit::chance::Chance;
use serde::Serialize;

use crate::number::{between, count, real};

/// Box around the part, millimetres.
const SIZE: [f64; 3] = [60.0, 40.0, 30.0];
/// Its holes: middle and radius, millimetres.
const HOLES: [([f64; 2], f64); 2] = [([15.0, 20.0], 7.0), ([38.0, 24.0], 5.0)];
/// The corner that is cut off: as far as this from the far corner, millimetres.
const CORNER: [f64; 2] = [16.0, 14.0];
/// Height of a layer, and between its lines, millimetres.
const STEPS: [f64; 2] = [0.2, 2.0];
/// Along a line, millimetres and seconds.
const STRIDE: [f64; 2] = [1.0, 0.02];
/// Cells of the comparison, millimetres.
const CELL: f64 = 1.0;
/// Seconds between two samples.
const INTERVALS: [f64; 4] = [1.0, 10.0, 60.0, 300.0];
/// Tries of each interval with another start.
const TRIES: u32 = 5;

/// What samples at one interval give back, in the mean of several starts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rebuilt {
    /// Seconds between two samples.
    pub interval: f64,
    /// Samples of the print.
    pub samples: f64,
    /// Area in both the footprint and what was rebuilt, over the area in either (intersection over union), 0 to 1.
    pub overlap: f64,
    /// Error of the larger side of the box around it, millimetres.
    pub side: f64,
    /// Error of the height, millimetres.
    pub height: f64,
}

/// Prints the part and rebuilds it at each interval.
pub fn rebuild(seed: u64) -> Vec<Rebuilt> {
    let mut chance = Chance::of(seed);
    let path = path(&mut chance);
    INTERVALS
        .into_iter()
        .map(|interval| {
            let tries: Vec<Rebuilt> =
                (0..TRIES).map(|_| sampled(&path, interval, &mut chance)).collect();
            let mean =
                |part: fn(&Rebuilt) -> f64| tries.iter().map(part).sum::<f64>() / f64::from(TRIES);
            Rebuilt {
                interval,
                samples: mean(|one| one.samples),
                overlap: mean(|one| one.overlap),
                side: mean(|one| one.side),
                height: mean(|one| one.height),
            }
        })
        .collect()
}

/// Whether the part covers a point of the plane.
fn covers([x, y]: [f64; 2]) -> bool {
    let [width, depth, _] = SIZE;
    let inside = (0.0..=width).contains(&x) && (0.0..=depth).contains(&y);
    let cut = x > width - CORNER[0] && y > depth - CORNER[1];
    let hole = HOLES.iter().any(|(middle, radius)| distance([x, y], *middle) < *radius);
    inside && !cut && !hole
}

fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

/// The nozzle after each stride of the print; travel takes no time.
fn path(chance: &mut Chance) -> Vec<[f64; 3]> {
    let [width, depth, height] = SIZE;
    let mut path = Vec::new();
    for layer in 0..count(height / STEPS[0]) {
        let along_x = layer % 2 == 0;
        let (length, across) = if along_x { (width, depth) } else { (depth, width) };
        let first = between(chance, 0.0, STEPS[1]);
        for line in 0..count(across / STEPS[1]) {
            let off = first + real(line) * STEPS[1];
            for stride in 0..count(length / STRIDE[0]) {
                let on = real(stride) * STRIDE[0];
                let [x, y] = if along_x { [on, off] } else { [off, on] };
                if covers([x, y]) {
                    path.push([x, y, real(layer + 1) * STEPS[0]]);
                }
            }
        }
    }
    path
}

/// One watched print: samples from a start that chance gives.
fn sampled(path: &[[f64; 3]], interval: f64, chance: &mut Chance) -> Rebuilt {
    let every = count(interval / STRIDE[1]).max(1);
    let first = count(between(chance, 0.0, real(every)));
    let samples: Vec<[f64; 3]> = path.iter().skip(first).step_by(every).copied().collect();
    let side = |axis: usize| {
        let of = |sample: &[f64; 3]| sample.get(axis).copied().unwrap_or_default();
        let low = samples.iter().map(of).fold(f64::INFINITY, f64::min);
        let high = samples.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        if low <= high { (low, high) } else { (0.0, 0.0) }
    };
    let (low, high) = side(0);
    Rebuilt {
        interval,
        samples: real(samples.len()),
        overlap: overlap(&samples),
        side: (SIZE[0] - (high - low)).abs(),
        height: (SIZE[2] - side(2).1).abs(),
    }
}

/// Discs around the samples against the footprint. A disc is as wide as the samples are apart in the mean.
fn overlap(samples: &[[f64; 3]]) -> f64 {
    let [width, depth, _] = SIZE;
    let radius = (width * depth / real(samples.len().max(1))).sqrt().clamp(CELL, 12.0) * 0.75;
    let (mut both, mut either) = (0_u32, 0_u32);
    // As far around the part as a disc may reach.
    let margin = count(12.0 / CELL);
    for column in 0..count(width / CELL) + 2 * margin {
        for row in 0..count(depth / CELL) + 2 * margin {
            let at = |cell: usize| (real(cell) - real(margin) + 0.5) * CELL;
            let point = [at(column), at(row)];
            let rebuilt = samples.iter().any(|[x, y, _]| distance(point, [*x, *y]) <= radius);
            let real = covers(point);
            both += u32::from(rebuilt && real);
            either += u32::from(rebuilt || real);
        }
    }
    f64::from(both) / f64::from(either.max(1))
}
