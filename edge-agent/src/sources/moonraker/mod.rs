//! Klipper through Moonraker: one WebSocket that sends changes by itself.
//!
//! The agent subscribes to named attributes only, never to positions or file names, and ignores
//! every notification that it does not name. Moonraker knows no least account: what keeps the key
//! harmless is that [`wire::Call`] has no call that acts.

pub mod history;
pub mod session;
pub mod settings;
pub mod wire;

use std::time::Duration;

use futures::{SinkExt, StreamExt};
use imprimatur_proto::telemetry::v1::ReadingSource;
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use self::session::{Obstacle, Session, Step};
use self::settings::MoonrakerSettings;
use self::wire::{Call, Frame};
use super::error::SourceError;
use super::http;
use super::link::{Link, Read};

/// Name in messages.
const PEER: &str = "Moonraker";

/// What to do about a refused key.
const REMEDY: &str = "write Moonraker's own key into the file that `api_key_file` names";

/// A link that is silent for so long is dead: Moonraker tells the host's load each second.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// Wait before a subscription is tried again while the printer host is away.
const HOST_WAIT: Duration = Duration::from_secs(10);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Reads one Moonraker.
#[derive(Debug)]
pub(crate) struct Reader {
    settings: MoonrakerSettings,
    session: Session,
}

impl Read for Reader {
    fn address(&self) -> String {
        self.settings.address.to_string()
    }

    async fn read(&mut self, link: &mut Link) -> Result<(), SourceError> {
        let key = match &self.settings.key {
            Some(source) => Some(source.read().await?),
            None => None,
        };
        let mut socket = http::socket(&self.settings.address.socket("websocket")).await?;
        self.session.connected();
        self.say(&mut socket, &Call::Identify(key)).await?;
        let mut ticks = interval(self.settings.poll);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let mut subscribe_due: Option<Instant> = None;
        loop {
            let message = tokio::select! {
                message = socket.next() => Some(message),
                _ = ticks.tick() => None,
            };
            match message {
                None => {
                    if heard.elapsed() > SILENCE_MAX {
                        return Err(SourceError::Closed);
                    }
                    if subscribe_due.is_some_and(|due| Instant::now() >= due) {
                        subscribe_due = None;
                        self.say(&mut socket, &Call::Subscribe).await?;
                    }
                    let step = self.session.on_tick(link.now());
                    self.follow(&mut socket, step, link).await?;
                }
                Some(Some(Ok(Message::Text(text)))) => {
                    heard = Instant::now();
                    let obstacle = self.take(&mut socket, text.as_bytes(), link).await?;
                    if obstacle == Some(Obstacle::HostAway) {
                        link.retrying(&SourceError::NotReady { peer: PEER }, HOST_WAIT);
                        subscribe_due = Some(Instant::now() + HOST_WAIT);
                    }
                }
                Some(Some(Ok(Message::Close(_)) | Err(_)) | None) => {
                    return Err(SourceError::Closed);
                }
                Some(Some(Ok(_))) => heard = Instant::now(),
            }
        }
    }
}

impl Reader {
    pub(crate) fn new(settings: MoonrakerSettings) -> Self {
        let session = Session::new(settings.material, settings.poll.as_secs());
        Self { settings, session }
    }

    async fn take(
        &mut self,
        socket: &mut Socket,
        text: &[u8],
        link: &mut Link,
    ) -> Result<Option<Obstacle>, SourceError> {
        let frame = Frame::parse(text, &self.settings.roles);
        let told = matches!(
            frame,
            Frame::Update(_) | Frame::Answer(wire::CallId::Subscribe, wire::Answer::Status(_))
        );
        let step = self.session.on_frame(frame, link.now());
        if step.obstacle == Some(Obstacle::Refused) {
            return Err(SourceError::Refused { peer: PEER, remedy: REMEDY });
        }
        if told {
            link.connected(ReadingSource::Moonraker).await?;
        }
        let obstacle = step.obstacle;
        self.follow(socket, step, link).await?;
        Ok(obstacle)
    }

    /// Tells and asks what follows from a message.
    async fn follow(
        &self,
        socket: &mut Socket,
        step: Step,
        link: &Link,
    ) -> Result<(), SourceError> {
        link.tell(step.said).await?;
        match step.ask {
            Some(call) => self.say(socket, &call).await,
            None => Ok(()),
        }
    }

    async fn say(&self, socket: &mut Socket, call: &Call) -> Result<(), SourceError> {
        let text = call.to_text(&self.settings.roles);
        socket.send(Message::text(text)).await.map_err(|_closed| SourceError::Closed)
    }
}
