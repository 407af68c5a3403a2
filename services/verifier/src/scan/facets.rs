//! Binary STL: facets in a row, and the law of a whole file's length.
//!
//! A facet is a normal and three corners, each three little-endian floats, and two bytes of
//! attributes: 50 bytes. A file is 80 bytes of anything, the count of facets in 32 bits, the facets.

/// Bytes of a facet.
const FACET: usize = 50;

/// Bytes that four facets in a row take: each has 16 bits of attributes that are zero and nine floats
/// of a size that parts have, so 40 bits in random bytes.
pub(crate) const SPAN: usize = 4 * FACET;

/// Bytes before the facets of a file.
pub(crate) const HEAD: usize = 84;

/// Places at which four facets in a row begin.
pub(crate) fn places(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let begins = |(at, span): (usize, &[u8])| are_facets(span).then_some(at);
    bytes.windows(SPAN).enumerate().filter_map(begins)
}

/// Whether the length of a file is that of the facets that its head counts.
pub(crate) fn is_sized(head: &[u8], length: u64) -> bool {
    let count = head.get(80..HEAD).and_then(|count| count.try_into().ok());
    let count = u64::from(count.map_or(0, u32::from_le_bytes));
    count > 0 && length == 84 + 50 * count
}

/// Whether a file begins with a line `solid NAME` and goes on in text.
pub(crate) fn is_solid(head: &[u8]) -> bool {
    let printable = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let word = head.get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"solid "));
    word && head.iter().all(printable)
}

fn are_facets(span: &[u8]) -> bool {
    // The last facet first: in most bytes this is where it ends.
    let closed = |end: usize| matches!(span.get(end - 2..end), Some([0, 0]));
    closed(4 * FACET)
        && closed(3 * FACET)
        && closed(2 * FACET)
        && closed(FACET)
        && span.chunks_exact(FACET).all(is_facet)
}

fn is_facet(facet: &[u8]) -> bool {
    let mut floats = facet.chunks_exact(4).filter_map(|four| four.try_into().ok());
    let mut three = || [(); 3].map(|()| floats.next().map_or(f32::NAN, f32::from_le_bytes));
    let (normal, corners) = (three(), [three(), three(), three()]);
    let [one, two, other] = corners.map(|corner| corner.map(f32::to_bits));
    is_normal(normal)
        && corners.iter().flatten().all(|value| is_coordinate(*value))
        && corners.iter().flatten().filter(|value| **value != 0.0).count() >= 4
        && one != two
        && two != other
        && one != other
}

/// Of length 1, or left out.
fn is_normal(normal: [f32; 3]) -> bool {
    let square: f32 = normal.iter().map(|value| value * value).sum();
    normal.iter().all(|value| *value == 0.0) || (0.98..=1.02).contains(&square)
}

/// Zero, or of a size that a part can have, in any unit of length.
fn is_coordinate(value: f32) -> bool {
    value == 0.0 || (1e-5..=1e5).contains(&value.abs())
}
