//! Margins: of each coordinate of a group its value, a coarser one that follows from it, or all.
//!
//! A date has one week and a firmware one model, which has a technology. So the margins of a table by dates
//! are those of the table by weeks as well, and what is told of both is decided together. Pure.

use crate::dimension::Dimension;
use crate::settle::Place;

/// Most coordinates of a spot.
pub(crate) const COORDINATES: usize = 4;

/// Bits of one coordinate of a [`Spot`].
const BITS: u32 = 16;

/// A coordinate of a margin, which takes all.
const ALL: u64 = (1 << BITS) - 1;

/// A group as one number: a value of each dimension and at last a bin, 16 bits each.
pub(crate) type Spot = u64;

/// The spot with these values; `None` where one is below -1 or too large.
pub(crate) fn spot(values: impl Iterator<Item = i32>) -> Option<Spot> {
    values.zip(0..).try_fold(0, |spot, (value, at)| {
        let one = u64::try_from(value.checked_add(1)?).ok().filter(|one| *one < ALL)?;
        Some(spot | one.checked_shl(BITS * at)?)
    })
}

/// One value of a spot; `None` where all are taken.
pub(crate) fn coordinate(spot: Spot, at: u32) -> Option<i32> {
    let one = spot >> (BITS * at) & ALL;
    i32::try_from(one).ok().filter(|_| one != ALL).map(|one| one - 1)
}

/// The dimension of each coordinate of a spot, as far as there is a coarser one.
pub(crate) type Nests = [Option<Dimension>; COORDINATES];

/// A dimension and those that follow from it, the finest first.
fn chain(finest: Option<Dimension>) -> Vec<Dimension> {
    std::iter::successors(finest, |one| one.coarser()).collect()
}

/// One margin: how coarse each coordinate is.
#[derive(Clone, Debug)]
pub(crate) struct Margin {
    coordinates: Vec<Coordinate>,
    /// The bits that take all of the coordinates that are left out.
    taken: Spot,
    is_coarse: bool,
}

#[derive(Clone, Debug)]
struct Coordinate {
    chain: Vec<Dimension>,
    /// How often the value is made coarser; `None` where all are taken.
    level: Option<usize>,
}

impl Coordinate {
    /// Places of it in a group.
    fn width(&self) -> usize {
        self.chain.len().max(1)
    }
}

/// All margins over so many coordinates, that of the groups themselves first.
pub(crate) fn margins(width: usize, nests: &Nests) -> Vec<Margin> {
    let mut all = vec![Margin { coordinates: Vec::new(), taken: 0, is_coarse: false }];
    for (at, finest) in (0_u32..).zip(nests).take(width) {
        let chain = chain(*finest);
        let levels = (0..chain.len().max(1)).map(Some).chain([None]);
        let levels: Vec<Option<usize>> = levels.collect();
        let with = |one: &Margin, level: Option<usize>| {
            let mut one = one.clone();
            if level.is_none() {
                one.taken |= ALL << (BITS * at);
            }
            one.is_coarse |= level.is_some_and(|level| level > 0);
            one.coordinates.push(Coordinate { chain: chain.clone(), level });
            one
        };
        all = all.iter().flat_map(|one| levels.iter().map(|level| with(one, *level))).collect();
    }
    all
}

impl Margin {
    /// The spot of the margin that a group is part of.
    pub(crate) fn of(&self, spot: Spot) -> Spot {
        let mut spot = spot | self.taken;
        if !self.is_coarse {
            return spot;
        }
        for (at, coordinate) in (0_u32..).zip(&self.coordinates) {
            let Some(level) = coordinate.level.filter(|level| *level > 0) else { continue };
            let value =
                self::coordinate(spot, at).map(|value| coarser(coordinate, 0, level, value));
            let bits = value.and_then(|value| u64::try_from(value.saturating_add(1)).ok());
            let shift = BITS * at;
            spot = spot & !(ALL << shift) | bits.unwrap_or(ALL) << shift;
        }
        spot
    }

    /// The place of a spot of this margin: of each coordinate the coarsest dimension first.
    pub(crate) fn place(&self, spot: Spot) -> Place {
        let mut place = Place::new();
        for (at, one) in (0_u32..).zip(&self.coordinates) {
            let value = self::coordinate(spot, at);
            for step in (0..one.width()).rev() {
                let known = one.level.filter(|level| *level <= step).zip(value);
                place.push(known.map(|(level, value)| coarser(one, level, step, value)));
            }
        }
        place
    }
}

/// A value of a level of a coordinate, as it is on a coarser level.
fn coarser(coordinate: &Coordinate, from: usize, to: usize, value: i32) -> i32 {
    let steps = coordinate.chain.iter().take(to).skip(from);
    steps.fold(value, |value, dimension| dimension.to_coarser(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dimension::{FIRMWARES, NOT_SHARED};

    /// The places that a group with these values is part of.
    fn places(nests: &Nests, values: &[i32]) -> Vec<Place> {
        let spot = spot(values.iter().copied()).unwrap();
        let all = margins(values.len(), nests).into_iter();
        all.map(|margin| margin.place(margin.of(spot))).collect()
    }

    #[test]
    fn a_firmware_is_one_of_its_model_and_technology() {
        let nests = [Some(Dimension::Firmware), None, None, None];
        let expected: [Place; 4] = [
            vec![Some(2), Some(131), Some(131 * FIRMWARES + 3)],
            vec![Some(2), Some(131), None],
            vec![Some(2), None, None],
            vec![None, None, None],
        ];
        assert_eq!(places(&nests, &[131 * FIRMWARES + 3]), expected);
        let alone = places(&nests, &[NOT_SHARED]);
        assert_eq!(alone[0], [Some(NOT_SHARED); 3]);
        assert_eq!(places(&nests, &[0])[0], [Some(0); 3]);
    }

    #[test]
    fn each_coordinate_has_its_levels() {
        let nests = [None, Some(Dimension::Date), None, None];
        let found = places(&nests, &[7, 20_778, 4]);
        assert_eq!(found.len(), 2 * 3 * 2);
        let week = (20_778 + 3) / 7;
        assert_eq!(found[0], [Some(7), Some(week), Some(20_778), Some(4)]);
        assert!(found.contains(&vec![Some(7), Some(week), None, None]));
        assert!(found.iter().all(|place| place[1].is_some() || place[2].is_none()));
        // No two margins have the same place.
        let once: std::collections::BTreeSet<&Place> = found.iter().collect();
        assert_eq!(once.len(), found.len());
    }
}
