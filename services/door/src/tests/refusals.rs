//! Every code once, rates, and bytes of all kinds.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use http_body_util::BodyExt as _;
use imprimatur_query::EngineSettings;
use imprimatur_runtime::SystemClock;
use proptest::prelude::*;
use tower::ServiceExt as _;

use super::world::World;
use crate::access::bounded;
use crate::problem::Code;
use crate::{DoorSettings, Limits, Role};

#[track_caller]
fn is(refusal: &(u16, String), status: u16, code: &str) {
    assert_eq!(*refusal, (status, code.to_owned()));
}

#[tokio::test]
async fn every_question_that_is_refused_has_its_code() {
    let world = World::new().await;
    let engineer = world.token(Role::Engineer);
    for (rest, status, code, said) in [
        ("shoe_size", 404, "unknown_metric", "there is no metric `shoe_size`"),
        ("failurerate", 404, "unknown_metric", "did you mean `failure_rate`?"),
        ("%ff%fe", 404, "unknown_metric", "a word"),
        ("print_count?by=moon", 400, "unknown_dimension", "there is no dimension `moon`"),
        ("busy_hours?by=outcome", 400, "dimension_not_allowed", "it allows technology, model"),
        ("print_count?where=material_family=cheese", 400, "unknown_value", "write one of"),
        ("print_count?where=outcome", 400, "not_a_filter", "DIMENSION=VALUE"),
        (
            "print_count?where=material_family=pla,material_family=petg",
            400,
            "several_values",
            "takes one value",
        ),
        ("print_count?since=2026-11-02", 400, "since_mid_month", "first day of a month"),
        ("print_count?since=yesterday", 400, "bad_date", "YYYY-MM-DD"),
        ("print_count?k=1", 400, "bad_parameter", "the parameters are"),
        ("print_count?by=week&by=date", 400, "bad_parameter", "twice"),
        ("print_count?format=exe", 400, "bad_parameter", "json"),
        ("print_count?by=outcome,model,date,material_family", 422, "too_fine", "fewer dimensions"),
        ("print_count?where=material_family=tpu", 422, "below_threshold", "at least 20"),
    ] {
        let answer = world.get(&format!("/v1/answers/{rest}"), &engineer).await;
        is(&answer.refusal(), status, code);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(said), "{rest}: {detail}");
        if code == "below_threshold" {
            assert_eq!(
                (&answer.json()["k"], &answer.json()["suppressed"]),
                (&20.into(), &1.into())
            );
        }
    }
    is(&world.get("/nothing/here", "").await.refusal(), 404, "not_found");
    is(&world.get("/v1/answers/", &engineer).await.refusal(), 404, "not_found");
    let long = format!("/v1/answers/print_count?where={}", "x".repeat(5000));
    is(&world.get(&long, &engineer).await.refusal(), 414, "too_long");
    let bearer = format!("authorization: Bearer {engineer}\r\n");
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW"] {
        let answer = world.send(method, b"/v1/session", &bearer).await;
        is(&answer.refusal(), 405, "method_not_allowed");
        assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    }
    let head = world.send("HEAD", b"/v1/session", &bearer).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
}

#[tokio::test]
async fn what_the_service_cannot_do_has_its_code_and_no_trace() {
    let world = World::with(|settings| {
        settings.engine = EngineSettings { memory_bytes: 1024, ..EngineSettings::default() };
    })
    .await;
    let engineer = world.token(Role::Engineer);
    let asked = "/v1/answers/print_count";
    is(&world.get(asked, &engineer).await.refusal(), 503, "too_large");
    let world = World::new().await;
    let engineer = world.token(Role::Engineer);
    let lake = world.folder.path().join("lake");
    let files = std::fs::read_dir(&lake).unwrap().map(|entry| entry.unwrap().path());
    for path in files.filter(|path| path.is_dir()) {
        std::fs::remove_dir_all(path).unwrap();
    }
    let broken = world.get(asked, &engineer).await;
    is(&broken.refusal(), 500, "internal");
    let detail = broken.json()["detail"].as_str().unwrap().to_owned();
    let number = detail.strip_prefix("the log has the reason under number ").unwrap();
    assert!(number.len() == 8 && number.bytes().all(|byte| byte.is_ascii_hexdigit()), "{detail}");
    std::fs::remove_file(lake.join("catalogue.json")).unwrap();
    is(&world.get(asked, &engineer).await.refusal(), 503, "not_published");
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_refused_and_what_ends_in_time_is_not() {
    let limits = Limits { call_within: Duration::from_secs(30), ..Limits::default() };
    let late = bounded(limits, tokio::time::sleep(Duration::from_secs(31))).await.unwrap_err();
    assert_eq!(late.code, Code::TooLarge);
    assert!(bounded(limits, tokio::time::sleep(Duration::from_secs(29))).await.is_ok());
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let world = World::with(|settings| {
        settings.limits.with_token.burst = 3;
        settings.limits.with_token.every = Duration::from_secs(7);
        settings.limits.without.burst = 2;
        settings.limits.without.every = Duration::from_secs(5);
    })
    .await;
    let engineer = world.token(Role::Engineer);
    for _ in 0..3 {
        assert_eq!(world.get("/v1/session", &engineer).await.status, 200);
    }
    let refused = world.get("/v1/session", &engineer).await;
    is(&refused.refusal(), 429, "rate_limited");
    assert_eq!(refused.header("retry-after"), Some("7"));
    // Another token, and who has none, have buckets of their own; a guess takes from the second.
    assert_eq!(world.get("/v1/session", &world.token(Role::Operator)).await.status, 200);
    assert_eq!(world.get("/healthz", "").await.status, 200);
    is(&world.get("/v1/session", "imq_guess").await.refusal(), 401, "unauthenticated");
    let guess = world.get("/v1/session", "imq_guess").await;
    is(&guess.refusal(), 429, "rate_limited");
    assert_eq!(guess.header("retry-after"), Some("5"));
    is(&world.get("/nothing", "").await.refusal(), 429, "rate_limited");
    // A page is many files, so they are not counted.
    assert_eq!(world.get("/assets/style.css", "").await.status, 200);
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(world.get("/healthz", "").await.status, 200);
    is(&world.get("/v1/session", &engineer).await.refusal(), 429, "rate_limited");
    world.clock.advance(Duration::from_secs(2));
    assert_eq!(world.get("/v1/session", &engineer).await.status, 200);
}

#[tokio::test]
async fn a_panic_ends_one_request_and_says_nothing() {
    async fn breaks() {
        panic!("a canary");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lake")).unwrap();
    let settings = DoorSettings::new(folder.path().to_owned(), ([127, 0, 0, 1], 0).into());
    let shared = crate::serve::shared(&settings, SystemClock::shared()).unwrap();
    let router: Router = Router::new()
        .route("/healthz", get(breaks))
        .layer(from_fn_with_state(shared, crate::access::pass));
    let request = || Request::get("/healthz").body(Body::empty()).unwrap();
    for _ in 0..2 {
        let answer = router.clone().oneshot(request()).await.unwrap();
        assert_eq!(answer.status(), 500);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(body.contains("\"code\":\"internal\"") && !body.contains("canary"), "{body}");
    }
}

/// A target of pieces that mean something, and of any bytes.
fn target() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(b"/v1/answers/".to_vec()),
        Just(b"print_count".to_vec()),
        Just(b"?by=".to_vec()),
        Just(b"&where=outcome=".to_vec()),
        Just(b"since=".to_vec()),
        Just(b"format=".to_vec()),
        Just(b"%".to_vec()),
        Just(b"%00".to_vec()),
        Just(b"%ff".to_vec()),
        Just(b"..".to_vec()),
        Just(b"{metric}".to_vec()),
        Just(b"TOKEN".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    proptest::collection::vec(pieces, 0..8).prop_map(|pieces| pieces.concat())
}

#[test]
fn no_bytes_break_the_door_or_make_it_tell_a_token() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let world = runtime.block_on(World::new());
    let token = world.token(Role::Engineer);
    let secret = token.trim_start_matches("imq_");
    let bearer = format!("authorization: Bearer {token}\r\n");
    let mut runner = proptest::test_runner::TestRunner::default();
    let law = |(target, front): (Vec<u8>, bool)| {
        let text: Vec<u8> =
            if front { [b"/v1/answers/".to_vec(), target].concat() } else { target };
        let mut sent = Vec::new();
        for piece in text.split_inclusive(|byte| *byte == b'N') {
            let whole = piece.strip_suffix(b"TOKEN".as_slice());
            sent.extend_from_slice(whole.unwrap_or(piece));
            if whole.is_some() {
                sent.extend_from_slice(token.as_bytes());
            }
        }
        let answer = runtime.block_on(world.send("GET", &sent, &bearer));
        prop_assert!(answer.status < 500, "{answer:?}");
        prop_assert!(!answer.body.contains(secret), "{answer:?}");
        prop_assert!(!answer.head.contains(secret), "{answer:?}");
        Ok(())
    };
    runner.run(&(target(), any::<bool>()), law).unwrap();
    assert_eq!(runtime.block_on(world.get("/healthz", "")).status, 200);
}
