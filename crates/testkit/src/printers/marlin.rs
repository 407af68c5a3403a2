//! A board with Marlin on a pseudo-terminal: its documented lines at the pace of a real serial line.
//!
//! Keeps true: every byte takes the time that it takes at the board's baud rate, and what was said
//! and asked is kept, so that a test can compare. It is no Marlin: it answers the questions that
//! are documented, refuses all others by name, and moves nothing.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::fs::{OFlags, fcntl_setfl};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::peers::PeerError;

/// Between two steps of the simulated board.
const STEP: Duration = Duration::from_millis(100);

/// Steps between two reports that nobody asks for: 2 s on a real board, here 200 ms.
const REPORT_STEPS: u64 = 2;

/// What a heater gains or loses in a step, degrees Celsius.
const STEP_CELSIUS: f64 = 20.0;

/// Seconds that the clock of a print gains in a step.
const STEP_SECONDS: u64 = 30;

/// Bytes that are sent before the line's pace is waited for: 1.4 ms at 115200 baud.
const CHUNK: usize = 16;

/// Bits of a byte on the line: start, eight of data, stop.
const BITS: u32 = 10;

/// Between two looks at what came: a question has five bytes.
const LOOK: Duration = Duration::from_millis(5);

/// Whose lines they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `T:200.00 /210.00`, as Marlin writes.
    Marlin,
    /// `T:200.00/ 210.00`, as `OctoPrint`'s virtual printer writes.
    Virtual,
    /// As Marlin, with the tool, probe and ambient values that Prusa adds.
    Prusa,
}

/// What kind of board it is.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Bits per second.
    pub baud: u32,
    /// How it writes temperatures.
    pub dialect: Dialect,
    /// Whether it knows `M155`.
    pub reports: bool,
}

/// What happens at the board.
#[derive(Clone, Debug)]
pub enum Order {
    /// Set-points of nozzle and bed, degrees Celsius.
    Heat(f64, f64),
    /// A person starts a print from the card.
    Print,
    /// The file is printed to its end.
    Finish,
    /// A person stops the print; the board says so only with host actions.
    Stop {
        /// Whether it is told.
        told: bool,
    },
    /// The board says a line of its own.
    Say(String),
    /// A fault by Marlin's text, after which the board halts.
    Kill(String),
    /// Bytes that are no line of Marlin's.
    Noise(Vec<u8>),
    /// The board restarts.
    Reset,
}

/// What was said and asked so far.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// Lines that came, in order.
    pub asked: Vec<String>,
    /// Nozzle and its set-point as they were written, hundredths of a degree.
    pub nozzle: Vec<(i64, i64)>,
    /// Seconds of a print as they were told, in order.
    pub seconds: Vec<u64>,
}

/// A board that runs; ends when dropped.
#[derive(Debug)]
pub struct PlayedMarlin {
    path: PathBuf,
    orders: mpsc::Sender<Order>,
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Drop for PlayedMarlin {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl PlayedMarlin {
    /// Plugs a board in; it starts when the first order or question comes.
    ///
    /// # Errors
    /// When the kernel gives no pseudo-terminal.
    pub fn start(board: Board) -> Result<Self, PeerError> {
        let (path, master) =
            terminal().map_err(|source| PeerError::run("a pseudo-terminal", source))?;
        let (orders, ordered) = mpsc::channel(64);
        let told = Arc::new(Mutex::new(Told::default()));
        let running = Running {
            board,
            master,
            told: Arc::clone(&told),
            out: Vec::new(),
            line: Vec::new(),
            state: State::default(),
        };
        let task = tokio::spawn(running.run(ordered));
        Ok(Self { path, orders, told, task })
    }

    /// The device.
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// Lets something happen.
    ///
    /// # Errors
    /// When the board's task ended.
    pub async fn order(&self, order: Order) -> Result<(), PeerError> {
        let sent = self.orders.send(order).await;
        sent.map_err(|_ended| PeerError::run("the board", io::Error::other("it ended")))
    }

    /// What was said and asked so far.
    pub fn told(&self) -> Told {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A raw pseudo-terminal: the path of its port and the board's side.
fn terminal() -> io::Result<(PathBuf, OwnedFd)> {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let name = ptsname(&master, Vec::new())?;
    let path = PathBuf::from(name.to_string_lossy().into_owned());
    // A port that was open once keeps its modes: without this it would echo until the agent's.
    let port = File::options().read(true).write(true).open(&path)?;
    let mut modes = tcgetattr(&port)?;
    modes.make_raw();
    tcsetattr(&port, OptionalActions::Now, &modes)?;
    fcntl_setfl(&master, OFlags::RDWR | OFlags::NONBLOCK)?;
    Ok((path, master))
}

#[derive(Clone, Debug, Default)]
struct State {
    nozzle: (f64, f64),
    bed: (f64, f64),
    printing: bool,
    seconds: u64,
    reports: bool,
    halted: bool,
    steps: u64,
}

struct Running {
    board: Board,
    master: OwnedFd,
    told: Arc<Mutex<Told>>,
    out: Vec<u8>,
    line: Vec<u8>,
    state: State,
}

impl Running {
    async fn run(mut self, mut orders: mpsc::Receiver<Order>) {
        let mut steps = interval(STEP);
        steps.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut free = Instant::now();
        let mut bytes = [0; 64];
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(order) => self.obey(order),
                    None => return,
                },
                _ = steps.tick() => self.step(),
                () = tokio::time::sleep_until(free), if !self.out.is_empty() => {
                    free = Instant::now() + self.send();
                }
                length = receive(&self.master, &mut bytes) => {
                    self.take(bytes.get(..length).unwrap_or_default());
                }
            }
        }
    }

    /// Sends some bytes; gives how long they take on the line.
    fn send(&mut self) -> Duration {
        let length = self.out.len().min(CHUNK);
        let chunk: Vec<u8> = self.out.drain(..length).collect();
        // A line that nobody listens to loses what is sent.
        let sent = rustix::io::write(&self.master, &chunk).unwrap_or(length);
        let sent = u32::try_from(sent).unwrap_or_default();
        Duration::from_secs(1) * (sent * BITS) / self.board.baud
    }

    fn take(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
            self.told().asked.push(line.clone());
            if !self.state.halted {
                self.answer(&line);
            }
        }
    }

    fn answer(&mut self, line: &str) {
        match line {
            "M105" => {
                let text = self.temperatures();
                self.say(&format!("ok {text}"));
            }
            "M155 S2" if self.board.reports => {
                self.state.reports = true;
                self.say("ok");
            }
            "M27" => {
                let state = if self.state.printing {
                    "SD printing byte 123/4567"
                } else {
                    "Not SD printing"
                };
                self.say(state);
                self.say("ok");
            }
            "M31" => {
                let seconds = self.state.seconds;
                self.told().seconds.push(seconds);
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                self.say(&format!("echo:Print time: {hours}h {minutes}m {}s", seconds % 60));
                self.say("ok");
            }
            other => {
                self.say(&format!("echo:Unknown command: \"{other}\""));
                self.say("ok");
            }
        }
    }

    fn obey(&mut self, order: Order) {
        let state = &mut self.state;
        match order {
            Order::Heat(nozzle, bed) => {
                state.nozzle.1 = nozzle;
                state.bed.1 = bed;
            }
            Order::Print => {
                state.printing = true;
                state.seconds = 0;
            }
            Order::Finish => {
                state.printing = false;
                self.say("Done printing file");
            }
            Order::Stop { told } => {
                state.printing = false;
                if told {
                    self.say("//action:cancel");
                }
            }
            Order::Say(line) => self.say(&line),
            Order::Kill(text) => {
                state.halted = true;
                self.say(&format!("Error:{text}"));
                self.say("Error:Printer halted. kill() called!");
            }
            Order::Noise(bytes) => self.out.extend_from_slice(&bytes),
            Order::Reset => {
                *state = State {
                    nozzle: (state.nozzle.0, 0.0),
                    bed: (state.bed.0, 0.0),
                    ..State::default()
                };
                self.out.clear();
                // What a line carries while the board has no rate yet.
                self.out.extend_from_slice(&[0x00, 0xff, 0xfe, 0x80]);
                for line in ["start", "echo:Marlin 2.1.2", "echo: Last Updated: 2023-01-16"] {
                    self.say(line);
                }
            }
        }
    }

    fn step(&mut self) {
        let state = &mut self.state;
        state.steps += 1;
        if state.halted {
            return;
        }
        for (actual, target) in [&mut state.nozzle, &mut state.bed] {
            let goal = target.max(21.0);
            *actual += (goal - *actual).clamp(-STEP_CELSIUS, STEP_CELSIUS);
        }
        if state.printing {
            state.seconds += STEP_SECONDS;
        }
        if state.reports && state.steps.is_multiple_of(REPORT_STEPS) {
            let text = self.temperatures();
            self.say(&text);
        }
    }

    /// The heaters as they are, in the board's dialect; noted as told.
    fn temperatures(&self) -> String {
        let State { nozzle, bed, .. } = self.state;
        let slash = if self.board.dialect == Dialect::Virtual { "/ " } else { " /" };
        let pair = |(actual, target): (f64, f64)| format!("{actual:.2}{slash}{target:.2}");
        let (tool, probe) = match self.board.dialect {
            Dialect::Prusa => (format!(" T0:{}", pair(nozzle)), " P:25.60 A:31.20"),
            Dialect::Marlin | Dialect::Virtual => (String::new(), ""),
        };
        let hundredths = |value: f64| format!("{value:.2}").replace('.', "").parse().unwrap_or(-1);
        self.told().nozzle.push((hundredths(nozzle.0), hundredths(nozzle.1)));
        format!("T:{} B:{}{tool} @:64 B@:0{probe}", pair(nozzle), pair(bed))
    }

    fn say(&mut self, line: &str) {
        self.out.extend_from_slice(line.as_bytes());
        self.out.push(b'\n');
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came, once something did.
///
/// A master whose port was closed once is told as closed for ever by the kernel's readiness, so that
/// only looking tells.
async fn receive(master: &OwnedFd, into: &mut [u8]) -> usize {
    loop {
        if let Ok(length @ 1..) = rustix::io::read(master, &mut *into) {
            return length;
        }
        sleep(LOOK).await;
    }
}
