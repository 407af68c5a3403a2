//! A topic on which something came.

use imprimatur_bridge::topic::{Kind, parse};

const SUBJECT: &str = "0123456789abcdef0123456789abcdef";

/// One topic of each kind, and one of nobody.
pub fn seeds() -> Vec<Vec<u8>> {
    let of = |leaf: &str| format!("imprimatur/v1/{SUBJECT}/{leaf}").into_bytes();
    ["batch", "consent", "request", "verdict"].map(of).to_vec()
}

/// A topic that is read has one form, and its answer's topic names the same subject and no agent's own.
pub fn run(data: &[u8]) {
    let Some((subject, kind)) = parse(data) else { return };
    let leaf = match kind {
        Kind::Batch => "batch",
        Kind::Consent => "consent",
        Kind::Request => "request",
    };
    let text = std::str::from_utf8(data).unwrap();
    let prefix = text.strip_suffix(leaf).expect("the kind is the leaf");
    let answer = subject.answer_topic(kind);
    assert!(answer.starts_with(prefix) && answer != text);
    assert_eq!(parse(answer.as_bytes()), None, "an answer would be taken for a message");
    assert_eq!(parse(subject.busy_topic().as_bytes()), None);
}
