//! Quarters of a told histogram: which answers have them, and that they are made of told bins alone.

use super::*;

const DURATION: &str = "print_time_completed_duration";

async fn durations(fleet: &mut Fleet, metric: &str) -> Answer {
    fleet.prints(40, "2026-11-21", &[DONE, (DURATION, 4)]);
    fleet.prints(30, "2026-11-21", &[DONE, (DURATION, 5)]);
    fleet.prints(25, "2026-11-21", &[DONE, (DURATION, 6)]);
    fleet.prints(8, "2026-11-21", &[DONE, (DURATION, 9)]);
    fleet.ask(metric, "", "").await.unwrap()
}

#[tokio::test]
async fn a_histogram_of_a_measured_field_tells_the_quarters_of_what_is_told() {
    let answer = durations(&mut Fleet::new(), "print_duration").await;
    let Value::Histogram { bins, quantiles, .. } = &answer.cells[0].value else { panic!() };
    // 40 may be 30 to 49 rows and 30 may be 25 to 34: the middle is in either bin.
    let named: Vec<(u32, u32)> =
        quantiles.iter().map(|one| (one.first_bin, one.last_bin)).collect();
    assert_eq!(named, [(4, 4), (4, 5), (5, 5), (5, 5)]);
    let middle = &quantiles[1];
    assert_eq!((middle.low, middle.high), (bins[3].low, bins[4].high));
    let text = answer.to_string();
    let (fourth, fifth) = (&bins[3].meaning, &bins[4].meaning);
    let line = format!("Of the rows told: 25 % in {fourth}; 50 % in {fourth} .. {fifth}; 75 % in");
    assert!(text.contains(&line), "{text}");
    let csv = String::from_utf8(answer.to_csv().unwrap()).unwrap();
    assert!(csv.starts_with(
        "principals,rows,bin,low,high,bin_rows,\
         p25_low,p25_high,p50_low,p50_high,p75_low,p75_high,p90_low,p90_high\n"
    ));
}

#[tokio::test]
async fn classes_have_no_order_and_no_quarters() {
    let answer = durations(&mut Fleet::new(), "outcome").await;
    let Value::Histogram { quantiles, .. } = &answer.cells[0].value else { panic!() };
    assert!(quantiles.is_empty(), "{quantiles:?}");
    let (text, csv) = (answer.to_string(), String::from_utf8(answer.to_csv().unwrap()).unwrap());
    assert!(!text.contains("25 %") && !csv.contains("p25"), "{text}{csv}");
}

/// Rows that change no told bin change no quarter.
#[tokio::test]
async fn quarters_tell_nothing_that_the_bins_do_not() {
    let mut fleet = Fleet::new();
    let before = durations(&mut fleet, "print_duration").await;
    fleet.print(40, "2026-11-21", &[DONE, (DURATION, 4)]);
    fleet.print(40, "2026-11-21", &[DONE, (DURATION, 5)]);
    let after = fleet.ask("print_duration", "", "").await.unwrap();
    assert_eq!(before.cells, after.cells);
}
