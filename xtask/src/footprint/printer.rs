//! A stand-in for printers and targets: one server that answers as `OctoPrint`'s polled interface does,
//! as a metrics page, and as a store that takes metrics and forgets them.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Longest head and body of a question, bytes.
const QUESTION_MAX: u64 = 1024 * 1024;

/// Seconds of the simulated print, whatever the clock says.
const PRINT_SECONDS: u32 = 3600;

/// The running server.
#[derive(Debug)]
pub(super) struct Printer {
    /// On 127.0.0.1.
    pub(super) port: u16,
    printing: Arc<AtomicBool>,
}

impl Printer {
    /// Starts it; it ends with this program.
    pub(super) fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let printing = Arc::new(AtomicBool::new(false));
        let shown = Arc::clone(&printing);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shown = Arc::clone(&shown);
                thread::spawn(move || serve(stream, &shown));
            }
        });
        Ok(Self { port, printing })
    }

    /// Says from now on that a print runs, or that it is complete.
    pub(super) fn print(&self, runs: bool) {
        self.printing.store(runs, Ordering::SeqCst);
    }
}

/// Answers until the other side goes or says something that is no question.
fn serve(stream: TcpStream, printing: &AtomicBool) {
    let Ok(mut to) = stream.try_clone() else { return };
    let mut from = BufReader::new(stream);
    while let Ok(Some(path)) = question(&mut from) {
        let (status, body) = answer(&path, printing.load(Ordering::SeqCst));
        let text = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if to.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

/// The path of the next question; its body is read and dropped.
fn question(from: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    let (mut path, mut length) = (None, 0);
    let mut head = from.by_ref().take(QUESTION_MAX);
    loop {
        let mut line = String::new();
        if head.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if path.is_none() {
            path = line.split(' ').nth(1).map(str::to_owned);
        } else if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    io::copy(&mut from.by_ref().take(length.min(QUESTION_MAX)), &mut io::sink())?;
    Ok(path)
}

fn answer(path: &str, printing: bool) -> (&'static str, String) {
    let path = path.split('?').next().unwrap_or(path);
    let heat = if printing { 210.0 } else { 0.0 };
    let (seconds, done) = if printing { (PRINT_SECONDS - 60, 98) } else { (PRINT_SECONDS, 100) };
    let body = match path {
        "/api/printer" => format!(
            r#"{{"temperature":{{"tool0":{{"actual":{heat},"target":{heat}}},"bed":{{"actual":60.0,
            "target":60.0}}}},"state":{{"flags":{{"operational":true,"printing":{printing}}}}}}}"#
        ),
        "/api/job" => format!(
            r#"{{"job":{{"estimatedPrintTime":{PRINT_SECONDS},"file":{{"origin":"local"}},"filament":
            {{"tool0":{{"volume":12.5}}}}}},"progress":{{"completion":{done},"printTime":{seconds}}}}}"#
        ),
        "/metrics" => format!("tool_celsius {heat}\nbed_celsius 60\nprint_seconds {seconds}\n"),
        "/api/v1/write" => return ("204 No Content", String::new()),
        _ => return ("404 Not Found", String::new()),
    };
    ("200 OK", body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_over_one_connection() {
        let printer = Printer::start().unwrap();
        let mut stream = TcpStream::connect(("127.0.0.1", printer.port)).unwrap();
        let mut ask = |question: &str| {
            stream.write_all(question.as_bytes()).unwrap();
            let mut from = BufReader::new(stream.try_clone().unwrap());
            let mut status = String::new();
            from.read_line(&mut status).unwrap();
            let mut line = String::new();
            let mut length = 0;
            while from.read_line(&mut line).unwrap() > 2 {
                length = line.trim().rsplit(' ').next().unwrap().parse().unwrap();
                line.clear();
            }
            let mut body = vec![0; length];
            from.read_exact(&mut body).unwrap();
            (status, String::from_utf8(body).unwrap())
        };
        let printer_at_rest = ask("GET /api/printer?exclude=sd HTTP/1.1\r\n\r\n").1;
        let read: serde_json::Value = serde_json::from_str(&printer_at_rest).unwrap();
        assert_eq!(read["state"]["flags"]["printing"], false);
        let written = ask("POST /api/v1/write HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc");
        assert!(written.0.contains("204") && written.1.is_empty());
        printer.print(true);
        assert!(ask("GET /api/printer HTTP/1.1\r\n\r\n").1.contains(r#""printing":true"#));
        let job = ask("GET /api/job HTTP/1.1\r\nhost: x\r\n\r\n").1;
        let read: serde_json::Value = serde_json::from_str(&job).unwrap();
        assert_eq!(read["progress"]["completion"], 98);
        assert!(ask("GET /api/login HTTP/1.1\r\n\r\n").0.contains("404"));
    }
}
