//! Reads the publications out of a recorded MQTT 5 stream.
//!
//! Only what a test needs: fixed header, topic, payload. A packet that was cut off is left out.

use crate::tap::{Direction, Tap};

/// A PUBLISH packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its topic.
    pub topic: String,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// All publications that went in `direction`, connection by connection.
pub fn published(tap: &Tap, direction: Direction) -> Vec<Published> {
    let streams = tap.streams();
    let streams = streams.iter().filter(|stream| stream.direction == direction);
    streams.flat_map(|stream| publications(&stream.bytes)).collect()
}

/// The publications of one stream.
pub fn publications(mut stream: &[u8]) -> Vec<Published> {
    let mut found = Vec::new();
    while let Some((&first, rest)) = stream.split_first() {
        let Some((body, rest)) = sized(rest) else { break };
        stream = rest;
        if first >> 4 == 3 {
            found.extend(publication(body, (first >> 1) & 3 > 0));
        }
    }
    found
}

fn publication(body: &[u8], numbered: bool) -> Option<Published> {
    let (length, body) = body.split_first_chunk::<2>()?;
    let (topic, body) = body.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    let body = if numbered { body.get(2..)? } else { body };
    let (_properties, payload) = sized(body)?;
    let topic = String::from_utf8_lossy(topic).into_owned();
    Some(Published { topic, payload: payload.to_vec() })
}

/// What a length in front covers, and the rest.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length = 0_usize;
    for (place, &byte) in bytes.iter().enumerate().take(4) {
        length |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return bytes.get(place + 1..)?.split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publications_are_found_between_other_packets() {
        let ping = [0xC0, 0];
        let one = [0x32, 8, 0, 1, b'a', 0, 7, 0, b'x', b'y'];
        let two = [0x30, 4, 0, 1, b'b', 0];
        let stream = [&ping[..], &one, &ping, &two, &[0x30, 9, 0]].concat();
        let of = |topic: &str, payload: &[u8]| Published {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
        };
        assert_eq!(publications(&stream), [of("a", b"xy"), of("b", b"")]);
    }
}
