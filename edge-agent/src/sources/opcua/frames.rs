//! A machine's bytes, bounded: each message says its length first, and a length beyond the bound ends the
//! connection before anything of it is kept.
//!
//! The library's own reader waits for as many bytes as a message says that it has, up to 4 GiB.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use opcua_client::transport::{Connector, StreamConnection, StreamConnector};
use opcua_core::comms::tcp_codec::TcpCodec;
use opcua_types::{DecodingOptions, Error, StatusCode};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio_util::codec::FramedRead;

/// Longest message, or part of one, that is taken, bytes: what a machine tells of its security, with a
/// certificate for each way, is below 32 KiB.
pub(super) const FRAME_BYTES_MAX: usize = 128 * 1024;

/// Shortest message: a header, a channel and a token.
const FRAME_BYTES_MIN: usize = 16;

/// Type and length.
const HEAD_BYTES: usize = 8;

/// A reader of messages whose lengths are within bounds.
struct Bounded<R> {
    inner: R,
    head: [u8; HEAD_BYTES],
    /// Bytes of the head that came.
    known: usize,
    /// Bytes that are left of the message.
    left: usize,
}

/// A connector to the machine at `url`.
pub(super) fn connector(url: &str) -> impl Connector + use<> {
    StreamConnector::new(connect, url.to_owned())
}

async fn connect(
    url: String,
    options: DecodingOptions,
) -> Result<StreamConnection<Bounded<OwnedReadHalf>, tokio::net::tcp::OwnedWriteHalf>, Error> {
    let unreachable = |_no_answer| Error::new(StatusCode::BadCommunicationError, "no answer");
    let place = url.strip_prefix("opc.tcp://").unwrap_or_default();
    let place = place.split('/').next().unwrap_or_default();
    let stream = TcpStream::connect(place).await.map_err(unreachable)?;
    let (read, write) = stream.into_split();
    let read = Bounded { inner: read, head: [0; HEAD_BYTES], known: 0, left: 0 };
    Ok(StreamConnection::new(FramedRead::new(read, TcpCodec::new(options)), write, url))
}

impl<R> Bounded<R> {
    /// Follows the messages through what came.
    fn follow(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.left > 0 {
                let body = self.left.min(bytes.len());
                self.left -= body;
                bytes = bytes.get(body..).unwrap_or_default();
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else { break };
            if let Some(place) = self.head.get_mut(self.known) {
                *place = *first;
            }
            self.known += 1;
            bytes = rest;
            if self.known == HEAD_BYTES {
                self.known = 0;
                let [.., a, b, c, d] = self.head;
                let length = usize::try_from(u32::from_le_bytes([a, b, c, d]));
                let length = length.unwrap_or(usize::MAX);
                if !(FRAME_BYTES_MIN..=FRAME_BYTES_MAX).contains(&length) {
                    return Err(io::Error::from(io::ErrorKind::InvalidData));
                }
                self.left = length - HEAD_BYTES;
            }
        }
        Ok(())
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(context, buffer) {
            Poll::Ready(Ok(())) => {
                let came = buffer.filled().get(before..).unwrap_or_default();
                Poll::Ready(self.follow(came))
            }
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(length: usize) -> Vec<u8> {
        let mut bytes = b"MSGF".to_vec();
        bytes.extend(u32::try_from(length).unwrap().to_le_bytes());
        bytes.resize(length.clamp(HEAD_BYTES, FRAME_BYTES_MAX), 7);
        bytes
    }

    /// Whether these bytes pass, however they are cut.
    fn passes(bytes: &[u8]) -> bool {
        let cut = |size| {
            let mut reader = Bounded { inner: (), head: [0; HEAD_BYTES], known: 0, left: 0 };
            bytes.chunks(size).all(|part| reader.follow(part).is_ok())
        };
        let whole = cut(bytes.len());
        assert_eq!((cut(1), cut(7), cut(4096)), (whole, whole, whole));
        whole
    }

    #[test]
    fn messages_within_the_bounds_pass_and_others_end_the_connection() {
        let two = [message(FRAME_BYTES_MIN), message(FRAME_BYTES_MAX)].concat();
        assert!(passes(&two));
        for length in [0, 7, FRAME_BYTES_MIN - 1, FRAME_BYTES_MAX + 1, 0xFFFF_FFFF] {
            assert!(!passes(&message(length)), "{length}");
            assert!(!passes(&[message(40), message(length)].concat()), "{length}");
        }
    }
}
