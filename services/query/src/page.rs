//! The catalogue of metrics as a page, from `metrics.toml` and the contract alone.

use imprimatur_proto::contract;
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::Correlation;

use crate::asked::Asked;
use crate::dimension::{Dimension, names};
use crate::metric::{Counted, Measure, Metric};
use crate::request::DIMENSIONS_MOST;

/// The page, in Markdown: every metric, and by what it may be grouped and filtered.
pub fn metrics_page(metrics: &[Metric], questions: &[Asked]) -> String {
    let mut page = format!(
        "{HEAD}\nA question takes at most {DIMENSIONS_MOST} dimensions, those of filters included. {RULES}\n"
    );
    for table in RecordKind::ALL {
        let own: Vec<&Metric> = metrics.iter().filter(|metric| metric.table == table).collect();
        section(&mut page, table, &own);
    }
    page.push_str(TWENTY);
    for asked in questions {
        let (number, question, command) = (asked.number, &asked.question, asked.command());
        say(&mut page, &format!("| {number} | {question} | `{command}` |"));
    }
    page.push_str(COMPARE);
    page
}

fn say(page: &mut String, line: &str) {
    page.push_str(line);
    page.push('\n');
}

fn section(page: &mut String, table: RecordKind, metrics: &[&Metric]) {
    let (of, bound) = match table {
        RecordKind::Print => ("a print", "a principal's earliest prints of a month"),
        RecordKind::Day => ("a printer's day", "a principal's earliest printer-days of a month"),
    };
    let mut say = |line: String| say(page, &line);
    say(format!("\n## Of {of}\n"));
    say(format!("The weight bound is how many of {bound} count.\n"));
    say("| metric | question | measure | unit | estimand | weight bound | dimensions |".to_owned());
    say("| --- | --- | --- | --- | --- | ---: | --- |".to_owned());
    for metric in metrics {
        say(format!(
            "| `{}` | {} | {} | {} | {} | {} | {} |",
            metric.name,
            metric.question,
            measure(metric),
            metric.unit,
            metric.estimand,
            metric.rows_per_principal_and_epoch,
            table.table(),
        ));
    }
    let dimensions = metrics.first().map(|metric| metric.dimensions.as_slice()).unwrap_or_default();
    say(format!("\nDimensions `{}`: {}.", table.table(), names(dimensions)));
    let correlated: Vec<Dimension> =
        dimensions.iter().copied().filter(|one| is_correlated(*one)).collect();
    say(format!("Correlated with geometry, and held to the same rules: {}.", names(&correlated)));
}

fn is_correlated(dimension: Dimension) -> bool {
    let rule = dimension.field().map(|field| contract().rule(field));
    rule.is_some_and(|rule| rule.correlation == Some(Correlation::Geometry))
}

fn measure(metric: &Metric) -> String {
    let field = &metric.field;
    let of = |classes: &[u32]| {
        let known = contract().rule(metric.field_id).domain().saturating_sub(1);
        if classes.len() >= usize::try_from(known).unwrap_or(usize::MAX) && !classes.contains(&0) {
            return "any".to_owned();
        }
        let names = classes.iter().map(|class| contract().meaning(metric.field_id, *class));
        names.collect::<Vec<_>>().join(", ")
    };
    let measured = match &metric.measure {
        Measure::Count { of: Counted::Rows } => format!("count of rows with `{field}`"),
        Measure::Count { of: Counted::Printers } => format!("count of printers with `{field}`"),
        Measure::Histogram => format!("histogram of `{field}`"),
        Measure::Mean { .. } => format!("mean of `{field}`"),
        Measure::Rate { numerator, denominator } => {
            let all = if denominator.contains(&0) { "all".to_owned() } else { of(denominator) };
            format!("rate of `{field}`: {} of {all}", of(numerator))
        }
    };
    let only = metric.only.iter().map(|(dimension, values)| {
        let values: Vec<String> = values.iter().map(|value| dimension.label(*value)).collect();
        format!("; only `{dimension}` {}", values.join(" or "))
    });
    only.fold(measured, |all, one| all + &one)
}

const HEAD: &str = "# Catalogue of metrics

All that can be asked: `imprimatur metrics --page` writes this page, and a test holds it true. A question is
`imprimatur query METRIC --by DIM,.. --where DIM=VALUE,.. --since DATE`. What protects the people behind an answer is
the same for each metric and dimension, see [answers.md](answers.md); each value of the contract is in
[dictionary.md](dictionary.md). No metric estimates what was not told: rows without the section of the field are left out;
who does not share a dimension's section is the group `not_shared` of it, so that the groups of a question are all of
its total; a print without a day's row is `unknown` in the day's dimensions. A filter selects groups of the table
that has its dimension, too, and takes several values only of a dimension that is grouped by; `--since` takes the
first day of a month.
";

const RULES: &str = "The bound is the weight of one principal, person or organisation. Telling a failure rate of 4 % from one of
6 % takes some 1,900 independent prints a group: groups that may be told are often too small for it, and the interval
says so.";

const TWENTY: &str = "
## Twenty questions of a quality engineer

Each is asked in the tests of `imprimatur-query`: of a small lake with an effect put in and, but for the seventh, of one without.

| | question | asked as |
| ---: | --- | --- |
";

const COMPARE: &str = "
Where exactly two groups of one dimension are told, as with `--where firmware=12.3,firmware=12.4`, the answer holds the second
less the first with a 95 % interval. It is made of what is told of the two, after threshold, covers and rounding.

There is no metric of: the policy under which a row was told; coverage of consent.
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metrics, questions};

    #[test]
    fn the_page_in_the_documents_is_what_the_metrics_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics-catalogue.md");
        let kept = std::fs::read_to_string(path).unwrap();
        let metrics = metrics().unwrap();
        let page = metrics_page(&metrics, &questions(&metrics).unwrap());
        assert!(kept == page, "run `imprimatur metrics --page > docs/metrics-catalogue.md`");
    }
}
