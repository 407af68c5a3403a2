//! The reconstruction experiment: how often a print can be named by what somebody holds of it.
//!
//! Made-up models are sliced and printed by simple physics. Each observer gets what it would hold, Imprimatur
//! by the agent's own accumulator and reports; an attacker who has every model, the printer and its profile
//! names the model of each print. Everything comes from one seed. `docs/geometry.md` says what it shows.
//!
//! Positions are held by none of them: Imprimatur has no field for any. What slow samples of them would give back
//! is measured apart.

pub mod attack;
pub mod figures;
pub mod number;
pub mod others;
pub mod page;
pub mod plot;
pub mod positions;
pub mod print;
pub mod shape;
pub mod stored;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use imprimatur_testkit::chance::Chance;
use serde::Serialize;

use crate::attack::{Answer, Exact, nearest};
use crate::figures::{Rate, Sets};
use crate::number::real;
use crate::others::Observer;
use crate::print::{Heating, Job, Run};
use crate::shape::Shape;
use crate::stored::{Columns, bins};

/// How large the experiment is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Models that the attacker has.
    pub models: usize,
    /// Prints that are attacked.
    pub probes: usize,
    /// Prints that the attacker made of each model and watched with an agent of their own.
    pub training: usize,
    /// All of it comes from this.
    pub seed: u64,
    /// Whether only what Imprimatur stores is asked for.
    pub stored_only: bool,
}

/// What is found about one observer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Who.
    pub observer: &'static str,
    /// Whether it is Imprimatur.
    pub ours: bool,
    /// How many models look alike, printed as planned.
    pub sets: Sets,
    /// How often the model of a print was named.
    pub named: Rate,
    /// The same without the luck of the lot among models that are equally likely.
    pub expected: f64,
    /// Of Imprimatur: what the bins of time and amount alone give, without that luck.
    pub baseline: Option<f64>,
    /// Of Imprimatur: probability of so many hits or more if the rest tells nothing.
    pub chance: Option<f64>,
}

/// One print that is attacked.
#[derive(Clone, Copy, Debug)]
struct Probe {
    model: usize,
    run: Run,
}

/// The world of a plan: its models and the prints that are attacked.
struct World {
    plan: Plan,
    chance: Chance,
    seeds: Vec<u64>,
    probes: Vec<Probe>,
}

/// Carries a plan out.
pub fn run(plan: Plan) -> Vec<Row> {
    let mut world = World::new(plan);
    let mut rows = Vec::new();
    let tuned = ["Imprimatur: the print's row", "Imprimatur: with the rows of its days"];
    rows.extend(world.stored(Heating::TUNED, &tuned));
    rows.extend(world.stored(Heating::SLACK, &["", "Imprimatur: the same, heater tuned badly"]));
    rows.extend(world.stored(Heating::POOR, &["", "Imprimatur: the same, heater not tuned"]));
    if !plan.stored_only {
        rows.extend(Observer::ALL.map(|observer| world.other(observer)));
    }
    rows
}

impl World {
    fn new(plan: Plan) -> Self {
        let mut chance = Chance::of(plan.seed);
        let seeds = (0..plan.models).map(|_| chance.draw()).collect();
        let models = u64::try_from(plan.models).unwrap_or(u64::MAX);
        let probes = (0..plan.probes)
            .map(|_| {
                let model = usize::try_from(chance.below(models)).unwrap_or(0);
                Probe { model, run: Run::draw(&mut chance) }
            })
            .collect();
        Self { plan, chance, seeds, probes }
    }

    fn model(&self, number: usize) -> (Shape, Job) {
        let seed = self.seeds.get(number).copied().unwrap_or(0);
        let shape = Shape::draw(&mut Chance::of(seed));
        let job = Job::slice(&shape);
        (shape, job)
    }

    /// What Imprimatur stores, by the name of each view: the print's row, and with the rows of its days. A view
    /// without a name is left out.
    fn stored(&mut self, heating: Heating, names: &[&'static str; 2]) -> Vec<Row> {
        let mut chance = self.chance.split();
        let mut kinds = Kinds::default();
        let (mut planned, mut learned, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        let mut look = |model: usize, job: &Job, run: Run, chance: &mut Chance| {
            let stored = stored::print(job, run, heating, chance);
            let number = u32::try_from(model).unwrap_or(u32::MAX);
            [stored.row(), stored.rows()].map(|all| (number, kinds.of(bins(&all)), kinds.of(all)))
        };
        for model in 0..self.plan.models {
            let (_, job) = self.model(model);
            planned.push(look(model, &job, Run::PLANNED, &mut chance));
            for _ in 0..self.plan.training {
                let run = Run::draw(&mut chance);
                learned.push(look(model, &job, run, &mut chance));
            }
        }
        for probe in &self.probes {
            let (_, job) = self.model(probe.model);
            probes.push(look(probe.model, &job, probe.run, &mut chance));
        }
        let views = names.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let views = views.map(|(view, name)| {
            let pick = |looks: &[[Seen; 2]]| -> Vec<Seen> {
                looks.iter().filter_map(|both| both.get(view).copied()).collect()
            };
            let (planned, learned, probes) = (pick(&planned), pick(&learned), pick(&probes));
            self.judge(name, &planned, &learned, &probes, &mut chance)
        });
        views.collect()
    }

    /// Attacks one view twice: by its bins alone, and by all of it.
    fn judge(
        &self,
        observer: &'static str,
        planned: &[Seen],
        learned: &[Seen],
        probes: &[Seen],
        chance: &mut Chance,
    ) -> Row {
        let bins_alone = |(model, bins, _): &Seen| (*model, *bins, *bins);
        let learn = |seen: Vec<Seen>| Exact::learn(self.plan.models, seen.into_iter());
        let of_bins = learn(learned.iter().map(bins_alone).collect())
            .attack(&probes.iter().map(bins_alone).collect::<Vec<_>>(), chance);
        let of_all = learn(learned.to_vec()).attack(probes, chance);
        let count = real(probes.len().max(1));
        let (named, baseline) = (Rate::of(of_all.hits, probes.len()), of_bins.expected / count);
        Row {
            observer,
            ours: true,
            sets: Sets::of(planned.iter().map(|(_, _, all)| *all)),
            named,
            expected: of_all.expected / count,
            baseline: Some(baseline),
            chance: Some(named.chance_at(baseline)),
        }
    }

    /// What another program holds.
    fn other(&mut self, observer: Observer) -> Row {
        let watch = |model: usize, run: Run| {
            let (shape, job) = self.model(model);
            observer.watch(&shape, &job, run)
        };
        let known: Vec<_> = (0..self.plan.models).map(|model| watch(model, Run::PLANNED)).collect();
        let seen: Vec<_> = self
            .probes
            .iter()
            .map(|probe| (u32::try_from(probe.model).unwrap_or(0), watch(probe.model, probe.run)))
            .collect();
        let sets = Sets::of(known.iter().map(|held| held.look));
        let looks: Vec<(u32, u64, u64)> =
            (0..).zip(&known).map(|(n, held)| (n, 0, held.look)).collect();
        let numbers: Vec<_> = known.into_iter().filter_map(|held| held.numbers).collect();
        let mut chance = self.chance.split();
        let answer: Answer = if numbers.is_empty() {
            let probes: Vec<_> = seen.iter().map(|(model, held)| (*model, 0, held.look)).collect();
            Exact::learn(self.plan.models, looks.into_iter()).attack(&probes, &mut chance)
        } else {
            let probes: Vec<_> =
                seen.into_iter().filter_map(|(model, held)| Some((model, held.numbers?))).collect();
            nearest(&numbers, &probes, &mut chance)
        };
        Row {
            observer: observer.name(),
            ours: false,
            sets,
            named: Rate::of(answer.hits, self.plan.probes),
            expected: answer.expected / real(self.plan.probes.max(1)),
            baseline: None,
            chance: None,
        }
    }
}

/// A model, the number of its bins, and the number of all its values.
type Seen = (u32, u32, u32);

/// Numbers for columns: equal for equal ones.
#[derive(Default)]
struct Kinds(HashMap<Columns, u32>);

impl Kinds {
    fn of(&mut self, columns: Columns) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        *self.0.entry(columns).or_insert(next)
    }
}
