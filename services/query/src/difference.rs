//! How two groups of one dimension differ, from what is told of them: rounded values and intervals.
//!
//! Nothing exact comes in, so nothing goes out that could not be computed from the answer. The interval is
//! the square-and-add one (Newcombe 1998, method 10; Zou and Donner 2008): each end lies as far from the
//! difference as the two ends that lead there lie from their values, added as squares. It supposes
//! groups that do not depend on each other. The same principals before and after resemble
//! themselves, for which the interval is rather too wide; and intervals that were rounded outwards
//! make it no narrower.

use crate::answer::{Cell, Difference, Value};
use crate::dimension::{Dimension, NOT_SHARED_LABEL};

/// The second told group less the first; `None` unless the question has one dimension, two groups
/// are told beside those who do not share it, and both have a mean or a share with an interval.
pub(crate) fn of(by: &[Dimension], cells: &[Cell]) -> Option<Difference> {
    let [dimension] = by else { return None };
    let label = |cell: &Cell| cell.dimensions.get(dimension).cloned();
    let is_shared = |cell: &&Cell| label(cell).is_none_or(|label| label != NOT_SHARED_LABEL);
    let shared: Vec<&Cell> = cells.iter().filter(is_shared).collect();
    let [from, to] = shared.as_slice() else { return None };
    let (a, b) = (told(&from.value)?, told(&to.value)?);
    let difference = b.value - a.value;
    Some(Difference {
        from: label(from)?,
        to: label(to)?,
        difference,
        low: difference - (b.value - b.low).hypot(a.high - a.value),
        high: difference + (b.high - b.value).hypot(a.value - a.low),
    })
}

struct Told {
    value: f64,
    low: f64,
    high: f64,
}

fn told(value: &Value) -> Option<Told> {
    match *value {
        Value::Mean { mean: value, low: Some(low), high: Some(high), .. }
        | Value::Rate { rate: value, low, high } => Some(Told { value, low, high }),
        Value::Mean { .. } | Value::Count { .. } | Value::Histogram { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(model: &str, rate: f64, low: f64, high: f64) -> Cell {
        let dimensions = [(Dimension::Model, model.to_owned())].into_iter().collect();
        Cell { dimensions, principals: 50, rows: 100, value: Value::Rate { rate, low, high } }
    }

    #[test]
    fn the_interval_is_as_in_the_paper() {
        // Newcombe 1998, table II, (a): 56 of 70 less 48 of 80, by Wilson's intervals.
        let cells = [rate("1", 0.6, 0.4904, 0.7004), rate("2", 0.8, 0.6918, 0.8770)];
        let found = of(&[Dimension::Model], &cells).unwrap();
        assert_eq!((found.from.as_str(), found.to.as_str()), ("1", "2"));
        assert!((found.difference - 0.2).abs() < 1e-9);
        assert!(
            (found.low - 0.0524).abs() < 5e-4 && (found.high - 0.3339).abs() < 5e-4,
            "{found:?}"
        );
    }

    #[test]
    fn only_two_told_groups_of_one_dimension_are_compared() {
        let all = ["1", "2", "3"].map(|model| rate(model, 0.1, 0.05, 0.2));
        assert!(of(&[Dimension::Model], &all[..2]).is_some());
        assert!(of(&[Dimension::Model], &all).is_none());
        assert!(of(&[Dimension::Model], &all[..1]).is_none());
        assert!(of(&[Dimension::Model, Dimension::Week], &all[..2]).is_none());
        let count = |cell: &Cell| Cell { value: Value::Count { count: 5 }, ..cell.clone() };
        assert!(of(&[Dimension::Model], &all[..2].iter().map(count).collect::<Vec<_>>()).is_none());
    }
}
