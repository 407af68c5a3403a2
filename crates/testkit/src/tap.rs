//! A TCP proxy that keeps every byte of both directions, so that tests can search what went over a wire.
//!
//! Keeps true: a byte is recorded before it is passed on, so whatever a peer has acted upon is in
//! the record. Never changes a byte. Holds everything in memory, for tests of seconds, unless it is
//! told to [`Tap::forget`]. It also plays the network's faults: severed, out of reach, and by
//! [`Weather`] stalled, slow or late.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::ports;

/// Which way bytes went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From who connected to the tap.
    ToServer,
    /// Back to who connected.
    ToClient,
}

/// What went one way over one connection, in order and without gaps.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Which way.
    pub direction: Direction,
    /// What.
    pub bytes: Vec<u8>,
}

/// How bytes pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weather {
    /// At once.
    #[default]
    Clear,
    /// Not at all: connections are taken and stay open, half-open as seen from both ends.
    Stalled,
    /// At this many bytes a second each way of each connection, at least 1.
    Slow(u32),
    /// Each piece after this time.
    Late(Duration),
}

/// Most bytes that pass at once; a tenth of a second's worth where it is slow.
const PIECE: usize = 16 * 1024;

#[derive(Debug, Default)]
struct Kept {
    streams: Mutex<Vec<Stream>>,
    passed: AtomicU64,
    forgets: AtomicBool,
}

type Record = Arc<Kept>;

/// A running proxy; dropping it closes its port and all connections through it.
#[derive(Debug)]
pub struct Tap {
    address: SocketAddr,
    record: Record,
    cut: watch::Sender<()>,
    closed: Arc<AtomicBool>,
    weather: watch::Sender<Weather>,
    task: JoinHandle<()>,
}

impl Tap {
    /// Listens on a free loopback port and passes each connection on to `server`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(ports::loopback(0)).await?;
        let address = listener.local_addr()?;
        let record = Record::default();
        let (cut, _) = watch::channel(());
        let closed = Arc::<AtomicBool>::default();
        let (weather, sky) = watch::channel(Weather::Clear);
        let door = Door { server, record: Arc::clone(&record), closed: Arc::clone(&closed), sky };
        let task = tokio::spawn(serve(listener, door, cut.clone()));
        Ok(Self { address, record, cut, closed, weather, task })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Tap::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Everything so far, two streams a connection, in the order of connecting.
    pub fn streams(&self) -> Vec<Stream> {
        self.record.streams.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The bytes that went in `direction`, of all connections one after the other.
    pub fn bytes(&self, direction: Direction) -> Vec<u8> {
        let streams = self.streams();
        streams
            .into_iter()
            .filter(|one| one.direction == direction)
            .flat_map(|one| one.bytes)
            .collect()
    }

    /// All bytes of both directions; those of one connection and direction stand together.
    pub fn transcript(&self) -> Vec<u8> {
        self.streams().into_iter().flat_map(|one| one.bytes).collect()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.record.streams.lock().unwrap_or_else(PoisonError::into_inner).len() / 2
    }

    /// How many bytes have passed so far, both ways.
    pub fn passed(&self) -> u64 {
        self.record.passed.load(Ordering::SeqCst)
    }

    /// Records nothing from now on, for runs that are too long for it.
    pub fn forget(&self) {
        self.record.forgets.store(true, Ordering::SeqCst);
    }

    /// How bytes pass from now on, also over connections that are open.
    pub fn set_weather(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Breaks all connections of now, as a network fault would; new ones are taken.
    pub fn sever(&self) {
        self.cut.send_replace(());
    }

    /// Breaks all connections and ends each new one at once, until [`Tap::open`]: the server is out
    /// of reach. New ones are still counted.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.sever();
    }

    /// Takes connections again.
    pub fn open(&self) {
        self.closed.store(false, Ordering::SeqCst);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where connections lead, and whether any may pass.
struct Door {
    server: SocketAddr,
    record: Record,
    closed: Arc<AtomicBool>,
    sky: watch::Receiver<Weather>,
}

async fn serve(listener: TcpListener, door: Door, cut: watch::Sender<()>) {
    let Door { server, record, closed, sky } = door;
    // Aborting this task drops the set, which ends every connection.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let index = open(&record);
        if closed.load(Ordering::SeqCst) {
            continue;
        }
        let record = Arc::clone(&record);
        let mut severed = cut.subscribe();
        let (there, back) = (sky.clone(), sky.clone());
        connections.spawn(async move {
            // A server that is down closes the connection: that is what the client shall see.
            let Ok(upstream) = TcpStream::connect(server).await else { return };
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = upstream.into_split();
            let both = async {
                tokio::join!(
                    pass(from_client, to_server, (&record, index), there),
                    pass(from_server, to_client, (&record, index + 1), back),
                )
            };
            tokio::select! {
                _ = both => {}
                _ = severed.changed() => {}
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

/// Adds the two streams of a new connection and gives the index of the first.
fn open(record: &Record) -> usize {
    let mut streams = record.streams.lock().unwrap_or_else(PoisonError::into_inner);
    let index = streams.len();
    for direction in [Direction::ToServer, Direction::ToClient] {
        streams.push(Stream { direction, bytes: Vec::new() });
    }
    index
}

/// Copies until either end closes; then closes the other, so that the peer sees it.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    (record, index): (&Kept, usize),
    mut sky: watch::Receiver<Weather>,
) {
    let mut buffer = vec![0; PIECE];
    loop {
        let most = match *sky.borrow() {
            Weather::Slow(rate) => usize::try_from(rate / 10).unwrap_or(PIECE).clamp(1, PIECE),
            _ => PIECE,
        };
        let room = buffer.get_mut(..most).unwrap_or_default();
        let Ok(length @ 1..) = from.read(room).await else { break };
        endure(&mut sky, length).await;
        let bytes = buffer.get(..length).unwrap_or_default();
        keep(record, index, bytes);
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    // The peer may be gone already; there is nothing left to close then.
    to.shutdown().await.ok();
}

/// Waits as the weather makes these many bytes wait; weather that changes is felt at once.
async fn endure(sky: &mut watch::Receiver<Weather>, length: usize) {
    loop {
        let weather = *sky.borrow_and_update();
        let wait = match weather {
            Weather::Clear => return,
            Weather::Stalled => Duration::MAX,
            Weather::Slow(rate) => {
                let length = u32::try_from(length).unwrap_or(u32::MAX);
                Duration::from_secs(1) * length / rate.max(1)
            }
            Weather::Late(by) => by,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => return,
            changed = sky.changed() => if changed.is_err() { return },
        }
    }
}

/// Records bytes before they are passed on.
fn keep(record: &Kept, index: usize, bytes: &[u8]) {
    record.passed.fetch_add(u64::try_from(bytes.len()).unwrap_or(0), Ordering::SeqCst);
    if record.forgets.load(Ordering::SeqCst) {
        return;
    }
    let mut streams = record.streams.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(stream) = streams.get_mut(index) {
        stream.bytes.extend_from_slice(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each connection with what it got, in upper case.
    async fn shouting_server() -> SocketAddr {
        let listener = TcpListener::bind(ports::loopback(0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut buffer = [0; 64];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        stream.write_all(&buffer[..length].to_ascii_uppercase()).await.unwrap();
                    }
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream, text: &str) -> String {
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = vec![0; text.len()];
        stream.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn both_directions_are_recorded_and_unchanged() {
        let tap = Tap::start(shouting_server().await).await.unwrap();
        let mut one = TcpStream::connect(tap.address()).await.unwrap();
        let mut two = TcpStream::connect(tap.address()).await.unwrap();
        assert_eq!(ask(&mut one, "sec").await, "SEC");
        assert_eq!(ask(&mut two, "other").await, "OTHER");
        assert_eq!(ask(&mut one, "ret").await, "RET");
        assert_eq!(tap.connections(), 2);
        // Pieces of one connection join up although another spoke in between.
        assert_eq!(tap.transcript(), b"secretSECRETotherOTHER");
        assert_eq!(tap.bytes(Direction::ToServer), b"secretother");
    }

    #[tokio::test]
    async fn a_severed_connection_ends_and_a_new_one_works() {
        let tap = Tap::start(shouting_server().await).await.unwrap();
        let mut old = TcpStream::connect(tap.address()).await.unwrap();
        assert_eq!(ask(&mut old, "up").await, "UP");
        tap.sever();
        let ended = old.read(&mut [0; 8]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        let mut new = TcpStream::connect(tap.address()).await.unwrap();
        assert_eq!(ask(&mut new, "again").await, "AGAIN");
    }

    #[tokio::test]
    async fn a_closed_tap_lets_nothing_through_until_it_is_opened() {
        let tap = Tap::start(shouting_server().await).await.unwrap();
        tap.close();
        let mut shut_out = TcpStream::connect(tap.address()).await.unwrap();
        let ended = shut_out.read(&mut [0; 8]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        assert_eq!(tap.connections(), 1);
        tap.open();
        let mut new = TcpStream::connect(tap.address()).await.unwrap();
        assert_eq!(ask(&mut new, "again").await, "AGAIN");
    }

    #[tokio::test]
    async fn a_stalled_wire_takes_connections_and_passes_nothing_until_it_clears() {
        let tap = Tap::start(shouting_server().await).await.unwrap();
        tap.set_weather(Weather::Stalled);
        let mut client = TcpStream::connect(tap.address()).await.unwrap();
        client.write_all(b"late").await.unwrap();
        let mut answer = [0; 4];
        let patience = Duration::from_millis(200);
        let silence = tokio::time::timeout(patience, client.read_exact(&mut answer)).await;
        assert!(silence.is_err() && tap.passed() == 0, "{silence:?}");
        tap.set_weather(Weather::Clear);
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, tap.passed()), (b"LATE", 8));
    }

    #[tokio::test]
    async fn a_slow_wire_takes_its_time_and_loses_nothing() {
        let tap = Tap::start(shouting_server().await).await.unwrap();
        for (weather, least) in [
            (Weather::Slow(20), Duration::from_millis(200)),
            (Weather::Late(Duration::from_millis(100)), Duration::from_millis(200)),
        ] {
            tap.set_weather(weather);
            let mut client = TcpStream::connect(tap.address()).await.unwrap();
            let begin = tokio::time::Instant::now();
            assert_eq!(ask(&mut client, "slow").await, "SLOW");
            assert!(begin.elapsed() >= least, "{weather:?}: {:?}", begin.elapsed());
        }
    }

    #[tokio::test]
    async fn a_tap_that_forgets_still_passes_and_counts() {
        let tap = Tap::start(shouting_server().await).await.unwrap();
        tap.forget();
        let mut client = TcpStream::connect(tap.address()).await.unwrap();
        assert_eq!(ask(&mut client, "up").await, "UP");
        assert_eq!((tap.passed(), tap.transcript().len()), (4, 0));
    }

    #[tokio::test]
    async fn a_server_that_is_down_closes_the_client() {
        let tap = Tap::start(ports::loopback(ports::free().unwrap())).await.unwrap();
        let mut client = TcpStream::connect(tap.address()).await.unwrap();
        let ended = client.read(&mut [0; 8]).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
}
