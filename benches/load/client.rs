//! A minimal HTTP/1.1 client: one kept-alive connection, one request at a time, a body of known length.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A time limit that no request comes near, so that a bench always ends.
const PATIENCE: Duration = Duration::from_secs(60);

/// The longest answer that is read, in bytes.
const LONGEST: usize = 16 * 1_024;

/// A request with six headers, as clients send them.
pub(crate) fn request(path: &str, key: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nuser-agent: load/1\r\naccept: */*\r\naccept-encoding: gzip\r\n\
         content-type: text/plain\r\nauthorization: Bearer {key}\r\n\r\n"
    )
    .into_bytes()
}

pub(crate) struct Connection {
    stream: TcpStream,
    /// The received bytes of one answer: its head, and its body, which begins at `head`.
    received: Vec<u8>,
    head: usize,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, String> {
        let open = || {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = open().map_err(|error: std::io::Error| format!("no connection to the server: {error}"))?;
        Ok(Self { stream, received: Vec::with_capacity(LONGEST), head: 0 })
    }

    /// Sends a request and returns the status of its answer.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<u16, String> {
        let failed = |error: std::io::Error| format!("the server did not answer: {error}");
        self.stream.write_all(request).map_err(failed)?;
        self.received.clear();
        let mut chunk = [0; 2_048];
        loop {
            let count = self.stream.read(&mut chunk).map_err(failed)?;
            self.received.extend_from_slice(&chunk[..count]);
            if let Some((status, head, length)) = read_head(&self.received)? {
                self.head = head;
                if self.received.len() >= head + length {
                    return Ok(status);
                }
            }
            if count == 0 || self.received.len() > LONGEST {
                return Err("the server's answer is cut off or too long".to_owned());
            }
        }
    }

    /// Sends a request whose answer must have this status.
    pub(crate) fn expect(&mut self, request: &[u8], status: u16) -> Result<(), String> {
        let answered = self.ask(request)?;
        if answered == status {
            return Ok(());
        }
        Err(format!("answered with {answered} in place of {status}: {}", self.body()))
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.received[self.head..]).into_owned()
    }
}

/// Status, length of the head, length of the body; none until the head is complete.
fn read_head(received: &[u8]) -> Result<Option<(u16, usize, usize)>, String> {
    let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&received[..end]).map_err(|error| format!("the head of an answer: {error}"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        if name.eq_ignore_ascii_case("content-length") { value.trim().parse().ok() } else { None }
    });
    match (status, length) {
        (Some(status), Some(length)) => Ok(Some((status, end + 4, length))),
        _ => Err(format!("an answer without status or length: {head}")),
    }
}
