//! The collector as a process that can be killed: its folder stays, all else is gone.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use imprimatur_collector::answer::Signer;
use imprimatur_collector::checks::Checks;
use imprimatur_collector::lanes::lanes;
use imprimatur_collector::offered::Offered;
use imprimatur_collector::publisher::{Publisher, Stores};
use imprimatur_collector::rights::challenge::Challenges;
use imprimatur_collector::rights::reading::Readings;
use imprimatur_collector::service::{Door, READINGS, STREAM_IDLE};
use imprimatur_collector::tally::Tally;
use imprimatur_collector::writer::Writer;
use imprimatur_collector::{CollectorError, CollectorSettings};
use imprimatur_consent::VerifyingKey;
use imprimatur_lake::Lake;
use imprimatur_ledger::Book;
use imprimatur_runtime::Clock;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often a run's collector publishes.
const PUBLISH_EVERY: Duration = Duration::from_mins(1);

/// Why a collector cannot be had.
pub type Failed = Box<dyn std::error::Error>;

/// A collector, running or not.
#[derive(Debug)]
pub struct Node {
    folder: TempDir,
    clock: Arc<dyn Clock>,
    running: Option<Running>,
    /// For the forgetful: what a crash goes back to.
    remembered: Option<TempDir>,
}

#[derive(Debug)]
struct Running {
    door: Door,
    gone: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.gone.cancel();
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Node {
    /// A collector with an empty folder, running.
    ///
    /// # Errors
    /// The folder's.
    pub fn start(clock: Arc<dyn Clock>) -> Result<Self, Failed> {
        let mut node = Self { folder: folder()?, clock, running: None, remembered: None };
        node.restart()?;
        Ok(node)
    }

    /// Its door while it runs, and what ends with it.
    pub fn door(&self) -> Option<(Door, CancellationToken)> {
        self.running.as_ref().map(|running| (running.door.clone(), running.gone.clone()))
    }

    /// Where its data is.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The key that agents pin.
    ///
    /// # Errors
    /// When it does not run.
    pub fn key(&self) -> Result<VerifyingKey, Failed> {
        let running = self.running.as_ref().ok_or("the collector does not run")?;
        Ok(VerifyingKey::from_bytes(&running.door.signer.public())?)
    }

    /// Keeps a copy to which a forgetful crash goes back.
    ///
    /// # Errors
    /// The copy's.
    pub fn remember(&mut self) -> Result<(), Failed> {
        let copy = folder()?;
        copy_folder(self.folder.path(), copy.path())?;
        self.remembered = Some(copy);
        Ok(())
    }

    /// Takes it away: what it wrote is there, what it had in memory is not.
    ///
    /// # Errors
    /// The copy's.
    pub fn kill(&mut self) -> Result<(), Failed> {
        let left = if let Some(earlier) = self.remembered.take() {
            earlier
        } else {
            let copy = folder()?;
            copy_folder(self.folder.path(), copy.path())?;
            copy
        };
        self.running = None;
        self.folder = left;
        Ok(())
    }

    /// Starts it over what is left.
    ///
    /// # Errors
    /// What the collector says at its start.
    pub fn restart(&mut self) -> Result<(), Failed> {
        let settings = CollectorSettings {
            publish_every: PUBLISH_EVERY,
            ..CollectorSettings::local(self.data())
        };
        self.running = Some(run(&settings, &self.clock)?);
        Ok(())
    }
}

/// Keeps files in memory where that can be: a run writes some megabytes.
fn folder() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

pub(crate) fn scratch() -> io::Result<TempDir> {
    folder()
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    fs::set_permissions(to, fs::metadata(from)?.permissions())?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn run(settings: &CollectorSettings, clock: &Arc<dyn Clock>) -> Result<Running, Failed> {
    let book = Book::open(&settings.data)?;
    let signer = Arc::new(Signer::open(&settings.key())?);
    let offered = Offered::open(&book, &settings.policies, settings.published(), clock.now())?;
    let (tally, readings) = (Arc::new(Tally::default()), Arc::new(Readings::default()));
    let (offered, challenges) = (Arc::new(offered), Arc::new(Challenges::new()?));
    let stores = Stores {
        book: book.clone(),
        signer: Arc::clone(&signer),
        readings: Arc::clone(&readings),
        tally: Arc::clone(&tally),
        clock: Arc::clone(clock),
    };
    let publisher = Publisher::open(settings, stores)?;
    let (lanes, queue) = lanes();
    let gone = CancellationToken::new();
    let door = Door {
        book: book.clone(),
        lake: Lake::open(settings.lake())?,
        signer: Arc::clone(&signer),
        challenges: Arc::clone(&challenges),
        readings: Arc::clone(&readings),
        reading: Arc::new(Semaphore::new(READINGS)),
        tally: Arc::clone(&tally),
        clock: Arc::clone(clock),
        checks: Arc::new(Checks::of(512, 1)),
        urgent_checks: Arc::new(Checks::of(512, 1)),
        lanes,
        stream_idle: STREAM_IDLE,
        stop: gone.clone(),
    };
    let clock = Arc::clone(clock);
    let writer = Writer { book, signer, offered, challenges, readings, tally, clock };
    // A store that fails ends the process: here the run, because nothing breaks these disks.
    let writing = async move {
        if let Err(error) = writer.work(queue).await {
            panicked(&error);
        }
    };
    let publishing = publish(publisher, settings.publish_every);
    let tasks = vec![tokio::task::spawn_local(writing), tokio::task::spawn_local(publishing)];
    Ok(Running { door, gone, tasks })
}

async fn publish(mut publisher: Publisher, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = publisher.publish() {
            panicked(&error);
        }
    }
}

#[expect(clippy::panic, reason = "a run that cannot be judged must not pass")]
fn panicked(error: &dyn std::error::Error) {
    panic!("the collector's store failed: {error}");
}

/// The last publication, after which the folder can be read.
///
/// # Errors
/// [`CollectorError`].
pub fn publish_once(data: &Path, clock: &Arc<dyn Clock>) -> Result<usize, CollectorError> {
    let settings = CollectorSettings::local(data.to_owned());
    let book = Book::open(&settings.data)?;
    let stores = Stores {
        book,
        signer: Arc::new(Signer::open(&settings.key())?),
        readings: Arc::new(Readings::default()),
        tally: Arc::new(Tally::default()),
        clock: Arc::clone(clock),
    };
    Publisher::open(&settings, stores)?.publish()
}
