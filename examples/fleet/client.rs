//! A minimal HTTP/1.1 client: one kept-alive connection, one request at a time, answers of known length.

use std::{io, net::SocketAddr, str};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The longest answer that is read, in bytes.
const LONGEST: usize = 16 * 1_024;

/// A request with this key.
pub(crate) fn request(key: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\n\r\n").into_bytes()
}

pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(LONGEST) })
    }

    /// Sends a request, reads the whole answer, and returns its status.
    pub(crate) async fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.received.clear();
        loop {
            let count = self.stream.read_buf(&mut self.received).await?;
            if let Some((status, length)) = head(&self.received)
                && self.received.len() >= length
            {
                return Ok(status);
            }
            if count == 0 || self.received.len() > LONGEST {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a node ended, or its answer is too long"));
            }
        }
    }
}

/// Status and length of an answer; none if its head is not complete.
fn head(received: &[u8]) -> Option<(u16, usize)> {
    let end = received.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = str::from_utf8(received.get(..end)?).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let length: usize = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    Some((status, end + 4 + length))
}
