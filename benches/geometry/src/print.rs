//! Simple physics of a filament printer: time and material of each layer, and what its nozzle feels.
//!
//! Two walls, 15 % infill, solid top and bottom, a limit on flow, the least time of a layer, and a
//! constant for each layer's travel. No acceleration, no supports, no retraction. A print differs from its
//! plan by one factor for time and one for material.

use imprimatur_testkit::chance::Chance;

use crate::number::{factor, normal, real};
use crate::shape::{LAYER, Shape};

/// Width of a line, millimetres.
const LINE: f64 = 0.45;
/// Walls.
const WALLS: f64 = 2.0;
/// Infill density, percent.
pub const INFILL: f64 = 15.0;
/// Solid layers at either end.
const SOLID: usize = 4;
/// Speed of walls and of infill, millimetres a second.
const SPEEDS: [f64; 2] = [60.0, 100.0];
/// Most that the nozzle melts, cubic millimetres a second.
const FLOW_MAX: f64 = 11.0;
/// Least time of a layer, and its travel: seconds.
const LAYER_SECONDS: [f64; 2] = [6.0, 2.5];
/// Grams in a cubic millimetre of PLA.
const DENSITY: f64 = 0.001_24;
/// Section of 1.75 mm filament, square millimetres.
const FILAMENT: f64 = 2.405_28;
/// Standard deviations of the logarithms of a print's time and material around its plan.
pub const NOISE: [f64; 2] = [0.01, 0.005];
/// Least seconds between two looks at the heaters, and the most.
const LOOK_SECONDS: [f64; 2] = [5.0, 300.0];
/// Looks at a print, about.
const LOOKS: f64 = 240.0;

/// Nozzle and bed while they print, degrees Celsius.
pub const SET_POINTS: [f64; 2] = [215.0, 60.0];

/// One layer as planned.
#[derive(Clone, Copy, Debug)]
pub struct Layer {
    /// Seconds.
    pub seconds: f64,
    /// Cubic millimetres.
    pub volume: f64,
}

/// A sliced model.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its layers.
    pub layers: Vec<Layer>,
    /// Box around the model, millimetres.
    pub size: [f64; 3],
    /// Seconds: walls, infill, travel.
    pub features: [f64; 3],
    /// Whether it would be supported.
    pub supports: bool,
}

/// How well a nozzle keeps its temperature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heating {
    /// Degrees Celsius lost at first when the flow rises by one cubic millimetre a second.
    pub droop: f64,
    /// Seconds in which the controller makes up for two thirds of it.
    pub recovery: f64,
    /// Degrees Celsius lost at first when the fan starts.
    pub fan: f64,
}

impl Heating {
    /// Melting a cubic millimetre a second more takes half a watt; a 40 W heater under proportional
    /// control of 3.4 W for each degree gives 0.15 degrees of droop. Twice that is taken.
    pub const TUNED: Self = Self { droop: 0.3, recovery: 15.0, fan: 1.5 };
    /// A heater that was tuned for another nozzle: three times the droop, made up for twice as slowly.
    pub const SLACK: Self = Self { droop: 0.9, recovery: 30.0, fan: 3.0 };
    /// A heater that nobody tuned: ten times the droop, made up for three times as slowly.
    pub const POOR: Self = Self { droop: 3.0, recovery: 45.0, fan: 6.0 };
    /// A controller without an integral part: what it loses, it does not make up for while the flow lasts. The control.
    pub const LOST: Self = Self { droop: 0.4, recovery: 1e6, fan: 0.0 };
}

/// One print of a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// Time over planned time.
    pub time: f64,
    /// Material over planned material.
    pub material: f64,
}

impl Run {
    /// As planned.
    pub const PLANNED: Self = Self { time: 1.0, material: 1.0 };

    /// As it happens.
    pub fn draw(chance: &mut Chance) -> Self {
        let [time, material] = NOISE;
        Self { time: factor(chance, time), material: factor(chance, material) }
    }
}

/// One look at the nozzle.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// Seconds since the first layer began.
    pub at: f64,
    /// Degrees Celsius.
    pub nozzle: f64,
}

impl Job {
    /// Slices a model.
    pub fn slice(shape: &Shape) -> Self {
        let mut features = [0.0; 3];
        let last = shape.cuts.len();
        let layers = shape.cuts.iter().enumerate().map(|(number, cut)| {
            let solid = number < SOLID || number + SOLID >= last;
            let walls = (WALLS * cut.perimeter * LINE).min(cut.area);
            let density = if solid { 1.0 } else { INFILL / 100.0 };
            let infill = (cut.area - walls) * density;
            let seconds =
                |area: f64, speed: f64| area * LAYER / (speed * LINE * LAYER).min(FLOW_MAX);
            let [least, travel] = LAYER_SECONDS;
            let [wall_speed, infill_speed] = SPEEDS;
            let spent = [seconds(walls, wall_speed), seconds(infill, infill_speed), travel];
            for (sum, part) in features.iter_mut().zip(spent) {
                *sum += part;
            }
            Layer {
                seconds: spent.iter().sum::<f64>().max(least),
                volume: (walls + infill) * LAYER,
            }
        });
        let layers = layers.collect();
        Self { layers, size: shape.size, features, supports: shape.hangs_over() }
    }

    /// Planned seconds.
    pub fn seconds(&self) -> f64 {
        self.layers.iter().map(|layer| layer.seconds).sum()
    }

    /// Planned grams.
    pub fn grams(&self) -> f64 {
        self.layers.iter().map(|layer| layer.volume).sum::<f64>() * DENSITY
    }

    /// Planned filament, millimetres.
    pub fn filament(&self) -> f64 {
        self.layers.iter().map(|layer| layer.volume).sum::<f64>() / FILAMENT
    }

    /// Grams used so far at each whole minute of a print, and at its end.
    pub fn minutes(&self, run: Run) -> Vec<f64> {
        let mut series = Vec::new();
        let (mut clock, mut used) = (0.0, 0.0);
        for layer in &self.layers {
            let (seconds, grams) =
                (layer.seconds * run.time, layer.volume * DENSITY * run.material);
            while real(series.len() + 1) * 60.0 <= clock + seconds {
                let into = real(series.len() + 1) * 60.0 - clock;
                series.push(used + grams * into / seconds);
            }
            clock += seconds;
            used += grams;
        }
        series.push(used);
        series
    }

    /// The nozzle through a print: it droops when the flow rises and when the fan starts.
    pub fn looks(&self, run: Run, heating: Heating, chance: &mut Chance) -> Vec<Look> {
        let [shortest, longest] = LOOK_SECONDS;
        let step = (self.seconds() * run.time / LOOKS).clamp(shortest, longest);
        let (mut clock, mut off, mut flow) = (0.0, 0.0, 0.0);
        let mut looks = Vec::new();
        for (number, layer) in self.layers.iter().enumerate() {
            let seconds = layer.seconds * run.time;
            let now = layer.volume * run.material / seconds;
            off -= heating.droop * (now - flow);
            if number == 1 {
                off -= heating.fan;
            }
            flow = now;
            while real(looks.len()) * step < clock + seconds {
                let at = real(looks.len()) * step;
                let left = off * (-(at - clock) / heating.recovery).exp();
                looks.push(Look { at, nozzle: SET_POINTS[0] + left + 0.3 * normal(chance) });
            }
            clock += seconds;
            off *= (-seconds / heating.recovery).exp();
        }
        looks
    }
}
