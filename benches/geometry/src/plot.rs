//! The figures as a picture: one bar for each observer, on a logarithmic scale, for light and dark pages.

use std::fmt::Write as _;

use crate::Row;
use crate::number::real;
use crate::page::percent;

/// Pixels: left of the bars, width of the scale, height of a row, above the first.
const LEFT: f64 = 310.0;
const SCALE: f64 = 480.0;
const ROW: f64 = 30.0;
const TOP: f64 = 62.0;
/// The scale begins at one in a hundred thousand.
const DECADES: u32 = 5;

/// An SVG picture.
pub fn svg(title: &str, rows: &[Row]) -> String {
    let (width, height) = (LEFT + SCALE + 80.0, TOP + ROW * real(rows.len()) + 40.0);
    let mut parts = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" role=\"img\" aria-label=\"{title}\">\n\
         <style>text{{fill:#222}}.grid{{stroke:#bbb}}.line{{stroke:#222}}.ours{{fill:#2a78d6}}.other{{fill:#c4622d}}\
         @media(prefers-color-scheme:dark){{text{{fill:#ddd}}.grid{{stroke:#555}}.line{{stroke:#ddd}}\
         .ours{{fill:#5a9bea}}.other{{fill:#e08a56}}}}</style>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\">{title}</text>\n\
         <text x=\"12\" y=\"42\">Line: 99 % interval. Dashed: what Imprimatur's bins of time and amount \
         give alone.</text>\n"
    );
    let bottom = TOP + ROW * real(rows.len());
    let mut lines = Vec::new();
    for decade in 0..=DECADES {
        let share = 0.1_f64.powi(i32::try_from(decade).unwrap_or(0));
        let at = x(share);
        lines.push(format!(
            "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
             <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            bottom + 20.0,
            label(share)
        ));
    }
    for (place, row) in rows.iter().enumerate() {
        lines.push(bar(TOP + ROW * real(place), row));
    }
    for line in lines {
        let written = writeln!(parts, "{line}");
        // Writing to a text cannot fail.
        debug_assert!(written.is_ok());
    }
    parts + "</svg>\n"
}

fn bar(top: f64, row: &Row) -> String {
    let (named, middle) = (&row.named, top + ROW / 2.0);
    let (from, low, high) = (x(0.0), x(named.low), x(named.high));
    let dashed = row.baseline.map_or(String::new(), |baseline| {
        format!(
            "<line class=\"line\" stroke-dasharray=\"3 2\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{1:.1}\" y2=\"{2:.1}\"/>",
            x(baseline),
            top + 2.0,
            top + ROW - 2.0
        )
    });
    format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <rect class=\"{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>\
         <line class=\"line\" x1=\"{low:.1}\" x2=\"{high:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>{dashed}\
         <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
        LEFT - 8.0,
        middle + 4.0,
        row.observer,
        if row.ours { "ours" } else { "other" },
        top + 6.0,
        x(named.share) - from,
        ROW - 12.0,
        high + 6.0,
        middle + 4.0,
        percent(named.share),
    )
}

/// Pixels of a share, on the scale.
fn x(share: f64) -> f64 {
    let decades = f64::from(DECADES);
    let place = (share.log10() + decades).clamp(0.0, decades) / decades;
    LEFT + SCALE * place
}

/// A power of ten in percent.
fn label(share: f64) -> String {
    format!("{} %", format!("{:.3}", share * 100.0).trim_end_matches('0').trim_end_matches('.'))
}
