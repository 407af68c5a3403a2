//! A true collector on a folder: the real book, lake and log, and what its publisher does.

use std::path::{Path, PathBuf};

use imprimatur_consent::event::{Acting, What, decoded};
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::standing::{Grounds, Restriction};
use imprimatur_consent::{Category, Digest, Domain, Policy, SigningSeed};
use imprimatur_lake::{Catalogue, Exclusion, FileEntry, Lake, Row, Rules};
use imprimatur_ledger::register::{Asker, Outcome};
use imprimatur_ledger::segments::{Holds, Manifest, write_policy, write_segment};
use imprimatur_ledger::{Book, Job, Logged, Txn};
use imprimatur_log::TileWriter;
use imprimatur_proto::canonical::encode;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, Receipt, ReceiptStatus, SignedConsentEvent,
    SignedReceipt,
};
use imprimatur_proto::ingest::v1::{Outcome as Answer, RefusalReason, SignedVerdict, Verdict};
use imprimatur_proto::record::{RecordKind, Section};
use imprimatur_proto::rights::v1::{RightsMessage, RightsRequest, Verb};
use imprimatur_proto::{contract, field};
use imprimatur_runtime::UtcDate;

/// The day on which every world begins.
pub(super) const TODAY: UtcDate = UtcDate(20_778);

/// The key of a subject.
pub(super) fn key(seed: u8) -> SigningSeed {
    SigningSeed::from_seed(&[seed; 32])
}

/// The collector's own key.
pub(super) fn own_key() -> SigningSeed {
    SigningSeed::from_seed(&[200; 32])
}

/// A signed decision of a subject.
pub(super) fn said(
    seed: u8,
    (number, date): (u64, UtcDate),
    decision: Decision,
    categories: &[Category],
) -> What {
    let event = encode(&ConsentEvent {
        public_key: key(seed).public().to_vec(),
        principal: vec![seed; 16],
        sequence: number,
        decision: decision.into(),
        categories: categories.iter().map(|category| category.number()).collect(),
        policy_hash: Policy::read(STRICTEST).unwrap().hash.0.to_vec(),
        date: date.0,
        notice_language: b"en".to_vec(),
        method: Method::Command.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..ConsentEvent::default()
    });
    let signature = key(seed).sign(Domain::Consent, &event);
    let signed = encode(&SignedConsentEvent { event, signature });
    What::Consent { signed_event: hex::encode(signed) }
}

/// The owner of a subject, with a request signed by some key.
pub(super) fn owner(seed: u8, verb: Verb, signer: u8) -> Acting {
    let request = encode(&RightsRequest {
        public_key: key(seed).public().to_vec(),
        challenge: vec![3; 32],
        verb: verb.into(),
        ..RightsRequest::default()
    });
    let signature = key(signer).sign(Domain::Rights, &request);
    let message = RightsMessage { request, signature, ..RightsMessage::default() };
    Acting::Owner { signed_request: hex::encode(encode(&message)) }
}

/// The one section that all rows have.
pub(super) fn section() -> Section {
    let values = vec![(field::PRINT_TIME_COMPLETED_DURATION, 7)];
    Section { category: Category::PrintTime, values }
}

/// A receipt under the collector's signature.
pub(super) fn signed_receipt(receipt: &Receipt) -> Vec<u8> {
    let receipt = encode(receipt);
    let signature = own_key().sign(Domain::Receipt, &receipt);
    encode(&SignedReceipt { receipt, signature })
}

/// The verdict on a batch: stored, or refused.
pub(super) fn verdict(
    seed: u8,
    (number, frame): (u64, Digest),
    reason: Option<RefusalReason>,
) -> Vec<u8> {
    let outcome = if reason.is_some() { Answer::Refused } else { Answer::Stored };
    let verdict = encode(&Verdict {
        subject: key(seed).subject().0.to_vec(),
        sequence: number,
        frame_hash: frame.0.to_vec(),
        outcome: outcome.into(),
        reason: reason.unwrap_or_default().into(),
        categories: Vec::new(),
    });
    let signature = own_key().sign(Domain::Verdict, &verdict);
    encode(&SignedVerdict { verdict, signature })
}

/// A collector that runs.
pub(super) struct Collector {
    pub(super) book: Book,
    pub(super) today: UtcDate,
    data: PathBuf,
    lake: Lake,
    /// Whether its publisher finishes erasures.
    pub(super) erases: bool,
}

impl Collector {
    pub(super) fn open(data: &Path) -> Self {
        let book = Book::open(data).unwrap();
        book.publish_policy(STRICTEST, TODAY.start()).unwrap();
        Self::of(data, book)
    }

    fn of(data: &Path, book: Book) -> Self {
        let lake = Lake::open(data.join("lake")).unwrap();
        Self { book, today: TODAY, data: data.to_owned(), lake, erases: true }
    }

    pub(super) fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn record(&self, seed: u8, what: &What) -> Logged {
        let txn = self.book.begin().unwrap();
        let logged = txn.record(key(seed).subject(), what, self.today.start()).unwrap().unwrap();
        if let What::Consent { signed_event } = what {
            self.keep_receipt(&txn, &logged, signed_event);
            txn.count("consent.recorded", 1, self.today).unwrap();
        }
        txn.commit().unwrap();
        logged
    }

    fn keep_receipt(&self, txn: &Txn, logged: &Logged, signed_event: &str) {
        let (event, signed) = decoded(signed_event).unwrap();
        let proof = txn.proof(logged.leaf, event.seen_log_size).unwrap();
        let (subject, hash) = (logged.standing.subject(), Digest::of(&signed.event));
        let receipt = Receipt {
            subject: subject.0.to_vec(),
            sequence: event.sequence,
            event_hash: hash.0.to_vec(),
            status: ReceiptStatus::Recorded.into(),
            log_index: logged.leaf + 1,
            recorded_date: self.today.0,
            granted: logged.standing.granted.keys().map(|category| category.number()).collect(),
            contract_hash: contract().hash().to_vec(),
            event_signature: signed.signature,
            nonce: logged.nonce.0.to_vec(),
            checkpoint: proof.checkpoint.into_bytes(),
            inclusion_proof: proof.inclusion,
            consistency_proof: proof.consistency,
            log_key: self.book.log_public_key().to_vec(),
            valid_until: 0,
        };
        txn.keep_receipt(subject, event.sequence, hash, &signed_receipt(&receipt)).unwrap();
    }

    pub(super) fn grant(&self, seed: u8, number: u64) -> Logged {
        let yes = (number, self.today);
        self.record(seed, &said(seed, yes, Decision::Granted, &[Category::PrintTime]))
    }

    pub(super) fn withdraw(&self, seed: u8, number: u64) {
        let no = (number, self.today);
        self.record(seed, &said(seed, no, Decision::Withdrawn, &[Category::PrintTime]));
    }

    /// Commits a batch of one print; gives its position.
    pub(super) fn store(&self, seed: u8, number: u64) -> u64 {
        let txn = self.book.begin().unwrap();
        let subject = key(seed).subject();
        let frame = Digest::of(&[seed, u8::try_from(number).unwrap()]);
        let batch = txn.open_batch(subject, number, frame, self.today.start()).unwrap();
        let record = batch.begin_record(RecordKind::Print, self.today).unwrap();
        let permit = batch.permit(Category::PrintTime, self.today).unwrap();
        batch.append(record, section(), permit).unwrap();
        let position = batch.finish().unwrap();
        let verdict = verdict(seed, (number, frame), None);
        txn.keep_verdict(subject, number, frame, &verdict).unwrap();
        txn.count("stored", 1, self.today).unwrap();
        txn.commit().unwrap();
        position
    }

    /// Refuses a batch for want of a grant.
    pub(super) fn refuse(&self, seed: u8, number: u64) {
        let txn = self.book.begin().unwrap();
        let frame = Digest::of(&[seed, u8::try_from(number).unwrap()]);
        let verdict = verdict(seed, (number, frame), Some(RefusalReason::NoGrant));
        txn.keep_verdict(key(seed).subject(), number, frame, &verdict).unwrap();
        txn.count("refused.no_grant", 1, self.today).unwrap();
        txn.commit().unwrap();
    }

    /// Records an act and enters it, with so many days until it is due.
    fn act(&self, seed: u8, what: &What, (verb, asker): (&str, Asker), days: u32, fate: Outcome) {
        let (txn, subject) = (self.book.begin().unwrap(), key(seed).subject());
        txn.record(subject, what, self.today.start()).unwrap().unwrap();
        let due = (self.today, UtcDate(self.today.0 + days));
        txn.enter(verb, asker, subject, due, fate).unwrap();
        txn.commit().unwrap();
    }

    pub(super) fn restrict(&self, seed: u8) {
        let by = owner(seed, Verb::Restrict, seed);
        let since = self.today;
        let restriction = Restriction { grounds: Grounds::Owner, since, until: None };
        let what = What::Restricted { restriction, by };
        self.act(seed, &what, ("restrict", Asker::Owner), 0, Outcome::Done);
    }

    /// The operator puts a subject under a legal hold.
    pub(super) fn hold(&self, seed: u8, days: u32) {
        let until = Some(UtcDate(self.today.0 + days));
        let restriction = Restriction { grounds: Grounds::Claim, since: self.today, until };
        let what = What::Restricted { restriction, by: Acting::Operator {} };
        self.act(seed, &what, ("restrict", Asker::Operator), 0, Outcome::Done);
    }

    pub(super) fn complain(&self, seed: u8) {
        let what = What::Complained { topic: 1, by: owner(seed, Verb::Complain, seed) };
        self.act(seed, &what, ("complain", Asker::Owner), 45, Outcome::Open);
    }

    pub(super) fn ask_for_erasure(&self, seed: u8) {
        let subject = key(seed).subject();
        let txn = self.book.begin().unwrap();
        let what = What::ErasureRequested { by: owner(seed, Verb::Erase, seed) };
        txn.record(subject, &what, self.today.start()).unwrap().unwrap();
        let due = (self.today, UtcDate(self.today.0 + 30));
        let number = txn.enter("erase", Asker::Owner, subject, due, Outcome::Open).unwrap();
        txn.add_task(subject, Job::Erase, number, self.today).unwrap();
        txn.commit().unwrap();
    }

    /// Restores a backup in the place of this collector.
    pub(super) fn restore(self, from: &Path) -> Self {
        let Self { book, data, today, .. } = self;
        drop(book);
        let (book, replayed) = Book::restore(&data, from, today.start()).unwrap();
        let collector = Self { today, ..Self::of(&data, book) };
        let mut erased = 0;
        collector.rewrite(|row| {
            let gone = replayed.gone.contains(&row.commit);
            erased += u64::from(gone);
            (!gone).then_some(row)
        });
        collector.book.finish_restore(&replayed, erased, today.start()).unwrap();
        collector
    }

    /// One publication, in the order of the publisher.
    pub(super) fn publish(&self) {
        self.keep_time();
        self.move_journal();
        if self.erases {
            self.work_off();
        }
        self.expire_files();
        self.store_catalogue();
        self.publish_evidence();
    }

    fn keep_time(&self) {
        let txn = self.book.begin().unwrap();
        for (subject, categories) in txn.lapsed(self.today).unwrap() {
            let what = What::Expired { categories };
            txn.record(subject, &what, self.today.start()).unwrap().unwrap();
        }
        let kept = txn.terms().retention();
        txn.expire_peppers(kept.print_days.max(kept.day_days), self.today).unwrap();
        txn.commit().unwrap();
    }

    pub(super) fn move_journal(&self) {
        let batches = self.book.journal(99).unwrap();
        let positions: Vec<u64> = batches.iter().map(|(position, _)| *position).collect();
        let mut rows = Vec::new();
        for (commit, records) in &batches {
            rows.extend((0..).zip(records).map(|(ordinal, record)| Row {
                kind: record.kind,
                date: record.date,
                epoch: record.epoch,
                commit: *commit,
                ordinal,
                subject: record.subject,
                principal: record.principal,
                sections: record.sections(),
            }));
        }
        let files = self.lake.write(&rows).unwrap();
        let named: Vec<_> = files.iter().map(|file| (file.path.as_str(), file)).collect();
        let txn = self.book.begin().unwrap();
        txn.publish(&positions, &named).unwrap();
        txn.commit().unwrap();
    }

    pub(super) fn work_off(&self) {
        let txn = self.book.begin().unwrap();
        let tasks = txn.work(self.today).unwrap();
        drop(txn);
        for work in tasks {
            let mut rows = 0;
            self.rewrite(|row| {
                let gone = work.pseudonyms.contains(&row.subject);
                rows += u64::from(gone);
                (!gone).then_some(row)
            });
            let txn = self.book.begin().unwrap();
            txn.finish(&work, rows, 1, self.today).unwrap();
            txn.commit().unwrap();
        }
    }

    fn rewrite(&self, mut change: impl FnMut(Row) -> Option<Row>) {
        for file in self.book.files::<FileEntry>().unwrap() {
            let new = self.lake.rewrite(&file, &mut change).unwrap();
            let txn = self.book.begin().unwrap();
            let new = new.as_ref().map(|entry| (entry.path.as_str(), entry));
            txn.replace_file(&file.path, new).unwrap();
            txn.commit().unwrap();
        }
    }

    fn first_kept(&self, kind: RecordKind) -> UtcDate {
        let kept = self.book.terms().retention();
        let days = if kind == RecordKind::Print { kept.print_days } else { kept.day_days };
        UtcDate(self.today.0 - days)
    }

    fn expire_files(&self) {
        let txn = self.book.begin().unwrap();
        for file in self.book.files::<FileEntry>().unwrap() {
            if file.date < self.first_kept(file.table) {
                txn.replace_file(&file.path, None::<(&str, &FileEntry)>).unwrap();
            }
        }
        txn.commit().unwrap();
    }

    pub(super) fn store_catalogue(&self) {
        let txn = self.book.begin().unwrap();
        let (enrolled, out) = txn.population(self.today).unwrap();
        let (excluded_at, position) = txn.excluded_at().unwrap();
        let rules = Rules::of(txn.terms().policies());
        drop(txn);
        let exclusion = |out: imprimatur_ledger::Withdrawn| Exclusion {
            subject: out.subject,
            category: out.category,
            up_to: out.up_to,
        };
        let catalogue = Catalogue {
            files: self.book.files().unwrap(),
            enrolled,
            excluded: out.into_iter().map(exclusion).collect(),
            excluded_at,
            position,
            rules,
            ..Catalogue::empty(self.today.start())
        };
        catalogue.store(self.lake.folder()).unwrap();
        self.lake.sweep(&catalogue).unwrap();
    }

    pub(super) fn publish_evidence(&self) {
        let (book, folder) = (&self.book, self.data.join("evidence"));
        let commits = book.commits_after(book.in_segments(Holds::Commits).unwrap()).unwrap();
        let events = book.events_after(book.in_segments(Holds::Consent).unwrap()).unwrap();
        let counts = book.counts().unwrap();
        let segments = [
            write_segment(&folder, Holds::Consent, &events, |event| event.position).unwrap(),
            write_segment(&folder, Holds::Commits, &commits, |commit| commit.position).unwrap(),
        ];
        let txn = book.begin().unwrap();
        for segment in segments.iter().flatten() {
            txn.name_segment(segment, &counts, self.today).unwrap();
        }
        txn.commit().unwrap();
        for (hash, text) in book.policies().unwrap() {
            write_policy(&folder, hash, &text).unwrap();
        }
        let (note, view) = book.log_view(book.log_size().unwrap()).unwrap();
        let mut tiles = TileWriter::open(&self.data.join("log"), &book.log_public_key()).unwrap();
        tiles.publish(&note, &view).unwrap();
        let catalogue = std::fs::read(self.lake.folder().join("catalogue.json")).unwrap();
        let kept = RecordKind::ALL.map(|kind| (kind.table().to_owned(), self.first_kept(kind)));
        let manifest = Manifest {
            collector_key: Digest(own_key().public()),
            log_key: Digest(book.log_public_key()),
            log_size: tiles.published().unwrap().size,
            contract_hash: Digest(contract().hash()),
            catalogue: Digest::of(&catalogue),
            published: book.positions().unwrap().1,
            kept_since: kept.into(),
            counts,
            segments: book.segments().unwrap(),
        };
        manifest.store(&folder).unwrap();
    }
}
