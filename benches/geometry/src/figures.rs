//! Counting: anonymity sets, entropy, and exact binomial statements at 99 %.

use std::collections::HashMap;
use std::hash::Hash;

use serde::Serialize;

use crate::number::real;

/// How many models look alike.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sets {
    /// Share of models that no other looks like.
    pub unique: f64,
    /// Share of models that fewer than fifty look like, themselves included.
    pub below_fifty: f64,
    /// Median of the number of models that look like a model, itself included.
    pub median: usize,
    /// Bits that the look of a model tells on average.
    pub entropy: f64,
}

impl Sets {
    /// Of the looks of all models.
    pub fn of<K: Hash + Eq>(looks: impl Iterator<Item = K>) -> Self {
        let mut groups: HashMap<K, usize> = HashMap::new();
        for look in looks {
            *groups.entry(look).or_default() += 1;
        }
        let mut sizes: Vec<usize> = groups.into_values().collect();
        sizes.sort_unstable();
        let models: usize = sizes.iter().sum();
        let share = |below: usize| {
            let inside: usize = sizes.iter().take_while(|size| **size < below).sum();
            real(inside) / real(models.max(1))
        };
        let mut passed = 0;
        let median = sizes.iter().find(|size| {
            passed += **size;
            2 * passed >= models
        });
        let bits = sizes.iter().map(|size| {
            let part = real(*size) / real(models);
            -part * part.log2()
        });
        Self {
            unique: share(2),
            below_fifty: share(50),
            median: median.copied().unwrap_or(0),
            entropy: bits.sum::<f64>().max(0.0),
        }
    }
}

/// How often an attack named the model of a print.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// Prints that were attacked.
    pub probes: usize,
    /// Prints whose model was named.
    pub hits: usize,
    /// Share of them.
    pub share: f64,
    /// Bounds of the true share at 99 % (Clopper and Pearson).
    pub low: f64,
    /// See `low`.
    pub high: f64,
}

impl Rate {
    /// From counts.
    pub fn of(hits: usize, probes: usize) -> Self {
        let tails = Binomial::of(probes);
        // The tail rises with the share, so bisection finds where it is half a percent.
        let low = if hits == 0 { 0.0 } else { bisect(|share| tails.at_least(hits, share) < 0.005) };
        let high = if hits >= probes {
            1.0
        } else {
            bisect(|share| 1.0 - tails.at_least(hits + 1, share) > 0.005)
        };
        Self { probes, hits, share: real(hits) / real(probes.max(1)), low, high }
    }

    /// Probability of so many hits or more if the true share were this one: small means above it.
    pub fn chance_at(&self, share: f64) -> f64 {
        Binomial::of(self.probes).at_least(self.hits, share)
    }

    /// Whether the share is above this one at 99 %, one-sided and exact.
    pub fn is_above(&self, share: f64) -> bool {
        self.chance_at(share) < 0.01
    }
}

/// The last share, from 0 to 1, of which something is true.
fn bisect(holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if holds(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Binomial tails of one number of trials.
struct Binomial {
    /// Logarithms of the ways to choose.
    ways: Vec<f64>,
}

impl Binomial {
    fn of(trials: usize) -> Self {
        let mut ways = vec![0.0];
        let mut last = 0.0_f64;
        for chosen in 0..trials {
            last += (real(trials - chosen) / real(chosen + 1)).ln();
            ways.push(last);
        }
        Self { ways }
    }

    /// Probability of at least so many hits.
    fn at_least(&self, hits: usize, share: f64) -> f64 {
        if share <= 0.0 || share >= 1.0 {
            return if hits == 0 || share >= 1.0 { 1.0 } else { 0.0 };
        }
        let trials = self.ways.len() - 1;
        let terms = self.ways.iter().enumerate().skip(hits).map(|(chosen, ways)| {
            let log = ways + real(chosen) * share.ln() + real(trials - chosen) * (-share).ln_1p();
            log.exp()
        });
        terms.sum::<f64>().min(1.0)
    }
}
