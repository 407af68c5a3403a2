//! The HTTP side of a peer: JSON in and out, with its key.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use super::{PeerError, file_error};

/// Any single request; peers answer in milliseconds, under a loaded machine in seconds.
const LIMIT: Duration = Duration::from_secs(20);

/// The value at a JSON pointer such as `/a/b`; `null` where there is none.
pub(super) fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

/// As [`at`], taken out.
pub(super) fn take(mut value: Value, pointer: &str) -> Value {
    value.pointer_mut(pointer).map(Value::take).unwrap_or_default()
}

/// One peer's HTTP interface.
#[derive(Debug)]
pub(super) struct Api {
    base: String,
    key: String,
    client: Client,
}

impl Api {
    /// `key` goes out as `X-Api-Key`.
    pub(super) fn new(base: String, key: String) -> Result<Self, PeerError> {
        // A proxy of the machine has no business on the loopback.
        let client = Client::builder()
            .no_proxy()
            .timeout(LIMIT)
            .build()
            .map_err(|source| PeerError::Http { what: base.clone(), source })?;
        Ok(Self { base, key, client })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) async fn get(&self, path: &str) -> Result<Value, PeerError> {
        self.send(path, self.request(Method::GET, path)).await
    }

    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, PeerError> {
        self.send(path, self.request(Method::POST, path).json(body)).await
    }

    /// Puts `body` there.
    pub(super) async fn put(
        &self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
    ) -> Result<Value, PeerError> {
        let mut request = self.request(Method::PUT, path).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(path, request).await
    }

    pub(super) async fn delete(&self, path: &str) -> Result<Value, PeerError> {
        self.send(path, self.request(Method::DELETE, path)).await
    }

    /// Uploads the file at `file` as the part `file`, beside the text parts `fields`.
    pub(super) async fn upload(
        &self,
        path: &str,
        file: &Path,
        fields: &[(&'static str, &str)],
    ) -> Result<Value, PeerError> {
        let bytes = fs::read(file).map_err(|source| file_error(file, source))?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut form = Form::new().part("file", Part::bytes(bytes).file_name(name));
        for (field, value) in fields {
            form = form.text(*field, (*value).to_owned());
        }
        self.send(path, self.request(Method::POST, path).multipart(form)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).header("X-Api-Key", &self.key)
    }

    /// An empty body is `null`.
    async fn send(&self, path: &str, request: RequestBuilder) -> Result<Value, PeerError> {
        let what = || format!("{}{path}", self.base);
        let lost = |source| PeerError::Http { what: what(), source };
        let answer = request.send().await.map_err(lost)?;
        let status = answer.status();
        let body = answer.text().await.map_err(lost)?;
        let refused = |body: &str| PeerError::Refused {
            what: what(),
            status: status.as_u16(),
            body: body.to_owned(),
        };
        if !status.is_success() {
            return Err(refused(&body));
        }
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body).map_err(|_not_json| refused(&body))
    }
}
