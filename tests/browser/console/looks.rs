//! Every page in light, in dark and on a phone: a picture, no barrier, nothing wider than the screen, nobody else asked.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::browser::{Browser, VIEWS};
use crate::server::Server;

/// Name of the picture, who looks, the page, and what is there when it is ready.
const PAGES: [(&str, &str, &str, &str); 12] = [
    ("sign-in", "", "", "#token"),
    ("explore", "engineer", "explore", ".ideas"),
    (
        "groups",
        "engineer",
        "explore?metric=failure_rate&by=machine_nozzle,material_family",
        "#numbers",
    ),
    (
        "difference",
        "engineer",
        "explore?metric=failure_rate&by=firmware&where=firmware=12.3,firmware=12.4",
        "#difference",
    ),
    (
        "weeks",
        "engineer",
        "explore?metric=failure_rate&by=week,material_family&since=2026-10-01",
        "#numbers",
    ),
    ("histogram", "engineer", "explore?metric=nozzle_set_point", "#numbers"),
    ("histograms", "engineer", "explore?metric=print_duration&by=material_family", "#numbers"),
    ("counts", "engineer", "explore?metric=print_count&by=model,layer_height,week", "#numbers"),
    ("withheld", "engineer", "explore?metric=print_count&where=material_family=tpu", ".refusal"),
    ("forbidden", "operator", "explore", ".refusal"),
    ("overview", "engineer", "overview", "#coverage"),
    ("compliance", "compliance", "compliance", "#capacity"),
];

#[tokio::test]
async fn every_page_is_open_to_all_and_keeps_to_itself() {
    let (server, browser) = (Server::start().await, Browser::start().await);
    let folder = pictures();
    finds_a_barrier_and_a_stranger(&server, &browser).await;
    let tokens: BTreeMap<&str, String> = ["engineer", "compliance", "operator"]
        .into_iter()
        .map(|role| (role, server.token(role)))
        .collect();
    let mut faults = Vec::new();
    for (name, role, hash, ready) in PAGES {
        match tokens.get(role) {
            Some(token) => browser.open(&server.url, hash, token).await,
            None => browser.driver.goto(&server.url).await,
        }
        browser.element(ready).await;
        for view in VIEWS {
            browser.view(view).await;
            settle(&browser).await;
            let at = format!("{name}-{}", view.name);
            fs::write(folder.join(format!("{at}.png")), browser.picture().await).unwrap();
            let wider =
                browser.run("return document.documentElement.scrollWidth - innerWidth").await;
            if wider.as_i64().is_none_or(|points| points > 0) {
                faults.push(format!("{at}: wider than the screen by {wider}"));
            }
            let barriers = browser.violations().await;
            faults.extend(barriers.into_iter().map(|barrier| format!("{at}: {barrier}")));
        }
        browser.view(VIEWS[0]).await;
        let foreign = browser.asked().await.into_iter().filter(|url| !url.starts_with(&server.url));
        faults.extend(foreign.map(|url| format!("{name}: asked {url}")));
        faults.extend(browser.complaints().await.into_iter().map(|text| format!("{name}: {text}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    browser.end().await;
}

/// The control: what the test looks for is found where it was put.
async fn finds_a_barrier_and_a_stranger(server: &Server, browser: &Browser) {
    browser.driver.goto(&server.url).await;
    browser.element("#token").await;
    assert!(browser.asked().await.iter().any(|url| url.ends_with("/assets/app.js")));
    browser
        .run("const picture = document.createElement('img'); picture.src = 'http://stranger.test/a.png'; document.body.append(picture); return 0")
        .await;
    let barriers = browser.violations().await;
    assert!(barriers.iter().any(|barrier| barrier.contains("image-alt")), "{barriers:?}");
    let asked = browser.asked().await;
    assert!(asked.iter().any(|url| url.contains("stranger.test")), "{asked:?}");
    let complaints = browser.complaints().await;
    assert!(
        complaints.iter().any(|text| text.contains("Content Security Policy")),
        "{complaints:?}"
    );
}

/// Two frames: charts are drawn again in another theme or width.
async fn settle(browser: &Browser) {
    let script = "const done = arguments[arguments.length - 1]; \
         requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(0), 50)))";
    browser.driver.run("async", script).await;
}

/// `target/console` of the workspace, where continuous integration takes them from.
fn pictures() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let folder = root.join("target/console");
    fs::create_dir_all(&folder).unwrap();
    folder
}
