//! The account under crashes, changed bytes, jumping clocks and any order of releases.

use proptest::prelude::*;

use super::*;

fn limits() -> Limits {
    let [release, month, year] = [100_000, 300_000, 700_000].map(MicroEpsilon);
    Limits::new(50, release, month, year).unwrap()
}

fn on(number: u8) -> On {
    On::Release(Digest::of(&[number]))
}

/// Appends a line without asking whether it fits.
fn append(bytes: &mut Vec<u8>, days: u64, spent: u64, what: On) {
    let account = Account::read(bytes).unwrap();
    bytes.extend(account.next(UnixSeconds(days * DAY), MicroEpsilon(spent), what));
}

fn three_lines() -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, days) in [(1, 20_000), (2, 20_010), (3, 20_020)] {
        append(&mut bytes, days, 100_000, on(number));
    }
    bytes
}

/// Appends what is to be appended first, as a release does.
fn mended(bytes: &mut Vec<u8>, now: UnixSeconds) -> Account {
    loop {
        let account = Account::read(bytes).unwrap();
        match account.mend(now) {
            Some(more) => bytes.extend(more),
            None => return account,
        }
    }
}

#[test]
fn a_line_is_as_the_header_says() {
    let mut bytes = Vec::new();
    append(&mut bytes, 20_000, 100_000, on(1));
    let list = format!(r#"[1,1728000000,100000,{{"release":"{}"}}]"#, Digest::of(&[1]));
    let text = [b"imprimatur budget v1\0", [0; 32].as_slice(), list.as_bytes()].concat();
    let expected = format!(
        "{{\"number\":1,\"time\":1728000000,\"spent\":100000,\"on\":{{\"release\":\"{}\"}},\"sha256\":\"{}\"}}\n",
        Digest::of(&[1]),
        Digest::of(&text)
    );
    assert_eq!(String::from_utf8(bytes).unwrap(), expected);
}

#[test]
fn a_full_period_says_when_there_is_room_again() {
    let account = Account::read(&three_lines()).unwrap();
    let at = |days: u64| UnixSeconds(days * DAY);
    let fits = |days, wanted| account.fits(limits(), at(days), MicroEpsilon(wanted));
    let refused = fits(20_020, 1_000).unwrap_err();
    assert_eq!((refused.days, refused.free_again), (30, at(20_030)));
    assert_eq!(
        refused.to_string(),
        "the privacy budget is spent: 0.3 of 0.3 in 30 days, and the release costs 0.001; enough is \
         free again on 2024-11-03"
    );
    assert_eq!(fits(20_020, 100_001).unwrap_err().free_again, at(20_040));
    assert!(account.fits(limits(), UnixSeconds(20_030 * DAY - 1), MicroEpsilon(1)).is_err());
    assert!(fits(20_030, 100_000).is_ok() && fits(20_030, 100_001).is_err());
    // The clock set back frees nothing, and what is written then is not earlier.
    assert!(fits(3, 1_000).is_err());
    let mut bytes = three_lines();
    append(&mut bytes, 5, 1_000, on(4));
    assert_eq!(Account::read(&bytes).unwrap().lines[3].time, at(20_020));
}

#[test]
fn a_full_year_is_told_from_a_full_month() {
    let mut bytes = Vec::new();
    for number in 0..7 {
        append(&mut bytes, 20_000 + 31 * u64::from(number), 100_000, on(number));
    }
    let account = Account::read(&bytes).unwrap();
    let now = UnixSeconds((20_000 + 31 * 7) * DAY);
    let refused = account.fits(limits(), now, MicroEpsilon(50_000)).unwrap_err();
    assert_eq!((refused.days, refused.free_again), (365, UnixSeconds(20_365 * DAY)));
    let budget = account.budget(limits(), now);
    assert_eq!((budget.month_spent.0, budget.year_spent.0), (0, 700_000));
}

#[test]
fn a_line_that_is_cut_anywhere_counts_as_spent_and_is_named() {
    let whole = three_lines();
    let confirmed = whole.len() - whole.len() / 3;
    let now = UnixSeconds(20_025 * DAY);
    for length in confirmed + 1..whole.len() {
        let mut bytes = whole[..length].to_vec();
        let account = Account::read(&bytes).unwrap();
        assert_eq!(account.lines.len(), 2);
        assert_eq!(account.budget(limits(), now).month_spent.0, 300_000, "cut at {length}");
        let tail = account.tail.unwrap();
        let account = mended(&mut bytes, now);
        assert_eq!((account.lines.len(), account.tail), (3, None));
        assert!(account.fits(limits(), now, MicroEpsilon(1)).is_err());
        match account.lines[2].on {
            // Only the line feed was missing.
            On::Release(id) => assert!(length + 1 == whole.len() && on(3) == On::Release(id)),
            On::Torn { bytes, .. } => assert_eq!(bytes, tail.bytes + 1),
        }
        // A crash while that is written: twice torn, twice spent, still readable.
        let mut again = whole[..length].to_vec();
        again.extend(b"\n{\"number\":3,\"ti");
        if length + 1 < whole.len() {
            let account = mended(&mut again, now);
            assert_eq!(account.budget(limits(), now).month_spent.0, 400_000);
        }
    }
}

#[test]
fn no_changed_byte_gives_anything_back() {
    let whole = three_lines();
    let now = UnixSeconds(20_020 * DAY);
    for place in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut bytes = whole.clone();
            bytes[place] ^= flip;
            if let Ok(account) = Account::read(&bytes) {
                let spent = account.budget(limits(), now).year_spent;
                assert!(spent.0 >= 300_000, "byte {place} ^ {flip}: {spent} is left");
            }
        }
    }
    // A line that is dropped, moved or written twice is damage.
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    for (order, damaged) in [(&[0, 2][..], 2), (&[1, 0], 1), (&[0, 0, 1], 2), (&[1, 2], 1)] {
        let bytes: Vec<u8> = order.iter().flat_map(|at| lines[*at].to_vec()).collect();
        assert_eq!(Account::read(&bytes), Err(DamagedLine(damaged)), "{order:?}");
    }
}

#[test]
fn a_line_that_names_other_torn_bytes_or_none_is_damage() {
    let now = UnixSeconds(20_020 * DAY);
    let mut bytes = three_lines();
    let whole = bytes.len();
    bytes.truncate(whole - 50);
    mended(&mut bytes, now);
    assert_eq!(Account::read(&bytes).unwrap().lines.len(), 3);
    let mut changed = bytes.clone();
    changed[whole - 60] ^= 1;
    assert_eq!(Account::read(&changed), Err(DamagedLine(4)));
    let mut nothing = three_lines();
    append(&mut nothing, 20_020, 1_000, On::Torn { bytes: 0, sha256: Digest::of(b"") });
    assert_eq!(Account::read(&nothing), Err(DamagedLine(4)));
}

/// What happens to an account.
#[derive(Clone, Debug)]
enum Op {
    /// Seconds go by.
    Wait(u64),
    /// The clock is set back by so many.
    Back(u64),
    /// A release asks for so much; a crash may leave so many bytes of its line.
    Release { wanted: u64, crash: Option<usize> },
    /// A crash while a tail is mended leaves so many bytes.
    Mend(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => (0..40 * DAY).prop_map(Op::Wait),
        1 => (0..400 * DAY).prop_map(Op::Back),
        6 => (1_000_u64..=100_000, prop::option::weighted(0.2, 0_usize..210))
            .prop_map(|(wanted, crash)| Op::Release { wanted, crash }),
        1 => (0_usize..210).prop_map(Op::Mend),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_period_ever_holds_more_than_its_limit(ops in prop::collection::vec(op(), 1..60)) {
        let mut bytes = Vec::new();
        let mut now = UnixSeconds(20_000 * DAY);
        // What a release may have told of: its time, as it counts, and its price.
        let mut told: Vec<(UnixSeconds, u64)> = Vec::new();
        for op in ops {
            match op {
                Op::Wait(seconds) => now.0 += seconds,
                Op::Back(seconds) => now.0 -= seconds,
                Op::Mend(kept) => {
                    if let Some(more) = Account::read(&bytes).unwrap().mend(now) {
                        bytes.extend(more.into_iter().take(kept));
                    }
                }
                Op::Release { wanted, crash } => {
                    let account = mended(&mut bytes, now);
                    if account.fits(limits(), now, MicroEpsilon(wanted)).is_err() {
                        continue;
                    }
                    let line = account.next(now, MicroEpsilon(wanted), on(1));
                    match crash {
                        Some(kept) if kept < line.len() => bytes.extend(&line[..kept]),
                        _ => {
                            bytes.extend(line);
                            let last = Account::read(&bytes).unwrap().lines.pop().unwrap();
                            prop_assert_eq!((last.spent.0, last.on), (wanted, on(1)));
                            told.push((last.time, wanted));
                        }
                    }
                }
            }
            let read = Account::read(&bytes).unwrap();
            let paid = read.lines.iter().filter(|line| line.on == on(1));
            prop_assert!(paid.count() >= told.len());
        }
        for (days, limit) in [(30, 300_000), (365, 700_000)] {
            for (end, _) in &told {
                let within = |time: UnixSeconds| time <= *end && end.0 - time.0 < days * DAY;
                let spent: u64 = told.iter().filter(|one| within(one.0)).map(|one| one.1).sum();
                prop_assert!(spent <= limit, "{} in {} days", spent, days);
            }
        }
    }

    #[test]
    fn when_it_is_free_again_it_fits_and_not_a_second_before(
        spendings in prop::collection::vec((0_u64..50, 1_000_u64..=100_000), 1..20),
        wanted in 1_000_u64..=100_000,
    ) {
        let (mut bytes, mut days) = (Vec::new(), 20_000);
        for (wait, spent) in spendings {
            days += wait;
            append(&mut bytes, days, spent, on(1));
        }
        let account = Account::read(&bytes).unwrap();
        let fits = |at| account.fits(limits(), at, MicroEpsilon(wanted));
        if let Err(refused) = fits(UnixSeconds(days * DAY)) {
            prop_assert!(fits(refused.free_again).is_ok());
            prop_assert!(fits(UnixSeconds(refused.free_again.0 - 1)).is_err());
        }
    }
}
