//! The metric explorer: what is asked is shown whole, with its uncertainty, what was withheld, and how to ask it elsewhere.

use std::fs;
use std::time::Duration;

use imprimatur_testkit::wait;
use serde_json::Value;

use crate::browser::Browser;
use crate::driver::{ENTER, TAB};
use crate::server::Server;

const SOON: Duration = Duration::from_secs(30);

/// How many of a chart's points are painted at all.
const PAINTED: &str = "const canvas = document.querySelector('.figure canvas'); \
     const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data; \
     let painted = 0; for (let at = 3; at < data.length; at += 4) painted += data[at] > 0; return painted";

async fn engineer(hash: &str) -> (Server, Browser, String) {
    let (server, browser) = (Server::start().await, Browser::start().await);
    let token = server.token("engineer");
    browser.open(&server.url, hash, &token).await;
    (server, browser, token)
}

#[tokio::test]
async fn one_of_the_twenty_questions_is_one_click_and_a_link_asks_it_again() {
    let (server, browser, token) = engineer("explore").await;
    browser.shows(".ideas", "What is the real failure rate").await;
    browser.click(".ideas li:nth-child(2) a").await;
    browser.shows("#result-title", "Failure rate by model").await;

    let path = "v1/answers/failure_rate?by=model";
    let told: Value = server.get(&token, path).await.json().await.unwrap();
    let cells = told["cells"].as_array().unwrap();
    assert!(cells.len() >= 2, "{told}");
    let rows = browser.texts("#numbers tbody tr").await;
    assert_eq!(rows.len(), cells.len());
    for (row, cell) in rows.iter().zip(cells) {
        assert!(row.starts_with(cell["dimensions"]["model"].as_str().unwrap()), "{row}: {cell}");
        assert!(
            row.contains(" % (") && row.contains(&cell["principals"].to_string()),
            "{row}: {cell}"
        );
    }
    for part in ["estimand", "privacy", "unit"] {
        browser.shows(".result", told[part].as_str().unwrap()).await;
    }
    browser.shows(".result", "Synthetic fleet").await;
    browser.shows(".facts", "20 principals").await;
    browser.shows(".elsewhere", told["command"].as_str().unwrap()).await;
    browser.shows(".elsewhere", &format!("'{}{path}'", server.url)).await;
    assert!(!browser.text(".elsewhere").await.contains(token.trim_start_matches("imq_")));
    wait::until(SOON, "a painted chart", async || {
        let painted = browser.run(PAINTED).await.as_u64().unwrap_or(0);
        if painted > 1000 { Ok(()) } else { Err(format!("{painted} points")) }
    })
    .await
    .unwrap();

    let link = browser.driver.address().await;
    assert!(link.ends_with("#/explore?metric=failure_rate&by=model"), "{link}");
    browser.driver.goto("about:blank").await;
    browser.driver.goto(&link).await;
    browser.shows("#result-title", "Failure rate by model").await;
    assert_eq!(browser.texts("#numbers tbody tr").await, rows);
    browser.end().await;
}

#[tokio::test]
async fn two_firmwares_are_told_with_their_difference() {
    let (_server, browser, _token) =
        engineer("explore?metric=failure_rate&by=firmware&where=firmware=12.3,firmware=12.4").await;
    browser.shows("#difference", "points").await;
    browser.shows("#difference", "Firmware 12.4 less 12.3").await;
    // The planted effect is large enough to be seen.
    browser.shows("#difference", "The interval leaves zero out").await;
    browser.end().await;
}

#[tokio::test]
async fn what_is_withheld_is_said_and_why() {
    let (server, browser, _token) = engineer("explore?metric=print_count&by=material_family").await;
    browser.shows(".missing", "not told").await;
    browser.shows(".missing", "at least 20 enrolled principals").await;
    let rows = browser.texts("#numbers tbody tr").await;
    assert!(rows.iter().all(|row| !row.starts_with("tpu")) && !rows.is_empty(), "{rows:?}");

    browser.driver.goto(&format!("{}#/explore?metric=nozzle_set_point", server.url)).await;
    browser.shows("#result-title", "Nozzle set-point").await;
    let withheld = browser.texts("#numbers .withheld").await;
    assert!(!withheld.is_empty() && withheld.iter().all(|text| text == "withheld"), "{withheld:?}");
    browser.shows("#numbers", "Rows told").await;

    browser
        .driver
        .goto(&format!("{}#/explore?metric=print_count&where=material_family=tpu", server.url))
        .await;
    browser.shows(".refusal[data-code=below_threshold]", "at least 20 enrolled principals").await;
    browser.shows(".refusal .next", "fewer dimensions").await;
    browser.end().await;
}

#[tokio::test]
async fn a_question_that_cannot_be_asked_is_answered_in_words() {
    let (server, browser, _token) = engineer("explore?metric=print_cuont").await;
    browser.shows(".refusal[data-code=unknown_metric]", "print_count").await;
    for (question, code) in [
        ("metric=print_count&by=modell", "unknown_dimension"),
        ("metric=print_count&by=laser_calibration_age", "dimension_not_allowed"),
        ("metric=print_count&where=material_family=cheese", "unknown_value"),
        ("metric=print_count&by=model,week,material_family,outcome", "too_fine"),
        ("metric=print_count&since=yesterday", "bad_date"),
        ("metric=%3Cimg%20src=x%20onerror=alert(1)%3E", "unknown_metric"),
    ] {
        browser.driver.goto(&format!("{}#/explore?{question}", server.url)).await;
        browser.shows(&format!(".refusal[data-code={code}] .next"), "").await;
    }
    assert_eq!(browser.run("return document.querySelectorAll('main img').length").await, 0);
    browser.end().await;
}

#[tokio::test]
async fn a_question_is_asked_with_the_keyboard_alone() {
    let (_server, browser, _token) = engineer("explore").await;
    browser.shows(".ideas", "Which nozzles clog?").await;
    let active = "return document.activeElement.id";
    let press = async |keys: &str| {
        browser.driver.active().await.keys(keys).await;
    };
    let until = async |id: &str| {
        for _ in 0..40 {
            if browser.run(active).await == id {
                return;
            }
            press(TAB).await;
        }
        panic!("no way to `{id}` with the tabulator");
    };
    until("skip").await;
    press(ENTER).await;
    assert_eq!(browser.run(active).await, "main");
    until("metric").await;
    press("Prints").await;
    until("by-1").await;
    press("Week").await;
    until("ask").await;
    press(ENTER).await;
    browser.shows("#result-title", "Prints by week").await;
    browser.shows("#said", "groups are told").await;
    browser.end().await;
}

#[tokio::test]
async fn an_answer_is_saved_as_the_server_gives_it() {
    let (server, browser, token) = engineer("explore?metric=failure_rate&by=model").await;
    for format in ["csv", "arrow", "parquet", "json"] {
        browser.click(&format!("[data-format={format}]")).await;
        let path = browser.saved().join(format!("failure_rate.{format}"));
        let saved = wait::until(SOON, "the saved file", async || fs::read(&path)).await.unwrap();
        let path = format!("v1/answers/failure_rate?by=model&format={format}");
        let told = server.get(&token, &path).await.bytes().await.unwrap();
        assert_eq!(saved, told, "{format}");
    }
    browser.end().await;
}
