//! System calls that fail: each n-th call of each kind on the collector's own files, by strace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use imprimatur_testkit::oracle::{History, Seen, judge};
use serde_json::json;

use super::direct::{Alone, folder, recovered, script};
use super::{report, sizes};

/// The kinds of call that change a disk.
const KINDS: [&str; 10] = [
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "rename",
    "openat",
    "ftruncate",
    "unlink",
    "mkdir",
    "unlinkat",
];

/// Syncs, after whose failure nobody knows what is on the disk: the collector ends.
const ENDS: [&str; 2] = ["fsync", "fdatasync"];

/// Exit codes that tell a failure: no answer, unavailable, the system.
const TOLD: [i32; 2] = [69, 70];

/// One collector that says all of the script to itself under strace.
struct Case {
    kind: &'static str,
    error: &'static str,
    /// Which call of a thread.
    place: usize,
    /// Whether it comes when the collector was told to end.
    closing: bool,
}

/// Calls of a script by kind, and the paths that they are about.
#[derive(Default)]
struct Calls {
    /// The most that one thread makes.
    most: BTreeMap<&'static str, usize>,
    /// Of these, before the collector is told to end.
    working: BTreeMap<&'static str, usize>,
    paths: BTreeSet<PathBuf>,
}

/// `strace` with its own options; its output goes to `out`.
fn strace(out: &Path, options: &[&str]) -> Command {
    let program = Path::new("/usr/bin/strace");
    assert!(program.exists(), "`strace` is missing; install it: cargo xtask peers");
    let mut command = Command::new(program);
    command.args(["-f", "--seccomp-bpf", "-qq", "-y", "-s", "0", "-o"]).arg(out).args(options);
    command
}

/// Counts the calls that the script makes on files below `data`.
async fn counted(root: &Path) -> Calls {
    let (logs, out) = (folder(root, "count"), root.join("count.strace"));
    let data = root.join("data");
    let trace = format!("trace={}", KINDS.join(","));
    let runner = strace(&out, &["-e", &trace]);
    let mut collector = Alone::spawn("counted", Some(runner), &data, &logs);
    let mut wire =
        collector.connect().await.expect("ptrace is allowed: sysctl kernel.yama.ptrace_scope=0");
    let mut history = History::default();
    wire.insist(&mut history, &script()).await;
    drop(wire);
    assert_eq!(collector.end().await, (Some(0), false), "{}", collector.log());
    let mut calls = Calls::default();
    let mut by_thread: BTreeMap<(&str, &'static str), usize> = BTreeMap::new();
    let text = fs::read_to_string(&out).unwrap();
    let mut closing = false;
    for line in text.lines() {
        closing |= line.contains("--- SIGTERM ");
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        let kind =
            KINDS.iter().find(|kind| call.strip_prefix(**kind).is_some_and(|r| r.starts_with('(')));
        let (Some(kind), Some(path)) = (kind, below(call, &data)) else { continue };
        calls.paths.insert(path);
        let count = by_thread.entry((thread, kind)).or_default();
        *count += 1;
        let most = calls.most.entry(kind).or_default();
        *most = (*most).max(*count);
        if !closing {
            calls.working.insert(kind, *most);
        }
    }
    assert!(closing, "nobody told it to end: {text}");
    fs::remove_dir_all(&data).unwrap();
    calls
}

/// The path below a folder that a line of strace names first.
fn below(line: &str, data: &Path) -> Option<PathBuf> {
    let data = data.display().to_string();
    let (_, rest) = line.split_once(&data)?;
    let (path, _) = rest.split_once(['>', '"'])?;
    Some(PathBuf::from(format!("{data}{path}")))
}

/// The cases: each kind at its places, with either error in turn.
fn cases(calls: &Calls) -> Vec<Case> {
    let mut cases = Vec::new();
    for (&kind, &most) in &calls.most {
        let wanted = match usize::try_from(sizes::places()).unwrap() {
            0 => most,
            wanted => wanted.min(most),
        };
        for number in 0..wanted {
            // From the first call to the last one.
            let place = 1 + number * (most - 1) / (wanted - 1).max(1);
            let error = ["EIO", "ENOSPC"][cases.len() % 2];
            let closing = place > calls.working.get(kind).copied().unwrap_or(0);
            cases.push(Case { kind, error, place, closing });
        }
    }
    cases
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_whose_disk_fails_ends_or_goes_on_and_keeps_what_it_answered() {
    let root = tempfile::tempdir().unwrap();
    let calls = counted(root.path()).await;
    let cases = cases(&calls);
    let (mut wrong, mut outcomes) = (Vec::new(), BTreeMap::<String, u64>::new());
    let mut reached = 0;
    let mut all = History { fresh: true, ..History::default() };
    for (number, case) in cases.iter().enumerate() {
        let Case { kind, error, place, .. } = case;
        let called = format!("{kind} {place} {error}");
        let (history, how) = run(root.path(), number, case, &calls.paths).await;
        let ended = how.ended.map_or_else(|| "went on".to_owned(), |code| format!("ended {code}"));
        // Threads share the work anew each time: not every place is reached again.
        let ended = if how.injected == 0 { "not reached".to_owned() } else { ended };
        reached += usize::from(how.injected > 0);
        println!("{called} of {}: {ended}", calls.most[kind]);
        *outcomes.entry(format!("{kind}: {ended}")).or_default() += 1;
        wrong.extend(how.faults(case).into_iter().map(|what| format!("{called}: {what}")));
        all.crashes += u64::from(how.ended.is_some());
        let broken = judge(&history, Seen::default());
        wrong.extend(broken.iter().map(|broken| format!("{called}: {broken}")));
        all.issued.extend(history.issued);
    }
    let figures = json!({ "calls": calls.most, "cases": cases.len(), "reached": reached, "outcomes": outcomes });
    // Each case was judged alone, for subjects are the same in all.
    report::verdict("io", &all, Seen { crashes: 2, ..Seen::default() }, &figures);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(reached * 2 > cases.len(), "{reached} of {} calls failed", cases.len());
}

/// How a collector took a failing call.
struct How {
    /// Its exit code, when it ended by itself.
    ended: Option<i32>,
    injected: usize,
    log: String,
}

impl How {
    fn faults(&self, case: &Case) -> Vec<&'static str> {
        let mut faults = Vec::new();
        if self.log.contains("panicked") {
            faults.push("it panicked");
        }
        if self.ended.is_some_and(|code| !TOLD.contains(&code)) {
            faults.push("its exit code does not tell a failure");
        }
        if self.ended.is_some() && !self.log.contains("imprimatur: ") {
            faults.push("it ended without a word");
        }
        // What closes the book syncs nothing that was answered: that is synced.
        if !case.closing && ENDS.contains(&case.kind) && self.injected > 0 && self.ended.is_none() {
            faults.push("it went on after a failed sync");
        }
        faults
    }
}

async fn run(root: &Path, number: usize, case: &Case, paths: &BTreeSet<PathBuf>) -> (History, How) {
    let logs = folder(root, &format!("case-{number}"));
    let (data, out) = (root.join("data"), logs.join("strace"));
    let Case { kind, error, place, .. } = case;
    let inject = format!("inject={kind}:error={error}:when={place}");
    let mut runner = strace(&out, &["-e", &inject]);
    for path in paths {
        runner.arg("-P").arg(path);
    }
    let mut history = History::default();
    let mut collector = Alone::spawn("failing", Some(runner), &data, &logs);
    if let Some(mut wire) = collector.connect().await {
        for word in script() {
            wire.say(&mut history, &word).await;
        }
    }
    let (code, alone) = collector.end().await;
    // Its last publication may fail as well: then it ends with a failure although it was told to.
    let ended = (alone || code != Some(0)).then(|| code.unwrap_or(-1));
    let injected = fs::read_to_string(&out).unwrap_or_default().matches("(INJECTED)").count();
    let how = How { ended, injected, log: collector.log() };
    let history = recovered(history, &script(), &data, &logs).await;
    fs::remove_dir_all(&data).unwrap();
    (history, how)
}
