//! The commands of whoever answers for the data, as programs: exit codes, examples, JSON.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

use imprimatur_collector::{Collector, CollectorSettings, Running};
use imprimatur_consent::event::What;
use imprimatur_consent::policy::STRICTEST;
use imprimatur_consent::{Category, Digest, Domain, SigningSeed};
use imprimatur_ledger::Book;
use imprimatur_proto::canonical;
use imprimatur_proto::consent::v1::{
    Affirmation, ConsentEvent, Decision, Method, SignedConsentEvent,
};
use imprimatur_runtime::{Clock as _, SystemClock};
use tokio_util::sync::CancellationToken;

/// What a command said.
#[derive(Debug)]
struct Answer {
    code: i32,
    out: String,
    err: String,
}

impl Answer {
    #[track_caller]
    fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

/// Runs the program to its end, off the event loop that a collector of this test may need.
async fn says(arguments: &[&str]) -> Answer {
    let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
    let run = move || Command::new(env!("CARGO_BIN_EXE_imprimatur")).args(arguments).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    Answer { code, out: text(output.stdout), err: text(output.stderr) }
}

/// A data folder in which one subject said yes, and the subject's id.
fn one_subject() -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let (book, now) = (Book::open(&folder.path().join("data")).unwrap(), SystemClock.now());
    let policy = book.publish_policy(STRICTEST, now).unwrap();
    let key = SigningSeed::from_seed(&[7; 32]);
    let event = canonical::encode(&ConsentEvent {
        public_key: key.public().to_vec(),
        principal: vec![4; 16],
        sequence: 1,
        decision: Decision::Granted.into(),
        categories: vec![Category::PrintTime.number()],
        policy_hash: policy.hash.0.to_vec(),
        date: now.date().0,
        notice_language: b"en".to_vec(),
        method: Method::Command.into(),
        affirmation: Affirmation::AgeAndAuthority.into(),
        ..ConsentEvent::default()
    });
    let signature = key.sign(Domain::Consent, &event);
    let signed = canonical::encode(&SignedConsentEvent { event, signature });
    let txn = book.begin().unwrap();
    let what = What::Consent { signed_event: hex::encode(signed) };
    txn.record(key.subject(), &what, now).unwrap().unwrap();
    txn.commit().unwrap();
    (folder, key.subject().to_string())
}

async fn running(data: &Path) -> (Running, CancellationToken) {
    let stop = CancellationToken::new();
    let collector =
        Collector::open(CollectorSettings::local(data.to_owned()), SystemClock::shared()).unwrap();
    (collector.start(stop.clone()).await.unwrap(), stop)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[tokio::test]
async fn every_new_command_shows_an_example() {
    for command in [
        ["policy", "check"],
        ["policy", "show"],
        ["policy", "publish"],
        ["subject", "show"],
        ["subject", "export"],
        ["subject", "erase"],
        ["subject", "restrict"],
        ["subject", "release"],
        ["subject", "requests"],
        ["subject", "answer"],
        ["ledger", "verify"],
        ["ledger", "checkpoint"],
        ["ledger", "history"],
        ["backup", "create"],
        ["backup", "restore"],
        ["backup", "list"],
    ] {
        let help = says(&[command[0], command[1], "--help"]).await.exits(0);
        let example = format!("Example: imprimatur {} {}", command[0], command[1]);
        assert!(help.out.contains(&example), "{}", help.out);
    }
}

#[tokio::test]
async fn every_problem_of_a_policy_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path: PathBuf = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        shown(&path)
    };
    let good = path("good.toml", STRICTEST);
    let answer = says(&["policy", "check", &good]).await.exits(0);
    assert!(answer.out.contains(&Digest::of(STRICTEST.as_bytes()).to_string()));
    let bad = STRICTEST.replacen("version = 1", "version = 0\ncolour = \"red\"", 1);
    let bad = path("bad.toml", &bad);
    let answer = says(&["policy", "check", &bad]).await.exits(64);
    let line = STRICTEST.lines().position(|line| line == "version = 1").unwrap() + 1;
    for at in [line, line + 1] {
        assert!(answer.err.contains(&format!("{bad}:{at}: `")), "line {at}: {}", answer.err);
    }
    let told = says(&["policy", "check", &bad, "--json"]).await.exits(64).json();
    let problems = told["problems"].as_array().unwrap();
    assert!(problems.len() >= 2 && problems.iter().all(|one| one["advice"].is_string()));
    assert!(says(&["policy", "check", &good, "--json"]).await.exits(0).json()["hash"].is_string());
    says(&["policy", "check", &shown(&folder.path().join("absent"))]).await.exits(64);

    let names = says(&["policy", "show"]).await.exits(0).out;
    assert_eq!(names.lines().count(), 7, "{names}");
    assert_eq!(
        says(&["policy", "show", "strictest"]).await.exits(0).out.trim_end(),
        STRICTEST.trim_end()
    );
    assert!(says(&["policy", "show", "lax"]).await.exits(2).err.contains("strictest"));
}

/// The same whether a collector runs or the command opens the folder itself.
async fn rights(data: &str, subject: &str) {
    let on = |command: &'static str| [command, subject, "--data", data].map(str::to_owned);
    let subject_says = async |command: &'static str, more: &[&str]| {
        let fixed = on(command);
        let mut arguments = vec!["subject"];
        arguments.extend(fixed.iter().map(String::as_str));
        arguments.extend(more);
        says(&arguments).await
    };
    let show = subject_says("show", &[]).await.exits(0).out;
    assert!(show.contains("controller") && show.contains("print_time"), "{show}");
    let export = subject_says("export", &[]).await.exits(0).out;
    let read = imprimatur_collector::rights::export::read(&export).unwrap();
    assert_eq!(read.events.len(), 1);
    subject_says("release", &[]).await.exits(1);
    subject_says("restrict", &["--grounds", "claim"]).await.exits(2);
    subject_says("restrict", &["--grounds", "owner", "--until", "2999-01-01"]).await.exits(2);
    subject_says("restrict", &["--grounds", "claim", "--until", "2001-01-01"]).await.exits(1);
    let hold = ["--grounds", "claim", "--until", "2999-01-01", "--json"];
    let told = subject_says("restrict", &hold).await.exits(0).json();
    assert_eq!(told.get("status").and_then(serde_json::Value::as_str), Some("done"));
    let held = subject_says("erase", &[]).await.exits(1);
    assert!(held.err.contains("legal hold"), "{held:?}");
    subject_says("release", &[]).await.exits(0);
    let requests = says(&["subject", "requests", "--data", data, "--json"]).await.exits(0).json();
    let verbs: Vec<_> =
        requests.as_array().unwrap().iter().map(|one| one["verb"].as_str().unwrap()).collect();
    assert_eq!(verbs, ["explain", "export", "restrict", "erase", "release"]);
    says(&["subject", "requests", "--overdue", "--data", data]).await.exits(0);
    says(&["subject", "answer", "4", "--data", data]).await.exits(1);
    let unknown = "0123456789abcdef0123456789abcdef";
    let nobody = says(&["subject", "show", unknown, "--data", data]).await.exits(1);
    assert!(nobody.err.contains("no such subject"), "{nobody:?}");
    says(&["subject", "show", "somebody", "--data", data]).await.exits(2);
}

#[tokio::test]
async fn the_operator_exercises_rights_in_a_folder_that_nobody_serves() {
    let (folder, subject) = one_subject();
    let data = folder.path().join("data");
    rights(&shown(&data), &subject).await;
    let absent = shown(&folder.path().join("absent"));
    says(&["subject", "show", &subject, "--data", &absent]).await.exits(64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_operator_exercises_rights_while_the_collector_runs() {
    let (folder, subject) = one_subject();
    let data = folder.path().join("data");
    let (collector, stop) = running(&data).await;
    rights(&shown(&data), &subject).await;
    stop.cancel();
    collector.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_log_is_told_and_backups_are_made_and_restored() {
    let (folder, subject) = one_subject();
    let data = folder.path().join("data");
    let told = shown(&data);
    let nothing = says(&["ledger", "checkpoint", "--data", &told]).await.exits(1);
    assert!(nothing.err.contains("no log"), "{nothing:?}");
    let (collector, stop) = running(&data).await;
    let to = shown(&folder.path().join("monday"));
    let made = says(&["backup", "create", "--to", &to, "--data", &told, "--json"]).await.exits(0);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(!folder.path().join("monday/keys").exists(), "the keys are in no backup");
    says(&["backup", "create", "--to", &to, "--data", &told]).await.exits(1);
    let busy = says(&["backup", "restore", "--from", &to, "--data", &told]).await.exits(1);
    assert!(busy.err.contains("stop it"), "{busy:?}");
    let erase = ["subject", "erase", subject.as_str(), "--data", &told];
    says(&erase).await.exits(0);
    stop.cancel();
    collector.ended().await.unwrap();

    let checkpoint = says(&["ledger", "checkpoint", "--data", &told]).await.exits(0).out;
    assert!(checkpoint.starts_with("imprimatur/"), "{checkpoint}");
    says(&["ledger", "verify", "--data", &told]).await.exits(0);
    let kept = folder.path().join("checkpoint");
    std::fs::write(&kept, &checkpoint).unwrap();
    let book = Book::open(&data).unwrap();
    let key = Digest(book.log_public_key()).to_string();
    drop(book);
    let kept = shown(&kept);
    let anchored = ["ledger", "verify", "--data", &told, "--log-key", &key, "--checkpoint", &kept];
    says(&anchored).await.exits(0);
    says(&["ledger", "verify", "--data", &told, "--checkpoint", &kept]).await.exits(2);
    says(&["ledger", "verify", "--data", &told, "--log-key", &"0".repeat(64)]).await.exits(1);
    let history = says(&["ledger", "history", "--data", &told]).await.exits(0).out;
    for event in ["policy_published", "private", "backup_made", "key_destroyed"] {
        assert!(history.contains(event), "{event} is not in {history}");
    }
    let lines = says(&["ledger", "history", "--data", &told, "--json"]).await.exits(0).out;
    assert_eq!(lines.lines().count(), history.lines().count());
    let list = says(&["backup", "list", "--data", &told]).await.exits(0).out;
    assert!(list.contains(&id), "{list}");
    says(&["backup", "restore", "--from", &to, "--data", &told]).await.exits(0);
    let gone = says(&["subject", "show", &subject, "--data", &told]).await.exits(1);
    assert!(gone.err.contains("no such subject"), "{gone:?}");
    says(&["backup", "restore", "--from", &shown(folder.path()), "--data", &told]).await.exits(69);
}

#[tokio::test]
async fn tokens_are_made_once_listed_without_secrets_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().display().to_string();
    let create = |days: &'static str| {
        let lab = ["--role", "engineer", "--name", "quality lab", "--days", days];
        let data = data.clone();
        async move { says(&[&["token", "create", "--data", &data], &lab[..]].concat()).await }
    };
    let made = create("30").await.exits(0);
    let secret = made.out.trim_end().strip_prefix("imq_").unwrap().to_owned();
    assert_eq!(secret.len(), 43);
    let again = create("30").await.exits(1);
    assert!(again.err.contains("there is a token `quality lab`"), "{again:?}");
    let long = create("400").await.exits(2);
    assert!(long.err.contains("`--days` takes 1 to 366"), "{long:?}");
    let listed = says(&["token", "list", "--data", &data, "--json"]).await.exits(0);
    let tokens = listed.json();
    assert_eq!((&tokens[0]["role"], &tokens[0]["expired"]), (&"engineer".into(), &false.into()));
    let text = says(&["token", "list", "--data", &data]).await.exits(0).out;
    assert!(text.starts_with("engineer ") && text.ends_with("  quality lab\n"), "{text}");
    assert!(!listed.out.contains(&secret) && !text.contains(&secret));
    says(&["token", "revoke", "quality lab", "--data", &data]).await.exits(0);
    let gone = says(&["token", "revoke", "quality lab", "--data", &data]).await.exits(1);
    assert!(gone.err.contains("there is no token `quality lab`"), "{gone:?}");
    assert!(says(&["token", "list", "--data", &data]).await.exits(0).out.is_empty());
}
