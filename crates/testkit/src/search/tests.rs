//! Shows that every disguise is found, and that what is not the secret is not.

use std::process::Command;

use super::*;

const SECRET: &[u8] = b"Jane Doe/bracket_v3";

#[track_caller]
fn found(haystack: impl AsRef<[u8]>, form: Form) {
    let all = occurrences(haystack.as_ref(), SECRET);
    assert!(all.iter().any(|one| one.form == form), "{form:?} not in {all:?}");
}

/// Encodes by the system's own `base64`, so that the search is not tested against itself.
fn base64(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bytes");
    std::fs::write(&path, bytes).unwrap();
    let output = Command::new("base64").arg("-w0").arg(&path).output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

fn around(inner: &[u8], before: usize, after: usize) -> Vec<u8> {
    [&vec![0xA7; before], inner, &vec![0x5B; after]].concat()
}

#[test]
fn raw_is_found_with_its_place_in_any_case() {
    let all = occurrences(b"xx jAnE dOe/BRACKET_v3", SECRET);
    assert_eq!(all, [Occurrence { form: Form::Raw, offset: 3 }]);
}

#[test]
fn each_occurrence_is_reported() {
    assert_eq!(occurrences(b"secret secret", b"secret").len(), 2);
}

#[test]
fn reversed_is_found() {
    found("..3v_tekcarb/eoD enaJ..", Form::Reversed);
}

#[test]
fn utf16_is_found() {
    let text: Vec<u8> = "A Jane Doe/bracket_v3".encode_utf16().flat_map(u16::to_le_bytes).collect();
    found(text, Form::Utf16);
}

#[test]
fn percent_encoding_is_found() {
    found("path=Jane%20Doe%2Fbracket_v3&x", Form::Percent);
    found("path=Jane%20Doe%2fbracket_v3&x", Form::Percent);
}

#[test]
fn hexadecimal_is_found_in_both_cases() {
    found(format!("00{}ff", hex::encode(SECRET)), Form::Hex);
    found(format!("00{}FF", hex::encode_upper(SECRET)), Form::Hex);
}

#[test]
fn base64_is_found_at_each_alignment_in_both_alphabets() {
    for before in 0..6 {
        for after in 0..4 {
            let text = base64(&around(SECRET, before, after));
            found(&text, Form::Base64);
            found(text.replace('+', "-").replace('/', "_"), Form::Base64);
        }
    }
}

#[test]
fn base64_of_bytes_that_use_the_last_two_letters_is_found() {
    let secret = [0xFB, 0xEF, 0xBE, 0xFF, 0xFF, 0xFF];
    let text = base64(&around(&secret, 1, 1));
    let url = text.replace('+', "-").replace('/', "_");
    assert_ne!(text, url);
    for text in [text, url] {
        let all = occurrences(text.as_bytes(), &secret);
        assert!(all.iter().any(|one| one.form == Form::Base64), "{text}: {all:?}");
    }
}

#[test]
fn the_digest_is_found_raw_in_hexadecimal_and_in_base64() {
    let digest = Sha256::digest(SECRET);
    found(around(&digest, 5, 5), Form::Sha256);
    found(hex::encode(digest), Form::Sha256Hex);
    found(hex::encode_upper(digest), Form::Sha256Hex);
    for before in 0..3 {
        let text = base64(&around(&digest, before, 1));
        found(&text, Form::Sha256Base64);
        found(text.replace('+', "-").replace('/', "_"), Form::Sha256Base64);
    }
}

#[test]
fn the_digest_of_the_lower_case_form_is_found() {
    found(hex::encode(Sha256::digest(SECRET.to_ascii_lowercase())), Form::Sha256Hex);
}

#[test]
fn the_digest_agrees_with_the_published_vector() {
    let all =
        occurrences(b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", b"abc");
    assert!(all.iter().any(|one| one.form == Form::Sha256Hex), "{all:?}");
}

#[test]
fn what_is_not_the_secret_is_not_found() {
    assert_eq!(occurrences(b"", SECRET), []);
    assert_eq!(occurrences(b"Jane Doe/bracket_v4", SECRET), []);
    assert_eq!(occurrences(base64(b"Jane Doe/bracket_v4 and so on").as_bytes(), SECRET), []);
    assert_eq!(occurrences(hex::encode(Sha256::digest(b"another")).as_bytes(), SECRET), []);
    assert_eq!(occurrences(b"anything", b""), []);
}
