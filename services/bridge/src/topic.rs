//! Topics: `imprimatur/v1/{subject}/{kind}`, and nothing else.

/// What agents send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A frame with readings; answered by a verdict.
    Batch,
    /// A consent event; answered by a receipt.
    Consent,
    /// What an owner asks of what is held; answered by an answer.
    Request,
}

/// The subject part of a topic, 32 lower-case hex digits: where the answer goes. It is not believed,
/// only echoed; `Debug` prints nothing, so that it is in no log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Subject([u8; 32]);

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Subject(..)")
    }
}

impl Subject {
    fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.as_bytes().try_into().ok()?;
        let hex = digits.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        hex.then_some(Self(digits))
    }

    /// The topic on which the answer to a message of this kind goes back.
    pub fn answer_topic(&self, kind: Kind) -> String {
        let leaf = match kind {
            Kind::Batch => "verdict",
            Kind::Consent => "receipt",
            Kind::Request => "answer",
        };
        self.topic(leaf)
    }

    /// The topic on which an agent is told that its message was not taken now.
    pub fn busy_topic(&self) -> String {
        self.topic("busy")
    }

    fn topic(&self, leaf: &str) -> String {
        let subject = self.0.iter().copied().map(char::from).collect::<String>();
        format!("imprimatur/v1/{subject}/{leaf}")
    }
}

/// Reads a topic that agents write to; `None` for any other.
pub fn parse(topic: &[u8]) -> Option<(Subject, Kind)> {
    let topic = std::str::from_utf8(topic).ok()?;
    let (subject, leaf) = topic.strip_prefix("imprimatur/v1/")?.split_once('/')?;
    let kind = match leaf {
        "batch" => Kind::Batch,
        "consent" => Kind::Consent,
        "request" => Kind::Request,
        _ => return None,
    };
    Some((Subject::parse(subject)?, kind))
}

/// The topic on which a bridge writes to itself; `random` is 32 lower-case hex digits.
pub fn probe(random: &str) -> String {
    format!("imprimatur/v1/probe/{random}")
}

/// The shared subscriptions that bring everything agents send.
pub fn filters(share: &str) -> [String; 3] {
    ["batch", "consent", "request"].map(|leaf| format!("$share/{share}/imprimatur/v1/+/{leaf}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBJECT: &str = "0123456789abcdef0123456789abcdef";

    #[track_caller]
    fn check(topic: &str, expected: Option<(Kind, &str)>) {
        let got = parse(topic.as_bytes()).map(|(subject, kind)| (kind, subject.answer_topic(kind)));
        assert_eq!(got, expected.map(|(kind, answer)| (kind, answer.to_owned())));
    }

    #[test]
    fn only_the_three_topics_of_a_subject_are_read() {
        let topic = |leaf: &str| format!("imprimatur/v1/{SUBJECT}/{leaf}");
        check(&topic("batch"), Some((Kind::Batch, &topic("verdict"))));
        check(&topic("consent"), Some((Kind::Consent, &topic("receipt"))));
        check(&topic("request"), Some((Kind::Request, &topic("answer"))));
        for foreign in [
            topic("verdict"),
            topic("answer"),
            topic("busy"),
            probe(SUBJECT),
            topic("batch/more"),
            topic(""),
            format!("imprimatur/v2/{SUBJECT}/batch"),
            format!("imprimatur/v1/{}/batch", SUBJECT.to_uppercase()),
            "imprimatur/v1/short/batch".to_owned(),
            format!("imprimatur/v1/{}/batch", "é".repeat(16)),
            String::new(),
        ] {
            check(&foreign, None);
        }
        assert!(parse(&[0xff, 0xfe]).is_none());
    }

    #[test]
    fn busy_has_a_topic_of_its_own() {
        let (subject, _) = parse(format!("imprimatur/v1/{SUBJECT}/request").as_bytes()).unwrap();
        assert_eq!(subject.busy_topic(), format!("imprimatur/v1/{SUBJECT}/busy"));
    }

    #[test]
    fn a_subject_is_not_printed() {
        let (subject, _) = parse(format!("imprimatur/v1/{SUBJECT}/batch").as_bytes()).unwrap();
        assert!(!format!("{subject:?}").contains("0123"));
    }
}
