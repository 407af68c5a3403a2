//! Chance with a shape, and steps between whole and real numbers.

use imprimatur_testkit::chance::Chance;

/// A number from 0 to below 1.
pub fn unit(chance: &mut Chance) -> f64 {
    f64::from(u32::try_from(chance.draw() >> 32).unwrap_or(u32::MAX)) / 4_294_967_296.0
}

/// A number between two others.
pub fn between(chance: &mut Chance, low: f64, high: f64) -> f64 {
    low + (high - low) * unit(chance)
}

/// A standard normal number (Box and Muller).
pub fn normal(chance: &mut Chance) -> f64 {
    let radius = (-2.0 * (1.0 - unit(chance)).ln()).sqrt();
    radius * (std::f64::consts::TAU * unit(chance)).cos()
}

/// A factor whose logarithm is normal around 0.
pub fn factor(chance: &mut Chance, deviation: f64) -> f64 {
    (deviation * normal(chance)).exp()
}

/// A count as a real number; exact below 2^32.
pub fn real(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::INFINITY, f64::from)
}

/// The whole number at or below a value; 0 for what is negative or no number.
#[expect(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a real number saturates, and what is no number gives 0"
)]
pub fn whole(value: f64) -> u64 {
    value.floor() as u64
}

/// The same as a count.
pub fn count(value: f64) -> usize {
    usize::try_from(whole(value)).unwrap_or(usize::MAX)
}
