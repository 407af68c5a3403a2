//! A Bambu Lab printer in the local network: the reports of its own broker, over TLS.
//!
//! The access code can also control the printer, so it goes to nobody but the certificate that the
//! owner wrote down, and one message can be sent: the wish for a full report, once a connection and
//! never more often than each five minutes, because it makes the small boards stutter.

pub mod faults;
mod mqtt;
pub mod settings;
mod tls;
mod values;
pub mod wire;

use std::time::Duration;

use imprimatur_proto::telemetry::v1::ReadingSource;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use self::mqtt::{KEEP_ALIVE_SECONDS, Mqtt, PEER};
use self::settings::BambuSettings;
use self::wire::{Known, NotAReport};
use super::error::SourceError;
use super::link::{Link, Read};
use super::snapshot::Watch;

/// Least time between two wishes for a full report.
const ASK_ALL_MIN: Duration = Duration::from_mins(5);

/// A printer answers that wish within seconds: silence means that the topic is another's.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Messages in a row that are none of a printer's, after which the connection is given up.
const STRANGE_MAX: u32 = 3;

/// Reads one printer.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: BambuSettings,
    watch: Watch,
    asked_all: Option<Instant>,
}

impl Read for Reader {
    fn address(&self) -> String {
        format!("mqtts://{}:{}", self.settings.host, self.settings.port)
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let code = self.settings.code.read().await?;
        let mut mqtt = Mqtt::open(&self.settings, &code).await?;
        drop(code);
        // What was said meanwhile is not known: deltas count from here on.
        let mut known = Known::default();
        let half = Duration::from_secs(u64::from(KEEP_ALIVE_SECONDS)) / 2;
        let mut pings = interval_at(Instant::now() + half, half);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        let mut ask_at = Some(self.asked_all.map_or(now, |asked| (asked + ASK_ALL_MIN).max(now)));
        let mut answer_by = None;
        let mut heard = now;
        let mut strange = 0_u32;
        loop {
            let report = tokio::select! {
                report = mqtt.report() => report?,
                _ = pings.tick() => {
                    if heard.elapsed() > half * 3 {
                        return Err(SourceError::Closed);
                    }
                    mqtt.ping().await?;
                    continue;
                }
                () = at(ask_at) => {
                    ask_at = None;
                    let now = Instant::now();
                    self.asked_all = Some(now);
                    answer_by = Some(now + ANSWER_MAX);
                    mqtt.ask_all(&self.settings).await?;
                    continue;
                }
                () = at(answer_by) => return Err(SourceError::NoReport),
            };
            heard = Instant::now();
            let Some(report) = report else { continue };
            let shown = match known.take(&report) {
                Ok(Some(shown)) => shown,
                Ok(None) => continue,
                Err(NotAReport) if strange < STRANGE_MAX => {
                    strange += 1;
                    continue;
                }
                Err(NotAReport) => return Err(SourceError::Malformed { peer: PEER }),
            };
            strange = 0;
            answer_by = None;
            link.connected(ReadingSource::Bambu).await?;
            link.tell(self.watch.see(&shown)).await?;
        }
    }
}

impl Reader {
    pub(crate) fn new(settings: BambuSettings) -> Self {
        let watch = Watch::new(settings.material);
        Self { settings, watch, asked_all: None }
    }
}

/// Waits until then; for ever when there is no then.
async fn at(then: Option<Instant>) {
    match then {
        Some(then) => sleep_until(then).await,
        None => std::future::pending().await,
    }
}
