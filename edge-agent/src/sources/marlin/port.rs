//! A serial port that is this agent's alone: looked for in other programs' hands first, then locked.
//!
//! Keeps true: a port that another program is seen to hold is not opened, because opening restarts
//! many boards; what is opened is locked in both ways that programs know (`TIOCEXCL`, `flock`), and
//! closing it does not lower the line that restarts them.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, OptionalActions, QueueSelector, ioctl_tiocexcl, tcflush, tcgetattr, tcsetattr,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use crate::sources::error::SourceError;

/// A line of ten bytes needs 10 ms at 9600 baud: a port that takes none for so long is dead.
const WRITE_MAX: Duration = Duration::from_secs(5);

/// An open port.
#[derive(Debug)]
pub(crate) struct Port {
    fd: AsyncFd<OwnedFd>,
}

impl Port {
    /// Opens and locks `path` at `baud` bits per second: 8 data bits, no parity, one stop bit.
    pub(crate) async fn open(path: &Path, baud: u32) -> Result<Self, SourceError> {
        let own = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || lock(&own, baud)).await;
        let result = opened.map_err(io::Error::other).and_then(|result| result);
        #[expect(
            deprecated,
            reason = "its successor is `unsafe`, for types whose descriptor may change: this one cannot"
        )]
        let fd = match result {
            Err(error) if error.raw_os_error() == Some(Errno::BUSY.raw_os_error()) => {
                return Err(SourceError::PortTaken { path: path.to_owned() });
            }
            result => result.and_then(AsyncFd::new),
        };
        fd.map(|fd| Self { fd })
            .map_err(|source| SourceError::Port { path: path.to_owned(), source })
    }

    /// What came, at least one byte; cancel-safe.
    pub(crate) async fn read(&self, into: &mut [u8]) -> Result<usize, SourceError> {
        let read = self.fd.async_io(Interest::READABLE, |fd| Ok(rustix::io::read(fd, &mut *into)?));
        match read.await {
            Ok(length @ 1..) => Ok(length),
            Ok(0) | Err(_) => Err(SourceError::Closed),
        }
    }

    /// Sends a short line.
    pub(crate) async fn write(&self, text: &str) -> Result<(), SourceError> {
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let write = self.fd.async_io(Interest::WRITABLE, |fd| Ok(rustix::io::write(fd, left)?));
            match timeout(WRITE_MAX, write).await {
                Ok(Ok(length)) => left = left.get(length..).unwrap_or_default(),
                Ok(Err(_)) | Err(_) => return Err(SourceError::Closed),
            }
        }
        Ok(())
    }
}

/// Opens what nobody else holds; `BUSY` when somebody does.
fn lock(path: &Path, baud: u32) -> io::Result<OwnedFd> {
    let device = fs::canonicalize(path)?;
    if is_held(&device) {
        return Err(Errno::BUSY.into());
    }
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = open(&device, flags, Mode::empty())?;
    ioctl_tiocexcl(&fd)?;
    flock(&fd, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
        Errno::WOULDBLOCK => Errno::BUSY,
        other => other,
    })?;
    set_up(&fd, baud)?;
    Ok(fd)
}

fn set_up(fd: impl AsFd, baud: u32) -> io::Result<()> {
    let mut modes = tcgetattr(&fd)?;
    modes.make_raw();
    modes.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
    let off =
        ControlModes::HUPCL | ControlModes::CRTSCTS | ControlModes::CSTOPB | ControlModes::PARENB;
    modes.control_modes -= off;
    modes.set_speed(baud)?;
    tcsetattr(&fd, OptionalActions::Now, &modes)?;
    tcflush(&fd, QueueSelector::IFlush)?;
    Ok(())
}

/// Whether a program is seen that has `device` open: those of the agent's own account, or all when
/// it may look. A look that fails finds nothing; the locks are still to come.
pub(crate) fn is_held(device: &Path) -> bool {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    let is_process = |name: &std::ffi::OsStr| {
        name.to_str().is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
    };
    folders.filter(|folder| is_process(&folder.file_name())).any(|folder| {
        let mut open = fs::read_dir(folder.path().join("fd")).into_iter().flatten().flatten();
        open.any(|file| fs::read_link(file.path()).is_ok_and(|held| held == device))
    })
}
