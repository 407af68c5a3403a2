//! Marlin on a serial port: temperatures, prints from the card, faults; a last choice.
//!
//! One program has a serial port, and opening it restarts many boards. So it is opened once, locked,
//! and kept open over failures; only questions are sent, one at a time.

mod port;
pub mod session;
pub mod settings;
pub mod wire;

use imprimatur_proto::telemetry::v1::ReadingSource;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use self::port::Port;
pub(crate) use self::port::is_held;
use self::session::Session;
use self::settings::MarlinSettings;
use self::wire::Lines;
use super::error::SourceError;
use super::link::{Link, Read};

/// Looks without an intelligible line after which the port is said to be silent.
const LOOKS_SILENT: u32 = 10;

/// Bytes taken at once: 20 ms at 115200 baud.
const READ_BYTES: usize = 256;

/// Reads one board.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: MarlinSettings,
    session: Session,
    open: Option<Open>,
}

/// A port and the line that is not whole yet.
#[derive(Debug)]
struct Open {
    port: Port,
    lines: Lines,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.settings.port.display().to_string()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let failed = self.listen(link).await;
        // What is merely silent stays open: opening it anew would restart the board.
        if !matches!(failed, Err(SourceError::Silent)) {
            self.open = None;
        }
        failed
    }
}

impl Reader {
    pub(crate) fn new(settings: MarlinSettings) -> Self {
        let session = Session::new(settings.material);
        Self { settings, session, open: None }
    }

    /// Asks and listens until something fails.
    async fn listen(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let Self { settings, session, open } = self;
        let open = if let Some(open) = open {
            open
        } else {
            let port = Port::open(&settings.port, settings.baud).await?;
            session.opened();
            open.insert(Open { port, lines: Lines::default() })
        };
        // The first look comes after a while: a board that restarts listens for new firmware first.
        let mut looks = interval_at(Instant::now() + settings.poll, settings.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut silent = 0;
        let mut bytes = [0; READ_BYTES];
        loop {
            let length = tokio::select! {
                length = open.port.read(&mut bytes) => Some(length?),
                _ = looks.tick() => None,
            };
            let mut ask = None;
            match length {
                Some(length) => {
                    for heard in open.lines.take(bytes.get(..length).unwrap_or_default()) {
                        if heard.ready || heard.line != wire::Line::Nothing {
                            silent = 0;
                        }
                        let said = session.on_line(heard);
                        if session.is_known() {
                            link.connected(ReadingSource::Serial).await?;
                        }
                        link.tell(said).await?;
                        ask = ask.or_else(|| session.next_query());
                    }
                }
                None if silent >= LOOKS_SILENT => return Err(SourceError::Silent),
                None => {
                    silent += 1;
                    ask = session.look();
                }
            }
            if let Some(query) = ask {
                open.port.write(query.text()).await?;
            }
        }
    }
}
