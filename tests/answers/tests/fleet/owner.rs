//! One owner of a made-up fleet: what is true of it, and what its agent would say.

use std::sync::LazyLock;

use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{Category, Digest, Domain, Policy, PrincipalId, SigningSeed, enrolment};
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_proto::telemetry::v1::{
    Batch, BatchHeader, DayLaser, DayMachine, DayPrintTime, DayReport, FaultFamily, FaultHistory,
    MaterialFamily, Outcome, PrintFaults, PrintMaterial, PrintReport, PrintStatus, PrintTime,
    StopPhase,
};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::UtcDate;
use imprimatur_testkit::chance::Chance;

/// Prints of one owner on one date.
pub(crate) const PRINTS: u64 = 5;

/// What owners say yes to; some leave the material out.
const CATEGORIES: [Category; 6] = [
    Category::Machine,
    Category::PrintTime,
    Category::Material,
    Category::Laser,
    Category::Status,
    Category::Faults,
];

/// The parts of the fleet, by the number of an owner: what is put in, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Model 12, firmware 3: 4 % of prints fail in the first layer.
    Before,
    /// Model 12, firmware 4: 6 % do.
    After,
    /// Model 13, firmware 1 or 2: 5 % do with either. The nozzle of half of them clogs.
    Control,
    /// Model 20, whose laser loses 2 % each octave of its life.
    Laser,
    /// Model 14, of whom there are too few to be told.
    Rare,
    /// Model 16: all printers of one farm.
    Farm,
    /// Model 15, all of whose prints fail: accounts that nobody enrolled.
    Sybil,
}

/// How many subjects each part has; three thousand together.
pub(crate) const PARTS: [(Part, u64); 7] = [
    (Part::Before, 750),
    (Part::After, 750),
    (Part::Control, 700),
    (Part::Laser, 300),
    (Part::Rare, 12),
    // Three hundred prints a month, as many as count of one principal.
    (Part::Farm, 60),
    (Part::Sybil, 428),
];

/// A subject, and what is true of it.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) part: Part,
    pub(crate) key: SigningSeed,
    pub(crate) principal: PrincipalId,
    pub(crate) model: u32,
    pub(crate) firmware: u32,
    /// Index of the nozzle's class; 1 clogs more often than 2.
    pub(crate) nozzle: u32,
    /// Octave of the laser's life, and its calibration's index; 0 without a laser.
    pub(crate) laser: (u32, u32),
    /// Whether the material is shared.
    pub(crate) shares_material: bool,
    pub(crate) prints: Vec<PrintReport>,
}

/// The hash of the policy to which consent is given.
static POLICY: LazyLock<Digest> = LazyLock::new(|| Policy::read(STRICTEST).unwrap().hash);

/// All owners with their prints on these dates; the same each time.
pub(crate) fn fleet(dates: &[UtcDate]) -> Vec<Owner> {
    let mut chance = Chance::of(0x1137);
    let parts = PARTS.iter().flat_map(|(part, count)| (0..*count).map(|at| (*part, at)));
    let all = parts.zip(1_u64..);
    all.map(|((part, at), number)| Owner::new(part, at, number, dates, &mut chance)).collect()
}

impl Owner {
    fn new(part: Part, at: u64, number: u64, dates: &[UtcDate], chance: &mut Chance) -> Self {
        let mut seed = [0x51; 32];
        seed[..8].copy_from_slice(&number.to_le_bytes());
        let key = SigningSeed::from_seed(&seed);
        let own =
            if part == Part::Farm { PrincipalId([0xfa; 16]) } else { PrincipalId(key.subject().0) };
        let odd = u32::try_from(at % 2).unwrap();
        let (model, firmware) = match part {
            Part::Before => (12, 3),
            Part::After => (12, 4),
            Part::Control => (13, 1 + odd),
            Part::Laser => (20, 1),
            Part::Rare => (14, 1),
            Part::Farm => (16, 1),
            Part::Sybil => (15, 1),
        };
        let octave = 2 + 2 * u32::try_from(at % 3).unwrap();
        let mut owner = Self {
            part,
            key,
            principal: own,
            model,
            firmware,
            nozzle: if part == Part::Control && at < 350 { 1 } else { 2 },
            laser: if part == Part::Laser { (octave, 14 - octave) } else { (0, 0) },
            // Few enough that their difference to all others would be worth something.
            shares_material: part == Part::Laser || at % 190 != 7,
            prints: Vec::new(),
        };
        for date in dates {
            owner
                .prints
                .extend((0..PRINTS).map(|_| owner.print(*date, chance)).collect::<Vec<_>>());
        }
        owner
    }

    /// One print, drawn.
    fn print(&self, date: UtcDate, chance: &mut Chance) -> PrintReport {
        let per_mille = chance.below(1_000);
        let first_layer = match self.part {
            Part::Before => 40,
            Part::After => 60,
            Part::Sybil => 1_000,
            _ => 50,
        };
        let clogs = if self.nozzle == 1 { 60 } else { 10 };
        let family = if chance.below(3) == 0 { MaterialFamily::Petg } else { MaterialFamily::Pla };
        let longer = u32::try_from(chance.below(4)).unwrap();
        let done = PrintReport {
            start_date: date.0,
            print_time: Some(PrintTime { completed_duration: 5 + longer, ..PrintTime::default() }),
            material: Some(PrintMaterial { amount: 6 + longer, family: family.into() }),
            status: Some(PrintStatus { outcome: Outcome::Done.into(), ..PrintStatus::default() }),
            faults: Some(PrintFaults {
                recent: FaultHistory::None.into(),
                ..PrintFaults::default()
            }),
            ..PrintReport::default()
        };
        let stopped = |outcome: Outcome, phase: StopPhase, fault: FaultFamily| PrintReport {
            print_time: Some(PrintTime { stopped_duration: 2, ..PrintTime::default() }),
            material: Some(PrintMaterial { amount: 0, family: family.into() }),
            status: Some(PrintStatus { outcome: outcome.into(), stop_phase: phase.into() }),
            faults: Some(PrintFaults { family: fault.into(), recent: FaultHistory::None.into() }),
            ..done
        };
        let mut report = if per_mille < first_layer {
            stopped(Outcome::Fault, StopPhase::FirstLayer, FaultFamily::Adhesion)
        } else if per_mille < first_layer + clogs {
            stopped(Outcome::Fault, StopPhase::Late, FaultFamily::Clog)
        } else if per_mille < first_layer + clogs + 50 {
            stopped(Outcome::StoppedByUser, StopPhase::Early, FaultFamily::Unspecified)
        } else {
            done
        };
        if !self.shares_material {
            report.material = None;
        }
        report
    }

    fn day(&self, date: UtcDate) -> DayReport {
        let laser = DayLaser {
            life_hours: self.laser.0,
            calibration_ratio: self.laser.1,
            ..DayLaser::default()
        };
        DayReport {
            date: date.0,
            machine: Some(DayMachine {
                model: self.model,
                firmware: self.firmware,
                nozzle: i32::try_from(self.nozzle).unwrap(),
                ..DayMachine::default()
            }),
            print_time: Some(DayPrintTime {
                busy_time: 3,
                prints_started: 6,
                ..Default::default()
            }),
            laser: Some(laser).filter(|_| self.laser != (0, 0)),
            ..DayReport::default()
        }
    }

    /// The batch of one date.
    pub(crate) fn batch(&self, sequence: u64, date: UtcDate) -> Vec<u8> {
        let of_date = |print: &&PrintReport| print.start_date == date.0;
        let mut prints: Vec<PrintReport> = self.prints.iter().filter(of_date).copied().collect();
        prints.sort_by_key(canonical::encode);
        let header = BatchHeader {
            subject: self.key.subject().0.to_vec(),
            sequence,
            policy_hash: POLICY.0.to_vec(),
            contract_hash: contract().hash().to_vec(),
            ..BatchHeader::default()
        };
        let batch = Batch { header: Some(header), prints, days: vec![self.day(date)] };
        let batch = canonical::encode(&batch);
        let signature = self.key.sign(Domain::Batch, &batch);
        frame::seal(batch, signature).unwrap()
    }

    /// What it says of its consent: the first yes, with a token where it has one, or a no to all.
    pub(crate) fn says(&self, sequence: u64, date: UtcDate, token: Option<&str>) -> Vec<u8> {
        let public = self.key.public();
        let enrolment_proof = token.map_or_else(Vec::new, |token| {
            let verifier = enrolment::verifier(&token.parse::<Digest>().unwrap().0);
            enrolment::proof(verifier, self.principal, &public)
        });
        let shared = |one: &&Category| self.shares_material || **one != Category::Material;
        let yes = sequence == 1;
        let event = ConsentEvent {
            public_key: public.to_vec(),
            principal: self.principal.0.to_vec(),
            sequence,
            decision: if yes { Decision::Granted } else { Decision::Withdrawn }.into(),
            categories: CATEGORIES.iter().filter(shared).map(|one| one.number()).collect(),
            policy_hash: POLICY.0.to_vec(),
            date: date.0,
            enrolment_proof,
            ..ConsentEvent::default()
        };
        let event = if yes {
            ConsentEvent {
                notice_language: b"en".to_vec(),
                method: Method::Command.into(),
                affirmation: Affirmation::AgeAndAuthority.into(),
                ..event
            }
        } else {
            event
        };
        let event = canonical::encode(&event);
        let signature = self.key.sign(Domain::Consent, &event);
        canonical::encode(&SignedConsentEvent { event, signature })
    }

    /// Whether it counts toward k.
    pub(crate) fn is_enrolled(&self) -> bool {
        self.part != Part::Sybil
    }
}
