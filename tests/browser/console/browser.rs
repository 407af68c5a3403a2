//! Headless Chromium, driven through `ChromeDriver`; it reaches loopback and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imprimatur_testkit::peers::{self, INSTALL};
use imprimatur_testkit::process::Guarded;
use imprimatur_testkit::{ports, wait};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::driver::{Driver, Element};

/// A page answers within some hundred milliseconds; the machine may be busy.
const SOON: Duration = Duration::from_secs(30);

const LOCK: &str = include_str!("../../../services/console/package-lock.json");

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) name: &'static str,
    theme: &'static str,
    width: u32,
    is_phone: bool,
}

/// In light, in dark, and on a phone.
pub(crate) const VIEWS: [View; 3] = [
    View { name: "light", theme: "light", width: 1280, is_phone: false },
    View { name: "dark", theme: "dark", width: 1280, is_phone: false },
    View { name: "phone", theme: "light", width: 390, is_phone: true },
];

/// Ends with the test.
pub(crate) struct Browser {
    _process: Guarded,
    pub(crate) driver: Driver,
    folder: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        for (package, path) in
            [("chromium", "/usr/bin/chromium"), ("chromium-driver", "/usr/bin/chromedriver")]
        {
            assert!(Path::new(path).exists(), "`{package}` is missing; install it: {INSTALL}");
        }
        let folder = tempfile::tempdir().unwrap();
        let port = ports::free().unwrap();
        let mut command = Command::new("/usr/bin/chromedriver");
        // Chromium leaves what it made for the session in the folder of temporary files.
        command.arg(format!("--port={port}")).env("TMPDIR", folder.path());
        let process = Guarded::spawn("chromedriver", command, folder.path()).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let driver = wait::until(SOON, "chromedriver", async || {
            Driver::start(&url, capabilities(folder.path())).await
        })
        .await
        .unwrap();
        let browser = Self { _process: process, driver, folder };
        let saved = browser.saved();
        fs::create_dir(&saved).unwrap();
        browser
            .cdp("Browser.setDownloadBehavior", json!({"behavior": "allow", "downloadPath": saved}))
            .await;
        browser.view(VIEWS[0]).await;
        browser
    }

    /// Where downloads go.
    pub(crate) fn saved(&self) -> PathBuf {
        self.folder.path().join("saved")
    }

    async fn cdp(&self, method: &str, parameters: Value) -> Value {
        self.driver.chromium(method, parameters).await
    }

    /// Turns the window into this view.
    pub(crate) async fn view(&self, view: View) {
        let theme = json!({"features": [{"name": "prefers-color-scheme", "value": view.theme}]});
        self.cdp("Emulation.setEmulatedMedia", theme).await;
        self.cdp("Emulation.setScrollbarsHidden", json!({"hidden": true})).await;
        let size = json!({"width": view.width, "height": 844, "deviceScaleFactor": 1, "mobile": view.is_phone});
        self.cdp("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// Runs a script that returns something.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.driver.run("sync", script).await
    }

    /// The text of what `selector` finds, as it is shown; empty when there is nothing.
    pub(crate) async fn text(&self, selector: &str) -> String {
        let script = format!("return document.querySelector({})?.innerText ?? ''", json!(selector));
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    /// The texts of all that `selector` finds.
    pub(crate) async fn texts(&self, selector: &str) -> Vec<String> {
        let script = format!(
            "return [...document.querySelectorAll({})].map((one) => one.innerText)",
            json!(selector)
        );
        let found = self.run(&script).await;
        found.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    }

    /// Waits until `selector` finds something that shows `text`.
    pub(crate) async fn shows(&self, selector: &str, text: &str) {
        wait::until(SOON, &format!("`{selector}` shows `{text}`"), async || {
            let seen = self.text(selector).await;
            if seen.contains(text) && !seen.is_empty() {
                Ok(())
            } else {
                Err(format!("`{seen}` on {}", self.text("body").await))
            }
        })
        .await
        .unwrap();
    }

    /// Clicks what `selector` finds, once it is there.
    pub(crate) async fn click(&self, selector: &str) {
        self.element(selector).await.click().await;
    }

    pub(crate) async fn element(&self, selector: &str) -> Element<'_> {
        wait::until(SOON, selector, async || self.driver.find(selector).await).await.unwrap()
    }

    /// Opens a page of the server as somebody with `token`, without a word of it in the address.
    pub(crate) async fn open(&self, url: &str, hash: &str, token: &str) {
        // Of the same origin, and not the page: that would still be at work with the token before.
        self.driver.goto(&format!("{url}healthz")).await;
        let script =
            format!("sessionStorage.setItem('imprimatur.token', {}); return 0", json!(token));
        self.run(&script).await;
        self.driver.goto(&format!("{url}#/{hash}")).await;
    }

    /// Every pixel of the page, as PNG.
    pub(crate) async fn picture(&self) -> Vec<u8> {
        let told = self
            .cdp("Page.captureScreenshot", json!({"format": "png", "captureBeyondViewport": true}))
            .await;
        STANDARD.decode(told["data"].as_str().unwrap()).unwrap()
    }

    /// What axe-core finds serious or critical, one line each.
    pub(crate) async fn violations(&self) -> Vec<String> {
        // As a browser's tool would do it: the page's policy forbids it a script of this kind.
        self.cdp("Runtime.evaluate", json!({"expression": axe()})).await;
        let script = "const done = arguments[arguments.length - 1]; \
             axe.run(document, { resultTypes: ['violations'] }).then((told) => done(told.violations), (error) => done([{ id: String(error), impact: 'critical', nodes: [] }]))";
        let told = self.driver.run("async", script).await;
        let violations = told.as_array().unwrap().iter();
        let grave = violations.filter(|one| {
            ["serious", "critical"].contains(&one["impact"].as_str().unwrap_or("critical"))
        });
        grave
            .map(|one| format!("{}: {}: {}", one["impact"], one["id"], one["nodes"][0]["html"]))
            .collect()
    }

    /// The addresses that somebody else could have been asked for since the last look.
    pub(crate) async fn asked(&self) -> Vec<String> {
        let entries = self.driver.log("performance").await;
        let address = |text: &str| {
            let message: Value = serde_json::from_str(text).unwrap();
            let message = &message["message"];
            let is_request = message["method"] == "Network.requestWillBeSent";
            let url = message["params"]["request"]["url"].as_str();
            url.filter(|_| is_request).map(str::to_owned)
        };
        let all = entries.iter().filter_map(|entry| address(entry));
        // Not `data:` and `blob:`, which the page has itself, nor `chrome:`, the browser's own first page.
        all.filter(|url| {
            url.contains("//") && !url.starts_with("chrome:") && !url.starts_with("blob:")
        })
        .collect()
    }

    /// What the browser complained of since the last look: errors of scripts and broken policies. That an address was
    /// answered with a refusal is not among it.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.driver.log("browser").await;
        let messages = entries.into_iter();
        messages.filter(|text| !text.contains("the server responded with a status of 4")).collect()
    }

    /// Ends the browser; one that is only dropped ends with its driver.
    pub(crate) async fn end(self) {
        self.driver.quit().await;
    }
}

fn capabilities(folder: &Path) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let loopback = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1";
    // Tests may run as root, for whom the sandbox does not work.
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        &profile,
        loopback,
    ];
    json!({
        "browserName": "chrome",
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments},
    })
}

/// The checker of accessibility, as `cargo xtask peers` installed it.
fn axe() -> String {
    let folder = peers::cache().join("console");
    let installed = fs::read_to_string(folder.join("installed.txt")).unwrap_or_default();
    assert!(installed == LOCK, "`axe-core` is missing; install it: {INSTALL}");
    fs::read_to_string(folder.join("node_modules/axe-core/axe.min.js")).unwrap()
}
