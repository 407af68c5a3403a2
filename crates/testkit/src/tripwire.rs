//! A port that nobody may touch: proves that a program opens no connection.
//!
//! Keeps true: [`Tripwire::touches`] counts every connection that was opened before it was called,
//! also one that the kernel had not yet handed over.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::{ports, wait};

/// Bytes kept of each connection: enough to see a TLS or MQTT greeting or an HTTP request line.
const KEPT: usize = 1024;

/// A connection that should not have been.
#[derive(Clone, Debug)]
pub struct Touch {
    /// Who connected.
    pub from: SocketAddr,
    /// The first bytes that were sent, at most 1024.
    pub first_bytes: Vec<u8>,
}

type Record = Arc<Mutex<Vec<Touch>>>;

/// A listening port on 127.0.0.1 that answers nothing; dropping it closes it.
#[derive(Debug)]
pub struct Tripwire {
    address: SocketAddr,
    record: Record,
    markers: Mutex<HashSet<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Tripwire {
    /// Listens on a free port.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind(ports::loopback(0)).await?;
        let address = listener.local_addr()?;
        let record = Record::default();
        let task = tokio::spawn(listen(listener, Arc::clone(&record)));
        Ok(Self { address, record, markers: Mutex::default(), task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port of [`Tripwire::address`].
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// All connections so far.
    ///
    /// The kernel hands connections over in order, so this connects itself, waits until that
    /// connection is recorded, and leaves it out.
    ///
    /// # Errors
    /// When the port cannot be reached: the tripwire itself is broken then, and proves nothing.
    pub async fn touches(&self) -> io::Result<Vec<Touch>> {
        let marker = TcpStream::connect(self.address).await?;
        let from = marker.local_addr()?;
        self.markers.lock().unwrap_or_else(PoisonError::into_inner).insert(from);
        wait::until(Duration::from_secs(5), "the tripwire's own mark", async || {
            if self.all().iter().any(|touch| touch.from == from) { Ok(()) } else { Err("absent") }
        })
        .await
        .map_err(io::Error::other)?;
        let markers = self.markers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.all().into_iter().filter(|touch| !markers.contains(&touch.from)).collect())
    }

    fn all(&self) -> Vec<Touch> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Tripwire {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, record: Record) {
    let mut open = JoinSet::new();
    while let Ok((stream, from)) = listener.accept().await {
        let index = {
            let mut touches = record.lock().unwrap_or_else(PoisonError::into_inner);
            touches.push(Touch { from, first_bytes: Vec::new() });
            touches.len() - 1
        };
        open.spawn(keep(stream, index, Arc::clone(&record)));
    }
}

/// Keeps what comes first, then holds the connection open without an answer until the peer closes.
async fn keep(mut stream: TcpStream, index: usize, record: Record) {
    let mut kept = 0;
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let mut touches = record.lock().unwrap_or_else(PoisonError::into_inner);
        let room = KEPT.saturating_sub(kept).min(length);
        if let (Some(touch), Some(bytes)) = (touches.get_mut(index), buffer.get(..room)) {
            touch.first_bytes.extend_from_slice(bytes);
        }
        kept += room;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_port_that_nobody_touched_has_no_touches() {
        let wire = Tripwire::start().await.unwrap();
        assert!(wire.touches().await.unwrap().is_empty());
        assert!(wire.touches().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_touch_is_counted_at_once_even_without_a_byte() {
        let wire = Tripwire::start().await.unwrap();
        drop(TcpStream::connect(wire.address()).await.unwrap());
        assert_eq!(wire.touches().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn the_first_bytes_are_kept() {
        let wire = Tripwire::start().await.unwrap();
        let mut stream = TcpStream::connect(wire.address()).await.unwrap();
        stream.write_all(&[b'x'; 3000]).await.unwrap();
        wait::until(Duration::from_secs(5), "the bytes", async || {
            let touches = wire.touches().await.unwrap();
            let length = touches[0].first_bytes.len();
            if length == 1024 { Ok(()) } else { Err(length) }
        })
        .await
        .unwrap();
    }
}
