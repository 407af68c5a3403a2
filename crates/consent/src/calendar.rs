//! Calendar arithmetic on UTC dates: months later, epochs and their last days.

use imprimatur_runtime::UtcDate;
use time::{Date, Month};

/// The Julian day of 1970-01-01.
const JULIAN_OF_DAY_0: i32 = 2_440_588;

/// The same day of the month so many months later; the last day where the month is shorter.
pub(crate) fn months_after(date: UtcDate, months: u32) -> UtcDate {
    let from = calendar(date);
    let whole = i64::from(from.year()) * 12 + i64::from(u8::from(from.month())) - 1;
    let whole = whole + i64::from(months);
    let year = i32::try_from(whole.div_euclid(12)).unwrap_or(i32::MAX);
    let month = u8::try_from(whole.rem_euclid(12) + 1).map(Month::try_from);
    let Ok(Ok(month)) = month else { return UtcDate(u32::MAX) };
    let day = from.day().min(month.length(year));
    Date::from_calendar_date(year, month, day).map_or(UtcDate(u32::MAX), utc)
}

/// The date as `year * 10,000 + month * 100 + day`, for example 20261122.
pub(crate) fn digits(date: UtcDate) -> u32 {
    date.month() * 100 + u32::from(calendar(date).day())
}

/// The date of such a number; `None` when the calendar has no such day.
pub(crate) fn of_digits(digits: u32) -> Option<UtcDate> {
    let (year, month, day) = (digits / 10_000, digits / 100 % 100, digits % 100);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?);
    date.ok().map(utc)
}

/// The last day of a month given as `year * 100 + month`.
pub(crate) fn last_of_month(month: u32) -> Option<UtcDate> {
    let first = of_digits(month.checked_mul(100)?.checked_add(1)?)?;
    Some(UtcDate(months_after(first, 1).0.saturating_sub(1)))
}

fn calendar(date: UtcDate) -> Date {
    let julian = i32::try_from(date.0).ok().and_then(|days| days.checked_add(JULIAN_OF_DAY_0));
    julian.and_then(|julian| Date::from_julian_day(julian).ok()).unwrap_or(Date::MAX)
}

fn utc(date: Date) -> UtcDate {
    UtcDate(u32::try_from(date.to_julian_day().saturating_sub(JULIAN_OF_DAY_0)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn later(from: &str, months: u32, expected: &str) {
        assert_eq!(months_after(from.parse().unwrap(), months).to_string(), expected);
    }

    #[test]
    fn months_end_where_the_calendar_says() {
        later("2026-11-22", 12, "2027-11-22");
        later("2024-02-29", 12, "2025-02-28");
        later("2026-12-31", 2, "2027-02-28");
        later("2026-11-22", 0, "2026-11-22");
        assert_eq!(months_after(UtcDate(u32::MAX), 12), UtcDate(u32::MAX));
    }

    #[test]
    fn numbers_of_days_are_read_back() {
        for days in (0..40_000).step_by(17) {
            assert_eq!(of_digits(digits(UtcDate(days))), Some(UtcDate(days)));
        }
        assert_eq!(of_digits(20_260_230), None);
        assert_eq!(last_of_month(202_402), "2024-02-29".parse().ok());
        assert_eq!(last_of_month(202_413), None);
        assert_eq!(last_of_month(u32::MAX), None);
    }
}
