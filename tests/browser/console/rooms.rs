//! Overview and compliance: what the collector and the verifier left, with what is too few withheld and what is late named.

use std::fs;

use imprimatur_proto::contract;

use crate::browser::Browser;
use crate::published::CHECKPOINT;
use crate::server::Server;

#[tokio::test]
async fn the_overview_tells_who_said_yes_to_what_and_what_was_refused_and_why() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    browser.open(&server.url, "", &server.token("operator")).await;
    browser.shows(".tiles", "240").await;
    browser.shows("main", "Synthetic fleet").await;
    let rows = browser.texts("#coverage tbody tr").await;
    let row = |name: &str| {
        let named = rows.iter().filter(|row| row.starts_with(name));
        named.cloned().collect::<Vec<String>>()
    };
    let temperature = row("Temperature");
    assert!(temperature[0].contains("180") && temperature[0].contains("75 %"), "{temperature:?}");
    assert!(row("Laser")[1].contains("withheld"), "{rows:?}");
    browser.shows("#coverage-title ~ .hint", "fewer than 20 principals").await;

    assert_eq!(browser.texts("#daily thead th").await, ["Day", "Stored", "Refused", "Busy"]);
    assert_eq!(browser.texts("#daily tbody tr").await.len(), 13);
    browser.click("[data-view=reason]").await;
    browser.shows("#daily", "No grant").await;
    let last = browser.text("#daily tbody tr").await;
    assert_eq!(last.split_whitespace().collect::<Vec<_>>(), ["2026-11-22", "66", "22"]);
    browser.end().await;
}

#[tokio::test]
async fn compliance_sees_the_proof_what_is_overdue_the_log_and_the_capacity() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    let token = server.token("compliance");
    browser.open(&server.url, "compliance", &token).await;
    browser.shows("[data-verdict=holds]", "all of it holds").await;
    browser.shows("#report", "INV-1").await;
    browser.shows("#report", "6,720").await;

    browser.shows("#requests", "1 request is overdue").await;
    let rows = browser.texts("#requests tbody tr").await;
    for (row, words) in
        rows.iter().zip(["overdue by", "stopped by a legal hold", "due in", "done 3 Feb 2024"])
    {
        assert!(row.contains(words), "{rows:?}");
    }
    assert_eq!(rows.len(), 4);

    let capacity = contract().capacity();
    let shown = browser.text("#capacity").await;
    for bits in [capacity.print_bits, capacity.print_geometry_bits, capacity.device_day_bits] {
        assert!(shown.contains(&format!("{bits:.2}")), "{bits}: {shown}");
    }
    assert_eq!(browser.text("#log pre").await.trim(), CHECKPOINT.trim());

    fs::remove_file(server.data().join("lake/report.json")).unwrap();
    browser.driver.refresh().await;
    browser.shows("#report", "No report yet").await;
    browser.end().await;
}

#[tokio::test]
async fn before_the_first_publication_the_overview_says_what_to_wait_for() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    fs::remove_file(server.data().join("lake/overview.json")).unwrap();
    browser.open(&server.url, "overview", &server.token("engineer")).await;
    browser.shows(".refusal[data-code=not_published] .next", "Try again later").await;
    browser.end().await;
}
