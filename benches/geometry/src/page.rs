//! The figures as a table for people.

use std::fmt::Write as _;

use crate::positions::Rebuilt;
use crate::{Plan, Row};

/// A Markdown table, and the plan it belongs to.
pub fn table(plan: Plan, rows: &[Row]) -> String {
    let mut text = format!(
        "{} models, {} prints, {} training prints of each model, seed {}.\n\n\
         | what is held of a print | unique | set < 50 | median set | entropy | model named (99 % interval) | luck left out | bins alone | above them? |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |\n",
        plan.models, plan.probes, plan.training, plan.seed
    );
    for row in rows {
        let named = &row.named;
        let written = write!(
            text,
            "| {} | {} | {} | {} | {:.1} bits | {} ({} to {}) | {} |",
            row.observer,
            percent(row.sets.unique),
            percent(row.sets.below_fifty),
            row.sets.median,
            row.sets.entropy,
            percent(named.share),
            percent(named.low),
            percent(named.high),
            percent(row.expected),
        )
        .and_then(|()| match row.baseline.zip(row.chance) {
            Some((baseline, chance)) => {
                let above = if named.is_above(baseline) { "yes" } else { "no" };
                let bound =
                    if chance < 0.001 { "< 0.001".to_owned() } else { format!("= {chance:.3}") };
                writeln!(text, " {} | {above}, p {bound} |", percent(baseline))
            }
            None => writeln!(text, " | |"),
        });
        // Writing to a text cannot fail.
        debug_assert!(written.is_ok());
    }
    text
}

/// What positions give back, as a Markdown table.
pub fn rebuilt(rows: &[Rebuilt]) -> String {
    let mut text = String::from(
        "| a position each | samples | overlap of the footprint | longer side off by | height off by |\n\
         | --- | ---: | ---: | ---: | ---: |\n",
    );
    for row in rows {
        let written = writeln!(
            text,
            "| {:.0} s | {:.0} | {:.2} | {:.1} mm | {:.1} mm |",
            row.interval, row.samples, row.overlap, row.side, row.height
        );
        // Writing to a text cannot fail.
        debug_assert!(written.is_ok());
    }
    text
}

/// A share in percent, with as many digits as it needs.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent {
        none if none <= 0.0 => "0 %".to_owned(),
        small if small < 0.1 => format!("{small:.3} %"),
        small if small < 10.0 => format!("{small:.2} %"),
        large => format!("{large:.1} %"),
    }
}
