//! A client without conscience: any bytes in any order, on the topics that the broker grants it.

use std::ops::Deref;
use std::time::Duration;

use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{
    Category, Digest, Domain, Policy, PrincipalId, SigningSeed, VerifyingKey, enrolment,
};
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, Receipt, SignedConsentEvent, SignedReceipt,
};
use imprimatur_proto::ingest::v1::{SignedVerdict, Verdict};
use imprimatur_proto::telemetry::v1::{Batch, BatchHeader, PrintReport};
use imprimatur_proto::{canonical, contract, frame};
use imprimatur_runtime::{Clock as _, SystemClock};
use imprimatur_testkit::peers::Credentials;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::Packet;
use rumqttc::v5::{AsyncClient, Event, MqttOptions};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::rig::{Rig, SOON};

/// A message: topic and payload.
pub(crate) type Message = (String, Vec<u8>);

/// A raw MQTT client; dropping it ends its connection.
pub(crate) struct Client {
    requests: AsyncClient,
    messages: mpsc::Receiver<Message>,
    acks: mpsc::Receiver<()>,
    task: JoinHandle<()>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    pub(crate) async fn connect(id: &str, port: u16, account: Option<&Credentials>) -> Self {
        let mut options = MqttOptions::new(id, "127.0.0.1", port);
        options.set_clean_start(true).set_keep_alive(Duration::from_secs(30));
        if let Some(account) = account {
            options.set_credentials(&account.user, &account.password);
        }
        let (client, mut events) = AsyncClient::new(options, 64);
        // More than any test says; a full queue holds the connection up and loses nothing.
        let ((into, messages), (acked, acks)) = (mpsc::channel(256), mpsc::channel(256));
        let task = tokio::spawn(async move {
            while let Ok(event) = events.poll().await {
                let taken = match event {
                    Event::Incoming(Packet::Publish(message)) => {
                        let topic = String::from_utf8(message.topic.to_vec()).unwrap();
                        into.send((topic, message.payload.to_vec())).await.is_ok()
                    }
                    Event::Incoming(Packet::ConnAck(_) | Packet::SubAck(_) | Packet::PubAck(_)) => {
                        acked.send(()).await.is_ok()
                    }
                    _ => true,
                };
                if !taken {
                    return;
                }
            }
        });
        let mut client = Self { requests: client, messages, acks, task };
        client.acked().await;
        client
    }

    async fn acked(&mut self) {
        tokio::time::timeout(SOON, self.acks.recv()).await.unwrap().expect("connection ended");
    }

    pub(crate) async fn subscribe(&mut self, topic: &str) {
        self.requests.subscribe(topic, QoS::AtLeastOnce).await.unwrap();
        self.acked().await;
    }

    /// Publishes, and waits until the broker has it.
    pub(crate) async fn publish(&mut self, topic: &str, bytes: Vec<u8>) {
        self.requests.publish(topic, QoS::AtLeastOnce, false, bytes).await.unwrap();
        self.acked().await;
    }

    pub(crate) async fn message(&mut self) -> Message {
        let next = tokio::time::timeout(SOON, self.messages.recv()).await;
        next.expect("no answer in time").expect("connection ended")
    }
}

/// A key, and what it can sign.
pub(crate) struct Voice {
    pub(crate) key: SigningSeed,
}

/// A key with a connection under its subject, and the collector's key.
pub(crate) struct Device {
    voice: Voice,
    pub(crate) client: Client,
    collector: VerifyingKey,
    /// Under which subject it speaks.
    pub(crate) subject: String,
}

impl Device {
    /// Connects as the subject of a key.
    pub(crate) async fn connect(rig: &Rig, seed: u8) -> Self {
        let key = SigningSeed::from_seed(&[seed; 32]);
        let subject = key.subject().to_string();
        Self::speak_as(rig, key, &subject).await
    }

    /// Connects as any subject; the broker knows no better.
    pub(crate) async fn speak_as(rig: &Rig, key: SigningSeed, subject: &str) -> Self {
        let mut client = Client::connect(subject, rig.agents.port(), None).await;
        for kind in ["verdict", "receipt"] {
            client.subscribe(&topic(subject, kind)).await;
        }
        let (voice, collector) = (Voice { key }, rig.verifying_key());
        Self { voice, client, collector, subject: subject.to_owned() }
    }

    /// Sends bytes as a batch; gives the collector's signed answer.
    pub(crate) async fn submit(&mut self, frame: Vec<u8>) -> Verdict {
        let hash = Digest::of(&frame);
        self.client.publish(&topic(&self.subject, "batch"), frame).await;
        let (to, bytes) = self.client.message().await;
        assert_eq!(to, topic(&self.subject, "verdict"));
        let signed: SignedVerdict = contract().decode(&bytes).unwrap();
        assert!(self.collector.verifies(Domain::Verdict, &signed.verdict, &signed.signature));
        let verdict: Verdict = contract().decode(&signed.verdict).unwrap();
        assert_eq!(verdict.frame_hash, hash.0, "an answer to something else");
        verdict
    }

    /// Sends bytes as a consent event; gives the collector's signed answer.
    pub(crate) async fn tell(&mut self, event: Vec<u8>) -> Receipt {
        self.client.publish(&topic(&self.subject, "consent"), event).await;
        let (to, bytes) = self.client.message().await;
        assert_eq!(to, topic(&self.subject, "receipt"));
        let signed: SignedReceipt = contract().decode(&bytes).unwrap();
        assert!(self.collector.verifies(Domain::Receipt, &signed.receipt, &signed.signature));
        contract().decode(&signed.receipt).unwrap()
    }
}

impl Deref for Device {
    type Target = Voice;

    fn deref(&self) -> &Voice {
        &self.voice
    }
}

impl Voice {
    /// The voice of a seed.
    pub(crate) fn of(seed: u8) -> Self {
        Self { key: SigningSeed::from_seed(&[seed; 32]) }
    }

    /// A signed consent event of today.
    pub(crate) fn event(&self, sequence: u64, decision: Decision, what: &[Category]) -> Vec<u8> {
        self.signed(&self.said(sequence, decision, what))
    }

    /// A signed first grant that spends a token of the operator.
    pub(crate) fn enrolment(&self, token: &str, what: &[Category]) -> Vec<u8> {
        let verifier = enrolment::verifier(&token.parse::<Digest>().unwrap().0);
        let (public, principal) = (self.key.public(), PrincipalId(self.key.subject().0));
        let enrolment_proof = enrolment::proof(verifier, principal, &public);
        self.signed(&ConsentEvent { enrolment_proof, ..self.said(1, Decision::Granted, what) })
    }

    fn said(&self, sequence: u64, decision: Decision, what: &[Category]) -> ConsentEvent {
        ConsentEvent {
            public_key: self.key.public().to_vec(),
            principal: self.key.subject().0.to_vec(),
            sequence,
            decision: decision.into(),
            categories: what.iter().map(|category| category.number()).collect(),
            policy_hash: policy().hash.0.to_vec(),
            date: SystemClock.today().0,
            notice_language: b"en".to_vec(),
            method: Method::Command.into(),
            affirmation: Affirmation::AgeAndAuthority.into(),
            ..ConsentEvent::default()
        }
    }

    fn signed(&self, event: &ConsentEvent) -> Vec<u8> {
        let event = canonical::encode(event);
        let signature = self.key.sign(Domain::Consent, &event);
        canonical::encode(&SignedConsentEvent { event, signature })
    }

    /// A batch under this key's header.
    pub(crate) fn batch(&self, sequence: u64, prints: Vec<PrintReport>) -> Batch {
        let header = BatchHeader {
            subject: self.key.subject().0.to_vec(),
            sequence,
            policy_hash: policy().hash.0.to_vec(),
            contract_hash: contract().hash().to_vec(),
            identity_tag: Vec::new(),
            dropped: 0,
        };
        Batch { header: Some(header), prints, days: Vec::new() }
    }

    /// Signs any bytes as a batch, in a frame.
    pub(crate) fn sealed_bytes(&self, batch: Vec<u8>) -> Vec<u8> {
        let signature = self.key.sign(Domain::Batch, &batch);
        frame::seal(batch, signature).unwrap()
    }

    pub(crate) fn sealed(&self, batch: &Batch) -> Vec<u8> {
        self.sealed_bytes(canonical::encode(batch))
    }
}

/// The shipped policy.
pub(crate) fn policy() -> Policy {
    Policy::read(STRICTEST).unwrap()
}

/// A topic of a subject.
pub(crate) fn topic(subject: &str, kind: &str) -> String {
    format!("imprimatur/v1/{subject}/{kind}")
}

/// A reason as it is counted, such as `no_grant`.
pub(crate) fn reason(verdict: &Verdict) -> String {
    let name = verdict.reason().as_str_name();
    name.trim_start_matches("REFUSAL_REASON_").to_ascii_lowercase()
}
