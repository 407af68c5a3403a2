//! A disk in memory that forgets: what was not synced may be there after a crash, or not, by sector.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::keyring::{HEADER, Keyring, KeyringError, Medium};

/// Bytes that a drive writes whole or not at all.
pub(super) const SECTOR: usize = 512;

/// How the disk lies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Honesty {
    #[default]
    Honest,
    /// Every sync says that all is well and does nothing.
    LyingSync,
}

/// One file: what a reader sees, what is durable, and which sectors differ.
#[derive(Debug, Default)]
struct Side {
    seen: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Debug)]
struct State {
    files: [Side; 2],
    rng: u64,
    /// Writes and syncs until the power fails; `None` for never.
    fuse: Option<u32>,
    /// Whether the next sync fails.
    sync_fails: bool,
    /// Handles of earlier lives write nothing.
    life: u32,
    honesty: Honesty,
}

/// The disk. Survives its crashes.
#[derive(Clone, Debug)]
pub(super) struct Disk(Arc<Mutex<State>>);

/// One file in one life of the machine.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    disk: Disk,
    file: usize,
    life: u32,
}

impl State {
    fn random(&mut self, below: u32) -> u32 {
        // SplitMix64.
        self.rng = self.rng.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.rng;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        u32::try_from((mixed ^ (mixed >> 31)) % u64::from(below)).unwrap()
    }

    /// Some of what is dirty reaches the disk, as a kernel does when it likes.
    fn write_back(&mut self, one_in: u32) {
        for file in 0..self.files.len() {
            let dirty: Vec<usize> = self.files[file].dirty.iter().copied().collect();
            for sector in dirty {
                if self.random(one_in) == 0 {
                    self.files[file].settle(sector);
                }
            }
        }
    }

    fn crash(&mut self) {
        self.write_back(2);
        for side in &mut self.files {
            side.seen = side.durable.clone();
            side.dirty.clear();
        }
        (self.fuse, self.sync_fails) = (None, false);
        self.life += 1;
    }
}

impl Side {
    fn settle(&mut self, sector: usize) {
        let from = sector * SECTOR;
        let to = (from + SECTOR).min(self.seen.len());
        if from < to {
            if self.durable.len() < to {
                self.durable.resize(to, 0);
            }
            self.durable[from..to].copy_from_slice(&self.seen[from..to]);
        }
        self.dirty.remove(&sector);
    }

    fn sync(&mut self) {
        self.durable = self.seen.clone();
        self.dirty.clear();
    }
}

impl Disk {
    pub(super) fn new(seed: u64, honesty: Honesty) -> Self {
        let keyring =
            Side { seen: HEADER.to_vec(), durable: HEADER.to_vec(), dirty: BTreeSet::new() };
        let files = [Side::default(), keyring];
        let (fuse, sync_fails, life) = (None, false, 0);
        let state = State { files, rng: seed, fuse, sync_fails, life, honesty };
        Self(Arc::new(Mutex::new(state)))
    }

    /// A disk that holds these bytes.
    pub(super) fn holding([store, keyring]: [Vec<u8>; 2]) -> Self {
        let disk = Self::new(0, Honesty::Honest);
        for (side, bytes) in disk.0.lock().unwrap().files.iter_mut().zip([store, keyring]) {
            (side.seen, side.durable) = (bytes.clone(), bytes);
        }
        disk
    }

    fn handle(&self, file: usize) -> Handle {
        let life = self.0.lock().unwrap().life;
        Handle { disk: self.clone(), file, life }
    }

    /// The book's file.
    pub(super) fn store(&self) -> Handle {
        self.handle(0)
    }

    /// The keyring on this disk.
    pub(super) fn keyring(&self) -> Result<Keyring, KeyringError> {
        Keyring::over(PathBuf::from("keyring"), Box::new(self.handle(1)))
    }

    /// The power fails now.
    pub(super) fn crash(&self) {
        self.0.lock().unwrap().crash();
    }

    /// The power fails at one of the next writes or syncs.
    pub(super) fn crash_after(&self, steps: u32) {
        self.0.lock().unwrap().fuse = Some(steps);
    }

    /// The next sync fails, and what it should have written counts as written for the kernel.
    pub(super) fn fail_sync(&self) {
        self.0.lock().unwrap().sync_fails = true;
    }

    pub(super) fn write_back(&self) {
        self.0.lock().unwrap().write_back(2);
    }

    /// Whether the power failed since this was last asked for.
    pub(super) fn is_off(&self) -> bool {
        self.0.lock().unwrap().fuse == Some(0)
    }

    /// What is durable of the book's file and the keyring.
    pub(super) fn durable(&self) -> [Vec<u8>; 2] {
        let state = self.0.lock().unwrap();
        [state.files[0].durable.clone(), state.files[1].durable.clone()]
    }
}

impl Handle {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.disk.0.lock().unwrap();
        if state.life != self.life || state.fuse == Some(0) {
            return Err(io::Error::other("the power is off"));
        }
        act(&mut state)
    }

    /// As `with` for what changes the disk: a step on the way to the crash.
    fn change<T>(&self, act: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.with(|state| {
            if let Some(fuse) = &mut state.fuse {
                *fuse -= 1;
                if *fuse == 0 {
                    return Err(io::Error::other("the power fails"));
                }
            }
            if state.random(16) == 0 {
                state.write_back(3);
            }
            act(state)
        })
    }

    fn length(&self) -> io::Result<u64> {
        self.with(|state| Ok(u64::try_from(state.files[self.file].seen.len()).unwrap()))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|state| {
            let from = usize::try_from(offset).unwrap();
            let bytes = state.files[self.file].seen.get(from..from + out.len());
            let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
            out.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.change(|state| {
            let (from, side) = (usize::try_from(offset).unwrap(), &mut state.files[self.file]);
            let to = from + bytes.len();
            if side.seen.len() < to {
                side.seen.resize(to, 0);
            }
            side.seen[from..to].copy_from_slice(bytes);
            side.dirty.extend(from / SECTOR..to.div_ceil(SECTOR));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.change(|state| {
            if std::mem::take(&mut state.sync_fails) {
                state.files[self.file].dirty.clear();
                return Err(io::Error::other("the disk failed"));
            }
            if state.honesty == Honesty::Honest {
                state.files[self.file].sync();
            }
            Ok(())
        })
    }
}

impl Medium for Handle {
    fn length(&self) -> io::Result<u64> {
        Self::length(self)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read(offset, bytes)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write(offset, bytes)
    }

    fn sync(&self) -> io::Result<()> {
        Self::sync(self)
    }
}

impl redb::StorageBackend for Handle {
    fn len(&self) -> io::Result<u64> {
        self.length()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        Self::read(self, offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        // A new length is in the file system's journal before anything that follows it.
        self.change(|state| {
            let (len, side) = (usize::try_from(len).unwrap(), &mut state.files[self.file]);
            side.seen.resize(len, 0);
            side.durable.resize(len, 0);
            side.dirty.retain(|sector| sector * SECTOR < len);
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync(self)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        Self::write(self, offset, data)
    }
}
