//! Damage: few bytes that say what becomes of files that were right.
//!
//! Six bytes each: which file, what is done, where in 65,536ths, how long, and a value.

/// Bytes of one edit.
const BYTES: usize = 6;

/// Most edits of one input.
const EDITS_MAX: usize = 64;

/// Does the edits to the files, each with its content.
pub fn apply(data: &[u8], files: &mut [Vec<u8>]) {
    for edit in data.chunks_exact(BYTES).take(EDITS_MAX) {
        let count = files.len();
        let Some(file) = files.get_mut(usize::from(edit[0]) % count.max(1)) else { return };
        let share = usize::from(u16::from_be_bytes([edit[2], edit[3]]));
        let at = file.len() * share / 65_536;
        let until = (at + 1 + usize::from(edit[4])).min(file.len());
        let value = edit[5];
        match edit[1] % 7 {
            // What comes from nowhere, and what a disk does: lost, torn, zeroed, doubled bytes.
            0 => file.get_mut(at..until).into_iter().flatten().for_each(|byte| *byte ^= value),
            1 => file.get_mut(at..until).into_iter().flatten().for_each(|byte| *byte = value),
            2 => file.truncate(at),
            3 => drop(file.drain(at..until)),
            4 => drop(file.splice(at..at, std::iter::repeat_n(value, until - at))),
            5 => {
                let part = file.get(at..until).unwrap_or_default().to_vec();
                file.splice(at..at, part);
            }
            _ => file.extend(std::iter::repeat_n(value, usize::from(edit[4]))),
        }
    }
}

/// One edit of each kind in one file.
pub fn seeds(files: u8) -> Vec<Vec<u8>> {
    let mut seeds = vec![Vec::new()];
    for file in 0..files {
        seeds.extend((0..7).map(|kind| vec![file, kind, 0x80, file, 8, 0x55]));
    }
    seeds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_edit_does_what_it_says() {
        let edited = |edit: [u8; BYTES]| {
            let mut files = [b"0123456789abcdef".to_vec()];
            apply(&edit, &mut files);
            let [file] = files;
            String::from_utf8(file).unwrap()
        };
        assert_eq!(edited([0, 0, 0x80, 0, 0, 1]), "0123456799abcdef");
        assert_eq!(edited([9, 1, 0x80, 0, 1, b'x']), "01234567xxabcdef");
        assert_eq!(edited([0, 2, 0x80, 0, 0, 0]), "01234567");
        assert_eq!(edited([0, 3, 0x80, 0, 2, 0]), "01234567bcdef");
        assert_eq!(edited([0, 4, 0x80, 0, 1, b'x']), "01234567xx89abcdef");
        assert_eq!(edited([0, 5, 0x80, 0, 1, 0]), "0123456789".to_owned() + "89abcdef");
        assert_eq!(edited([0, 6, 0, 0, 2, b'x']), "0123456789abcdefxx");
        apply(&[0; 60], &mut []);
    }
}
