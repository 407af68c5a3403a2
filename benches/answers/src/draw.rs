//! Numbers by lot that follow from a seed: `SplitMix64`. Good enough for made-up printers, never for a secret.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Draw(u64);

impl Draw {
    /// The stream of some numbers, in their order: other numbers, another stream.
    pub(crate) fn of(parts: &[u64]) -> Self {
        let mut draw = Self(0);
        for part in parts {
            draw.0 ^= part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            draw.0 = draw.next();
        }
        draw
    }

    /// Any number of 64 bits.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when that is 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        let wide = (self.next() >> 32).wrapping_mul(u64::from(end)) >> 32;
        u32::try_from(wide).unwrap_or(0)
    }

    /// Whether what happens to so many of a thousand happens.
    pub(crate) fn happens(&mut self, of_a_thousand: u32) -> bool {
        self.below(1_000) < of_a_thousand
    }

    /// An index from 1, each as often as its weight says.
    pub(crate) fn index(&mut self, weights: &[u32]) -> u32 {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in (1..).zip(weights) {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        0
    }

    /// An index of 1 to `last` around `middle`, seldom far from it.
    pub(crate) fn near(&mut self, middle: u32, spread: u32, last: u32) -> u32 {
        let up = self.below(spread + 1) + self.below(spread + 1);
        (middle + up).saturating_sub(spread).clamp(1, last)
    }

    /// How often of ten times something happens that happens so often of 65536.
    pub(crate) fn of_ten(&mut self, of_65536: u64) -> u32 {
        let mut count = 0;
        for place in 0..3_u32 {
            let many = self.next();
            let tries = if place == 2 { 2 } else { 4 };
            for try_at in 0..tries {
                count += u32::from(many >> (16 * try_at) & 0xffff < of_65536);
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_follow_from_their_seed_and_have_the_share_that_is_asked_for() {
        let (mut one, mut same, mut other) =
            (Draw::of(&[1, 2]), Draw::of(&[1, 2]), Draw::of(&[2, 1]));
        assert_eq!(one.next(), same.next());
        assert_ne!(one.next(), other.next());
        let tens: u32 = (0..10_000).map(|_| one.of_ten(65_536 / 4)).sum();
        assert!((24_000..26_000).contains(&tens), "{tens}");
        let seldom = (0..10_000).filter(|_| one.index(&[9, 1]) == 2).count();
        assert!((900..1_100).contains(&seldom), "{seldom}");
        assert!((0..1_000).all(|_| (1..=6).contains(&one.near(2, 4, 6))));
    }
}
