//! Tests of the rules, each row of the table and what may happen between two looks.

use imprimatur_runtime::clock::ManualClock;
use proptest::prelude::*;

use super::*;

const TODAY: UnixSeconds = UnixSeconds(20_778 * 86_400 + 43_200);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// A clock of a test, at an instant, and what the agent makes of it.
fn clock(at: UnixSeconds, latest: UnixSeconds) -> (Arc<ManualClock>, TrustedClock) {
    let wall = ManualClock::at(at);
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&wall);
    (wall, TrustedClock::new(shared, latest))
}

fn pass(wall: &ManualClock, seconds: u64) {
    wall.advance(Duration::from_secs(seconds));
}

#[track_caller]
fn check(of: &TrustedClock, now: UnixSeconds, doubtful: bool) {
    let look = of.look();
    assert_eq!((look.now, look.doubtful), (now, doubtful));
}

#[test]
fn a_possible_wall_is_believed_at_the_first_look_and_an_impossible_one_is_not() {
    let ago = |seconds| UnixSeconds(TODAY.0 - seconds);
    check(&clock(TODAY, UnixSeconds(0)).1, TODAY, false);
    check(&clock(FLOOR.start(), UnixSeconds(0)).1, FLOOR.start(), false);
    check(&clock(UnixSeconds(FLOOR.start().0 - 1), UnixSeconds(0)).1, FLOOR.start(), true);
    check(&clock(UnixSeconds(0), TODAY).1, TODAY, true);
    check(&clock(ago(HOUR), TODAY).1, ago(HOUR), false);
    check(&clock(ago(HOUR + 1), TODAY).1, TODAY, true);
}

#[test]
fn the_jump_from_an_impossible_time_to_a_possible_one_is_the_correction() {
    let (wall, trusted) = clock(UnixSeconds(0), UnixSeconds(TODAY.0 - DAY));
    check(&trusted, UnixSeconds(TODAY.0 - DAY), true);
    let guessed = trusted.look().base;
    pass(&wall, 30);
    check(&trusted, UnixSeconds(TODAY.0 - DAY + 30), true);
    wall.set(UnixSeconds(7 * DAY));
    check(&trusted, UnixSeconds(TODAY.0 - DAY + 30), true);
    wall.set(TODAY);
    check(&trusted, TODAY, false);
    let by = i64::try_from(DAY - 30).unwrap();
    assert_eq!(guessed.moved_to(trusted.look().base), Some(by));
}

#[test]
fn a_wrong_time_does_not_become_right_by_going_on() {
    // Two hours behind, so that it is possible after one and was not ever set.
    let (wall, trusted) = clock(UnixSeconds(TODAY.0 - HOUR - 600), TODAY);
    for minute in 0..60 {
        check(&trusted, UnixSeconds(TODAY.0 + minute * 60), true);
        pass(&wall, 60);
    }
    assert!(!trusted.look().doubtful, "even for an hour");
}

#[test]
fn a_wall_that_jumps_is_not_followed_until_it_agrees_again() {
    for jump in [TODAY.0 + 30 * DAY, TODAY.0 - DAY, TODAY.0 + 661, TODAY.0 - 541, 0] {
        let (wall, trusted) = clock(TODAY, UnixSeconds(0));
        let base = trusted.look().base;
        pass(&wall, 60);
        wall.set(UnixSeconds(jump));
        check(&trusted, UnixSeconds(TODAY.0 + 60), true);
        pass(&wall, 40 * 60);
        check(&trusted, UnixSeconds(TODAY.0 + 41 * 60), true);
        assert_eq!(base.moved_to(trusted.look().base), None, "nothing moved");
        let right = UnixSeconds(TODAY.0 + 41 * 60 + 600);
        wall.set(right);
        check(&trusted, right, false);
    }
}

#[test]
fn a_jump_of_less_than_ten_minutes_is_believed() {
    for jump in [TODAY.0 + 600, TODAY.0 - 600] {
        let (wall, trusted) = clock(TODAY, UnixSeconds(0));
        check(&trusted, TODAY, false);
        wall.set(UnixSeconds(jump));
        check(&trusted, UnixSeconds(jump), false);
    }
}

#[test]
fn a_jump_that_lasts_an_hour_is_believed_if_it_is_possible() {
    for (jump, believed) in [(TODAY.0 + 3 * DAY, true), (TODAY.0 - HOUR / 2, true), (0, false)] {
        let (wall, trusted) = clock(TODAY, TODAY);
        check(&trusted, TODAY, false);
        wall.set(UnixSeconds(jump));
        check(&trusted, TODAY, true);
        pass(&wall, HOUR - 1);
        check(&trusted, UnixSeconds(TODAY.0 + HOUR - 1), true);
        pass(&wall, 1);
        let now = if believed { jump + HOUR } else { TODAY.0 + HOUR };
        check(&trusted, UnixSeconds(now), !believed);
    }
    // One that goes on jumping never lasts.
    let (wall, trusted) = clock(TODAY, TODAY);
    for day in 1..100 {
        assert_eq!(trusted.look().doubtful, day > 1);
        wall.set(UnixSeconds(TODAY.0 + day * DAY));
        assert!(trusted.look().doubtful);
        pass(&wall, HOUR - 1);
    }
}

#[test]
fn what_was_durably_seen_is_a_floor_from_then_on() {
    let (wall, trusted) = clock(TODAY, UnixSeconds(0));
    check(&trusted, TODAY, false);
    trusted.saw(UnixSeconds(TODAY.0 + DAY));
    trusted.saw(TODAY);
    pass(&wall, DAY - HOUR - 1);
    assert!(trusted.look().doubtful);
    pass(&wall, 1);
    assert!(!trusted.look().doubtful);
}

proptest! {
    #[test]
    fn an_honest_clock_is_never_doubted(
        start in 0..10 * DAY,
        steps in proptest::collection::vec((0..10 * DAY, -60..60_i64), 1..100),
    ) {
        let (wall, trusted) = clock(UnixSeconds(TODAY.0 + start), TODAY);
        for (passed, slew) in steps {
            check(&trusted, wall.now(), false);
            pass(&wall, passed);
            wall.set(moved(wall.now(), slew));
        }
    }

    #[test]
    fn the_agents_clock_never_jumps_but_by_trust(
        steps in proptest::collection::vec((0..2 * HOUR, prop::option::of(0..2 * TODAY.0)), 1..100),
    ) {
        let (wall, trusted) = clock(TODAY, TODAY);
        let mut before = trusted.look();
        for (passed, jump) in steps {
            pass(&wall, passed);
            if let Some(jump) = jump {
                wall.set(UnixSeconds(jump));
            }
            let look = trusted.look();
            if look.doubtful {
                prop_assert_eq!(look.now.0, before.now.0 + passed);
            } else {
                prop_assert_eq!(look.now, wall.now());
            }
            before = look;
        }
    }
}
