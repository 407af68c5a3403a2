//! What allowed values carry: one device's day filled with random bits, read back from what is stored.
//!
//! The subject grants everything, tells ten prints and a day, each in a batch of its own so that their
//! order tells something too, and reads its rows back by its right to an export. Header, size, numbers
//! and times of the batches are filled as well; rows keep none of that. The message is drawn evenly,
//! so the bits that came through are log2 of the number of messages, if all of it came back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use imprimatur_consent::Category;
use imprimatur_proto::capacity::{Capacity, PRINTS_A_DAY};
use imprimatur_proto::record::RecordKind;
use imprimatur_proto::rules::{Alternative, FieldRule};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::entropy::{self, NoEntropy};
use serde_json::Value;

use crate::attack::Attack;
use crate::error::AttackError;
use crate::layout;
use crate::report::{Channel, Goodput};
use crate::wire;

/// The pause that stands for a one in the times of arrival.
const PAUSE: Duration = Duration::from_millis(20);

/// Every key that a row of an export may have.
const KEYS: [&str; 6] = ["kind", "table", "date", "commit", "ordinal", "values"];

/// A drawn record: the index of each value that is known, by column, and how many there were to
/// draw from.
struct Drawn {
    values: BTreeMap<String, u64>,
    bytes: Vec<u8>,
    bits: f64,
}

/// Bits that were put beside the values.
#[derive(Default)]
struct Beside {
    sizes: f64,
    gaps: f64,
    drops: f64,
    tags: f64,
    times: f64,
    tag_texts: Vec<String>,
}

/// Sends one device's day, reads it back, counts.
pub(crate) async fn measure(attack: &mut Attack) -> Result<Goodput, AttackError> {
    let today = attack.today;
    let mut subject = attack.granted(&Category::ALL, today).await?;
    let (mut sent, mut beside) = (Vec::new(), Beside::default());
    let kinds = (0..PRINTS_A_DAY).map(|_| RecordKind::Print).chain([RecordKind::Day]);
    for kind in kinds {
        attack.door.resting()?;
        let drawn = draw(kind, today)?;
        subject.skip(number(16)?);
        let mut header = subject.header();
        let tag: [u8; 16] = entropy::bytes()?;
        header.identity_tag = tag.to_vec();
        header.dropped = u32::try_from(number(256)?).unwrap_or_default();
        let header = canonical::encode(&header);
        let batch = match kind {
            RecordKind::Print => wire::batch(&header, std::slice::from_ref(&drawn.bytes), &[]),
            RecordKind::Day => wire::batch(&header, &[], std::slice::from_ref(&drawn.bytes)),
        };
        let size = frame::SIZES.get(usize::try_from(number(3)?).unwrap_or_default());
        let framed = subject.frame_of(batch, size.copied().unwrap_or(frame::BYTES_MAX));
        if number(2)? == 1 {
            tokio::time::sleep(PAUSE).await;
        }
        let answer = attack.door.submit(&framed).await?;
        if !answer.accepted {
            return Err(AttackError::NoBaseline { what: "allowed values", answer: answer.word });
        }
        beside.add(hex::encode(tag));
        sent.push(drawn);
    }
    let text = attack.door.export(&subject.key).await?.unwrap_or_default();
    Ok(count(&sent, &beside, &text))
}

impl Beside {
    fn add(&mut self, tag: String) {
        self.sizes += 3_f64.log2();
        self.gaps += 4.0;
        self.drops += 8.0;
        self.tags += 128.0;
        self.times += 1.0;
        self.tag_texts.push(tag);
    }
}

/// Compares what was sent with the rows of an export.
fn count(sent: &[Drawn], beside: &Beside, text: &str) -> Goodput {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut rows: Vec<Value> = lines.filter(|line| line["kind"] == "record").collect();
    rows.sort_by_key(|row| (row["commit"].as_u64(), row["ordinal"].as_u64()));
    let told = |row: &Value| -> BTreeMap<String, u64> {
        let values = row["values"].as_object().into_iter().flatten();
        values.filter_map(|(name, value)| Some((name.clone(), value.as_u64()?))).collect()
    };
    let came = rows.iter().map(told).collect::<Vec<_>>();
    let whole = came.len() == sent.len()
        && came.iter().zip(sent).all(|(came, drawn)| *came == drawn.values);
    let bits = |keep: &dyn Fn(usize) -> bool| -> f64 {
        let of = sent.iter().enumerate().filter(|(at, _)| keep(*at));
        of.map(|(_, drawn)| drawn.bits).sum()
    };
    let last = sent.len().saturating_sub(1);
    let (prints, day) = (bits(&|at| at < last), bits(&|at| at == last));
    // What has no place in a row cannot be read from it.
    let keys: BTreeSet<&str> = KEYS.into();
    let plain = |row: &Value| {
        let only = row.as_object().is_some_and(|row| row.keys().all(|key| keys.contains(&**key)));
        only && row["date"].as_str().is_some_and(|date| date.len() == "2026-01-01".len())
    };
    let plain = rows.iter().all(plain);
    let tagged = beside.tag_texts.iter().any(|tag| text.contains(tag.as_str()));
    let read = |sent: f64, seen: bool| if seen { sent } else { 0.0 };
    let channel = |case, carrier: &str, sent_bits, read_bits| Channel {
        case,
        carrier: carrier.to_owned(),
        sent_bits,
        read_bits,
    };
    let channels = vec![
        channel(46, "values of ten prints, in order", prints, read(prints, whole)),
        channel(41, "values of the day", day, read(day, whole)),
        channel(42, "sizes of frames", beside.sizes, read(beside.sizes, !plain)),
        channel(42, "counts of dropped batches", beside.drops, read(beside.drops, !plain)),
        channel(43, "gaps in numbers of batches", beside.gaps, read(beside.gaps, !plain)),
        channel(43, "times of arrival", beside.times, read(beside.times, !plain)),
        channel(47, "identity tags", beside.tags, read(beside.tags, tagged || !plain)),
    ];
    let capacity = contract().capacity();
    Goodput {
        measured_bits: channels.iter().map(|channel| channel.read_bits).sum(),
        bound_bits: bound(&capacity),
        declared_bits: capacity.device_day_bits,
        channels,
        whole,
    }
}

/// What rows of one date can tell at most: ten prints in the order of their batches, the day, and how
/// they were cut into batches. Within a batch records are sorted, so b of them in one lose log2(b!);
/// the day stands in any of k batches or in one of its own.
fn bound(capacity: &Capacity) -> f64 {
    let prints = usize::try_from(PRINTS_A_DAY).unwrap_or_default();
    // Ways to cut n prints into k batches, each weighed by the orders that it loses.
    let mut ways = vec![vec![0.0_f64; prints + 1]; prints + 1];
    if let Some(first) = ways.first_mut().and_then(|row| row.first_mut()) {
        *first = 1.0;
    }
    for batches in 1..=prints {
        for count in 1..=prints {
            let mut orders = 1.0;
            let mut sum = 0.0;
            for (taken, step) in (1..=count).zip(1_u32..) {
                orders *= f64::from(step);
                let before = ways.get(batches - 1).and_then(|row| row.get(count - taken));
                sum += before.copied().unwrap_or_default() / orders;
            }
            if let Some(cell) = ways.get_mut(batches).and_then(|row| row.get_mut(count)) {
                *cell = sum;
            }
        }
    }
    let cuts: f64 = ways
        .iter()
        .zip(0_u32..)
        .filter_map(|(row, batches)| Some(row.get(prints)? * f64::from(2 * batches + 1)))
        .sum();
    f64::from(PRINTS_A_DAY) * capacity.print_bits + capacity.day_report_bits + cuts.log2()
}

/// Draws a record of a date evenly from all that the contract allows.
fn draw(kind: RecordKind, date: u32) -> Result<Drawn, NoEntropy> {
    let sections = layout::of_kind(kind);
    let rules: Vec<&FieldRule> = sections.iter().flat_map(|one| one.values.clone()).collect();
    loop {
        let (mut values, mut bits) = (BTreeMap::new(), 0.0);
        let free: Vec<&FieldRule> =
            rules.iter().copied().filter(|rule| rule.only.is_none()).collect();
        for rule in free {
            digits(&[rule], number(u64::from(rule.domain()))?, &mut values);
            bits += f64::from(rule.domain()).log2();
        }
        for [one, other] in Alternative::AXES {
            let of = |only| -> Vec<&FieldRule> {
                rules.iter().copied().filter(|rule| rule.only == Some(only)).collect()
            };
            let (one, other) = (of(one), of(other));
            let (first, second) = (states(&one), states(&other));
            // All unknown is the same of both.
            let all = first + second - 1;
            let drawn = number(all)?;
            if drawn < first {
                digits(&one, drawn, &mut values);
            } else {
                digits(&other, drawn - first + 1, &mut values);
            }
            bits += f64::from(u32::try_from(all).unwrap_or(u32::MAX)).log2();
        }
        if !values.is_empty() {
            let bytes = encoded(&sections, date, &values);
            return Ok(Drawn { values, bytes, bits });
        }
    }
}

fn states(rules: &[&FieldRule]) -> u64 {
    rules.iter().map(|rule| u64::from(rule.domain())).product()
}

/// Writes a number as one digit for each value; 0 is unknown and absent.
fn digits(rules: &[&FieldRule], mut rest: u64, values: &mut BTreeMap<String, u64>) {
    for rule in rules {
        let domain = u64::from(rule.domain()).max(1);
        if !rest.is_multiple_of(domain) {
            values.insert(rule.column.clone(), rest % domain);
        }
        rest /= domain;
    }
}

fn encoded(sections: &[layout::Section], date: u32, values: &BTreeMap<String, u64>) -> Vec<u8> {
    let inside = sections.iter().map(|section| {
        let told = section.values.iter().filter_map(|rule| {
            let value = values.get(&rule.column)?;
            Some(wire::number(u64::from(rule.number), *value))
        });
        (section.number, told.flatten().collect::<Vec<u8>>())
    });
    let told: Vec<(u64, Vec<u8>)> = inside.filter(|(_, inside)| !inside.is_empty()).collect();
    layout::record(date, &told)
}

/// A random number below `states`; of 64 bits, so that none is likelier by more than 2^-40.
fn number(states: u64) -> Result<u64, NoEntropy> {
    let drawn = u64::from_le_bytes(entropy::bytes()?);
    Ok(drawn % states.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_of_the_contract_and_comes_back_from_its_bytes() {
        for kind in RecordKind::ALL {
            for _ in 0..200 {
                let drawn = draw(kind, 20_778).unwrap();
                let record = contract().record(kind, &drawn.bytes).unwrap();
                let read: BTreeMap<String, u64> = record
                    .sections
                    .iter()
                    .flat_map(|section| &section.values)
                    .map(|&(field, value)| (contract().rule(field).column.clone(), value.into()))
                    .collect();
                assert_eq!(read, drawn.values);
            }
        }
    }

    #[test]
    fn a_record_carries_what_the_contract_declares_of_it() {
        let capacity = contract().capacity();
        let print = draw(RecordKind::Print, 20_778).unwrap().bits;
        let day = draw(RecordKind::Day, 20_778).unwrap().bits;
        assert!(print <= capacity.print_bits && print > capacity.print_bits - 0.01, "{print}");
        assert!((day - capacity.day_report_bits).abs() < 1e-9, "{day}");
    }

    #[test]
    fn whatever_way_batches_are_cut_rows_tell_no_more_than_is_declared() {
        let capacity = contract().capacity();
        let bound = bound(&capacity);
        assert!(bound > 10.0 * capacity.print_bits + capacity.day_report_bits);
        assert!(bound < capacity.device_day_bits, "{bound} {}", capacity.device_day_bits);
    }

    #[test]
    fn a_row_that_keeps_a_time_or_lacks_a_value_is_seen() {
        let drawn = || Drawn {
            values: [("status_outcome".to_owned(), 2)].into(),
            bytes: Vec::new(),
            bits: 2.0,
        };
        let row = |date: &str, more: &str| {
            format!(
                "{{\"kind\":\"record\",\"table\":\"print\",\"date\":\"{date}\",\"commit\":1,\
                 \"ordinal\":0,\"values\":{{\"status_outcome\":2}}{more}}}\n"
            )
        };
        let mut beside = Beside::default();
        beside.add("00ff".repeat(8));
        let of = |text: &str| count(&[drawn()], &beside, text);
        let good = of(&row("2026-11-22", ""));
        assert!(good.whole && good.holds());
        assert_eq!(good.channels.iter().filter(|one| one.read_bits > 0.0).count(), 1);
        let timed = of(&row("2026-11-22T10:00:01", ""));
        assert!(timed.channels.iter().any(|one| one.case == 43 && one.read_bits > 0.0));
        let more = of(&row("2026-11-22", ",\"recorded\":1"));
        assert!(more.channels.iter().any(|one| one.case == 43 && one.read_bits > 0.0));
        let tagged = of(&row("2026-11-22", &format!(",\"kind2\":\"{}\"", "00ff".repeat(8))));
        assert!(tagged.channels.iter().any(|one| one.case == 47 && one.read_bits > 0.0));
        assert!(!of("").whole);
    }
}
