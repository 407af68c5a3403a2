//! Printer programs are found by their own signs, and nothing else is taken for one.

use std::process::{Command, Stdio};
use std::time::Duration;

use imprimatur_agent::sources::SourceKind;
use imprimatur_agent::sources::find::{self, Found, Look};
use imprimatur_agent::sources::settings::Address;
use imprimatur_testkit::printers::{
    Behaviour, HttpPrinter, PLANTED, PlayedDuet, PlayedFormlabs, PlayedPrusaLink, PlayedUltimaker,
    Reply, Request,
};
use serde_json::Value;

/// Questions that one address is asked at most.
const QUESTIONS_MAX: usize = 8;

async fn look(url: &str) -> Look {
    let mut looks = find::at(&[Address::parse(url).unwrap()]).await;
    looks.pop().expect("one look for one address")
}

/// What is at `url`; `kind`, or the test fails.
pub(crate) async fn found(url: &str, kind: SourceKind) -> Found {
    match look(url).await {
        Look::Found(found) if found.kind == kind => {
            assert_eq!(found.address, url);
            assert!(found.settings.contains(&format!("kind = \"{}\"", kind.name())));
            found
        }
        other => panic!("{kind:?} at {url}: {other:?}"),
    }
}

#[tokio::test]
async fn played_printers_are_found_by_their_signs() {
    let prusalink = PlayedPrusaLink::start().await.unwrap();
    let ultimaker = PlayedUltimaker::start().await.unwrap();
    let formlabs = PlayedFormlabs::start().await.unwrap();
    let all = [
        (prusalink.url(), SourceKind::PrusaLink, true),
        (ultimaker.url(), SourceKind::Ultimaker, false),
        (formlabs.url(), SourceKind::Formlabs, false),
    ];
    for (url, kind, wants_a_key) in &all {
        let found = found(url, *kind).await;
        assert_eq!(found.settings.contains("api_key_file"), *wants_a_key, "{found:?}");
        for planted in PLANTED {
            assert!(!format!("{found:?}").contains(planted), "{planted} in {found:?}");
        }
    }
    for requests in [prusalink.requests(), ultimaker.requests(), formlabs.requests()] {
        assert!(requests.len() <= QUESTIONS_MAX, "{requests:?}");
        for request in requests {
            assert!(request.line.starts_with("GET ") && request.key.is_none(), "{request:?}");
        }
    }
}

#[tokio::test]
async fn a_duet_is_found_and_its_session_given_back() {
    for (password, wants_one) in [(None, false), (Some("planted-password"), true)] {
        let duet = PlayedDuet::start(password).await.unwrap();
        let found = found(&duet.url(), SourceKind::Duet).await;
        assert_eq!(found.settings.contains("password_file"), wants_one, "{found:?}");
        assert_eq!(duet.sessions().0, 0, "{:?}", duet.asked());
        let acts = ["rr_gcode", "rr_download", "rr_model", "password"];
        let asked = duet.asked();
        assert!(asked.iter().all(|path| !acts.iter().any(|act| path.contains(act))), "{asked:?}");
    }
    let full = PlayedDuet::start(None).await.unwrap();
    full.sessions_max(0);
    found(&full.url(), SourceKind::Duet).await;
}

#[tokio::test]
async fn a_server_that_answers_everything_alike_is_no_printer() {
    let page = "<!DOCTYPE html><title>It works!</title><p>idle printing OctoPrint version";
    let digest = "Digest realm=\"Administrator\", nonce=\"1\"";
    let to_a_printer = PlayedUltimaker::start().await.unwrap();
    let elsewhere = format!("{}/api/v1/printer/status", to_a_printer.url());
    let replies = [
        Reply::status(200, page).header("Content-Type", "text/html"),
        Reply::status(200, "{}"),
        Reply::status(200, "x".repeat(1024 * 1024)),
        Reply::status(204, ""),
        Reply::status(302, "").header("Location", elsewhere),
        Reply::status(401, "").header("WWW-Authenticate", digest),
        Reply::status(404, page),
        Reply::status(500, ""),
    ];
    for reply in replies {
        let told = format!("{reply:?}");
        let server = HttpPrinter::web(move |_: &Request| reply.clone()).await.unwrap();
        assert_eq!(look(&server.url()).await, Look::Unknown, "{}", told.get(..80).unwrap_or(&told));
        assert!(server.requests().len() <= QUESTIONS_MAX);
        assert_eq!(server.connections_at_once(), 1);
    }
    assert!(to_a_printer.requests().is_empty(), "a redirect was followed");
}

#[tokio::test]
async fn who_does_not_answer_holds_nobody_up() {
    let mut gone = HttpPrinter::web(|_: &Request| Reply::status(200, "")).await.unwrap();
    gone.stop().await;
    let broken = HttpPrinter::web(|_: &Request| Reply::status(200, "")).await.unwrap();
    broken.behave(Behaviour::Babbles);
    let hung = HttpPrinter::web(|_: &Request| Reply::status(200, "")).await.unwrap();
    hung.behave(Behaviour::Hangs);
    let ultimaker = PlayedUltimaker::start().await.unwrap();
    let urls = [gone.url(), hung.url(), broken.url(), ultimaker.url()];
    let addresses = urls.each_ref().map(|url| Address::parse(url).unwrap());
    let looks = tokio::time::timeout(Duration::from_mins(1), find::at(&addresses)).await.unwrap();
    assert_eq!(looks[..3], [Look::Silent, Look::Silent, Look::Silent]);
    assert!(matches!(&looks[3], Look::Found(found) if found.kind == SourceKind::Ultimaker));
    assert_eq!(hung.requests().len(), 1, "who hangs is asked no more");
}

/// What the command says: exit code, standard output, standard error.
async fn says(words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_imprimatur-agent"));
    command.args(["--config", "/nonexistent/agent.toml", "sources"]).args(words);
    command.stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), out, err)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_needs_no_settings_and_tells_what_to_write() {
    let prusalink = PlayedPrusaLink::start().await.unwrap();
    let url = prusalink.url();
    let host = url.trim_start_matches("http://");
    let (code, out, err) = says(&["--find", host]).await;
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let block = format!("[[source]]\nkind = \"prusalink\"\nurl = \"{url}\"\napi_key_file = ");
    assert!(out.contains(&block) && out.contains("readable for the agent alone"), "{out}");

    let (code, out, _) = says(&["--find", host, "--json"]).await;
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, &shown[0]["kind"], &shown[0]["address"]),
        (0, &"prusalink".into(), &url.into())
    );

    let web = HttpPrinter::web(|_: &Request| Reply::status(200, "<html>")).await.unwrap();
    let (code, out, _) = says(&["--find", &web.url()]).await;
    assert_eq!((code, out.lines().count()), (0, 1), "{out}");
    assert!(out.contains("cannot be told without a key"), "{out}");
    let (code, out, _) = says(&["--find", &web.url(), "--json"]).await;
    assert_eq!((code, out.as_str()), (0, "[]\n"));

    let (code, out, err) = says(&["--find"]).await;
    assert!(code == 0 && !out.is_empty() && err.is_empty(), "{out}{err}");
    for wrong in ["8.8.8.8", "https://octopi.local", "http://user:key@octopi.local"] {
        let (code, out, err) = says(&["--find", wrong]).await;
        assert!(code == 2 && out.is_empty() && err.contains("`url`"), "{err}");
    }
    let (code, _, err) = says(&["--find", "--printer", "a"]).await;
    assert!(code == 2 && err.contains("leave out --printer"), "{err}");
    let (code, _, err) = says(&[]).await;
    assert_eq!(code, 64, "without `--find` the settings are needed: {err}");
}
