//! Disguises: how the same bytes look in hex and in base64, there and back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// How bytes were written where they were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// As they are.
    Plain,
    /// Hexadecimal, either case.
    Hex,
    /// Base64, standard or for addresses, with so many bytes of a group before them, 0 to 2.
    Base64(usize),
    /// Back to front.
    Reversed,
    /// UTF-16, little-endian.
    Utf16,
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain => "",
            Self::Hex => " in hex",
            Self::Base64(_) => " in base64",
            Self::Reversed => " back to front",
            Self::Utf16 => " in UTF-16",
        })
    }
}

/// Characters of a group that belong wholly or in part to the bytes before.
const FOREIGN: [usize; 3] = [0, 2, 3];

/// Bytes in hex and in base64: only the characters that they determine alone.
pub(crate) fn written(bytes: &[u8]) -> Vec<(Form, Vec<u8>)> {
    let mut all = vec![(Form::Hex, hex::encode(bytes).into_bytes())];
    for (before, foreign) in FOREIGN.into_iter().enumerate() {
        let mut padded = vec![0; before];
        padded.extend(bytes);
        let text = STANDARD_NO_PAD.encode(&padded).into_bytes();
        let whole = padded.len() * 8 / 6;
        let own = text.get(foreign..whole).unwrap_or_default().to_vec();
        let of_addresses: Vec<u8> = own.iter().map(|one| for_addresses(*one)).collect();
        if of_addresses != own {
            all.push((Form::Base64(before), of_addresses));
        }
        all.push((Form::Base64(before), own));
    }
    all
}

/// The first `count` bytes, at most, of what is written in this form from `at` on.
pub(crate) fn read(form: Form, window: &[u8], at: usize, count: usize) -> Vec<u8> {
    match form {
        Form::Hex => {
            let pairs = window.get(at..).unwrap_or_default().chunks_exact(2).take(count);
            pairs
                .map_while(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.last()?)?))
                .collect()
        }
        Form::Base64(before) => {
            let start = FOREIGN.get(before).and_then(|foreign| at.checked_sub(*foreign));
            let text = start.and_then(|start| window.get(start..)).unwrap_or_default();
            sextets(text, before, count)
        }
        Form::Plain | Form::Reversed | Form::Utf16 => {
            window.get(at..).unwrap_or_default().iter().copied().take(count).collect()
        }
    }
}

/// Base64 from the beginning of a group, without its first `before` bytes.
fn sextets(text: &[u8], before: usize, count: usize) -> Vec<u8> {
    let (mut bits, mut held, mut bytes) = (0_u32, 0, Vec::new());
    for value in text.iter().map_while(|one| sextet(*one)) {
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            bytes.push(byte);
        }
        if bytes.len() >= count.saturating_add(before) {
            break;
        }
    }
    bytes.split_off(before.min(bytes.len()))
}

fn sextet(one: u8) -> Option<u8> {
    match one {
        b'A'..=b'Z' => Some(one - b'A'),
        b'a'..=b'z' => Some(one - b'a' + 26),
        b'0'..=b'9' => Some(one - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

fn digit(one: u8) -> Option<u8> {
    match one {
        b'0'..=b'9' => Some(one - b'0'),
        b'a'..=b'f' => Some(one - b'a' + 10),
        b'A'..=b'F' => Some(one - b'A' + 10),
        _ => None,
    }
}

fn for_addresses(one: u8) -> u8 {
    match one {
        b'+' => b'-',
        b'/' => b'_',
        other => other,
    }
}
