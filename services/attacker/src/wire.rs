//! The wire by hand: what the generated types cannot say, such as unknown fields and long varints.

/// The key of a field: number and wire type.
pub(crate) fn key(field: u64, wire_type: u64) -> Vec<u8> {
    varint(field << 3 | wire_type)
}

/// The shortest varint of a number.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// A varint that is longer than it must be.
pub(crate) fn long_varint(value: u64) -> Vec<u8> {
    let mut bytes = varint(value);
    if let Some(last) = bytes.last_mut() {
        *last |= 0x80;
    }
    bytes.push(0);
    bytes
}

/// A field that holds a number.
pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [key(field, 0), varint(value)].concat()
}

/// A field that holds bytes, a text, a list or a message.
pub(crate) fn bytes(field: u64, inside: &[u8]) -> Vec<u8> {
    let length = u64::try_from(inside.len()).unwrap_or_default();
    [key(field, 2), varint(length), inside.to_vec()].concat()
}

/// A field that holds a `double`.
pub(crate) fn double(field: u64, value: f64) -> Vec<u8> {
    [key(field, 1), value.to_le_bytes().to_vec()].concat()
}

/// A field that holds a `float`.
pub(crate) fn float(field: u64, value: f32) -> Vec<u8> {
    [key(field, 5), value.to_le_bytes().to_vec()].concat()
}

/// A batch of a header and records that are bytes already.
pub(crate) fn batch(header: &[u8], prints: &[Vec<u8>], days: &[Vec<u8>]) -> Vec<u8> {
    let prints = prints.iter().flat_map(|print| bytes(2, print));
    let days = days.iter().flat_map(|day| bytes(3, day));
    bytes(1, header).into_iter().chain(prints).chain(days).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lengths_are_varints() {
        assert_eq!(varint(0), [0]);
        assert_eq!(varint(300), [0xac, 2]);
        assert_eq!(long_varint(1), [0x81, 0]);
        assert_eq!(number(2, 1), [0x10, 1]);
        assert_eq!(bytes(1, b"ab"), [0x0a, 2, b'a', b'b']);
        assert_eq!(batch(&[9], &[vec![1]], &[vec![2]]), [0x0a, 1, 9, 0x12, 1, 1, 0x1a, 1, 2]);
    }
}
