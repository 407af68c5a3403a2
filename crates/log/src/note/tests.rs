//! What is a checkpoint, and all that is none.

use super::*;

fn key() -> LogKey {
    LogKey::from_seed(&[7; 32])
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: Origin::of(&key().public()), size: 20_852_163, root: Digest([9; 32]) }
}

#[track_caller]
fn refuses(note: &str, expected: NoteError) {
    assert_eq!(Checkpoint::open(note, &key().public()), Err(expected), "{note:?}");
}

/// A note with this text, signed as the log signs.
fn signed(body: &str) -> String {
    let name = Origin::of(&key().public());
    let signature = key().0.sign(body.as_bytes()).to_bytes();
    let line = [&key_id(&name.0, ED25519, &key().public())[..], &signature].concat();
    format!("{body}\n\u{2014} {name} {}\n", STANDARD.encode(line))
}

#[test]
fn a_signed_checkpoint_is_read_again() {
    let note = checkpoint().sign(&key());
    assert_eq!(Checkpoint::open(&note, &key().public()), Ok(checkpoint()));
    assert!(note.starts_with("imprimatur/"));
    assert_eq!(format!("{:?}", key()), "LogKey(..)");
}

#[test]
fn every_change_of_a_letter_is_found() {
    let note = checkpoint().sign(&key());
    let letters: Vec<char> = note.chars().collect();
    for at in 0..letters.len() {
        let mut changed = letters.clone();
        changed[at] = if letters[at] == 'A' { 'B' } else { 'A' };
        let changed: String = changed.into_iter().collect();
        assert!(Checkpoint::open(&changed, &key().public()).is_err(), "{changed}");
        let cut: String = letters.iter().take(at).collect();
        assert!(Checkpoint::open(&cut, &key().public()).is_err(), "{cut}");
    }
}

#[test]
fn another_key_is_another_log() {
    let other = LogKey::from_seed(&[8; 32]);
    let note = checkpoint().sign(&other);
    refuses(&note, NoteError::NotSigned);
    let theirs = Checkpoint { origin: Origin::of(&other.public()), ..checkpoint() };
    refuses(&theirs.sign(&other), NoteError::Foreign);
    assert_eq!(Checkpoint::open(&note, &[0; 32]), Err(NoteError::NotAKey));
    // The other log's text, signed by this log in its own name.
    let body = theirs.sign(&other);
    refuses(
        &signed(body.split_once("\n\n").map(|(body, _)| format!("{body}\n")).unwrap().as_str()),
        NoteError::Foreign,
    );
}

#[test]
fn signatures_of_witnesses_are_ignored_and_false_ones_are_not() {
    let note = checkpoint().sign(&key());
    let witness = STANDARD.encode([1; 4 + 5000]);
    let many = format!("\u{2014} witness.example {witness}\n").repeat(15);
    assert_eq!(Checkpoint::open(&format!("{note}{many}"), &key().public()), Ok(checkpoint()));
    // The log's name with an unknown key id.
    let line = format!("\u{2014} {} {}\n", checkpoint().origin, STANDARD.encode([1; 68]));
    assert_eq!(Checkpoint::open(&format!("{note}{line}"), &key().public()), Ok(checkpoint()));
    // The log's name and key id, and not its signature.
    let id = key_id(&checkpoint().origin.0, ED25519, &key().public());
    let forged = STANDARD.encode([&id[..], &[1; 64]].concat());
    let line = format!("\u{2014} {} {forged}\n", checkpoint().origin);
    refuses(&format!("{note}{line}"), NoteError::BadSignature);
    refuses(&format!("{note}{}", many.repeat(2)), NoteError::TooLong);
}

#[test]
fn a_text_that_is_no_note_is_refused() {
    let note = checkpoint().sign(&key());
    let line = NoteError::Malformed("a line that is no signature");
    refuses("", NoteError::Malformed("no empty line"));
    refuses("a\nb\nc\n", NoteError::Malformed("no empty line"));
    refuses("a\nb\nc\n\n", NoteError::Malformed("no newline at the end"));
    refuses(note.trim_end(), NoteError::Malformed("no newline at the end"));
    refuses(&note.replace('\n', "\r\n"), NoteError::Malformed("a control character"));
    refuses(&format!("{note}- name AAAAAAAA\n"), line);
    refuses(&format!("{note}\u{2014}  AAAAAAAA\n"), line);
    refuses(&format!("{note}\u{2014} a+b AAAAAAAA\n"), line);
    refuses(&format!("{note}\u{2014} a\u{2003}b AAAAAAAA\n"), line);
    refuses(&format!("{note}\u{2014} name AAAAAA==\n"), line);
    refuses(&format!("{note}\u{2014} name AAAAAAAB=\n"), line);
}

#[test]
fn a_signed_text_that_is_no_checkpoint_is_refused() {
    let name = checkpoint().origin;
    let root = STANDARD.encode([9; 32]);
    assert!(Checkpoint::open(&signed(&format!("{name}\n0\n{root}\n")), &key().public()).is_ok());
    let (lines, size, digest) =
        ("expected three lines", "no size in the second line", "no root in the third line");
    let short = STANDARD.encode([9; 31]);
    for (body, expected) in [
        (format!("{name}\n0\n"), lines),
        (format!("{name}\n0\n{root}\nextension\n"), lines),
        (format!("{name}\n00\n{root}\n"), size),
        (format!("{name}\n+1\n{root}\n"), size),
        (format!("{name}\n-1\n{root}\n"), size),
        (format!("{name}\n18446744073709551616\n{root}\n"), size),
        (format!("{name}\n\n{root}\n"), size),
        (format!("{name}\n1\n{short}\n"), digest),
        (format!("{name}\n1\n{}\n", root.trim_end_matches('=')), digest),
        (format!("\n1\n{root}\n"), "no origin"),
    ] {
        refuses(&signed(&body), NoteError::NotACheckpoint(expected));
    }
}
