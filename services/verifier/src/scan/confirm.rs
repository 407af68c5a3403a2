//! Confirmations: whether bytes that begin with an anchor are of its format. Pure; any bytes in.

use std::io::Read as _;

/// The longest piece that a confirmation unpacks: a block of zstd and what frames it.
pub(crate) const BLOCK: usize = ZSTD_BLOCK + 64;

/// A block of zstd at its largest (RFC 8878, 3.1.1.2.4).
const ZSTD_BLOCK: usize = 128 * 1024;

/// Unpacked bytes of gzip that random bytes do not give: they meet an end without its checksum before.
const UNPACKED: usize = 64 * 1024;

pub(crate) fn always(_bytes: &[u8]) -> bool {
    true
}

/// `facet normal` and three numbers.
pub(crate) fn stl_normal(bytes: &[u8]) -> bool {
    bytes.get(b"facet normal".len()..).is_some_and(|rest| starts_with_numbers(rest, 3))
}

/// `<coordinates>` and `<x>`: of geography there is another one.
pub(crate) fn amf(bytes: &[u8]) -> bool {
    let rest = bytes.get(b"<coordinates>".len()..).unwrap_or_default().trim_ascii_start();
    rest.get(..3).is_some_and(|tag| tag.eq_ignore_ascii_case(b"<x>"))
}

/// Three lines `v x y z` in a row.
pub(crate) fn obj(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|byte| *byte == b'\n').skip(1);
    (0..3).all(|_| {
        let line = lines.next().and_then(|line| line.strip_prefix(b"v "));
        line.is_some_and(|line| starts_with_numbers(line, 3))
    })
}

/// Three moves along X or Y within reach.
pub(crate) fn gcode(bytes: &[u8]) -> bool {
    let ends = |byte: &u8| byte.is_ascii_whitespace() || b";*\"\\,".contains(byte);
    let mut words = bytes.split(ends).filter(|word| !word.is_empty()).peekable();
    let mut moves = 0;
    while let Some(word) = words.next() {
        let Some(rest) = after_move(word) else { continue };
        let axis = if rest.is_empty() { words.peek().copied().unwrap_or_default() } else { rest };
        moves += u32::from(is_coordinate(axis));
    }
    moves >= 3
}

/// What follows `G0` to `G3`, also written with two digits, at the beginning of a word.
fn after_move(word: &[u8]) -> Option<&[u8]> {
    let number = word.strip_prefix(b"G").or_else(|| word.strip_prefix(b"g"))?;
    let (digit, rest) = number.strip_prefix(b"0").unwrap_or(number).split_first().unzip();
    match digit {
        Some(b'0'..=b'3') => rest,
        // `G0`: its only digit was taken for the first of two.
        _ if number.first() == Some(&b'0') => number.get(1..),
        _ => None,
    }
}

fn is_coordinate(word: &[u8]) -> bool {
    let (axis, number) = word.split_first().unzip();
    matches!(axis, Some(b'X' | b'Y' | b'x' | b'y'))
        && number.is_some_and(|number| {
            // Words may stand without a space between them.
            let end = number.iter().position(u8::is_ascii_alphabetic).unwrap_or(number.len());
            number.get(..end).is_some_and(is_number)
        })
}

/// `thumbnail begin 16x16`.
pub(crate) fn thumbnail(bytes: &[u8]) -> bool {
    let after = bytes.windows(6).position(|part| part.eq_ignore_ascii_case(b"begin "));
    let size = after.and_then(|at| bytes.get(at + 6..)).unwrap_or_default();
    let mut sides = size.splitn(2, |byte| *byte == b'x');
    let digit = |side: Option<&[u8]>| side.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit);
    digit(sides.next()) && digit(sides.next())
}

/// The name of the first segment.
pub(crate) fn jpeg(bytes: &[u8]) -> bool {
    matches!(bytes.get(6..11), Some(b"JFIF\0" | b"Exif\0"))
}

/// Width and height to 65,535, channels 3 or 4, colour space 0 or 1.
pub(crate) fn qoi(bytes: &[u8]) -> bool {
    let side = |at: usize| {
        let side = bytes.get(at..at + 4).and_then(|side| side.try_into().ok());
        side.is_some_and(|side| (1..=65_535).contains(&u32::from_be_bytes(side)))
    };
    side(4) && side(8) && matches!(bytes.get(12..14), Some([3 | 4, 0 | 1]))
}

/// An element that goes on in text.
pub(crate) fn svg(bytes: &[u8]) -> bool {
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    bytes.get(5..21).is_some_and(|rest| rest.iter().all(printable))
}

/// A local header: a version that exists, a method that exists, a name, little beside it.
pub(crate) fn zip(bytes: &[u8]) -> bool {
    let number = |at: usize| {
        let pair = bytes.get(at..at + 2).and_then(|pair| pair.try_into().ok());
        pair.map(u16::from_le_bytes)
    };
    let version = matches!(bytes.get(4..6), Some([0..=63, 0..=20]));
    let method =
        number(8).is_some_and(|method| matches!(method, 0 | 8 | 9 | 12 | 14 | 93 | 95 | 98));
    let name = number(26).is_some_and(|length| (1..=255).contains(&length));
    let text = bytes.get(30).is_some_and(|byte| *byte >= b' ');
    version && method && name && text && number(28).is_some_and(|extra| extra < 4096)
}

/// A header without reserved flags, and data that unpacks to its checksum or to more than chance does.
pub(crate) fn gzip(bytes: &[u8]) -> bool {
    if bytes.get(3).is_none_or(|flags| flags & 0xe0 != 0) {
        return false;
    }
    let (mut stream, mut unpacked) = (flate2::read::GzDecoder::new(bytes), 0);
    let mut room = [0; 4096];
    while unpacked < UNPACKED {
        match stream.read(&mut room) {
            Ok(0) => return true,
            Ok(more) => unpacked += more,
            Err(_no_gzip) => return false,
        }
    }
    true
}

/// A frame whose first block is compressed and decodes to its end. The content of a block that is
/// not compressed is in plain, and found by itself.
pub(crate) fn zstd(bytes: &[u8]) -> bool {
    zstd_block(bytes).is_some_and(|block| {
        // The block as the only one of a frame with a window of 128 KiB: memory is bounded.
        let size = u32::try_from(block.len()).unwrap_or(u32::MAX);
        let [low, middle, high, _] = ((size << 3) | 0b101).to_le_bytes();
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, 7 << 3, low, middle, high];
        frame.extend(block);
        zstd::bulk::decompress(&frame, ZSTD_BLOCK).is_ok_and(|unpacked| !unpacked.is_empty())
    })
}

/// The first block of a frame, if it is compressed and whole (RFC 8878, 3.1.1).
fn zstd_block(bytes: &[u8]) -> Option<&[u8]> {
    let descriptor = *bytes.get(4)?;
    if descriptor & 0b1000 != 0 {
        return None;
    }
    let single = descriptor & 0b10_0000 != 0;
    let dictionary = [0, 1, 2, 4].get(usize::from(descriptor & 0b11))?;
    let length = match descriptor >> 6 {
        0 => usize::from(single),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    let at = 5 + usize::from(!single) + dictionary + length;
    let &[low, middle, high] = bytes.get(at..at + 3)?.first_chunk()?;
    let header = u32::from_le_bytes([low, middle, high, 0]);
    let size = usize::try_from(header >> 3).ok().filter(|size| *size <= ZSTD_BLOCK)?;
    let compressed = (header >> 1) & 0b11 == 2;
    bytes.get(at + 3..at + 3 + size).filter(|_| compressed && size > 0)
}

/// Whether a line begins with so many numbers.
fn starts_with_numbers(line: &[u8], count: usize) -> bool {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    (0..count).all(|_| words.next().is_some_and(is_number))
}

/// Digits with sign, point and exponent.
fn is_number(word: &[u8]) -> bool {
    let fits = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    word.iter().any(u8::is_ascii_digit) && word.iter().all(fits)
}
