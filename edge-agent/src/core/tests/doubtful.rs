//! Tests of a clock that is not to be believed: what is held, what is refused, what goes on.

use super::*;

const HOUR: u64 = 3600;

fn pass(room: &Room, seconds: u64) {
    room.clock.advance(Duration::from_secs(seconds));
}

/// A print of now, as it is measured: by the agent's clock.
fn measured(room: &Room) -> Recorded {
    let now = room.agent.clock().now();
    room.agent.record_print(&print(now.date()), now).unwrap()
}

/// The starts and dates of what is pending.
fn pending(room: &Room) -> Vec<(UnixSeconds, UtcDate)> {
    let held = room.agent.lock().pending().unwrap();
    for pending in &held {
        let record = contract().record(pending.kind, &pending.report).unwrap();
        assert_eq!((record.date, pending.date), (pending.date.0, pending.started.date()));
    }
    held.into_iter().map(|pending| (pending.started, pending.date)).collect()
}

/// The starts of the pending reports of a kind.
pub(crate) fn starts(room: &Room, kind: RecordKind) -> Vec<UnixSeconds> {
    pending(room);
    let held = room.agent.lock().pending().unwrap();
    held.into_iter().filter(|held| held.kind == kind).map(|held| held.started).collect()
}

fn held(room: &Room) -> (bool, usize) {
    let overview = reconciled(room);
    (overview.clock_doubtful, overview.held)
}

#[test]
fn after_a_start_in_1970_what_is_measured_waits_for_its_date() {
    let mut room = Room::granted(&[Category::Status]);
    pass(&room, 50 * HOUR);
    measured(&room);
    let truth = room.clock.now();
    room.clock.set(UnixSeconds(77));
    room = room.restart();
    assert_eq!(measured(&room), Recorded::Held);
    pass(&room, 30 * HOUR);
    assert_eq!(measured(&room), Recorded::Held);
    assert_eq!(room.agent.seal_all().unwrap(), Sealed::default());
    assert_eq!((held(&room), pending(&room).len()), ((true, 2), 1));
    assert_eq!(room.agent.errand().unwrap(), None);
    let collected = reconciled(&room).counts.collected;
    // The host was off for nine days, and then on for thirty hours.
    let started = UnixSeconds(truth.0 + 9 * 24 * HOUR);
    let now = UnixSeconds(started.0 + 30 * HOUR);
    room.clock.set(now);
    assert_eq!(held(&room), (false, 0));
    let (first, second) = ((started, started.date()), (now, now.date()));
    assert_eq!(pending(&room)[1..], [first, second]);
    assert_eq!(reconciled(&room).counts.collected, collected + 2);
    assert_eq!(room.agent.seal_all().unwrap().batches, 3);
}

#[test]
fn a_restart_before_the_newest_instant_seen_is_doubted() {
    let mut room = Room::granted(&[Category::Status]);
    // Nothing is decided for days: it is written down all the same.
    for _ in 0..5 * 24 {
        pass(&room, HOUR);
        room.agent.show().unwrap();
    }
    let truth = room.clock.now();
    room.clock.set(UnixSeconds(truth.0 - 2 * HOUR));
    room = room.restart();
    assert_eq!((measured(&room), held(&room)), (Recorded::Held, (true, 1)));
    room.clock.set(truth);
    assert_eq!((held(&room), pending(&room)), ((false, 0), vec![(truth, truth.date())]));
    // An hour before is none.
    room.clock.set(UnixSeconds(truth.0 - HOUR));
    room = room.restart();
    assert_eq!((measured(&room), held(&room)), (Recorded::Kept, (false, 0)));
}

#[test]
fn a_yes_in_doubt_is_refused_and_a_no_is_not() {
    let mut room = Room::granted(&[Category::Status, Category::Laser]);
    room.agent.grant(&[Category::Faults], None).unwrap();
    let truth = room.clock.now();
    room.clock.set(UnixSeconds(0));
    room = room.restart();
    let refused = |answer: Result<(), AgentError>| {
        let error = answer.unwrap_err();
        assert!(matches!(error, AgentError::ClockDoubtful) && error.refuses());
        assert!(error.to_string().contains("set the clock"), "{error}");
    };
    refused(room.agent.grant(&[Category::Material], None).map(drop));
    refused(room.agent.renew(None).map(drop));
    assert_eq!(room.event(), None, "the yes that waits names a date");
    let gone = room.agent.withdraw(Some(&[Category::Laser])).unwrap();
    assert_eq!(gone, Withdrawn::Part(vec![Category::Laser]));
    room.agent.refuse(&[Category::Material]).unwrap();
    let (event, _) = said(&room.event().unwrap());
    assert_eq!((event.decision(), event.date), (Decision::Withdrawn, truth.date().0));
    room.announce();
    assert!(!room.agent.log().unwrap().is_empty() && room.agent.requests().is_ok());
    room.clock.set(truth);
    let (event, _) = said(&room.event().unwrap());
    assert_eq!((event.decision(), event.date), (Decision::Granted, truth.date().0));
    room.announce();
    room.agent.grant(&[Category::Material], None).unwrap();
}

#[test]
fn a_jump_stops_dating_and_sending_until_it_is_undone() {
    let room = Room::granted(&[Category::Status]);
    room.print();
    room.agent.seal_all().unwrap();
    let changes = room.agent.changes();
    let truth = room.clock.now();
    room.clock.set(UnixSeconds(truth.0 + 400 * 24 * HOUR));
    assert!(room.offered().is_empty(), "neither sent nor deleted as too old");
    assert_eq!((measured(&room), held(&room)), (Recorded::Held, (true, 1)));
    pass(&room, HOUR / 2);
    room.clock.set(UnixSeconds(truth.0 + HOUR / 2));
    assert_eq!((room.offered().len(), held(&room)), (1, (false, 0)));
    assert_eq!(pending(&room), [(truth, truth.date())]);
    assert_eq!(changes.borrow().clock, 1);
}

#[test]
fn a_held_report_is_kept_only_if_a_grant_covers_its_true_start() {
    let mut room = Room::granted(&[Category::Status, Category::PrintTime]);
    let truth = room.clock.now();
    room.clock.set(UnixSeconds(0));
    room = room.restart();
    measured(&room);
    pass(&room, 24 * HOUR);
    room.agent.withdraw(Some(&[Category::PrintTime])).unwrap();
    measured(&room);
    room.clock.set(UnixSeconds(truth.0 + 24 * HOUR));
    assert_eq!(room.agent.seal_all().unwrap().batches, 2);
    assert!(room.spool().values().all(|frame| told(frame) == [Category::Status].into()));
    room.clock.set(UnixSeconds(0));
    assert_eq!(measured(&room), Recorded::Held);
    room.agent.withdraw(None).unwrap();
    assert_eq!((held(&room), measured(&room)), ((true, 0), Recorded::NothingAllowed));
}

#[test]
fn what_is_held_is_bounded_and_what_never_gets_a_date_is_counted() {
    let mut room = Room::granted(&[Category::Status]);
    let truth = room.clock.now();
    room.clock.set(UnixSeconds(0));
    room = room.restart();
    (0..70).for_each(|_| assert_eq!(measured(&room), Recorded::Held));
    assert_eq!((held(&room), reconciled(&room).counts.undated), ((true, 64), 6));
    room.agent.give_up_held().unwrap();
    room = room.restart();
    assert_eq!((held(&room), reconciled(&room).counts.undated), ((true, 0), 70));
    room.clock.set(truth);
    assert_eq!(reconciled(&room).counts.collected, 0);
}

#[derive(Clone, Debug)]
enum Op {
    /// Time passes.
    Pass(u64),
    /// A print ends that began so long ago.
    Print(u64),
    /// The wall shows something else.
    Lie(u64),
    /// The wall is set right.
    Correct,
    /// The host is off for so long, and comes back with a wall that lies or does not.
    Restart(u64, Option<u64>),
    Seal,
}

fn op() -> impl Strategy<Value = Op> {
    // A lie is more than a day off, and none lasts for an hour while it is possible.
    prop_oneof![
        4 => (0..20 * 60_u64).prop_map(Op::Pass),
        1 => (0..40 * HOUR).prop_map(Op::Pass),
        6 => (0..30 * HOUR).prop_map(Op::Print),
        2 => (0..1000 * 24 * HOUR).prop_map(Op::Lie),
        4 => Just(Op::Correct),
        1 => (0..100 * HOUR, Just(None)).prop_map(|(off, lie)| Op::Restart(off, lie)),
        2 => (0..100 * HOUR, (0..TODAY.start().0 - 48 * HOUR).prop_map(Some))
            .prop_map(|(off, lie)| Op::Restart(off, lie)),
        1 => Just(Op::Seal),
    ]
}

/// The agent, and what is true.
struct World {
    room: Room,
    truth: u64,
    /// For how long the wall has lied.
    lying: Option<u64>,
    /// True starts of the prints that were measured.
    starts: BTreeSet<u64>,
    /// Since when the agent runs.
    up: u64,
}

impl World {
    fn apply(mut self, op: &Op) -> Self {
        match *op {
            Op::Pass(seconds) => {
                // No lie lasts: the network is there again within the hour.
                if self.lying.is_some_and(|lied| lied + seconds >= HOUR - 60) {
                    self = self.apply(&Op::Correct);
                }
                self.truth += seconds;
                pass(&self.room, seconds);
                self.lying = self.lying.map(|lied| lied + seconds);
            }
            Op::Print(seconds) => {
                let lasted = seconds.min(self.truth - self.up);
                let now = self.room.agent.clock().now();
                let began = UnixSeconds(now.0 - lasted);
                self.starts.insert(self.truth - lasted);
                self.room.agent.record_print(&print(began.date()), began).unwrap();
            }
            Op::Lie(wall) => {
                let far = wall.abs_diff(self.truth) > 24 * HOUR;
                if far && self.lying.is_none() {
                    self.room.clock.set(UnixSeconds(wall));
                    self.lying = Some(0);
                }
            }
            Op::Correct => {
                self.room.clock.set(UnixSeconds(self.truth));
                self.lying = None;
            }
            Op::Restart(off, lie) => {
                self.truth += off;
                self.up = self.truth;
                self.room.clock.set(UnixSeconds(lie.unwrap_or(self.truth)));
                self.lying = lie.map(|_| 0);
                self.room = self.room.restart();
            }
            Op::Seal => drop(self.room.agent.seal_all().unwrap()),
        }
        self.room.agent.show().unwrap();
        self
    }

    fn check(&self) {
        let starts = pending(&self.room).into_iter().map(|(started, _)| started.0);
        for started in starts {
            assert!(self.starts.contains(&started), "{started} began at no such time");
        }
        let dates: BTreeSet<_> = self.starts.iter().map(|at| UnixSeconds(*at).date().0).collect();
        for frame in self.room.spool().values() {
            let prints = batch(frame).prints;
            assert!(prints.iter().all(|print| dates.contains(&print.start_date)));
        }
        reconciled(&self.room);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn whatever_the_wall_shows_no_report_is_kept_under_a_wrong_date(
        ops in proptest::collection::vec(op(), 1..60),
    ) {
        let room = Room::granted(&[Category::Status]);
        let truth = room.clock.now().0;
        let mut world = World { room, truth, lying: None, starts: BTreeSet::new(), up: truth };
        for op in &ops {
            world = world.apply(op);
            world.check();
        }
        world = world.apply(&Op::Correct);
        prop_assert_eq!(held(&world.room), (false, 0));
        world.check();
    }

    #[test]
    fn an_honest_clock_holds_nothing(
        steps in proptest::collection::vec((0..72 * HOUR, 0..2 * HOUR), 1..40),
    ) {
        let mut room = Room::granted(&[Category::Status]);
        for (passed, off) in steps {
            pass(&room, passed);
            prop_assert_ne!(measured(&room), Recorded::Held);
            pass(&room, off);
            room = room.restart();
            prop_assert_eq!(held(&room), (false, 0));
        }
        prop_assert_eq!(reconciled(&room).counts.undated, 0);
    }
}
