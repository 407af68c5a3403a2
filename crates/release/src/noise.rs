//! Discrete Laplace noise over whole numbers, by `OpenDP`, and what it can be.
//!
//! The scale is an exact fraction, the draws are exact (Canonne, Kamath, Steinke 2020), so no bit of
//! a floating-point number tells what it was added to. `OpenDP`'s own privacy map has to agree that
//! the scale is enough before anything is drawn. The bits come from rand's thread generator, `ChaCha`
//! with a key of the operating system that is drawn again every 64 KiB; there is no seed to set.

use dashu::integer::{IBig, UBig};
use dashu::rational::RBig;
use imprimatur_runtime::entropy;
use opendp::core::Measurement;
use opendp::domains::{AtomDomain, VectorDomain};
use opendp::measurements::{MakeNoise as _, ZExpFamily};
use opendp::measures::MaxDivergence;
use opendp::metrics::L1Distance;

use crate::error::NoiseError;

/// Whole numbers whose noise is drawn at once.
type Numbers = VectorDomain<AtomDomain<IBig>>;

/// Noise for a list of whole numbers, of which one principal changes the sum of absolute values by
/// at most the sensitivity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Laplace {
    sensitivity: UBig,
    epsilon: RBig,
    scale: RBig,
}

impl Laplace {
    /// The noise that costs `epsilon`: its scale is the sensitivity divided by that.
    pub(crate) fn new(sensitivity: u128, epsilon: RBig) -> Self {
        let sensitivity = UBig::from(sensitivity);
        let scale = RBig::from(sensitivity.clone()) / &epsilon;
        Self { sensitivity, epsilon, scale }
    }

    /// With another scale, for tests that must see too little noise.
    #[cfg(test)]
    pub(crate) fn scaled(mut self, by: &RBig) -> Self {
        self.scale *= by;
        self
    }

    /// Without asking the library whether it is enough, for the same tests.
    #[cfg(test)]
    pub(crate) fn add_unchecked(&self, exact: &[IBig]) -> Vec<IBig> {
        self.mechanism(exact.len()).and_then(|noise| Ok(noise.invoke(&exact.to_vec())?)).unwrap()
    }

    pub(crate) fn sensitivity(&self) -> &UBig {
        &self.sensitivity
    }

    pub(crate) fn epsilon(&self) -> &RBig {
        &self.epsilon
    }

    pub(crate) fn scale(&self) -> &RBig {
        &self.scale
    }

    /// The numbers with noise, each with its own draw.
    pub(crate) fn add(&self, exact: &[IBig]) -> Result<Vec<IBig>, NoiseError> {
        let mechanism = self.mechanism(exact.len())?;
        let told = mechanism.map(&RBig::from(self.sensitivity.clone()))?;
        // The map rounds up, the allowance by one step of a float.
        let allowed = self.epsilon.to_f64().value().next_up();
        if told.is_nan() || told > allowed {
            return Err(NoiseError::TooLittle { told, allowed });
        }
        entropy::bytes::<1>()?;
        Ok(mechanism.invoke(&exact.to_vec())?)
    }

    fn mechanism(
        &self,
        length: usize,
    ) -> Result<Measurement<Numbers, L1Distance<RBig>, MaxDivergence, Vec<IBig>>, NoiseError> {
        let domain = VectorDomain::new(AtomDomain::<IBig>::default()).with_size(length);
        let noise = ZExpFamily::<1> { scale: self.scale.clone() };
        Ok(noise.make_noise((domain, L1Distance::default()))?)
    }

    /// The smallest distance that the noise exceeds, to both sides together, with a probability of
    /// at most `share`.
    ///
    /// With `x = exp(-1 / scale)` the noise is `z` with probability `(1 - x) / (1 + x) * x^|z|`, so
    /// more than `m` away with `2 * x^(m + 1) / (1 + x)`.
    pub(crate) fn beyond(&self, share: f64) -> IBig {
        let scale = self.scale.to_f64().value();
        let x = (-scale.recip()).exp();
        whole((2.0 / (share * (1.0 + x))).ln() * scale) - IBig::ONE
    }

    /// The smallest excess over any number that noise, once it has reached that number, reaches with
    /// a probability of at most `share`: the distribution has no memory.
    pub(crate) fn excess(&self, share: f64) -> IBig {
        whole(share.recip().ln() * self.scale.to_f64().value())
    }
}

/// The whole number that is not below, with room for the last bits of a float.
fn whole(number: f64) -> IBig {
    let up = (number.max(0.0) * (1.0 + 1e-12)).ceil();
    // Only infinity and what is no number have no whole number; neither comes from a fraction.
    IBig::try_from(up).unwrap_or(IBig::ZERO)
}

#[cfg(test)]
mod tests;
