//! Real requests to a real door over a real small lake.

mod grafana;
mod grpc;
mod log;
mod refusals;
mod releases;
mod roles;
mod world;

use imprimatur_consent::Invariant;
use imprimatur_lake::{Checked, Report, Verdict};
use imprimatur_runtime::Clock as _;
use imprimatur_testkit::peers::Schemathesis;

use self::world::World;
use crate::Role;

#[tokio::test]
async fn an_engineer_is_answered_as_the_command_line_is() {
    let world = World::new().await;
    let engineer = world.token(Role::Engineer);
    let answer = world.get("/v1/answers/print_count?by=material_family", &engineer).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let json = answer.json();
    assert_eq!(json["metric"], "print_count");
    assert_eq!(json["command"], "imprimatur query print_count --by material_family");
    assert_eq!(json["cells"][0]["dimensions"]["material_family"], "pla");
    assert_eq!(json["cells"][0]["value"]["count"], 40);
    assert!(json["privacy"].as_str().unwrap().contains("enrolled principals"));
    let filtered = "/v1/answers/failure_rate?where=material_family%3Dpla&since=2026-11-01";
    let answer = world.get(filtered, &engineer).await.json();
    let command = "imprimatur query failure_rate --where material_family=pla --since 2026-11-01";
    assert_eq!(answer["command"], command);
    let csv = world.get("/v1/answers/print_count?by=material_family&format=csv", &engineer).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(csv.header("content-disposition"), Some("attachment; filename=\"print_count.csv\""));
    assert!(csv.body.starts_with("material_family,principals,rows,count\npla,40,40,40\n"));
    for (format, kind, ending) in [
        ("arrow", "application/vnd.apache.arrow.stream", "arrows"),
        ("parquet", "application/vnd.apache.parquet", "parquet"),
    ] {
        let named = format!("/v1/answers/print_count?format={format}");
        let named = world.get(&named, &engineer).await;
        let bearer = format!("authorization: Bearer {engineer}\r\naccept: {kind}\r\n");
        let accepted = world.send("GET", b"/v1/answers/print_count", &bearer).await;
        assert_eq!((named.status, named.header("content-type")), (200, Some(kind)));
        assert_eq!(named.body, accepted.body);
        let file = format!("attachment; filename=\"print_count.{ending}\"");
        assert_eq!(named.header("content-disposition"), Some(file.as_str()));
        assert_eq!(named.body.starts_with("PAR1"), format == "parquet");
    }
}

#[tokio::test]
async fn what_may_be_asked_is_listed() {
    let world = World::new().await;
    let engineer = world.token(Role::Engineer);
    let session = world.get("/v1/session", &engineer).await.json();
    assert_eq!((&session["role"], &session["name"]), (&"engineer".into(), &"engineer".into()));
    assert_eq!(session["expires"], "2027-02-14");
    let metrics = world.get("/v1/metrics", &engineer).await.json();
    let metrics = metrics["metrics"].as_array().unwrap().clone();
    assert!(metrics.iter().any(|metric| metric["name"] == "failure_rate"));
    let dimensions = world.get("/v1/dimensions", &engineer).await.json();
    let dimensions = dimensions["dimensions"].as_array().unwrap().clone();
    let of = |name: &str| dimensions.iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!(of("date")["values"], serde_json::Value::Null);
    assert_eq!(of("outcome")["values"][2]["value"], "stopped_by_user");
    assert_eq!(of("outcome")["values"][2]["label"], "stopped by user");
    for metric in &metrics {
        for dimension in metric["dimensions"].as_array().unwrap() {
            assert_ne!(of(dimension.as_str().unwrap())["meaning"], "");
        }
    }
    let questions = world.get("/v1/questions", &engineer).await.json();
    let questions = questions["questions"].as_array().unwrap().clone();
    assert_eq!(questions.last().unwrap()["number"], 20);
    assert!(questions[0]["command"].as_str().unwrap().starts_with("imprimatur query "));
}

#[tokio::test]
async fn the_overview_withholds_few_and_compliance_has_dates_and_no_names() {
    let world = World::new().await;
    let told = world.get("/v1/overview", &world.token(Role::Operator)).await.json();
    assert_eq!(
        (&told["published"], &told["principals"]),
        (&"2027-01-15T08:00:00Z".into(), &60.into())
    );
    assert_eq!(told["coverage"][0]["principals"], serde_json::Value::Null, "15 would be told");
    assert_eq!(told["coverage"][1]["principals"], 20);
    assert_eq!(told["coverage"][1]["policy"], "abababab");
    assert_eq!(
        (&told["answers"][0]["date"], &told["answers"][0]["count"]),
        (&"2026-11-21".into(), &3.into())
    );
    let compliance = world.token(Role::Compliance);
    let told = world.get("/v1/compliance", &compliance).await.json();
    assert_eq!((&told["report"], &told["log"]["size"]), (&serde_json::Value::Null, &9.into()));
    assert_eq!(
        (&told["requests"][0]["kind"], &told["requests"][0]["due"]),
        (&"erase".into(), &"2026-12-20".into())
    );
    assert_eq!(told["capacity"]["print_budget_bits"], 40.0);
    let lake = world.folder.path().join("lake");
    let checks =
        vec![Checked { invariant: Invariant::NoPermitNoRow, holds: true, checked: 4, failed: 0 }];
    let (made, verdict) = (world.clock.now(), Verdict::Holds);
    let report = Report { made, verdict, synthetic: true, rows: 4, log_size: 9, checks };
    report.store(&lake).unwrap();
    let told = world.get("/v1/compliance", &compliance).await.json();
    assert_eq!((&told["report"]["verdict"], &told["report"]["rows"]), (&"holds".into(), &4.into()));
    assert_eq!(told["report"]["checks"][0]["invariant"], "INV-1");
    std::fs::write(lake.join("overview.json"), "{\"name\":1}").unwrap();
    assert_eq!(world.get("/v1/compliance", &compliance).await.refusal().1, "internal");
    std::fs::remove_file(lake.join("overview.json")).unwrap();
    let absent = world.get("/v1/overview", &compliance).await.refusal();
    assert_eq!(absent, (503, "not_published".to_owned()));
}

#[tokio::test]
async fn counts_have_words_of_the_program_alone() {
    let world = World::new().await;
    world
        .get("/v1/answers/print_count?by=canary_in_the_question", &world.token(Role::Engineer))
        .await;
    world.get("/canary/in/the/path", "").await;
    let numbers = world.get("/metrics", &world.token(Role::Operator)).await;
    let line = "imprimatur_query_requests_total{route=\"/v1/answers/{metric}\",status=\"400\",\
                role=\"engineer\"} 1";
    assert!(numbers.body.contains(line), "{}", numbers.body);
    assert!(numbers.body.contains("imprimatur_query_refusals_total{code=\"not_found\"} 1"));
    assert!(numbers.body.ends_with("# EOF\n") && !numbers.body.contains("canary"));
}

#[tokio::test]
async fn a_browser_is_told_to_trust_nothing_else() {
    let world = World::new().await;
    let answers = [
        world.get("/healthz", "").await,
        world.get("/v1/session", &world.token(Role::Engineer)).await,
        world.get("/v1/session", "").await,
        world.get("/nothing", "").await,
    ];
    for answer in &answers {
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && !policy.contains("unsafe"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    }
    assert!(answers[1..].iter().all(|one| one.header("cache-control") == Some("no-store")));
}

#[tokio::test]
async fn the_console_is_there_without_a_token() {
    let world = World::new().await;
    let page = world.get("/", "").await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    let style = world.get("/assets/style.css", "").await;
    assert_eq!(style.header("content-type"), Some("text/css; charset=utf-8"));
    for wrong in
        ["/assets/nothing.js", "/assets/../Cargo.toml", "/assets/%2e%2e/lib.rs", "/assets/%ff"]
    {
        assert_eq!(world.get(wrong, "").await.refusal(), (404, "not_found".to_owned()), "{wrong}");
    }
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_then_nobody() {
    let world = World::new().await;
    let address = world.address;
    world.stop().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

/// What the description says is what the door does, whoever asks: statuses, types, schemas, headers, methods,
/// tokens. That some described questions are refused is no finding: which metric has which dimension
/// cannot be said there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schemathesis_finds_the_door_as_it_is_described() {
    let world = World::new().await;
    let description = format!("http://{}/openapi.json", world.address);
    for role in Role::ALL {
        let token = format!("Authorization: Bearer {}", world.token(role));
        let arguments = [
            "--checks=all",
            "--exclude-checks=positive_data_acceptance",
            "--phases=coverage,fuzzing",
            "--max-examples=40",
            "--seed=1",
            "-H",
            &token,
        ];
        let report = Schemathesis::run(&description, &arguments, world.folder.path()).await;
        let report = report.unwrap_or_else(|error| panic!("{role}: {error}"));
        assert!(report.contains("Tested: 11") && !report.contains("Rate limited"), "{report}");
    }
}
