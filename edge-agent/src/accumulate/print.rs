//! One print while it runs, and what is left of it when it ended.

use imprimatur_proto::telemetry::v1::{
    AdhesionAid, FaultFamily, FaultHistory, MaterialFamily, Outcome, StopPhase,
};

use super::heater::{Held, Track, is_reached, seconds_between};
use crate::reading::{Ended, Heaters, Sliced, UnixSeconds};

/// A print that ended: exact values, in memory only, never stored and never sent as they are.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedPrint {
    /// When it began.
    pub started: UnixSeconds,
    /// When it ended.
    pub ended: UnixSeconds,
    /// How.
    pub outcome: Outcome,
    /// Where in the print a stopped one ended.
    pub phase: StopPhase,
    /// Printing time in seconds, pauses left out.
    pub seconds: Option<f64>,
    /// Material, grams or millilitres; of a completed print planned or used, of a stopped one used.
    pub amount: Option<f64>,
    /// Material family.
    pub family: Option<MaterialFamily>,
    /// Fault during the print.
    pub fault: Option<FaultFamily>,
    /// Faults in the seven days before.
    pub recent: FaultHistory,
    /// Layer height, millimetres.
    pub layer_height: Option<f64>,
    /// Brim or raft.
    pub adhesion: Option<AdhesionAid>,
    /// Nozzle set-point held longest, degrees Celsius.
    pub nozzle: Option<f64>,
    /// Bed set-point held longest, degrees Celsius.
    pub bed: Option<f64>,
    /// Tank or powder-bed set-point held longest, degrees Celsius.
    pub process: Option<f64>,
    /// Share of the time that the nozzle was off its set-point, 0 to 1.
    pub nozzle_excursion: Option<f64>,
    /// The same of the bed.
    pub bed_excursion: Option<f64>,
    /// The same of the tank or powder bed.
    pub process_excursion: Option<f64>,
    /// Nominal light set-point: the non-zero value held longest, percent of full scale.
    pub laser: Option<f64>,
}

/// A print that runs and whose start was seen.
#[derive(Clone, Debug)]
pub(super) struct OpenPrint {
    started: UnixSeconds,
    recent: FaultHistory,
    fault: Option<FaultFamily>,
    sliced: Sliced,
    nozzle: Track,
    bed: Track,
    process: Track,
    laser: Held,
    heat_known: bool,
    /// Whether all heaters in use were at their set-points once.
    hot: bool,
    unseen_seconds: f64,
    paused_seconds: f64,
    busy_seconds: f64,
    /// Busy time after the heaters were ready.
    hot_seconds: f64,
}

/// How a span of time passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) seconds: f64,
    pub(super) paused: bool,
    pub(super) heaters: Heaters,
    pub(super) laser: f64,
}

impl OpenPrint {
    pub(super) fn new(started: UnixSeconds, recent: FaultHistory, heaters: &Heaters) -> Self {
        let mut print = Self {
            started,
            recent,
            fault: None,
            sliced: Sliced::default(),
            nozzle: Track::default(),
            bed: Track::default(),
            process: Track::default(),
            laser: Held::default(),
            heat_known: false,
            hot: false,
            unseen_seconds: 0.0,
            paused_seconds: 0.0,
            busy_seconds: 0.0,
            hot_seconds: 0.0,
        };
        print.read(heaters);
        print
    }

    pub(super) fn started(&self) -> UnixSeconds {
        self.started
    }

    /// The same print on a clock that was moved.
    pub(super) fn move_by(&mut self, moved: impl Fn(UnixSeconds) -> UnixSeconds) {
        self.started = moved(self.started);
    }

    /// Takes what the file says; later facts complete earlier ones.
    pub(super) fn sliced(&mut self, sliced: Sliced) {
        let old = self.sliced;
        self.sliced = Sliced {
            seconds: sliced.seconds.or(old.seconds),
            amount: sliced.amount.or(old.amount),
            family: sliced.family.or(old.family),
            layer_height: sliced.layer_height.or(old.layer_height),
            adhesion: sliced.adhesion.or(old.adhesion),
            infill: sliced.infill.or(old.infill),
            nozzle: sliced.nozzle.or(old.nozzle),
            supports: sliced.supports.or(old.supports),
            slicer: sliced.slicer.or(old.slicer),
            model: sliced.model.or(old.model),
        };
    }

    /// Takes a fault; a known family is not hidden by one that says nothing.
    pub(super) fn fault(&mut self, family: FaultFamily) {
        if self.fault.is_none() || family != FaultFamily::Other {
            self.fault = Some(family);
        }
    }

    /// Takes heaters as they are now.
    pub(super) fn read(&mut self, heaters: &Heaters) {
        for (track, heater) in [
            (&mut self.nozzle, heaters.nozzle),
            (&mut self.bed, heaters.bed),
            (&mut self.process, heaters.process),
        ] {
            if let Some(heater) = heater {
                track.read(heater);
            }
        }
        let melts = [heaters.nozzle, heaters.process].into_iter().flatten();
        self.heat_known |= melts.clone().next().is_some();
        let in_use = melts.clone().any(|heater| heater.target > 0.0);
        let all = melts.chain(heaters.bed);
        self.hot |= in_use && all.filter(|heater| heater.target > 0.0).all(is_reached);
    }

    /// Notes a light value without time.
    pub(super) fn light(&mut self, percent: f64) {
        self.laser.add(percent, 0.0);
    }

    /// Adds time that was observed.
    pub(super) fn pass(&mut self, span: &Span) {
        for (track, heater) in [
            (&mut self.nozzle, span.heaters.nozzle),
            (&mut self.bed, span.heaters.bed),
            (&mut self.process, span.heaters.process),
        ] {
            if let Some(heater) = heater {
                track.pass(heater, span.seconds);
            }
        }
        self.laser.add(span.laser, span.seconds);
        if span.paused {
            self.paused_seconds += span.seconds;
        } else {
            self.busy_seconds += span.seconds;
            if self.hot {
                self.hot_seconds += span.seconds;
            }
        }
    }

    /// Adds time that nobody observed.
    pub(super) fn miss(&mut self, seconds: f64) {
        self.unseen_seconds += seconds;
    }

    pub(super) fn finish(self, ended: UnixSeconds, how: Ended) -> FinishedPrint {
        let told = how.seconds.filter(|seconds| seconds.is_finite() && *seconds >= 0.0);
        let seconds = self.printing_seconds(ended, told);
        let done = how.outcome == Outcome::Done;
        let phase =
            if done { StopPhase::Unspecified } else { self.phase(how.phase, told, seconds) };
        let used = how.amount.filter(|amount| amount.is_finite() && *amount >= 0.0);
        FinishedPrint {
            started: self.started,
            ended,
            outcome: how.outcome,
            phase,
            seconds,
            amount: if done { used.or(self.sliced.amount) } else { used },
            family: self.sliced.family,
            fault: self.fault,
            recent: self.recent,
            layer_height: self.sliced.layer_height,
            adhesion: self.sliced.adhesion,
            nozzle: self.nozzle.set_point(),
            bed: self.bed.set_point(),
            process: self.process.set_point(),
            nozzle_excursion: self.nozzle.excursion(),
            bed_excursion: self.bed.excursion(),
            process_excursion: self.process.excursion(),
            laser: self.laser.longest(),
        }
    }

    /// As the source counts, without pauses that it did not leave out; else as observed.
    fn printing_seconds(&self, ended: UnixSeconds, told: Option<f64>) -> Option<f64> {
        match told {
            Some(told) if self.paused_seconds > 0.0 => {
                let working = seconds_between(self.started, ended) - self.paused_seconds;
                Some(told.min(working.max(0.0)))
            }
            Some(told) => Some(told),
            None => (self.unseen_seconds == 0.0).then_some(self.busy_seconds),
        }
    }

    /// Where a stopped print ended, by the shares that the contract names; unknown without a plan.
    fn phase(
        &self,
        told: Option<StopPhase>,
        counted: Option<f64>,
        seconds: Option<f64>,
    ) -> StopPhase {
        if let Some(told) = told.filter(|phase| *phase != StopPhase::Unspecified) {
            return told;
        }
        let cold = self.heat_known && self.unseen_seconds == 0.0 && self.hot_seconds == 0.0;
        if counted == Some(0.0) || cold {
            return StopPhase::Preparation;
        }
        let watched = self.heat_known && self.unseen_seconds == 0.0;
        let working = match seconds {
            Some(seconds) if watched => Some(seconds.min(self.hot_seconds)),
            other => other,
        };
        let Some(share) = working.zip(self.sliced.seconds.filter(|planned| *planned > 0.0)) else {
            return StopPhase::Unspecified;
        };
        match share.0 / share.1 {
            early if early < 0.5 => StopPhase::Early,
            late if late < 0.9 => StopPhase::Late,
            _ => StopPhase::End,
        }
    }
}
