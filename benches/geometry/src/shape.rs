//! Made-up models of five families: each is an area and a perimeter over height, and nothing else.
//!
//! Sizes are log-normal around 40 mm with a standard deviation of 0.6, between 5 and 250 mm, so that
//! areas spread over three decades as in public collections. An outline is a rectangle or a circle; what
//! the experiment needs of a model is how much there is to print at each height.

use std::f64::consts::{PI, TAU};

use imprimatur_testkit::chance::Chance;

use crate::number::{between, count, factor, real};

/// Layer height, millimetres.
pub const LAYER: f64 = 0.2;

/// Wall of a vase, millimetres.
const VASE_WALL: f64 = 1.2;

/// What there is of a model at one height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Area, square millimetres.
    pub area: f64,
    /// Perimeter, millimetres.
    pub perimeter: f64,
}

/// A model.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Width, depth and height of the box around it, millimetres.
    pub size: [f64; 3],
    /// Its cuts from the bed up, one for each layer; never empty.
    pub cuts: Vec<Cut>,
}

impl Shape {
    /// A model of any family.
    pub fn draw(chance: &mut Chance) -> Self {
        let length = (40.0 * factor(chance, 0.6)).clamp(5.0, 250.0);
        let [width, depth, height] =
            [(); 3].map(|()| (length * factor(chance, 0.4)).clamp(3.0, 250.0));
        let layers = count((height / LAYER).ceil()).max(1);
        let scale: Box<dyn Fn(f64) -> f64> = match chance.below(5) {
            0 => Box::new(|_| 1.0),
            1 => steps(chance),
            2 => cone(chance),
            3 => return Self::vase(chance, width, height, layers),
            _ => sines(chance, 0.3),
        };
        // A part of the area is holes, and the outline is rougher than a rectangle's.
        let (filled, rough) = (between(chance, 0.4, 1.0), between(chance, 1.0, 2.0));
        let cut = |share: f64| {
            let scale = scale(share);
            Cut {
                area: width * depth * scale * scale * filled,
                perimeter: 2.0 * (width + depth) * scale * rough,
            }
        };
        Self::of([width, depth, height], layers, cut)
    }

    fn vase(chance: &mut Chance, width: f64, height: f64, layers: usize) -> Self {
        let scale = sines(chance, 0.25);
        let cut = |share: f64| {
            let perimeter = PI * width * scale(share);
            Cut { area: perimeter * VASE_WALL, perimeter: 2.0 * perimeter }
        };
        Self::of([width, width, height], layers, cut)
    }

    fn of(size: [f64; 3], layers: usize, cut: impl Fn(f64) -> Cut) -> Self {
        let cuts = (0..layers).map(|layer| cut((real(layer) + 0.5) / real(layers))).collect();
        Self { size, cuts }
    }

    /// Whether a layer hangs over the one below so far that a slicer would support it.
    pub fn hangs_over(&self) -> bool {
        let pairs = self.cuts.iter().zip(self.cuts.iter().skip(1));
        pairs.into_iter().any(|(below, above)| above.area > 1.25 * below.area)
    }
}

/// Up to six prisms on one another.
fn steps(chance: &mut Chance) -> Box<dyn Fn(f64) -> f64> {
    let prisms: Vec<(f64, f64)> = (0..2 + chance.below(5))
        .map(|_| (between(chance, 0.1, 1.0), between(chance, 0.2, 1.0)))
        .collect();
    let whole: f64 = prisms.iter().map(|(height, _)| height).sum();
    Box::new(move |share| {
        let mut left = share * whole;
        for (height, scale) in &prisms {
            if left <= *height {
                return *scale;
            }
            left -= height;
        }
        1.0
    })
}

/// A cone that may be cut off, on either end.
fn cone(chance: &mut Chance) -> Box<dyn Fn(f64) -> f64> {
    let (low, high) = (between(chance, 0.1, 1.0), between(chance, 0.05, 1.0));
    Box::new(move |share| low + (high - low) * share)
}

/// Five sines; each is weaker than the one before.
fn sines(chance: &mut Chance, strength: f64) -> Box<dyn Fn(f64) -> f64> {
    let waves: Vec<(f64, f64, f64)> = (1..=5)
        .map(|wave| {
            let wave = f64::from(wave);
            (wave, between(chance, 0.0, strength) / wave.sqrt(), between(chance, 0.0, TAU))
        })
        .collect();
    Box::new(move |share| {
        let sum: f64 = waves
            .iter()
            .map(|(wave, height, phase)| height * (PI * wave * share + phase).sin())
            .sum();
        (0.7 + sum).clamp(0.1, 1.0)
    })
}
