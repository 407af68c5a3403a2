//! Moonraker's own socket, which hands out the key of the HTTP interface to whoever reaches it.
//!
//! JSON-RPC; each message of either side ends with the byte 3.

use std::path::Path;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::super::api::{at, take};

/// Ends a message.
const END: u8 = 3;

/// Asks the server's socket, which wants no key, for the key.
pub(super) async fn fetch_key(socket: &Path) -> Result<String, String> {
    let mut stream = UnixStream::connect(socket).await.map_err(|error| error.to_string())?;
    let client = json!({"client_name": "testkit", "version": "0", "type": "agent", "url": "none"});
    call(&mut stream, 1, "server.connection.identify", client).await?;
    let answer = call(&mut stream, 2, "access.get_api_key", json!({})).await?;
    answer.as_str().map(str::to_owned).ok_or_else(|| answer.to_string())
}

/// One call; notifications that come in between are passed over.
async fn call(
    stream: &mut UnixStream,
    id: u32,
    method: &str,
    params: Value,
) -> Result<Value, String> {
    let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let mut message = request.to_string().into_bytes();
    message.push(END);
    stream.write_all(&message).await.map_err(|error| error.to_string())?;
    loop {
        let mut answer = Vec::new();
        loop {
            match stream.read_u8().await {
                Ok(END) => break,
                Ok(byte) => answer.push(byte),
                Err(error) => return Err(error.to_string()),
            }
        }
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        if *at(&answer, "/id") == id {
            return match answer.get("error") {
                Some(error) => Err(error.to_string()),
                None => Ok(take(answer, "/result")),
            };
        }
    }
}
