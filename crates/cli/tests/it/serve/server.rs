//! A running `apikeys serve`, and a client that writes requests as they are.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    process::Child,
    sync::mpsc::{self, Receiver},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::World;

/// How long something may take that happens at once on any machine that is not stuck.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process that ends with the test.
pub struct Serving {
    process: Child,
    /// The addresses that it printed.
    places: Value,
    lines: Receiver<String>,
    heard: String,
}

/// An answer, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In their order, with names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl World {
    /// Serves with these arguments, on ports of the system's choice.
    #[track_caller]
    pub fn serve(&self, arguments: &[&str]) -> Serving {
        let free: &[&str] = if arguments.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut process = self.command(&[&["serve", "--json"], free, arguments].concat()).spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let (line, lines) = mpsc::channel();
        // Reads to the end, so that the pipe is never full.
        thread::spawn(move || log.lines().map_while(Result::ok).for_each(|said| drop(line.send(said))));
        let mut ready = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let mut serving = Serving { process, places: Value::Null, lines, heard: String::new() };
        serving.places = serde_json::from_str(&ready).unwrap_or_else(|_| panic!("{}", serving.rest()));
        serving
    }
}

impl Serving {
    /// The port where it serves this: `check`, `metrics` or `page`.
    pub fn at(&self, what: &str) -> SocketAddr {
        let url = self.places[what].as_str().unwrap_or_else(|| panic!("there is no {what}: {}", self.places));
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap();
        address.parse().unwrap()
    }

    /// Asks about a request with these headers.
    pub fn check(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        get(self.at("check"), target, headers)
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.process.id().try_into().unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until it says this on standard error.
    #[track_caller]
    pub fn hears(&mut self, text: &str) {
        while !self.heard.contains(text) {
            let line =
                self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{text} is not in:\n{}", self.heard));
            self.heard.push_str(&format!("{line}\n"));
        }
    }

    /// Stops it, and gives its exit code and all that it said.
    pub fn stop(self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        self.end()
    }

    /// Waits for its end.
    pub fn end(mut self) -> (Option<i32>, String) {
        let code = self.process.wait().unwrap().code();
        (code, self.rest())
    }

    fn rest(&mut self) -> String {
        // Ends when the process has closed its standard error.
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            self.heard.push_str(&format!("{line}\n"));
        }
        self.heard.clone()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Answer {
    /// The values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there at most once.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name}: {all:?}");
        all.first().copied()
    }

    /// The code in the problem document.
    pub fn code(&self) -> String {
        let problem: Value = serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        problem["code"].as_str().unwrap().to_owned()
    }
}

pub fn get(to: SocketAddr, target: &str, headers: &[(&str, &str)]) -> Answer {
    send(to, "GET", target, headers, "")
}

/// Sends one request on a connection of its own.
pub fn send(to: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut stream = begin(to, method, target, headers, body);
    finish(&mut stream)
}

/// Sends the whole request.
pub fn begin(to: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let host = if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
        ""
    } else {
        "host: api.example.com\r\n"
    };
    let mut text = format!("{method} {target} HTTP/1.1\r\n{host}connection: close\r\n");
    headers.iter().for_each(|(name, value)| text.push_str(&format!("{name}: {value}\r\n")));
    if !body.is_empty() {
        text.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    stream.write_all(format!("{text}\r\n{body}").as_bytes()).unwrap();
    stream
}

/// Reads the answer to its end.
#[track_caller]
pub fn finish(stream: &mut TcpStream) -> Answer {
    let mut text = Vec::new();
    // A server that did not read the whole body may reset the connection after its answer.
    drop(stream.read_to_end(&mut text));
    let text = String::from_utf8(text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no whole answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap_or_else(|| (line.trim_end_matches(':'), "")));
    let headers: Vec<_> = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = if is_chunked { joined(body) } else { body.to_owned() };
    Answer { status, headers, body }
}

/// A body without the lengths of its chunks.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        body.push_str(&rest[..length]);
        chunks = rest[length..].trim_start_matches("\r\n");
    }
    body
}
