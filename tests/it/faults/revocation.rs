//! Withdrawals while others flood: after each reply nothing commits under what it took back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use imprimatur_consent::{Category, SigningSeed};
use imprimatur_proto::consent::v1::Decision;
use imprimatur_testkit::oracle::{History, Seen};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::direct::{Alone, Wire, Word, batch, folder, grant};
use super::{history, report, sizes};
use crate::wire::Voice;

/// Owners who flood beside each other.
const FLOODS: u8 = 8;

/// Withdrawals under way at once; each beside a batch of its own owner.
const AT_ONCE: u64 = 4;

/// Who withdraws: keys of their own, far from those that flood.
fn voice(number: u64) -> Voice {
    let mut seed = [0xB0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    Voice { key: SigningSeed::from_seed(&seed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_reply_to_a_withdrawal_nothing_commits_under_full_load() {
    let root = tempfile::tempdir().unwrap();
    let (data, logs) = (root.path().join("data"), folder(root.path(), "logs"));
    let mut collector = Alone::spawn("collector", None, &data, &logs);
    let wire = collector.connect().await.unwrap();
    let done = Arc::new(AtomicU64::new(0));
    let mut floods = JoinSet::new();
    for seed in 1..=FLOODS {
        floods.spawn(flood(wire.clone(), Voice::of(seed), Arc::clone(&done)));
    }
    let wanted = sizes::withdrawals();
    let mut withdrawing = JoinSet::new();
    for lane in 0..AT_ONCE {
        let numbers: Vec<u64> = (0..wanted).filter(|number| number % AT_ONCE == lane).collect();
        withdrawing.spawn(withdraw(wire.clone(), numbers));
    }
    let (mut all, mut waits) = (History::default(), Vec::<Duration>::new());
    while let Some(part) = withdrawing.join_next().await {
        let (part, waited) = part.unwrap();
        add(&mut all, part);
        waits.extend(waited);
    }
    done.store(1, Ordering::SeqCst);
    while let Some(part) = floods.join_next().await {
        add(&mut all, part.unwrap());
    }
    let (fresh, stored) = (Voice::of(200), stored(&all));
    let mut wire = wire;
    wire.insist(&mut all, &[grant(&fresh), batch(&fresh, 1)]).await;
    all.fresh = self::stored(&all) > stored;
    // No fault: each frame is accounted for.
    all.quiet = true;
    drop(wire);
    assert_eq!(collector.end().await, (Some(0), false), "{}", collector.log());
    history::verified(&mut all, &data).await;
    history::add_disk(&mut all, &data);
    waits.sort_unstable();
    let at = |share: usize| waits.get(waits.len() * share / 100).map(Duration::as_micros);
    let figures = json!({
        "withdrawals": waits.len(),
        "reply_p50_us": at(50).map(|us| us.to_string()),
        "reply_p99_us": at(99).map(|us| us.to_string()),
    });
    let least = Seen { acknowledged: wanted, withdrawals: wanted, ..Seen::default() };
    report::verdict("revocation", &all, least, &figures);
}

fn stored(history: &History) -> usize {
    history.answered.iter().filter(|answer| answer.refused.is_none()).count()
}

fn add(all: &mut History, mut part: History) {
    all.issued.append(&mut part.issued);
    all.answered.append(&mut part.answered);
    all.replied.append(&mut part.replied);
    all.withdrawals += part.withdrawals;
}

/// Batch after batch of one owner, until others are done.
async fn flood(mut wire: Wire, voice: Voice, done: Arc<AtomicU64>) -> History {
    let mut history = History::default();
    wire.insist(&mut history, &[grant(&voice)]).await;
    let mut sequence = 0;
    while done.load(Ordering::SeqCst) == 0 {
        sequence += 1;
        wire.say(&mut history, &batch(&voice, sequence)).await;
    }
    history
}

/// Owners who grant, tell, and withdraw while their next batches are under way.
async fn withdraw(mut wire: Wire, numbers: Vec<u64>) -> (History, Vec<Duration>) {
    let (mut history, mut waits) = (History::default(), Vec::new());
    for number in numbers {
        let voice = voice(number);
        wire.insist(&mut history, &[grant(&voice), batch(&voice, 1)]).await;
        let later: Vec<Word> = (2..5).map(|sequence| batch(&voice, sequence)).collect();
        let mut beside = wire.clone();
        let racing = tokio::spawn(async move {
            let mut raced = History::default();
            for word in &later {
                beside.say(&mut raced, word).await;
            }
            raced
        });
        let taken = [Category::PrintTime, Category::Temperature];
        let word = Word::Consent(voice.event(2, Decision::Withdrawn, &taken));
        let begin = Instant::now();
        wire.insist(&mut history, &[word]).await;
        waits.push(begin.elapsed());
        // What comes after the reply is refused, whatever is still under way.
        let before = history.answered.len();
        wire.insist(&mut history, &[batch(&voice, 5)]).await;
        let late = &history.answered[before..];
        assert!(late.iter().all(|answer| answer.refused.is_some()), "{late:?}");
        history.withdrawals += 1;
        add(&mut history, racing.await.unwrap());
    }
    (history, waits)
}
