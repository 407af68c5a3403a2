//! One request to a local web server, as bytes: what it answers, headers and all.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Sends `METHOD path` and reads until the server closes.
///
/// # Errors
/// When nobody listens, the connection breaks, or the answer is no UTF-8.
pub async fn ask(address: SocketAddr, method: &str, path: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}
