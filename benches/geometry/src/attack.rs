//! The attacks: most likely model by what was seen of each, and nearest model by numbers with known noise.
//!
//! The attacker has the models, the printer and its profile, and made prints of each model. Where several
//! models are equally likely one of them is named by lot.

use std::collections::HashMap;
use std::hash::Hash;

use imprimatur_testkit::chance::Chance;

use crate::number::real;

/// What was answered.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Answer {
    /// Prints whose model was named.
    pub hits: usize,
    /// Sum over the prints of the probability to name it: the hits without the luck of the lot.
    pub expected: f64,
}

impl Answer {
    fn add(&mut self, likeliest: &[u32], model: u32, models: usize, chance: &mut Chance) {
        let among = if likeliest.is_empty() { models } else { likeliest.len() };
        let lot = chance.below(u64::try_from(among).unwrap_or(u64::MAX)) == 0;
        if likeliest.is_empty() || likeliest.binary_search(&model).is_ok() {
            self.hits += usize::from(lot);
            self.expected += 1.0 / real(among.max(1));
        }
    }
}

/// Knowledge of values that are equal or not: bins, and all values of which bins are a part.
#[derive(Debug)]
pub struct Exact<K> {
    models: usize,
    /// By bins: how often each model showed them, by model.
    by_bins: HashMap<K, HashMap<u32, u32>>,
    /// By bins and all values, the same.
    by_all: HashMap<(K, K), HashMap<u32, u32>>,
}

impl<K: Hash + Eq + Clone> Exact<K> {
    /// From the attacker's own prints: model, bins, all values.
    pub fn learn(models: usize, seen: impl Iterator<Item = (u32, K, K)>) -> Self {
        let mut known = Self { models, by_bins: HashMap::new(), by_all: HashMap::new() };
        for (model, bins, all) in seen {
            let times = known.by_bins.entry(bins.clone()).or_default();
            *times.entry(model).or_default() += 1;
            *known.by_all.entry((bins, all)).or_default().entry(model).or_default() += 1;
        }
        known
    }

    /// Names the model of each print: its model, bins, all values.
    pub fn attack(&self, probes: &[(u32, K, K)], chance: &mut Chance) -> Answer {
        let mut answer = Answer::default();
        let mut known: HashMap<(&K, &K), Vec<u32>> = HashMap::new();
        for (model, bins, all) in probes {
            let likeliest = known.entry((bins, all)).or_insert_with(|| self.likeliest(bins, all));
            answer.add(likeliest, *model, self.models, chance);
        }
        answer
    }

    /// The models with the highest likelihood. Of a model that was seen in these bins, the other values have
    /// the share that its own prints show, drawn toward the share among all models by one print's weight.
    fn likeliest(&self, bins: &K, all: &K) -> Vec<u32> {
        let Some(inside) = self.by_bins.get(bins) else { return Vec::new() };
        let alike = self.by_all.get(&(bins.clone(), all.clone()));
        let sum = |times: &HashMap<u32, u32>| f64::from(times.values().sum::<u32>());
        let common = alike.map_or(1.0, |alike| sum(alike) / sum(inside));
        let likelihood = |(model, times): (&u32, &u32)| {
            let same = alike.and_then(|alike| alike.get(model)).copied().unwrap_or(0);
            let (times, same) = (f64::from(*times), f64::from(same));
            // Without a print that is alike, all of these bins are.
            let share = if alike.is_some() { (same + common) / (times + 1.0) } else { 1.0 };
            (*model, times * share)
        };
        let scores: Vec<(u32, f64)> = inside.iter().map(likelihood).collect();
        let best = scores.iter().map(|(_, score)| *score).fold(0.0, f64::max);
        let mut models: Vec<u32> = scores
            .into_iter()
            .filter(|(_, score)| *score >= best * (1.0 - 1e-9))
            .map(|(model, _)| model)
            .collect();
        models.sort_unstable();
        models
    }
}

/// Numbers that an observer holds of a print, and the deviation of each.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    /// The numbers; the first one is the time's logarithm.
    pub values: Vec<f32>,
    /// Standard deviation of each around what the attacker expects of the right model.
    pub deviations: Vec<f32>,
}

/// Deviations of the first number within which a model is looked at.
const WINDOW: f32 = 6.0;

/// Names the nearest model of each print, in deviations.
pub fn nearest(models: &[Numbers], probes: &[(u32, Numbers)], chance: &mut Chance) -> Answer {
    let first = |numbers: &Numbers| numbers.values.first().copied().unwrap_or(0.0);
    let mut order: Vec<(f32, u32)> =
        (0..).zip(models).map(|(number, model)| (first(model), number)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut answer = Answer::default();
    for (model, probe) in probes {
        let reach = WINDOW * probe.deviations.first().copied().unwrap_or(1.0);
        let from = order.partition_point(|(value, _)| *value < first(probe) - reach);
        let mut best = f32::INFINITY;
        let mut likeliest: Vec<u32> = Vec::new();
        for (value, candidate) in order.iter().skip(from) {
            if *value > first(probe) + reach {
                break;
            }
            let Some(known) = usize::try_from(*candidate).ok().and_then(|at| models.get(at)) else {
                continue;
            };
            let away = distance(known, probe, best);
            if away < best {
                best = away;
                likeliest.clear();
            }
            if away <= best {
                likeliest.push(*candidate);
            }
        }
        likeliest.sort_unstable();
        answer.add(&likeliest, *model, models.len(), chance);
    }
    answer
}

/// Squared distance in deviations; what is beyond `enough` is not finished.
fn distance(known: &Numbers, probe: &Numbers, enough: f32) -> f32 {
    let mut sum = 0.0;
    let parts = known.values.iter().zip(&probe.values).zip(&probe.deviations);
    for ((known, seen), deviation) in parts {
        let off = (known - seen) / deviation;
        sum += off * off;
        if sum > enough {
            return f32::INFINITY;
        }
    }
    sum
}
