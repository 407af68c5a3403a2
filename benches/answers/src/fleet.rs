//! Made-up printers and their owners: who owns how many, how much each prints, what each shares.

use imprimatur_consent::{Category, Pseudonym};
use sha2::{Digest as _, Sha256};

use crate::draw::Draw;

/// Rows of a printer's day, mean: its day, and prints as [`busy`] draws them.
const ROWS_A_DAY: f64 = 4.44;

/// Printers of a farm, and one farm in so many printers.
const FARM: u32 = 50;
const FARM_IN: u32 = 12_500;

/// Of a hundred owners so many are enrolled.
const ENROLLED: u32 = 97;

/// One printer in so many is left out of something.
const EXCLUDED_IN: u32 = 125;

/// Models from 1; from [`FIRST_LASER`] on they have a laser.
const MODELS: u32 = 40;
const FIRST_LASER: u32 = 24;

/// Whose number a pseudonym is of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Of {
    /// A printer.
    Subject,
    /// An owner.
    Principal,
}

/// One printer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    pub(crate) owner: u32,
    /// Of each of ten prints a day so many of 65536 happen.
    pub(crate) busy: u64,
    pub(crate) model: u32,
    pub(crate) firmware: u32,
    /// The day, from 0, on which it gets the next firmware; most get none.
    pub(crate) update_on: u32,
    pub(crate) source: u32,
    pub(crate) nozzle: u32,
    pub(crate) age: u32,
    pub(crate) brand: u32,
    pub(crate) slicer: u32,
    shares: u16,
}

/// All printers.
#[derive(Debug)]
pub(crate) struct Fleet {
    pub(crate) printers: Vec<Printer>,
    pub(crate) owners: u32,
    seed: u64,
}

impl Fleet {
    /// So many printers that in so many days they make about so many rows.
    pub(crate) fn new(seed: u64, rows: u64, days: u32) -> Self {
        let a_day = rows / u64::from(days.max(1));
        let count =
            u32::try_from(a_day).map_or(u32::MAX, |rows| whole(f64::from(rows) / ROWS_A_DAY));
        let count = count.max(1);
        let owners = (count / 5 * 4).max(1);
        let farms = count / FARM_IN;
        let mut draw = Draw::of(&[seed, 1]);
        let owner_of = |at: u32, draw: &mut Draw| {
            if at < farms * FARM {
                return at / FARM;
            }
            // Each owner has one; what is left goes to some more often than to others.
            let single = farms + at - farms * FARM;
            if single < owners { single } else { few_of(draw, owners - farms) + farms }
        };
        let printers = (0..count).map(|at| {
            let owner = owner_of(at, &mut draw);
            Printer::drawn(owner, at < farms * FARM, &mut draw)
        });
        Self { printers: printers.collect(), owners, seed }
    }

    /// What the lake holds of a number in a month: as long and as even as the real one.
    pub(crate) fn pseudonym(&self, epoch: u32, of: Of, number: u32) -> Pseudonym {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(epoch.to_be_bytes());
        hash.update([match of {
            Of::Subject => 1,
            Of::Principal => 2,
        }]);
        hash.update(number.to_be_bytes());
        let mut bytes = [0; 16];
        for (to, from) in bytes.iter_mut().zip(hash.finalize()) {
            *to = from;
        }
        Pseudonym(bytes)
    }

    /// Whether an owner counts toward k.
    pub(crate) fn is_enrolled(&self, owner: u32) -> bool {
        Draw::of(&[self.seed, 2, u64::from(owner)]).below(100) < ENROLLED
    }

    /// What of a printer is left out, if anything: half of those have taken back all, the others a category or two.
    pub(crate) fn excluded(&self, printer: u32) -> Vec<Category> {
        let mut draw = Draw::of(&[self.seed, 3, u64::from(printer)]);
        if draw.below(EXCLUDED_IN) > 0 {
            return Vec::new();
        }
        let all = draw.happens(500);
        let some = [draw.below(10) + 1, draw.below(10) + 1];
        let numbered = Category::ALL.into_iter().zip(1..=10);
        let left_out = numbered.filter(|(_, number)| all || some.contains(number));
        left_out.map(|(category, _)| category).collect()
    }
}

impl Printer {
    fn drawn(owner: u32, farm: bool, draw: &mut Draw) -> Self {
        let busy = if farm { 52_000 } else { busy(draw) };
        let model = few_of(draw, MODELS) + 1;
        let update_on = if draw.happens(300) { draw.below(90) } else { u32::MAX };
        Self {
            owner,
            busy,
            model,
            firmware: draw.index(&[5, 15, 40, 25, 10, 5]),
            update_on,
            source: draw.index(&[40, 25, 15, 3, 5, 7, 2, 1, 2]),
            nozzle: draw.index(&[8, 75, 10, 3, 4]),
            age: draw.index(&[10, 20, 25, 20, 15, 7, 3]),
            brand: draw.index(&[30, 45, 25]),
            slicer: few_of(draw, 31) + 1,
            shares: shares(draw),
        }
    }

    /// Whether its light source does the work.
    pub(crate) fn has_laser(&self) -> bool {
        self.model >= FIRST_LASER
    }

    /// Whether its owner shares a category.
    pub(crate) fn shares(&self, category: Category) -> bool {
        u32::try_from(category.number()).is_ok_and(|number| self.shares >> number & 1 == 1)
    }
}

/// Below `end`, the first much more often than the last.
fn few_of(draw: &mut Draw, end: u32) -> u32 {
    let least = draw.below(end).min(draw.below(end));
    least.min(draw.below(end))
}

/// Many print seldom, few often: a square of an even draw; 3.44 prints a day in the mean.
fn busy(draw: &mut Draw) -> u64 {
    let even = u64::from(draw.below(65_536));
    ((even * even) >> 16) * 62 / 64 + 1_400
}

/// Categories as bits by their number: most share all, one in five leaves some out.
fn shares(draw: &mut Draw) -> u16 {
    if draw.happens(800) {
        return u16::MAX;
    }
    (0..16).filter(|_| draw.happens(700)).fold(0, |bits, at| bits | 1_u16 << at)
}

/// A number of printers.
fn whole(number: f64) -> u32 {
    // The way from a float to a whole number that fails instead of wrapping.
    format!("{number:.0}").parse().unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn owners_have_one_printer_or_some_and_a_farm_has_fifty() {
        let fleet = Fleet::new(1, 6_000_000, 90);
        assert!((14_900..15_100).contains(&fleet.printers.len()), "{}", fleet.printers.len());
        let mut owned: BTreeMap<u32, u32> = BTreeMap::new();
        for printer in &fleet.printers {
            *owned.entry(printer.owner).or_default() += 1;
        }
        assert_eq!(owned.len(), usize::try_from(fleet.owners).unwrap());
        assert!(owned.values().filter(|count| **count >= FARM).count() == 1);
        assert!(owned.values().filter(|count| **count == 1).count() * 10 > owned.len() * 7);
        let busy: u64 = fleet.printers.iter().map(|printer| printer.busy).sum();
        let mean = busy * 1_000 / 65_536 / u64::try_from(fleet.printers.len()).unwrap();
        assert!((335..355).contains(&mean), "{mean}");
    }

    #[test]
    fn pseudonyms_change_with_the_month_and_the_number() {
        let fleet = Fleet::new(1, 10_000, 90);
        let one = fleet.pseudonym(202_608, Of::Subject, 7);
        assert_eq!(one, fleet.pseudonym(202_608, Of::Subject, 7));
        assert_ne!(one, fleet.pseudonym(202_609, Of::Subject, 7));
        assert_ne!(one, fleet.pseudonym(202_608, Of::Principal, 7));
        assert_ne!(one, Fleet::new(2, 10_000, 90).pseudonym(202_608, Of::Subject, 7));
    }
}
