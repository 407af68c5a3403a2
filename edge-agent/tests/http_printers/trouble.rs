//! Printers that misbehave: refusals, silence, garbage, floods, and the rate at which they are asked.

use std::time::Duration;

use imprimatur_agent::reading::Said;
use imprimatur_testkit::printers::{
    Behaviour, HttpPrinter, PLANTED, PlayedFormlabs, PlayedPrusaLink, PlayedUltimaker,
    PrusaLinkJob, Reply, UltimakerJob,
};

use crate::rig::Running;

/// Asked each second while a print runs, and each two while none does.
const POLL: Duration = Duration::from_secs(1);

/// One of each kind, on the wire.
enum Played {
    PrusaLink(PlayedPrusaLink),
    Ultimaker(PlayedUltimaker),
    Formlabs(PlayedFormlabs),
}

impl Played {
    async fn all() -> [Self; 3] {
        [
            Self::PrusaLink(PlayedPrusaLink::start().await.unwrap()),
            Self::Ultimaker(PlayedUltimaker::start().await.unwrap()),
            Self::Formlabs(PlayedFormlabs::start().await.unwrap()),
        ]
    }

    fn server(&self) -> &HttpPrinter {
        match self {
            Self::PrusaLink(played) => played,
            Self::Ultimaker(played) => played,
            Self::Formlabs(played) => played,
        }
    }

    fn says_instead(&self, reply: Reply) {
        let reply = Some(reply);
        match self {
            Self::PrusaLink(played) => played.change(|state| state.instead = reply),
            Self::Ultimaker(played) => played.change(|state| state.instead = reply),
            Self::Formlabs(played) => played.change(|state| state.instead = reply),
        }
    }

    fn prints(&self) {
        match self {
            Self::PrusaLink(played) => played.change(|state| {
                let job = PrusaLinkJob { id: 1, seconds: 5 };
                (state.state, state.job) = ("PRINTING", Some(job));
            }),
            Self::Ultimaker(played) => played.change(|state| {
                let job = UltimakerJob { state: "printing", result: "", uuid: "u", elapsed: 5 };
                (state.status, state.job) = ("printing", Some(job));
            }),
            Self::Formlabs(played) => played.change(|state| {
                (state.status, state.remaining_ms) = ("PRINTING", 1_000_000);
            }),
        }
    }

    /// The most requests for one look.
    fn requests_a_look(&self) -> usize {
        match self {
            Self::PrusaLink(_) | Self::Ultimaker(_) => 2,
            Self::Formlabs(_) => 1,
        }
    }

    fn run(&self) -> Running {
        let url = self.server().url();
        let own = match self {
            Self::PrusaLink(_) => "kind = \"prusalink\"\napi_key = \"KEY\"".to_owned(),
            Self::Ultimaker(_) => "kind = \"ultimaker\"".to_owned(),
            Self::Formlabs(_) => {
                format!("kind = \"formlabs\"\ndevice = \"{}\"", PlayedFormlabs::DEVICE)
            }
        };
        Running::start(&format!("{own}\nurl = \"{url}\"\npoll_seconds = {}", POLL.as_secs()))
    }
}

#[track_caller]
fn repeats_nothing(error: &str) {
    for word in PLANTED.into_iter().chain(["jane", "Traceback", "KEY", "evil"]) {
        assert!(!error.contains(word), "{word} in {error}");
    }
}

async fn fails_with(reply: &Reply, expected: &str) {
    for played in Played::all().await {
        played.says_instead(reply.clone());
        let mut running = played.run();
        let error = running.retries().await;
        assert!(error.contains(expected), "{error}");
        repeats_nothing(&error);
        assert_eq!(running.stop().await, [], "a printer that never answered says nothing");
    }
}

#[tokio::test]
async fn refusals_say_what_to_do_and_repeat_nothing_of_the_answer() {
    fails_with(&Reply::status(401, "<html>jane@acme</html>"), "is refused by").await;
    fails_with(&Reply::status(403, "Traceback /home/jane"), "is refused by").await;
}

#[tokio::test]
async fn a_wrong_key_of_prusalink_is_named_and_a_repaired_file_is_read_anew() {
    let played = PlayedPrusaLink::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "WRONG\n").unwrap();
    let mut running = Running::start(&format!(
        "kind = \"prusalink\"\nurl = \"{}\"\napi_key_file = \"{}\"\npoll_seconds = 1",
        played.url(),
        file.display()
    ));
    let error = running.retries().await;
    assert!(error.contains("the API key is refused by PrusaLink"), "{error}");
    assert!(error.contains("`api_key_file`"), "{error}");
    repeats_nothing(&error);
    std::fs::write(&file, "KEY\n").unwrap();
    running.says("online", |said| matches!(said, Said::Online(_))).await;
    running.stop().await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = PlayedUltimaker::start().await.unwrap();
    let to = format!("{}/api/v1/printer?evil", elsewhere.url());
    fails_with(&Reply::status(302, "").header("Location", to.clone()), "status 302").await;
    fails_with(&Reply::status(307, "").header("Location", to), "status 307").await;
    assert!(elsewhere.requests().is_empty(), "the key would have gone along");
}

#[tokio::test]
async fn what_is_not_of_the_form_is_refused() {
    let form = "not of the form";
    fails_with(&Reply::status(200, ""), form).await;
    fails_with(&Reply::status(200, "{\"printer\": "), form).await;
    fails_with(&Reply::status(200, "[[[[]]]]"), form).await;
    let deep = "[".repeat(100_000);
    fails_with(&Reply::status(200, deep), form).await;
    let gzip = [0x1f_u8, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0x17];
    fails_with(&Reply::status(200, gzip).header("Content-Encoding", "gzip"), form).await;
    fails_with(&Reply::status(204, ""), form).await;
    fails_with(&Reply::status(500, "evil"), "status 500").await;
    fails_with(&Reply::status(503, "evil"), "does not answer yet").await;
}

#[tokio::test]
async fn an_endless_answer_is_cut_off() {
    let long = format!("{{\"printer\": \"{}\"}}", "x".repeat(300 * 1024));
    fails_with(&Reply::status(200, long), "longer than 262144 bytes").await;
}

#[tokio::test]
async fn connections_that_break_and_bytes_that_are_no_http_are_survived() {
    for played in Played::all().await {
        for behaviour in [Behaviour::Cuts, Behaviour::Babbles] {
            played.server().behave(behaviour);
            let mut running = played.run();
            let error = running.retries().await;
            assert!(error.contains("no answer"), "{error}");
            played.server().behave(Behaviour::Answers);
            running.says("online", |said| matches!(said, Said::Online(_))).await;
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn a_printer_that_never_answers_is_given_up() {
    let [played, _, _] = Played::all().await;
    played.server().behave(Behaviour::Hangs);
    let mut running = played.run();
    let error = running.retries().await;
    assert!(error.contains("no answer within 10 s"), "{error}");
    running.stop().await;
}

/// The distance between the first and the last of `count` looks is at least that of the stated rate.
/// A slow machine makes it longer, never shorter.
#[tokio::test]
async fn a_printer_is_asked_no_oftener_than_stated_and_over_one_connection_at_once() {
    for played in Played::all().await {
        let mut running = played.run();
        running.says("online", |said| matches!(said, Said::Online(_))).await;
        let idle = looks(&played, 3).await;
        assert!(idle >= POLL * 2 * 2, "{idle:?}");
        played.prints();
        running.says("a start", |said| *said == Said::Started).await;
        let active = looks(&played, 4).await;
        assert!(active >= POLL * 3, "{active:?}");
        running.stop().await;
        assert_eq!(played.server().connections_at_once(), 1);
    }
}

/// The time that `count` looks from now on take, from the first to the last.
async fn looks(played: &Played, count: usize) -> Duration {
    let most = played.requests_a_look();
    let before = played.server().requests().len();
    loop {
        let all = played.server().requests();
        let new = &all[before..];
        // Each look begins with the same question.
        let firsts: Vec<_> = new.iter().filter(|it| it.line == all[0].line).collect();
        if firsts.len() > count {
            let between = new.iter().filter(|it| it.at < firsts[count].at).count();
            assert!(between <= most * (count + 1), "{new:?}");
            // The first may be the end of a look that was under way.
            return firsts[count].at - firsts[1].at;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
