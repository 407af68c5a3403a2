//! The few commands of W3C `WebDriver` that the tests need, each one HTTP call to `ChromeDriver`; a refusal fails the test.

use serde_json::{Value, json};

/// The tabulator, as `WebDriver` writes keys.
pub(crate) const TAB: &str = "\u{e004}";
/// The key that sends.
pub(crate) const ENTER: &str = "\u{e007}";

/// Under this name an answer refers to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// One browser.
pub(crate) struct Driver {
    http: reqwest::Client,
    /// The address of its session.
    session: String,
}

/// One element of a page.
pub(crate) struct Element<'a> {
    driver: &'a Driver,
    path: String,
}

impl Driver {
    /// Starts a browser at the driver that listens at `url`.
    pub(crate) async fn start(url: &str, capabilities: Value) -> Result<Self, String> {
        let http = reqwest::Client::new();
        let wanted = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let told = told(http.post(format!("{url}/session")).json(&wanted)).await?;
        let id = told["sessionId"].as_str().ok_or_else(|| told.to_string())?;
        Ok(Self { session: format!("{url}/session/{id}"), http })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, String> {
        told(self.http.post(format!("{}/{path}", self.session)).json(&body)).await
    }

    async fn get(&self, path: &str) -> Value {
        told(self.http.get(format!("{}/{path}", self.session))).await.unwrap()
    }

    /// Opens an address and waits until the page is loaded.
    pub(crate) async fn goto(&self, url: &str) {
        self.post("url", json!({ "url": url })).await.unwrap();
    }

    /// The address of the page.
    pub(crate) async fn address(&self) -> String {
        self.get("url").await.as_str().unwrap().to_owned()
    }

    /// Loads the page again.
    pub(crate) async fn refresh(&self) {
        self.post("refresh", json!({})).await.unwrap();
    }

    /// Runs a script to its end; `how` is `sync`, or `async` for one that calls its last argument.
    pub(crate) async fn run(&self, how: &str, script: &str) -> Value {
        let body = json!({ "script": script, "args": [] });
        self.post(&format!("execute/{how}"), body).await.unwrap()
    }

    /// The first element that `selector` finds.
    pub(crate) async fn find(&self, selector: &str) -> Result<Element<'_>, String> {
        let body = json!({ "using": "css selector", "value": selector });
        Ok(self.element(&self.post("element", body).await?))
    }

    /// The element that has the keyboard.
    pub(crate) async fn active(&self) -> Element<'_> {
        self.element(&self.get("element/active").await)
    }

    fn element(&self, told: &Value) -> Element<'_> {
        let id = told[ELEMENT].as_str().unwrap();
        Element { driver: self, path: format!("element/{id}") }
    }

    /// A command of Chromium's own protocol.
    pub(crate) async fn chromium(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        self.post("goog/cdp/execute", body).await.unwrap()
    }

    /// What a log (`browser`, `performance`) has since the last look.
    pub(crate) async fn log(&self, name: &str) -> Vec<String> {
        let entries = self.post("se/log", json!({ "type": name })).await.unwrap();
        let message = |entry: &Value| entry["message"].as_str().unwrap().to_owned();
        entries.as_array().unwrap().iter().map(message).collect()
    }

    /// Ends the browser.
    pub(crate) async fn quit(&self) {
        told(self.http.delete(&self.session)).await.unwrap();
    }
}

impl Element<'_> {
    pub(crate) async fn click(&self) {
        self.act("click", json!({})).await;
    }

    /// Types, with what was typed before.
    pub(crate) async fn keys(&self, text: &str) {
        self.act("value", json!({ "text": text })).await;
    }

    pub(crate) async fn clear(&self) {
        self.act("clear", json!({})).await;
    }

    async fn act(&self, what: &str, body: Value) {
        self.driver.post(&format!("{}/{what}", self.path), body).await.unwrap();
    }
}

/// The `value` of an answer, or in words why there is none.
async fn told(request: reqwest::RequestBuilder) -> Result<Value, String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let is_success = response.status().is_success();
    let mut told: Value = response.json().await.map_err(|error| error.to_string())?;
    let value = told["value"].take();
    if is_success { Ok(value) } else { Err(format!("{}: {}", value["error"], value["message"])) }
}
